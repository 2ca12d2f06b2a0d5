//! Multiply-adds that only one instruction set has: what a core can do with them.

#![cfg_attr(
    target_arch = "x86_64",
    allow(unsafe_code, reason = "calls into code for instructions that were just seen to be there")
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
#[cfg(target_arch = "x86_64")]
use std::hint::black_box;

#[cfg(target_arch = "x86_64")]
use crate::probe::SUMS;

/// Does `rounds` rounds of multiply-adds of bf16, added up in f32, and counts the products; none without AVX512-BF16.
#[cfg(target_arch = "x86_64")]
pub(crate) fn bf16(rounds: usize) -> Option<usize> {
    let has = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16");
    // SAFETY: both features were just seen.
    has.then(|| unsafe { bf16_of_512(rounds) })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
fn bf16_of_512(rounds: usize) -> usize {
    let half = _mm512_set1_ps(black_box(0.5));
    let factor = _mm512_cvtne2ps_pbh(half, half);
    let mut sums = [half; SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbf16_ps(*sum, factor, factor);
        }
    }
    black_box(sums);
    rounds * SUMS * 32
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn bf16(_rounds: usize) -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_work_is_counted_in_products() {
        assert!(super::bf16(3).is_none_or(|products| products == 3 * 12 * 32));
    }
}
