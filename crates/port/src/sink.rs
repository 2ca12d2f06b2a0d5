//! Where kept events go.

use std::path::PathBuf;

/// One decision record to store (`tamis_event::record`), with what an index needs.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Event id.
    pub event_id: u64,
    /// Its time in ns since the start of the run, or that of its frame.
    pub time_ns: u64,
    /// The record, byte for byte.
    pub record: &'a [u8],
}

/// Storage failed; the message names the file and the remedy. A sink that failed refuses everything after.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct SinkError {
    /// File or folder.
    pub place: String,
    /// What happened and what to do.
    pub message: String,
}

/// What a sink stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkReport {
    /// Records that the operating system has: they survive the end of the process.
    pub events: u64,
    /// Those of them that survive a loss of power; they come first.
    pub durable: u64,
    /// Those that are in finished files.
    pub closed: u64,
    /// Bytes in finished files.
    pub bytes: u64,
    /// Finished files, in order of writing.
    pub files: Vec<PathBuf>,
}

/// Storage of one stream.
pub trait Sink: Send {
    /// Stores one record. Records come in the order of the input. `Ok` means taken; [`Self::report`] says when it is stored.
    fn write(&mut self, stored: Stored<'_>) -> Result<(), SinkError>;

    /// Called every few milliseconds, and after every batch, with a monotonic time in ns: the place for timed flushes.
    fn tick(&mut self, now_ns: u64) -> Result<(), SinkError>;

    /// What is stored so far. After a failure it still says what was saved: if somebody removed the unfinished file, only the records in earlier
    /// files.
    fn report(&self) -> &SinkReport;

    /// Makes everything durable and visible under its final name, and says what was stored. Called once, last.
    fn close(&mut self) -> Result<SinkReport, SinkError>;
}
