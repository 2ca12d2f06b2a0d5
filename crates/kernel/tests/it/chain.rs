//! Chains against plain loops: the same bits where operations are exact, an `f64` oracle for the rest; and the promises of the crate.

use proptest::prelude::*;
use tamis_kernel::{Activation, Chain, ChainError, EVENTS, Isa, Layer, LayerFault, Readout, Tile};

use crate::dense::{exact_activation, exactly, layers, numbers};
use crate::support::{available, bits};

fn run(chain: &Chain, rows: &[f32]) -> Vec<f32> {
    let mut scores = vec![f32::NAN; rows.len() / chain.inputs() * chain.outputs()];
    chain.run(&mut chain.tile(), rows, &mut scores);
    scores
}

/// Scores in `f64`, and how far `f32` may be from them.
fn oracle(layers: &[Layer], row: &[f32], readout: Readout) -> (Vec<f64>, f64) {
    let unit = f64::from(f32::EPSILON);
    let mut x: Vec<f64> = row.iter().map(|&x| x.into()).collect();
    let mut error = 0.0f64;
    for layer in layers {
        let mut sums = Vec::new();
        let mut worst = 0.0f64;
        for (weight, &bias) in layer.weight.chunks(layer.inputs).zip(&layer.bias) {
            let products = weight.iter().zip(&x).map(|(&w, x)| f64::from(w) * x);
            let size: f64 = products.clone().map(f64::abs).sum::<f64>() + f64::from(bias).abs();
            let slope: f64 = weight.iter().map(|&w| f64::from(w).abs()).sum();
            worst = worst.max(slope * error + unit * layer.inputs as f64 * (size + slope * error));
            sums.push(products.sum::<f64>() + f64::from(bias));
        }
        // No activation is steeper than 1, except leaky relu with a large alpha, and softmax in the sense of relative errors.
        error = worst;
        let total: f64 = sums.iter().map(|x| x.exp()).sum();
        for x in &mut sums {
            *x = match layer.activation {
                Activation::None => *x,
                Activation::Relu => x.max(0.0),
                Activation::LeakyRelu(alpha) => {
                    if *x < 0.0 {
                        f64::from(alpha) * *x
                    } else {
                        *x
                    }
                }
                Activation::Tanh => x.tanh(),
                Activation::Sigmoid => 1.0 / (1.0 + (-*x).exp()),
                Activation::Softmax => x.exp() / total,
            };
        }
        error = 2.0 * error + 8.0 * unit;
        x = sums;
    }
    if readout == Readout::Outputs {
        return (x, error);
    }
    let differences: Vec<f64> = x.iter().zip(row).map(|(y, &x)| y - f64::from(x)).collect();
    let mean = differences.iter().map(|d| d * d).sum::<f64>() / x.len() as f64;
    let slope = differences.iter().map(|d| d.abs()).fold(0.0, f64::max);
    (vec![mean], (2.0 * slope + error) * error + unit * x.len() as f64 * mean)
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![exact_activation(), Just(Activation::Tanh), Just(Activation::Sigmoid)]
}

/// Widths of a chain and an activation for each layer.
fn shape(
    activation: impl Strategy<Value = Activation>,
) -> impl Strategy<Value = (Vec<usize>, Vec<Activation>)> {
    let width = prop_oneof![1usize..20, 20usize..70];
    (prop::collection::vec(width, 2..6), prop::collection::vec(activation, 5))
}

proptest! {
    #[test]
    fn the_bits_are_those_of_the_documented_order(
        (widths, activations) in shape(exact_activation()),
        events in 1usize..80,
        seed in any::<u64>(),
    ) {
        let layers = layers(&widths, &activations, seed);
        let rows = numbers(!seed, events * widths[0], 3.0);
        let want: Vec<f32> = rows.chunks(widths[0]).flat_map(|row| exactly(&layers, row)).collect();
        for isa in available() {
            let chain = Chain::with_isa(&layers, Readout::Outputs, isa).unwrap();
            prop_assert_eq!(bits(&run(&chain, &rows)), bits(&want), "{:?}", isa);
        }
    }

    #[test]
    fn scores_are_near_an_oracle_in_double_precision(
        (widths, mut activations) in shape(activation()),
        softmax in any::<bool>(),
        seed in any::<u64>(),
    ) {
        if softmax {
            activations[widths.len() - 2] = Activation::Softmax;
        }
        let layers = layers(&widths, &activations, seed);
        let rows = numbers(!seed, 5 * widths[0], 3.0);
        let chain = Chain::new(&layers, Readout::Outputs).unwrap();
        let scores = run(&chain, &rows);
        for (row, scores) in rows.chunks(widths[0]).zip(scores.chunks(chain.outputs())) {
            let (want, error) = oracle(&layers, row, Readout::Outputs);
            for (&got, want) in scores.iter().zip(want) {
                prop_assert!((f64::from(got) - want).abs() <= error, "{} is not {} +- {}", got, want, error);
            }
        }
    }

    #[test]
    fn the_reconstruction_error_is_near_an_oracle(
        (mut widths, activations) in shape(activation()),
        seed in any::<u64>(),
    ) {
        widths.push(widths[0]);
        let layers = layers(&widths, &[activations, vec![Activation::None]].concat(), seed);
        let rows = numbers(!seed, 5 * widths[0], 3.0);
        let chain = Chain::new(&layers, Readout::ReconstructionError).unwrap();
        for (row, got) in rows.chunks(widths[0]).zip(run(&chain, &rows)) {
            let (want, error) = oracle(&layers, row, Readout::ReconstructionError);
            prop_assert!((f64::from(got) - want[0]).abs() <= error, "{} is not {} +- {}", got, want[0], error);
        }
    }

    #[test]
    fn scores_depend_neither_on_the_instruction_set_nor_on_batch_and_place(
        (mut widths, activations) in shape(activation()),
        finish in 0..3,
        events in 1usize..100,
        seed in any::<u64>(),
    ) {
        let (last, readout) = match finish {
            0 => (activations[4], Readout::Outputs),
            1 => (Activation::Softmax, Readout::Outputs),
            _ => (Activation::None, Readout::ReconstructionError),
        };
        if readout == Readout::ReconstructionError {
            let first = widths[0];
            widths.push(first);
        }
        let mut activations = [activations, vec![Activation::None]].concat();
        activations[widths.len() - 2] = last;
        let layers = layers(&widths, &activations, seed);
        let rows = numbers(!seed, events * widths[0], 3.0);
        let whole = run(&Chain::with_isa(&layers, readout, Isa::Portable).unwrap(), &rows);
        for isa in available() {
            let chain = Chain::with_isa(&layers, readout, isa).unwrap();
            prop_assert_eq!(bits(&run(&chain, &rows)), bits(&whole), "{:?}", isa);
            let alone: Vec<f32> = rows.chunks(widths[0]).flat_map(|row| run(&chain, row)).collect();
            prop_assert_eq!(bits(&alone), bits(&whole), "{:?}", isa);
            // With other events before them.
            let before = numbers(seed ^ 1, (seed % 40) as usize * widths[0], 1e30);
            let shifted = run(&chain, &[before.as_slice(), &rows].concat());
            prop_assert_eq!(bits(&shifted[shifted.len() - whole.len()..]), bits(&whole), "{:?}", isa);
            prop_assert_eq!(bits(&by_tiles(&chain, &rows)), bits(&whole), "{:?}", isa);
        }
    }
}

/// Scores through the entry point for callers that write lanes, with garbage in unused lanes.
fn by_tiles(chain: &Chain, rows: &[f32]) -> Vec<f32> {
    let mut tile = chain.tile();
    let mut scores = Vec::new();
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

#[test]
fn a_nan_never_becomes_a_number() {
    use Activation::{LeakyRelu, None, Relu, Sigmoid, Softmax, Tanh};
    let widths = [9, 12, 5, 9];
    for isa in available() {
        for hidden in [None, Relu, LeakyRelu(0.1), Tanh, Sigmoid] {
            for (last, readout) in [
                (hidden, Readout::Outputs),
                (Softmax, Readout::Outputs),
                (None, Readout::ReconstructionError),
            ] {
                let layers = layers(&widths, &[hidden, hidden, last], 7);
                let chain = Chain::with_isa(&layers, readout, isa).unwrap();
                for event in [0, 1, 15, 16, 31, 32, 40] {
                    let clean = numbers(3, 41 * 9, 2.0);
                    let mut rows = clean.clone();
                    rows[event * 9 + event % 9] = if event % 2 == 0 { f32::NAN } else { -f32::NAN };
                    let (before, after) = (run(&chain, &clean), run(&chain, &rows));
                    for (i, (clean, got)) in before.iter().zip(&after).enumerate() {
                        let want = if i / chain.outputs() == event { f32::NAN } else { *clean };
                        assert_eq!(
                            got.to_bits(),
                            want.to_bits(),
                            "{isa:?} {hidden:?} {last:?}, event {event}, score {i}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn infinities_and_overflows_are_arithmetic_as_usual() {
    let widths = [3, 4, 2];
    for activations in [[Activation::None; 2], [Activation::Relu; 2], [Activation::LeakyRelu(0.5); 2]] {
        let layers = layers(&widths, &activations, 11);
        let values = [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -1.0, 1e-45, 0.0, -0.0];
        let rows: Vec<f32> =
            values.iter().flat_map(|&a| values.iter().flat_map(move |&b| [a, b, 1.0])).collect();
        let want: Vec<f32> = rows.chunks(3).flat_map(|row| exactly(&layers, row)).collect();
        assert!(want.iter().any(|score| score.is_nan()) && want.iter().any(|score| score.is_infinite()));
        for isa in available() {
            let chain = Chain::with_isa(&layers, Readout::Outputs, isa).unwrap();
            assert_eq!(bits(&run(&chain, &rows)), bits(&want), "{isa:?} {activations:?}");
        }
    }
}

#[test]
fn large_differences_do_not_upset_softmax() {
    let layer = Layer {
        inputs: 2,
        outputs: 2,
        weight: vec![1.0, 0.0, 0.0, 1.0],
        bias: vec![0.0; 2],
        activation: Activation::Softmax,
    };
    let chain = Chain::new(&[layer], Readout::Outputs).unwrap();
    assert_eq!(run(&chain, &[3e38, -3e38, -3e38, -3e38, 0.0, -200.0]), [1.0, 0.0, 0.5, 0.5, 1.0, 0.0]);
    assert!(run(&chain, &[f32::INFINITY, 0.0]).iter().all(|score| score.is_nan()));
}

#[test]
fn the_widest_layers_work() {
    let layers = layers(&[8192, 3, 8192], &[Activation::Relu, Activation::Relu], 5);
    let rows = numbers(9, 2 * 8192, 1.0);
    let want: Vec<f32> = rows.chunks(8192).flat_map(|row| exactly(&layers, row)).collect();
    assert_eq!(bits(&run(&Chain::new(&layers, Readout::Outputs).unwrap(), &rows)), bits(&want));
}

#[test]
fn no_events_are_no_work() {
    let chain = Chain::new(&layers(&[3, 2], &[Activation::None], 1), Readout::Outputs).unwrap();
    assert_eq!(run(&chain, &[]), []);
    chain.run_tile(&mut chain.tile(), 0);
}

#[test]
fn what_does_not_fit_is_refused() {
    let good = layers(&[3, 4, 2], &[Activation::Relu, Activation::None], 1);
    let refused = |layers: &[Layer], readout| Chain::new(layers, readout).unwrap_err();
    let broken = |change: fn(&mut Vec<Layer>)| {
        let mut layers = good.clone();
        change(&mut layers);
        refused(&layers, Readout::Outputs)
    };
    let wrong = |layer, fault| ChainError::Layer { layer, fault };
    assert_eq!(broken(Vec::clear), ChainError::Layers(0));
    assert_eq!(
        refused(&good, Readout::ReconstructionError),
        ChainError::Reconstruction { inputs: 3, outputs: 2 }
    );
    assert_eq!(broken(|layers| layers[0].outputs = 0), wrong(0, LayerFault::Width(0)));
    assert_eq!(broken(|layers| layers[1].inputs = 8193), wrong(1, LayerFault::Width(8193)));
    assert_eq!(broken(|layers| layers[1].inputs = 5), wrong(1, LayerFault::Inputs { before: 4, inputs: 5 }));
    assert_eq!(
        broken(|layers| layers[0].weight.truncate(11)),
        wrong(0, LayerFault::Weights { found: 11, wanted: 12 })
    );
    assert_eq!(
        broken(|layers| layers[1].bias.push(0.0)),
        wrong(1, LayerFault::Biases { found: 3, wanted: 2 })
    );
    assert_eq!(broken(|layers| layers[0].activation = Activation::Softmax), wrong(0, LayerFault::Softmax));
    assert_eq!(broken(|layers| layers[0].weight[5] = f32::NAN), wrong(0, LayerFault::NotFinite));
    assert_eq!(broken(|layers| layers[1].bias[1] = f32::INFINITY), wrong(1, LayerFault::NotFinite));
    assert_eq!(
        broken(|layers| layers[1].activation = Activation::LeakyRelu(f32::NAN)),
        wrong(1, LayerFault::NotFinite)
    );
    for isa in Isa::ALL {
        let made = Chain::with_isa(&good, Readout::Outputs, isa).map(|chain| chain.isa());
        assert_eq!(made, if isa.is_available() { Ok(isa) } else { Err(ChainError::Lacks(isa)) });
    }
}

#[test]
#[should_panic(expected = "made by another kernel")]
fn a_tile_of_another_kernel_is_noticed() {
    let tile = |widths: &[usize]| -> (Chain, Tile) {
        let chain = Chain::new(&layers(widths, &[Activation::None], 1), Readout::Outputs).unwrap();
        let tile = chain.tile();
        (chain, tile)
    };
    let ((chain, _), (_, mut tile)) = (tile(&[3, 2]), tile(&[4, 2]));
    chain.run_tile(&mut tile, 1);
}

#[test]
#[should_panic(expected = "scores for each of")]
fn room_for_too_few_scores_is_noticed() {
    let chain = Chain::new(&layers(&[3, 2], &[Activation::None], 1), Readout::Outputs).unwrap();
    chain.run(&mut chain.tile(), &[0.0; 6], &mut [0.0; 3]);
}
