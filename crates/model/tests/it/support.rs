//! A small model and its events, from formulas, with scores from an independent calculation.
//!
//! The numbers of [`EXPECTED`] come from 40 lines of Python in double precision, without any library: the same formulas for weights, biases
//! and events as below, `x = clip((value - shift) * scale)`, plain sums, `max(x, 0)` between layers, softmax with the largest input
//! subtracted, and the mean of the squared differences for the autoencoder.

use std::path::Path;

use sha2::{Digest, Sha256};
use tamis_event::{Block, Schema};
use tamis_model::Model;
use tamis_port::Classifier;

pub const SCHEMA: &str = r#"
name = "test"
field = [
    { name = "small", dtype = "u8" },
    { name = "jets.pt", dtype = "i16", len = 3, scale = 0.5, unit = "GeV" },
    { name = "unused", dtype = "i8" },
    { name = "energy", dtype = "f32" },
    { name = "time", dtype = "i32", scale = 0.25, offset = 10.0 },
    { name = "half", dtype = "f16", len = 2 },
    { name = "label", dtype = "i16", role = "truth" },
]
"#;

/// Scores of event 0, 1, ...: softmax outputs of the classifier 8-6-3, error of the autoencoder 8-4-8.
pub const EXPECTED: [([f64; 3], f64); 6] = [
    ([0.422_767_676, 0.410_818_259, 0.166_414_065], 0.951_960_560),
    ([0.577_395_134, 0.339_426_459, 0.083_178_407], 2.049_990_934),
    ([0.616_456_160, 0.316_013_231, 0.067_530_609], 3.682_217_613),
    ([0.752_907_621, 0.220_237_004, 0.026_855_375], 7.881_987_345),
    ([0.785_031_225, 0.194_815_239, 0.020_153_536], 11.947_275_333),
    ([0.839_324_303, 0.149_565_419, 0.011_110_278], 15.809_042_643),
];

pub fn schema() -> Schema {
    Schema::parse(SCHEMA.as_bytes()).unwrap()
}

fn weight(layer: usize, input: usize, output: usize) -> f32 {
    ((7 * input + 13 * output + 5 * layer + 3) % 17) as f32 / 16.0 - 0.5
}

fn bias(layer: usize, output: usize) -> f32 {
    ((11 * output + layer) % 7) as f32 / 8.0 - 0.375
}

/// Physical values of the inputs of event `e`.
pub fn values(e: i64) -> [f64; 8] {
    let pt = |k: i64| ((211 * e + 97 * k) % 400 - 100) as f64 * 0.5;
    let half = |k: i64| ((5 * e + 3 * k) % 32) as f64 / 4.0;
    let energy = ((29 * e) % 64) as f64 / 8.0 - 4.0;
    let time = ((1009 * e) % 2001 - 1000) as f64 * 0.25 + 10.0;
    [((37 * e) % 256) as f64, pt(0), pt(1), pt(2), energy, time, half(0), half(1)]
}

/// The last layer for event `e`, in f64 by definition: relu between the layers, nothing after the last.
pub fn reference(widths: &[usize], e: i64) -> Vec<f64> {
    let v = values(e);
    let clip = |x: f64| x.clamp(-1.5, 1.5);
    let jets = [clip(v[1] * 0.02), clip((v[2] - 10.0) * 0.02), clip((v[3] - 20.0) * 0.02)];
    let mut x = vec![(v[0] - 100.0) * 0.01];
    x.extend(jets);
    x.extend([(v[4] - 0.5) * 0.25, (v[5] - 10.0) * 0.005, v[6].clamp(0.5, 6.0), v[7].clamp(0.5, 6.0)]);
    for (layer, pair) in widths.windows(2).enumerate() {
        let neuron = |o: usize| {
            let sum: f64 = (0..pair[0]).map(|i| x[i] * f64::from(weight(layer, i, o))).sum();
            sum + f64::from(bias(layer, o))
        };
        let floor = if layer + 2 < widths.len() { 0.0 } else { f64::NEG_INFINITY };
        x = (0..pair[1]).map(|o| neuron(o).max(floor)).collect();
    }
    x
}

/// Event `e` as bytes.
pub fn record(schema: &Schema, e: i64) -> Vec<u8> {
    let values = values(e);
    let columns: [(&str, &[f64]); 7] = [
        ("small", &values[..1]),
        ("jets.pt", &values[1..4]),
        ("unused", &[-77.0]),
        ("energy", &values[4..5]),
        ("time", &values[5..6]),
        ("half", &values[6..]),
        ("label", &[3.0]),
    ];
    let mut out = Vec::new();
    for (name, values) in columns {
        let field = schema.field(name).unwrap();
        values.iter().for_each(|value| field.dtype.write((value - field.offset) / field.scale, &mut out));
    }
    assert_eq!(out.len(), schema.record_len());
    out
}

/// A tensor to be written: name, dtype, shape, bytes.
pub type Tensor = (String, &'static str, Vec<usize>, Vec<u8>);

pub fn tensor(name: &str, shape: &[usize], values: impl Iterator<Item = f32>) -> Tensor {
    (name.into(), "F32", shape.into(), values.flat_map(f32::to_le_bytes).collect())
}

/// A safetensors file, written by hand.
pub fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let mut at = 0;
    let entries: Vec<String> = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            let range = (at, at + bytes.len());
            at = range.1;
            format!(
                r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{},{}]}}"#,
                range.0, range.1
            )
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.bytes());
    tensors.iter().for_each(|(_, _, _, bytes)| out.extend(bytes));
    out
}

pub fn weights(widths: &[usize]) -> Vec<Tensor> {
    let layers = widths.windows(2).enumerate();
    let tensors = layers.flat_map(|(layer, pair)| {
        let (n, m) = (pair[0], pair[1]);
        let rows = (0..m).flat_map(move |o| (0..n).map(move |i| weight(layer, i, o)));
        let biases = (0..m).map(move |o| bias(layer, o));
        [
            tensor(&format!("layers.{layer}.weight"), &[m, n], rows),
            tensor(&format!("layers.{layer}.bias"), &[m], biases),
        ]
    });
    tensors.collect()
}

/// The three files of a bundle; in the manifest, `WSUM` and `GSUM` stand for the checksums.
#[derive(Clone)]
pub struct Parts {
    pub manifest: String,
    pub weights: Vec<u8>,
    pub golden: Vec<u8>,
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Parts {
    fn new(head: &str, widths: &[usize], scores: Vec<f32>) -> Self {
        let manifest = format!(
            r#"format = 1
version = "1.0"
layers = {widths:?}
activation = "relu"
{head}

[[input]]
field = "small"
shift = 100
scale = 0.01

[[input]]
field = "jets.pt"
shift = [0, 10, 20]
scale = 0.02
clip = [-1.5, 1.5]

[[input]]
field = "energy"
shift = 0.5
scale = 0.25

[[input]]
field = "time"
shift = 10
scale = 0.005

[[input]]
field = "half"
clip = [0.5, 6]

[weights]
file = "weights.safetensors"
sha256 = "WSUM"

[golden]
file = "golden.safetensors"
sha256 = "GSUM"
tolerance = 1e-5

[training]
recipe = "by formula"
seed = 1
events = 6
epochs = 0
data = [{{ file = "none", class = "background", events = 6, records_sha256 = "" }}]
metrics = {{ "auc.taus" = 0.5 }}
"#
        );
        let inputs = (0..EXPECTED.len() as i64).flat_map(|e| values(e).map(|value| value as f32));
        let rows = EXPECTED.len();
        let golden = safetensors(&[
            tensor("inputs", &[rows, 8], inputs),
            tensor("scores", &[rows, scores.len() / rows], scores.into_iter()),
        ]);
        Self { manifest, weights: safetensors(&weights(widths)), golden }
    }

    pub fn classifier() -> Self {
        let head = r#"name = "topo"
architecture = "dense"
output_activation = "softmax"
outputs = ["background", "leptons", "taus"]"#;
        Self::new(
            head,
            &[8, 6, 3],
            EXPECTED.iter().flat_map(|(scores, _)| scores.map(|score| score as f32)).collect(),
        )
    }

    pub fn autoencoder() -> Self {
        let head = r#"name = "anomaly"
architecture = "autoencoder"
output_activation = "none"
outputs = ["score"]"#;
        Self::new(head, &[8, 4, 8], EXPECTED.iter().map(|(_, error)| *error as f32).collect())
    }

    /// The manifest with the current checksums of the files.
    pub fn sealed_manifest(&self) -> String {
        self.manifest.replace("WSUM", &sha256(&self.weights)).replace("GSUM", &sha256(&self.golden))
    }

    pub fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("model.toml"), self.sealed_manifest()).unwrap();
        std::fs::write(folder.join("weights.safetensors"), &self.weights).unwrap();
        std::fs::write(folder.join("golden.safetensors"), &self.golden).unwrap();
    }
}

/// One column per score of a block.
pub fn scores(model: &mut Model, block: &Block) -> Vec<Vec<f32>> {
    let mut columns = vec![vec![f32::NAN; block.len()]; model.outputs().len()];
    let mut slices: Vec<&mut [f32]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
    model.score(block, 0..block.len(), &mut slices).unwrap();
    columns
}
