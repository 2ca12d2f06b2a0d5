//! `model.toml`: the manifest of a bundle.
//!
//! This module checks everything that needs neither the other files nor a schema: words, counts, ranges, plain file names. Unknown keys are
//! errors, because a misspelt `clip` would otherwise silently change every score.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::calibration::{Calibration, TOLERANCE_MAX};
use crate::engine::Engine;
use crate::error::BundleFault;

/// Name of the manifest inside a bundle.
pub const MANIFEST_FILE: &str = "model.toml";
/// Most bytes of a manifest.
pub(crate) const MANIFEST_BYTES_MAX: usize = 256 << 10;
/// The manifest format that this program reads.
const FORMAT: u32 = 1;
/// Widest layer.
const WIDTH_MAX: usize = 8192;
/// Most layers, counting the input.
const LAYERS_MAX: usize = 64;
/// Most values of a one-hot input.
const ONE_HOT_MAX: usize = 1024;
/// The name of an output that is no score.
pub(crate) const NO_SCORE: &str = "-";

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u32,
    pub name: String,
    pub version: String,
    #[serde(default)]
    pub doc: String,
    pub architecture: Architecture,
    /// Widths of a chain of dense layers, including the input.
    #[serde(default)]
    pub layers: Vec<usize>,
    pub activation: Option<HiddenActivation>,
    pub output_activation: Option<OutputActivation>,
    /// `onnx` only: the number of input numbers, if the file leaves it open.
    pub width: Option<usize>,
    /// Names of the scores; `-` is a number that is no score. Once there is a graph, without outputs that contain no score.
    pub outputs: Vec<String>,
    #[serde(rename = "input", default)]
    pub inputs: Vec<ManifestInput>,
    pub weights: WeightsRef,
    pub golden: GoldenRef,
    /// The calibration for the reduced-precision engines.
    pub calibration: Option<Calibration>,
    /// Provenance: checked for its form only, and shown unchanged.
    pub training: Option<Training>,
}

/// The activation between layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HiddenActivation {
    Relu,
    Tanh,
    Sigmoid,
}

/// The activation after the last layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutputActivation {
    Softmax,
    Sigmoid,
    None,
}

/// One schema field (or one element of it) and its preprocessing: `x = mask(clip((log1p(value) - shift) * scale))`, value in physical units.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestInput {
    pub field: String,
    /// Number of elements of the field, so that the bundle alone determines it. A schema must agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub len: Option<usize>,
    /// Use the logarithm of 1 + value instead of the value.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log1p: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<PerElement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<PerElement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<[f64; 2]>,
    /// One column per listed value: 1 where the field has this value, 0 elsewhere. Excludes `log1p`, `shift`, `scale` and `clip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_hot: Option<Vec<f64>>,
    /// A field with as many elements: where it is 0, the object does not exist and `x` is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
}

/// One number for all elements of a field, or one for each.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum PerElement {
    All(f64),
    Each(Vec<f64>),
}

impl PerElement {
    /// The number of element `index`. The caller checks the lengths.
    pub fn get(&self, index: usize) -> f64 {
        match self {
            Self::All(value) => *value,
            Self::Each(values) => values[index],
        }
    }

    /// The number of elements that it fits; `None` for any number.
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

/// The weights and their checksum.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WeightsRef {
    pub file: String,
    pub sha256: String,
}

/// The golden vectors: `inputs` in physical units, their `scores` within `tolerance` (relative to 1, or to the score if larger).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoldenRef {
    pub file: String,
    pub sha256: String,
    pub tolerance: f64,
}

/// Provenance of a model.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The framework that trained it, such as `tamis 0.1.0` or `pytorch 2.9`.
    pub framework: Option<String>,
    /// Name of the recipe.
    pub recipe: Option<String>,
    /// SHA-256 of its text.
    pub recipe_sha256: Option<String>,
    /// Seed of everything random.
    pub seed: Option<u64>,
    /// Number of training events.
    pub events: Option<u64>,
    /// Number of passes over them.
    pub epochs: Option<u32>,
    /// The training files.
    #[serde(default)]
    pub data: Vec<TrainingData>,
    /// Figures of merit, by name.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
}

/// A training file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingData {
    /// Its name.
    pub file: String,
    /// The class of its events.
    pub class: Option<String>,
    /// Number of its events.
    pub events: Option<u64>,
    /// SHA-256 of all event records, in order.
    pub records_sha256: Option<String>,
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
        check_widths("layers", &self.layers, 0)?;
        if self.outputs.iter().all(|output| output == NO_SCORE) {
            return bad("outputs", "name at least one score");
        }
        for (index, output) in self.outputs.iter().enumerate().filter(|(_, output)| *output != NO_SCORE) {
            check_word("outputs", output)?;
            if self.outputs[..index].contains(output) {
                return bad("outputs", "a name stands twice");
            }
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
        self.calibration.as_ref().map_or(Ok(()), Calibration::check)
    }
}

impl Manifest {
    /// Largest allowed difference of scores on an engine from the golden ones.
    pub fn tolerance(&self, engine: Engine) -> f64 {
        let calibrated = self.calibration.as_ref().and_then(|section| section.tolerance.of(engine));
        calibrated.unwrap_or(self.golden.tolerance)
    }

    /// Largest allowed difference of scores of noise on an engine from those of the reference. Noise is farther out than the events that a model is calibrated with, where integers saturate.
    pub fn tolerance_of_noise(&self, engine: Engine) -> f64 {
        if engine.is_reduced() { TOLERANCE_MAX } else { self.tolerance(engine) }
    }

    /// Do some elements fill more than one column?
    pub fn has_one_hot(&self) -> bool {
        self.inputs.iter().any(|input| input.one_hot.is_some())
    }
}

impl ManifestInput {
    fn check(&self) -> Result<(), BundleFault> {
        let numbers = [&self.shift, &self.scale].into_iter().flatten().flat_map(PerElement::values);
        if !numbers.chain(self.clip.iter().flatten()).all(|value| value.is_finite()) {
            return bad(&format!("input '{}'", self.field), "shift, scale and clip must be finite");
        }
        if self.clip.is_some_and(|[low, high]| low >= high) {
            return bad(&format!("input '{}'", self.field), "clip = [low, high] with low below high");
        }
        if self.scale.iter().flat_map(PerElement::values).any(|&scale| scale == 0.0) {
            return bad(&format!("input '{}'", self.field), "a scale of 0 says nothing; leave the input out");
        }
        let Some(values) = &self.one_hot else { return Ok(()) };
        if values.is_empty() || values.len() > ONE_HOT_MAX || !values.iter().all(|value| value.is_finite()) {
            return bad(&format!("input '{}'", self.field), "one_hot = a list of 1 to 1024 finite values");
        }
        if values.iter().enumerate().any(|(index, value)| values[..index].contains(value)) {
            return bad(&format!("input '{}'", self.field), "every value of one_hot stands there once");
        }
        if self.log1p || self.shift.is_some() || self.scale.is_some() || self.clip.is_some() {
            return bad(
                &format!("input '{}'", self.field),
                "one_hot goes without log1p, shift, scale and clip",
            );
        }
        Ok(())
    }
}

/// Checks the widths of a chain, of which there must be at least `least`.
pub(crate) fn check_widths(key: &str, widths: &[usize], least: usize) -> Result<(), BundleFault> {
    if widths.len() < least || widths.len() > LAYERS_MAX {
        return bad(
            key,
            &format!("give the widths of the input and of every layer, {least} to {LAYERS_MAX} numbers"),
        );
    }
    if widths.iter().any(|&width| width == 0 || width > WIDTH_MAX) {
        return bad(key, &format!("a width is between 1 and {WIDTH_MAX}"));
    }
    Ok(())
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
    if !is_sha256(sha256) {
        return bad("sha256", &format!("'{file}' needs 64 hexadecimal digits, lower case"));
    }
    Ok(())
}

/// Is the text 64 lower-case hexadecimal digits?
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
}
