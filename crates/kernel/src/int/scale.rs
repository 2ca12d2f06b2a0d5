//! How real numbers become integers: the scales of a chain, chosen once.
//!
//! ```text
//!   integers x of a layer       sums, exact, in i32                 integers of the next layer, clamped to low..=high
//!   low..=high, each means  --> start + w_q x,  w_q = w / s  -----> sum >> shift                               none, relu
//!   step x + offset             s per neuron                  |---> sum * scale + bias, rounded                none, relu, behind 8 bits
//!                                                             '---> activation(sum * scale + bias), rounded    others
//! ```
//!
//! * I1: whatever the inputs within their ranges, a sum lies within 32 bits once it is complete, and sums that wrap on the way come back: so the
//!   order of additions does not matter, nor how many are made at once.
//! * I2: a hidden layer of 16 bits uses as many integers, `0..=q` or `-q..=q`, as leave its weights as many again: with a larger `q` the sums of
//!   the next layer would have to do with coarser weights, with a smaller one with coarser activations. In 8 bits `q` is 127, and so is the
//!   largest weight that meets it: 8192 such products are far from the end of 32 bits.
//! * I3: where a shift makes integers of sums, `s` is the step of the next layer over a power of two, so there is no other rounding: weights lose
//!   one bit at most to this, and half of the integers' step stands in `start`. Weights of 8 bits have no bit to lose.
//! * I4: what is rounded to an integer lies between -2^31 and 2^31.

use super::packing::{HiddenBits, Packing, is_never_negative};
use super::{ChainRanges, IntChainError, IntInput};
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
    pub way: Way,
    pub takes: Packing,
    pub gives: Packing,
}

/// The way from a sum to an integer of the next layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// [`Neuron::shift`].
    Shift,
    /// [`Neuron::scale`] and [`Neuron::bias`] give it in steps of the next layer, as a float that is rounded.
    Round,
    /// The same give a float to which the activation is applied; times [`IntLayer::per_step`] it is rounded. So is what has no next layer, but for
    /// the rounding.
    Numbers,
}

impl Way {
    fn of(activation: Activation, takes: Packing) -> Self {
        match (activation, takes) {
            (Activation::None | Activation::Relu, Packing::Pairs) => Self::Shift,
            (Activation::None | Activation::Relu, Packing::Quads) => Self::Round,
            _ => Self::Numbers,
        }
    }
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

impl Entry {
    /// Behind the last layer.
    const NONE: Self = Self { low: 0, high: 0, step: 1.0, offset: 0.0 };
}

/// Scales `layers`, which were checked, as the calibration was.
pub(super) fn scale(
    layers: &[Layer],
    calibration: &ChainRanges,
    bits: HiddenBits,
) -> Result<Vec<IntLayer>, IntChainError> {
    let entry = |&IntInput { low, high, scale, offset }: &IntInput| Entry {
        low,
        high,
        step: scale.into(),
        offset: offset.into(),
    };
    let mut entries: Vec<Entry> = calibration.inputs.iter().map(entry).collect();
    let mut scaled = Vec::new();
    let mut takes = Packing::Pairs;
    for (index, layer) in layers.iter().enumerate() {
        let rows = layer.weight.chunks(layer.inputs).zip(&layer.bias);
        let sums: Vec<Sum> = rows.map(|(weight, &bias)| Sum::of(weight, bias, &entries, takes)).collect();
        let mut way = Way::Numbers;
        let mut gives = Packing::Pairs;
        let mut out = Entry::NONE;
        if let Some(next) = layers.get(index + 1) {
            (way, gives) = (Way::of(layer.activation, takes), bits.packing(layer.activation));
            out = hidden(layer.activation, way, &sums, next, gives, calibration.hidden[index]);
        }
        let (mut weight, mut neurons) = (Vec::new(), Vec::new());
        for sum in &sums {
            neurons.push(sum.quantise(way, out.step, &entries, &mut weight));
        }
        let per_step = (1.0 / out.step) as f32;
        let is_expressible = way != Way::Numbers || per_step.is_normal();
        let mut numbers = neurons.iter().flat_map(|neuron| [neuron.scale, neuron.bias]);
        if !is_expressible || numbers.any(|number| !number.is_finite()) {
            return Err(IntChainError::Scale(index));
        }
        scaled.push(IntLayer { weight, neurons, per_step, range: [out.low, out.high], way, takes, gives });
        (entries, takes) = (vec![out; layer.outputs], gives);
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
    fn of(weight: &[f32], bias: f32, entries: &[Entry], takes: Packing) -> Self {
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
        let finest = (largest / f64::from(takes.largest())).max(reach / (f64::from(i32::MAX) - rounding));
        Self { weight, bias, finest, reach }
    }

    /// Appends the weights. `step` is that of the next layer.
    fn quantise(&self, way: Way, step: f64, entries: &[Entry], weights: &mut Vec<i16>) -> Neuron {
        let mut neuron = Neuron::default();
        let mut scale = if self.finest > 0.0 { self.finest } else { 1.0 };
        match way {
            Way::Shift => {
                scale = step;
                while neuron.shift < SHIFT_MAX && scale / 2.0 >= self.finest {
                    scale /= 2.0;
                    neuron.shift += 1;
                }
                neuron.start = (self.bias / scale).round_ties_even() as i32 + (1 << neuron.shift >> 1);
            }
            Way::Round => {
                (neuron.scale, neuron.bias) = ((scale / step) as f32, (self.bias / step) as f32);
            }
            Way::Numbers => (neuron.scale, neuron.bias) = (scale as f32, self.bias as f32),
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
fn hidden(
    activation: Activation,
    way: Way,
    sums: &[Sum],
    next: &Layer,
    gives: Packing,
    largest: f32,
) -> Entry {
    let unit =
        Entry { low: if is_never_negative(activation) { 0 } else { -1 }, high: 1, step: 1.0, offset: 0.0 };
    let q = match gives {
        Packing::Pairs => {
            (f64::from(i32::MAX) / spread(next, unit)).sqrt().min(gives.largest().into()).floor()
        }
        Packing::Quads => gives.largest().into(),
    };
    let coarsest = |values: fn(&Sum) -> f64| sums.iter().map(values).fold(0.0, f64::max);
    // What is rounded stays below 2^31, with room for the rounding of floats.
    let reach = || coarsest(|sum| sum.reach) / f64::from(1 << 30);
    let mut largest = f64::from(largest);
    let step = match activation {
        Activation::None | Activation::Relu if way == Way::Shift => coarsest(|sum| sum.finest),
        Activation::None | Activation::Relu => reach(),
        Activation::LeakyRelu(alpha) => reach() * f64::from(alpha).abs().max(1.0),
        Activation::Tanh | Activation::Sigmoid | Activation::Softmax => {
            // They give nothing larger, whatever the margin of the calibration.
            largest = largest.min(1.0);
            1.0 / f64::from(1 << 30)
        }
    };
    let step = step.max(largest / q);
    let step = if step > 0.0 { step } else { 1.0 };
    Entry { low: (f64::from(unit.low) * q) as i16, high: q as i16, step, offset: 0.0 }
}

/// The largest sum that a neuron makes of inputs that are `unit` at most, over its largest weight.
fn spread(layer: &Layer, unit: Entry) -> f64 {
    let entries = vec![unit; layer.inputs];
    let mut spread = 0.0f64;
    for weight in layer.weight.chunks(layer.inputs) {
        let weight: Vec<f64> = weight.iter().map(|&weight| weight.into()).collect();
        let largest = weight.iter().map(|weight| weight.abs()).fold(f64::MIN_POSITIVE, f64::max);
        let [below, above] = extremes(&weight, &entries);
        spread = spread.max(above.max(-below) / largest);
    }
    spread
}
