//! Passes over the inputs of a tile.

use super::packing::pair;
use super::{IntInput, Pairs};
use crate::lanes::Lanes;
use crate::simd::IntSimd;

/// The ranges of two inputs that share a lane, or of the last one alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    low: u32,
    high: u32,
}

impl Range {
    const OPEN: [i16; 2] = [i16::MIN, i16::MAX];

    /// The ranges of `inputs` by pairs; `None` where both are all 16 bits.
    pub fn of(inputs: &[IntInput]) -> Box<[Option<Self>]> {
        let range = |inputs: &[IntInput]| {
            let ends = [0, 1].map(|i| inputs.get(i).map_or(Self::OPEN, |input| [input.low, input.high]));
            let [[low, high], [other_low, other_high]] = ends;
            let range = Self { low: pair([low, other_low]), high: pair([high, other_high]) };
            (ends != [Self::OPEN; 2]).then_some(range)
        };
        inputs.chunks(2).map(range).collect()
    }
}

/// Clamps every input to its range.
#[inline(always)]
pub(super) fn clamp<S: IntSimd>(simd: S, ranges: &[Option<Range>], x: &mut [Pairs], events: usize) {
    for (x, range) in x.iter_mut().zip(ranges) {
        if let Some(Range { low, high }) = *range {
            let (low, high) = (simd.splat_bits(low), simd.splat_bits(high));
            for register in 0..events.div_ceil(S::LANES) {
                let v = simd.clamp_pairs(simd.load_pairs(x, register), low, high);
                simd.store_pairs(x, register, v);
            }
        }
    }
}

/// Partial sums of the squared error: with a single one, each addition would wait for the one before.
const PARTIAL: usize = 4;

/// Mean of `(y - (scale x + offset))^2` over all inputs of an event: squares in ascending order into four sums in turn, which are then added
/// in pairs.
#[inline(always)]
pub(super) fn mean_squared_error<S: IntSimd>(
    simd: S,
    inputs: &[IntInput],
    x: &[Pairs],
    y: &[Lanes],
    out: &mut Lanes,
    events: usize,
) {
    let count = simd.splat(inputs.len() as f32);
    for register in 0..events.div_ceil(S::LANES) {
        let mut sums = [simd.splat(0.0); PARTIAL];
        for (i, (input, y)) in inputs.iter().zip(y).enumerate() {
            let pair = simd.load_pairs(&x[i / 2], register);
            let integer = if i % 2 == 0 { simd.first(pair) } else { simd.second(pair) };
            let x = simd.to_float(integer);
            let x = simd.fma(x, simd.splat(input.scale), simd.splat(input.offset));
            let difference = simd.sub(simd.load(y, register), x);
            let sum = &mut sums[i % PARTIAL];
            *sum = simd.fma(difference, difference, *sum);
        }
        let sum = simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3]));
        simd.store(out, register, simd.div(sum, count));
    }
}
