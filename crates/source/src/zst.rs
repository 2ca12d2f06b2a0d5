//! A compressed file, decompressed while it is read.

use std::fs::File;
use std::io::{self, BufReader, Read};

use tamis_port::{Source, SourceError, Window};
use zstd::stream::read::Decoder;

use crate::pool::Pool;
use crate::recording::rewound;

/// At 0.5 to 1 GB/s a buffer takes 2 to 4 ms, so a stop request is seen in time.
const BUFFER_BYTES: usize = 2 << 20;
/// Idle buffers that are kept: as many as a pipeline usually holds.
const BUFFERS_KEPT: usize = 16;
/// Largest window, as `SPEC.md` section 1 says: a file cannot make the decoder reserve more than 2^23 bytes.
pub(crate) const WINDOW_LOG_MAX: u32 = 23;

/// A decoder with bounded memory.
pub(crate) fn decoder<R: Read>(reader: R) -> io::Result<Decoder<'static, BufReader<R>>> {
    let mut decoder = Decoder::new(reader)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    Ok(decoder)
}

/// What went wrong with a stream in the middle of it.
pub(crate) fn broken(place: &str, error: &io::Error) -> SourceError {
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            "the compressed stream ends in the middle: the file was cut; get another copy".into()
        }
        _ => format!("cannot be read on: {error}"),
    };
    SourceError { place: place.into(), message }
}

/// A `.tmf.zst` file, once per pass.
pub(crate) struct Compressed {
    file: File,
    place: String,
    pool: Pool,
    /// Passes after this one.
    more: u64,
    state: State,
}

enum State {
    /// A pass begins.
    Start,
    Reading(Decoder<'static, BufReader<File>>),
    /// Bytes before the fault were handed on; the fault comes next.
    Broken(SourceError),
    Ended,
}

impl Compressed {
    pub(crate) fn new(file: File, place: String, passes: u64) -> Self {
        let pool = Pool::new(BUFFER_BYTES, BUFFERS_KEPT);
        Self { file, place, pool, more: passes.saturating_sub(1), state: State::Start }
    }

    fn read(&mut self, mut stream: Decoder<'static, BufReader<File>>) -> Result<Window, SourceError> {
        let mut buffer = self.pool.take().map_err(|error| broken(&self.place, &error))?;
        let (len, fault) = fill(&mut stream, buffer.space());
        match fault.map(|error| broken(&self.place, &error)) {
            Some(fault) if len == 0 => Err(fault),
            Some(fault) => {
                self.state = State::Broken(fault);
                Ok(Window::Bytes(buffer.freeze(len)))
            }
            None if len > 0 => {
                self.state = State::Reading(stream);
                Ok(Window::Bytes(buffer.freeze(len)))
            }
            None if self.more > 0 => {
                self.more -= 1;
                self.state = State::Start;
                Ok(Window::Restart)
            }
            None => Ok(Window::End),
        }
    }
}

impl Source for Compressed {
    fn poll(&mut self) -> Result<Window, SourceError> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Start => match rewound(&self.file).and_then(decoder) {
                Ok(stream) => self.read(stream),
                Err(error) => Err(broken(&self.place, &error)),
            },
            State::Reading(stream) => self.read(stream),
            State::Broken(fault) => Err(fault),
            State::Ended => Ok(Window::End),
        }
    }

    fn stop(&mut self) {
        self.state = State::Ended;
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
