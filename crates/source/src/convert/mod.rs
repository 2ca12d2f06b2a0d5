//! Other data to frames: CSV tables and `NumPy` arrays.
//!
//! ```text
//!   header --Columns: which column feeds which number--.
//!   row ----------------------------------------------+--> raw numbers --Framer--> frames --> TmfWriter
//! ```
//!
//! Values in the input are physical; what is stored is `(value - offset) / scale`, rounded to the nearest whole number (ties to even) for an
//! integer type.
//!
//! * I1: every number of a record is fed by exactly one column; nothing is made up.
//! * I2: a value that does not fit is an error that names file, row and column, or is clamped and counted; never wrapped. A NaN never
//!   becomes an integer.
//!
//! Memory: one frame, whatever the size of the table.

mod columns;
mod csv;
mod framer;
mod npy;

pub use csv::csv;
pub use npy::npy;

use std::fmt;

use tamis_event::SchemaError;

use crate::WriteError;

/// How a table is read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `(column, field)`: this column feeds this field (`met.pt`) or element (`jets.pt[3]`). Other columns feed what they are named after.
    pub map: Vec<(String, String)>,
    /// Column of event ids; default: `event`, in capitals or not, if that is not a field. Without one, ids count from 0.
    pub event_column: Option<String>,
    /// Column of run numbers; default: `run`, likewise. Without one, every event has [`Self::run`].
    pub run_column: Option<String>,
    /// Column that feeds the truth field, if the schema has exactly one scalar truth field.
    pub label_column: Option<String>,
    /// Clamp values that do not fit, and count them, instead of refusing the table.
    pub saturate: bool,
    /// Run number without a run column.
    pub run: u32,
    /// Source that the frames claim to come from.
    pub source_id: u16,
}

/// What became of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConvertReport {
    /// Rows, one event each.
    pub events: u64,
    /// Frames written.
    pub frames: u64,
    /// Columns that feed nothing.
    pub ignored: Vec<String>,
    /// Values that were clamped, by column; columns without any are left out.
    pub clamped: Vec<(String, u64)>,
    /// Do event ids come from a column?
    pub labelled: bool,
}

/// Where in a table a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// File.
    pub place: String,
    /// `line 5` of a text (the header is line 1), `row 5` of an array (from 0).
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
    #[error(
        "{place}: the schema is not fed completely: no column for {missing}{unused}; rename columns or map them (--map COLUMN=FIELD)"
    )]
    Unfed { place: String, missing: String, unused: String },
    #[error("{place} has no column '{column}'; it has {have}")]
    NoColumn { place: String, column: String, have: String },
    #[error("column '{column}': {error}")]
    Field { column: String, error: SchemaError },
    #[error("column '{column}' cannot feed all {elements} elements of '{field}'; name one, as in {field}[0]")]
    WholeArray { column: String, field: String, elements: usize },
    #[error("'{element}' is fed twice, by columns '{first}' and '{second}'")]
    FedTwice { element: String, first: String, second: String },
    #[error("a label column needs a schema with exactly one scalar truth field; '{schema}' has {found}")]
    Label { schema: String, found: usize },
    #[error("{cell}: '{text}' is no number")]
    NotANumber { cell: Box<Cell>, text: String },
    #[error("{cell}: '{text}' is no whole number from 0 to {most}")]
    NotAnId { cell: Box<Cell>, text: String, most: u64 },
    #[error("{cell}: a NaN cannot be stored as {dtype}")]
    Nan { cell: Box<Cell>, dtype: &'static str },
    #[error(
        "{cell}: {value} does not fit {field} ({dtype}), which holds {low} to {high}; clamp with --saturate"
    )]
    Range { cell: Box<Cell>, value: f64, field: String, dtype: &'static str, low: f64, high: f64 },
    #[error("{place}: {message}")]
    Table { place: String, message: String },
    #[error(transparent)]
    Write(#[from] WriteError),
}
