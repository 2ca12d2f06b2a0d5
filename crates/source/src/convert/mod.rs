//! Converts other data to frames: CSV tables and `NumPy` arrays.
//!
//! ```text
//!   header --Columns: which column feeds which number--.
//!   rows ----------------------------------------------+--> raw numbers --Framer--> frames --> TmfWriter
//!      '--ids--> Repeats: does an id come twice?
//! ```
//!
//! Values in the input are physical; the stored number is `(value - offset) / scale`, rounded to the nearest whole number (ties to even) for an
//! integer type.
//!
//! * I1: every number of a record is fed by exactly one column; nothing is invented.
//! * I2: a value that does not fit is an error that names file, row and column, or is clamped and counted, but never wraps. A NaN never
//!   becomes an integer.
//! * I3: values that are stored inexactly, as a NaN or as an infinity are counted by column ([`Changes`]).
//! * I4: no row is left out. An empty cell is an error, and so is a blank line that could be an empty cell: in a table of one column,
//!   before its last row.
//! * I5: two rows of a run never share an event id: a second one is an error that names both rows.
//!
//! Memory: one frame, one row, at most 192 MiB of ids (`repeats.rs`), and the whole array if it is in Fortran order.

mod columns;
mod csv;
mod framer;
mod likely;
mod npy;
mod python;
mod repeats;
mod rows;
mod values;

use std::fmt;
use std::io::{Cursor, Read};

use tamis_event::{Schema, SchemaError};

pub use values::Changes;

use crate::kinds::{FileKind, HEAD_BYTES};
use crate::{TmfWriter, WriteError, zst};

/// The origin of event ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// From the column of event ids. They are labels: gaps between them are no losses.
    Label,
    /// Rows are numbered from 0 in each run; a column of event ids is not read.
    Number,
    /// Neither event ids nor runs are read: all rows are in one run, numbered from 0.
    Ignore,
}

/// Options for reading a table.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `(column, field)`: this column feeds this field (`met.pt`) or element (`jets.pt[3]`). Other columns feed the field or element of their name, and
    /// where there is none, the one whose name differs in upper and lower case only.
    pub map: Vec<(String, String)>,
    /// Where event ids come from; default: [`Ids::Label`] if there is a column of event ids, else [`Ids::Number`].
    pub ids: Option<Ids>,
    /// Column of event ids; default: `event` in any case, if that is not a field.
    pub event_column: Option<String>,
    /// Column of run numbers; default: `run`, likewise. Without one, every event has [`Self::run`].
    pub run_column: Option<String>,
    /// Column of event times, in whole ns since the start of the run; default: `time_ns` in any case, if that is not a field.
    pub time_column: Option<String>,
    /// Column that feeds the truth field, if the schema has exactly one scalar truth field.
    pub label_column: Option<String>,
    /// Clamp values that do not fit, and count them, instead of refusing the table.
    pub saturate: bool,
    /// Run number without a run column.
    pub run: u32,
    /// Source id of the frames.
    pub source_id: u16,
}

/// The outcome of a conversion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConvertReport {
    /// Number of rows, one event each.
    pub events: u64,
    /// Frames written.
    pub frames: u64,
    /// Columns that feed nothing.
    pub ignored: Vec<String>,
    /// Changes of values, by column; columns without any are left out.
    pub changes: Vec<Changes>,
    /// The column of the event ids; `None` if rows are numbered.
    pub id_column: Option<String>,
    /// The column of the event times, if there is one.
    pub time_column: Option<String>,
    /// Number of rows whose ids were not compared with those of all rows before, because there were too many.
    pub uncompared: u64,
}

/// The place of a value in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// File.
    pub place: String,
    /// `line 5` of a text (the header is line 1) or `row 5` of an array (from 0).
    pub row: String,
    /// Name of the column.
    pub column: String,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, column '{}'", self.place, self.row, self.column)
    }
}

/// Why a table cannot be converted.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ConvertError {
    #[error("{place} is empty; a table starts with a line of column names")]
    Empty { place: String },
    #[error("{place} is {}: {}", kind.noun(), kind.remedy_as_table())]
    NoTable { place: String, kind: FileKind },
    #[error(
        "{place}: the schema is not fed completely: no column for {missing}{unused}; rename columns or {remedy}"
    )]
    Unfed { place: String, missing: String, unused: String, remedy: String },
    #[error("{place}: {why}")]
    Header { place: String, why: String },
    #[error("{place} has no column '{column}'; it has {have}")]
    NoColumn { place: String, column: String, have: String },
    #[error(
        "{place} has no column of event ids; name it with --event-column, or number the rows with --ids number"
    )]
    NoIds { place: String },
    #[error("column '{column}': {error}")]
    Field { column: String, error: SchemaError },
    #[error("column '{column}' cannot feed all {elements} elements of '{field}'; name one, as in {field}[0]")]
    WholeArray { column: String, field: String, elements: usize },
    #[error(
        "the events of schema '{schema}' have payloads, and a table has none; leave [payload] out, or write frames with a program"
    )]
    Payload { schema: String },
    #[error("{place}: '{element}' is fed twice, by columns {first} and {second}")]
    FedTwice { place: String, element: String, first: String, second: String },
    #[error("a label column needs a schema with exactly one scalar truth field; '{schema}' has {found}")]
    Label { schema: String, found: usize },
    #[error("{cell}: '{text}' is no number{hint}")]
    NotANumber { cell: Box<Cell>, text: String, hint: &'static str },
    #[error("{cell}: '{text}' is no whole number from 0 to {most}{hint}")]
    NotAnId { cell: Box<Cell>, text: String, most: u64, hint: String },
    #[error(
        "{cell}: '{text}' is no time: write whole nanoseconds since the start of the run, from 0 to {}",
        u64::MAX
    )]
    NotATime { cell: Box<Cell>, text: String },
    #[error("{cell}: '{text}' is no number of elements: write a whole number from 0 to {most}")]
    NotACount { cell: Box<Cell>, text: String, most: usize },
    #[error(
        "{cell}: '{text}' is behind the last element that the event has by its count; leave it empty, or count it"
    )]
    Behind { cell: Box<Cell>, text: String },
    #[error("{cell}: '{text}' is above 2^{bits}, {why}")]
    NotExact { cell: Box<Cell>, text: String, bits: i32, why: String },
    #[error("{place}: {repeats}; number the rows instead with --ids number, or name another --event-column")]
    Repeats { place: String, repeats: String },
    #[error("{cell}: a NaN cannot be stored as {dtype}; give it a number, or make the field f32")]
    Nan { cell: Box<Cell>, dtype: &'static str },
    #[error(
        "{cell}: {value} does not fit {field} ({dtype}), which holds {low} to {high}; clamp with --saturate"
    )]
    Range { cell: Box<Cell>, value: String, field: String, dtype: &'static str, low: String, high: String },
    #[error("{place}: {message}")]
    Table { place: String, message: String },
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Converts a CSV table or `.npy` array, compressed with zstd or not; its first bytes tell which. `place` names it in
/// messages. If the conversion fails, drop the writer: its file is incomplete.
///
/// A column feeds the field or element of its name, in any case, or the one that [`Options::map`] gives; columns that feed nothing are reported. The
/// count of a list is called `count(jets)`; behind the last element that it counts, cells are empty, 0 or NaN.
pub fn table(
    reader: impl Read,
    place: &str,
    schema: &Schema,
    options: &Options,
    writer: &mut TmfWriter,
) -> Result<ConvertReport, ConvertError> {
    if schema.payload().is_some() {
        return Err(ConvertError::Payload { schema: schema.name().into() });
    }
    let (kind, whole) = look(reader, place)?;
    if kind != FileKind::Zstd {
        return known(kind, whole, place, schema, options, writer);
    }
    let unreadable = |error| ConvertError::Table { place: place.into(), message: format!("{error}") };
    let (kind, whole) = look(zst::decoder(whole).map_err(unreadable)?, place)?;
    known(kind, whole, place, schema, options, writer)
}

fn look<R: Read>(mut reader: R, place: &str) -> Result<(FileKind, impl Read + use<R>), ConvertError> {
    let mut head = Vec::new();
    (&mut reader).take(HEAD_BYTES).read_to_end(&mut head).map_err(|error| ConvertError::Table {
        place: place.into(),
        message: format!("cannot be read: {error}"),
    })?;
    Ok((FileKind::of(&head), Cursor::new(head).chain(reader)))
}

fn known(
    kind: FileKind,
    whole: impl Read,
    place: &str,
    schema: &Schema,
    options: &Options,
    writer: &mut TmfWriter,
) -> Result<ConvertReport, ConvertError> {
    match kind {
        FileKind::Npy => npy::npy(whole, place, schema, options, writer),
        FileKind::Empty => Err(ConvertError::Empty { place: place.into() }),
        FileKind::Text | FileKind::Table | FileKind::Unknown => {
            csv::csv(whole, place, schema, options, writer)
        }
        kind => Err(ConvertError::NoTable { place: place.into(), kind }),
    }
}
