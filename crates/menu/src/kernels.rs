//! The inner loops: each performs one operation on the numbers or bits of a tile.
//!
//! Free functions over slices without state, so that each can be measured, tested and replaced alone. A loop has no branch that depends on
//! an event; the operation is chosen once per tile.

use std::hint::black_box;

use tamis_event::{Dtype, Element};

use crate::expression::{Arithmetic, Comparison};
use crate::limits::OPERATIONS_MAX;
use crate::lottery::Lottery;

/// Events per mask word.
pub(crate) const LANES: usize = 64;
/// Mask words per tile. A step is dispatched once per tile, and its columns should stay in the L1 cache: half as many words make the
/// decision of a level-1 menu 10 % slower, twice as many hardly faster.
pub(crate) const TILE_WORDS: usize = 4;
/// Events per tile.
pub(crate) const TILE: usize = TILE_WORDS * LANES;

/// One number per event of a mask word.
pub(crate) type Lanes = [f64; LANES];
/// Bit `i % 64` of word `i / 64` belongs to event `i` of the tile.
pub(crate) type Bits = [u64; TILE_WORDS];

/// An operand of a step.
#[derive(Clone, Copy)]
pub(crate) enum StepInput<'a, T = f64> {
    Column(&'a [[T; LANES]; TILE_WORDS]),
    Constant(T),
}

impl<T: Copy> StepInput<'_, T> {
    #[inline(always)]
    fn at(self, word: usize, lane: usize) -> T {
        match self {
            Self::Column(column) => column[word][lane],
            Self::Constant(value) => value,
        }
    }
}

/// `out[i]` = physical value of `element` in record `i` of `records`, which are `stride` bytes each.
#[inline(always)]
pub(crate) fn load(out: &mut [f64], records: &[u8], stride: usize, element: Element) {
    let Element { at, scale, offset, .. } = element;
    let physical = |raw: f64| raw * scale + offset;
    match element.dtype {
        Dtype::U8 => strided(out, records, stride, at, |bytes| physical(u8::from_le_bytes(bytes).into())),
        Dtype::I8 => strided(out, records, stride, at, |bytes| physical(i8::from_le_bytes(bytes).into())),
        Dtype::U16 => strided(out, records, stride, at, |bytes| physical(u16::from_le_bytes(bytes).into())),
        Dtype::I16 => strided(out, records, stride, at, |bytes| physical(i16::from_le_bytes(bytes).into())),
        Dtype::U32 => strided(out, records, stride, at, |bytes| physical(u32::from_le_bytes(bytes).into())),
        Dtype::I32 => strided(out, records, stride, at, |bytes| physical(i32::from_le_bytes(bytes).into())),
        Dtype::F32 => strided(out, records, stride, at, |bytes| physical(f32::from_le_bytes(bytes).into())),
        Dtype::F16 => strided(out, records, stride, at, |bytes: [u8; 2]| physical(Dtype::F16.read(&bytes))),
        Dtype::U64 => strided(out, records, stride, at, |bytes| physical(u64::from_le_bytes(bytes) as f64)),
        Dtype::I64 => strided(out, records, stride, at, |bytes| physical(i64::from_le_bytes(bytes) as f64)),
        Dtype::F64 => strided(out, records, stride, at, |bytes| physical(f64::from_le_bytes(bytes))),
    }
}

/// `out[i]` = `f` of the `N` bytes at `at` in record `i`.
#[inline(always)]
pub(crate) fn strided<T, const N: usize>(
    out: &mut [T],
    records: &[u8],
    stride: usize,
    at: usize,
    f: impl Fn([u8; N]) -> T,
) {
    assert!(at + N <= stride, "an element lies within its record");
    let mut fours = out.chunks_exact_mut(4);
    let mut records = records;
    for out in &mut fours {
        let (four, rest) = records.split_at(4 * stride);
        for (k, out) in out.iter_mut().enumerate() {
            *out = f(*four[k * stride + at..].first_chunk().expect("checked above"));
        }
        records = rest;
    }
    for (out, record) in fours.into_remainder().iter_mut().zip(records.chunks_exact(stride)) {
        *out = f(*record[at..].first_chunk().expect("checked above"));
    }
}

/// Raw to physical values, by the formula of [`Element::physical`].
#[inline(always)]
pub(crate) fn physical(out: &mut [f64], raws: &[[i32; LANES]; TILE_WORDS], scale: f64, offset: f64) {
    for (out, &raw) in out.iter_mut().zip(raws.as_flattened()) {
        *out = f64::from(raw) * scale + offset;
    }
}

/// Widens scores from f32 to f64, exactly.
#[inline(always)]
pub(crate) fn widen(out: &mut [f64], scores: &[f32]) {
    for (out, &score) in out.iter_mut().zip(scores) {
        *out = score.into();
    }
}

#[inline(always)]
pub(crate) fn absolute(out: &mut [Lanes; TILE_WORDS], of: &[Lanes; TILE_WORDS]) {
    each(out, of, f64::abs);
}

#[inline(always)]
pub(crate) fn negate(out: &mut [Lanes; TILE_WORDS], of: &[Lanes; TILE_WORDS]) {
    each(out, of, |x| -x);
}

/// Rounds every number to f32.
#[inline(always)]
pub(crate) fn single(out: &mut [Lanes; TILE_WORDS], of: &[Lanes; TILE_WORDS]) {
    each(out, of, |x| f64::from(x as f32));
}

/// `out` = `a op b`. The numbers come from [`Arithmetic::apply`], as in constant folding.
#[inline(always)]
pub(crate) fn combine(
    out: &mut [Lanes; TILE_WORDS],
    arithmetic: Arithmetic,
    a: StepInput<'_>,
    b: StepInput<'_>,
) {
    match arithmetic {
        Arithmetic::Add => zip(out, a, b, |x, y| Arithmetic::Add.apply(x, y)),
        Arithmetic::Sub => zip(out, a, b, |x, y| Arithmetic::Sub.apply(x, y)),
        Arithmetic::Mul => zip(out, a, b, |x, y| Arithmetic::Mul.apply(x, y)),
        Arithmetic::Div => zip(out, a, b, |x, y| Arithmetic::Div.apply(x, y)),
        Arithmetic::Min => zip(out, a, b, |x, y| Arithmetic::Min.apply(x, y)),
        Arithmetic::Max => zip(out, a, b, |x, y| Arithmetic::Max.apply(x, y)),
    }
}

/// `out` = `a` for the events of `condition`, `b` for the others.
#[inline(always)]
pub(crate) fn select<T: Copy>(
    out: &mut [[T; LANES]; TILE_WORDS],
    condition: Bits,
    a: StepInput<'_, T>,
    b: StepInput<'_, T>,
) {
    for (word, out) in out.iter_mut().enumerate() {
        for (lane, out) in out.iter_mut().enumerate() {
            let (x, y) = (a.at(word, lane), b.at(word, lane));
            *out = if condition[word] >> lane & 1 == 1 { x } else { y };
        }
    }
}

/// The events for which `a op b` holds.
#[inline(always)]
pub(crate) fn compare(comparison: Comparison, a: StepInput<'_>, b: StepInput<'_>) -> Bits {
    match comparison {
        Comparison::Less => test(a, b, |x, y| Comparison::Less.holds(x, y)),
        Comparison::LessEqual => test(a, b, |x, y| Comparison::LessEqual.holds(x, y)),
        Comparison::Greater => test(a, b, |x, y| Comparison::Greater.holds(x, y)),
        Comparison::GreaterEqual => test(a, b, |x, y| Comparison::GreaterEqual.holds(x, y)),
        Comparison::Equal => test(a, b, |x, y| Comparison::Equal.holds(x, y)),
        Comparison::NotEqual => test(a, b, |x, y| Comparison::NotEqual.holds(x, y)),
    }
}

#[inline(always)]
fn each(out: &mut [Lanes; TILE_WORDS], of: &[Lanes; TILE_WORDS], f: impl Fn(f64) -> f64) {
    for (out, x) in out.as_flattened_mut().iter_mut().zip(of.as_flattened()) {
        *out = f(*x);
    }
}

#[inline(always)]
pub(crate) fn zip<T: Copy>(
    out: &mut [[T; LANES]; TILE_WORDS],
    a: StepInput<'_, T>,
    b: StepInput<'_, T>,
    f: impl Fn(T, T) -> T,
) {
    let out = out.as_flattened_mut();
    match (a, b) {
        (StepInput::Column(a), StepInput::Column(b)) => {
            for ((out, x), y) in out.iter_mut().zip(a.as_flattened()).zip(b.as_flattened()) {
                *out = f(*x, *y);
            }
        }
        (StepInput::Column(a), StepInput::Constant(y)) => {
            for (out, x) in out.iter_mut().zip(a.as_flattened()) {
                *out = f(*x, y);
            }
        }
        (StepInput::Constant(x), StepInput::Column(b)) => {
            for (out, y) in out.iter_mut().zip(b.as_flattened()) {
                *out = f(x, *y);
            }
        }
        (StepInput::Constant(x), StepInput::Constant(y)) => out.fill(f(x, y)),
    }
}

#[inline(always)]
pub(crate) fn test<T: Copy>(a: StepInput<'_, T>, b: StepInput<'_, T>, f: impl Fn(T, T) -> bool) -> Bits {
    match (a, b) {
        (StepInput::Column(a), StepInput::Column(b)) => gather(|word, lane| f(a[word][lane], b[word][lane])),
        (StepInput::Column(a), StepInput::Constant(y)) => gather(|word, lane| f(a[word][lane], y)),
        (StepInput::Constant(x), StepInput::Column(b)) => gather(|word, lane| f(x, b[word][lane])),
        (StepInput::Constant(x), StepInput::Constant(y)) => [if f(x, y) { u64::MAX } else { 0 }; TILE_WORDS],
    }
}

/// Bit `lane` of word `word` = `holds(word, lane)`. First makes a byte per event, which the compiler vectorises; then packs the bytes into bits.
#[inline(always)]
pub(crate) fn gather(holds: impl Fn(usize, usize) -> bool) -> Bits {
    let mut bytes = [[0_u8; LANES]; TILE_WORDS];
    for (word, bytes) in bytes.iter_mut().enumerate() {
        for (lane, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from(holds(word, lane));
        }
    }
    // Otherwise the optimiser merges the two loops into shifts of single events, ten times as slow. This affects speed only, never the result.
    let bytes = black_box(&bytes);
    let mut bits = [0; TILE_WORDS];
    for (bits, bytes) in bits.iter_mut().zip(bytes) {
        *bits = pack(bytes);
    }
    bits
}

/// Packs bytes that are 0 or 1 into bits.
#[inline(always)]
fn pack(bytes: &[u8; LANES]) -> u64 {
    let (eights, _) = bytes.as_chunks::<8>();
    let mut word = 0;
    for (group, eight) in eights.iter().enumerate() {
        // The product brings byte i to bit 56 + i.
        let packed = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word |= packed << (8 * group);
    }
    word
}

/// The events that a lottery draws; `positions` are those of [`crate::lottery::position`].
#[inline(always)]
pub(crate) fn drawn(lottery: Lottery, seed: u64, positions: &[[u64; LANES]; TILE_WORDS]) -> Bits {
    gather(|word, lane| lottery.draws(seed, positions[word][lane]))
}

/// The events whose bit is set in `low` to `high` (inclusive) of the masks `of`.
#[inline(always)]
pub(crate) fn counted(masks: &[Bits], of: &[usize], low: u32, high: u32) -> Bits {
    // `digits[k]` is bit `k` of the number, for every event; one digit more than the number needs, for `high + 1`.
    let mut digits = [[0; TILE_WORDS]; DIGITS];
    let digits = &mut digits[..of.len().ilog2() as usize + 2];
    for &mask in of {
        let mut carry = masks[mask];
        for digit in &mut *digits {
            for (digit, carry) in digit.iter_mut().zip(&mut carry) {
                (*digit, *carry) = (*digit ^ *carry, *digit & *carry);
            }
        }
    }
    let enough = at_least(digits, low);
    let too_many = at_least(digits, high + 1);
    std::array::from_fn(|word| enough[word] & !too_many[word])
}

/// Most binary digits that [`counted`] needs.
const DIGITS: usize = OPERATIONS_MAX.ilog2() as usize + 2;

/// The events whose number, given by its binary digits, is at least `limit`. `limit` has no more digits than that.
#[inline(always)]
fn at_least(digits: &[Bits], limit: u32) -> Bits {
    let mut more = [0; TILE_WORDS];
    let mut equal = [u64::MAX; TILE_WORDS];
    for (k, digit) in digits.iter().enumerate().rev() {
        let bit = if limit >> k & 1 == 1 { u64::MAX } else { 0 };
        for word in 0..TILE_WORDS {
            more[word] |= equal[word] & digit[word] & !bit;
            equal[word] &= !(digit[word] ^ bit);
        }
    }
    std::array::from_fn(|word| more[word] | equal[word])
}

/// `out[i]` = how many of the masks `of` have bit `i` set.
#[inline(always)]
pub(crate) fn count(out: &mut [Lanes; TILE_WORDS], masks: &[Bits], of: &[usize]) {
    for (word, lanes) in out.iter_mut().enumerate() {
        *lanes = [0.0; LANES];
        // The sums are bytes, so at most 255 masks are added at a time.
        for some in of.chunks(255) {
            let mut sums = [0_u64; LANES / 8];
            for &mask in some {
                let bits = masks[mask][word];
                for (group, sum) in sums.iter_mut().enumerate() {
                    *sum += spread(bits >> (8 * group));
                }
            }
            for (lane, total) in lanes.iter_mut().enumerate() {
                *total += f64::from((sums[lane / 8] >> (8 * (lane % 8))) as u8);
            }
        }
    }
}

/// Spreads the lowest eight bits, one to each byte.
#[inline(always)]
fn spread(bits: u64) -> u64 {
    // Byte i keeps bit i of its copy of the eight bits; adding 0x7f.. carries any kept bit to the top of its byte.
    let kept = (bits & 0xFF).wrapping_mul(0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
    (((kept & 0x7F7F_7F7F_7F7F_7F7F) + 0x7F7F_7F7F_7F7F_7F7F) | kept) >> 7 & 0x0101_0101_0101_0101
}
