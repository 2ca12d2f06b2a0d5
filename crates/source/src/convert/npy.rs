//! `NumPy` arrays (`.npy`): one row per event, one column per number of the record.

use std::io::Read;

use tamis_event::Schema;

use super::columns::{Columns, element_names};
use super::framer::Framer;
use super::{ConvertError, ConvertReport, Options};
use crate::TmfWriter;

const MAGIC: &[u8] = b"\x93NUMPY";
/// No array of plain numbers needs more; a structured type is refused anyway.
const HEADER_MAX: usize = 64 << 10;

/// How an element is read.
type Number = fn(&[u8]) -> f64;

struct Header {
    number: Number,
    size: usize,
    rows: u64,
    columns: usize,
}

/// Converts an array of shape (events, numbers of a record), in C order; `place` names it in messages. Event ids count from 0.
///
/// Columns are the numbers of the record in the schema's order, truth included. An array has no names, so options that name columns are
/// refused.
pub fn npy(
    mut reader: impl Read,
    place: &str,
    schema: &Schema,
    options: &Options,
    writer: &mut TmfWriter,
) -> Result<ConvertReport, ConvertError> {
    assert_eq!(schema.id(), writer.schema().id(), "the writer was created with this schema");
    let table = |message: String| ConvertError::Table { place: place.into(), message };
    let named =
        [&options.event_column, &options.run_column, &options.label_column].into_iter().flatten().next();
    if let Some(name) = named.or(options.map.first().map(|(column, _)| column)) {
        return Err(table(format!(
            "an array has no column names, so none can be '{name}'; use CSV for that"
        )));
    }
    let header = read_header(&mut reader).map_err(table)?;
    let names: Vec<String> = element_names(schema).map(|(_, name)| name).collect();
    if header.columns != names.len() {
        let (found, wanted, name) = (header.columns, names.len(), schema.name());
        return Err(table(format!(
            "the array has {found} columns, a record of schema '{name}' has {wanted} numbers"
        )));
    }
    let mut columns = Columns::bind(place, &names, schema, &Options::default())?;
    let mut framer = Framer::new(writer, options.source_id, false);
    // Bounded: a record has at most 2^20 bytes and an element at most 8 for each of them.
    let mut row = vec![0; header.columns * header.size];
    for index in 0..header.rows {
        reader.read_exact(&mut row).map_err(|error| {
            table(format!("the array ends in row {index} of {}: {error}; get another copy", header.rows))
        })?;
        let out = framer.next(options.run, index)?;
        for feed in &mut columns.feeds {
            let value = (header.number)(&row[feed.column * header.size..][..header.size]);
            feed.store(value, options.saturate, out, |feed| feed.cell(place, format!("row {index}")))?;
        }
    }
    let more = reader.read(&mut row[..1]).map_err(|error| table(error.to_string()))?;
    if more > 0 {
        return Err(table(format!(
            "bytes follow the {} rows that the array says it has; get another copy",
            header.rows
        )));
    }
    framer.flush()?;
    let clamped = columns.clamped();
    Ok(ConvertReport {
        events: framer.events,
        frames: framer.frames,
        ignored: Vec::new(),
        clamped,
        labelled: false,
    })
}

/// Reads up to the first number. The header is a Python dictionary in a fixed layout (NEP 1).
fn read_header(reader: &mut impl Read) -> Result<Header, String> {
    let cut = |error: std::io::Error| format!("no .npy array: {error}");
    let mut front = [0; 8];
    reader.read_exact(&mut front).map_err(cut)?;
    if !front.starts_with(MAGIC) {
        return Err("no .npy array: the first bytes are not \\x93NUMPY".into());
    }
    let mut len = [0; 4];
    let len_bytes = if front[6] == 1 { 2 } else { 4 };
    reader.read_exact(&mut len[..len_bytes]).map_err(cut)?;
    let len = u32::from_le_bytes(len) as usize;
    if !(1..=3).contains(&front[6]) || len > HEADER_MAX {
        return Err(format!("a .npy header of version {} and {len} bytes is not known", front[6]));
    }
    let mut text = vec![0; len];
    reader.read_exact(&mut text).map_err(cut)?;
    let text = String::from_utf8(text).map_err(|_| "the .npy header is not text".to_owned())?;
    parse_header(&text)
}

fn parse_header(text: &str) -> Result<Header, String> {
    let after = |key: &str| text.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let broken = || format!("the .npy header is not understood: {}", text.trim());
    let descr = after("descr").ok_or_else(broken)?;
    if descr.starts_with('[') {
        return Err("an array with named fields; store a plain 2-D array of numbers, or CSV".into());
    }
    let descr = descr.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).ok_or_else(broken)?.0;
    let (number, size) = number(descr).ok_or_else(|| {
        format!("an array of type '{descr}'; use little-endian f4, f8, or integers of 1 to 8 bytes: array.astype('<f4')")
    })?;
    if !after("fortran_order").ok_or_else(broken)?.starts_with("False") {
        return Err("an array in Fortran order; store numpy.ascontiguousarray(array)".into());
    }
    let shape = after("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')')).ok_or_else(broken)?.0;
    let lengths: Result<Vec<u64>, _> =
        shape.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect();
    match lengths.map_err(|_| broken())?[..] {
        [rows, columns] => Ok(Header { number, size, rows, columns: columns as usize }),
        ref other => {
            Err(format!("an array of {} dimensions; it must have 2: events and numbers", other.len()))
        }
    }
}

fn number(descr: &str) -> Option<(Number, usize)> {
    macro_rules! read {
        ($number:ty, $to_f64:expr) => {
            (
                |bytes| {
                    $to_f64(<$number>::from_le_bytes(bytes.try_into().expect("a whole element was read")))
                },
                size_of::<$number>(),
            )
        };
    }
    Some(match descr {
        "<f4" => read!(f32, f64::from),
        "<f8" => read!(f64, f64::from),
        "|i1" | "<i1" => read!(i8, f64::from),
        "|u1" | "<u1" => read!(u8, f64::from),
        "<i2" => read!(i16, f64::from),
        "<u2" => read!(u16, f64::from),
        "<i4" => read!(i32, f64::from),
        "<u4" => read!(u32, f64::from),
        // Exact up to 2^53, and what is larger fits no integer field.
        "<i8" => read!(i64, |whole| whole as f64),
        "<u8" => read!(u64, |whole| whole as f64),
        _ => return None,
    })
}
