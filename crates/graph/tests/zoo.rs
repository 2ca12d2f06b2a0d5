//! Models of every framework against the results of ONNX Runtime: `tests/models`, made by `scripts/export_models.py`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use safetensors::{Dtype, SafeTensors};
use tamis_graph::{Graph, Program, UncheckedGraph};

/// Largest difference, relative to the larger of 1 and the absolute value of the expected number.
const TOLERANCE: f32 = 1e-5;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name)
}

fn models(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut models: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "onnx")).collect();
    models.sort();
    models
}

/// A tensor as rows of f32.
fn rows(file: &SafeTensors<'_>, name: &str) -> Option<(usize, Vec<f32>)> {
    let view = file.tensor(name).ok()?;
    let numbers = match view.dtype() {
        Dtype::F32 => view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        Dtype::I64 => {
            view.data().as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f32).collect()
        }
        other => panic!("{name}: {other:?}"),
    };
    Some((view.shape()[0], numbers))
}

/// All tensors `kind.0`, `kind.1`, ... side by side: number of rows, and the numbers row by row.
fn side_by_side(file: &SafeTensors<'_>, kind: &str) -> (usize, Vec<f32>) {
    let parts: Vec<(usize, Vec<f32>)> =
        (0..).map_while(|index| rows(file, &format!("{kind}.{index}"))).collect();
    let events = parts[0].0;
    let row = |event: usize| {
        parts.iter().flat_map(move |(rows, numbers)| {
            let width = numbers.len() / rows;
            numbers[event * width..(event + 1) * width].iter().copied()
        })
    };
    (events, (0..events).flat_map(row).collect())
}

#[test]
fn every_model_agrees_with_onnx_runtime() {
    let models = models(&folder(""));
    assert!(models.len() >= 20, "the zoo is there");
    for path in models {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let vectors = fs::read(path.with_extension("safetensors")).unwrap();
        let vectors = SafeTensors::deserialize(&vectors).unwrap();
        let (events, inputs) = side_by_side(&vectors, "input");
        let (_, expected) = side_by_side(&vectors, "output");
        let source = UncheckedGraph::from_onnx(&fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let graph = Graph::new(&source).unwrap_or_else(|error| panic!("{name}: {error}"));
        let program = Program::new(Arc::new(graph), &Device::flex());
        let (computed, _) = program.start(inputs, events).wait(events).unwrap();
        assert_eq!(computed.len(), expected.len(), "{name}");
        for (at, (&a, &b)) in computed.iter().zip(&expected).enumerate() {
            assert!(
                (a - b).abs() <= TOLERANCE * b.abs().max(1.0),
                "{name}: number {at} is {a}, expected {b}"
            );
        }
    }
}

#[test]
fn what_cannot_be_computed_is_refused_by_name() {
    let refusal = |name: &str| {
        let bytes = fs::read(folder("refused").join(name)).unwrap();
        UncheckedGraph::from_onnx(&bytes)
            .and_then(|source| Graph::new(&source).map(drop))
            .unwrap_err()
            .to_string()
    };
    let expected = [
        (
            "double.onnx",
            "data type double is not supported (float, int32, int64 and bool are); export the model in single precision",
        ),
        ("if.onnx", "(operator If of ai.onnx, opset 18): this operator is not supported; control flow"),
        (
            "quant.onnx",
            "(operator Quant of qonnx.custom_op.general, opset 1): this operator is not supported; quantisation-aware",
        ),
    ];
    assert_eq!(models(&folder("refused")).len(), expected.len());
    for (name, sentence) in expected {
        let refusal = refusal(name);
        assert!(refusal.contains(sentence), "{name}: {refusal}");
    }
}
