//! Features: from event bytes to the inputs of a network.
//!
//! ```text
//!   record:  | met.pt | met.eta | ... | jets.phi[9] | truth |        x = raw * mul + add, then clip
//!              \____________ one strip ___________/                    mul = field scale * scale
//!   row:     | x[0] x[1] ...                  x[56] |                  add = (field offset - shift) * scale
//! ```
//!
//! The folded factors are computed in f64. Values without preprocessing are computed in f64 and rounded once: that is what a framework was
//! trained with that never saw the integers, and trees split exactly on them. Logarithms, one-hot columns, masks and fields of 64 bits are computed
//! number by number, in f64, by the definition ([`Feature::write`]), with which all faster code is compared when a model is bound. So is the mask of
//! a list; its count is an integer of the record like any other, and elements that an event does not have are zeros of the record.
//!
//! There are three paths from the records: rows for burn (`rows.rs`), the unchanged integers for a device that makes the rows itself (`packed.rs`),
//! and straight into the lanes of the fused kernels (`lanes.rs`), which for integer kernels (`integers.rs`) hold the integers of the record.

mod integers;
mod lanes;
mod packed;
mod rows;

use tamis_event::{Element, FieldReading, ReadingKind, Role, Schema};

pub(crate) use self::integers::{IntFeature, nearest};
pub(crate) use self::lanes::LaneFeatures;
use self::rows::{Strip, strips};

use crate::error::BindError;
use crate::manifest::{Manifest, ManifestInput, PerElement};

/// One element of an input field: its source, preprocessing and destination.
#[derive(Clone, Debug)]
struct Feature {
    /// Index of its input in the manifest.
    input: usize,
    /// Where its number stands in a record, or that of the list that it is the mask of.
    element: Element,
    kind: ReadingKind,
    /// Its first column in a row.
    column: usize,
    map: ValueMap,
    /// Index of the feature that says whether the object exists.
    mask: Option<usize>,
}

/// The preprocessing of a physical value.
#[derive(Clone, Debug)]
enum ValueMap {
    /// `clip((value - shift) * scale)`, with the logarithm of 1 + value instead of the value if `log1p`.
    Affine { log1p: bool, shift: f64, scale: f64, clip: Option<[f64; 2]> },
    /// One column per value.
    OneHot(Vec<f64>),
}

impl Feature {
    /// Number of columns that the feature fills.
    fn columns(&self) -> usize {
        match &self.map {
            ValueMap::Affine { .. } => 1,
            ValueMap::OneHot(values) => values.len(),
        }
    }

    /// The definition, in f64, with which the fast loops are compared. Calls `put(column, number)`.
    fn write(&self, physical: f64, mut put: impl FnMut(usize, f32)) {
        match &self.map {
            &ValueMap::Affine { log1p, shift, scale, clip } => {
                let value = if log1p { libm::log1p(physical) } else { physical };
                let x = (value - shift) * scale;
                put(self.column, clip.map_or(x, |[low, high]| x.clamp(low, high)) as f32);
            }
            ValueMap::OneHot(values) => {
                for (column, &value) in (self.column..).zip(values) {
                    // Compared in single precision: 75 * 0.0435 is 3.2625 except in double precision. A NaN equals none of
                    // them, and must not be lost.
                    let is_it = f32::from(u8::from(physical as f32 == value as f32));
                    put(column, if physical.is_nan() { f32::NAN } else { is_it });
                }
            }
        }
    }

    /// Can a strip compute the feature? Its products are f32, in which a number of 64 bits would lose what a shift leaves of it.
    fn is_plain(&self) -> bool {
        let is_affine = matches!(self.map, ValueMap::Affine { log1p: false, .. });
        !self.is_mask() && is_affine && (self.element.dtype.size() < 8 || self.is_as_it_is())
    }

    /// Does it say whether an element exists, and stands nowhere in a record?
    fn is_mask(&self) -> bool {
        matches!(self.kind, ReadingKind::Member(_))
    }

    fn reading(&self) -> FieldReading {
        FieldReading { element: self.element, kind: self.kind }
    }

    /// Its number in a record, before the preprocessing.
    fn physical(&self, record: &[u8]) -> f64 {
        self.reading().physical(record)
    }

    /// Is the physical value used unchanged?
    fn is_as_it_is(&self) -> bool {
        matches!(self.map, ValueMap::Affine { log1p: false, shift: 0.0, scale: 1.0, clip: None })
    }

    /// The magnitude of the terms whose sum is the value, to which rounding errors are proportional.
    fn magnitude(&self, physical: f64) -> f64 {
        match self.map {
            ValueMap::Affine { log1p: false, shift, scale, .. } => {
                ((physical.abs() + shift.abs() + self.element.offset.abs()) * scale).abs()
            }
            _ => 0.0,
        }
    }
}

/// The inputs of a model in the records of one schema.
#[derive(Clone, Debug)]
pub(crate) struct Features {
    list: Vec<Feature>,
    strips: Vec<Strip>,
    /// Indices of the features that are in no strip.
    curved: Vec<usize>,
    /// Indices of the features with a mask.
    masked: Vec<usize>,
    width: usize,
    stride: usize,
}

impl Features {
    /// Finds the inputs of a manifest in a schema; together they must fill `width` columns.
    pub fn new(manifest: &Manifest, schema: &Schema, width: usize) -> Result<Self, BindError> {
        let mut list = Vec::new();
        let mut firsts = Vec::new();
        for (index, input) in manifest.inputs.iter().enumerate() {
            firsts.push(list.len());
            resolve(&manifest.name, input, schema, &mut list)?;
            list[firsts[index]..].iter_mut().for_each(|feature| feature.input = index);
        }
        firsts.push(list.len());
        let columns = list.last().map_or(0, |feature| feature.column + feature.columns());
        if columns != width {
            let model = manifest.name.clone();
            return Err(BindError::Width { model, elements: columns, width });
        }
        for (index, input) in manifest.inputs.iter().enumerate() {
            mask(manifest, input, &firsts, index, &mut list)?;
        }
        let indices = |wanted: &dyn Fn(&Feature) -> bool| {
            (0..list.len()).filter(|&index| wanted(&list[index])).collect()
        };
        Ok(Self {
            strips: strips(&list),
            curved: indices(&|feature| !feature.is_plain()),
            masked: indices(&|feature| feature.mask.is_some()),
            list,
            width,
            stride: schema.record_len(),
        })
    }

    /// Number of columns that these inputs fill, whatever a network takes.
    pub fn columns(model: &str, inputs: &[ManifestInput], schema: &Schema) -> Result<usize, BindError> {
        let mut list = Vec::new();
        inputs.iter().try_for_each(|input| resolve(model, input, schema, &mut list))?;
        Ok(list.last().map_or(0, |feature| feature.column + feature.columns()))
    }

    /// Number of elements that an input has.
    pub fn len_of(model: &str, input: &ManifestInput, schema: &Schema) -> Result<usize, BindError> {
        let mut list = Vec::new();
        resolve(model, input, schema, &mut list)?;
        Ok(list.len())
    }

    /// Number of columns per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of physical values per event: one per element of an input field.
    pub fn elements(&self) -> usize {
        self.list.len()
    }

    /// Bytes per record.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Can a number of a row be infinite or NaN?
    pub fn may_be_missing(&self) -> bool {
        self.list.iter().any(|feature| match feature.map {
            ValueMap::Affine { log1p, .. } => log1p || feature.element.dtype.integer_range().is_none(),
            ValueMap::OneHot(_) => feature.element.dtype.integer_range().is_none(),
        })
    }

    /// Calls `clear` for the columns whose object does not exist.
    fn clear_masked(&self, physical: impl Fn(usize) -> f64, mut clear: impl FnMut(usize)) {
        for feature in self.masked.iter().map(|&index| &self.list[index]) {
            if feature.mask.is_some_and(|mask| physical(mask) == 0.0) {
                (feature.column..feature.column + feature.columns()).for_each(&mut clear);
            }
        }
    }

    /// Computes one row from physical values, by the definition.
    pub fn row_of_physical(&self, values: &[f32], row: &mut [f32]) {
        for (feature, &value) in self.list.iter().zip(values) {
            feature.write(value.into(), |column, x| row[column] = x);
        }
        self.clear_masked(|mask| values[mask].into(), |column| row[column] = 0.0);
    }

    /// The physical values of the first records, at most `most` of them, row by row.
    pub fn physical(&self, records: &[u8], most: usize) -> Vec<f32> {
        let of_record = |record: &[u8]| -> Vec<f32> {
            self.list.iter().map(|feature| feature.physical(record) as f32).collect()
        };
        records.chunks_exact(self.stride).take(most).flat_map(of_record).collect()
    }

    /// Pseudorandom physical values around the middle of the range that the preprocessing expects and within the number types; the same on every
    /// machine.
    pub fn noise(&self, rows: usize) -> Vec<f32> {
        self.wide_noise(rows, 1.0)
    }

    /// [`Features::noise`] that is `width` times as far from the middle.
    pub fn wide_noise(&self, rows: usize, width: f64) -> Vec<f32> {
        let mut state = 0u32;
        let mut uniform = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24)
        };
        let mut value = |feature: &Feature| {
            let physical = match &feature.map {
                &ValueMap::Affine { log1p, shift, scale, .. } => {
                    let around = (uniform() * 5.0 - 2.5) * width;
                    let middle = shift + around / if scale == 0.0 { 1.0 } else { scale };
                    if log1p { libm::expm1(middle.abs().min(20.0)) } else { middle }
                }
                ValueMap::OneHot(values) => values[(uniform() * values.len() as f64) as usize],
            };
            let Element { scale, offset, .. } = feature.element;
            let range = feature.reading().raw_range();
            let raw = range.map(|(low, high)| ((physical - offset) / scale).round().clamp(low, high));
            raw.map_or(physical, |raw| raw * scale + offset) as f32
        };
        (0..rows).flat_map(|_| self.list.iter().map(&mut value).collect::<Vec<_>>()).collect()
    }

    /// A record whose fields are as close to these physical values as their types allow; other fields are 0.
    pub fn record_of_physical(&self, values: &[f32]) -> Vec<u8> {
        let mut record = vec![0; self.stride];
        let mut number = Vec::with_capacity(4);
        for (feature, &value) in self.list.iter().zip(values) {
            let Element { at, dtype, scale, offset } = feature.element;
            let raw = (f64::from(value) - offset) / scale;
            let range = feature.reading().raw_range();
            let raw = range.map_or(raw, |(low, high)| raw.round().clamp(low, high));
            let raw = match feature.kind {
                ReadingKind::Member(index) if raw == 1.0 => dtype.read(&record[at..]).max(index as f64 + 1.0),
                ReadingKind::Member(_) => continue,
                ReadingKind::Value | ReadingKind::Count(_) => raw,
            };
            number.clear();
            dtype.write(raw, &mut number);
            record[at..at + number.len()].copy_from_slice(&number);
        }
        record
    }

    /// The first number of the row of `record` that differs from the definition, and the number by the definition.
    pub fn first_difference(&self, record: &[u8], row: &[f32]) -> Option<(f32, f32)> {
        let mut wanted = vec![0.0; self.width];
        for feature in &self.list {
            feature.write(feature.physical(record), |column, x| wanted[column] = x);
        }
        self.clear_masked(|mask| self.list[mask].physical(record), |column| wanted[column] = 0.0);
        for feature in &self.list {
            let allowed = 1e-6 * (1.0 + feature.magnitude(feature.physical(record)));
            for column in feature.column..feature.column + feature.columns() {
                let (x, wanted) = (row[column], wanted[column]);
                let close =
                    (f64::from(x) - f64::from(wanted)).abs() <= allowed || x.is_nan() && wanted.is_nan();
                if !close {
                    return Some((x, wanted));
                }
            }
        }
        None
    }
}

fn resolve(
    model: &str,
    input: &ManifestInput,
    schema: &Schema,
    out: &mut Vec<Feature>,
) -> Result<(), BindError> {
    let fault =
        |message: String| BindError::Input { model: model.into(), field: input.field.clone(), message };
    let (readings, role) = schema.readings(&input.field).map_err(|error| fault(error.to_string()))?;
    if role == Role::Truth {
        return Err(BindError::Truth { model: model.into(), field: input.field.clone() });
    }
    if let Some(len) = input.len.filter(|&len| len != readings.len()) {
        return Err(fault(format!("len is {len}, the field has {}", readings.len())));
    }
    for (key, numbers) in [("shift", &input.shift), ("scale", &input.scale)] {
        if let Some(len) = numbers.as_ref().and_then(PerElement::len).filter(|&len| len != readings.len()) {
            return Err(fault(format!("{key} has {len} numbers, the field has {}", readings.len())));
        }
    }
    for (index, FieldReading { element, kind }) in readings.into_iter().enumerate() {
        let map = match &input.one_hot {
            Some(values) => ValueMap::OneHot(values.clone()),
            None => ValueMap::Affine {
                log1p: input.log1p,
                shift: input.shift.as_ref().map_or(0.0, |numbers| numbers.get(index)),
                scale: input.scale.as_ref().map_or(1.0, |numbers| numbers.get(index)),
                clip: input.clip,
            },
        };
        let column = out.last().map_or(0, |feature| feature.column + feature.columns());
        out.push(Feature { input: 0, element, kind, column, map, mask: None });
    }
    Ok(())
}

/// Links every element of an input to the element of its mask. `firsts` are the first features of all inputs, and the end.
fn mask(
    manifest: &Manifest,
    input: &ManifestInput,
    firsts: &[usize],
    index: usize,
    list: &mut [Feature],
) -> Result<(), BindError> {
    let Some(mask) = &input.mask else { return Ok(()) };
    let fault = |message: String| BindError::Input {
        model: manifest.name.clone(),
        field: input.field.clone(),
        message,
    };
    let Some(other) = manifest.inputs.iter().position(|input| input.field == *mask) else {
        return Err(fault(format!("mask '{mask}' is no input of the model; add it")));
    };
    let (mine, masks) = (firsts[index]..firsts[index + 1], firsts[other]..firsts[other + 1]);
    if mine.len() != masks.len() {
        return Err(fault(format!("has {} elements, its mask '{mask}' has {}", mine.len(), masks.len())));
    }
    mine.zip(masks).for_each(|(index, mask)| list[index].mask = Some(mask));
    Ok(())
}
