//! Measures how fast the kernels are, and how near to the peak of one core's multiply-add units.
//!
//! ```text
//! cargo run --release -p tamis-kernel --example speed
//! ```
//!
//! Probe and kernel take turns, a fraction of a millisecond each, so that both see the same clock and the same load. The figures
//! printed are medians over all turns; "rows" includes turning rows into lanes and scores into rows, "lanes" is for callers that write lanes.

use std::hint::black_box;
use std::time::Instant;

use tamis_kernel::{
    Activation, BranchTest, Chain, ChainRanges, Column, Combine, Conv, EVENTS, Forest, ForestNode,
    ForestSpec, HiddenBits, ImageAxis, ImageLayer, IntChain, IntColumn, IntInput, Isa, Layer, Map, Missing,
    Number, Pool, Pooling, Readout, Tree, multiply_adds, multiply_adds_i16,
};

const TURNS: usize = 201;
/// Fewer turns, since a portable one takes long.
const PORTABLE_TURNS: usize = 11;
const PROBE_ROUNDS: usize = 20_000;
const BATCH: usize = 256;
/// Short compared with the time slices of a busy system.
const TURN_S: f64 = 2e-4;

fn main() {
    println!(
        "{:<26} {:>8}  ns per event: {:>6} {:>7}  of peak: {:>7} {:>7}",
        "model", "on", "rows", "lanes", "rows", "lanes"
    );
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let dense = networks().into_iter().map(|(name, widths, last, readout)| {
            (name, Chain::with_isa(&layers(widths, last), readout, isa).expect("a sound chain"))
        });
        let (images, behind) = calorimeter();
        let image = Chain::on_images(&images, &behind, Readout::Outputs, isa).expect("a sound chain");
        for (name, chain) in dense.chain([("18x14-c8-c16-32-3", image)]) {
            let (mut tile, mut lanes) = (chain.tile(), chain.tile());
            let (rows, mut scores) = data(chain.inputs(), chain.outputs());
            let medians = turns(
                isa,
                || chain.run(&mut tile, black_box(&rows), black_box(&mut scores)),
                || {
                    black_box(lanes.inputs_mut());
                    chain.run_tile(&mut lanes, EVENTS);
                },
            );
            print(name, isa, &medians, Some(chain.multiply_adds()));
        }
        let forest = Forest::with_isa(&trees(100, 6), isa).expect("a sound forest");
        let (mut tile, mut lanes) = (forest.tile(), forest.tile());
        let (rows, mut scores) = data(forest.inputs(), forest.outputs());
        for (to, from) in lanes.inputs_mut().iter_mut().zip(rows.chunks(EVENTS)) {
            to.0.copy_from_slice(from);
        }
        let medians = turns(
            isa,
            || forest.run(&mut tile, black_box(&rows), black_box(&mut scores)),
            || {
                black_box(lanes.inputs_mut());
                forest.run_tile(&mut lanes, EVENTS);
            },
        );
        print("100 trees of depth 6", isa, &medians, None);
    }
    println!(
        "\n{:<26} {:>8}  ns per event: {:>7} {:>7} {:>7}  faster than f32: {:>5} {:>5}  of peak: {:>7} {:>7}",
        "in integers, lanes", "on", "f32", "i16", "i8", "i16", "i8", "f32", "i16"
    );
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        for network in networks().into_iter().chain([WIDE]) {
            integers(isa, network);
        }
    }
    println!("\n{:<26} {:>8}  ns per event: {:>8} {:>6}", "57 numbers from records", "on", "floats", "pairs");
    Isa::ALL.into_iter().filter(|isa| isa.is_available()).for_each(gathering);
}

/// Gathers the inputs of a tile from records of 57 16-bit numbers; one number in three has bounds.
fn gathering(isa: Isa) {
    let inputs = 57;
    let record_len = 114;
    let layers = layers(&[inputs, 1], Activation::None);
    let input = IntInput { low: -2048, high: 2047, scale: 1.0 / 4096.0, offset: 0.0 };
    let calibration = ChainRanges { inputs: vec![input; inputs], hidden: Vec::new() };
    let chain = Chain::with_isa(&layers, Readout::Outputs, isa).expect("a sound chain");
    let ints = IntChain::with_isa(&layers, Readout::Outputs, &calibration, HiddenBits::Sixteen, isa)
        .expect("a sound chain");
    let bound = |input: usize| if input.is_multiple_of(3) { 8.0 } else { f32::INFINITY };
    let map = |input| Map::Affine { mul: 0.01, add: 0.5, clip: [-bound(input), bound(input)] };
    let number = Number::I16;
    let column = |input| Column { input, at: 2 * input, number, map: map(input) };
    let floats = chain.gather(record_len, &(0..inputs).map(column).collect::<Vec<_>>());
    let column = |input| IntColumn { input, at: 2 * input, number };
    let pairs = ints.gather(record_len, &(0..inputs).map(column).collect::<Vec<_>>());
    let bytes: Vec<u8> = (0..BATCH * record_len).map(|i| number_bits(i) as u8).collect();
    let (mut tile, mut int_tile) = (chain.tile(), ints.tile());
    let tiles = || bytes.chunks(EVENTS * record_len).map(black_box);
    let (mut float_times, mut pair_times) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        float_times
            .push(seconds(|| tiles().for_each(|bytes| floats.fill_run(bytes, EVENTS, tile.inputs_mut()))));
        pair_times
            .push(seconds(|| tiles().for_each(|bytes| pairs.fill_run(bytes, EVENTS, int_tile.inputs_mut()))));
    }
    let [float_ns, pair_ns] = [float_times, pair_times].map(|times| median(times) / BATCH as f64 * 1e9);
    println!("{:<26} {:>8} {float_ns:>22.1} {pair_ns:>6.1}", "", isa.name());
}

/// Times a chain in floats and in both kinds of integers in turns, in lanes, against the peak of the core. In 8 bits there is no peak to compare
/// with: the first layer has 16 bits.
fn integers(isa: Isa, (name, widths, last, readout): Network) {
    let layers = layers(widths, last);
    let input = IntInput { low: -2048, high: 2047, scale: 1.0 / 4096.0, offset: 0.0 };
    let inputs = vec![input; widths[0]];
    let hidden = ChainRanges::largest(&layers, &data(widths[0], 1).0).expect("a sound chain");
    let calibration = ChainRanges { inputs, hidden };
    let chain = Chain::with_isa(&layers, readout, isa).expect("a sound chain");
    let mut tile = chain.tile();
    let mut by_floats = || {
        black_box(tile.inputs_mut());
        chain.run_tile(&mut tile, EVENTS);
    };
    let calls = (TURN_S / seconds(&mut by_floats)).ceil() as usize;
    let of_ints = |bits| {
        let ints = IntChain::with_isa(&layers, readout, &calibration, bits, isa).expect("a sound chain");
        let mut tile = ints.tile();
        move || {
            black_box(tile.inputs_mut());
            ints.run_tile(&mut tile, EVENTS);
        }
    };
    let mut others = [HiddenBits::Sixteen, HiddenBits::Eight].map(of_ints);
    let turns = if isa == Isa::Portable { PORTABLE_TURNS } else { TURNS };
    let mut columns = [(); 7].map(|()| Vec::new());
    for _ in 0..turns {
        let (mut done, mut int_done) = (0, 0);
        let peak = seconds(|| done = multiply_adds(isa, PROBE_ROUNDS / 2).expect("it is there"));
        let int_peak = seconds(|| int_done = multiply_adds_i16(isa, PROBE_ROUNDS / 2).expect("it is there"));
        let peak = peak / done as f64 * chain.multiply_adds() as f64;
        let int_peak = int_peak / int_done as f64 * chain.multiply_adds() as f64;
        let events = (calls * EVENTS) as f64;
        let floats = seconds(|| (0..calls).for_each(|_| by_floats())) / events;
        let [i16, i8] = others.each_mut().map(|other| seconds(|| (0..calls).for_each(|_| other())) / events);
        let faster = [i16, i8].map(|other| floats / other);
        let values = [floats, i16, i8].into_iter().chain(faster).chain([peak / floats, int_peak / i16]);
        columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
    }
    let [floats, i16, i8, times_i16, times_i8, of_peak, of_int_peak] = columns.map(median);
    let [floats, i16, i8] = [floats, i16, i8].map(|seconds| seconds * 1e9);
    println!(
        "{name:<26} {:>8} {floats:>21.1} {i16:>7.1} {i8:>7.1} {times_i16:>23.2} {times_i8:>5.2} {:>16.1} % {:>5.1} %",
        isa.name(),
        of_peak * 100.0,
        of_int_peak * 100.0,
    );
}

/// Medians of the seconds per event by rows and by lanes, and of each divided by the seconds of one multiply-add at peak.
struct Medians {
    rows: f64,
    lanes: f64,
    rows_by_peak: f64,
    lanes_by_peak: f64,
}

fn turns(isa: Isa, mut by_rows: impl FnMut(), mut by_lanes: impl FnMut()) -> Medians {
    let turns = if isa == Isa::Portable { PORTABLE_TURNS } else { TURNS };
    let mut rows = vec![];
    let mut lanes = vec![];
    let mut rows_by_peak = vec![];
    let mut lanes_by_peak = vec![];
    let calls = (TURN_S / seconds(&mut by_rows)).ceil() as usize;
    let events = (calls * BATCH) as f64;
    for _ in 0..turns {
        let mut done = 0;
        let probe = seconds(|| done = multiply_adds(isa, PROBE_ROUNDS).expect("it is there")) / done as f64;
        rows.push(seconds(|| (0..calls).for_each(|_| by_rows())) / events);
        lanes.push(seconds(|| (0..calls * BATCH / EVENTS).for_each(|_| by_lanes())) / events);
        rows_by_peak.push(rows[rows.len() - 1] / probe);
        lanes_by_peak.push(lanes[lanes.len() - 1] / probe);
    }
    let [rows, lanes, rows_by_peak, lanes_by_peak] = [rows, lanes, rows_by_peak, lanes_by_peak].map(median);
    Medians { rows, lanes, rows_by_peak, lanes_by_peak }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print(name: &str, isa: Isa, medians: &Medians, multiply_adds: Option<usize>) {
    let &Medians { rows, lanes, rows_by_peak, lanes_by_peak } = medians;
    let share = |by_peak: f64| {
        multiply_adds.map_or("-".into(), |count| format!("{:.1} %", count as f64 / by_peak * 100.0))
    };
    let (of_rows, of_lanes) = (share(rows_by_peak), share(lanes_by_peak));
    println!(
        "{name:<26} {:>8} {:>20.1} {:>7.1} {of_rows:>17} {of_lanes:>7}",
        isa.name(),
        rows * 1e9,
        lanes * 1e9
    );
}

type Network = (&'static str, &'static [usize], Activation, Readout);

/// Wide enough for 8 bits to make a difference.
const WIDE: Network = ("57-512-256-3", &[57, 512, 256, 3], Activation::Softmax, Readout::Outputs);

fn networks() -> [Network; 5] {
    let scores = Readout::Outputs;
    [
        ("57-32-16-3", &[57, 32, 16, 3], Activation::Softmax, scores),
        ("57-64-32-1", &[57, 64, 32, 1], Activation::Sigmoid, scores),
        ("16-64-32-32-5", &[16, 64, 32, 32, 5], Activation::Softmax, scores),
        ("252-256-128-1", &[252, 256, 128, 1], Activation::Sigmoid, scores),
        (
            "57-32-16-3-16-32-57, error",
            &[57, 32, 16, 3, 16, 32, 57],
            Activation::None,
            Readout::ReconstructionError,
        ),
    ]
}

/// 16 pseudorandom bits for each `i`.
fn number_bits(i: usize) -> u16 {
    (i.wrapping_mul(2_654_435_761) >> 7) as u16
}

/// A pseudorandom number in -0.5..0.5 for each `i`.
fn number(i: usize) -> f32 {
    f32::from(number_bits(i)) / 65_536.0 - 0.5
}

fn data(inputs: usize, outputs: usize) -> (Vec<f32>, Vec<f32>) {
    ((0..BATCH * inputs).map(number).collect(), vec![0.0; BATCH * outputs])
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

/// An image of 18 by 14 towers: twice a 3-by-3 convolution and 2-by-2 max pooling, with 8 and 16 channels; then 192-32-3.
fn calorimeter() -> (Vec<ImageLayer>, Vec<Layer>) {
    let axes = |height, width, kernel, stride, before| {
        let axis = |size: usize| {
            let windows = (size + 2 * before - kernel) / stride + 1;
            ImageAxis { size, kernel, stride, dilation: 1, before, windows }
        };
        [axis(height), axis(width)]
    };
    let conv = |channels: usize, outputs: usize, height, width| {
        ImageLayer::Conv(Conv {
            channels,
            axes: axes(height, width, 3, 1, 1),
            groups: 1,
            outputs,
            weight: (0..outputs * channels * 9).map(|i| number(i) / (channels as f32 * 9.0).sqrt()).collect(),
            bias: (0..outputs).map(number).collect(),
            activation: Activation::Relu,
        })
    };
    let pool = |channels, height, width| {
        let axes = axes(height, width, 2, 2, 0);
        let activation = Activation::None;
        ImageLayer::Pool(Pool { channels, axes, kind: Pooling::Max, activation })
    };
    let images = vec![conv(1, 8, 18, 14), pool(8, 18, 14), conv(8, 16, 9, 7), pool(16, 9, 7)];
    (images, layers(&[192, 32, 3], Activation::Softmax))
}

/// Full trees on 57 inputs.
fn trees(count: usize, depth: u32) -> ForestSpec {
    let branches = (1 << depth) - 1;
    let node = |tree: usize, i: usize| {
        let at = tree * 2 * branches + i;
        if i >= branches {
            return ForestNode::Leaf { weights: vec![(0, number(at))] };
        }
        ForestNode::Branch {
            input: (at * 31) % 57,
            comparison: BranchTest::Less,
            threshold: number(at + 1),
            missing: [Missing::Yes, Missing::No][at % 2],
            yes: 2 * i + 1,
            no: 2 * i + 2,
        }
    };
    let tree = |tree| Tree { nodes: (0..=2 * branches).map(|i| node(tree, i)).collect() };
    let trees = (0..count).map(tree).collect();
    ForestSpec { inputs: 57, outputs: 1, trees, aggregate: Combine::Sum, base: Vec::new() }
}
