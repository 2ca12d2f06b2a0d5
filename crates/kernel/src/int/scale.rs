//! How real numbers become integers: the scales of a chain, chosen once.
//!
//! ```text
//!   integers x of a layer         sum of w_q x, exact          float                   integers of the next layer
//!   low..=high, each means   -->  in i32, w_q = w / s     -->  sum * scale + bias  --> nearest, clamped to low..=high
//!   step * x + offset             s per neuron                 in units of the step
//! ```
//!
//! * I1: a sum that ends is exact. Whatever the inputs within their ranges, it lies within 32 bits, and sums that wrap on the way come back: so
//!   the order of additions does not matter, nor how many are made at once.
//! * I2: a hidden layer uses as many integers, `0..=q` or `-q..=q`, as leave its weights as many again: with `q` larger the sums of the next
//!   layer would have to do with coarser weights, with `q` smaller with coarser activations.
//! * I3: what is rounded to a hidden integer lies below 2^30 for all inputs, so clamping is exact and there is no other overflow.

use super::{Calibration, IntChainError};
use crate::chain::Layer;
use crate::dense::Activation;

/// Integers of a neuron or an input, and what they mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    pub low: i16,
    pub high: i16,
    pub step: f64,
    pub offset: f64,
}

/// A layer in integers.
#[derive(Clone, Debug)]
pub(super) struct IntLayer {
    /// `[output][input]`.
    pub weight: Vec<i16>,
    pub rescale: Vec<Rescale>,
    /// What becomes an integer of the next layer, after the activation: its product with this.
    pub per_step: f32,
    /// The integers of the next layer, none after the last.
    pub range: [i16; 2],
}

/// What makes a float of a sum.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rescale {
    pub scale: f32,
    pub bias: f32,
}

/// Is `activation` done on a sum while it is in a register, and does it commute with a scale?
pub(super) fn is_homogeneous(activation: Activation) -> bool {
    matches!(activation, Activation::None | Activation::Relu | Activation::LeakyRelu(_))
}

/// Scales `layers`, which were checked.
pub(super) fn scale(layers: &[Layer], calibration: &Calibration) -> Result<Vec<IntLayer>, IntChainError> {
    let meaning = |input: &super::IntInput| Meaning {
        low: input.low,
        high: input.high,
        step: input.scale.into(),
        offset: input.offset.into(),
    };
    let mut inputs: Vec<Meaning> = calibration.inputs.iter().map(meaning).collect();
    let mut scaled = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let rows = layer.weight.chunks(layer.inputs).zip(&layer.bias);
        let neurons: Vec<Neuron> = rows.map(|(weight, &bias)| neuron(weight, bias, &inputs)).collect();
        let (out, unit) = match layers.get(index + 1) {
            Some(next) => hidden(layer.activation, &neurons, next, calibration.hidden[index]),
            None => (Meaning { low: 0, high: 0, step: 1.0, offset: 0.0 }, 1.0),
        };
        let rescale = |neuron: &Neuron| Rescale {
            scale: (neuron.scale / unit) as f32,
            bias: (neuron.bias / unit) as f32,
        };
        let rescale: Vec<Rescale> = neurons.iter().map(rescale).collect();
        let per_step = (unit / out.step) as f32;
        let mut numbers = rescale.iter().flat_map(|neuron| [neuron.scale, neuron.bias]);
        if !per_step.is_finite() || numbers.any(|number| !number.is_finite()) {
            return Err(IntChainError::Scale(index));
        }
        let weight = neurons.into_iter().flat_map(|neuron| neuron.weight).collect();
        scaled.push(IntLayer { weight, rescale, per_step, range: [out.low, out.high] });
        inputs = vec![out; layer.outputs];
    }
    Ok(scaled)
}

struct Neuron {
    weight: Vec<i16>,
    /// Of its sums.
    scale: f64,
    bias: f64,
    /// No input makes a larger result, but for the sign.
    reach: f64,
}

/// The finest weights whose sum fits into 32 bits for all inputs (I1).
fn neuron(weight: &[f32], bias: f32, inputs: &[Meaning]) -> Neuron {
    let per_integer = || weight.iter().zip(inputs).map(|(&weight, input)| f64::from(weight) * input.step);
    let offsets = weight.iter().zip(inputs).map(|(&weight, input)| f64::from(weight) * input.offset);
    let bias = f64::from(bias) + offsets.sum::<f64>();
    let largest = per_integer().map(f64::abs).fold(0.0, f64::max);
    // Rounding can add half of each input to a sum.
    let rounding: f64 =
        inputs.iter().map(|x| f64::from(x.low).abs().max(f64::from(x.high).abs()) / 2.0).sum();
    let [below, above] = extremes(
        per_integer().zip(inputs).map(|(weight, x)| [weight * f64::from(x.low), weight * f64::from(x.high)]),
    );
    let scale =
        (largest / f64::from(i16::MAX)).max(above.max(-below) / (f64::from(i32::MAX) - 1.0 - rounding));
    let scale = if scale > 0.0 { scale } else { 1.0 };
    let weight: Vec<i16> = per_integer().map(|weight| (weight / scale).round_ties_even() as i16).collect();
    let [below, above] = extremes(
        weight
            .iter()
            .zip(inputs)
            .map(|(&weight, x)| [x.low, x.high].map(|x| f64::from(weight) * f64::from(x))),
    );
    assert!(below >= f64::from(i32::MIN) && above <= f64::from(i32::MAX), "a sum fits into 32 bits");
    Neuron { weight, scale, bias, reach: above.max(-below) * scale + bias.abs() }
}

/// The smallest and the largest sum of terms that lie between two numbers each.
fn extremes(terms: impl Iterator<Item = [f64; 2]>) -> [f64; 2] {
    terms.fold([0.0; 2], |[below, above], [a, b]| [below + a.min(b), above + a.max(b)])
}

/// The integers of a hidden layer (I2, I3), and the unit of what its activation is applied to.
fn hidden(activation: Activation, neurons: &[Neuron], next: &Layer, largest: f32) -> (Meaning, f64) {
    let never_negative = matches!(activation, Activation::Relu | Activation::Sigmoid);
    let low = if never_negative { 0.0 } else { -1.0 };
    let mut spread = 0.0f64;
    for weight in next.weight.chunks(next.inputs) {
        let largest = weight.iter().map(|weight| f64::from(weight.abs())).fold(f64::MIN_POSITIVE, f64::max);
        let [below, above] =
            extremes(weight.iter().map(|&weight| [f64::from(weight) * low, f64::from(weight)]));
        spread = spread.max(above.max(-below) / largest);
    }
    let q = (f64::from(i32::MAX) / spread).sqrt().min(i16::MAX.into()).floor();
    let range = |end: f64| (end * q) as i16;
    let slope =
        if let Activation::LeakyRelu(alpha) = activation { f64::from(alpha).abs().max(1.0) } else { 1.0 };
    let reach = neurons.iter().map(|neuron| neuron.reach).fold(0.0, f64::max) * slope;
    let reach = if is_homogeneous(activation) { reach } else { 1.0 };
    let step = (f64::from(largest) / q).max(reach / f64::from(1 << 30));
    let step = if step > 0.0 { step } else { 1.0 };
    let out = Meaning { low: range(low), high: range(1.0), step, offset: 0.0 };
    (out, if is_homogeneous(activation) { step } else { 1.0 })
}
