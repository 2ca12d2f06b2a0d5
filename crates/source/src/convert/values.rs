//! Stores values and counts the changes that this makes.

use tamis_event::{Dtype, Element};

use super::{Cell, ConvertError};

/// Largest finite f16.
const F16_MAX: f64 = 65_504.0;
/// 2^53: above it, not every whole number is an f64.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// One number of the record and the column that feeds it.
#[derive(Debug)]
pub(super) struct Feed {
    /// Index of the column.
    pub(super) column: usize,
    pub(super) element: Element,
    pub(super) changes: Changes,
    address: String,
}

/// Counts of the values of a column that are stored inexactly or are not finite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Name of the column.
    pub column: String,
    /// Values that did not fit and are stored as the nearest value that does.
    pub clamped: u64,
    /// Values that lost digits. For an integer type these are all values that it cannot represent; for a floating type, which
    /// rounds fractions anyway, only whole numbers and values too small for its precision.
    pub rounded: u64,
    /// The largest change by rounding.
    pub largest_change: f64,
    /// The row of the largest change, numbered as in messages.
    pub largest_row: u64,
    /// Number of NaN.
    pub nan: u64,
    /// Number of infinities that the table states.
    pub infinite: u64,
}

/// Why a value cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    Nan,
    Range,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.clamped + self.rounded + self.nan + self.infinite == 0
    }
}

impl Feed {
    /// `address` is the schema's name for the element.
    pub(super) fn new(column: usize, name: &str, element: Element, address: String) -> Self {
        Self { column, element, changes: Changes { column: name.into(), ..Changes::default() }, address }
    }

    /// Name of the column.
    pub(super) fn name(&self) -> &str {
        &self.changes.column
    }

    /// Name of the type.
    pub(super) fn dtype(&self) -> &'static str {
        self.element.dtype.name()
    }

    /// Appends a physical value to the record. `is_stated`: an infinite value is infinite in the table itself. `noise` is the relative difference up
    /// to which two values count as the same number.
    pub(super) fn store(
        &mut self,
        value: f64,
        is_stated: bool,
        noise: f64,
        row: u64,
        saturate: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Misfit> {
        let Element { dtype, scale, offset, .. } = self.element;
        let range = dtype.integer_range();
        let raw = (value - offset) / scale;
        if range.is_none() && (value.is_nan() || (value.is_infinite() && is_stated)) {
            self.changes.nan += u64::from(value.is_nan());
            self.changes.infinite += u64::from(value.is_infinite());
            dtype.write(raw, out);
            return Ok(());
        }
        if value.is_nan() {
            return Err(Misfit::Nan);
        }
        let (low, high) =
            range.map_or((-self.largest(), self.largest()), |(low, high)| (low as f64, high as f64));
        // A float that exceeds the largest one by less than half a step is rounded down to it.
        let nearest = if range.is_some() { raw.round_ties_even() } else { rounded(raw, dtype, out) };
        if !(low..=high).contains(&nearest) {
            if !saturate {
                return Err(Misfit::Range);
            }
            self.changes.clamped += 1;
            dtype.write(nearest.clamp(low, high), out);
            return Ok(());
        }
        dtype.write(nearest, out);
        let room = noise * raw.abs().max((offset / scale).abs());
        let lost = (nearest - raw).abs();
        let is_lost = match range {
            Some(_) => lost > room.max(noise),
            None if value.fract() == 0.0 && value.abs() <= WHOLE_MAX => lost > room,
            None => lost > raw.abs() * self.half_step(),
        };
        if is_lost {
            self.changes.rounded += 1;
            let change = (lost * scale).abs();
            if change > self.changes.largest_change {
                self.changes.largest_change = change;
                self.changes.largest_row = row;
            }
        }
        Ok(())
    }

    /// The error for a value that does not fit.
    pub(super) fn range(&self, cell: Box<Cell>, value: String) -> ConvertError {
        let (low, high) = self
            .element
            .dtype
            .integer_range()
            .map_or_else(|| (-self.largest(), self.largest()), |(low, high)| (low as f64, high as f64));
        let ends = [low, high].map(|raw| raw * self.element.scale + self.element.offset);
        let [low, high] = [ends[0].min(ends[1]), ends[0].max(ends[1])].map(readable);
        ConvertError::Range { cell, value, field: self.address.clone(), dtype: self.dtype(), low, high }
    }

    fn largest(&self) -> f64 {
        if self.element.dtype == Dtype::F16 { F16_MAX } else { f32::MAX.into() }
    }

    /// Largest relative rounding error of a normal number in the floating type, and a little more.
    fn half_step(&self) -> f64 {
        let digits = if self.element.dtype == Dtype::F16 { 11 } else { 24 };
        1.001 / f64::from(1u32 << digits)
    }
}

/// A raw value rounded to a floating type; uses the end of `out` as scratch memory.
fn rounded(raw: f64, dtype: Dtype, out: &mut Vec<u8>) -> f64 {
    let at = out.len();
    dtype.write(raw, out);
    let rounded = dtype.read(&out[at..]);
    out.truncate(at);
    rounded
}

/// Formats a value without a long tail of zeros.
fn readable(value: f64) -> String {
    if value.abs() < 1e16 { value.to_string() } else { format!("{value:e}") }
}
