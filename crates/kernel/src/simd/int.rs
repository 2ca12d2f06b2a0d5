//! The operations that integer kernels need beyond [`Simd`], on registers whose lanes hold two 16-bit integers of an event (a *pair*), four 8-bit
//! ones (a *quad*) or one 32-bit integer.
//!
//! * I1: every operation gives the same bits on every instruction set.
//! * I2: no operation mixes lanes.

use super::Simd;
use crate::int::Pairs;
use crate::lanes::EVENTS;

/// An instruction set with integers. Registers are those of [`Simd`], used as plain bits.
pub(crate) trait IntSimd: Simd {
    /// One 16-bit number of each event of a tile, in whatever order suits [`IntSimd::shorts_within`].
    type Shorts: Copy;

    /// Register `register` of `from`.
    fn load_pairs(self, from: &Pairs, register: usize) -> Self::V;
    /// Stores into register `register` of `to`.
    fn store_pairs(self, to: &mut Pairs, register: usize, v: Self::V);
    /// `bits` in every lane: an integer, or a pair with its first integer in the low half.
    fn splat_bits(self, bits: u32) -> Self::V;

    /// `sum + a.first * b.first + a.second * b.second` as 32-bit integers, wrapping.
    fn multiply_add_pairs(self, a: Self::V, b: Self::V, sum: Self::V) -> Self::V;
    /// `sum` and the four products of the bytes of `a` and `b` as 32-bit integers, wrapping. Those of `a` are unsigned and at most 127, those of `b`
    /// are signed, so two products fit into 16 bits, where AVX2 adds them up before it widens them.
    fn multiply_add_quads(self, a: Self::V, b: Self::V, sum: Self::V) -> Self::V;
    /// `min(max(a, low), high)` of each integer of a pair.
    fn clamp_pairs(self, a: Self::V, low: Self::V, high: Self::V) -> Self::V;
    /// The 32-bit integer that is nearest to a float between -2^31 and 2^31, ties to even.
    fn nearest(self, a: Self::V) -> Self::V;
    /// `a >> by` in each lane, as a signed 32-bit integer, by less than 32.
    fn shift_right_by(self, a: Self::V, by: Self::V) -> Self::V;
    /// Packs two 32-bit integers into a pair, saturating at 16 bits.
    fn pair(self, a: Self::V, b: Self::V) -> Self::V;

    /// The first or the second half of every pair.
    fn shorts(self, pairs: &Pairs, is_second: bool) -> Self::Shorts;
    /// Bit `e` = the number of event `e` minus `low`, wrapping, is at most `span` as an unsigned integer.
    fn shorts_within(self, shorts: Self::Shorts, low: u16, span: u16) -> u32;
    /// Bit `lane` = `a - low`, wrapping, is at most `span` as an unsigned integer.
    fn within(self, a: Self::V, low: i32, span: u32) -> u32;
    /// Register `register` of `from`, as 32-bit integers.
    fn load_integers(self, from: &[i32; EVENTS], register: usize) -> Self::V;
    /// Stores 32-bit integers into register `register` of `to`.
    fn store_integers(self, to: &mut [i32; EVENTS], register: usize, v: Self::V);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{IntWork, Level};
    use crate::lanes::{EVENTS, Lanes};

    const OPERATIONS: usize = 10;

    /// Applies every operation to the same operands: result `i` is that of operation `i`.
    struct Each<'a>([Pairs; 3], &'a mut [Pairs; OPERATIONS]);

    impl IntWork for Each<'_> {
        #[inline(always)]
        fn run<S: IntSimd>(self, simd: S) {
            for register in 0..EVENTS / S::LANES {
                let [a, b, c] = self.0.map(|pairs| simd.load_pairs(&pairs, register));
                let float = simd.to_float(a);
                // Below 2^31, and with fractions of a half.
                let small = simd.mul(float, simd.splat(0.5));
                let bytes = simd.and(a, simd.splat_bits(0x7f7f_7f7f));
                let results = [
                    simd.splat_bits(0x8000_7fff),
                    simd.multiply_add_pairs(a, b, c),
                    simd.clamp_pairs(a, b, c),
                    float,
                    simd.first(a),
                    simd.second(a),
                    simd.nearest(small),
                    simd.shift_right_by(a, simd.splat_bits(register as u32 * 3 + 1)),
                    simd.pair(a, simd.second(b)),
                    simd.multiply_add_quads(bytes, b, c),
                ];
                for (to, result) in self.1.iter_mut().zip(results) {
                    simd.store_pairs(to, register, result);
                }
            }
        }
    }

    /// These operations in plain Rust, for one lane of the register with this index.
    fn plainly([a, b, c]: [[i16; 2]; 3], register: usize) -> [[i16; 2]; OPERATIONS] {
        let whole = |[low, high]: [i16; 2]| i32::from(high) << 16 | i32::from(low.cast_unsigned());
        let apart = |whole: i64| [whole as i16, (whole >> 16) as i16];
        let product = |i: usize| i64::from(a[i]) * i64::from(b[i]);
        let float = whole(a) as f32;
        let clamp = |i: usize| a[i].max(b[i]).min(c[i]);
        let bytes = |pair: [i16; 2]| pair.map(i16::to_le_bytes).concat();
        let quads =
            bytes(a).into_iter().zip(bytes(b)).map(|(a, b)| i64::from(a & 127) * i64::from(b.cast_signed()));
        let narrow = |x: i32| i16::try_from(x).unwrap_or(if x < 0 { i16::MIN } else { i16::MAX });
        [
            [i16::MAX, i16::MIN],
            apart(i64::from(whole(c)) + product(0) + product(1)),
            [clamp(0), clamp(1)],
            apart(float.to_bits().into()),
            apart(a[0].into()),
            apart(a[1].into()),
            apart((f64::from(float) / 2.0).round_ties_even() as i64),
            apart((whole(a) >> (register * 3 + 1)).into()),
            [narrow(whole(a)), b[1]],
            apart(i64::from(whole(c)) + quads.sum::<i64>()),
        ]
    }

    struct Count<'a>(&'a mut usize);

    impl IntWork for Count<'_> {
        #[inline(always)]
        fn run<S: IntSimd>(self, _: S) {
            *self.0 = S::LANES;
        }
    }

    #[test]
    fn every_operation_is_what_it_says_on_every_instruction_set() {
        // Also read as bytes: 0x7f7f and 0x8080 are the extremes of a quad.
        const VALUES: [i16; 14] =
            [0, 1, -1, 2, -3, 255, -256, 12_345, -23_456, 32_766, -0x7f80, i16::MIN, 0x7f7f, i16::MAX];
        for level in Level::all() {
            let mut lanes = 0;
            level.run_int(Count(&mut lanes));
            for seed in 0..4096usize {
                let pick = |i: usize| VALUES[(seed * 31 + i * 9 + seed / 14 * i) % 14];
                let operand =
                    |n: usize| Pairs(std::array::from_fn(|lane| [0, 1].map(|i| pick(lane * 6 + n * 2 + i))));
                let operands = [0, 1, 2].map(operand);
                let mut got = [Pairs::ZERO; OPERATIONS];
                level.run_int(Each(operands, &mut got));
                for lane in 0..EVENTS {
                    let want = plainly(operands.map(|operand| operand.0[lane]), lane / lanes);
                    let got = got.map(|pairs| pairs.0[lane]);
                    assert_eq!(got, want, "lane {lane} of {operands:?} on {level:?}");
                }
            }
        }
    }

    #[test]
    fn a_pair_lies_in_memory_as_its_lane_does() {
        assert_eq!(size_of::<Pairs>(), size_of::<Lanes>());
        assert_eq!(align_of::<Pairs>(), align_of::<Lanes>());
    }
}
