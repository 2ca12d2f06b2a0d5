//! How fast the kernels are, and how near to what the multiply-add units of one core can do.
//!
//! ```text
//! cargo run --release -p tamis-kernel --example speed
//! ```
//!
//! Probe and kernel take turns, a fraction of a millisecond each, so that both see the same clock and the same neighbours. What is printed
//! are medians over all turns.

use std::hint::black_box;
use std::time::Instant;

use tamis_kernel::{Activation, Chain, EVENTS, Isa, Layer, Readout, multiply_adds};

const TURNS: usize = 401;
const PROBE_ROUNDS: usize = 20_000;
const BATCHES: [usize; 3] = [32, 256, 4096];

fn main() {
    println!(
        "{:<28}{:>10}{:>9}{:>14}{:>9}{:>9}",
        "network", "on", "batch", "ns per event", "of peak", "lanes"
    );
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        for (name, chain) in chains(isa) {
            for batch in BATCHES {
                if isa != Isa::Portable || batch == 256 {
                    measure(name, &chain, batch);
                }
            }
        }
    }
}

fn measure(name: &str, chain: &Chain, batch: usize) {
    let mut tile = chain.tile();
    let rows: Vec<f32> = (0..batch * chain.inputs()).map(|i| (i % 977) as f32 / 977.0 - 0.5).collect();
    let mut scores = vec![0.0; batch * chain.outputs()];
    let calls = (100_000_000 / chain.multiply_adds() / batch / 10).max(1);
    let turns = if chain.isa() == Isa::Portable { 11 } else { TURNS };
    let (mut times, mut ratios, mut lanes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        let start = Instant::now();
        let done = multiply_adds(chain.isa(), PROBE_ROUNDS).expect("it is there");
        let peak = done as f64 / start.elapsed().as_secs_f64();
        let start = Instant::now();
        for _ in 0..calls {
            chain.run(&mut tile, black_box(&rows), black_box(&mut scores));
        }
        let each = start.elapsed().as_secs_f64() / (calls * batch) as f64;
        let start = Instant::now();
        for _ in 0..calls * batch / EVENTS {
            black_box(tile.inputs_mut());
            chain.run_tile(&mut tile, EVENTS);
        }
        let in_lanes = start.elapsed().as_secs_f64() / (calls * batch / EVENTS * EVENTS) as f64;
        times.push(each * 1e9);
        ratios.push(chain.multiply_adds() as f64 / each / peak * 100.0);
        lanes.push(chain.multiply_adds() as f64 / in_lanes / peak * 100.0);
    }
    let (each, ratio, lanes) = (median(times), median(ratios), median(lanes));
    println!("{name:<28}{:>10}{batch:>9}{each:>14.1}{ratio:>8.1} %{lanes:>7.1} %", chain.isa().name());
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn chains(isa: Isa) -> Vec<(&'static str, Chain)> {
    use Activation::{Relu, Sigmoid, Softmax};
    let compile = |widths: &[usize], last, readout| {
        Chain::with_isa(&layers(widths, Relu, last), readout, isa).expect("a sound chain")
    };
    vec![
        ("57-32-16-3", compile(&[57, 32, 16, 3], Softmax, Readout::Outputs)),
        ("57-64-32-1", compile(&[57, 64, 32, 1], Sigmoid, Readout::Outputs)),
        ("16-64-32-32-5", compile(&[16, 64, 32, 32, 5], Softmax, Readout::Outputs)),
        ("252-256-128-1", compile(&[252, 256, 128, 1], Sigmoid, Readout::Outputs)),
        (
            "57-32-16-3-16-32-57, error",
            compile(&[57, 32, 16, 3, 16, 32, 57], Activation::None, Readout::ReconstructionError),
        ),
    ]
}

fn layers(widths: &[usize], hidden: Activation, last: Activation) -> Vec<Layer> {
    let count = widths.len() - 1;
    let layer = |(i, pair): (usize, &[usize])| {
        let (inputs, outputs) = (pair[0], pair[1]);
        let number = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5;
        Layer {
            inputs,
            outputs,
            weight: (0..inputs * outputs).map(|i| number(i) / (inputs as f32).sqrt()).collect(),
            bias: (0..outputs).map(number).collect(),
            activation: if i + 1 == count { last } else { hidden },
        }
    };
    widths.windows(2).enumerate().map(layer).collect()
}
