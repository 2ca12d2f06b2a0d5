//! Integer chains as callers see them: near the chain of floats, the same for any batch and place, and refused where they are impossible.
//!
//! `src/int/tests.rs`, which sees the integers, tests that they give the bits of plain loops.

use tamis_kernel::{
    Activation, Chain, ChainError, ChainRanges, EVENTS, HiddenBits, IntChain, IntChainError, IntInput, Isa,
    Layer, LayerFault, Readout,
};

use crate::support::{available, bits as bits_of};

/// Pseudorandom numbers in -1..1.
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

/// Layers whose sums stay about as large as their inputs.
fn layers(widths: &[usize], hidden: Activation, last: Activation) -> Vec<Layer> {
    let count = widths.len() - 1;
    let layer = |(i, pair): (usize, &[usize])| {
        let scale = 2.0 / (pair[0] as f32).sqrt();
        let weight = numbers(i as u64 * 2 + 1, pair[0] * pair[1]).into_iter().map(|w| w * scale).collect();
        let bias = numbers(i as u64 * 2 + 2, pair[1]);
        let activation = if i + 1 == count { last } else { hidden };
        Layer { inputs: pair[0], outputs: pair[1], weight, bias, activation }
    };
    widths.windows(2).enumerate().map(layer).collect()
}

/// Objects of a trigger: a momentum in quarters of a unit, mostly small, and two angles.
fn inputs(count: usize) -> Vec<IntInput> {
    let momentum = IntInput { low: 0, high: 1023, scale: 1.0 / 128.0, offset: -0.5 };
    let eta = IntInput { low: -127, high: 127, scale: 1.0 / 73.0, offset: 0.0 };
    let phi = IntInput { low: 0, high: 143, scale: 1.0 / 41.0, offset: -1.75 };
    (0..count).map(|i| [momentum, eta, phi][i % 3]).collect()
}

fn events(seed: u64, inputs: &[IntInput], count: usize) -> Vec<i16> {
    let uniform = numbers(seed, count * inputs.len());
    let value = |(i, u): (usize, f32)| {
        let IntInput { low, high, .. } = inputs[i % inputs.len()];
        let u = u / 2.0 + 0.5;
        if high == 1023 {
            (-60.0 * u.ln()).min(1023.0) as i16
        } else {
            low + (u * f32::from(high - low)) as i16
        }
    };
    uniform.into_iter().enumerate().map(value).collect()
}

fn reals(inputs: &[IntInput], rows: &[i16]) -> Vec<f32> {
    let real = |(i, &x): (usize, &i16)| {
        f32::from(x).mul_add(inputs[i % inputs.len()].scale, inputs[i % inputs.len()].offset)
    };
    rows.iter().enumerate().map(real).collect()
}

fn calibration(layers: &[Layer]) -> ChainRanges {
    let inputs = inputs(layers[0].inputs);
    let rows = reals(&inputs, &events(77, &inputs, 4096));
    let hidden = ChainRanges::largest(layers, &rows)
        .expect("a chain")
        .into_iter()
        .map(|largest| largest * 1.25)
        .collect();
    ChainRanges { inputs, hidden }
}

fn run(chain: &IntChain, rows: &[i16]) -> Vec<f32> {
    let mut scores = vec![f32::NAN; rows.len() / chain.inputs() * chain.outputs()];
    chain.run(&mut chain.tile(), rows, &mut scores);
    scores
}

/// Root mean square and largest difference between the scores of floats and of integers, divided by the spread of the float scores.
fn off(
    bits: HiddenBits,
    widths: &[usize],
    hidden: Activation,
    last: Activation,
    readout: Readout,
) -> [f64; 2] {
    let layers = layers(widths, hidden, last);
    let calibration = calibration(&layers);
    let rows = events(5, &calibration.inputs, 4096);
    let chain = Chain::new(&layers, readout).expect("a chain");
    let mut floats = vec![0.0; 4096 * chain.outputs()];
    chain.run(&mut chain.tile(), &reals(&calibration.inputs, &rows), &mut floats);
    let ints = run(&IntChain::new(&layers, readout, &calibration, bits).expect("a chain"), &rows);
    let rms = |values: &[f64]| (values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64).sqrt();
    let off: Vec<f64> = floats.iter().zip(&ints).map(|(a, b)| f64::from(a - b)).collect();
    let mean = floats.iter().map(|&x| f64::from(x)).sum::<f64>() / floats.len() as f64;
    let spread = rms(&floats.iter().map(|&x| f64::from(x) - mean).collect::<Vec<f64>>());
    [rms(&off) / spread, off.iter().map(|x| x.abs()).fold(0.0, f64::max) / spread]
}

#[test]
fn scores_are_near_those_of_floats() {
    use Activation::{LeakyRelu, None, Relu, Sigmoid, Softmax, Tanh};
    let error = Readout::ReconstructionError;
    for (widths, hidden, last, readout) in [
        (&[57, 32, 16, 3][..], Relu, Softmax, Readout::Outputs),
        (&[57, 64, 32, 1], Relu, Sigmoid, Readout::Outputs),
        (&[252, 256, 128, 1], Relu, None, Readout::Outputs),
        (&[57, 32, 16, 3, 16, 32, 57], Relu, None, error),
        (&[57, 32, 16, 3], LeakyRelu(0.1), Softmax, Readout::Outputs),
        (&[57, 32, 16, 3], Tanh, None, Readout::Outputs),
        (&[57, 32, 16, 3], Sigmoid, None, Readout::Outputs),
        (&[57, 32, 16, 3], None, None, Readout::Outputs),
        (&[57, 3], Relu, Tanh, Readout::Outputs),
    ] {
        // Of these activations, 8 bits follow only relu and sigmoid.
        let eight =
            if matches!(hidden, Relu | Sigmoid) && widths.len() > 2 { [5e-2, 0.3] } else { [1e-3, 4e-3] };
        for (bits, most) in [(HiddenBits::Sixteen, [1e-3, 4e-3]), (HiddenBits::Eight, eight)] {
            let [rms, max] = off(bits, widths, hidden, last, readout);
            println!(
                "{bits:?} {widths:?} {hidden:?} {last:?}: rms {rms:.1e}, largest {max:.1e} of the spread"
            );
            assert!(
                rms < most[0] && max < most[1],
                "{bits:?} {widths:?} {hidden:?} {last:?}: {rms:e}, {max:e}"
            );
        }
    }
}

#[test]
fn scores_depend_neither_on_batch_and_place_nor_on_neighbours() {
    let layers = layers(&[9, 7, 6, 3], Activation::Relu, Activation::Softmax);
    let calibration = calibration(&layers);
    let rows = events(3, &calibration.inputs, 100);
    let all_bits = [HiddenBits::Sixteen, HiddenBits::Eight];
    for (isa, bits) in available().flat_map(|isa| all_bits.map(|bits| (isa, bits))) {
        let chain = IntChain::with_isa(&layers, Readout::Outputs, &calibration, bits, isa).unwrap();
        let whole = run(&chain, &rows);
        let alone: Vec<f32> = rows.chunks(9).flat_map(|row| run(&chain, row)).collect();
        assert_eq!(bits_of(&alone), bits_of(&whole), "{bits:?} on {isa:?}");
        for before in [1, 16, 31] {
            let other: Vec<i16> = (0..before * 9).map(|i| [i16::MIN, i16::MAX, 0][i % 3]).collect();
            let shifted = run(&chain, &[other.as_slice(), &rows].concat());
            assert_eq!(
                bits_of(&shifted[before * 3..]),
                bits_of(&whole),
                "{bits:?} on {isa:?}, {before} before"
            );
        }
        assert_eq!(bits_of(&by_tiles(&chain, &rows)), bits_of(&whole), "{bits:?} on {isa:?}");
    }
}

/// Scores through the entry point for callers that write pairs, with garbage where there is no input.
fn by_tiles(chain: &IntChain, rows: &[i16]) -> Vec<f32> {
    let mut tile = chain.tile();
    let mut scores = Vec::new();
    for rows in rows.chunks(EVENTS * chain.inputs()) {
        let events = rows.len() / chain.inputs();
        for (k, pairs) in tile.inputs_mut().iter_mut().enumerate() {
            pairs.0 = [[12_345, -23_456]; EVENTS];
            for (pair, row) in pairs.0.iter_mut().zip(rows.chunks(chain.inputs())) {
                for (to, &from) in pair.iter_mut().zip(&row[2 * k..]) {
                    *to = from;
                }
            }
        }
        chain.run_tile(&mut tile, events);
        for event in 0..events {
            scores.extend(tile.scores().iter().map(|lanes| lanes.0[event]));
        }
    }
    scores
}

#[test]
fn eight_bits_are_sixteen_where_numbers_may_be_negative() {
    for (hidden, differs) in [
        (Activation::None, false),
        (Activation::LeakyRelu(0.1), false),
        (Activation::Tanh, false),
        (Activation::Relu, true),
        (Activation::Sigmoid, true),
    ] {
        let layers = layers(&[9, 7, 6, 3], hidden, Activation::Softmax);
        let calibration = calibration(&layers);
        let rows = events(3, &calibration.inputs, 100);
        let [sixteen, eight] = [HiddenBits::Sixteen, HiddenBits::Eight].map(|bits| {
            assert_eq!(bits.of(hidden) != HiddenBits::Sixteen, bits == HiddenBits::Eight && differs);
            run(&IntChain::new(&layers, Readout::Outputs, &calibration, bits).unwrap(), &rows)
        });
        assert_eq!(bits_of(&sixteen) != bits_of(&eight), differs, "{hidden:?}");
    }
}

#[test]
fn an_input_beyond_its_range_counts_as_the_end_of_it() {
    let layers = layers(&[9, 5, 2], Activation::Relu, Activation::None);
    let calibration = calibration(&layers);
    let chain = IntChain::new(&layers, Readout::Outputs, &calibration, HiddenBits::Sixteen).unwrap();
    for end in [i16::MIN, i16::MAX] {
        let at_the_end: Vec<i16> =
            calibration.inputs.iter().map(|input| end.clamp(input.low, input.high)).collect();
        assert_eq!(bits_of(&run(&chain, &[end; 9])), bits_of(&run(&chain, &at_the_end)));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let layers = layers(&[3, 4, 2], Activation::Relu, Activation::None);
    let good = calibration(&layers);
    let refused = |layers: &[Layer], readout, calibration: &ChainRanges| {
        IntChain::new(layers, readout, calibration, HiddenBits::Sixteen).unwrap_err()
    };
    let broken = |change: fn(&mut Vec<Layer>, &mut ChainRanges)| {
        let (mut layers, mut calibration) = (layers.clone(), good.clone());
        change(&mut layers, &mut calibration);
        refused(&layers, Readout::Outputs, &calibration)
    };
    assert_eq!(broken(|layers, _| layers.clear()), ChainError::Layers(0).into());
    let wrong = ChainError::Layer { layer: 1, fault: LayerFault::NotFinite };
    assert_eq!(broken(|layers, _| layers[1].bias[0] = f32::NAN), wrong.into());
    let wrong = ChainError::Reconstruction { inputs: 3, outputs: 2 };
    assert_eq!(refused(&layers, Readout::ReconstructionError, &good), wrong.into());
    let wrong = IntChainError::Inputs { found: 2, wanted: 3 };
    assert_eq!(broken(|_, calibration| calibration.inputs.truncate(2)), wrong);
    assert_eq!(broken(|_, calibration| calibration.inputs[1].low = 128), IntChainError::Input(1));
    assert_eq!(broken(|_, calibration| calibration.inputs[2].scale = f32::INFINITY), IntChainError::Input(2));
    assert_eq!(broken(|_, calibration| calibration.inputs[0].offset = f32::NAN), IntChainError::Input(0));
    let wrong = IntChainError::Hidden { found: 0, wanted: 1 };
    assert_eq!(broken(|_, calibration| calibration.hidden.clear()), wrong);
    for largest in [-1.0, f32::INFINITY, f32::NAN] {
        let calibration = ChainRanges { hidden: vec![largest], ..good.clone() };
        assert_eq!(refused(&layers, Readout::Outputs, &calibration), IntChainError::Largest(0));
    }
    assert_eq!(
        broken(|layers, calibration| {
            layers[0].activation = Activation::LeakyRelu(f32::MAX);
            layers[0].weight[0] = f32::MAX;
            calibration.inputs[0].scale = 1e30;
        }),
        IntChainError::Scale(0)
    );
    for isa in Isa::ALL {
        let made = IntChain::with_isa(&layers, Readout::Outputs, &good, HiddenBits::Sixteen, isa);
        assert_eq!(made.is_ok(), isa.is_available());
    }
}

#[test]
#[should_panic(expected = "made by another kernel")]
fn a_tile_of_another_chain_is_noticed() {
    let chain = |widths: &[usize]| {
        let layers = layers(widths, Activation::Relu, Activation::None);
        IntChain::new(&layers, Readout::Outputs, &calibration(&layers), HiddenBits::Sixteen).unwrap()
    };
    chain(&[3, 2]).run_tile(&mut chain(&[5, 2]).tile(), 1);
}

#[test]
#[should_panic(expected = "scores for each of")]
fn room_for_too_few_scores_is_noticed() {
    let layers = layers(&[3, 2], Activation::Relu, Activation::None);
    let chain = IntChain::new(&layers, Readout::Outputs, &calibration(&layers), HiddenBits::Sixteen).unwrap();
    chain.run(&mut chain.tile(), &[0; 6], &mut [0.0; 3]);
}
