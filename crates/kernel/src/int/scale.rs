//! Quantisation: chooses the scales of a chain, once.
//!
//! ```text
//!   integers x of a layer       sums, exact, in i32                 integers of the next layer, clamped to low..=high
//!   low..=high, each means  --> start + w_q x,  w_q = w / s  -----> sum >> shift                               none, relu
//!   step x + offset             s per neuron                  |---> sum * scale + bias, rounded                none, relu, after 8 bits
//!                                                             '---> activation(sum * scale + bias), rounded    others
//! ```
//!
//! * I1: for any inputs within their ranges, a complete sum fits in 32 bits, and partial sums that wrap come back: so neither the
//!   order of additions matters nor how many are made at once.
//! * I2: a 16-bit hidden layer uses the integers `0..=q` or `-q..=q`, with `q` such that the weights after it have about as many: with a larger `q`
//!   the next layer's weights would be coarser, with a smaller one its activations would be. In 8 bits `q` is 127, and so is the
//!   largest weight that multiplies it: 8192 such products are far from overflowing 32 bits.
//! * I3: where a shift requantises sums, `s` is the step of the next layer divided by a power of two, so there is no other rounding: weights lose
//!   at most one bit to this, and `start` includes half a step for rounding. 8-bit weights have no bit to lose, so they are requantised by scale and
//!   bias.
//! * I4: every float that is rounded to an integer lies between -2^31 and 2^31.

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
    /// Factor from floats to integers of the next layer.
    pub per_step: f32,
    /// Smallest and largest integer of the next layer.
    pub range: [i16; 2],
    pub way: Way,
    pub takes: Packing,
    pub gives: Packing,
}

/// How a sum is requantised to an integer of the next layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By [`Neuron::shift`].
    Shift,
    /// By [`Neuron::scale`] and [`Neuron::bias`] to a float in steps of the next layer, which is rounded.
    Round,
    /// By the same to a float, to which the activation is applied; times [`IntLayer::per_step`] it is rounded. The last layer stops before
    /// that factor.
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

/// The constants of a neuron: start of its sum and requantisation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Neuron {
    /// Initial value of the sum.
    pub start: i32,
    /// Right shift to an integer ([`Way::Shift`]).
    pub shift: u32,
    /// Factor to a float (other ways).
    pub scale: f32,
    pub bias: f32,
}

/// Largest shift. A larger one would add no useful precision for the headroom that half a step takes.
const SHIFT_MAX: u32 = 24;

/// The integers of one input of a layer and their meaning, `step * integer + offset`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    low: i16,
    high: i16,
    step: f64,
    offset: f64,
}

impl Entry {
    /// After the last layer.
    const NONE: Self = Self { low: 0, high: 0, step: 1.0, offset: 0.0 };
}

/// Quantises `layers`. Layers and calibration were checked.
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

/// The sum of a neuron in real numbers: weights per integer step, and bias.
struct Sum {
    weight: Vec<f64>,
    bias: f64,
    /// The finest scale that keeps I1.
    finest: f64,
    /// The largest absolute sum for any inputs.
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
        // Rounded weights change a sum by at most half of each integer; the start adds half a step and its own rounding.
        let half = |entry: &Entry| f64::from(entry.low).abs().max(f64::from(entry.high).abs()) / 2.0;
        let rounding = entries.iter().map(half).sum::<f64>() + f64::from(1 << (SHIFT_MAX - 1)) + 1.0;
        let finest = (largest / f64::from(takes.largest())).max(reach / (f64::from(i32::MAX) - rounding));
        Self { weight, bias, finest, reach }
    }

    /// Appends the quantised weights. `step` is that of the next layer.
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
    // Values to be rounded stay below 2^31, with a margin for the rounding of floats.
    let reach = || coarsest(|sum| sum.reach) / f64::from(1 << 30);
    let mut largest = f64::from(largest);
    let step = match activation {
        Activation::None | Activation::Relu if way == Way::Shift => coarsest(|sum| sum.finest),
        Activation::None | Activation::Relu => reach(),
        Activation::LeakyRelu(alpha) => reach() * f64::from(alpha).abs().max(1.0),
        Activation::Tanh | Activation::Sigmoid | Activation::Softmax => {
            // Their outputs are at most 1, whatever the margin of the calibration.
            largest = largest.min(1.0);
            1.0 / f64::from(1 << 30)
        }
    };
    let step = step.max(largest / q);
    let step = if step > 0.0 { step } else { 1.0 };
    Entry { low: (f64::from(unit.low) * q) as i16, high: q as i16, step, offset: 0.0 }
}

/// The largest sum of any neuron for inputs within `unit`, divided by the neuron's largest weight.
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
