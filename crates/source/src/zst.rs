//! Decompresses streams while they are read.

use std::io::{self, BufReader, Read};

use tamis_port::SourceError;
use zstd::stream::read::Decoder;

/// Largest window, as `SPEC.md` section 1 says: a file cannot make the decoder reserve more than 2^23 bytes.
pub(crate) const WINDOW_LOG_MAX: u32 = 23;

/// A decoder with bounded memory.
pub(crate) fn decoder<R: Read>(reader: R) -> io::Result<Decoder<'static, BufReader<R>>> {
    let mut decoder = Decoder::new(reader)?;
    decoder.window_log_max(WINDOW_LOG_MAX)?;
    Ok(decoder)
}

/// The error for a stream that cannot be read.
pub(crate) fn broken(place: &str, error: &io::Error) -> SourceError {
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            "the compressed stream ends in the middle: the file was cut; get another copy".into()
        }
        _ => format!("cannot be read any further: {error}"),
    };
    SourceError { place: place.into(), message }
}
