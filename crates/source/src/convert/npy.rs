//! `NumPy` arrays (`.npy`): one row per event, one column per number of the record.

use std::io::Read;

use tamis_event::{Decimal, Dtype, RECORD_BYTES_MAX, Schema};

use super::columns::{Columns, element_names};
use super::csv::NOISE;
use super::python::Value;
use super::rows::{EXACT, Rows, convert};
use super::{ConvertError, ConvertReport, Options};
use crate::TmfWriter;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Largest header: the names of a hundred thousand columns fit.
const HEADER_MAX: usize = 4 << 20;
/// Most bytes of a row: every number of the longest record as eight bytes.
const ROW_MAX: usize = 8 * RECORD_BYTES_MAX;

/// The type of a number in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NpyNumber {
    kind: NpyKind,
    size: usize,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NpyKind {
    Float,
    Signed,
    Unsigned,
    /// Bytes that are not part of the table.
    Padding,
}

/// The place of a column in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ColumnPlace {
    at: usize,
    number: NpyNumber,
}

#[derive(Debug)]
struct Header {
    /// Names, if the array has any.
    names: Option<Vec<String>>,
    columns: Vec<ColumnPlace>,
    row_bytes: usize,
    rows: u64,
    fortran: bool,
}

/// Converts an array; see [`super::table`].
///
/// For a one-dimensional structured array, the columns are its named fields. Else they are the numbers of the record in the schema's order, truth
/// included: an array of shape (events, numbers of a record), or (events) if a record is one number. Such an array has no names, so options that name
/// columns are refused.
pub(super) fn npy(
    mut reader: impl Read,
    place: &str,
    schema: &Schema,
    options: &Options,
    writer: &mut TmfWriter,
) -> Result<ConvertReport, ConvertError> {
    assert_eq!(schema.id(), writer.schema().id(), "the writer was created with this schema");
    let table = |message: String| ConvertError::Table { place: place.into(), message };
    let header = read_header(&mut reader).map_err(table)?;
    let names = match &header.names {
        Some(names) => names.clone(),
        None => names_of(&header, schema, options).map_err(table)?,
    };
    let columns = Columns::bind(place, &names, schema, options)?;
    let memory = if header.fortran { Some(turned(&mut reader, &header).map_err(table)?) } else { None };
    let row = vec![0; header.row_bytes];
    let rows = Array { reader, place, header, memory, row, next: 0 };
    convert(rows, place, &names, columns, options, writer)
}

/// The column names that are assumed for an array without names.
fn names_of(header: &Header, schema: &Schema, options: &Options) -> Result<Vec<String>, String> {
    let Options { event_column, run_column, time_column, label_column, .. } = options;
    let named = [event_column, run_column, time_column, label_column].into_iter().flatten().next();
    if let Some(name) = named.or(options.map.first().map(|(column, _)| column)) {
        return Err(format!(
            "the array has no column names, so none can be '{name}'; store an array with named fields, or CSV"
        ));
    }
    let names: Vec<String> = element_names(schema).map(|(_, name)| name).collect();
    let found = header.columns.len();
    let wanted = names.len();
    let name = schema.name();
    if found == wanted {
        return Ok(names);
    }
    Err(format!(
        "the array has {found} column{}, a record of schema '{name}' has {wanted} number{}",
        if found == 1 { "" } else { "s" },
        if wanted == 1 { "" } else { "s" }
    ))
}

struct Array<'a, R> {
    reader: R,
    place: &'a str,
    header: Header,
    /// All rows of an array that is stored column by column.
    memory: Option<Vec<u8>>,
    row: Vec<u8>,
    next: u64,
}

impl<R: Read> Array<'_, R> {
    fn error(&self, message: String) -> ConvertError {
        ConvertError::Table { place: self.place.into(), message }
    }

    fn bytes(&self, column: usize) -> (&[u8], NpyNumber) {
        let ColumnPlace { at, number } = self.header.columns[column];
        (&self.row[at..at + number.size], number)
    }
}

impl<R: Read> Rows for Array<'_, R> {
    const CALLED: &'static str = "row";

    fn advance(&mut self) -> Result<bool, ConvertError> {
        let rows = self.header.rows;
        if self.next == rows {
            let more = self.reader.read(&mut [0]).map_err(|error| self.error(error.to_string()))?;
            return if more == 0 {
                Ok(false)
            } else {
                Err(self.error(format!(
                    "bytes follow the {rows} rows that the array says it has; get another copy"
                )))
            };
        }
        let index = self.next;
        match &self.memory {
            Some(memory) => {
                let stride = rows as usize;
                for ColumnPlace { at, number } in &self.header.columns {
                    let from = at * stride + index as usize * number.size;
                    self.row[*at..at + number.size].copy_from_slice(&memory[from..from + number.size]);
                }
            }
            None => self.reader.read_exact(&mut self.row).map_err(|error| ConvertError::Table {
                place: self.place.into(),
                message: format!("the array ends in row {index} of {rows}: {error}; get another copy"),
            })?,
        }
        self.next += 1;
        Ok(true)
    }

    fn index(&self) -> u64 {
        self.next - 1
    }

    fn number(&self, column: usize) -> Option<f64> {
        let (bytes, number) = self.bytes(column);
        Some(match number.kind {
            NpyKind::Float => number.float(bytes),
            // Exact up to 2^53; larger ones go by their decimals where a field holds them.
            _ => number.whole(bytes) as f64,
        })
    }

    fn decimal(&self, column: usize) -> Option<Decimal> {
        let (bytes, number) = self.bytes(column);
        if number.kind != NpyKind::Float {
            return Some(Decimal { digits: number.whole(bytes), places: 0 });
        }
        let float = number.float(bytes);
        // A large float is a whole number itself, and not the one that is written with fewer digits.
        let whole = Decimal { digits: float as i128, places: 0 };
        if (EXACT..i128::MAX as f64).contains(&float.abs()) { Some(whole) } else { Decimal::shortest(float) }
    }

    fn whole(&self, column: usize) -> Option<i128> {
        let (bytes, number) = self.bytes(column);
        if number.kind == NpyKind::Float {
            let float = number.float(bytes);
            let is_exact = float.fract() == 0.0 && float.abs() <= 2_f64.powi(self.exact_bits(column));
            return is_exact.then_some(float as i128);
        }
        Some(number.whole(bytes))
    }

    fn exact_bits(&self, column: usize) -> i32 {
        match self.bytes(column).1 {
            NpyNumber { kind: NpyKind::Float, size: 2, .. } => 11,
            NpyNumber { kind: NpyKind::Float, size: 4, .. } => 24,
            _ => 53,
        }
    }

    fn why_inexact(&self, column: usize) -> String {
        let size = self.bytes(column).1.size;
        format!(
            "where a column of f{size} does not hold every whole number; store it as int64 or uint64 in the first place, or number the rows with --ids number if it is an id"
        )
    }

    fn text(&self, column: usize) -> String {
        let (bytes, number) = self.bytes(column);
        match number.kind {
            NpyKind::Float => number.float(bytes).to_string(),
            _ => number.whole(bytes).to_string(),
        }
    }

    fn noise(&self, column: usize) -> f64 {
        let (bytes, number) = self.bytes(column);
        match number {
            // Whole numbers are what they are.
            NpyNumber { kind: NpyKind::Float, .. } if number.float(bytes).fract() == 0.0 => NOISE,
            NpyNumber { kind: NpyKind::Float, size: 2, .. } => 1e-3,
            NpyNumber { kind: NpyKind::Float, size: 4, .. } => 2.5e-7,
            _ => NOISE,
        }
    }
}

impl NpyNumber {
    /// A type of the array protocol, such as `<f4`.
    fn parse(descr: &str) -> Option<Self> {
        let order = descr.chars().next()?;
        let (kind, size) = descr.trim_start_matches(['<', '>', '|', '=']).split_at_checked(1)?;
        let size: usize = size.parse().ok()?;
        let kind = match (kind, size) {
            ("f", 2 | 4 | 8) => NpyKind::Float,
            ("i", 1 | 2 | 4 | 8) => NpyKind::Signed,
            ("u", 1 | 2 | 4 | 8) | ("b", 1) => NpyKind::Unsigned,
            ("V", _) => NpyKind::Padding,
            _ => return None,
        };
        Some(Self { kind, size, big_endian: order == '>' })
    }

    fn little(self, bytes: &[u8]) -> [u8; 8] {
        let mut little = [0; 8];
        little[..self.size].copy_from_slice(bytes);
        if self.big_endian {
            little[..self.size].reverse();
        }
        little
    }

    fn float(self, bytes: &[u8]) -> f64 {
        let bytes = self.little(bytes);
        match self.size {
            2 => Dtype::F16.read(&bytes),
            4 => Dtype::F32.read(&bytes),
            _ => f64::from_le_bytes(bytes),
        }
    }

    fn whole(self, bytes: &[u8]) -> i128 {
        let whole = u64::from_le_bytes(self.little(bytes));
        if self.kind == NpyKind::Unsigned {
            return whole.into();
        }
        let unused = 64 - 8 * self.size as u32;
        (whole.cast_signed() << unused >> unused).into()
    }
}

/// Reads an array that is stored column by column.
fn turned(reader: &mut impl Read, header: &Header) -> Result<Vec<u8>, String> {
    let bytes = (header.row_bytes as u64).checked_mul(header.rows);
    let bytes = bytes.ok_or_else(|| format!("an array of {} rows is too long", header.rows))?;
    let mut memory = Vec::new();
    reader.take(bytes).read_to_end(&mut memory).map_err(|error| format!("cannot be read: {error}"))?;
    if memory.len() as u64 == bytes {
        return Ok(memory);
    }
    Err(format!("the array has {} bytes of {bytes}; get another copy", memory.len()))
}

/// Reads the file up to the first number. The header is a Python dictionary (NEP 1).
fn read_header(reader: &mut impl Read) -> Result<Header, String> {
    let cut = |error: std::io::Error| format!("no .npy array: {error}; get another copy");
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
    let mut text = Vec::new();
    reader.take(len as u64).read_to_end(&mut text).map_err(cut)?;
    if text.len() < len {
        return Err("no .npy array: it ends in its header; get another copy".into());
    }
    let text = String::from_utf8(text).map_err(|_| "the .npy header is not text".to_owned())?;
    parse_header(&text)
}

fn parse_header(text: &str) -> Result<Header, String> {
    let broken = || format!("the .npy header is not understood: {}", text.trim());
    let dictionary = Value::parse(text).ok_or_else(broken)?;
    let value = |key: &str| dictionary.get(key).ok_or_else(broken);
    let shape = value("shape")?.numbers().ok_or_else(broken)?;
    let Value::Bool(fortran) = *value("fortran_order")? else { return Err(broken()) };
    let header = match value("descr")? {
        Value::Text(descr) => plain(descr, &shape, fortran)?,
        Value::Items(fields) => structured(fields, &shape)?,
        _ => return Err(broken()),
    };
    if (1..=ROW_MAX).contains(&header.row_bytes) {
        return Ok(header);
    }
    Err(format!("rows of {} bytes; at most {ROW_MAX} are read", header.row_bytes))
}

/// An array of one type.
fn plain(descr: &str, shape: &[u64], fortran: bool) -> Result<Header, String> {
    let number = number(descr).map_err(|why| format!("an array of {why}: array.astype('<f4')"))?;
    let (rows, columns) = match *shape {
        [rows] => (rows, 1),
        [rows, columns] => (rows, columns as usize),
        _ => {
            return Err(format!(
                "an array of {} dimensions; it must have 2, events and numbers: array.reshape(len(array), -1)",
                shape.len()
            ));
        }
    };
    if columns > RECORD_BYTES_MAX {
        return Err(format!("rows of {columns} numbers; at most {RECORD_BYTES_MAX} are read"));
    }
    let columns: Vec<ColumnPlace> =
        (0..columns).map(|k| ColumnPlace { at: k * number.size, number }).collect();
    let row_bytes = columns.len() * number.size;
    Ok(Header { names: None, columns, row_bytes, rows, fortran: fortran && shape.len() == 2 })
}

/// An array with named fields.
fn structured(fields: &[Value], shape: &[u64]) -> Result<Header, String> {
    let &[rows] = shape else {
        return Err(format!(
            "an array of {} dimensions with named fields; it must have 1, events: array.ravel()",
            shape.len()
        ));
    };
    let mut header =
        Header { names: Some(Vec::new()), columns: Vec::new(), row_bytes: 0, rows, fortran: false };
    for field in fields {
        let parts = if let Value::Items(parts) = field { parts.as_slice() } else { &[] };
        let (name, descr, shape) = match parts {
            [Value::Text(name), Value::Text(descr)] => (name, descr, None),
            [Value::Text(name), Value::Text(descr), shape] => (name, descr, Some(shape)),
            _ => return Err("an array whose fields are structures or have titles; store plain fields".into()),
        };
        let number = number(descr).map_err(|why| format!("field '{name}' is of {why}"))?;
        let elements = shape.map_or(Some(1), elements);
        let bytes = elements.and_then(|elements| elements.checked_mul(number.size));
        let (Some(elements), Some(bytes)) = (elements, bytes.filter(|&bytes| bytes <= ROW_MAX)) else {
            return Err(format!("field '{name}' is too long"));
        };
        let at = header.row_bytes;
        header.row_bytes += bytes;
        if number.kind == NpyKind::Padding {
            continue;
        }
        if header.columns.len() + elements > RECORD_BYTES_MAX || header.row_bytes > ROW_MAX {
            return Err(format!("rows of more than {RECORD_BYTES_MAX} numbers or {ROW_MAX} bytes"));
        }
        for k in 0..elements {
            let name = if shape.is_some() { format!("{name}[{k}]") } else { name.clone() };
            header.names.get_or_insert_default().push(name);
            header.columns.push(ColumnPlace { at: at + k * number.size, number });
        }
    }
    Ok(header)
}

/// Elements of a field of this shape.
fn elements(shape: &Value) -> Option<usize> {
    let product = |product: u64, length: u64| product.checked_mul(length);
    usize::try_from(shape.numbers()?.into_iter().try_fold(1, product)?).ok()
}

fn number(descr: &str) -> Result<NpyNumber, String> {
    let what = match descr.trim_start_matches(['<', '>', '|', '=']).chars().next() {
        Some('O') => "objects",
        Some('U' | 'S' | 'a') => "texts",
        Some('c') => "complex numbers",
        Some('M' | 'm') => "times",
        _ => "numbers that are not read",
    };
    NpyNumber::parse(descr)
        .ok_or_else(|| format!("{what} (type '{descr}'); use f2, f4, f8, or integers of 1 to 8 bytes"))
}
