//! What integer kernels need beyond [`Simd`]: registers whose lanes hold two 16-bit integers of an event, a *pair*, or one 32-bit integer.
//!
//! * I1: every operation gives the same bits on every instruction set.
//! * I2: no operation mixes lanes.

use super::Simd;
use crate::int::Pairs;

/// An instruction set with integers. Registers are those of [`Simd`], which see the bits only.
pub(crate) trait IntSimd: Simd {
    /// Register `register` of `from`.
    fn load_pairs(self, from: &Pairs, register: usize) -> Self::V;
    /// Stores into register `register` of `to`.
    fn store_pairs(self, to: &mut Pairs, register: usize, v: Self::V);
    /// `bits` in every lane: an integer, or a pair with its first integer in the low half.
    fn splat_bits(self, bits: u32) -> Self::V;

    /// `sum + a.first * b.first + a.second * b.second` as 32-bit integers, wrapping.
    fn multiply_add_pairs(self, a: Self::V, b: Self::V, sum: Self::V) -> Self::V;
    /// `min(max(a, low), high)` of each integer of a pair.
    fn clamp_pairs(self, a: Self::V, low: Self::V, high: Self::V) -> Self::V;
    /// The float that is nearest to a 32-bit integer, ties to even.
    fn int_to_float(self, a: Self::V) -> Self::V;
    /// The first of a pair as a 32-bit integer.
    fn first(self, a: Self::V) -> Self::V;
    /// The second of a pair as a 32-bit integer.
    fn second(self, a: Self::V) -> Self::V;
    /// The 32-bit integer that is nearest to a float between -2^31 and 2^31, ties to even.
    fn nearest(self, a: Self::V) -> Self::V;
    /// `a >> by`, as a signed 32-bit integer, by less than 32.
    fn shift_right(self, a: Self::V, by: Self::V) -> Self::V;
    /// A pair of two 32-bit integers; of one beyond 16 bits the nearest that has 16.
    fn pair(self, a: Self::V, b: Self::V) -> Self::V;
}
