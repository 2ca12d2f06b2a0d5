//! Scores are correct, and have the same bits wherever an event is.

use proptest::prelude::*;
use tamis_event::{Block, Schema, Span};
use tamis_model::{Bundle, Engine, Model};
use tamis_port::{Classifier, conformance};

use crate::support::{self, EXPECTED, Parts, record, schema, scores};

fn bundle(parts: &Parts) -> Bundle {
    let folder = tempfile::tempdir().unwrap();
    parts.write(folder.path());
    Bundle::load(folder.path()).unwrap()
}

fn bind(parts: &Parts) -> Model {
    bundle(parts).bind(&schema(), Engine::Flex).unwrap()
}

/// Events as one block, cut into spans of these lengths (repeated).
fn block(schema: &Schema, events: &[i64], spans: &[usize]) -> Block {
    let mut block = Block::new(schema.record_len());
    let mut at = 0;
    let mut lengths = spans.iter().cycle();
    while at < events.len() {
        let count = (*lengths.next().unwrap()).min(events.len() - at);
        let bytes: Vec<u8> = events[at..at + count].iter().flat_map(|&e| record(schema, e)).collect();
        block.push(Span::of_records(0, at as u64, 0, block.stride(), bytes.into()));
        at += count;
    }
    block
}

#[test]
fn scores_agree_with_an_independent_calculation() {
    let block = block(&schema(), &[0, 1, 2, 3, 4, 5], &[4]);
    let classified = scores(&mut bind(&Parts::classifier()), &block);
    let errors = scores(&mut bind(&Parts::autoencoder()), &block);
    for (event, (expected, error)) in EXPECTED.iter().enumerate() {
        for (output, expected) in expected.iter().enumerate() {
            let found = f64::from(classified[output][event]);
            assert!(
                (found - expected).abs() <= 1e-5,
                "event {event} output {output}: {found}, not {expected}"
            );
        }
        let found = f64::from(errors[0][event]);
        assert!((found - error).abs() <= 1e-5 * error.max(1.0), "event {event} error: {found}, not {error}");
    }
}

#[test]
fn conforms_to_the_port() {
    let events: Vec<i64> = (0..1300).collect();
    let block = block(&schema(), &events, &[1, 700, 3, 64]);
    conformance::classifier(&mut bind(&Parts::classifier()), &["background", "leptons", "taus"], &block);
    conformance::classifier(&mut bind(&Parts::autoencoder()), &["score"], &block);
}

#[test]
fn clones_on_other_threads_give_the_same_bits() {
    let block = block(&schema(), &(0..200).collect::<Vec<_>>(), &[50]);
    let mut model = bind(&Parts::autoencoder());
    let here = scores(&mut model, &block);
    std::thread::scope(|scope| {
        for mut clone in vec![model; 3] {
            let (block, here) = (&block, &here);
            scope.spawn(move || (0..20).for_each(|_| assert_eq!(&scores(&mut clone, block), here)));
        }
    });
}

#[test]
fn what_is_not_finite_concerns_its_own_event_only() {
    let schema = schema();
    let clean = block(&schema, &(0..100).collect::<Vec<_>>(), &[100]);
    let mut bytes = clean.spans()[0].records().to_vec();
    // With a clip and without: neither may turn a NaN into a number.
    let mut put = |event: usize, field: &str, value: &[u8]| {
        let at = event * schema.record_len() + schema.field(field).unwrap().at;
        bytes[at..at + value.len()].copy_from_slice(value);
    };
    put(7, "energy", &f32::NAN.to_le_bytes());
    put(20, "energy", &f32::INFINITY.to_le_bytes());
    put(63, "half", &0x7e00u16.to_le_bytes());
    let mut broken = Block::new(schema.record_len());
    broken.push(Span::of_records(0, 0, 0, schema.record_len(), bytes.into()));
    for parts in [Parts::classifier(), Parts::autoencoder()] {
        let mut model = bind(&parts);
        let (clean, broken) = (scores(&mut model, &clean), scores(&mut model, &broken));
        for (clean, broken) in clean.iter().zip(&broken) {
            for event in 0..100 {
                if [7, 20, 63].contains(&event) {
                    assert!(!broken[event].is_finite(), "event {event}: {}", broken[event]);
                } else {
                    assert_eq!(broken[event].to_bits(), clean[event].to_bits(), "event {event}");
                }
            }
        }
    }
}

#[test]
fn another_schema_is_an_error_and_not_a_score() {
    let mut model = bind(&Parts::classifier());
    let mut block = Block::new(4);
    block.push(Span::of_records(0, 0, 0, 4, vec![0; 4].into()));
    let mut a = [0.0];
    let mut b = [0.0];
    let mut c = [0.0];
    let error = model.score(&block, 0..1, &mut [&mut a, &mut b, &mut c]).unwrap_err();
    assert_eq!(error.to_string(), "model 'topo' was bound to events of 22 bytes, these have 4");
}

#[test]
fn networks_of_many_shapes_conform() {
    // One neuron, remainders of every vector width, and more than any blocking of the matrix product.
    for hidden in [1, 2, 17, 300, 512, 1030] {
        let widths = [8, hidden, 2];
        let mut parts = Parts::classifier();
        parts.manifest = parts
            .manifest
            .replace("[8, 6, 3]", &format!("{widths:?}"))
            .replace(r#"["background", "leptons", "taus"]"#, r#"["no", "yes"]"#)
            .replace("softmax", "none");
        parts.weights = support::safetensors(&support::weights(&widths));
        let inputs = (0..6).flat_map(|e| support::values(e).map(|value| value as f32));
        let expected = (0..6).flat_map(|e| support::reference(&widths, e)).map(|value| value as f32);
        parts.golden = support::safetensors(&[
            support::tensor("inputs", &[6, 8], inputs),
            support::tensor("scores", &[6, 2], expected),
        ]);
        let block = block(&schema(), &(0..600).collect::<Vec<_>>(), &[600]);
        conformance::classifier(&mut bind(&parts), &["no", "yes"], &block);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The same event among any others, in any span layout, has the same score.
    #[test]
    fn neighbours_do_not_matter(
        events in proptest::collection::vec(0i64..50, 2..700),
        spans in proptest::collection::vec(1usize..300, 1..5),
    ) {
        let schema = schema();
        let mut model = bind(&Parts::autoencoder());
        let alone = scores(&mut model, &block(&schema, &(0..50).collect::<Vec<_>>(), &[1]));
        let mixed = scores(&mut model, &block(&schema, &events, &spans));
        for (index, &event) in events.iter().enumerate() {
            prop_assert_eq!(mixed[0][index].to_bits(), alone[0][event as usize].to_bits());
        }
    }
}
