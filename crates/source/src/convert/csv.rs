//! CSV tables: a header row, then one event per row.

use std::io::{BufRead, BufReader, Cursor, Read};

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};
use tamis_event::{Decimal, Schema};

use super::columns::Columns;
use super::rows::{EXACT, Rows, convert};
use super::{ConvertError, ConvertReport, Options};
use crate::TmfWriter;

/// Longest first line: anything longer has no lines.
const HEADER_BYTES_MAX: u64 = 16 << 20;
/// The possible separators of columns.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Relative distance of two values of f64 that are the same number, after a few steps of arithmetic.
pub(super) const NOISE: f64 = 1e-15;

/// Converts a table; see [`super::table`]. The separator is the first of comma, semicolon, tab and bar that the header contains.
pub(super) fn csv(
    reader: impl Read,
    place: &str,
    schema: &Schema,
    options: &Options,
    writer: &mut TmfWriter,
) -> Result<ConvertReport, ConvertError> {
    assert_eq!(schema.id(), writer.schema().id(), "the writer was created with this schema");
    let table = |message: String| ConvertError::Table { place: place.into(), message };
    let mut reader = BufReader::with_capacity(1 << 18, reader);
    let front = front(&mut reader).map_err(table)?;
    if front.trim_ascii().is_empty() {
        return Err(ConvertError::Empty { place: place.into() });
    }
    let separator = separator(&front);
    // Only "\n" ends a line, and one is appended to the text in any case, so after a row the reader is at the beginning of the next line. The
    // "\r" of other systems counts as white space at the end of the last cell.
    let mut reader = ReaderBuilder::new()
        .buffer_capacity(1 << 18)
        .delimiter(separator)
        .terminator(Terminator::Any(b'\n'))
        .flexible(true)
        .from_reader(Cursor::new(front).chain(reader).chain(&b"\n"[..]));
    let header = reader.headers().map_err(|error| table(explain(&error)))?;
    let header: Vec<String> = header.iter().map(|name| name.trim().into()).collect();
    let columns = Columns::bind(place, &header, schema, options)?;
    let width = header.len();
    let record = ByteRecord::new();
    let line = 0;
    let blank = None;
    convert(Lines { reader, place, width, record, line, blank }, place, &header, columns, options, writer)
}

struct Lines<'a, R> {
    reader: Reader<R>,
    place: &'a str,
    width: usize,
    record: ByteRecord,
    /// The line in which the row ends.
    line: u64,
    /// The first blank line since the last row.
    blank: Option<u64>,
}

impl<R: Read> Lines<'_, R> {
    fn error(&self, message: String) -> ConvertError {
        ConvertError::Table { place: self.place.into(), message }
    }

    fn cell(&self, column: usize) -> Option<&str> {
        std::str::from_utf8(&self.record[column]).ok().map(str::trim)
    }
}

impl<R: Read> Rows for Lines<'_, R> {
    const CALLED: &'static str = "line";

    fn advance(&mut self) -> Result<bool, ConvertError> {
        loop {
            let begin = self.reader.position().clone();
            let read = self.reader.read_byte_record(&mut self.record);
            if !read.map_err(|error| self.error(explain(&error)))? {
                return Ok(false);
            }
            let end = self.reader.position();
            self.line = end.line() - 1;
            let is_blank = self.record.len() == 1 && self.record[0].trim_ascii().is_empty();
            if self.width > 1 && is_blank {
                continue;
            }
            if self.width == 1 {
                // The reader itself skips empty lines: the row then spans more lines than its text has.
                let lines = end.line() - begin.line();
                if lines > 1 && !self.record[0].contains(&b'\n') {
                    self.blank.get_or_insert(begin.line());
                }
                // A pair of quotes is an empty cell, not a blank line.
                let unquoted = self.record[0].len() as u64 + lines;
                if is_blank && end.byte() - begin.byte() == unquoted {
                    self.blank.get_or_insert(self.line);
                    continue;
                }
            }
            if let Some(line) = self.blank {
                return Err(self.error(format!(
                    "line {line} is blank, which is an empty cell in a table of one column; give it a number (nan, if there is none), or remove it"
                )));
            }
            let found = self.record.len();
            if found == self.width {
                return Ok(true);
            }
            let hint = match self.record.iter().next_back() {
                Some([] | b"\r") if found == self.width + 1 => "; does a separator too many end the line?",
                _ => "",
            };
            let line = self.line;
            let width = self.width;
            return Err(self.error(format!(
                "line {line} has {found} column{}, the header has {width}{hint}",
                if found == 1 { "" } else { "s" }
            )));
        }
    }

    fn index(&self) -> u64 {
        self.line
    }

    fn number(&self, column: usize) -> Option<f64> {
        self.cell(column)?.parse().ok()
    }

    fn decimal(&self, column: usize) -> Option<Decimal> {
        let text = self.cell(column)?;
        Decimal::parse(text.strip_prefix('+').unwrap_or(text))
    }

    fn whole(&self, column: usize) -> Option<i128> {
        let text = self.cell(column)?;
        // Other programs write `5.0` if the column has a gap somewhere. Above 2^53, not every whole number is an f64.
        let float = || text.parse::<f64>().ok().filter(|x| x.fract() == 0.0 && x.abs() <= EXACT);
        text.parse().ok().or_else(|| float().map(|x| x as i128))
    }

    fn exact_bits(&self, _: usize) -> i32 {
        53
    }

    fn why_inexact(&self, _: usize) -> String {
        "where a number with a point or an exponent may have been rounded; write it with all its digits and nothing else".into()
    }

    fn text(&self, column: usize) -> String {
        String::from_utf8_lossy(&self.record[column]).trim().to_owned()
    }

    fn noise(&self, _: usize) -> f64 {
        NOISE
    }
}

/// The bytes of the table up to the end of its first non-blank line. Blank lines before it are reduced to their line ends.
fn front(reader: &mut impl BufRead) -> Result<Vec<u8>, String> {
    let mut front = Vec::new();
    loop {
        let begin = front.len();
        let room = HEADER_BYTES_MAX - begin as u64;
        let read = reader.take(room).read_until(b'\n', &mut front);
        let read = read.map_err(|error| format!("cannot be read: {error}"))?;
        if read as u64 == room {
            return Err("no line of column names ends within its first 16 MiB; is it a table?".into());
        }
        if read == 0 || !front[begin..].trim_ascii().is_empty() {
            return Ok(front);
        }
        front.truncate(begin);
        front.push(b'\n');
    }
}

/// The separator: the first of [`SEPARATORS`] that occurs outside quotes, or else a comma.
fn separator(header: &[u8]) -> u8 {
    let mut quoted = false;
    let mut found = [false; SEPARATORS.len()];
    for byte in header {
        quoted ^= *byte == b'"';
        let separator = SEPARATORS.iter().position(|separator| separator == byte);
        separator.into_iter().filter(|_| !quoted).for_each(|k| found[k] = true);
    }
    SEPARATORS.into_iter().zip(found).find(|&(_, is)| is).map_or(b',', |(separator, _)| separator)
}

/// Words an error of the reader for users; its own message begins with "CSV error".
fn explain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => {
            "line 1, the names of the columns, is not UTF-8 text; save the table as UTF-8".into()
        }
        csv::ErrorKind::Io(error) => format!("cannot be read any further: {error}"),
        _ => format!("cannot be read: {error}"),
    }
}
