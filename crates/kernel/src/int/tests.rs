//! Integer chains against plain 64-bit loops: the same bits, with sums that must fit in 32 bits.

use proptest::prelude::*;

use super::packing::Packing;
use super::scale::{IntLayer, Way, scale};
use super::{ChainRanges, HiddenBits, IntChain, IntInput};
use crate::chain::{Chain, Layer, Readout};
use crate::dense::Activation;
use crate::isa::{Isa, Level};

/// Pseudorandom numbers.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 24) as f32 * 2.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// `activation` of `numbers`, through a chain of floats that does nothing else: adding -0 leaves every float unchanged.
fn activated(activation: Activation, numbers: &[f32]) -> Vec<f32> {
    let n = numbers.len();
    let whole = activation == Activation::Softmax;
    let inputs = if whole { n } else { 1 };
    let weight = (0..inputs * inputs).map(|i| f32::from(i % (inputs + 1) == 0)).collect();
    let layer = Layer { inputs, outputs: inputs, weight, bias: vec![-0.0; inputs], activation };
    let chain = Chain::with_isa(&[layer], Readout::Outputs, Isa::Portable).unwrap();
    let mut scores = vec![0.0; n];
    chain.run(&mut chain.tile(), numbers, &mut scores);
    scores
}

/// A layer as documented: sums in 64 bits, which must fit in 32.
fn sums(layer: &IntLayer, x: &[i64]) -> Vec<i64> {
    let sum = |(neuron, weight): (&super::scale::Neuron, &[i16])| {
        let products = weight.iter().zip(x).map(|(&weight, x)| i64::from(weight) * x);
        let sum = i64::from(neuron.start) + products.sum::<i64>();
        assert!(i32::try_from(sum).is_ok(), "a sum of {sum} does not fit");
        sum
    };
    layer.neurons.iter().zip(layer.weight.chunks(x.len())).map(sum).collect()
}

fn floats(layer: &IntLayer, activation: Activation, sums: &[i64]) -> Vec<f32> {
    let float =
        |(neuron, &sum): (&super::scale::Neuron, &i64)| (sum as f32).mul_add(neuron.scale, neuron.bias);
    activated(activation, &layer.neurons.iter().zip(sums).map(float).collect::<Vec<f32>>())
}

fn rounded(y: f32) -> i64 {
    assert!(y.abs() < 2f32.powi(31), "{y} is beyond 32 bits");
    y.round_ties_even() as i64
}

fn reference(
    layers: &[Layer],
    scaled: &[IntLayer],
    readout: Readout,
    inputs: &[IntInput],
    row: &[i16],
) -> Vec<f32> {
    let clamped = row.iter().zip(inputs).map(|(&x, input)| i64::from(x.clamp(input.low, input.high)));
    let inputs_of_row: Vec<i64> = clamped.collect();
    let mut x = inputs_of_row.clone();
    let (last, hidden) = scaled.split_last().unwrap();
    for (scaled, layer) in hidden.iter().zip(layers) {
        let sums = sums(scaled, &x);
        let whole: Vec<i64> = match scaled.way {
            Way::Shift => scaled.neurons.iter().zip(sums).map(|(neuron, sum)| sum >> neuron.shift).collect(),
            Way::Round => floats(scaled, Activation::None, &sums).into_iter().map(rounded).collect(),
            Way::Numbers => {
                let numbers = floats(scaled, layer.activation, &sums);
                numbers.into_iter().map(|y| rounded(y * scaled.per_step)).collect()
            }
        };
        let [low, high] = scaled.range.map(i64::from);
        assert!(layer.activation != Activation::Relu || low == 0);
        assert!(scaled.gives == Packing::Pairs || [low, high] == [0, 127]);
        x = whole.into_iter().map(|x| x.clamp(low, high)).collect();
    }
    let y = floats(last, layers[hidden.len()].activation, &sums(last, &x));
    if readout == Readout::Outputs {
        return y;
    }
    let mut parts = [0.0f32; 4];
    for (i, (y, (&x, input))) in y.iter().zip(inputs_of_row.iter().zip(inputs)).enumerate() {
        let difference = y - (x as f32).mul_add(input.scale, input.offset);
        parts[i % 4] = difference.mul_add(difference, parts[i % 4]);
    }
    vec![((parts[0] + parts[1]) + (parts[2] + parts[3])) / inputs.len() as f32]
}

#[derive(Clone, Debug)]
struct Case {
    layers: Vec<Layer>,
    readout: Readout,
    calibration: ChainRanges,
    rows: Vec<i16>,
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        3 => Just(Activation::Relu),
        1 => Just(Activation::None),
        1 => (-2.0f32..2.0).prop_map(Activation::LeakyRelu),
        1 => Just(Activation::Tanh),
        1 => Just(Activation::Sigmoid)
    ]
}

fn input() -> impl Strategy<Value = IntInput> {
    let whole = Just((i16::MIN, i16::MAX)).boxed();
    let part = (any::<i16>(), any::<i16>()).prop_map(|(a, b)| (a.min(b), a.max(b))).boxed();
    let one = any::<i16>().prop_map(|a| (a, a)).boxed();
    let narrow = (-300i16..1, 0i16..300).boxed();
    let range = prop_oneof![3 => whole, 3 => part, 1 => one, 3 => narrow];
    let scale = prop_oneof![Just(0.0f32), -1e-3f32..1e-3, -10.0f32..10.0];
    (range, scale, -2.0f32..2.0).prop_map(|((low, high), scale, offset)| IntInput {
        low,
        high,
        scale,
        offset,
    })
}

/// Weights of one neuron of a layer: pseudorandom, all zero, all equal, or one that dwarfs the others.
fn shaped(kind: u8, weight: &mut [f32], bias: &mut f32) {
    match kind {
        0 => weight.fill(0.0),
        1 => weight.fill(if *bias < 0.0 { -1.0 } else { 1.0 }),
        2 => weight[0] = 1e4,
        3 => (weight.fill(0.0), *bias = 0.0).1,
        4 => *bias *= 1e6,
        _ => {}
    }
}

fn case() -> impl Strategy<Value = Case> {
    let width = prop_oneof![1usize..20, 20usize..70];
    (prop::collection::vec(width, 2..6), prop::collection::vec(activation(), 6), 0..3, any::<u64>())
        .prop_flat_map(|(mut widths, mut activations, finish, seed)| {
            let readout = if finish == 2 { Readout::ReconstructionError } else { Readout::Outputs };
            if finish == 2 {
                widths.push(widths[0]);
            }
            let last = widths.len() - 2;
            activations.truncate(last + 1);
            if finish == 1 {
                activations[last] = Activation::Softmax;
            }
            let layers: Vec<Layer> = (0..=last)
                .map(|i| {
                    let inputs = widths[i];
                    let outputs = widths[i + 1];
                    let mut weight = numbers(seed ^ i as u64, inputs * outputs);
                    let mut bias = numbers(!seed ^ i as u64, outputs);
                    for (n, (weight, bias)) in weight.chunks_mut(inputs).zip(&mut bias).enumerate() {
                        shaped((seed >> (n % 50)) as u8 % 16, weight, bias);
                    }
                    Layer { inputs, outputs, weight, bias, activation: activations[i] }
                })
                .collect();
            let inputs = prop::collection::vec(input(), widths[0]);
            let value = prop_oneof![Just(i16::MIN), Just(i16::MAX), Just(0), any::<i16>(), -300i16..300];
            let rows = (1usize..70).prop_flat_map({
                let width = widths[0];
                move |events| prop::collection::vec(value.clone(), events * width)
            });
            let hidden = prop::collection::vec(prop_oneof![Just(0.0f32), 0.01f32..2.0, 1.0f32..1e5], last);
            (inputs, rows, hidden).prop_map(move |(inputs, rows, hidden)| Case {
                layers: layers.clone(),
                readout,
                calibration: ChainRanges { inputs, hidden },
                rows,
            })
        })
}

/// Events that drive each neuron of the first layer to its extremes.
fn corners(layers: &[Layer], scaled: &IntLayer, inputs: &[IntInput]) -> Vec<i16> {
    let mut rows = Vec::new();
    for weight in scaled.weight.chunks(layers[0].inputs) {
        for sign in [1, -1] {
            let end =
                |(&weight, input): (&i16, &IntInput)| if weight * sign > 0 { input.high } else { input.low };
            rows.extend(weight.iter().zip(inputs).map(end));
        }
    }
    rows
}

fn bits_of(scores: &[f32]) -> Vec<u32> {
    scores.iter().map(|score| score.to_bits()).collect()
}

fn check(case: &Case) {
    [HiddenBits::Sixteen, HiddenBits::Eight].into_iter().for_each(|bits| check_in(bits, case));
}

fn check_in(bits: HiddenBits, Case { layers, readout, calibration, rows }: &Case) {
    let scaled = scale(layers, calibration, bits).unwrap();
    for layer in &scaled {
        let largest = layer.takes.largest();
        assert!(layer.weight.iter().all(|weight| (-largest..=largest).contains(weight)));
        assert!(bits == HiddenBits::Eight || layer.takes == Packing::Pairs);
    }
    let mut rows = rows.clone();
    rows.extend(corners(layers, &scaled[0], &calibration.inputs));
    let score = |row| reference(layers, &scaled, *readout, &calibration.inputs, row);
    let want: Vec<f32> = rows.chunks(layers[0].inputs).flat_map(score).collect();
    for level in Level::all() {
        let chain = IntChain::at(layers, *readout, calibration, bits, level).unwrap();
        let mut scores = vec![0.0; want.len()];
        chain.run(&mut chain.tile(), &rows, &mut scores);
        assert_eq!(bits_of(&scores), bits_of(&want), "{bits:?} on {level:?}");
    }
}

proptest! {
    #[test]
    fn the_bits_are_those_of_plain_loops(case in case()) {
        check(&case);
    }
}

#[test]
fn a_hidden_integer_is_the_nearest() {
    let layer = |weight: f32, bias| Layer {
        inputs: 1,
        outputs: 1,
        weight: vec![weight],
        bias: vec![bias],
        activation: Activation::None,
    };
    let inputs = vec![IntInput { low: -100, high: 100, scale: 0.5, offset: 3.0 }];
    for (weight, bias, largest) in [(1.0, 0.3, 53.0), (-0.01, 0.0, 0.6), (1e-9, 0.25, 0.5)] {
        let layers = [layer(weight, bias), layer(1.0, 0.0)];
        let calibration = ChainRanges { inputs: inputs.clone(), hidden: vec![largest] };
        let scaled = scale(&layers, &calibration, HiddenBits::Sixteen).unwrap();
        let neuron = scaled[0].neurons[0];
        let q = f64::from(scaled[0].range[1]);
        assert_eq!(scaled[0].range, [-i16::MAX, i16::MAX]);
        // In steps of the hidden integers.
        let unit = f64::from(1 << neuron.shift);
        let step = f64::from(largest) / q;
        let per_integer = f64::from(scaled[0].weight[0]) / unit;
        assert!((per_integer - f64::from(weight) * 0.5 / step).abs() <= 0.5 / unit);
        let rest = (f64::from(weight) * 3.0 + f64::from(bias)) / step;
        for x in -100..=100 {
            let got = sums(&scaled[0], &[x])[0] >> neuron.shift;
            let off = got as f64 - (per_integer * x as f64 + rest);
            assert!(off.abs() <= 0.5 + 0.5 / unit, "{got} is {off} steps off for {x}");
        }
    }
}

#[test]
fn the_widest_layer_at_the_end_of_its_bound_does_not_overflow() {
    let whole = IntInput { low: i16::MIN, high: i16::MAX, scale: 1.0, offset: 0.0 };
    for (inputs, low) in [(8192, i16::MIN), (8191, 0), (2, i16::MIN), (1, i16::MIN)] {
        let layer = |inputs, outputs, activation| Layer {
            inputs,
            outputs,
            weight: (0..inputs * outputs).map(|i| if i < inputs { 1.0 } else { -1.0 }).collect(),
            bias: vec![1e6; outputs],
            activation,
        };
        let layers = [layer(inputs, 2, Activation::Relu), layer(2, 1, Activation::None)];
        let calibration = ChainRanges { inputs: vec![IntInput { low, ..whole }; inputs], hidden: vec![1e8] };
        let scaled = scale(&layers, &calibration, HiddenBits::Sixteen).unwrap();
        let top = corners(&layers, &scaled[0], &calibration.inputs);
        let sum = |row: &[i16]| {
            let row: Vec<i64> = row.iter().map(|&x| x.into()).collect();
            sums(&scaled[0], &row).into_iter().map(i64::abs).max().unwrap()
        };
        let largest = top.chunks(inputs).map(sum).max().unwrap();
        assert!(largest > 1 << 29, "the test reaches for the bound: {largest}");
        let rows = vec![i16::MAX; inputs];
        check(&Case { layers: layers.to_vec(), readout: Readout::Outputs, calibration, rows });
    }
}

/// A relu layer of 16 bits, one that takes and gives 8 bits, one that takes 8, and one of 16 again.
fn mixed(widths: [usize; 5]) -> Vec<Layer> {
    let activations = [Activation::Relu, Activation::Relu, Activation::Tanh, Activation::None];
    let layer = |(i, activation): (usize, Activation)| Layer {
        inputs: widths[i],
        outputs: widths[i + 1],
        weight: numbers(i as u64 + 1, widths[i] * widths[i + 1]),
        bias: numbers(i as u64 + 11, widths[i + 1]),
        activation,
    };
    activations.into_iter().enumerate().map(layer).collect()
}

#[test]
fn eight_bits_are_those_that_are_never_negative_and_what_meets_them() {
    let layers = mixed([3, 5, 6, 7, 2]);
    let inputs = vec![IntInput { low: -100, high: 100, scale: 0.5, offset: 3.0 }; 3];
    let calibration = ChainRanges { inputs, hidden: vec![100.0, 200.0, 64.0] };
    let scaled = scale(&layers, &calibration, HiddenBits::Eight).unwrap();
    let found: Vec<_> = scaled.iter().map(|layer| (layer.takes, layer.gives, layer.way)).collect();
    let (pairs, quads) = (Packing::Pairs, Packing::Quads);
    assert_eq!(
        found,
        [
            (pairs, quads, Way::Shift),
            (quads, quads, Way::Round),
            (quads, pairs, Way::Numbers),
            (pairs, pairs, Way::Numbers)
        ]
    );
    // Every layer uses its full range of weights; no tanh is beyond 1, whatever the calibration says.
    for layer in &scaled {
        assert!(layer.weight.iter().map(|weight| weight.abs()).max() > Some(layer.takes.largest() / 2));
    }
    assert!((f64::from(scaled[2].per_step) - f64::from(scaled[2].range[1])).abs() < 1.0);
}

#[test]
fn a_number_of_eight_bits_is_the_nearest() {
    let bias = [0.75, -0.25];
    let identity = |activation| Layer {
        inputs: 2,
        outputs: 2,
        weight: vec![1.0, 0.0, 0.0, 1.0],
        bias: bias.to_vec(),
        activation,
    };
    let layers = [Activation::Relu, Activation::Relu, Activation::None].map(identity);
    let input = IntInput { low: -10, high: 100, scale: 1.0, offset: 0.0 };
    // The step between the layers is 1.
    let calibration = ChainRanges { inputs: vec![input; 2], hidden: vec![127.0; 2] };
    let chain = IntChain::new(&layers, Readout::Outputs, &calibration, HiddenBits::Eight).unwrap();
    for x in -10..=100i16 {
        let mut scores = [0.0; 2];
        chain.run(&mut chain.tile(), &[x, 90 - x], &mut scores);
        for (score, (x, bias)) in
            scores.into_iter().zip([f32::from(x), f32::from(90 - x)].into_iter().zip(bias))
        {
            let nearest = |y: f32| (y + bias).round().max(0.0);
            let want = nearest(nearest(x)) + bias;
            assert!((score - want).abs() < 1e-3, "{score} instead of {want} for {x}");
        }
    }
}

#[test]
fn the_widest_layer_of_eight_bits_is_exact() {
    // Every product is extreme: 8192 times 127 by 127, and by -127.
    let layer = |inputs, outputs, sign: fn(usize) -> f32, activation| Layer {
        inputs,
        outputs,
        weight: (0..inputs * outputs).map(sign).collect(),
        bias: vec![0.0; outputs],
        activation,
    };
    let layers = [
        layer(1, 8192, |_| 1.0, Activation::Relu),
        layer(8192, 3, |i| if i < 8192 { 1.0 } else { -1.0 }, Activation::None),
        layer(3, 1, |_| 1.0, Activation::None),
    ];
    let inputs = vec![IntInput { low: i16::MIN, high: i16::MAX, scale: 1.0, offset: 0.0 }];
    let calibration = ChainRanges { inputs, hidden: vec![1000.0, 1e7] };
    let rows = vec![0, 1, 999, 1000, 1001, i16::MAX, i16::MIN];
    check(&Case { layers: layers.to_vec(), readout: Readout::Outputs, calibration, rows });
}
