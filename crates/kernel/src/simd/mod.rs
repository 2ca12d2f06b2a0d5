//! The operations that kernels need from an instruction set: a register of floats, each lane a different event.
//!
//! A type that implements [`Simd`] is a proof: its values exist only on CPUs that have its instructions. So every operation is a safe method,
//! and kernels are written once, as generic functions over `S: Simd`.
//!
//! * I1: in every operation, each lane of the result is the same function of the same lanes of the operands on every instruction set, bit for
//!   bit, except for sign and payload of a NaN. [`Simd::one_nan`] makes all NaNs equal.
//! * I2: no operation mixes lanes, except [`Simd::turn`] and [`Simd::turn_words`], which only move data.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod int;
mod portable;

use std::fmt;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::{Avx512, Vnni};
pub(crate) use int::IntSimd;
pub(crate) use portable::Portable;

use crate::lanes::Lanes;

/// [`Simd::turn`] one number at a time, for rows too narrow for anything better.
#[inline(always)]
fn turn_each<S: Simd>(rows: &[f32], lanes: &mut [Lanes], register: usize) {
    for (row, numbers) in rows.chunks_exact(lanes.len()).enumerate() {
        for (lanes, &number) in lanes.iter_mut().zip(numbers) {
            lanes.0[register * S::LANES + row] = number;
        }
    }
}

/// Bytes per window that [`Simd::turn_words`] turns at once.
pub(crate) const WINDOW: usize = 32;

/// An instruction set; a value proves that the CPU has it.
pub(crate) trait Simd: Copy + fmt::Debug {
    /// A register of floats. Integer operations treat the bits of each lane as an `i32`.
    type V: Copy;

    /// Floats per register. Divides [`crate::lanes::EVENTS`].
    const LANES: usize;
    /// Neurons of a full group: their sums, two registers each, must stay in registers.
    const NEURONS: usize;
    /// Cuts through a tree that take as long as one step of a walk down (see [`crate::forest`]), measured. 0: always walk.
    const CUTS_PER_STEP: usize;

    /// `value` in every lane.
    fn splat(self, value: f32) -> Self::V;
    /// Register `register` of `from`.
    fn load(self, from: &Lanes, register: usize) -> Self::V;
    /// Stores into register `register` of `to`.
    fn store(self, to: &mut Lanes, register: usize, v: Self::V);
    /// Transposes `LANES` rows of `lanes.len()` numbers: number `i` of row `r` goes to lane `r` of register `register` of `lanes[i]`.
    fn turn(self, rows: &[f32], lanes: &mut [Lanes], register: usize);
    /// Transposes the words of `LANES` windows that begin `stride` bytes apart: word `i` of window `r` goes to lane `r` of register `i`.
    ///
    /// # Panics
    /// If `bytes` ends before the last window.
    fn turn_words(self, bytes: &[u8], stride: usize) -> [Self::V; WINDOW / 4];

    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a > b ? a : b`, so `b` if either is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a < b ? a : b`, so `b` if either is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a < 0 ? b : a`, so `a` if it is NaN.
    fn replace_negative(self, a: Self::V, b: Self::V) -> Self::V;
    /// Replaces every NaN by `f32::NAN`.
    fn one_nan(self, a: Self::V) -> Self::V;

    /// Bits `a & b`.
    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    /// Bits `a | b`.
    fn or(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a + b` as integers, wrapping.
    fn add_int(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b` as integers, wrapping.
    fn sub_int(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a << bits`, with `bits` below 32.
    fn shift_left(self, a: Self::V, bits: i32) -> Self::V;
    /// `a >> bits` as a signed integer.
    fn shift_right(self, a: Self::V, bits: i32) -> Self::V;
    /// `a >> bits` as an unsigned integer.
    fn shift_right_unsigned(self, a: Self::V, bits: i32) -> Self::V;
    /// The low 16 bits as a signed integer: the first of two that share a lane.
    #[inline(always)]
    fn first(self, a: Self::V) -> Self::V {
        self.shift_right(self.shift_left(a, 16), 16)
    }
    /// The high 16 bits as a signed integer: the second of two that share a lane.
    #[inline(always)]
    fn second(self, a: Self::V) -> Self::V {
        self.shift_right(a, 16)
    }
    /// The float nearest to a signed integer, ties to even.
    fn to_float(self, a: Self::V) -> Self::V;
    /// A signed integer `* scale + offset` in double precision, each operation rounded, then rounded to single.
    fn physical(self, a: Self::V, scale: f64, offset: f64) -> Self::V;
    /// A float `* scale + offset` in double precision, each operation rounded, then rounded to single.
    fn physical_float(self, a: Self::V, scale: f64, offset: f64) -> Self::V;

    /// `x <= threshold ? bits : bits & keep`, so `bits & keep` if `x` is NaN.
    fn keep_unless_le(self, bits: Self::V, x: Self::V, threshold: Self::V, keep: Self::V) -> Self::V;
    /// `table[i]`, where `i` is the lowest set bit of `bits`; `otherwise` if no bit is set.
    fn pick(self, bits: Self::V, table: &[f32; 32], otherwise: Self::V) -> Self::V;
}

/// Prefetches these bytes, which are read soon.
#[inline(always)]
#[cfg_attr(
    target_arch = "x86_64",
    allow(unsafe_code, reason = "a hint to the CPU, which every x86-64 has and which cannot fail")
)]
pub(crate) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a prefetch has no effect on memory, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Level, Work};
    use crate::lanes::EVENTS;

    /// Edge cases of the floats and ordinary numbers; also read as integers.
    const VALUES: [u32; 16] = [
        0x0000_0000,
        0x8000_0000,
        0x3f80_0000,
        0xbf80_0000,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0000,
        0xffc0_1234,
        0x0000_0001,
        0x807f_ffff,
        0x7f7f_ffff,
        0xff7f_ffff,
        0x4b40_0007,
        0xc2f6_e979,
        0x3eaa_aaab,
        0x0000_007f,
    ];
    const OPERATIONS: usize = 21;

    /// Applies every operation to the same operands: result `i` is that of operation `i`.
    struct Each<'a>([Lanes; 4], &'a mut [Lanes; OPERATIONS]);

    impl Work for Each<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for register in 0..EVENTS / S::LANES {
                let [a, b, c, d] = self.0.map(|lanes| simd.load(&lanes, register));
                let results = [
                    simd.splat(1.5),
                    simd.fma(a, b, c),
                    simd.add(a, b),
                    simd.sub(a, b),
                    simd.mul(a, b),
                    simd.div(a, b),
                    simd.max(a, b),
                    simd.min(a, b),
                    simd.replace_negative(a, b),
                    simd.one_nan(a),
                    simd.and(a, b),
                    simd.or(a, b),
                    simd.add_int(a, b),
                    simd.sub_int(a, b),
                    simd.shift_right(a, 1),
                    simd.shift_left(a, 23),
                    simd.keep_unless_le(a, b, c, d),
                    simd.shift_right_unsigned(a, 24),
                    simd.to_float(a),
                    simd.physical(a, 0.0435, -1.5),
                    simd.physical_float(a, 0.0435, -1.5),
                ];
                for (to, result) in self.1.iter_mut().zip(results) {
                    simd.store(to, register, result);
                }
            }
        }
    }

    #[test]
    fn every_operation_gives_the_same_bits_on_every_instruction_set() {
        for seed in 0..4096usize {
            let pick =
                |lane: usize, digit: u32| VALUES[((seed * 31 + lane * 7) / 16usize.pow(digit) + lane) % 16];
            let operands: [Lanes; 4] = std::array::from_fn(|i| {
                Lanes(std::array::from_fn(|lane| f32::from_bits(pick(lane, i as u32))))
            });
            let mut want = [Lanes::ZERO; OPERATIONS];
            Level::new(Isa::Portable).unwrap().run(Each(operands, &mut want));
            for level in Isa::ALL.into_iter().filter_map(Level::new) {
                let mut got = [Lanes::ZERO; OPERATIONS];
                level.run(Each(operands, &mut got));
                for (operation, (want, got)) in want.iter().zip(&got).enumerate() {
                    for (want, got) in want.0.iter().zip(&got.0) {
                        let are_numbers = (1..=8).contains(&operation) || operation == 20;
                        let same =
                            want.to_bits() == got.to_bits() || are_numbers && want.is_nan() && got.is_nan();
                        assert!(same, "operation {operation} on {level:?}: {got:e} instead of {want:e}");
                    }
                }
            }
        }
    }

    struct Turn<'a>(&'a [f32], &'a mut [Lanes], usize);

    impl Work for Turn<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            simd.turn(&self.0[..S::LANES * self.1.len()], self.1, self.2);
        }
    }

    struct Count<'a>(&'a mut usize);

    impl Work for Count<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, _: S) {
            *self.0 = S::LANES;
        }
    }

    #[test]
    fn rows_of_every_width_are_turned() {
        for level in Isa::ALL.into_iter().filter_map(Level::new) {
            let mut lanes_per_register = 0;
            level.run(Count(&mut lanes_per_register));
            for width in 1..=40 {
                let rows: Vec<f32> = (0..width * EVENTS).map(|i| i as f32).collect();
                for register in 0..EVENTS / lanes_per_register {
                    let mut lanes = vec![Lanes([-1.0; EVENTS]); width];
                    level.run(Turn(&rows, &mut lanes, register));
                    for (number, lanes) in lanes.iter().enumerate() {
                        for (lane, &got) in lanes.0.iter().enumerate() {
                            let row = lane
                                .checked_sub(register * lanes_per_register)
                                .filter(|&row| row < lanes_per_register);
                            let want = row.map_or(-1.0, |row| (row * width + number) as f32);
                            assert_eq!(got, want, "number {number} of {width}, lane {lane} on {level:?}");
                        }
                    }
                }
            }
        }
    }

    struct TurnWords<'a>(&'a [u8], usize, &'a mut [Lanes; WINDOW / 4]);

    impl Work for TurnWords<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            let Self(bytes, stride, lanes) = self;
            for register in 0..EVENTS / S::LANES {
                let from = register * S::LANES * stride;
                let bytes = &bytes[from..from + (S::LANES - 1) * stride + WINDOW];
                for (lanes, words) in lanes.iter_mut().zip(simd.turn_words(bytes, stride)) {
                    simd.store(lanes, register, words);
                }
            }
        }
    }

    #[test]
    fn words_of_windows_are_turned() {
        let bytes: Vec<u8> = (0..EVENTS * 200).map(|i| (i * 31 + i / 256) as u8).collect();
        for stride in [1, 2, 31, 32, 33, 57, 114, 128, 199] {
            for level in Isa::ALL.into_iter().filter_map(Level::new) {
                let mut lanes = [Lanes::ZERO; WINDOW / 4];
                level.run(TurnWords(&bytes, stride, &mut lanes));
                for (word, lanes) in lanes.iter().enumerate() {
                    for (lane, got) in lanes.0.iter().enumerate() {
                        let want: &[u8; 4] = bytes[lane * stride + word * 4..].first_chunk().unwrap();
                        assert_eq!(
                            got.to_bits().to_le_bytes(),
                            *want,
                            "word {word}, lane {lane} on {level:?}"
                        );
                    }
                }
            }
        }
    }

    struct Pick<'a>(Lanes, &'a [f32; 32], &'a mut Lanes);

    impl Work for Pick<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for register in 0..EVENTS / S::LANES {
                let found = simd.pick(simd.load(&self.0, register), self.1, simd.splat(-1.0));
                simd.store(self.2, register, found);
            }
        }
    }

    #[test]
    fn the_lowest_set_bit_is_found() {
        let table: [f32; 32] = std::array::from_fn(|i| i as f32);
        for level in Isa::ALL.into_iter().filter_map(Level::new) {
            for above in [0, u32::MAX, 0x5555_5555, 0x8000_0000] {
                // Lane `i` has bit `i` and some above it; the last lane is also tried with no bit set.
                let bits = std::array::from_fn(|bit| f32::from_bits((1 << bit) | (above << bit)));
                let mut got = Lanes::ZERO;
                level.run(Pick(Lanes(bits), &table, &mut got));
                assert_eq!(got.0, table, "{level:?}");
            }
            let mut got = Lanes::ZERO;
            level.run(Pick(Lanes::ZERO, &table, &mut got));
            assert_eq!(got.0, [-1.0; 32], "{level:?}");
        }
    }
}
