//! Plain Rust: the reference for every other instruction set.

use std::hint::select_unpredictable;

use super::{IntSimd, Simd, WINDOW, turn_each};
use crate::int::Pairs;
use crate::lanes::{EVENTS, Lanes};

/// No instruction set at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

const LANES: usize = 8;

type V = [f32; LANES];

#[inline(always)]
fn each(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    let mut out = a;
    for lane in 0..LANES {
        out[lane] = f(a[lane], b[lane]);
    }
    out
}

#[inline(always)]
fn each_int(a: V, b: V, f: impl Fn(i32, i32) -> i32) -> V {
    each(a, b, |a, b| f32::from_bits(f(a.to_bits().cast_signed(), b.to_bits().cast_signed()).cast_unsigned()))
}

impl Simd for Portable {
    type V = V;

    const LANES: usize = LANES;
    const NEURONS: usize = 4;
    const CUTS_PER_STEP: usize = 0;

    #[inline(always)]
    fn splat(self, value: f32) -> V {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &Lanes, register: usize) -> V {
        from.0.as_chunks().0[register]
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, register: usize, v: V) {
        to.0.as_chunks_mut().0[register] = v;
    }

    #[inline(always)]
    fn turn(self, rows: &[f32], lanes: &mut [Lanes], register: usize) {
        turn_each::<Self>(rows, lanes, register);
    }

    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        let mut out = c;
        for lane in 0..LANES {
            out[lane] = a[lane].mul_add(b[lane], c[lane]);
        }
        out
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        each(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        each(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        each(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        each(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        each(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        each(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn replace_negative(self, a: V, b: V) -> V {
        each(a, b, |a, b| if a < 0.0 { b } else { a })
    }

    #[inline(always)]
    fn one_nan(self, a: V) -> V {
        // On the bits, because the NaN that a float operation gives is not fixed.
        let nan = f32::INFINITY.to_bits().cast_signed();
        each_int(a, a, |a, _| if a & i32::MAX > nan { f32::NAN.to_bits().cast_signed() } else { a })
    }

    #[inline(always)]
    fn and(self, a: V, b: V) -> V {
        each_int(a, b, |a, b| a & b)
    }

    #[inline(always)]
    fn or(self, a: V, b: V) -> V {
        each_int(a, b, |a, b| a | b)
    }

    #[inline(always)]
    fn add_int(self, a: V, b: V) -> V {
        each_int(a, b, i32::wrapping_add)
    }

    #[inline(always)]
    fn sub_int(self, a: V, b: V) -> V {
        each_int(a, b, i32::wrapping_sub)
    }

    #[inline(always)]
    fn shift_left(self, a: V, bits: i32) -> V {
        each_int(a, a, |a, _| a << bits)
    }

    #[inline(always)]
    fn shift_right(self, a: V, bits: i32) -> V {
        each_int(a, a, |a, _| a >> bits)
    }

    #[inline(always)]
    fn shift_right_unsigned(self, a: V, bits: i32) -> V {
        each_int(a, a, |a, _| (a.cast_unsigned() >> bits).cast_signed())
    }

    #[inline(always)]
    fn to_float(self, a: V) -> V {
        each(a, a, |a, _| a.to_bits().cast_signed() as f32)
    }

    #[inline(always)]
    fn physical(self, a: V, scale: f64, offset: f64) -> V {
        each(a, a, |a, _| (f64::from(a.to_bits().cast_signed()) * scale + offset) as f32)
    }

    #[inline(always)]
    fn physical_float(self, a: V, scale: f64, offset: f64) -> V {
        each(a, a, |a, _| (f64::from(a) * scale + offset) as f32)
    }

    #[inline(always)]
    fn turn_words(self, bytes: &[u8], stride: usize) -> [V; WINDOW / 4] {
        let mut out = [[0.0; LANES]; WINDOW / 4];
        for lane in 0..LANES {
            let window: &[u8; WINDOW] = bytes[lane * stride..].first_chunk().expect("bytes for every window");
            for (words, &word) in out.iter_mut().zip(window.as_chunks().0) {
                words[lane] = f32::from_le_bytes(word);
            }
        }
        out
    }

    #[inline(always)]
    fn keep_unless_le(self, bits: V, x: V, threshold: V, keep: V) -> V {
        let mut out = bits;
        for lane in 0..LANES {
            // Without a branch, which would be unpredictable.
            let mask = select_unpredictable(x[lane] <= threshold[lane], u32::MAX, keep[lane].to_bits());
            out[lane] = f32::from_bits(bits[lane].to_bits() & mask);
        }
        out
    }

    #[inline(always)]
    fn pick(self, bits: V, table: &[f32; 32], otherwise: V) -> V {
        let mut out = otherwise;
        for lane in 0..LANES {
            if let Some(&value) = table.get(bits[lane].to_bits().trailing_zeros() as usize) {
                out[lane] = value;
            }
        }
        out
    }
}

/// The two integers of a lane.
#[inline(always)]
fn apart(lane: f32) -> [i16; 2] {
    let bits = lane.to_bits();
    [(bits as u16).cast_signed(), ((bits >> 16) as u16).cast_signed()]
}

#[inline(always)]
fn together([first, second]: [i16; 2]) -> f32 {
    f32::from_bits(u32::from(first.cast_unsigned()) | u32::from(second.cast_unsigned()) << 16)
}

impl IntSimd for Portable {
    type Shorts = [u16; EVENTS];

    #[inline(always)]
    fn load_pairs(self, from: &Pairs, register: usize) -> V {
        from.0.as_chunks::<LANES>().0[register].map(together)
    }

    #[inline(always)]
    fn store_pairs(self, to: &mut Pairs, register: usize, v: V) {
        to.0.as_chunks_mut().0[register] = v.map(apart);
    }

    #[inline(always)]
    fn splat_bits(self, bits: u32) -> V {
        [f32::from_bits(bits); LANES]
    }

    #[inline(always)]
    fn multiply_add_pairs(self, a: V, b: V, sum: V) -> V {
        let mut out = sum;
        for lane in 0..LANES {
            let ([a, c], [b, d]) = (apart(a[lane]), apart(b[lane]));
            let products = (i32::from(a) * i32::from(b)).wrapping_add(i32::from(c) * i32::from(d));
            out[lane] = f32::from_bits(sum[lane].to_bits().wrapping_add(products.cast_unsigned()));
        }
        out
    }

    #[inline(always)]
    fn multiply_add_quads(self, a: V, b: V, sum: V) -> V {
        let mut out = sum;
        for lane in 0..LANES {
            let (a, b) = (a[lane].to_bits().to_le_bytes(), b[lane].to_bits().to_le_bytes());
            let mut products = sum[lane].to_bits().cast_signed();
            for i in 0..4 {
                products = products.wrapping_add(i32::from(a[i]) * i32::from(b[i].cast_signed()));
            }
            out[lane] = f32::from_bits(products.cast_unsigned());
        }
        out
    }

    #[inline(always)]
    fn clamp_pairs(self, a: V, low: V, high: V) -> V {
        let mut out = a;
        for lane in 0..LANES {
            let a = apart(a[lane]);
            let low = apart(low[lane]);
            let high = apart(high[lane]);
            out[lane] = together([a[0].max(low[0]).min(high[0]), a[1].max(low[1]).min(high[1])]);
        }
        out
    }

    #[inline(always)]
    fn nearest(self, a: V) -> V {
        each(a, a, |a, _| f32::from_bits((a.round_ties_even() as i32).cast_unsigned()))
    }

    #[inline(always)]
    fn shift_right_by(self, a: V, by: V) -> V {
        each_int(a, by, |a, by| a >> by)
    }

    #[inline(always)]
    fn pair(self, a: V, b: V) -> V {
        let narrow = |lane: f32| lane.to_bits().cast_signed().clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        each(a, b, |a, b| together([narrow(a), narrow(b)]))
    }

    #[inline(always)]
    fn shorts(self, pairs: &Pairs, is_second: bool) -> [u16; EVENTS] {
        pairs.0.map(|pair| pair[usize::from(is_second)].cast_unsigned())
    }

    #[inline(always)]
    fn shorts_within(self, shorts: [u16; EVENTS], low: u16, span: u16) -> u32 {
        to_bits(shorts.map(|short| short.wrapping_sub(low) <= span))
    }

    #[inline(always)]
    fn within(self, a: V, low: i32, span: u32) -> u32 {
        to_bits(a.map(|a| a.to_bits().wrapping_sub(low.cast_unsigned()) <= span))
    }

    #[inline(always)]
    fn load_integers(self, from: &[i32; EVENTS], register: usize) -> V {
        from.as_chunks::<LANES>().0[register].map(|number| f32::from_bits(number.cast_unsigned()))
    }

    #[inline(always)]
    fn store_integers(self, to: &mut [i32; EVENTS], register: usize, v: V) {
        to.as_chunks_mut().0[register] = v.map(|number| number.to_bits().cast_signed());
    }
}

/// Bit `i` = `holds[i]`.
#[inline(always)]
fn to_bits<const N: usize>(holds: [bool; N]) -> u32 {
    holds.iter().rev().fold(0, |bits, &holds| bits << 1 | u32::from(holds))
}
