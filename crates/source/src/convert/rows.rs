//! Converts rows to frames, for any form of table.

use std::collections::HashMap;

use tamis_event::{Decimal, EXACT_MAX};

use super::columns::Columns;
use super::framer::Framer;
use super::repeats::Repeats;
use super::values::{Given, Misfit};
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

    /// Why a whole number above 2^53 in a column may be another one than was meant, and what to do.
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
        let cell = |rows: &R, column: usize| {
            let row = format!("{} {}", R::CALLED, rows.index());
            Box::new(Cell { place: place.into(), row, column: header[column].clone() })
        };
        let run = match columns.run {
            Some(column) => id(&rows, column, u32::MAX.into(), cell)? as u32,
            None => options.run,
        };
        let event = match columns.event {
            Some(column) => {
                let event = id(&rows, column, u64::MAX, cell)?;
                repeats.add(run, event, rows.index());
                event
            }
            None => {
                let next = numbered.entry(run).or_default();
                *next += 1;
                *next - 1
            }
        };
        let time_ns = match columns.time {
            Some(column) => {
                let time_ns = rows.whole(column).and_then(|whole| u64::try_from(whole).ok());
                let wrong = || ConvertError::NotATime { cell: cell(&rows, column), text: rows.text(column) };
                Some(time_ns.ok_or_else(wrong)?)
            }
            None => None,
        };
        counts.clear();
        for &(column, most) in &columns.counts {
            let count = rows.whole(column).and_then(|whole| usize::try_from(whole).ok());
            counts.push(count.filter(|&count| count <= most).ok_or_else(|| ConvertError::NotACount {
                cell: cell(&rows, column),
                text: rows.text(column),
                most,
            })?);
        }
        let out = framer.next(run, event, time_ns)?;
        for feed in &mut columns.feeds {
            let column = feed.column;
            if feed.is_behind(&counts) {
                if !is_nothing(&rows, column) {
                    return Err(ConvertError::Behind { cell: cell(&rows, column), text: rows.text(column) });
                }
                feed.store_nothing(out);
                continue;
            }
            let Some(value) = rows.number(column) else {
                let text = rows.text(column);
                let hint = hint(&text);
                return Err(ConvertError::NotANumber { cell: cell(&rows, column), text, hint });
            };
            // A finite number beyond f64 is no stated infinity.
            let is_stated = value.is_finite() || !rows.text(column).contains(|c: char| c.is_ascii_digit());
            let given = Given {
                value,
                decimal: if feed.wants_digits() { rows.decimal(column) } else { None },
                is_stated,
                unread: unread(&rows, column, value),
                noise: rows.noise(column),
                row: rows.index(),
            };
            match feed.store(given, options.saturate, out) {
                Ok(()) => {}
                Err(Misfit::Nan) => {
                    return Err(ConvertError::Nan { cell: cell(&rows, column), dtype: feed.dtype() });
                }
                Err(Misfit::Range) => return Err(feed.range(cell(&rows, column), rows.text(column))),
            }
        }
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

/// Is a cell empty, 0 or NaN, as tables have it where a list has no element?
fn is_nothing<R: Rows>(rows: &R, column: usize) -> bool {
    rows.number(column)
        .map_or_else(|| rows.text(column).trim().is_empty(), |value| value == 0.0 || value.is_nan())
}

/// What f64 could not hold of a whole number.
fn unread<R: Rows>(rows: &R, column: usize, value: f64) -> f64 {
    if value.abs() < EXACT || !value.is_finite() {
        return 0.0;
    }
    rows.whole(column).map_or(0.0, |whole| whole.abs_diff(value as i128) as f64)
}

/// An event id or a run.
fn id<R: Rows>(
    rows: &R,
    column: usize,
    most: u64,
    cell: impl Fn(&R, usize) -> Box<Cell>,
) -> Result<u64, ConvertError> {
    let whole = rows.whole(column);
    if let Some(id) = whole.and_then(|whole| u64::try_from(whole).ok()).filter(|&id| id <= most) {
        return Ok(id);
    }
    let inexact = rows.number(column).filter(|x| x.fract() == 0.0 && (EXACT..most as f64).contains(x));
    if whole.is_none() && inexact.is_some() {
        let why = rows.why_inexact(column);
        return Err(ConvertError::NotExact { cell: cell(rows, column), text: rows.text(column), why });
    }
    let hint = match whole {
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
    Err(ConvertError::NotAnId { cell: cell(rows, column), text: rows.text(column), most, hint })
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
