//! Lanes: the same number of 32 events side by side, for the fused kernels.
//!
//! The kernel crate gathers plain numbers of the usual types; this module describes them to it, and fills in the rest number by number.

use tamis_event::Dtype;
use tamis_kernel::{Column, Gather, IntGather, Lanes, Number};

use super::{Feature, Features, ValueMap};
use crate::fused::{Fused, Room};

/// How the lanes of a kernel are filled with the inputs of a model.
#[derive(Clone, Debug)]
pub(crate) enum LaneFeatures {
    /// As floats, preprocessed.
    Floats {
        gather: Gather,
        /// Indices of the features that are not gathered.
        rest: Vec<usize>,
    },
    /// As the unchanged integers of the record.
    Integers(IntGather),
}

impl LaneFeatures {
    pub fn new(features: &Features, fused: &Fused) -> Self {
        if let Fused::Integers(kernel) = fused {
            return Self::Integers(kernel.gather(features.stride));
        }
        let (mut columns, mut rest) = (Vec::new(), Vec::new());
        for (index, feature) in features.list.iter().enumerate() {
            match column(feature) {
                Some(column) => columns.push(column),
                None => rest.push(index),
            }
        }
        Self::Floats { gather: fused.gather(features.stride, &columns), rest }
    }

    /// Writes the inputs of up to 32 events, one per record. A slice may be longer than its record.
    pub fn fill(&self, features: &Features, records: &[&[u8]], room: &mut Room) {
        match self {
            Self::Integers(gather) => gather.fill(records, room.integers().inputs_mut()),
            Self::Floats { gather, rest } => {
                let lanes = room.floats().tile.inputs_mut();
                gather.fill(records, lanes);
                fill_rest(features, rest, records.iter().copied(), lanes);
            }
        }
    }

    /// Like `fill`, for contiguous records.
    pub fn fill_run(&self, features: &Features, bytes: &[u8], events: usize, room: &mut Room) {
        match self {
            Self::Integers(gather) => gather.fill_run(bytes, events, room.integers().inputs_mut()),
            Self::Floats { gather, rest } => {
                let lanes = room.floats().tile.inputs_mut();
                gather.fill_run(bytes, events, lanes);
                fill_rest(features, rest, bytes.chunks(features.stride).take(events), lanes);
            }
        }
    }
}

/// Writes the features that are not gathered, and applies the masks.
fn fill_rest<'a>(
    features: &Features,
    rest: &[usize],
    records: impl Iterator<Item = &'a [u8]>,
    lanes: &mut [Lanes],
) {
    if rest.is_empty() && features.masked.is_empty() {
        return;
    }
    for (event, record) in records.enumerate() {
        for feature in rest.iter().map(|&index| &features.list[index]) {
            feature.write(feature.physical(record), |column, x| lanes[column].0[event] = x);
        }
        let physical = |mask: usize| features.list[mask].physical(record);
        features.clear_masked(physical, |column| lanes[column].0[event] = 0.0);
    }
}

/// The description of a feature for the kernel crate; `None` if that does not support it.
fn column(feature: &Feature) -> Option<Column> {
    if feature.is_mask() {
        return None;
    }
    let ValueMap::Affine { log1p: false, shift, scale, clip } = feature.map else { return None };
    let number = match feature.element.dtype {
        Dtype::U8 => Number::U8,
        Dtype::I8 => Number::I8,
        Dtype::U16 => Number::U16,
        Dtype::I16 => Number::I16,
        Dtype::I32 => Number::I32,
        Dtype::F32 => Number::F32,
        Dtype::U32 | Dtype::U64 | Dtype::I64 | Dtype::F16 | Dtype::F64 => return None,
    };
    let mul = feature.element.scale * scale;
    let add = (feature.element.offset - shift) * scale;
    let map = if feature.is_as_it_is() && (mul, add) != (1.0, 0.0) {
        tamis_kernel::Map::Physical { scale: mul, offset: add }
    } else {
        let [low, high] = clip.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
        tamis_kernel::Map::Affine { mul: mul as f32, add: add as f32, clip: [low as f32, high as f32] }
    };
    Some(Column { input: feature.column, at: feature.element.at, number, map })
}
