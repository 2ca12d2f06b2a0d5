//! `model.toml`: what a bundle says of itself.
//!
//! Everything that needs neither the other files nor a schema is checked here: words, counts, ranges, plain file names. Unknown keys are
//! errors, because a misspelt `clip` would otherwise change every score in silence.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::architecture::Architecture;
use crate::error::BundleFault;

/// Name of the manifest inside a bundle.
pub(crate) const MANIFEST_FILE: &str = "model.toml";
/// Most bytes of a manifest.
pub(crate) const MANIFEST_BYTES_MAX: usize = 256 << 10;
/// The manifest format that this program reads.
const FORMAT: u32 = 1;
/// Widest layer.
const WIDTH_MAX: usize = 8192;
/// Most layers, counting the input.
const LAYERS_MAX: usize = 64;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u32,
    pub name: String,
    pub version: String,
    #[serde(default)]
    pub doc: String,
    pub architecture: Architecture,
    pub layers: Vec<usize>,
    pub activation: Activation,
    pub output_activation: OutputActivation,
    pub outputs: Vec<String>,
    #[serde(rename = "input", default)]
    pub inputs: Vec<Input>,
    pub weights: FileRef,
    pub golden: GoldenRef,
    /// Provenance: read to be sure that it is well formed, shown as text with the rest of the manifest.
    #[serde(rename = "training")]
    _training: Option<Training>,
}

/// Between the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Activation {
    Relu,
    Tanh,
    Sigmoid,
}

/// After the last layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutputActivation {
    Softmax,
    Sigmoid,
    None,
}

/// One schema field (or one element of it) and its preprocessing: `x = clip((value - shift) * scale)`, value in physical units.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    pub field: String,
    pub shift: Option<PerElement>,
    pub scale: Option<PerElement>,
    pub clip: Option<[f64; 2]>,
}

/// One number for all elements of a field, or one for each.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum PerElement {
    All(f64),
    Each(Vec<f64>),
}

impl PerElement {
    /// The number of element `index`. The caller has compared the lengths.
    pub fn get(&self, index: usize) -> f64 {
        match self {
            Self::All(value) => *value,
            Self::Each(values) => values[index],
        }
    }

    /// How many elements it fits; `None` for any number.
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::All(_) => None,
            Self::Each(values) => Some(values.len()),
        }
    }

    fn values(&self) -> &[f64] {
        match self {
            Self::All(value) => std::slice::from_ref(value),
            Self::Each(values) => values,
        }
    }
}

/// A file of the bundle and its checksum.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileRef {
    pub file: String,
    pub sha256: String,
}

/// The golden vectors: `inputs` in physical units, `scores` that they must give within `tolerance` (of 1, or of the score if larger).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoldenRef {
    pub file: String,
    pub sha256: String,
    pub tolerance: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Training {
    #[serde(rename = "recipe")]
    _recipe: String,
    #[serde(rename = "recipe_sha256")]
    _recipe_sha256: Option<String>,
    #[serde(rename = "seed")]
    _seed: u64,
    #[serde(rename = "events")]
    _events: u64,
    #[serde(rename = "epochs")]
    _epochs: u32,
    #[serde(rename = "data", default)]
    _data: Vec<TrainingData>,
    #[serde(rename = "metrics", default)]
    _metrics: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrainingData {
    #[serde(rename = "file")]
    _file: String,
    #[serde(rename = "class")]
    _class: Option<String>,
    #[serde(rename = "events")]
    _events: u64,
    #[serde(rename = "records_sha256")]
    _records_sha256: String,
}

impl Manifest {
    pub fn parse(text: &[u8]) -> Result<Self, BundleFault> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(BundleFault::ManifestTooLong { bytes: text.len() as u64 });
        }
        let text = std::str::from_utf8(text).map_err(|_| BundleFault::NotText)?;
        let manifest: Self = toml::from_str(text)
            .map_err(|error| BundleFault::Toml { message: error.to_string().trim_end().into() })?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), BundleFault> {
        if self.format != FORMAT {
            return Err(BundleFault::Format { found: self.format, known: FORMAT });
        }
        check_word("name", &self.name)?;
        if self.version.is_empty() || self.version.len() > 64 || self.version.chars().any(char::is_control) {
            return bad("version", "use 1 to 64 printable characters");
        }
        if self.layers.len() < 2 || self.layers.len() > LAYERS_MAX {
            return bad(
                "layers",
                "give the widths of the input and of every layer, at least 2 and at most 64 numbers",
            );
        }
        if self.layers.iter().any(|&width| width == 0 || width > WIDTH_MAX) {
            return bad("layers", "a width is between 1 and 8192");
        }
        for (index, output) in self.outputs.iter().enumerate() {
            check_word("outputs", output)?;
            if self.outputs[..index].contains(output) {
                return bad("outputs", "a name stands twice");
            }
        }
        if self.output_activation == OutputActivation::Softmax && self.layers.last() == Some(&1) {
            return bad("output_activation", "softmax over one number is always 1; use sigmoid");
        }
        self.architecture.check(self)?;
        for input in &self.inputs {
            input.check()?;
        }
        check_file(&self.weights.file, &self.weights.sha256)?;
        check_file(&self.golden.file, &self.golden.sha256)?;
        if self.weights.file == self.golden.file {
            return bad("golden.file", "weights and golden vectors are two files");
        }
        if !(self.golden.tolerance > 0.0 && self.golden.tolerance <= 0.1) {
            return bad("golden.tolerance", "give a number above 0 and at most 0.1");
        }
        Ok(())
    }

    /// Multiplications (each with an addition) that one event costs.
    pub fn multiply_adds(&self) -> usize {
        self.layers.windows(2).map(|pair| pair[0] * pair[1]).sum()
    }

    /// Weights and biases.
    pub fn parameters(&self) -> usize {
        self.layers.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum()
    }
}

impl Input {
    fn check(&self) -> Result<(), BundleFault> {
        let numbers = [&self.shift, &self.scale].into_iter().flatten().flat_map(PerElement::values);
        if !numbers.chain(self.clip.iter().flatten()).all(|value| value.is_finite()) {
            return bad(&format!("input '{}'", self.field), "shift, scale and clip must be finite");
        }
        if self.clip.is_some_and(|[low, high]| low >= high) {
            return bad(&format!("input '{}'", self.field), "clip = [low, high] with low below high");
        }
        Ok(())
    }
}

/// A refusal of one key.
pub(crate) fn bad<T>(key: &str, reason: &str) -> Result<T, BundleFault> {
    Err(BundleFault::Key { key: key.into(), reason: reason.into() })
}

/// Names appear in menu expressions (`topo.leptons`), so they follow the rule of field names.
fn check_word(key: &str, word: &str) -> Result<(), BundleFault> {
    let first_ok = word.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if !first_ok
        || word.len() > 64
        || !word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    {
        return bad(key, &format!("'{word}' is no name; use a-z, 0-9 and '_', a letter first, at most 64"));
    }
    Ok(())
}

fn check_file(file: &str, sha256: &str) -> Result<(), BundleFault> {
    let plain = !file.is_empty()
        && file.len() <= 100
        && !file.starts_with('.')
        && file.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if !plain || file == MANIFEST_FILE {
        return Err(BundleFault::FileName { name: file.into() });
    }
    if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f')) {
        return bad("sha256", &format!("'{file}' needs 64 hexadecimal digits, lower case"));
    }
    Ok(())
}
