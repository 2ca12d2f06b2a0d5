//! Lists as inputs: padding, count and mask, on every engine that takes them.

use tamis_event::{Block, Schema, Span};
use tamis_model::{Bundle, Engine, Model};

use crate::support::{Parts, safetensors, scores, tensor};

const SCHEMA: &str = r#"
name = "lists"
field = [
    { name = "met", dtype = "i16" },
    { name = "jets.pt", dtype = "u8", len = "0..3", scale = 0.5, offset = 4.0 },
    { name = "jets.x", dtype = "f32", len = "0..3" },
]
"#;

/// Another weight for each of the 10 inputs, so that none can stand for another.
const WEIGHTS: [f32; 10] = [1.0, 16.0, 32.0, 64.0, 0.125, 0.25, 0.5, 1024.0, 2048.0, 4096.0];

/// One layer that adds the weighted inputs: `jets.pt`, `count(jets)`, `jets.x` where there is a jet, `mask(jets)`.
fn parts() -> Parts {
    let input = |field: &str, more: &str| format!("[[input]]\nfield = \"{field}\"\n{more}\n");
    let inputs = [
        input("count(jets)", ""),
        input("jets.pt", "len = 3"),
        input("jets.x", "shift = 2\nmask = \"mask(jets)\""),
        input("mask(jets)", "len = 3"),
    ]
    .concat();
    let manifest = format!(
        "format = 1\nname = \"sums\"\nversion = \"1\"\narchitecture = \"dense\"\nlayers = [10, 1]\nactivation = \"relu\"\n\
         output_activation = \"none\"\noutputs = [\"score\"]\n{inputs}[weights]\nfile = \"w.safetensors\"\nsha256 = \"WSUM\"\n\
         [golden]\nfile = \"g.safetensors\"\nsha256 = \"GSUM\"\ntolerance = 1e-5\n"
    );
    // One event with two jets, as the table of BUNDLE.md says it.
    let golden = [2.0, 8.0, 4.5, 4.0, 3.0, -1.0, 0.0, 1.0, 1.0, 0.0];
    let x = [2.0, 8.0, 4.5, 4.0, 1.0, -3.0, 0.0, 1.0, 1.0, 0.0];
    let score = WEIGHTS.iter().zip(x).map(|(weight, x)| weight * x).sum::<f32>();
    let weights = [
        tensor("layers.0.weight", &[1, 10], WEIGHTS.into_iter()),
        tensor("layers.0.bias", &[1], [0.0].into_iter()),
    ];
    let golden =
        [tensor("inputs", &[1, 10], golden.into_iter()), tensor("scores", &[1, 1], [score].into_iter())];
    Parts { manifest, weights: safetensors(&weights), golden: safetensors(&golden) }
}

fn bundle(parts: &Parts) -> Bundle {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.toml"), parts.sealed_manifest()).unwrap();
    std::fs::write(folder.path().join("w.safetensors"), &parts.weights).unwrap();
    std::fs::write(folder.path().join("g.safetensors"), &parts.golden).unwrap();
    Bundle::load(folder.path()).unwrap()
}

fn record(jets: usize) -> Vec<u8> {
    let pad = |k: usize, value: f32| if k < jets { value } else { 0.0 };
    let mut record = vec![7, 7, jets as u8];
    record.extend((0..3).map(|k| pad(k, 20.0 - k as f32) as u8));
    record.extend((0..3).flat_map(|k| pad(k, 1.5 + k as f32).to_le_bytes()));
    record
}

#[test]
fn networks_see_padding_counts_and_masks() {
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let bundle = bundle(&parts());
    let mut block = Block::new(schema.record_len());
    let records: Vec<u8> = (0..100).flat_map(|event| record(event % 4)).collect();
    block.push(Span::of_records(0, 0, 0, schema.record_len(), records.into()));
    for engine in [Engine::Flex, Engine::Fused] {
        let mut model: Model = bundle.bind(&schema, engine).unwrap();
        assert_eq!(model.golden().vectors, 1);
        for (event, &score) in scores(&mut model, &block)[0].iter().enumerate() {
            let jets = event % 4;
            let mut expected = jets as f32 * WEIGHTS[0];
            for k in 0..3 {
                // The physical value of a raw 0 is the offset; behind a mask it is 0.
                let pt = if k < jets { (20 - k) as f32 * 0.5 + 4.0 } else { 4.0 };
                let x = if k < jets { 1.5 + k as f32 - 2.0 } else { 0.0 };
                let is_there = if k < jets { 1.0 } else { 0.0 };
                expected += pt * WEIGHTS[1 + k] + x * WEIGHTS[4 + k] + is_there * WEIGHTS[7 + k];
            }
            assert!((score - expected).abs() < 1e-3, "{engine}, event {event}: {score}, not {expected}");
        }
    }
}

#[test]
fn integers_refuse_masks_by_name() {
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let mut unmasked = parts();
    unmasked.manifest = unmasked.manifest.replace("\nmask = \"mask(jets)\"", "");
    for (parts, told) in
        [(parts(), "input 'jets.x' has mask"), (unmasked, "input 'mask(jets)' is no integer")]
    {
        for engine in [Engine::Int16, Engine::Int8] {
            let refused = bundle(&parts).bind(&schema, engine).unwrap_err().to_string();
            assert!(refused.contains(told) && refused.ends_with("use --device fused, or flex"), "{refused}");
        }
    }
}

#[test]
fn the_bundle_alone_says_which_lists_there_are() {
    let bundle = bundle(&parts());
    let schema = bundle.own_schema().unwrap();
    let lists: Vec<_> = schema.lists().iter().map(|list| (list.name(), list.most())).collect();
    assert_eq!(lists, [("jets", 3)]);
    bundle.bind(&schema, Engine::Flex).unwrap();
    let fields: Vec<String> = bundle.describe().inputs.into_iter().map(|input| input.field).collect();
    assert_eq!(fields, ["count(jets)", "jets.pt", "jets.x", "mask(jets)"]);
}

#[test]
fn wrong_lists_and_engines_are_refused_with_a_reason() {
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let refusal = |from: &str, to: &str| {
        let mut parts = parts();
        parts.manifest = parts.manifest.replace(from, to);
        bundle(&parts).bind(&schema, Engine::Flex).unwrap_err().to_string()
    };
    let unknown = refusal("count(jets)", "count(jest)");
    assert!(unknown.contains("no list 'jest' in schema 'lists'; did you mean 'jets'?"), "{unknown}");
    let fixed = refusal("count(jets)", "count(met)");
    assert!(fixed.contains("no list 'met'"), "{fixed}");
    let function = refusal("count(jets)", "len(jets)");
    assert!(
        function.contains("'len' of a list means nothing; write count(LIST) or mask(LIST)"),
        "{function}"
    );
    let short = refusal("field = \"mask(jets)\"\nlen = 3", "field = \"mask(jets)\"\nlen = 2");
    assert!(short.contains("len is 2, the field has 3"), "{short}");
}
