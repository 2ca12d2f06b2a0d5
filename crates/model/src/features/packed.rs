//! Packed inputs: the 16-bit integers of the record side by side, for a device that converts them to floats itself.
//!
//! This halves the bytes on the bus and leaves the host almost nothing to do. It is for plain inputs on fields of at most 16 bits, and counts of lists;
//! anything else, as the mask of a list, is transferred as rows of floats.

use tamis_event::Dtype;
use tamis_graph::{Affine, Unpack};

use super::Features;
use super::rows::Strip;

impl Features {
    /// The conversion of each column on the device, if the inputs can be packed.
    pub fn packed(&self) -> Option<Vec<Affine>> {
        let plain = self.curved.is_empty() && self.masked.is_empty();
        plain.then(|| self.strips.iter().map(affine).collect::<Option<Vec<_>>>())?.map(|lists| lists.concat())
    }

    /// Number of integers in a packed row.
    pub fn packed_stride(&self) -> usize {
        Unpack::stride(self.width)
    }

    /// Appends one packed row per record. Strips are in column order, and cover all columns if [`Features::packed`]
    /// returns `Some`.
    pub fn pack(&self, records: &[u8], integers: &mut Vec<i16>) {
        let odd = self.packed_stride() - self.width;
        for record in records.chunks_exact(self.stride) {
            for &Strip { dtype, at, ref mul, .. } in &self.strips {
                let bytes = &record[at..];
                let len = mul.len();
                match dtype {
                    Dtype::U8 => integers.extend(bytes[..len].iter().map(|&byte| i16::from(byte))),
                    Dtype::I8 => integers.extend(bytes[..len].iter().map(|&byte| i16::from(byte as i8))),
                    Dtype::U16 => integers
                        .extend(pairs(bytes, len).map(|pair| (u16::from_le_bytes(pair) ^ SIGN) as i16)),
                    _ => integers.extend(pairs(bytes, len).map(i16::from_le_bytes)),
                }
            }
            integers.extend([0].iter().take(odd));
        }
    }
}

fn pairs(bytes: &[u8], len: usize) -> impl ExactSizeIterator<Item = [u8; 2]> + '_ {
    bytes.as_chunks().0[..len].iter().copied()
}

/// Flipping this bit of an unsigned number subtracts [`BASE`] from it.
const SIGN: u16 = 1 << 15;
const BASE: f32 = 32768.0;

fn affine(strip: &Strip) -> Option<Vec<Affine>> {
    let base = match strip.dtype {
        Dtype::U8 | Dtype::I8 | Dtype::I16 => 0.0,
        Dtype::U16 => BASE,
        Dtype::U32 | Dtype::I32 | Dtype::U64 | Dtype::I64 | Dtype::F16 | Dtype::F32 | Dtype::F64 => {
            return None;
        }
    };
    // These are computed in double precision, which devices lack.
    if strip.physical.iter().flatten().any(|&factors| factors != [1.0, 0.0]) {
        return None;
    }
    let column = |k: usize| {
        let clip = strip.clip.as_ref().map_or([f32::NEG_INFINITY, f32::INFINITY], |clip| clip[k]);
        Affine { base, mul: strip.mul[k], add: strip.add[k], clip }
    };
    Some((0..strip.mul.len()).map(column).collect())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use proptest::prelude::*;
    use tamis_event::{Element, ReadingKind};

    use super::super::rows::strips;
    use super::super::{Feature, ValueMap};
    use super::*;

    const NARROW: [Dtype; 4] = [Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I16];

    /// Contiguous inputs of a record, with a byte between some, so that strips end and nothing is aligned.
    fn features(dtypes: &[(Dtype, bool)]) -> Features {
        let mut at = 1;
        let mut list = Vec::new();
        for (column, &(dtype, gap)) in dtypes.iter().enumerate() {
            at += usize::from(gap);
            let clip = column.is_multiple_of(3).then_some([-3.0, 3.0]);
            let map = ValueMap::Affine { log1p: false, shift: 0.5 * column as f64, scale: 0.01, clip };
            let element = Element { at, dtype, scale: 0.25, offset: -1.0 };
            list.push(Feature { input: column, element, kind: ReadingKind::Value, column, map, mask: None });
            at += dtype.size();
        }
        let curved = (0..list.len()).filter(|&k| !list[k].is_plain()).collect();
        let masked = Vec::new();
        Features { strips: strips(&list), curved, masked, width: list.len(), list, stride: at + 2 }
    }

    proptest! {
        #[test]
        fn packed_rows_become_the_rows_that_the_host_makes(
            dtypes in prop::collection::vec((prop::sample::select(&NARROW[..]), any::<bool>()), 1..12),
            bytes in prop::collection::vec(any::<u8>(), 200),
        ) {
            let features = features(&dtypes);
            let records = bytes.len() / features.stride;
            let bytes = &bytes[..records * features.stride];
            let mut rows = vec![0.0; records * features.width];
            features.fill(bytes, &mut rows);
            let mut integers = Vec::new();
            features.pack(bytes, &mut integers);
            let unpack = Unpack::new(&features.packed().unwrap(), &Device::flex());
            let unpacked = unpack.numbers(integers, records).unwrap();
            let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&unpacked), bits(&rows));
        }
    }

    #[test]
    fn what_does_not_fit_travels_as_floats() {
        let wide = [Dtype::U64, Dtype::I64, Dtype::F64];
        for dtype in [Dtype::I32, Dtype::U32, Dtype::F16, Dtype::F32].into_iter().chain(wide) {
            assert!(features(&[(Dtype::I16, false), (dtype, false)]).packed().is_none(), "{dtype:?}");
        }
        let mut logarithm = features(&[(Dtype::I16, false)]);
        logarithm.curved.push(0);
        assert!(logarithm.packed().is_none());
        let mut exact = features(&[(Dtype::I16, false)]);
        exact.list[0].map = ValueMap::Affine { log1p: false, shift: 0.0, scale: 1.0, clip: None };
        exact.strips = strips(&exact.list);
        assert!(exact.packed().is_none(), "0.25 x - 1 is computed in double precision");
        exact.list[0].element = Element { scale: 1.0, offset: 0.0, ..exact.list[0].element };
        exact.strips = strips(&exact.list);
        assert!(exact.packed().is_some());
    }
}
