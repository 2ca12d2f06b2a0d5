//! Inputs of a network as the integers of the record, for the integer kernels.
//!
//! Scale and shift go into the weights, and a clip becomes a range of integers. So only plain
//! inputs on fields whose type fits `i16` are possible.

use tamis_event::Dtype;
use tamis_kernel::{IntColumn, IntInput, Number};

use super::{Feature, Features, ValueMap};

/// An input of an integer chain: the meaning of its integers, and their place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IntFeature {
    pub input: IntInput,
    pub column: IntColumn,
    /// `scale` and `offset` of the input before rounding.
    pub exact: [f64; 2],
}

impl Features {
    /// The inputs, in order; or the index and the type of the first that cannot be a 16-bit integer.
    pub fn integers(&self) -> Result<Vec<IntFeature>, (usize, Dtype)> {
        self.list
            .iter()
            .map(|feature| integer(feature).ok_or((feature.input, feature.element.dtype)))
            .collect()
    }
}

/// `None` if its preprocessing is not affine, or its type does not fit `i16`.
fn integer(feature: &Feature) -> Option<IntFeature> {
    let ValueMap::Affine { log1p: false, shift, scale, clip } = feature.map else { return None };
    if feature.is_mask() {
        return None;
    }
    let number = match feature.element.dtype {
        Dtype::U8 => Number::U8,
        Dtype::I8 => Number::I8,
        Dtype::I16 => Number::I16,
        Dtype::U16
        | Dtype::U32
        | Dtype::I32
        | Dtype::U64
        | Dtype::I64
        | Dtype::F16
        | Dtype::F32
        | Dtype::F64 => return None,
    };
    let (least, most) = feature.element.dtype.integer_range()?;
    let [step, offset] = [feature.element.scale * scale, (feature.element.offset - shift) * scale];
    let within = |x: f64| nearest(x, [step, offset], [least as f64, most as f64]);
    let ends = clip.map_or([least as i16, most as i16], |clip| clip.map(within));
    let input = IntInput {
        low: ends[0].min(ends[1]),
        high: ends[0].max(ends[1]),
        scale: step as f32,
        offset: offset as f32,
    };
    let column = IntColumn { input: feature.column, at: feature.element.at, number };
    Some(IntFeature { input, column, exact: [step, offset] })
}

/// The integer in a range whose meaning is nearest to `x`.
pub(crate) fn nearest(x: f64, [step, offset]: [f64; 2], [low, high]: [f64; 2]) -> i16 {
    ((x - offset) / step).round_ties_even().clamp(low, high) as i16
}
