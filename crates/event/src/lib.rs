//! The nouns of the trigger: frame, schema, event, block, decision record.
//!
//! Everything here is bytes and their meaning. No thread, no file, no model: a codec is a state machine over byte slices, so that a file,
//! a socket, a fuzzer and the simulation all drive the same code. The formats are fixed by `SPEC.md` (frames and schemas) and by
//! [`record`] (what is stored for an accepted event).
//!
//! ```text
//!  bytes --codec::Scanner--> frame (FrameHeader + payload) --> Span --> Block --> ... --> record::Record
//!                                                     Schema says what a field of the payload is
//! ```
//!
//! Invariants:
//!
//! * I1: no memory is allocated in proportion to a length that was read from input.
//! * I2: every stretch of input is a good frame or has exactly one [`Defect`].
//! * I3: all events of a [`Block`] have one run, one segment and one schema.

mod block;
mod checksum;
mod codec;
mod decimal;
mod encode;
mod header;
pub mod record;
mod schema;
mod scores;
mod segment;
mod words;

pub use block::{Block, CloseReason, Span};
pub use checksum::crc32c;
pub use codec::{Defect, Scanned, Scanner};
pub use decimal::{Decimal, EXACT_MAX, Grid, PLACES_MAX};
pub use encode::{FrameMeta, encode_events, encode_schema};
pub use header::{
    ALIGN, EVENTS_PER_FRAME_MAX, FrameHeader, HEADER_LEN, MAGIC, PAYLOAD_BYTES_MAX, SCHEMA_BYTES_MAX,
    VERSION, flags,
};
pub use schema::{Address, Dtype, Element, Field, RECORD_BYTES_MAX, Role, Schema, SchemaError};
pub use scores::ScoreTable;
pub use segment::SegmentId;
pub use words::{nearest_word, unquoted};
