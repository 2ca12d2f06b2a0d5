//! Rows: the numbers of one event side by side, for burn.
//!
//! Contiguous inputs of the record with one number type form a strip: a loop over contiguous numbers that the compiler turns into
//! vector instructions. The products are f32, without fused operations, so a row has the same bits on every machine.
//!
//! Cost: 17 ns for 57 i16, some of them clipped (Zen 4, one thread).

use tamis_event::{Dtype, Element};

use super::{Feature, Features, ValueMap};

/// Consecutive plain inputs that are consecutive in the record.
#[derive(Clone, Debug)]
pub(super) struct Strip {
    pub dtype: Dtype,
    /// Byte offset in the record.
    pub at: usize,
    /// Column of the first input in a row.
    pub column: usize,
    pub mul: Vec<f32>,
    pub add: Vec<f32>,
    /// Scale and offset of the schema, if the values are not preprocessed: a framework that never saw the integers was
    /// trained with these values, rounded once. Trees split exactly on them.
    pub physical: Option<Vec<[f64; 2]>>,
    /// `[low, high]` of every input, infinite where there is no bound; `None` if no input has bounds.
    pub clip: Option<Vec<[f32; 2]>>,
}

impl Features {
    /// Writes one row per record.
    ///
    /// # Panics
    /// If there are more rows than records.
    pub fn fill(&self, records: &[u8], rows: &mut [f32]) {
        for strip in &self.strips {
            let job = Job { strip, records, stride: self.stride, rows: &mut *rows, width: self.width };
            match strip.dtype {
                Dtype::U8 => job.run(|bytes: [u8; 1]| bytes[0]),
                Dtype::I8 => job.run(|bytes: [u8; 1]| bytes[0] as i8),
                Dtype::U16 => job.run(u16::from_le_bytes),
                Dtype::I16 => job.run(i16::from_le_bytes),
                Dtype::U32 => job.run(u32::from_le_bytes),
                Dtype::I32 => job.run(i32::from_le_bytes),
                Dtype::F16 => job.run(|bytes: [u8; 2]| Dtype::F16.read(&bytes) as f32),
                Dtype::F32 => job.run(f32::from_le_bytes),
                Dtype::U64 => job.run(u64::from_le_bytes),
                Dtype::I64 => job.run(i64::from_le_bytes),
                Dtype::F64 => job.run(f64::from_le_bytes),
            }
        }
        if self.curved.is_empty() && self.masked.is_empty() {
            return;
        }
        for (record, row) in records.chunks_exact(self.stride).zip(rows.chunks_exact_mut(self.width)) {
            for &index in &self.curved {
                let feature = &self.list[index];
                feature.write(feature.physical(record), |column, x| row[column] = x);
            }
            self.clear_masked(|mask| self.list[mask].physical(record), |column| row[column] = 0.0);
        }
    }
}

pub(super) fn strips(list: &[Feature]) -> Vec<Strip> {
    let mut strips: Vec<Strip> = Vec::new();
    for feature in list {
        let (true, ValueMap::Affine { shift, scale: factor, clip, .. }) = (feature.is_plain(), &feature.map)
        else {
            continue;
        };
        let Element { at, dtype, scale, offset } = feature.element;
        let as_it_is = feature.is_as_it_is();
        let continues = strips.last().is_some_and(|s| {
            s.dtype == dtype
                && s.at + s.mul.len() * dtype.size() == at
                && s.column + s.mul.len() == feature.column
                && s.physical.is_some() == as_it_is
        });
        if !continues {
            let physical = as_it_is.then(Vec::new);
            let (mul, add) = (Vec::new(), Vec::new());
            strips.push(Strip { dtype, at, column: feature.column, mul, add, physical, clip: None });
        }
        let strip = strips.last_mut().expect("there is one now");
        strip.mul.push((scale * factor) as f32);
        strip.add.push(((offset - shift) * factor) as f32);
        strip.physical.iter_mut().for_each(|list| list.push([scale, offset]));
        if let &Some([low, high]) = clip {
            strip.clip.get_or_insert_default().resize(strip.mul.len() - 1, UNBOUNDED);
            strip.clip.get_or_insert_default().push([low as f32, high as f32]);
        }
    }
    for strip in &mut strips {
        if let Some(clip) = &mut strip.clip {
            clip.resize(strip.mul.len(), UNBOUNDED);
        }
    }
    strips
}

const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

/// A raw number of a record.
trait RawNumber {
    /// The nearest f32.
    fn to_f32(self) -> f32;
    /// The nearest f64: the same number, but for large ones of u64 and i64.
    fn to_f64(self) -> f64;
}

macro_rules! numbers {
    ($($kind:ty),+) => {
        $(impl RawNumber for $kind {
            #[inline(always)]
            #[allow(clippy::cast_lossless, reason = "the same words for all")]
            fn to_f32(self) -> f32 {
                self as f32
            }

            #[inline(always)]
            #[allow(clippy::cast_lossless, reason = "the same words for all")]
            fn to_f64(self) -> f64 {
                self as f64
            }
        })+
    };
}

numbers!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);

/// One strip of many records.
struct Job<'a> {
    strip: &'a Strip,
    records: &'a [u8],
    stride: usize,
    rows: &'a mut [f32],
    width: usize,
}

impl Job<'_> {
    #[inline(always)]
    fn run<const SIZE: usize, T: RawNumber>(self, number: impl Fn([u8; SIZE]) -> T) {
        let Strip { at, column, ref mul, ref add, ref physical, ref clip, .. } = *self.strip;
        let len = mul.len();
        let bytes = mul.len() * SIZE;
        let (mul, add) = (&mul[..len], &add[..len]);
        for (record, row) in
            self.records.chunks_exact(self.stride).zip(self.rows.chunks_exact_mut(self.width))
        {
            let raw = &record[at..at + bytes].as_chunks::<SIZE>().0[..len];
            let row = &mut row[column..][..len];
            if let Some(physical) = physical {
                for (x, (&raw, &[scale, offset])) in row.iter_mut().zip(raw.iter().zip(physical)) {
                    *x = (number(raw).to_f64() * scale + offset) as f32;
                }
                continue;
            }
            for k in 0..len {
                row[k] = number(raw[k]).to_f32() * mul[k] + add[k];
            }
            if let Some(clip) = clip {
                // Comparisons instead of `max` and `min`: a NaN must stay a NaN, to be seen in the score.
                for (x, &[low, high]) in row.iter_mut().zip(clip) {
                    let raised = if *x < low { low } else { *x };
                    *x = if raised > high { high } else { raised };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tamis_event::{ReadingKind, Schema};

    use super::*;

    /// A time of 64 bits less its shift: f32 would leave nothing of the difference.
    #[test]
    fn numbers_of_64_bits_are_shifted_before_they_are_rounded() {
        let schema = "name = 's'\n[[field]]\nname = 't'\ndtype = 'u64'\nlen = 2\n[[field]]\nname = 'x'\ndtype = 'f64'\n";
        let schema = Schema::parse(schema.as_bytes()).expect("a schema");
        let shift = 2_f64.powi(60);
        let feature = |field: usize, index: usize, column: usize, shift: f64, scale: f64| {
            let element = schema.fields()[field].element(index);
            let map = ValueMap::Affine { log1p: false, shift, scale, clip: None };
            Feature { input: column, element, kind: ReadingKind::Value, column, map, mask: None }
        };
        let list = vec![feature(0, 0, 0, shift, 0.5), feature(0, 1, 1, 0.0, 1.0), feature(1, 0, 2, 1e9, 1.0)];
        let curved = (0..3).filter(|&k| !list[k].is_plain()).collect();
        let features =
            Features { strips: strips(&list), curved, masked: Vec::new(), list, width: 3, stride: 24 };
        assert!(features.packed().is_none());
        let record =
            [((1_u64 << 60) + 512).to_le_bytes(), u64::MAX.to_le_bytes(), (1e9 + 0.125_f64).to_le_bytes()]
                .concat();
        let mut row = [0.0; 3];
        features.fill(&record, &mut row);
        assert_eq!(row, [256.0, 18_446_744_073_709_551_616.0, 0.125]);
        assert_eq!(features.first_difference(&record, &row), None);
        assert_eq!(features.record_of_physical(&[f32::MAX, -1.0, 0.5])[..16], [[255; 8], [0; 8]].concat());
    }
}
