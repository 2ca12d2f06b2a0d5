//! Stores kept events in MCAP files: writing, reading, checking and recovering.
//!
//! ```text
//!  records of one stream --> McapSink -------> RUN-STREAM-0001.mcap.part --close--> RUN-STREAM-0001.mcap
//!                          chunks | ^ in order            |                             |
//!                                 v | compressed  killed, full disk             Reader, summary, check
//!                  Press: threads of all streams          '--> recover --> RUN-STREAM-0001.mcap
//! ```
//!
//! A file is plain MCAP (chunks, by zstd, lz4 or not compressed, CRCs, an index), so Python, C++ and Go read it with their own libraries. One message is one decision
//! record (`tamis_event::record`) with the payload of its event, up to [`RECORD_BYTES_MAX`]. Everything needed to understand and to repeat the decisions precedes the first record: a metadata
//! record `tamis`, the schema, the menu and the model bundles. So a file that lost its end keeps its context.
//!
//! Invariants:
//!
//! * I1: a file is only ever appended to, in whole MCAP records, so that at most its last one is torn.
//! * I2: no file is ever overwritten: files are created exclusively and renamed without replacing (`tamis_part`). While a sink writes a file
//!   it cannot be recovered.
//! * I3: a failed write or sync is final. A failed sink does not touch the disk again and repeats its error.
//! * I4: with [`Durable::Close`] and [`Durable::Never`] the bytes of a file depend only on the records and the compression, never on time or
//!   threads.
//! * I5: reading allocates no more than the limits of `limits.rs`, whatever lengths a file claims.
//! * I6: a record of [`CHUNK_BYTES`] or more has a chunk to itself, so that damage to it hides nothing else.
//!
//! Threads: a sink or a reader belongs to one thread at a time. Sinks alone touch their files; the threads of a [`Press`] only compress
//! (`press.rs`). Cost: a record is copied into its chunk, and written once more, compressed; the disk is touched once per chunk of
//! [`CHUNK_BYTES`] or long record. Memory: [`PRESS_BYTES_MAX`] for all streams, and for each a chunk that is being filled.

mod check;
mod chunk;
mod compose;
mod compression;
mod contents;
mod durable;
#[cfg(test)]
mod faults;
mod file;
mod flaw;
mod info;
mod landmark;
mod limits;
mod name;
mod numbers;
mod op;
mod pack;
mod parse;
mod press;
mod probe;
mod progress;
mod provenance;
mod reader;
mod recover;
mod scan;
mod sink;
mod walk;

pub use check::{CheckReport, Problem, check};
pub use compression::{Compression, CompressionError};
pub use durable::{Durable, DurableError};
pub use flaw::{Ending, Flaw};
pub use info::{AttachmentInfo, FileInfo, RunInfo, summary};
pub use limits::{
    ATTACHMENT_BYTES_MAX, CHUNK_BYTES, FREE_BYTES_MIN, PRESS_BYTES_MAX, PROBLEMS_MAX, READ_CHUNK_BYTES_MAX,
    READ_RECORD_BYTES_MAX, RECORD_BYTES_MAX, ROTATE_BYTES,
};
pub use name::{Claim, ClaimError, LEDGER, NameError, check_name, claim_run_name, file_name, run_name_of};
pub use press::Press;
pub use probe::CompressionProbe;
pub use progress::StreamProgress;
pub use provenance::{Attachment, ModelArchive, Provenance};
pub use reader::{ReadError, Reader, StoredEvent};
pub use recover::{RecoverError, RecoverReport, recover};
pub use sink::{McapSink, StreamPlan};
pub use walk::is_mcap;
