//! Models of other frameworks as bundles: imported, on every CPU engine, against the scores that came with them.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tamis_event::{Block, Schema, Span};
use tamis_model::{Bundle, Engine, GoldenInputs, Import, Model};
use tamis_port::Classifier;

fn zoo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../graph/tests/models")
}

fn schema(width: usize) -> Schema {
    let text = format!("name = \"x\"\nfield = [{{ name = \"x\", dtype = \"f32\", len = {width} }}]\n");
    Schema::parse(text.as_bytes()).unwrap()
}

/// All tensors `kind.0`, `kind.1`, ... side by side: number of rows, and the numbers row by row.
fn side_by_side(file: &SafeTensors<'_>, kind: &str) -> (usize, Vec<f32>) {
    let parts: Vec<_> = (0..).map_while(|at| file.tensor(&format!("{kind}.{at}")).ok()).collect();
    let rows = parts[0].shape()[0];
    let numbers = |part: &TensorView<'_>| -> Vec<f32> {
        match part.dtype() {
            Dtype::I64 => {
                part.data().as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f32).collect()
            }
            _ => part.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        }
    };
    let parts: Vec<Vec<f32>> = parts.iter().map(numbers).collect();
    let row = |row: usize| {
        parts.iter().flat_map(move |part| part[row * (part.len() / rows)..][..part.len() / rows].to_vec())
    };
    (rows, (0..rows).flat_map(row).collect())
}

/// The file of golden vectors: what ONNX Runtime says.
fn golden(events: usize, inputs: &[f32], scores: &[f32]) -> Vec<u8> {
    let tensors = [("inputs", inputs), ("scores", scores)].map(|(name, numbers)| {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        (name, vec![events, numbers.len() / events], bytes)
    });
    let views = tensors
        .each_ref()
        .map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// Scores of rows, event by event.
fn scores(model: &mut Model, schema: &Schema, rows: &[f32], events: usize) -> Vec<f32> {
    let bytes: Vec<u8> = rows.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut block = Block::new(schema.record_len());
    block.push(Span::of_records(0, 0, 0, block.stride(), bytes.into()));
    let mut columns = vec![vec![0.0; events]; model.outputs().len()];
    let mut views: Vec<&mut [f32]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
    model.score(&block, 0..events, &mut views).unwrap();
    (0..events)
        .flat_map(|event| columns.iter().map(move |column| column[event]).collect::<Vec<_>>())
        .collect()
}

/// The import binds every model to the reference, and compares it with ONNX Runtime there. Each bind searches for scores that depend on the place in
/// a tile, which takes most of the time; so there is one more only for what runs on the fused kernels, and for one model that does not.
#[test]
fn trees_chains_and_images_are_the_same_on_the_fused_kernels() {
    let mut fused = Vec::new();
    let mut unfit: Option<(Bundle, Schema, String)> = None;
    for entry in fs::read_dir(zoo()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_none_or(|end| end != "onnx") {
            continue;
        }
        let name = entry.file_stem().unwrap().to_string_lossy().into_owned();
        let vectors = fs::read(entry.with_extension("safetensors")).unwrap();
        let vectors = SafeTensors::deserialize(&vectors).unwrap();
        if vectors.tensor("input.1").is_ok() {
            continue;
        }
        let (events, rows) = side_by_side(&vectors, "input");
        let (_, expected) = side_by_side(&vectors, "output");
        let schema = schema(rows.len() / events);
        let file = fs::read(&entry).unwrap();
        let golden = golden(events, &rows, &expected);
        let import = Import {
            file: &file,
            schema: &schema,
            template: None,
            inputs: None,
            outputs: None,
            name: None,
            nameless: "model",
            golden: GoldenInputs::Given(&golden),
        };
        let files = import.run().unwrap_or_else(|error| panic!("{name}: {error}"));
        let bundle = Bundle::from_files(&files.files()).unwrap();
        if let Some(why) = bundle.unfit_for(Engine::Fused) {
            if unfit.as_ref().is_none_or(|(other, ..)| other.multiply_adds() > bundle.multiply_adds()) {
                unfit = Some((bundle, schema, why));
            }
            continue;
        }
        let mut best = bundle.bind(&schema, Engine::Auto).unwrap();
        assert_eq!((best.engine(), best.why_not_fused()), (Engine::Fused, None), "{name}");
        let computed = scores(&mut best, &schema, &rows, events);
        for (at, (&a, &b)) in computed.iter().zip(&expected).enumerate() {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{name}: number {at}: {a}, {b}");
        }
        fused.push(name);
    }
    for name in ["torch_mlp", "torch_cnn", "torch_batch_of_one", "xgboost_classes", "sklearn_logistic"] {
        assert!(fused.iter().any(|fused| fused == name), "{name} did not run on the fused kernels");
    }
    assert!(fused.len() >= 10, "only {fused:?} ran on the fused kernels");
    // What fused cannot run is on the reference, and says so.
    let (bundle, schema, why) = unfit.unwrap();
    let other = bundle.bind(&schema, Engine::Auto).unwrap();
    assert_eq!((other.engine(), other.why_not_fused()), (Engine::Flex, Some(&*why)));
}
