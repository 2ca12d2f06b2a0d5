//! Models of other frameworks as bundles: imported, on every CPU engine, against the scores that came with them.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use tamis_event::{Block, Schema, Span};
use tamis_model::{Bundle, Engine, GoldenInputs, Import};
use tamis_port::Classifier;

fn zoo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../graph/tests/models")
}

fn schema(width: usize) -> Schema {
    let text = format!("name = \"x\"\nfield = [{{ name = \"x\", dtype = \"f32\", len = {width} }}]\n");
    Schema::parse(text.as_bytes()).unwrap()
}

/// Rows and numbers of a tensor.
fn tensor(file: &SafeTensors<'_>, name: &str) -> (usize, Vec<f32>) {
    let view = file.tensor(name).unwrap();
    let numbers = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
    (view.shape()[0], numbers.collect())
}

fn bundle(import: &Import<'_>) -> Bundle {
    let files = import.clone().run().unwrap();
    Bundle::from_files(&files.files()).unwrap()
}

/// Scores of rows on an engine, output by output.
fn scores(bundle: &Bundle, schema: &Schema, engine: Engine, rows: &[f32], events: usize) -> Vec<Vec<f32>> {
    let mut model = bundle.bind(schema, engine).unwrap();
    let bytes: Vec<u8> = rows.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut block = Block::new(schema.record_len());
    block.push(Span { source: 0, first_id: 0, time_ns: 0, events, bytes: bytes.into() });
    let mut columns = vec![vec![0.0; events]; model.outputs().len()];
    let mut views: Vec<&mut [f32]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
    model.score(&block, 0..events, &mut views).unwrap();
    columns
}

#[test]
fn trees_chains_and_images_are_the_same_on_the_fused_kernels() {
    let mut fused = Vec::new();
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
        let (events, rows) = tensor(&vectors, "input.0");
        let schema = schema(rows.len() / events);
        let file = fs::read(&entry).unwrap();
        let golden = GoldenInputs::Noise;
        let template = None;
        let inputs = None;
        let outputs = None;
        let import = Import {
            file: &file,
            schema: &schema,
            template,
            inputs,
            outputs,
            name: None,
            nameless: "model",
            golden,
        };
        let bundle = bundle(&import);
        // A model that fused cannot run is on the reference, with the reason.
        let best = bundle.bind(&schema, Engine::Auto).unwrap();
        let why = bundle.unfit_for(Engine::Fused);
        assert_eq!(
            (best.engine() == Engine::Flex, best.why_not_fused()),
            (why.is_some(), why.as_deref()),
            "{name}"
        );
        if why.is_some() {
            continue;
        }
        let reference = scores(&bundle, &schema, Engine::Flex, &rows, events);
        let computed = scores(&bundle, &schema, Engine::Fused, &rows, events);
        for (output, (computed, reference)) in computed.iter().zip(&reference).enumerate() {
            for (event, (&a, &b)) in computed.iter().zip(reference).enumerate() {
                assert!(
                    (a - b).abs() <= 1e-5 * b.abs().max(1.0),
                    "{name}: output {output}, event {event}: {a}, {b}"
                );
            }
        }
        fused.push(name);
    }
    for name in ["torch_mlp", "torch_cnn", "torch_batch_of_one", "xgboost_classes"] {
        assert!(fused.iter().any(|fused| fused == name), "{name} did not run on the fused kernels");
    }
    assert!(fused.len() >= 10, "only {fused:?} ran on the fused kernels");
}
