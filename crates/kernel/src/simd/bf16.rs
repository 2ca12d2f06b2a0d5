//! bf16: the upper half of a float, which leaves 8 significant bits and all of the range. Two share a lane.
//!
//! ```text
//!   bits 31 ..... 16  15 ...... 0
//!        number 2 k   number 2 k + 1      in this order, because the multiply-add takes the high half first
//! ```
//!
//! * I1: numbers are rounded to the nearest, of two the even one; beneath [`LEAST`] they count as zero. Infinities and NaNs stay what they are.
//! * I2: a multiply-add of two bf16 is two fused multiply-adds, the high halves first. That is what `vdpbf16ps` does (Intel, Software Developer's
//!   Manual), except that it takes denormals for zeros and makes none. Here none can come up: with I1 a product is a multiple of 2^-110, and so
//!   is a sum of such, rounded or not, if it began with a bias that is one.

use super::Simd;
#[cfg(any(test, target_arch = "x86_64"))]
use crate::lanes::{EVENTS, Lanes};

/// The smallest number that is not zero: 2^-48. As a bf16 it is a multiple of 2^-55.
pub(crate) const LEAST: f32 = f32::from_bits((127 - 48) << 23);

/// The largest that is finite.
const MOST: f32 = f32::from_bits(0x7f7f_0000);

const HIGH: u32 = 0xffff_0000;

/// The bf16 nearest to a finite number, as a float; the largest one for what is beyond.
pub(crate) fn nearest(x: f32) -> f32 {
    if x.abs() < LEAST {
        return 0.0;
    }
    let bits = x.to_bits();
    let rounded = bits + 0x7fff + (bits >> 16 & 1);
    f32::from_bits(rounded & HIGH).clamp(-MOST, MOST)
}

/// Two floats that are bf16, in a lane.
pub(crate) fn joined(a: f32, b: f32) -> f32 {
    f32::from_bits(a.to_bits() & HIGH | b.to_bits() >> 16)
}

/// Rounds `a` into the high halves and `b` into the low ones.
#[inline(always)]
pub(crate) fn join<S: Simd>(simd: S, a: S::V, b: S::V) -> S::V {
    let high = simd.and(rounded(simd, a), simd.splat(f32::from_bits(HIGH)));
    simd.or(high, simd.shift_right_unsigned(rounded(simd, b), 16))
}

/// The high half is the number, rounded; the low half is anything.
#[inline(always)]
fn rounded<S: Simd>(simd: S, a: S::V) -> S::V {
    let bits = |bits| simd.splat(f32::from_bits(bits));
    // The one NaN: another could become a number when its bits are rounded.
    let a = simd.settle(a);
    let size = simd.and(a, bits(i32::MAX.cast_unsigned()));
    let beneath = simd.keep_unless_le(a, size, bits(LEAST.to_bits() - 1), simd.splat(0.0));
    let a = simd.sub_int(a, beneath);
    let is_odd = simd.and(simd.shift_right_unsigned(a, 16), bits(1));
    simd.add_int(simd.add_int(a, bits(0x7fff)), is_odd)
}

/// [`Simd::multiply_add_bf16`] where no instruction does it.
#[inline(always)]
pub(crate) fn multiply_add<S: Simd>(simd: S, a: S::V, b: S::V, sum: S::V) -> S::V {
    let high = |pair| simd.and(pair, simd.splat(f32::from_bits(HIGH)));
    let low = |pair| simd.shift_left(pair, 16);
    simd.fma(low(a), low(b), simd.fma(high(a), high(b), sum))
}

/// Times that an instruction is tried before it is trusted.
#[cfg(any(test, target_arch = "x86_64"))]
pub(crate) const TRIALS: usize = 4096;

/// Something to try a multiply-add with, another for each seed: pairs of bf16. Zeros, infinities, and numbers of all sizes down to [`LEAST`], in a half
/// of the cases near each other, so that rounding shows.
#[cfg(any(test, target_arch = "x86_64"))]
pub(crate) fn operand(seed: usize) -> Lanes {
    let mut state = seed as u64;
    let mut half = || {
        // Knuth's generator, of whose bits the upper ones are good.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = state >> 20;
        let (sign, digits) = (random & 0x8000, random & 0x7f);
        let size = random >> 16 & 0x7f;
        match random >> 32 & 0xff {
            0..4 => sign,
            4 => sign | 0x7f80,
            5..128 => sign | (127 + size % 4) << 7 | digits,
            _ => sign | (127 - 48 + size) << 7 | digits,
        }
    };
    Lanes([(); EVENTS].map(|()| f32::from_bits((half() << 16 | half()) as u32)))
}

/// The same to be read as sums, of which none is a denormal (I2); some are NaN.
#[cfg(any(test, target_arch = "x86_64"))]
pub(crate) fn sum(seed: usize) -> Lanes {
    Lanes(operand(seed).0.map(|x| if x.is_subnormal() { 0.0 } else { x }))
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;
    use crate::isa::{Level, Work};

    /// The larger ones in size of `half`, which rounds alike, and zero for those beneath.
    fn wanted(x: f32) -> f32 {
        if x.abs() < LEAST { 0.0 } else { bf16::from_f32(x).to_f32() }
    }

    /// Joins the first two, and multiplies and adds all three.
    struct Both<'a>([Lanes; 3], &'a mut [Lanes; 2]);

    impl Work for Both<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for register in 0..EVENTS / S::LANES {
                let [a, b, sum] = self.0.map(|lanes| simd.load(&lanes, register));
                simd.store(&mut self.1[0], register, join(simd, a, b));
                simd.store(&mut self.1[1], register, simd.settle(simd.multiply_add_bf16(a, b, sum)));
            }
        }
    }

    fn halves(lane: f32) -> [f32; 2] {
        [lane.to_bits() & HIGH, lane.to_bits() << 16].map(f32::from_bits)
    }

    #[test]
    fn numbers_are_rounded_as_the_crate_half_does_on_every_instruction_set() {
        let edges = [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x1_7fff, 0x1_8000, 0x1_8001];
        let tops = [0, 0x2780, 0x277f, 0x3f80, 0x7f7f, 0x7f80, 0x7fc0, 0x7fff].map(|top| top << 16);
        let values: Vec<f32> = tops
            .into_iter()
            .flat_map(|top| edges.map(|edge| top + edge))
            .chain((0..4096u32).map(|i| i.wrapping_mul(0x9e37_79b9)))
            .flat_map(|bits| [bits, bits ^ 1 << 31].map(f32::from_bits))
            .collect();
        for level in Level::all() {
            for values in values.windows(EVENTS + 1) {
                let [a, b] = [0, 1].map(|from| Lanes(*values[from..].first_chunk().unwrap()));
                let mut out = [Lanes::ZERO; 2];
                level.run_bf16(Both([a, b, b], &mut out));
                for (lane, found) in out[0].0.into_iter().enumerate() {
                    for (x, found) in [a.0[lane], b.0[lane]].into_iter().zip(halves(found)) {
                        let same = found == wanted(x) || found.is_nan() && x.is_nan();
                        assert!(same, "{x:e} became {found:e} on {level:?}");
                        let is_finite = wanted(x).is_finite();
                        assert!(!is_finite || nearest(x) == found, "{x:e}");
                    }
                }
            }
        }
        assert_eq!([f32::MAX, -f32::MAX].map(nearest), [bf16::MAX, bf16::MIN].map(f32::from));
    }

    #[test]
    fn a_multiply_add_is_two_of_floats_on_every_instruction_set() {
        for level in Level::all() {
            for seed in (0..TRIALS).map(|trial| 3 * trial) {
                let operands = [operand(seed), operand(seed + 1), sum(seed + 2)];
                let mut out = [Lanes::ZERO; 2];
                level.run_bf16(Both(operands, &mut out));
                for (lane, found) in out[1].0.into_iter().enumerate() {
                    let [a, b, sum] = operands.map(|lanes| lanes.0[lane]);
                    let ([a, c], [b, d]) = (halves(a), halves(b));
                    let wanted = c.mul_add(d, a.mul_add(b, sum));
                    let same = found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan();
                    assert!(same, "{a} * {b} + {c} * {d} + {sum} is {wanted} and {found} on {level:?}");
                }
            }
        }
    }
}
