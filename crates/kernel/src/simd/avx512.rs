//! AVX-512F: 16 lanes, 32 registers, weights broadcast by the multiply-add's own operand. With BW and VNNI also for integers: VNNI
//! multiplies and adds pairs, or quads, in one instruction, at the rate of `f32`.

#![allow(
    unsafe_code,
    reason = "intrinsics are safe only where the compiler knows the feature; here the token knows it"
)]

use std::arch::x86_64::*;
use std::fmt;
use std::marker::PhantomData;

use super::{Avx2, IntSimd, Simd, WINDOW, turn_each};
use crate::int::Pairs;
use crate::lanes::{EVENTS, Lanes};

/// The proof that this CPU has AVX-512F, and the extensions that `With` stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512<With = Alone>(Avx2, PhantomData<With>);

/// Extensions that a CPU may have besides AVX-512F.
pub(crate) trait Beside: Copy + fmt::Debug {}

/// No extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alone;

/// AVX-512BW and AVX512-VNNI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vnni;

impl Beside for Alone {}
impl Beside for Vnni {}

impl Avx512 {
    pub fn detect() -> Option<Self> {
        Avx2::detect().filter(|_| is_x86_feature_detected!("avx512f")).map(|simd| Self(simd, PhantomData))
    }

    /// A CPU with AVX-512F has AVX2.
    pub fn avx2(self) -> Avx2 {
        self.0
    }

    /// This instruction set with the extensions for integers, if this CPU has them.
    pub fn vnni(self) -> Option<Avx512<Vnni>> {
        let has = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni");
        has.then_some(Avx512(self.0, PhantomData))
    }
}

/// Operations that are one safe intrinsic, or a few.
macro_rules! operations {
    ($($name:ident($($operand:ident),*) => $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($operand: __m512),*) -> __m512 {
            // SAFETY: `self` proves AVX-512F; the intrinsics have no other condition.
            unsafe { $value }
        }
    )*};
}

impl<With: Beside> Simd for Avx512<With> {
    type V = __m512;

    const LANES: usize = 16;
    const NEURONS: usize = 8;
    const CUTS_PER_STEP: usize = 36;

    operations! {
        fma(a, b, c) => _mm512_fmadd_ps(a, b, c);
        add(a, b) => _mm512_add_ps(a, b);
        sub(a, b) => _mm512_sub_ps(a, b);
        mul(a, b) => _mm512_mul_ps(a, b);
        div(a, b) => _mm512_div_ps(a, b);
        max(a, b) => _mm512_max_ps(a, b);
        min(a, b) => _mm512_min_ps(a, b);
        replace_negative(a, b) => {
            let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, _mm512_setzero_ps());
            _mm512_mask_mov_ps(a, negative, b)
        };
        one_nan(a) => {
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a);
            _mm512_mask_mov_ps(a, nan, _mm512_set1_ps(f32::NAN))
        };
        and(a, b) => {
            _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(a), _mm512_castps_si512(b)))
        };
        or(a, b) => {
            _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(a), _mm512_castps_si512(b)))
        };
        add_int(a, b) => {
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)))
        };
        sub_int(a, b) => {
            _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)))
        };
        to_float(a) => _mm512_cvtepi32_ps(_mm512_castps_si512(a));
        keep_unless_le(bits, x, threshold, keep) => {
            let no = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(x, threshold);
            let bits = _mm512_castps_si512(bits);
            _mm512_castsi512_ps(_mm512_mask_and_epi32(bits, no, bits, _mm512_castps_si512(keep)))
        };
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &Lanes, register: usize) -> __m512 {
        let from: &[f32; 16] = &from.0.as_chunks().0[register];
        // SAFETY: `self` proves AVX-512F; the array has the 16 floats that are read.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, register: usize, v: __m512) {
        // SAFETY: `self` proves AVX-512F.
        unsafe { store(to, register, v) }
    }

    #[inline(always)]
    fn turn(self, rows: &[f32], lanes: &mut [Lanes], register: usize) {
        if lanes.len() < COLUMNS {
            turn_each::<Self>(rows, lanes, register);
        } else {
            // SAFETY: `self` proves AVX-512F.
            unsafe { turn(rows, lanes, register) }
        }
    }

    #[inline(always)]
    fn turn_words(self, bytes: &[u8], stride: usize) -> [__m512; WINDOW / 4] {
        // SAFETY: `self` proves AVX-512F.
        unsafe { turn_words(bytes, stride) }
    }

    #[inline(always)]
    fn shift_left(self, a: __m512, bits: i32) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_castsi512_ps(_mm512_sllv_epi32(_mm512_castps_si512(a), _mm512_set1_epi32(bits))) }
    }

    #[inline(always)]
    fn shift_right(self, a: __m512, bits: i32) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_castsi512_ps(_mm512_srav_epi32(_mm512_castps_si512(a), _mm512_set1_epi32(bits))) }
    }

    #[inline(always)]
    fn shift_right_unsigned(self, a: __m512, bits: i32) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_castsi512_ps(_mm512_srlv_epi32(_mm512_castps_si512(a), _mm512_set1_epi32(bits))) }
    }

    #[inline(always)]
    fn physical(self, a: __m512, scale: f64, offset: f64) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe {
            let a = _mm512_castps_si512(a);
            let low = _mm512_cvtepi32_pd(_mm512_castsi512_si256(a));
            let high = _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64::<1>(a));
            scaled(low, high, scale, offset)
        }
    }

    #[inline(always)]
    fn physical_float(self, a: __m512, scale: f64, offset: f64) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe {
            let low = _mm512_cvtps_pd(_mm512_castps512_ps256(a));
            let high = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(a));
            scaled(low, _mm512_cvtps_pd(_mm256_castpd_ps(high)), scale, offset)
        }
    }

    #[inline(always)]
    fn pick(self, bits: __m512, table: &[f32; 32], otherwise: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { pick(bits, table, otherwise) }
    }
}

/// `x * scale + offset` of the low and the high half of a register.
#[inline]
#[target_feature(enable = "avx512f")]
fn scaled(low: __m512d, high: __m512d, scale: f64, offset: f64) -> __m512 {
    let (scale, offset) = (_mm512_set1_pd(scale), _mm512_set1_pd(offset));
    let low = _mm512_cvtpd_ps(_mm512_add_pd(_mm512_mul_pd(low, scale), offset));
    let high = _mm512_cvtpd_ps(_mm512_add_pd(_mm512_mul_pd(high, scale), offset));
    let low = _mm512_castpd256_pd512(_mm256_castps_pd(low));
    _mm512_castpd_ps(_mm512_insertf64x4::<1>(low, _mm256_castps_pd(high)))
}

impl IntSimd for Avx512<Vnni> {
    type Shorts = __m512i;

    #[inline(always)]
    fn load_pairs(self, from: &Pairs, register: usize) -> __m512 {
        let from: &[[i16; 2]; 16] = &from.0.as_chunks().0[register];
        // SAFETY: `self` proves AVX-512F; the array has the 16 pairs that are read.
        unsafe { _mm512_loadu_ps(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_pairs(self, to: &mut Pairs, register: usize, v: __m512) {
        let to: &mut [[i16; 2]; 16] = &mut to.0.as_chunks_mut().0[register];
        // SAFETY: `self` proves AVX-512F; the array has the 16 pairs that are written.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn splat_bits(self, bits: u32) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_castsi512_ps(_mm512_set1_epi32(bits.cast_signed())) }
    }

    #[inline(always)]
    fn shorts(self, pairs: &Pairs, is_second: bool) -> __m512i {
        // SAFETY: `self` proves AVX-512F and BW.
        unsafe { shorts(pairs, is_second) }
    }

    #[inline(always)]
    fn shorts_within(self, shorts: __m512i, low: u16, span: u16) -> u32 {
        // SAFETY: `self` proves AVX-512F and BW.
        unsafe {
            let above = _mm512_sub_epi16(shorts, _mm512_set1_epi16(low.cast_signed()));
            _mm512_cmple_epu16_mask(above, _mm512_set1_epi16(span.cast_signed()))
        }
    }

    #[inline(always)]
    fn within(self, a: __m512, low: i32, span: u32) -> u32 {
        // SAFETY: `self` proves AVX-512F.
        unsafe {
            let above = _mm512_sub_epi32(_mm512_castps_si512(a), _mm512_set1_epi32(low));
            _mm512_cmple_epu32_mask(above, _mm512_set1_epi32(span.cast_signed())).into()
        }
    }

    #[inline(always)]
    fn load_integers(self, from: &[i32; EVENTS], register: usize) -> __m512 {
        let from: &[i32; 16] = &from.as_chunks().0[register];
        // SAFETY: `self` proves AVX-512F; the array has the 16 integers that are read.
        unsafe { _mm512_loadu_ps(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_integers(self, to: &mut [i32; EVENTS], register: usize, v: __m512) {
        let to: &mut [i32; 16] = &mut to.as_chunks_mut().0[register];
        // SAFETY: `self` proves AVX-512F; the array has the 16 integers that are written.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr().cast(), v) }
    }

    operations! {
        multiply_add_pairs(a, b, sum) => {
            let [a, b, sum] = [_mm512_castps_si512(a), _mm512_castps_si512(b), _mm512_castps_si512(sum)];
            _mm512_castsi512_ps(_mm512_dpwssd_epi32(sum, a, b))
        };
        multiply_add_quads(a, b, sum) => {
            let [a, b, sum] = [_mm512_castps_si512(a), _mm512_castps_si512(b), _mm512_castps_si512(sum)];
            _mm512_castsi512_ps(_mm512_dpbusd_epi32(sum, a, b))
        };
        clamp_pairs(a, low, high) => {
            let least = _mm512_max_epi16(_mm512_castps_si512(a), _mm512_castps_si512(low));
            _mm512_castsi512_ps(_mm512_min_epi16(least, _mm512_castps_si512(high)))
        };
        nearest(a) => _mm512_castsi512_ps(_mm512_cvtps_epi32(a));
        shift_right_by(a, by) => {
            _mm512_castsi512_ps(_mm512_srav_epi32(_mm512_castps_si512(a), _mm512_castps_si512(by)))
        };
        pair(a, b) => {
            // In each quarter: four numbers of `a`, then four of `b`.
            let packed = _mm512_packs_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b));
            let order = _mm512_set4_epi32(0x0f0e_0706, 0x0d0c_0504, 0x0b0a_0302, 0x0908_0100);
            _mm512_castsi512_ps(_mm512_shuffle_epi8(packed, order))
        };
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn shorts(pairs: &Pairs, is_second: bool) -> __m512i {
    /// Indices of the numbers that are first in their pairs: 0 to 31 are in the first register, 32 to 63 in the second.
    const FIRST: [i16; EVENTS] = {
        let mut order = [0; EVENTS];
        let mut event = 0;
        while event < EVENTS {
            order[event] = 2 * event as i16;
            event += 1;
        }
        order
    };
    let (low, high) = pairs.0.split_at(16);
    // SAFETY: each half has the 16 pairs, and the array the 32 numbers, that are read.
    let (low, high, first) = unsafe {
        let load = |from: *const _| _mm512_loadu_si512(from);
        (load(low.as_ptr().cast()), load(high.as_ptr().cast()), load(FIRST.as_ptr().cast()))
    };
    let order = _mm512_add_epi16(first, _mm512_set1_epi16(is_second.into()));
    _mm512_permutex2var_epi16(low, order, high)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn pick(bits: __m512, table: &[f32; 32], otherwise: __m512) -> __m512 {
    let bits = _mm512_castps_si512(bits);
    let lowest = _mm512_and_si512(bits, _mm512_sub_epi32(_mm512_setzero_si512(), bits));
    // The exponent of a power of two is the index of its bit plus 127; bit 31 gives a negative float. The lookup uses only the low five bits.
    let exponent = _mm512_srli_epi32::<23>(_mm512_castps_si512(_mm512_cvtepi32_ps(lowest)));
    let index = _mm512_sub_epi32(exponent, _mm512_set1_epi32(127));
    // SAFETY: the table has the 16 and 16 floats that are read.
    let (low, high) = unsafe { (_mm512_loadu_ps(table.as_ptr()), _mm512_loadu_ps(table.as_ptr().add(16))) };
    let found = _mm512_permutex2var_ps(low, index, high);
    _mm512_mask_mov_ps(otherwise, _mm512_test_epi32_mask(bits, bits), found)
}

/// Numbers of a row that are transposed at once.
const COLUMNS: usize = 8;

#[inline]
#[target_feature(enable = "avx512f")]
fn turn(rows: &[f32], lanes: &mut [Lanes], register: usize) {
    let width = lanes.len();
    assert!(width >= COLUMNS && rows.len() == 16 * width);
    for at in (0..width).step_by(COLUMNS) {
        // The last columns overlap the ones before if the width is no multiple of `COLUMNS`.
        let at = at.min(width - COLUMNS);
        let mut halves = [_mm256_setzero_ps(); 16];
        for (row, half) in halves.iter_mut().enumerate() {
            // SAFETY: `row < 16` and `at + 8 <= width`, so the 8 floats lie in `rows`, which has `16 * width`.
            *half = unsafe { _mm256_loadu_ps(rows.as_ptr().add(row * width + at)) };
        }
        for (lanes, column) in lanes[at..at + COLUMNS].iter_mut().zip(columns(&halves)) {
            store(lanes, register, column);
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn turn_words(bytes: &[u8], stride: usize) -> [__m512; COLUMNS] {
    assert!(bytes.len() >= 15 * stride + WINDOW, "{} bytes for 16 windows", bytes.len());
    let mut halves = [_mm256_setzero_ps(); 16];
    for (row, half) in halves.iter_mut().enumerate() {
        // SAFETY: `row < 16`, so the 32 bytes lie in `bytes`.
        *half = unsafe { _mm256_loadu_ps(bytes.as_ptr().add(row * stride).cast()) };
    }
    columns(&halves)
}

/// Row `r` goes to half `r / 8` of register `r % 8`. Each quarter of two such groups of four is then a 4-by-4 matrix that is transposed
/// separately, and finally the quarters move to their places. This takes half as many shuffles as a plain 16-by-16 transposition.
#[inline]
#[target_feature(enable = "avx512f")]
fn columns(rows: &[__m256; 16]) -> [__m512; COLUMNS] {
    // Where the quarters of a column come from: 0 to 15 are in the group of rows 0 to 3 and 8 to 11, 16 to 31 in the other.
    let low = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
    let high = _mm512_setr_epi32(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    let pair = |row: usize| {
        let first = _mm256_castps_pd(rows[row]);
        let second = _mm256_castps_pd(rows[row + 8]);
        _mm512_castpd_ps(_mm512_insertf64x4::<1>(_mm512_castpd256_pd512(first), second))
    };
    let first = transposed([pair(0), pair(1), pair(2), pair(3)]);
    let second = transposed([pair(4), pair(5), pair(6), pair(7)]);
    let mut columns = [_mm512_setzero_ps(); COLUMNS];
    for c in 0..COLUMNS / 2 {
        columns[c] = _mm512_permutex2var_ps(first[c], low, second[c]);
        columns[c + COLUMNS / 2] = _mm512_permutex2var_ps(first[c], high, second[c]);
    }
    columns
}

/// Transposes each quarter of four registers as a 4-by-4 matrix.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(r: [__m512; 4]) -> [__m512; 4] {
    let pairs =
        |a, b| (_mm512_castps_pd(_mm512_unpacklo_ps(a, b)), _mm512_castps_pd(_mm512_unpackhi_ps(a, b)));
    let ((low_01, high_01), (low_23, high_23)) = (pairs(r[0], r[1]), pairs(r[2], r[3]));
    [
        _mm512_castpd_ps(_mm512_unpacklo_pd(low_01, low_23)),
        _mm512_castpd_ps(_mm512_unpackhi_pd(low_01, low_23)),
        _mm512_castpd_ps(_mm512_unpacklo_pd(high_01, high_23)),
        _mm512_castpd_ps(_mm512_unpackhi_pd(high_01, high_23)),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(to: &mut Lanes, register: usize, v: __m512) {
    let to: &mut [f32; 16] = &mut to.0.as_chunks_mut().0[register];
    // SAFETY: the array has the 16 floats that are written.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), v) }
}
