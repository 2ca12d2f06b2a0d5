//! How real numbers become integers: the scales of a chain, chosen once.
//!
//! ```text
//!   integers x of a layer       sums, exact, in i32                 integers of the next layer
//!   low..=high, each means  --> start + w_q x,  w_q = w / s  -----> sum >> shift, clamped to low..=high        none, relu
//!   step x + offset             s per neuron                  '---> activation(sum * scale + bias), rounded    others
//! ```
//!
//! * I1: whatever the inputs within their ranges, a sum lies within 32 bits once it is complete, and sums that wrap on the way come back: so the
//!   order of additions does not matter, nor how many are made at once.
//! * I2: a hidden layer uses as many integers, `0..=q` or `-q..=q`, as leave its weights as many again: with a larger `q` the sums of the next
//!   layer would have to do with coarser weights, with a smaller one with coarser activations.
//! * I3: where a shift makes integers of sums, `s` is the step of the next layer over a power of two, so there is no other rounding: weights lose
//!   one bit at most to this, and half of the integers' step stands in `start`.
//! * I4: what is rounded to an integer lies between -2^31 and 2^31.

use super::{Calibration, IntChainError, IntInput};
use crate::chain::Layer;
use crate::dense::Activation;

/// A layer in integers.
#[derive(Clone, Debug)]
pub(super) struct IntLayer {
    /// `[output][input]`.
    pub weight: Vec<i16>,
    pub neurons: Vec<Neuron>,
    /// Floats times this are integers of the next layer.
    pub per_step: f32,
    /// The integers of the next layer.
    pub range: [i16; 2],
}

/// From integers to a sum, and from a sum to a number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Neuron {
    /// What the sum begins with.
    pub start: i32,
    /// To the right, for what becomes an integer.
    pub shift: u32,
    /// For what becomes a float.
    pub scale: f32,
    pub bias: f32,
}

/// Does a shift make the integers of the next layer?
pub(super) fn is_shifted(activation: Activation) -> bool {
    matches!(activation, Activation::None | Activation::Relu)
}

/// Larger shifts would leave nothing of a sum that is worth the room for half of a step.
const SHIFT_MAX: u32 = 24;

/// Integers that enter a layer, and what they mean.
#[derive(Clone, Copy, Debug)]
struct Entry {
    low: i16,
    high: i16,
    step: f64,
    offset: f64,
}

/// Scales `layers`, which were checked, as the calibration was.
pub(super) fn scale(layers: &[Layer], calibration: &Calibration) -> Result<Vec<IntLayer>, IntChainError> {
    let entry = |&IntInput { low, high, scale, offset }: &IntInput| Entry {
        low,
        high,
        step: scale.into(),
        offset: offset.into(),
    };
    let mut entries: Vec<Entry> = calibration.inputs.iter().map(entry).collect();
    let mut scaled = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let rows = layer.weight.chunks(layer.inputs).zip(&layer.bias);
        let sums: Vec<Sum> = rows.map(|(weight, &bias)| Sum::of(weight, bias, &entries)).collect();
        let next = layers.get(index + 1);
        let out = next.map(|next| hidden(layer.activation, &sums, next, calibration.hidden[index]));
        let (mut weight, mut neurons) = (Vec::new(), Vec::new());
        for sum in &sums {
            let step = out.filter(|_| is_shifted(layer.activation)).map(|out| out.step);
            neurons.push(sum.quantise(step, &entries, &mut weight));
        }
        let out = out.unwrap_or(Entry { low: 0, high: 0, step: 1.0, offset: 0.0 });
        let per_step = (1.0 / out.step) as f32;
        let is_expressible = is_shifted(layer.activation) || per_step.is_normal();
        let mut numbers = neurons.iter().flat_map(|neuron| [neuron.scale, neuron.bias]);
        if !is_expressible || numbers.any(|number| !number.is_finite()) {
            return Err(IntChainError::Scale(index));
        }
        scaled.push(IntLayer { weight, neurons, per_step, range: [out.low, out.high] });
        entries = vec![out; layer.outputs];
    }
    Ok(scaled)
}

/// A sum of a neuron in real numbers: weights per integer, and what is added to them.
struct Sum {
    weight: Vec<f64>,
    bias: f64,
    /// No scale can be finer (I1).
    finest: f64,
    /// No input makes a larger sum, but for the sign.
    reach: f64,
}

impl Sum {
    fn of(weight: &[f32], bias: f32, entries: &[Entry]) -> Self {
        let of_entry = |(&weight, entry): (&f32, &Entry)| f64::from(weight) * entry.step;
        let offset = |(&weight, entry): (&f32, &Entry)| f64::from(weight) * entry.offset;
        let bias = f64::from(bias) + weight.iter().zip(entries).map(offset).sum::<f64>();
        let weight: Vec<f64> = weight.iter().zip(entries).map(of_entry).collect();
        let largest = weight.iter().map(|weight| weight.abs()).fold(0.0, f64::max);
        let [below, above] = extremes(&weight, entries);
        let reach = above.max(-below) + bias.abs();
        // Rounding adds half of each integer to a sum at most, and one to what it begins with.
        let half = |entry: &Entry| f64::from(entry.low).abs().max(f64::from(entry.high).abs()) / 2.0;
        let rounding = entries.iter().map(half).sum::<f64>() + f64::from(1 << (SHIFT_MAX - 1)) + 1.0;
        let finest = (largest / f64::from(i16::MAX)).max(reach / (f64::from(i32::MAX) - rounding));
        Self { weight, bias, finest, reach }
    }

    /// Appends the weights. With the step of the next layer for a shift, without one for floats.
    fn quantise(&self, step: Option<f64>, entries: &[Entry], weights: &mut Vec<i16>) -> Neuron {
        let mut neuron = Neuron::default();
        let mut scale = if self.finest > 0.0 { self.finest } else { 1.0 };
        if let Some(step) = step {
            scale = step;
            while neuron.shift < SHIFT_MAX && scale / 2.0 >= self.finest {
                scale /= 2.0;
                neuron.shift += 1;
            }
            neuron.start = (self.bias / scale).round_ties_even() as i32 + (1 << neuron.shift >> 1);
        } else {
            (neuron.scale, neuron.bias) = (scale as f32, self.bias as f32);
        }
        let quantised: Vec<f64> =
            self.weight.iter().map(|weight| (weight / scale).round_ties_even()).collect();
        let [below, above] = extremes(&quantised, entries).map(|sum| sum + f64::from(neuron.start));
        assert!(below >= f64::from(i32::MIN) && above <= f64::from(i32::MAX), "a sum fits into 32 bits");
        weights.extend(quantised.iter().map(|&weight| weight as i16));
        neuron
    }
}

/// The smallest and the largest sum for integers within their ranges.
fn extremes(weight: &[f64], entries: &[Entry]) -> [f64; 2] {
    weight.iter().zip(entries).fold([0.0; 2], |[below, above], (weight, entry)| {
        let [a, b] = [entry.low, entry.high].map(|end| weight * f64::from(end));
        [below + a.min(b), above + a.max(b)]
    })
}

/// The integers of a hidden layer (I2, I4).
fn hidden(activation: Activation, sums: &[Sum], next: &Layer, largest: f32) -> Entry {
    let never_negative = matches!(activation, Activation::Relu | Activation::Sigmoid);
    let unit = Entry { low: if never_negative { 0 } else { -1 }, high: 1, step: 1.0, offset: 0.0 };
    let entries = vec![unit; next.inputs];
    let mut spread = 0.0f64;
    for weight in next.weight.chunks(next.inputs) {
        let weight: Vec<f64> = weight.iter().map(|&weight| weight.into()).collect();
        let largest = weight.iter().map(|weight| weight.abs()).fold(f64::MIN_POSITIVE, f64::max);
        let [below, above] = extremes(&weight, &entries);
        spread = spread.max(above.max(-below) / largest);
    }
    let q = (f64::from(i32::MAX) / spread).sqrt().min(i16::MAX.into()).floor();
    let coarsest = |values: fn(&Sum) -> f64| sums.iter().map(values).fold(0.0, f64::max);
    let step = match activation {
        Activation::None | Activation::Relu => coarsest(|sum| sum.finest),
        Activation::LeakyRelu(alpha) => {
            coarsest(|sum| sum.reach) * f64::from(alpha).abs().max(1.0) / f64::from(1 << 30)
        }
        Activation::Tanh | Activation::Sigmoid | Activation::Softmax => 1.0 / f64::from(1 << 30),
    };
    let step = step.max(f64::from(largest) / q);
    let step = if step > 0.0 { step } else { 1.0 };
    Entry { low: (f64::from(unit.low) * q) as i16, high: q as i16, step, offset: 0.0 }
}
