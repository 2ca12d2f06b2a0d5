//! Chains in bf16 against plain loops whose numbers the crate `half` rounds: the same bits.

#[path = "support/dense.rs"]
mod dense;
mod support;

use half::bf16;
use proptest::prelude::*;
use tamis_kernel::{Activation, Bf16Chain, Chain, ChainError, EVENTS, Isa, Layer, Readout};

use dense::{exact_activation, exactly, layers, numbers};
use support::{available, bits};

/// Beneath it a number counts as zero.
const LEAST: f32 = 1.0 / (1u64 << 48) as f32;

fn rounded(numbers: &[f32]) -> Vec<f32> {
    numbers.iter().map(|&x| if x.abs() < LEAST { 0.0 } else { bf16::from_f32(x).to_f32() }).collect()
}

fn in_bf16(layer: &Layer) -> Layer {
    Layer { weight: rounded(&layer.weight), ..layer.clone() }
}

/// The documented order of operations, one event at a time.
fn plainly(layers: &[Layer], readout: Readout, row: &[f32]) -> Vec<f32> {
    let y = layers.iter().fold(row.to_vec(), |x, layer| exactly(&[in_bf16(layer)], &rounded(&x)));
    if readout == Readout::Outputs {
        return y;
    }
    let mut sums = [0.0f32; 4];
    for (i, (x, y)) in row.iter().zip(&y).enumerate() {
        sums[i % 4] = (y - x).mul_add(y - x, sums[i % 4]);
    }
    vec![((sums[0] + sums[1]) + (sums[2] + sums[3])) / row.len() as f32]
}

fn run(chain: &Bf16Chain, rows: &[f32]) -> Vec<f32> {
    let mut scores = vec![f32::NAN; rows.len() / chain.inputs() * chain.outputs()];
    chain.run(&mut chain.tile(), rows, &mut scores);
    scores
}

/// Through the door for callers that write lanes, with garbage in the lanes that are not used.
fn by_tiles(chain: &Bf16Chain, rows: &[f32]) -> Vec<f32> {
    let (mut tile, mut scores) = (chain.tile(), Vec::new());
    for rows in rows.chunks(EVENTS * chain.inputs()) {
        let events = rows.len() / chain.inputs();
        for (input, lanes) in tile.inputs_mut().iter_mut().enumerate() {
            lanes.0 = [f32::NAN; EVENTS];
            for (event, row) in rows.chunks(chain.inputs()).enumerate() {
                lanes.0[event] = row[input];
            }
        }
        chain.run_tile(&mut tile, events);
        for event in 0..events {
            scores.extend(tile.scores().iter().map(|lanes| lanes.0[event]));
        }
    }
    scores
}

proptest! {
    #[test]
    fn the_bits_are_those_of_the_documented_order_whatever_instruction_set_and_batch(
        mut widths in prop::collection::vec(prop_oneof![1usize..20, 20usize..70], 2..6),
        activations in prop::collection::vec(exact_activation(), 5),
        compares in any::<bool>(),
        events in 1usize..80,
        scale in prop_oneof![Just(3.0f32), Just(1e-13), Just(1e12)],
        seed in any::<u64>(),
    ) {
        let readout = if compares { Readout::ReconstructionError } else { Readout::Outputs };
        if compares {
            let last = widths.len() - 1;
            widths[last] = widths[0];
        }
        let layers = layers(&widths, &activations, seed);
        let rows = numbers(!seed, events * widths[0], scale);
        let want: Vec<f32> =
            rows.chunks(widths[0]).flat_map(|row| plainly(&layers, readout, row)).collect();
        for isa in available() {
            let chain = Bf16Chain::with_isa(&layers, readout, isa).unwrap();
            prop_assert_eq!(bits(&run(&chain, &rows)), bits(&want), "{:?}", isa);
            let alone: Vec<f32> = rows.chunks(widths[0]).flat_map(|row| run(&chain, row)).collect();
            prop_assert_eq!(bits(&alone), bits(&want), "{:?}", isa);
            prop_assert_eq!(bits(&by_tiles(&chain, &rows)), bits(&want), "{:?}", isa);
        }
    }

    #[test]
    fn on_numbers_that_are_bf16_already_a_layer_gives_the_bits_of_floats(
        (inputs, outputs) in (1usize..70, 1usize..20),
        last in 0..6usize,
        seed in any::<u64>(),
    ) {
        use Activation::{LeakyRelu, None, Relu, Sigmoid, Softmax, Tanh};
        let activation = [None, Relu, LeakyRelu(0.1), Tanh, Sigmoid, Softmax][last];
        let layers: Vec<Layer> = layers(&[inputs, outputs], &[activation], seed).iter().map(in_bf16).collect();
        let rows = rounded(&numbers(!seed, 40 * inputs, 3.0));
        let floats = Chain::new(&layers, Readout::Outputs).unwrap();
        let mut want = vec![0.0; 40 * outputs];
        floats.run(&mut floats.tile(), &rows, &mut want);
        for isa in available() {
            let chain = Bf16Chain::with_isa(&layers, Readout::Outputs, isa).unwrap();
            prop_assert_eq!(bits(&run(&chain, &rows)), bits(&want), "{:?}", isa);
        }
    }
}

#[test]
fn nans_infinities_and_overflows_are_arithmetic_as_usual() {
    for activations in [[Activation::None; 2], [Activation::Relu; 2], [Activation::LeakyRelu(0.5); 2]] {
        let mut layers = layers(&[3, 4, 2], &activations, 11);
        layers[0].weight[1] = 1e-20;
        let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -1.0, 1e-45, 0.0, -0.0];
        let rows: Vec<f32> =
            values.iter().flat_map(|&a| values.iter().flat_map(move |&b| [a, b, 1.0])).collect();
        let want: Vec<f32> = rows.chunks(3).flat_map(|row| plainly(&layers, Readout::Outputs, row)).collect();
        assert!(want.iter().any(|score| score.is_nan()) && want.iter().any(|score| score.is_infinite()));
        for isa in available() {
            let chain = Bf16Chain::with_isa(&layers, Readout::Outputs, isa).unwrap();
            assert_eq!(bits(&run(&chain, &rows)), bits(&want), "{isa:?} {activations:?}");
        }
    }
}

#[test]
fn what_is_beneath_the_least_number_counts_as_zero_wherever_it_stands() {
    let score = |weight, bias, x| {
        let (weight, bias) = (vec![weight], vec![bias]);
        let layer = Layer { inputs: 1, outputs: 1, weight, bias, activation: Activation::None };
        let of = |isa| {
            let chain = Bf16Chain::with_isa(std::slice::from_ref(&layer), Readout::Outputs, isa).unwrap();
            run(&chain, &[x])[0]
        };
        let scores: Vec<f32> = available().map(of).collect();
        assert!(scores.iter().all(|score| score.to_bits() == scores[0].to_bits()), "{scores:?}");
        scores[0]
    };
    let (big, beneath) = (LEAST.recip(), f32::from_bits(LEAST.to_bits() - 1));
    for sign in [1.0, -1.0] {
        assert_eq!(score(big, 0.0, sign * LEAST), sign);
        assert_eq!(score(sign * LEAST, 0.0, big), sign);
        assert_eq!(score(1.0, sign * LEAST, 0.0), sign * LEAST);
        for beneath in [sign * beneath, sign * 1e-44] {
            assert_eq!(score(big, 0.0, beneath), 0.0);
            assert_eq!(score(beneath, 0.0, big), 0.0);
            assert_eq!(score(1.0, beneath, 0.0), 0.0);
        }
    }
}

#[test]
fn the_widest_layers_work_and_what_is_no_chain_is_refused() {
    let wide = layers(&[8192, 3, 8192], &[Activation::Relu, Activation::Relu], 5);
    let rows = numbers(9, 2 * 8192, 1.0);
    let want: Vec<f32> = rows.chunks(8192).flat_map(|row| plainly(&wide, Readout::Outputs, row)).collect();
    let chain = Bf16Chain::new(&wide, Readout::Outputs).unwrap();
    assert_eq!(bits(&run(&chain, &rows)), bits(&want));
    assert_eq!((chain.inputs(), chain.outputs(), chain.multiply_adds()), (8192, 8192, 6 * 8192));
    assert_eq!(run(&chain, &[]), []);
    assert_eq!(Bf16Chain::new(&[], Readout::Outputs).unwrap_err(), ChainError::Layers(0));
    for isa in Isa::ALL {
        let made = Bf16Chain::with_isa(&wide, Readout::Outputs, isa).map(|chain| chain.isa());
        assert_eq!(made, if isa.is_available() { Ok(isa) } else { Err(ChainError::Lacks(isa)) });
    }
}
