//! Fused kernels by instruction set, in batches of 1024 rows: chains of dense layers beside as many multiply-adds on registers alone ("peak"),
//! and a forest. `cargo run --release -p tamis-kernel --example speed` prints the ratios.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tamis_benches::per_event;
use tamis_kernel::{
    Activation, Aggregate, Chain, Comparison, Finish, Forest, ForestSpec, Isa, Layer, Missing, Node, Readout,
    Tree, multiply_adds,
};

const BATCH: usize = 1024;

fn available() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

/// A number in -0.5..0.5 for each `i`.
fn number(i: usize) -> f32 {
    f32::from((i.wrapping_mul(2_654_435_761) >> 7) as u16) / 65_536.0 - 0.5
}

fn layers(widths: &[usize], last: Activation) -> Vec<Layer> {
    let count = widths.len() - 1;
    let layer = |(i, pair): (usize, &[usize])| Layer {
        inputs: pair[0],
        outputs: pair[1],
        weight: (0..pair[0] * pair[1]).map(|i| number(i) / (pair[0] as f32).sqrt()).collect(),
        bias: (0..pair[1]).map(number).collect(),
        activation: if i + 1 == count { last } else { Activation::Relu },
    };
    widths.windows(2).enumerate().map(layer).collect()
}

fn chains(criterion: &mut Criterion) {
    use Activation::{None, Sigmoid, Softmax};
    let networks: [(&str, &[usize], Activation, Readout); 5] = [
        ("57-32-16-3", &[57, 32, 16, 3], Softmax, Readout::Outputs),
        ("57-64-32-1", &[57, 64, 32, 1], Sigmoid, Readout::Outputs),
        ("16-64-32-32-5", &[16, 64, 32, 32, 5], Softmax, Readout::Outputs),
        ("252-256-128-1", &[252, 256, 128, 1], Sigmoid, Readout::Outputs),
        ("57-32-16-3-16-32-57", &[57, 32, 16, 3, 16, 32, 57], None, Readout::ReconstructionError),
    ];
    for (name, widths, last, readout) in networks {
        let mut group = criterion.benchmark_group(name);
        for isa in available() {
            let chain = Chain::with_isa(&layers(widths, last), readout, isa).expect("a sound chain");
            let mut tile = chain.tile();
            let rows: Vec<f32> = (0..BATCH * chain.inputs()).map(number).collect();
            let mut scores = vec![0.0; BATCH * chain.outputs()];
            per_event(&mut group, isa.name(), BATCH, BATCH as u64, || {
                chain.run(&mut tile, black_box(&rows), black_box(&mut scores));
            });
            let per_round = multiply_adds(isa, 1).expect("it is there");
            let rounds = BATCH * chain.multiply_adds() / per_round;
            let peak = format!("peak {}", isa.name());
            per_event(&mut group, &peak, BATCH, BATCH as u64, || {
                black_box(multiply_adds(isa, rounds));
            });
        }
    }
}

/// Full trees on 57 inputs.
fn trees(count: usize, depth: u32) -> ForestSpec {
    let branches = (1 << depth) - 1;
    let node = |tree: usize, i: usize| {
        let at = tree * 2 * branches + i;
        if i >= branches {
            return Node::Leaf { weights: vec![(0, number(at))] };
        }
        Node::Branch {
            input: (at * 31) % 57,
            comparison: Comparison::Less,
            threshold: number(at + 1),
            missing: [Missing::Yes, Missing::No][at % 2],
            yes: 2 * i + 1,
            no: 2 * i + 2,
        }
    };
    let tree = |tree| Tree { nodes: (0..=2 * branches).map(|i| node(tree, i)).collect() };
    let trees = (0..count).map(tree).collect();
    ForestSpec {
        inputs: 57,
        outputs: 1,
        trees,
        aggregate: Aggregate::Sum,
        base: Vec::new(),
        finish: Finish::Logistic,
    }
}

fn forests(criterion: &mut Criterion) {
    for depth in [3, 6, 9] {
        let mut group = criterion.benchmark_group(format!("100 trees of depth {depth}"));
        for isa in available() {
            let forest = Forest::with_isa(&trees(100, depth), isa).expect("a sound forest");
            let mut tile = forest.tile();
            let rows: Vec<f32> = (0..BATCH * forest.inputs()).map(number).collect();
            let mut scores = vec![0.0; BATCH];
            per_event(&mut group, isa.name(), BATCH, BATCH as u64, || {
                forest.run(&mut tile, black_box(&rows), black_box(&mut scores));
            });
        }
    }
}

criterion_group!(benches, chains, forests);
criterion_main!(benches);
