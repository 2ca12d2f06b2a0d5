//! The nouns of the trigger: frame, schema, event, block, decision record.
//!
//! Everything here is bytes and their meaning. No thread, no file, no model: a codec is a state machine over byte slices, so that a file,
//! a socket, a fuzzer and the simulation all drive the same code. The formats are fixed by `SPEC.md` (frames and schemas) and by
//! [`record`] (what is stored for an accepted event).
//!
//! ```text
//!  bytes --codec::Scanner--> frame (FrameHeader + body) --> Span --> Block --> ... --> record::Record
//!                                                     Schema says what the fields of a record are
//! ```
//!
//! Invariants:
//!
//! * I1: no memory is allocated in proportion to a length that was read from input.
//! * I2: every stretch of input is a good frame or has exactly one [`Defect`].
//! * I3: all events of a [`Block`] have one run, one segment and one schema.

mod block;
mod body;
mod checksum;
mod codec;
mod decimal;
mod defect;
mod dtype;
mod encode;
mod header;
mod list;
mod reading;
pub mod record;
mod schema;
mod scores;
mod segment;
mod span;
mod words;

pub use block::{Block, CloseReason};
pub use checksum::crc32c;
pub use codec::{Scanned, Scanner};
pub use decimal::{Decimal, EXACT_MAX, FieldNumber, Grid, LARGE_MAX, PLACES_MAX};
pub use defect::Defect;
pub use dtype::Dtype;
pub use encode::{FrameEvents, FrameMeta, encode_events, encode_frame, encode_schema, encode_span};
pub use header::{
    ALIGN, BODY_BYTES_MAX, EVENT_BYTES_MAX, EVENTS_PER_FRAME_MAX, EventLayout, FrameHeader, HEADER_LEN,
    MAGIC, PLAIN_BODY_BYTES_MAX, SCHEMA_BYTES_MAX, VERSION, flags,
};
pub use list::List;
pub use reading::{FieldReading, ReadingKind, list_words};
pub use schema::{Address, Element, Field, PAYLOAD_LEN, RECORD_BYTES_MAX, Role, Schema, SchemaError};
pub use scores::ScoreTable;
pub use segment::SegmentId;
pub use span::{Event, Span};
pub use words::{nearest_word, unquoted};
