//! CSV tables: a header row, then one event per row.

use std::io::Read;

use csv::{ByteRecord, ReaderBuilder, Terminator};
use tamis_event::Schema;

use super::columns::Columns;
use super::framer::Framer;
use super::{Cell, ConvertError, ConvertReport, Options};
use crate::TmfWriter;

/// Converts a table; `place` names it in messages. Nothing of a failed conversion is worth keeping: drop the writer.
///
/// A column feeds the field or element that it is named after, or as [`Options::map`] says; columns that feed nothing are reported. With
/// an event column, ids are labels: events whose ids follow one another in one run share a frame, and gaps are not missing events.
pub fn csv(
    reader: impl Read,
    place: &str,
    schema: &Schema,
    options: &Options,
    writer: &mut TmfWriter,
) -> Result<ConvertReport, ConvertError> {
    assert_eq!(schema.id(), writer.schema().id(), "the writer was created with this schema");
    let table_error =
        |error: csv::Error| ConvertError::Table { place: place.into(), message: explain(&error) };
    // With "\n" alone as the end of a line, and one at the end of the text in any case, the line after a row is where the reader stands. The
    // "\r" of other systems is white space at the end of the last cell.
    let mut reader = ReaderBuilder::new()
        .buffer_capacity(1 << 18)
        .terminator(Terminator::Any(b'\n'))
        .flexible(true)
        .from_reader(reader.chain(&b"\n"[..]));
    let header: Vec<String> =
        reader.headers().map_err(table_error)?.iter().map(|name| name.trim().into()).collect();
    let mut columns = Columns::bind(place, &header, schema, options)?;
    let mut framer = Framer::new(writer, options.source_id, columns.event.is_some());
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(table_error)? {
        let line = reader.position().line() - 1;
        match record.len() {
            1 if record[0].trim_ascii().is_empty() => continue,
            found if found != header.len() => {
                let message = format!("line {line} has {found} columns, the header has {}", header.len());
                return Err(ConvertError::Table { place: place.into(), message });
            }
            _ => {}
        }
        let cell = |column: usize| {
            Box::new(Cell {
                place: place.into(),
                row: format!("line {line}"),
                column: header[column].clone(),
            })
        };
        let id = match columns.event {
            Some(column) => whole(&record[column], u64::MAX, || cell(column))?,
            None => framer.events,
        };
        let run = match columns.run {
            Some(column) => whole(&record[column], u32::MAX.into(), || cell(column))? as u32,
            None => options.run,
        };
        let out = framer.next(run, id)?;
        for feed in &mut columns.feeds {
            let bytes = &record[feed.column];
            let number = std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse::<f64>().ok());
            let Some(value) = number else {
                return Err(ConvertError::NotANumber { cell: cell(feed.column), text: lossy(bytes) });
            };
            feed.store(value, options.saturate, out, |feed| feed.cell(place, format!("line {line}")))?;
        }
    }
    framer.flush()?;
    let (events, frames, labelled) = (framer.events, framer.frames, columns.event.is_some());
    let clamped = columns.clamped();
    Ok(ConvertReport { events, frames, ignored: columns.ignored, clamped, labelled })
}

fn whole(bytes: &[u8], most: u64, cell: impl FnOnce() -> Box<Cell>) -> Result<u64, ConvertError> {
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse::<u64>().ok());
    match number {
        Some(number) if number <= most => Ok(number),
        _ => Err(ConvertError::NotAnId { cell: cell(), text: lossy(bytes), most }),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The reader's own words begin with "CSV error"; say what to look at.
fn explain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "the header is not UTF-8 text".into(),
        _ => format!("cannot be read: {error}"),
    }
}
