//! Dense layers, and their outputs in plain loops.

use proptest::prelude::*;
use tamis_kernel::{Activation, Layer};

/// Pseudorandom numbers.
pub fn numbers(seed: u64, count: usize, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1u32 << 24) as f32 * 2.0 - 1.0) * scale
    };
    (0..count).map(|_| next()).collect()
}

pub fn layers(widths: &[usize], activations: &[Activation], seed: u64) -> Vec<Layer> {
    let layer = |(i, (pair, &activation)): (usize, (&[usize], &Activation))| Layer {
        inputs: pair[0],
        outputs: pair[1],
        weight: numbers(seed + i as u64 * 2, pair[0] * pair[1], 2.0 / (pair[0] as f32).sqrt()),
        bias: numbers(seed + i as u64 * 2 + 1, pair[1], 0.5),
        activation,
    };
    widths.windows(2).zip(activations).enumerate().map(layer).collect()
}

/// The documented order of operations, one event at a time, for activations that are exact.
pub fn exactly(layers: &[Layer], row: &[f32]) -> Vec<f32> {
    let mut x = row.to_vec();
    for layer in layers {
        let neuron = |(weight, &bias): (&[f32], &f32)| {
            let sum = weight.iter().zip(&x).fold(bias, |sum, (w, x)| w.mul_add(*x, sum));
            match layer.activation {
                Activation::None => sum,
                Activation::Relu if sum < 0.0 => 0.0,
                Activation::LeakyRelu(alpha) if sum < 0.0 => alpha * sum,
                Activation::Relu | Activation::LeakyRelu(_) => sum,
                _ => unreachable!("not exact"),
            }
        };
        x = layer.weight.chunks(layer.inputs).zip(&layer.bias).map(neuron).collect();
    }
    x.into_iter().map(|score| if score.is_nan() { f32::NAN } else { score }).collect()
}

pub fn exact_activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::None),
        Just(Activation::Relu),
        (-1.0f32..1.0).prop_map(Activation::LeakyRelu)
    ]
}
