//! Scores of the two committed networks, features included, and the decoding of features alone. The batch is the parameter.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tamis_benches::{block, per_event, sample, schema};
use tamis_event::Address;
use tamis_model::{Bundle, Engine};
use tamis_port::Classifier;

/// Every level-1 value of an event as a physical number, one by one: what a naive filter does before it can decide.
fn features(criterion: &mut Criterion) {
    let schema = schema();
    let names: Vec<Address> =
        schema.fields().iter().map(|field| field.name.parse().expect("a name")).collect();
    let elements: Vec<_> = names.iter().flat_map(|name| schema.resolve(name).expect("known")).collect();
    let mut group = criterion.benchmark_group("features");
    let block = block(2048);
    let mut row = vec![0.0; elements.len()];
    per_event(&mut group, "decode each", 2048, 2048, || {
        for event in 0..block.len() {
            let record = block.event(event).record;
            row.iter_mut().zip(&elements).for_each(|(value, element)| *value = element.physical(record));
            black_box(&mut row);
        }
    });
}

fn scores(criterion: &mut Criterion) {
    let schema = schema();
    for name in ["topo", "anomaly"] {
        let bundle = Bundle::load(&sample("models").join(name)).expect("the committed bundle is whole");
        let mut model = bundle.bind(&schema, Engine::Flex).expect("and fits");
        let mut group = criterion.benchmark_group(name);
        for batch in [64, 2048, 8192] {
            let block = block(batch);
            let mut columns = vec![vec![0f32; batch]; bundle.outputs().len()];
            per_event(&mut group, "flex", batch, batch as u64, || {
                let mut slices: Vec<&mut [f32]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
                model.score(black_box(&block), 0..batch, &mut slices).expect("scores");
            });
        }
    }
}

criterion_group!(benches, features, scores);
criterion_main!(benches);
