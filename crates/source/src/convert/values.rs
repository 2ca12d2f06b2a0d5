//! Stores values and counts the changes that this makes.

use tamis_event::{Decimal, Dtype, Element, Field, FieldNumber};

use super::csv::NOISE;
use super::{Cell, ConvertError};

/// Largest finite f16.
const F16_MAX: f64 = 65_504.0;
/// A decimal of so many digits may be the shortest one of an f32; no longer one is.
const DIGITS_MAX: i32 = 9;
/// The part of a step of an integer field that nobody sees.
const STEP_NOISE: f64 = 1e-6;
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
    /// With all its digits, if it is finite and has not too many.
    pub(super) decimal: Option<Decimal>,
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

    /// Is this an element behind the last one of its list? `counts` has the number of elements of each list.
    pub(super) fn is_behind(&self, counts: &[usize]) -> bool {
        self.field.list.is_some_and(|list| self.index >= counts[list])
    }

    /// Appends what stands behind the last element of a list.
    pub(super) fn store_nothing(&self, out: &mut Vec<u8>) {
        out.resize(out.len() + self.element.dtype.size(), 0);
    }

    /// Does the field hold more digits than an f64?
    pub(super) fn wants_digits(&self) -> bool {
        self.element.dtype.is_large()
    }

    /// Name of the type.
    pub(super) fn dtype(&self) -> &'static str {
        self.element.dtype.name()
    }

    /// Appends a physical value to the record, whose earlier numbers are in `out`.
    pub(super) fn store(&mut self, given: Given, saturate: bool, out: &mut Vec<u8>) -> Result<(), Misfit> {
        let Given { value, is_stated, .. } = given;
        let dtype = self.element.dtype;
        if let Some(range) = dtype.integer_range() {
            return if value.is_nan() {
                Err(Misfit::Nan)
            } else {
                self.store_integer(given, range, saturate, out)
            };
        }
        let raw = self.raw(value);
        if value.is_nan() || (value.is_infinite() && is_stated) {
            self.changes.nan += u64::from(value.is_nan());
            self.changes.infinite += u64::from(value.is_infinite());
            dtype.write(raw, out);
            return Ok(());
        }
        let (low, high) = (-self.largest(), self.largest());
        // A float that exceeds the largest one by less than half a step is rounded down to it.
        let nearest = rounded(raw, dtype, out);
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
        let change = (nearest - raw).abs() * self.element.scale.abs() + given.unread;
        if self.loses_digits(given, nearest, &out[at - self.element.at..]) {
            self.rounded(change, given.row);
        }
        Ok(())
    }

    fn store_integer(
        &mut self,
        given: Given,
        (low, high): (i128, i128),
        saturate: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Misfit> {
        let Element { at, dtype, scale, offset } = self.element;
        let exact = self.exact(given);
        let raw = self.raw(given.value);
        let nearest = exact.map_or(raw.round_ties_even() as i128, |(nearest, _)| nearest);
        if !(low..=high).contains(&nearest) {
            if !saturate {
                return Err(Misfit::Range);
            }
            self.changes.clamped += 1;
            dtype.write_integer(nearest.clamp(low, high), out);
            return Ok(());
        }
        let end = out.len();
        dtype.write_integer(nearest, out);
        if let Some((_, change)) = exact {
            let room = given.noise * given.value.abs().max(offset.abs()).max(scale.abs());
            // What f64 makes of a number is noise as long as it is no visible part of a step.
            let room = if given.noise > NOISE { room } else { room.min(scale.abs() * STEP_NOISE) };
            if change > room {
                self.rounded(change, given.row);
            }
        } else if self.loses_digits(given, nearest as f64, &out[end - at..]) {
            self.rounded((nearest as f64 - raw).abs() * scale.abs() + given.unread, given.row);
        }
        Ok(())
    }

    /// The integer of a 64-bit field that is nearest to a decimal (of two, the even one), and the difference that this makes; `None` for other
    /// fields, and where the decimal has too many digits.
    fn exact(&self, given: Given) -> Option<(i128, f64)> {
        let grid = self.field.grid.filter(|_| self.element.dtype.is_large())?;
        let Decimal { digits, places: own } = given.decimal?;
        let places = own.max(grid.places);
        let power = |places: i32| 10_i128.checked_pow(u32::try_from(places).ok()?);
        let digits = digits.checked_mul(power(places - own)?)?;
        let unit = power(places - grid.places)?;
        let above = digits.checked_sub(unit.checked_mul(grid.offset.into())?)?;
        let step = unit.checked_mul(grid.scale.into())?;
        let (below, rest) = (above.div_euclid(step), above.rem_euclid(step));
        let other = step.checked_abs()?.checked_sub(rest)?;
        let is_nearer = other < rest || (other == rest && below % 2 != 0);
        let nearest = if is_nearer { below.checked_add(step.signum())? } else { below };
        Some((nearest, other.min(rest) as f64 / 10_f64.powi(places)))
    }

    /// The raw value before rounding.
    fn raw(&self, value: f64) -> f64 {
        // The offset of the field, since that of the element may be -0.0 (see there), and -0.0 - -0.0 is 0.0.
        (value - self.field.offset) / self.element.scale
    }

    fn rounded(&mut self, change: f64, row: u64) {
        self.changes.rounded += 1;
        if change > self.changes.largest_change {
            self.changes.largest_change = change;
            self.changes.largest_row = row;
        }
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
        let is_short = is_float && dtype != Dtype::F64;
        (is_short && noise < f64::from(f32::EPSILON) / 8.0 && is_long(value))
            || is_other(self.field.number(self.index, record).value())
    }

    /// The error for a value that does not fit.
    pub(super) fn range(&self, cell: Box<Cell>, value: String) -> ConvertError {
        let ends = match self.element.dtype.integer_range() {
            Some((low, high)) => [low, high].map(|raw| self.shown(raw)),
            // All digits of a float, which tools show in as few as tell it from the next one.
            None => {
                let Element { scale, offset, .. } = self.element;
                [-1.0, 1.0].map(|sign| FieldNumber::Float(sign * self.largest() * scale + offset))
            }
        };
        let [a, b] = ends.map(readable);
        let (low, high) = if ends[0].value() <= ends[1].value() { (a, b) } else { (b, a) };
        ConvertError::Range { cell, value, field: self.address.clone(), dtype: self.dtype(), low, high }
    }

    /// The number that tools show for a raw integer.
    fn shown(&self, raw: i128) -> FieldNumber {
        let mut record = vec![0; self.element.at];
        self.element.dtype.write_integer(raw, &mut record);
        self.field.number(self.index, &record)
    }

    fn largest(&self) -> f64 {
        match self.element.dtype {
            Dtype::F16 => F16_MAX,
            Dtype::F64 => f64::MAX,
            _ => f32::MAX.into(),
        }
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
fn readable(value: FieldNumber) -> String {
    match value {
        FieldNumber::Float(value) if value.abs() >= 1e16 => format!("{value:e}"),
        value => value.to_string(),
    }
}
