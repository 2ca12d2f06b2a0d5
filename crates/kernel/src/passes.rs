//! Passes over all numbers of a tile, for operations that cannot be done while a layer is in registers: they take many steps or need all outputs.

use crate::dense::Activation;
use crate::lanes::Lanes;
use crate::math;
use crate::simd::Simd;

/// Applies an activation to numbers in registers; does nothing if it takes many operations or needs all outputs.
#[inline(always)]
pub(crate) fn activate_registers<S: Simd>(simd: S, activation: Activation, numbers: &mut [S::V]) {
    match activation {
        Activation::Relu => {
            let zero = simd.splat(0.0);
            for x in numbers {
                *x = simd.max(zero, *x);
            }
        }
        Activation::LeakyRelu(alpha) => {
            let alpha = simd.splat(alpha);
            for x in numbers {
                *x = simd.replace_negative(*x, simd.mul(alpha, *x));
            }
        }
        Activation::None | Activation::Softmax | Activation::Tanh | Activation::Sigmoid => {}
    }
}

/// Applies an activation to a whole layer in memory; does nothing if it was applied in registers.
#[inline(always)]
pub(crate) fn activate<S: Simd>(simd: S, activation: Activation, y: &mut [Lanes], events: usize) {
    match activation {
        Activation::Tanh => tanh(simd, y, events),
        Activation::Sigmoid => sigmoid(simd, y, events),
        Activation::Softmax => softmax(simd, y, events),
        Activation::None | Activation::Relu | Activation::LeakyRelu(_) => {}
    }
}

/// The larger of two numbers; NaN if either is NaN.
#[inline(always)]
pub(crate) fn larger<S: Simd>(simd: S, a: S::V, b: S::V) -> S::V {
    // If one operand is NaN, each maximum gives its second operand, so the union of the bits is NaN; two equal results stay unchanged.
    simd.or(simd.max(a, b), simd.max(b, a))
}

/// `tanh` of every number, in place.
#[inline(always)]
fn tanh<S: Simd>(simd: S, y: &mut [Lanes], events: usize) {
    for lanes in y {
        for register in 0..events.div_ceil(S::LANES) {
            let v = math::tanh(simd, simd.load(lanes, register));
            simd.store(lanes, register, v);
        }
    }
}

/// The logistic function of every number, in place.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, y: &mut [Lanes], events: usize) {
    for lanes in y {
        for register in 0..events.div_ceil(S::LANES) {
            let v = math::sigmoid(simd, simd.load(lanes, register));
            simd.store(lanes, register, v);
        }
    }
}

/// Softmax over all of `y`, in place. The largest exponential is 1 before the division, so nothing overflows.
#[inline(always)]
pub(crate) fn softmax<S: Simd>(simd: S, y: &mut [Lanes], events: usize) {
    for register in 0..events.div_ceil(S::LANES) {
        let mut most = simd.splat(f32::NEG_INFINITY);
        for y in y.iter() {
            most = simd.max(simd.load(y, register), most);
        }
        let mut sum = simd.splat(0.0);
        for y in y.iter_mut() {
            let e = math::exp(simd, simd.sub(simd.load(y, register), most));
            sum = simd.add(sum, e);
            simd.store(y, register, e);
        }
        for y in y.iter_mut() {
            let share = simd.div(simd.load(y, register), sum);
            simd.store(y, register, share);
        }
    }
}

/// Partial sums of the squared error: with a single one, each addition would wait for the one before.
const PARTIAL: usize = 4;

/// Mean of `(y - x)^2` over all numbers of an event: squares in ascending order into four sums in turn, which are then added in pairs.
#[inline(always)]
pub(crate) fn mean_squared_error<S: Simd>(simd: S, x: &[Lanes], y: &[Lanes], out: &mut Lanes, events: usize) {
    let count = simd.splat(x.len() as f32);
    for register in 0..events.div_ceil(S::LANES) {
        let mut sums = [simd.splat(0.0); PARTIAL];
        for (i, (x, y)) in x.iter().zip(y).enumerate() {
            let difference = simd.sub(simd.load(y, register), simd.load(x, register));
            let sum = &mut sums[i % PARTIAL];
            *sum = simd.fma(difference, difference, *sum);
        }
        let sum = simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3]));
        simd.store(out, register, simd.div(sum, count));
    }
}

/// Replaces every NaN by the same NaN, so that scores can be compared bit by bit.
#[inline(always)]
pub(crate) fn one_nan<S: Simd>(simd: S, scores: &mut [Lanes], events: usize) {
    for lanes in scores {
        for register in 0..events.div_ceil(S::LANES) {
            let v = simd.one_nan(simd.load(lanes, register));
            simd.store(lanes, register, v);
        }
    }
}
