//! Reads a recording to its end, outside a run.

use std::path::Path;
use std::thread;
use std::time::Duration;

use tamis_event::{FrameHeader, Schema, Span};
use tamis_ledger::Corrupt;
use tamis_pipeline::{Found, FrameReader};
use tamis_source::{OpenError, Recording};

use crate::{Exit, Failure};

/// Opens a recording. A refusal of the system has another code than a fault of the recording.
pub(crate) fn open(path: &Path, passes: u64) -> Result<Recording, Failure> {
    tamis_source::open(path, passes).map_err(unopened)
}

/// The failure to open a recording.
pub(crate) fn unopened(error: OpenError) -> Failure {
    let exit = if error.is_of_resources() { Exit::Resources } else { Exit::Input };
    Failure::new(exit, error)
}

/// What messages call a file that is read; `-` is standard input.
pub fn place_of(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}

/// One finding.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
pub(crate) enum Frame {
    /// A good frame of events.
    Events { header: FrameHeader, span: Span, bytes: usize },
    /// A lost frame or stretch of bytes.
    Lost { cause: Corrupt, bytes: usize },
    /// Bytes that are no events: a schema frame, or more of a lost stretch.
    Other { bytes: usize },
}

impl Frame {
    /// Bytes of the stream that the finding took.
    pub(crate) fn bytes(&self) -> usize {
        match *self {
            Self::Events { bytes, .. } | Self::Lost { bytes, .. } | Self::Other { bytes } => bytes,
        }
    }
}

/// The frames of a recording, in order.
#[derive(Debug)]
pub(crate) struct Frames {
    schema: Schema,
    reader: FrameReader,
    /// Bytes of the stream, if known before it is read.
    pub(crate) total: Option<u64>,
}

impl Frames {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        open(path, 1).map(Self::of)
    }

    pub(crate) fn of(recording: Recording) -> Self {
        let reader = FrameReader::new(recording.source, &recording.schema);
        Self { schema: recording.schema, reader, total: recording.bytes }
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The next finding, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Failure> {
        loop {
            match self.reader.find_next() {
                Some(Found::Frame { header, body, bytes }) => {
                    let span = Span::of_frame(&header, &body);
                    return Ok(Some(Frame::Events { header, span, bytes }));
                }
                Some(Found::Lost { cause, bytes, .. }) => return Ok(Some(Frame::Lost { cause, bytes })),
                Some(Found::Schema { bytes } | Found::Skipped { bytes }) => {
                    return Ok(Some(Frame::Other { bytes }));
                }
                Some(Found::Restart) => {}
                None if self.reader.has_ended() => {
                    return self
                        .reader
                        .take_error()
                        .map_or(Ok(None), |error| Err(Failure::new(Exit::Input, error)));
                }
                // A pipe that has nothing at the moment.
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}
