//! A recording in a file, plain or compressed: read into reused buffers, once per pass.
//!
//! Bytes are read, not mapped: a frame is checked and decided from the same bytes, whatever happens to the file meanwhile, and a truncated file or
//! a failing disk is an error, not the end of the process. What the copy costs depends on the kernel. Reading and summing 114 bytes took 38 ns, 41
//! with a mapping, and 23 in later passes over the same mapping (a busy virtual machine, 2026-11-30). With Linux 6.18, whose page faults are cheaper,
//! two workers on two cores decide 15 % fewer events of a file in the page cache of ext4 than over a mapping, 21 % fewer on tmpfs, and one worker as
//! many; the difference is the kernel's copy (Xeon, 2026-12-01). A disk would have to give 2.9 GB/s for it to show.

use std::fs::File;
use std::io::{self, Read};
use std::time::SystemTime;

use tamis_event::BODY_BYTES_MAX;
use tamis_port::{Source, SourceError, Window};

use crate::pool::{Buffer, BufferPool};
use crate::zst::{broken, decoder};

/// Most idle buffers that are kept: as many as a pipeline usually holds.
const BUFFERS_KEPT: usize = 16;

/// Size of a buffer: a huge page. Stop requests are seen between buffers, and decompression, at 0.5 to 1 GB/s, fills one in 2 to 4 ms. The beginning
/// of a frame that does not end in a buffer is copied into the next one, so small buffers cost more: with frames of 400 kB and two workers, 1 MiB is
/// 10 % slower, 4 MiB as fast (Xeon, 2026-12-01).
const BUFFER_BYTES: usize = 2 << 20;
/// Where frames are long, a buffer has room for so many of them, as long as it has at most `LARGE_BYTES`; for one it always has.
const FRAMES_PER_BUFFER: usize = 4;
const LARGE_BYTES: usize = 8 << 20;
/// The longest frame, and what is looked at behind it.
const FRAME_BYTES_MAX: usize = BODY_BYTES_MAX + (2 << 20);
/// Most idle bytes that are kept.
const IDLE_BYTES: usize = 256 << 20;

/// The encoding of the bytes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Plain,
    Zstd,
}

impl Coding {
    /// The stream in a file, from its start.
    pub(crate) fn stream(self, file: &File) -> io::Result<Box<dyn Read + Send>> {
        let mut again = file.try_clone()?;
        io::Seek::rewind(&mut again)?;
        Ok(match self {
            Self::Plain => Box::new(again),
            Self::Zstd => Box::new(decoder(again)?),
        })
    }
}

/// A source that reads a file, plain or compressed.
pub(crate) struct Recorded {
    file: File,
    coding: Coding,
    place: String,
    pool: BufferPool,
    /// Bytes of its buffers.
    buffer_bytes: usize,
    /// The next buffer, if it already begins with bytes of the last one, and how many.
    begun: Option<(Buffer, usize)>,
    /// Number of passes after this one.
    more: u64,
    state: State,
    opened: FileStamp,
}

enum State {
    /// A pass begins.
    Start,
    Reading(Box<dyn Read + Send>),
    /// The last bytes were handed on; this error comes next.
    Broken(SourceError),
    /// Reading has stopped; it remains to check that the file did not change.
    Last,
    Ended,
}

/// Size and modification time, by which a change of the file is detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl FileStamp {
    fn of(file: &File) -> io::Result<Self> {
        let about = file.metadata()?;
        Ok(Self { bytes: about.len(), modified: about.modified().ok() })
    }
}

impl Recorded {
    pub(crate) fn new(file: File, coding: Coding, place: String, passes: u64) -> io::Result<Self> {
        let opened = FileStamp::of(&file)?;
        let pool = BufferPool::new(BUFFER_BYTES, BUFFERS_KEPT);
        Ok(Self {
            file,
            coding,
            place,
            pool,
            buffer_bytes: BUFFER_BYTES,
            begun: None,
            more: passes.saturating_sub(1),
            state: State::Start,
            opened,
        })
    }

    fn read(&mut self, mut stream: Box<dyn Read + Send>) -> Result<Window, SourceError> {
        let (mut buffer, begun) = match self.begun.take() {
            Some(begun) => begun,
            None => (self.pool.take().map_err(|error| broken(&self.place, &error))?, 0),
        };
        let (len, fault) = fill(&mut stream, &mut buffer.space()[begun..]);
        match fault.map(|error| broken(&self.place, &error)) {
            Some(fault) if len == 0 => Err(fault),
            Some(fault) => {
                self.state = State::Broken(fault);
                Ok(Window::Bytes(buffer.freeze(begun + len)))
            }
            None if len > 0 => {
                self.state = State::Reading(stream);
                Ok(Window::Bytes(buffer.freeze(begun + len)))
            }
            None => {
                self.check()?;
                if self.more == 0 {
                    return Ok(Window::End);
                }
                self.more -= 1;
                self.state = State::Start;
                Ok(Window::Restart)
            }
        }
    }

    /// Makes later buffers long enough for frames of so many bytes, and a few of them. A length that is a lie costs no memory: pages come with the
    /// bytes that are read into them.
    fn grow(&mut self, frame_bytes: usize) {
        let frame_bytes = frame_bytes.min(FRAME_BYTES_MAX);
        let several = (FRAMES_PER_BUFFER * frame_bytes).min(LARGE_BYTES);
        if frame_bytes > BUFFER_BYTES / 2 && several.max(frame_bytes) > self.buffer_bytes {
            self.buffer_bytes = several.max(frame_bytes).next_multiple_of(BUFFER_BYTES);
            self.pool =
                BufferPool::new(self.buffer_bytes, (IDLE_BYTES / self.buffer_bytes).clamp(2, BUFFERS_KEPT));
        }
    }

    /// Fails if the file changed since it was opened.
    fn check(&self) -> Result<(), SourceError> {
        let now = FileStamp::of(&self.file).map_err(|error| broken(&self.place, &error))?;
        if now == self.opened {
            return Ok(());
        }
        let sizes = if now.bytes == self.opened.bytes {
            String::new()
        } else {
            format!(" (it had {} bytes, and has {})", self.opened.bytes, now.bytes)
        };
        let message = format!(
            "was changed while it was read{sizes}: every event is that of the bytes that were read, but they may not be those of one file; run again \
             when nobody writes to it"
        );
        Err(SourceError { place: self.place.clone(), message })
    }
}

impl Source for Recorded {
    fn poll(&mut self) -> Result<Window, SourceError> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Start => match self.coding.stream(&self.file) {
                Ok(stream) => self.read(stream),
                Err(error) => Err(broken(&self.place, &error)),
            },
            State::Reading(stream) => self.read(stream),
            State::Broken(fault) => Err(fault),
            State::Last => self.check().map(|()| Window::End),
            State::Ended => Ok(Window::End),
        }
    }

    fn unread(&mut self, tail: &[u8], wanted: usize) -> bool {
        self.begun = None;
        self.grow(wanted.max(tail.len() + 1));
        if tail.len() >= self.buffer_bytes {
            return false;
        }
        // Without memory, `poll` fails and says so.
        self.begun = self.pool.take().ok().map(|mut buffer| {
            buffer.space()[..tail.len()].copy_from_slice(tail);
            (buffer, tail.len())
        });
        self.begun.is_some()
    }

    fn stop(&mut self) {
        if !matches!(self.state, State::Ended) {
            self.state = State::Last;
        }
    }
}

/// Reads until the buffer is full, the stream ends or fails.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut len = 0;
    while len < buffer.len() {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (len, Some(error)),
        }
    }
    (len, None)
}
