//! Stores values and counts the changes that this makes.

use tamis_event::{Dtype, Element, Field};

use super::{Cell, ConvertError};

/// Largest finite f16.
const F16_MAX: f64 = 65_504.0;
/// A decimal of so many digits may be the shortest one of an f32; no longer one is.
const DIGITS_MAX: i32 = 9;
/// Powers of ten up to this one are exact in f64.
const EXACT_POWER: i32 = 22;

/// One number of the record and the column that feeds it.
#[derive(Debug)]
pub(super) struct Feed {
    /// Index of the column.
    pub(super) column: usize,
    pub(super) element: Element,
    pub(super) changes: Changes,
    address: String,
    /// The field of the element, and which one it is.
    field: Field,
    index: usize,
}

/// A physical value of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    pub(super) value: f64,
    /// If it is infinite, does the table say so?
    pub(super) is_stated: bool,
    /// What f64 could not hold of a large whole number.
    pub(super) unread: f64,
    /// Relative distance of two values that are the same number.
    pub(super) noise: f64,
    pub(super) row: u64,
}

/// Counts of the values of a column that are stored inexactly or are not finite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Name of the column.
    pub column: String,
    /// Values that did not fit and are stored as the nearest value that does.
    pub clamped: u64,
    /// Values that lost digits: the number that tools show for the field is not the one in the table. 0.1 in an f32 is shown as 0.1.
    pub rounded: u64,
    /// The largest difference between such a value and what is stored.
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
    /// `address` is the schema's name for element `index` of `field`.
    pub(super) fn new(column: usize, name: &str, field: &Field, index: usize, address: String) -> Self {
        let changes = Changes { column: name.into(), ..Changes::default() };
        Self { column, element: field.element(index), changes, address, field: field.clone(), index }
    }

    /// Name of the type.
    pub(super) fn dtype(&self) -> &'static str {
        self.element.dtype.name()
    }

    /// Appends a physical value to the record, whose earlier numbers are in `out`.
    pub(super) fn store(&mut self, given: Given, saturate: bool, out: &mut Vec<u8>) -> Result<(), Misfit> {
        let Given { value, is_stated, .. } = given;
        let Element { dtype, scale, .. } = self.element;
        let range = dtype.integer_range();
        // The offset of the field, since that of the element may be -0.0 (see there), and -0.0 - -0.0 is 0.0.
        let raw = (value - self.field.offset) / scale;
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
        let at = out.len();
        dtype.write(nearest, out);
        let change = (nearest - raw).abs() * scale.abs() + given.unread;
        if self.loses_digits(given, nearest, &out[at - self.element.at..]) {
            self.changes.rounded += 1;
            if change > self.changes.largest_change {
                self.changes.largest_change = change;
                self.changes.largest_row = given.row;
            }
        }
        Ok(())
    }

    /// Is the number that `record` gives back another one?
    fn loses_digits(&self, given: Given, nearest: f64, record: &[u8]) -> bool {
        let Element { dtype, scale, offset, .. } = self.element;
        let Given { value, unread, noise, .. } = given;
        let is_float = dtype.integer_range().is_none();
        let magnitude = value.abs().max(offset.abs());
        let room = noise * if is_float { magnitude } else { magnitude.max(scale.abs()) };
        let is_other = |back: f64| (back - value).abs() > room;
        // Cheap questions first: most numbers are stored as they are, or have too many digits.
        if unread > 0.0 || !is_other(nearest * scale + offset) {
            return unread > 0.0;
        }
        (is_float && noise < f64::from(f32::EPSILON) / 8.0 && is_long(value))
            || is_other(self.field.number(self.index, record))
    }

    /// The error for a value that does not fit.
    pub(super) fn range(&self, cell: Box<Cell>, value: String) -> ConvertError {
        let (low, high) = self
            .element
            .dtype
            .integer_range()
            .map_or_else(|| (-self.largest(), self.largest()), |(low, high)| (low as f64, high as f64));
        let ends = [low, high].map(|raw| self.shown(raw));
        let [low, high] = [ends[0].min(ends[1]), ends[0].max(ends[1])].map(readable);
        ConvertError::Range { cell, value, field: self.address.clone(), dtype: self.dtype(), low, high }
    }

    /// The number that tools show for a raw value; of a float, which they show in as few digits as tell it from the next one, all digits.
    fn shown(&self, raw: f64) -> f64 {
        if self.element.dtype.integer_range().is_none() {
            return raw * self.element.scale + self.element.offset;
        }
        let mut record = vec![0; self.element.at];
        self.element.dtype.write(raw, &mut record);
        self.field.number(self.index, &record)
    }

    fn largest(&self) -> f64 {
        if self.element.dtype == Dtype::F16 { F16_MAX } else { f32::MAX.into() }
    }
}

/// Has the decimal of a value more digits than any shortest decimal of an f32? `false` also where that is not known.
fn is_long(value: f64) -> bool {
    let places = (DIGITS_MAX - 1).saturating_sub(value.abs().log10().floor() as i32);
    if !(0..=EXACT_POWER).contains(&places) {
        return false;
    }
    // Exact up to one part in 10^15, of fewer than 10^10.
    let digits = value * 10_f64.powi(places);
    (digits - digits.round()).abs() > 1e-4
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
