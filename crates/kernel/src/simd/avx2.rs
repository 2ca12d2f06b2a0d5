//! AVX2 and FMA: 8 lanes, 16 registers.

#![allow(
    unsafe_code,
    reason = "intrinsics are safe only where the compiler knows the feature; here the token knows it"
)]

use std::arch::x86_64::*;

use super::{IntSimd, Simd, WINDOW, turn_each};
use crate::int::Pairs;
use crate::lanes::{EVENTS, Lanes};

/// The proof that this CPU has AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

/// Operations that are one safe intrinsic, or a few.
macro_rules! operations {
    ($($name:ident($($operand:ident),*) => $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($operand: __m256),*) -> __m256 {
            // SAFETY: `self` proves AVX2 and FMA; the intrinsics have no other condition.
            unsafe { $value }
        }
    )*};
}

impl Simd for Avx2 {
    type V = __m256;

    const LANES: usize = 8;
    const NEURONS: usize = 6;
    const CUTS_PER_STEP: usize = 20;

    operations! {
        fma(a, b, c) => _mm256_fmadd_ps(a, b, c);
        add(a, b) => _mm256_add_ps(a, b);
        sub(a, b) => _mm256_sub_ps(a, b);
        mul(a, b) => _mm256_mul_ps(a, b);
        div(a, b) => _mm256_div_ps(a, b);
        max(a, b) => _mm256_max_ps(a, b);
        min(a, b) => _mm256_min_ps(a, b);
        replace_negative(a, b) => {
            _mm256_blendv_ps(a, b, _mm256_cmp_ps::<_CMP_LT_OQ>(a, _mm256_setzero_ps()))
        };
        one_nan(a) => _mm256_blendv_ps(a, _mm256_set1_ps(f32::NAN), _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a));
        and(a, b) => _mm256_and_ps(a, b);
        or(a, b) => _mm256_or_ps(a, b);
        add_int(a, b) => {
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)))
        };
        sub_int(a, b) => {
            _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)))
        };
        to_float(a) => _mm256_cvtepi32_ps(_mm256_castps_si256(a));
        keep_unless_le(bits, x, threshold, keep) => {
            let yes = _mm256_cmp_ps::<_CMP_LE_OQ>(x, threshold);
            _mm256_and_ps(bits, _mm256_or_ps(yes, keep))
        };
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &Lanes, register: usize) -> __m256 {
        let from: &[f32; 8] = &from.0.as_chunks().0[register];
        // SAFETY: `self` proves AVX2; the array has the 8 floats that are read.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, register: usize, v: __m256) {
        // SAFETY: `self` proves AVX2.
        unsafe { store(to, register, v) }
    }

    #[inline(always)]
    fn turn(self, rows: &[f32], lanes: &mut [Lanes], register: usize) {
        if lanes.len() < COLUMNS {
            turn_each::<Self>(rows, lanes, register);
        } else {
            // SAFETY: `self` proves AVX2.
            unsafe { turn(rows, lanes, register) }
        }
    }

    #[inline(always)]
    fn turn_words(self, bytes: &[u8], stride: usize) -> [__m256; WINDOW / 4] {
        // SAFETY: `self` proves AVX2.
        unsafe { turn_words(bytes, stride) }
    }

    #[inline(always)]
    fn shift_left(self, a: __m256, bits: i32) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_castsi256_ps(_mm256_sllv_epi32(_mm256_castps_si256(a), _mm256_set1_epi32(bits))) }
    }

    #[inline(always)]
    fn shift_right(self, a: __m256, bits: i32) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_castsi256_ps(_mm256_srav_epi32(_mm256_castps_si256(a), _mm256_set1_epi32(bits))) }
    }

    #[inline(always)]
    fn shift_right_unsigned(self, a: __m256, bits: i32) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_castsi256_ps(_mm256_srlv_epi32(_mm256_castps_si256(a), _mm256_set1_epi32(bits))) }
    }

    #[inline(always)]
    fn physical(self, a: __m256, scale: f64, offset: f64) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let a = _mm256_castps_si256(a);
            let low = _mm256_cvtepi32_pd(_mm256_castsi256_si128(a));
            let high = _mm256_cvtepi32_pd(_mm256_extracti128_si256::<1>(a));
            scaled(low, high, scale, offset)
        }
    }

    #[inline(always)]
    fn physical_float(self, a: __m256, scale: f64, offset: f64) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let low = _mm256_cvtps_pd(_mm256_castps256_ps128(a));
            let high = _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(a));
            scaled(low, high, scale, offset)
        }
    }

    #[inline(always)]
    fn pick(self, bits: __m256, table: &[f32; 32], otherwise: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { pick(bits, table, otherwise) }
    }
}

/// `x * scale + offset` of the low and the high half of a register.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn scaled(low: __m256d, high: __m256d, scale: f64, offset: f64) -> __m256 {
    let (scale, offset) = (_mm256_set1_pd(scale), _mm256_set1_pd(offset));
    let low = _mm256_cvtpd_ps(_mm256_add_pd(_mm256_mul_pd(low, scale), offset));
    let high = _mm256_cvtpd_ps(_mm256_add_pd(_mm256_mul_pd(high, scale), offset));
    _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
}

impl IntSimd for Avx2 {
    type Shorts = [__m256i; 2];

    #[inline(always)]
    fn load_pairs(self, from: &Pairs, register: usize) -> __m256 {
        let from: &[[i16; 2]; 8] = &from.0.as_chunks().0[register];
        // SAFETY: `self` proves AVX2; the array has the 8 pairs that are read.
        unsafe { _mm256_loadu_ps(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_pairs(self, to: &mut Pairs, register: usize, v: __m256) {
        let to: &mut [[i16; 2]; 8] = &mut to.0.as_chunks_mut().0[register];
        // SAFETY: `self` proves AVX2; the array has the 8 pairs that are written.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn splat_bits(self, bits: u32) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_castsi256_ps(_mm256_set1_epi32(bits.cast_signed())) }
    }

    #[inline(always)]
    fn shorts(self, pairs: &Pairs, is_second: bool) -> [__m256i; 2] {
        // SAFETY: `self` proves AVX2.
        unsafe { shorts(pairs, is_second) }
    }

    #[inline(always)]
    fn shorts_within(self, shorts: [__m256i; 2], low: u16, span: u16) -> u32 {
        // SAFETY: `self` proves AVX2.
        unsafe { shorts_within(shorts, low, span) }
    }

    #[inline(always)]
    fn within(self, a: __m256, low: i32, span: u32) -> u32 {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let above = _mm256_sub_epi32(_mm256_castps_si256(a), _mm256_set1_epi32(low));
            let least = _mm256_min_epu32(above, _mm256_set1_epi32(span.cast_signed()));
            let within = _mm256_castsi256_ps(_mm256_cmpeq_epi32(above, least));
            _mm256_movemask_ps(within).cast_unsigned()
        }
    }

    #[inline(always)]
    fn load_integers(self, from: &[i32; EVENTS], register: usize) -> __m256 {
        let from: &[i32; 8] = &from.as_chunks().0[register];
        // SAFETY: `self` proves AVX2; the array has the 8 integers that are read.
        unsafe { _mm256_loadu_ps(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_integers(self, to: &mut [i32; EVENTS], register: usize, v: __m256) {
        let to: &mut [i32; 8] = &mut to.as_chunks_mut().0[register];
        // SAFETY: `self` proves AVX2; the array has the 8 integers that are written.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr().cast(), v) }
    }

    operations! {
        multiply_add_pairs(a, b, sum) => {
            let products = _mm256_madd_epi16(_mm256_castps_si256(a), _mm256_castps_si256(b));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(sum), products))
        };
        multiply_add_quads(a, b, sum) => {
            // Two products fit into 16 bits, as no byte of `a` is beyond 127: nothing is cut off.
            let pairs = _mm256_maddubs_epi16(_mm256_castps_si256(a), _mm256_castps_si256(b));
            let products = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(sum), products))
        };
        clamp_pairs(a, low, high) => {
            let least = _mm256_max_epi16(_mm256_castps_si256(a), _mm256_castps_si256(low));
            _mm256_castsi256_ps(_mm256_min_epi16(least, _mm256_castps_si256(high)))
        };
        nearest(a) => _mm256_castsi256_ps(_mm256_cvtps_epi32(a));
        shift_right_by(a, by) => {
            _mm256_castsi256_ps(_mm256_srav_epi32(_mm256_castps_si256(a), _mm256_castps_si256(by)))
        };
        pair(a, b) => {
            // In each half: four numbers of `a`, then four of `b`.
            let packed = _mm256_packs_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b));
            let order = _mm_set_epi32(0x0f0e_0706, 0x0d0c_0504, 0x0b0a_0302, 0x0908_0100);
            let order = _mm256_broadcastsi128_si256(order);
            _mm256_castsi256_ps(_mm256_shuffle_epi8(packed, order))
        };
    }
}

/// Packing works on halves of a register, so the groups of four events have this order: 0 2 1 3 in the first register, 4 6 5 7 in the second.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn shorts(pairs: &Pairs, is_second: bool) -> [__m256i; 2] {
    let registers = pairs.0.as_chunks::<8>().0;
    let load = |register: usize| {
        // SAFETY: the array has the 8 pairs that are read.
        let pair = unsafe { _mm256_loadu_si256(registers[register].as_ptr().cast()) };
        if is_second {
            _mm256_srli_epi32::<16>(pair)
        } else {
            _mm256_blend_epi16::<0xaa>(pair, _mm256_setzero_si256())
        }
    };
    [_mm256_packus_epi32(load(0), load(1)), _mm256_packus_epi32(load(2), load(3))]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn shorts_within(shorts: [__m256i; 2], low: u16, span: u16) -> u32 {
    let (low, span) = (_mm256_set1_epi16(low.cast_signed()), _mm256_set1_epi16(span.cast_signed()));
    let within = |numbers| {
        let above = _mm256_sub_epi16(numbers, low);
        _mm256_cmpeq_epi16(above, _mm256_min_epu16(above, span))
    };
    // Packed once more, the groups of four have the order 0 2 4 6 1 3 5 7.
    let bytes = _mm256_packs_epi16(within(shorts[0]), within(shorts[1]));
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_movemask_epi8(_mm256_permutevar8x32_epi32(bytes, order)).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn pick(bits: __m256, table: &[f32; 32], otherwise: __m256) -> __m256 {
    let bits = _mm256_castps_si256(bits);
    let lowest = _mm256_and_si256(bits, _mm256_sub_epi32(_mm256_setzero_si256(), bits));
    // The exponent of a power of two is the index of its bit plus 127; bit 31 gives a negative float.
    let exponent = _mm256_srli_epi32::<23>(_mm256_castps_si256(_mm256_cvtepi32_ps(lowest)));
    let index = _mm256_sub_epi32(exponent, _mm256_set1_epi32(127));
    // Each lookup uses the low three bits; bits 3 and 4, shifted to the sign, choose among the four. A gather would be one instruction, but a
    // slow one on CPUs whose microcode guards it.
    let quarters = table.as_chunks::<8>().0;
    let look = |quarter: usize| {
        // SAFETY: the array has the 8 floats that are read.
        let quarter = unsafe { _mm256_loadu_ps(quarters[quarter].as_ptr()) };
        _mm256_permutevar8x32_ps(quarter, index)
    };
    let bit_3 = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index));
    let bit_4 = _mm256_castsi256_ps(_mm256_slli_epi32::<27>(index));
    let low = _mm256_blendv_ps(look(0), look(1), bit_3);
    let high = _mm256_blendv_ps(look(2), look(3), bit_3);
    let none = _mm256_castsi256_ps(_mm256_cmpeq_epi32(bits, _mm256_setzero_si256()));
    _mm256_blendv_ps(_mm256_blendv_ps(low, high, bit_4), otherwise, none)
}

/// Numbers of a row that are transposed at once.
const COLUMNS: usize = 4;

#[inline]
#[target_feature(enable = "avx2,fma")]
fn turn(rows: &[f32], lanes: &mut [Lanes], register: usize) {
    let width = lanes.len();
    assert!(width >= COLUMNS && rows.len() == 8 * width);
    for at in (0..width).step_by(COLUMNS) {
        // The last columns overlap the ones before if the width is no multiple of `COLUMNS`.
        let at = at.min(width - COLUMNS);
        let mut halves = [_mm_setzero_ps(); 8];
        for (row, half) in halves.iter_mut().enumerate() {
            // SAFETY: `row < 8` and `at + 4 <= width`, so the 4 floats lie in `rows`, which has `8 * width`.
            *half = unsafe { _mm_loadu_ps(rows.as_ptr().add(row * width + at)) };
        }
        for (lanes, column) in lanes[at..at + COLUMNS].iter_mut().zip(columns(&halves)) {
            store(lanes, register, column);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn turn_words(bytes: &[u8], stride: usize) -> [__m256; WINDOW / 4] {
    assert!(bytes.len() >= 7 * stride + WINDOW, "{} bytes for 8 windows", bytes.len());
    let mut words = [_mm256_setzero_ps(); WINDOW / 4];
    for (part, words) in words.as_chunks_mut::<COLUMNS>().0.iter_mut().enumerate() {
        let mut halves = [_mm_setzero_ps(); 8];
        for (row, half) in halves.iter_mut().enumerate() {
            // SAFETY: `row < 8` and `part < 2`, so the 16 bytes lie in `bytes`.
            *half = unsafe { _mm_loadu_ps(bytes.as_ptr().add(row * stride + part * 16).cast()) };
        }
        *words = columns(&halves);
    }
    words
}

/// Row `r` goes to half `r / 4` of register `r % 4`; then each half is a 4-by-4 matrix that is transposed separately.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn columns(rows: &[__m128; 8]) -> [__m256; COLUMNS] {
    let pair = |row: usize| _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(rows[row]), rows[row + 4]);
    transposed([pair(0), pair(1), pair(2), pair(3)])
}

/// Transposes each half of four registers as a 4-by-4 matrix.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn transposed(r: [__m256; 4]) -> [__m256; 4] {
    let pairs =
        |a, b| (_mm256_castps_pd(_mm256_unpacklo_ps(a, b)), _mm256_castps_pd(_mm256_unpackhi_ps(a, b)));
    let ((low_01, high_01), (low_23, high_23)) = (pairs(r[0], r[1]), pairs(r[2], r[3]));
    [
        _mm256_castpd_ps(_mm256_unpacklo_pd(low_01, low_23)),
        _mm256_castpd_ps(_mm256_unpackhi_pd(low_01, low_23)),
        _mm256_castpd_ps(_mm256_unpacklo_pd(high_01, high_23)),
        _mm256_castpd_ps(_mm256_unpackhi_pd(high_01, high_23)),
    ]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store(to: &mut Lanes, register: usize, v: __m256) {
    let to: &mut [f32; 8] = &mut to.0.as_chunks_mut().0[register];
    // SAFETY: the array has the 8 floats that are written.
    unsafe { _mm256_storeu_ps(to.as_mut_ptr(), v) }
}
