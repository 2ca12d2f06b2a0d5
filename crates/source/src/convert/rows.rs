//! Converts rows to frames, for any form of table.

use std::collections::HashMap;

use tamis_event::{Decimal, EXACT_MAX};

use super::columns::Columns;
use super::framer::Framer;
use super::repeats::Repeats;
use super::values::{Feed, Given, Misfit};
use super::{Cell, ConvertError, ConvertReport, Options};
use crate::TmfWriter;

/// 2^53: up to it, every whole number is an f64.
pub(super) const EXACT: f64 = EXACT_MAX as f64;

/// Reads the rows of a table one by one.
pub(super) trait Rows {
    /// What a row is called: `line` or `row`.
    const CALLED: &'static str;

    /// Moves to the next row; false if there is none.
    fn advance(&mut self) -> Result<bool, ConvertError>;

    /// Number of the row, as in messages.
    fn index(&self) -> u64;

    /// The value in a column, if it is a number. A finite number beyond f64 becomes infinite; its text then contains digits.
    fn number(&self, column: usize) -> Option<f64>;

    /// The value in a column with all its digits, if it is a number, finite, and has not too many.
    fn decimal(&self, column: usize) -> Option<Decimal>;

    /// The value in a column, if it is a whole number.
    fn whole(&self, column: usize) -> Option<i128>;

    /// Up to this power of two, every whole number of a column is the one that was meant.
    fn exact_bits(&self, column: usize) -> i32;

    /// Why a larger one may be another one than was meant, and what to do.
    fn why_inexact(&self, column: usize) -> String;

    /// The text of the cell in a column.
    fn text(&self, column: usize) -> String;

    /// Relative difference up to which two values of a column count as the same number.
    fn noise(&self, column: usize) -> f64;
}

/// Converts the rows of a table whose columns are bound to the schema of `writer`.
pub(super) fn convert<R: Rows>(
    mut rows: R,
    place: &str,
    header: &[String],
    mut columns: Columns,
    options: &Options,
    writer: &mut TmfWriter,
) -> Result<ConvertReport, ConvertError> {
    let mut framer = Framer::new(writer, options.source_id, columns.event.is_some());
    let mut repeats = Repeats::default();
    let mut numbered: HashMap<u32, u64> = HashMap::new();
    let mut counts = Vec::new();
    while rows.advance()? {
        let row = TableRow { rows: &rows, place, header };
        let run = match columns.run {
            Some(column) => row.id(column, u32::MAX.into())? as u32,
            None => options.run,
        };
        let event = match columns.event {
            Some(column) => {
                let event = row.id(column, u64::MAX)?;
                repeats.add(run, event, rows.index());
                event
            }
            None => {
                let next = numbered.entry(run).or_default();
                *next += 1;
                *next - 1
            }
        };
        let time_ns = columns.time.map(|column| row.time_ns(column)).transpose()?;
        counts.clear();
        for &(column, most) in &columns.counts {
            counts.push(row.count(column, most)?);
        }
        let out = framer.next(run, event, time_ns)?;
        columns.feeds.iter_mut().try_for_each(|feed| row.feed(feed, &counts, options.saturate, out))?;
    }
    framer.flush()?;
    repeats.finish();
    if let Some(repeats) = repeats.told(R::CALLED) {
        return Err(ConvertError::Repeats { place: place.into(), repeats });
    }
    Ok(ConvertReport {
        events: framer.events,
        frames: framer.frames,
        id_column: columns.event.map(|column| header[column].clone()),
        time_column: columns.time.map(|column| header[column].clone()),
        changes: columns.changes(),
        ignored: columns.ignored,
        uncompared: repeats.uncompared(),
    })
}

/// The row at hand.
struct TableRow<'a, R> {
    rows: &'a R,
    place: &'a str,
    header: &'a [String],
}

impl<R: Rows> TableRow<'_, R> {
    fn cell(&self, column: usize) -> Box<Cell> {
        let row = format!("{} {}", R::CALLED, self.rows.index());
        Box::new(Cell { place: self.place.into(), row, column: self.header[column].clone() })
    }

    /// A whole number from 0 to `most`. `None`: the cell has something else, which does not stand for such a number.
    fn whole(&self, column: usize, most: u64) -> Result<Option<u64>, ConvertError> {
        let whole = self.rows.whole(column);
        if let Some(whole) = whole.and_then(|whole| u64::try_from(whole).ok()).filter(|&whole| whole <= most)
        {
            return Ok(Some(whole));
        }
        let bits = self.rows.exact_bits(column);
        let is_inexact = |x: &f64| x.fract() == 0.0 && (2_f64.powi(bits)..most as f64).contains(x);
        if whole.is_none() && self.rows.number(column).is_some_and(|x| is_inexact(&x)) {
            let (cell, text, why) =
                (self.cell(column), self.rows.text(column), self.rows.why_inexact(column));
            return Err(ConvertError::NotExact { cell, text, bits, why });
        }
        Ok(None)
    }

    /// An event id or a run.
    fn id(&self, column: usize, most: u64) -> Result<u64, ConvertError> {
        if let Some(id) = self.whole(column, most)? {
            return Ok(id);
        }
        let hint = match self.rows.whole(column) {
            Some(whole) if most == u64::MAX && whole < 0 => {
                let unsigned = i32::try_from(whole).map(i32::cast_unsigned);
                let unsigned = unsigned.map(|id| {
                    format!(
                        "if it is an unsigned number of 32 bits that was printed as a signed one write {id}, or "
                    )
                });
                format!("; {}number the rows with --ids number", unsigned.unwrap_or_default())
            }
            Some(whole) if whole < 0 => "; to read no run from this column give --ids ignore".into(),
            None if most == u64::MAX => "; to number the rows instead give --ids number".into(),
            _ => String::new(),
        };
        Err(ConvertError::NotAnId { cell: self.cell(column), text: self.rows.text(column), most, hint })
    }

    fn time_ns(&self, column: usize) -> Result<u64, ConvertError> {
        let wrong = || ConvertError::NotATime { cell: self.cell(column), text: self.rows.text(column) };
        self.whole(column, u64::MAX)?.ok_or_else(wrong)
    }

    /// The number of elements of a list.
    fn count(&self, column: usize, most: usize) -> Result<usize, ConvertError> {
        let wrong =
            || ConvertError::NotACount { cell: self.cell(column), text: self.rows.text(column), most };
        self.whole(column, most as u64)?.map(|count| count as usize).ok_or_else(wrong)
    }

    /// Appends the number of a column to the record, whose earlier numbers are in `out`. `counts` has the number of elements of each list.
    fn feed(
        &self,
        feed: &mut Feed,
        counts: &[usize],
        saturate: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ConvertError> {
        let (rows, column) = (self.rows, feed.column);
        if feed.is_behind(counts) {
            if !self.is_nothing(column) {
                return Err(ConvertError::Behind { cell: self.cell(column), text: rows.text(column) });
            }
            feed.store_nothing(out);
            return Ok(());
        }
        let Some(value) = rows.number(column) else {
            let text = rows.text(column);
            let hint = hint(&text);
            return Err(ConvertError::NotANumber { cell: self.cell(column), text, hint });
        };
        // A finite number beyond f64 is no stated infinity.
        let is_stated = value.is_finite() || !rows.text(column).contains(|c: char| c.is_ascii_digit());
        let given = Given {
            value,
            decimal: if feed.wants_digits() { rows.decimal(column) } else { None },
            is_stated,
            unread: self.unread(column, value),
            noise: rows.noise(column),
            row: rows.index(),
        };
        feed.store(given, saturate, out).map_err(|misfit| match misfit {
            Misfit::Nan => ConvertError::Nan { cell: self.cell(column), dtype: feed.dtype() },
            Misfit::Range => feed.range(self.cell(column), rows.text(column)),
        })
    }

    /// Is a cell empty, 0 or NaN, as tables have it where a list has no element?
    fn is_nothing(&self, column: usize) -> bool {
        match self.rows.number(column) {
            Some(value) => value == 0.0 || value.is_nan(),
            None => self.rows.text(column).trim().is_empty(),
        }
    }

    /// What f64 could not hold of a whole number.
    fn unread(&self, column: usize, value: f64) -> f64 {
        if value.abs() < EXACT || !value.is_finite() {
            return 0.0;
        }
        self.rows.whole(column).map_or(0.0, |whole| whole.abs_diff(value as i128) as f64)
    }
}

/// A hint for common texts that are no number.
fn hint(text: &str) -> &'static str {
    let text = text.trim();
    let is_number = |text: &str| text.parse::<f64>().is_ok();
    if ["", "na", "n/a", "null", "none", "-", "?"].contains(&text.to_ascii_lowercase().as_str()) {
        return "; if it means that there is none, write nan, which f64, f32 and f16 hold, or leave out the row";
    }
    if text.matches(',').count() == 1 && is_number(&text.replace(',', ".")) {
        return "; write a decimal point, not a comma";
    }
    if text.contains(',') && is_number(&text.replace(',', "")) {
        return "; leave out the commas between digits";
    }
    if text.split_whitespace().next().is_some_and(|word| word != text && is_number(word)) {
        return "; leave out the unit";
    }
    if ["true", "false"].contains(&text.to_ascii_lowercase().as_str()) {
        return "; write 1 or 0";
    }
    ""
}
