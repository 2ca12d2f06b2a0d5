//! Writes the files of a model bundle, as specified in `crates/model/BUNDLE.md`.

use std::fmt::Write as _;

use safetensors::{Dtype, View};
use sha2::{Digest, Sha256};

use crate::learner::LayerWeights;
use crate::preprocessing::Preprocessing;
use crate::recipe::{Architecture, Recipe};

const WEIGHTS_FILE: &str = "weights.safetensors";
const GOLDEN_FILE: &str = "golden.safetensors";
/// Largest deviation of a golden score on loading: only the rounding may differ between processors.
const TOLERANCE: &str = "1e-4";

/// The three files of a bundle, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainedBundle {
    /// Text of `model.toml`.
    pub manifest: String,
    /// `weights.safetensors`.
    pub weights: Vec<u8>,
    /// `golden.safetensors`.
    pub golden: Vec<u8>,
}

impl TrainedBundle {
    /// Names and bytes. The manifest comes last, so an interrupted write leaves a bundle that is refused, because its checksums do not match.
    pub fn files(&self) -> [(&str, &[u8]); 3] {
        [(WEIGHTS_FILE, &self.weights), (GOLDEN_FILE, &self.golden), ("model.toml", self.manifest.as_bytes())]
    }
}

/// Provenance of a bundle.
pub(crate) struct TrainingRecord {
    /// Number of training events.
    pub events: usize,
    pub data: Vec<Used>,
    /// Name and value.
    pub metrics: Vec<(String, f64)>,
}

/// The data used from one `[[data]]` of the recipe.
pub(crate) struct Used {
    pub file: String,
    pub class: Option<String>,
    /// Number of events used, for training or held out.
    pub events: usize,
    /// SHA-256 of all records of the file.
    pub records_sha256: String,
}

/// Golden vectors: rows of physical values and their expected scores.
pub(crate) struct Golden {
    pub rows: usize,
    pub inputs: Vec<f32>,
    pub scores: Vec<f32>,
}

pub(crate) fn assemble(
    recipe: &Recipe,
    inputs: &[Preprocessing],
    layers: &[LayerWeights],
    golden: Golden,
    provenance: &TrainingRecord,
) -> TrainedBundle {
    let mut tensors = Vec::new();
    for (k, (layer, pair)) in layers.iter().zip(recipe.layers.windows(2)).enumerate() {
        let (n, m) = (pair[0], pair[1]);
        // The format stores `[out, in]`, as PyTorch does.
        let turned = (0..n * m).map(|at| layer.weight[at % n * m + at / n]).collect();
        tensors.push((format!("layers.{k}.weight"), Numbers::new(&[m, n], turned)));
        tensors.push((format!("layers.{k}.bias"), Numbers::new(&[m], layer.bias.clone())));
    }
    let weights = serialize(tensors);
    let outputs = golden.scores.len() / golden.rows;
    let golden = serialize(vec![
        ("inputs".into(), Numbers::new(&[golden.rows, recipe.layers[0]], golden.inputs)),
        ("scores".into(), Numbers::new(&[golden.rows, outputs], golden.scores)),
    ]);
    let manifest = manifest(recipe, inputs, &sha256(&weights), &sha256(&golden), provenance);
    TrainedBundle { manifest, weights, golden }
}

fn manifest(
    recipe: &Recipe,
    inputs: &[Preprocessing],
    weights: &str,
    golden: &str,
    provenance: &TrainingRecord,
) -> String {
    let (architecture, output_activation) = match recipe.architecture {
        Architecture::Dense => ("dense", "softmax"),
        Architecture::Autoencoder => ("autoencoder", "none"),
    };
    let outputs: Vec<String> = recipe.outputs.iter().map(|name| quoted(name)).collect();
    let mut out = format!(
        "format = 1\nname = {}\nversion = {}\ndoc = {}\narchitecture = \"{architecture}\"\nlayers = {:?}\n\
         activation = \"relu\"\noutput_activation = \"{output_activation}\"\noutputs = [{}]\n",
        quoted(&recipe.name),
        quoted(&recipe.version),
        quoted(&recipe.doc),
        recipe.layers,
        outputs.join(", "),
    );
    for input in inputs {
        let (shift, scale) = (per_element(&input.shift), per_element(&input.scale));
        let _ =
            write!(out, "\n[[input]]\nfield = {}\nshift = {shift}\nscale = {scale}\n", quoted(&input.field));
        if let Some(clip) = input.clip {
            let _ = writeln!(out, "clip = {clip:?}");
        }
    }
    let _ = write!(
        out,
        "\n[weights]\nfile = \"{WEIGHTS_FILE}\"\nsha256 = \"{weights}\"\n\n\
         [golden]\nfile = \"{GOLDEN_FILE}\"\nsha256 = \"{golden}\"\ntolerance = {TOLERANCE}\n\n\
         [training]\nrecipe = {}\nrecipe_sha256 = \"{}\"\nseed = {}\nevents = {}\nepochs = {}\n",
        quoted(&recipe.name),
        sha256(recipe.text.as_bytes()),
        recipe.seed,
        provenance.events,
        recipe.epochs,
    );
    for used in &provenance.data {
        let _ = write!(out, "\n[[training.data]]\nfile = {}\n", quoted(&used.file));
        if let Some(class) = &used.class {
            let _ = writeln!(out, "class = {}", quoted(class));
        }
        let _ = write!(out, "events = {}\nrecords_sha256 = \"{}\"\n", used.events, used.records_sha256);
    }
    out.push_str("\n[training.metrics]\n");
    for (name, value) in &provenance.metrics {
        let _ = writeln!(out, "{} = {value:?}", quoted(name));
    }
    out
}

/// One number if all are the same, else a list.
fn per_element(values: &[f32]) -> String {
    match values {
        [first, rest @ ..] if rest.iter().all(|value| value == first) => format!("{first:?}"),
        _ => format!("{values:?}"),
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An f32 tensor, ready to be written.
struct Numbers {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Numbers {
    fn new(shape: &[usize], values: Vec<f32>) -> Self {
        Self { shape: shape.into(), bytes: values.into_iter().flat_map(f32::to_le_bytes).collect() }
    }
}

impl View for Numbers {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.bytes.as_slice().into()
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn serialize(tensors: Vec<(String, Numbers)>) -> Vec<u8> {
    safetensors::serialize(tensors, None).expect("tensors with as many numbers as their shapes say")
}
