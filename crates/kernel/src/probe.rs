//! Measures the peak rate of the multiply-add units of a core: the yardstick for the kernels.

use std::hint::black_box;

use crate::isa::{IntWork, Isa, Level, Work};
use crate::simd::{IntSimd, Simd};

/// Independent sums: at least latency times units of any CPU so far, and fewer than registers.
const SUMS: usize = 12;

/// Does `rounds` rounds of multiply-adds in registers and returns how many numbers were multiplied and added; `None` if this CPU lacks `isa`.
/// The caller measures the time.
pub fn multiply_adds(isa: Isa, rounds: usize) -> Option<usize> {
    let mut done = 0;
    Level::new(isa)?.run(Probe { rounds, done: &mut done });
    Some(done)
}

/// Like [`multiply_adds`], with 16-bit integers and 32-bit accumulators.
pub fn multiply_adds_i16(isa: Isa, rounds: usize) -> Option<usize> {
    let mut done = 0;
    Level::new(isa)?.run_int(Probe { rounds, done: &mut done });
    Some(done)
}

/// Like [`multiply_adds`], with 8-bit integers and 32-bit accumulators.
pub fn multiply_adds_i8(isa: Isa, rounds: usize) -> Option<usize> {
    let mut done = 0;
    Level::new(isa)?.run_int(ProbeOfQuads(Probe { rounds, done: &mut done }));
    Some(done)
}

struct Probe<'a> {
    rounds: usize,
    done: &'a mut usize,
}

impl Work for Probe<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let [factor, term] = black_box([0.5, 1.0]).map(|value| simd.splat(value));
        let mut sums = [term; SUMS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = simd.fma(*sum, factor, term);
            }
        }
        let mut all = sums[0];
        sums[1..].iter().for_each(|&sum| all = simd.add(all, sum));
        black_box(all);
        *self.done = self.rounds * SUMS * S::LANES;
    }
}

struct ProbeOfQuads<'a>(Probe<'a>);

impl IntWork for Probe<'_> {
    #[inline(always)]
    fn run<S: IntSimd>(self, simd: S) {
        self.integers::<S, false>(simd);
    }
}

impl IntWork for ProbeOfQuads<'_> {
    #[inline(always)]
    fn run<S: IntSimd>(self, simd: S) {
        self.0.integers::<S, true>(simd);
    }
}

impl Probe<'_> {
    #[inline(always)]
    fn integers<S: IntSimd, const QUADS: bool>(self, simd: S) {
        let [factor, start] = black_box([0x0003_0005, 0x0001_0002]).map(|bits| simd.splat_bits(bits));
        let mut sums = [start; SUMS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                // The operands depend on the sum, so nothing can be hoisted out of the loop.
                *sum = if QUADS {
                    simd.multiply_add_quads(factor, *sum, *sum)
                } else {
                    simd.multiply_add_pairs(*sum, factor, *sum)
                };
            }
        }
        let mut all = sums[0];
        sums[1..].iter().for_each(|&sum| all = simd.add_int(all, sum));
        black_box(all);
        *self.done = self.rounds * SUMS * S::LANES * if QUADS { 4 } else { 2 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_counted_in_numbers() {
        assert_eq!(multiply_adds(Isa::Portable, 3), Some(3 * SUMS * 8));
        assert_eq!(multiply_adds_i16(Isa::Portable, 3), Some(3 * SUMS * 16));
        assert_eq!(multiply_adds_i8(Isa::Portable, 3), Some(3 * SUMS * 32));
    }
}
