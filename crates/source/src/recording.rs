//! Opens a recording: finds its kind and reads the schema that it starts with.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use tamis_event::{Defect, FrameHeader, MAGIC, Scanned, Scanner, Schema, SchemaError, VERSION};
use tamis_port::Source;

use crate::fifo::Pipe;
use crate::file::{Coding, Recorded};
use crate::kinds::{FileKind, HEAD_BYTES};
use crate::patient::Patient;
use crate::windows::Windows;
use crate::zst::decoder;

/// Bytes in front of the first good schema frame, at most.
const SEARCH_BYTES_MAX: usize = 32 << 20;

/// A stream of frames, ready to be replayed, with the properties found when it was opened.
pub struct Recording {
    /// Schema of its events.
    pub schema: Schema,
    /// The source of its bytes, from the first.
    pub source: Box<dyn Source>,
    /// File or other origin, for messages.
    pub place: String,
    /// Bytes over all passes, if known in advance.
    pub bytes: Option<u64>,
}

impl OpenError {
    /// Is a lack of system resources the cause, not the recording: threads, or open files (`ENFILE`, `EMFILE`)?
    pub fn is_of_resources(&self) -> bool {
        match self {
            Self::NoThread { .. } => true,
            Self::Unreadable { error, .. } => matches!(error.raw_os_error(), Some(23 | 24)),
            _ => false,
        }
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recording({}, schema '{}')", self.place, self.schema.name())
    }
}

/// Why something cannot be opened as a recording.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum OpenError {
    #[error("{place}: no such file")]
    Missing { place: String },
    #[error("{place}: cannot be read: {error}")]
    Unreadable { place: String, error: io::Error },
    #[error("{place}: the system refused a thread to read it: {error}")]
    NoThread { place: String, error: io::Error },
    #[error("{place} is a folder; name a file in it")]
    Folder { place: String },
    #[error("{place} is empty; a Tamis recording starts with a schema frame")]
    Empty { place: String },
    #[error("{place} is no Tamis recording but {}; {}", kind.noun(), kind.remedy())]
    NotARecording { place: String, kind: FileKind },
    #[error("{place}: there is no good schema frame (its first frame is damaged: {}); get another copy of it", defect.name())]
    Damaged { place: String, defect: Defect },
    #[error(
        "{place}: its frames have version {version} of the format, and this program reads version {VERSION}; make the recording again, or read it with a Tamis of its time"
    )]
    Version { place: String, version: u16 },
    #[error("{place}: the schema at its start is wrong: {error}")]
    Schema { place: String, error: SchemaError },
    #[error("{place}: a pipe can be read only once, not in {passes} passes; store it in a file first")]
    OnlyOnce { place: String, passes: u64 },
    #[error("{place}: 0 passes would replay nothing; ask for at least 1")]
    NoPass { place: String },
}

/// Opens a file, or standard input if `path` is `-`.
///
/// With `passes` above 1 the stream is replayed again, with
/// [`Window::Restart`](tamis_port::Window::Restart) in between; a pipe allows only one pass.
pub fn open(path: &Path, passes: u64) -> Result<Recording, OpenError> {
    if path == Path::new("-") {
        return open_pipe(io::stdin(), "standard input".into(), passes);
    }
    let place = path.display().to_string();
    let unreadable = |error| OpenError::Unreadable { place: place.clone(), error };
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::Missing { place: place.clone() },
        _ => unreadable(error),
    })?;
    let about = file.metadata().map_err(unreadable)?;
    if about.is_dir() {
        return Err(OpenError::Folder { place });
    }
    if !about.is_file() {
        return open_pipe(file, place, passes);
    }
    let mut head = Vec::new();
    (&mut file).take(4).read_to_end(&mut head).map_err(unreadable)?;
    let coding = coding(&head, &file, &place)?;
    check_passes(passes, &place)?;
    let (schema, _) = read_schema(&mut coding.stream(&file).map_err(unreadable)?, &place)?;
    // The length of a compressed stream is unknown until it is decompressed.
    let bytes = if coding == Coding::Plain { about.len().checked_mul(passes) } else { None };
    let source = Recorded::new(file, coding, place.clone(), passes).map_err(unreadable)?;
    Ok(Recording { schema, source: Box::new(source), place, bytes })
}

/// A recording that is already in memory: an uncompressed stream with its schema frame. `place` names it in messages.
pub fn memory(bytes: Bytes, place: impl Into<String>, passes: u64) -> Result<Recording, OpenError> {
    let place = place.into();
    check_passes(passes, &place)?;
    let SchemaFound::Schema(schema) = SchemaSearch::default().look(&bytes, true, &place)? else {
        return Err(OpenError::Empty { place });
    };
    let total = (bytes.len() as u64).checked_mul(passes);
    Ok(Recording { schema, source: Box::new(Windows::new(bytes, passes)), place, bytes: total })
}

fn open_pipe(reader: impl Read + Send + 'static, place: String, passes: u64) -> Result<Recording, OpenError> {
    check_passes(passes, &place)?;
    if passes > 1 {
        return Err(OpenError::OnlyOnce { place, passes });
    }
    let unreadable = |error| OpenError::Unreadable { place: place.clone(), error };
    let mut reader = Patient(reader);
    let mut head = Vec::new();
    (&mut reader).take(4).read_to_end(&mut head).map_err(unreadable)?;
    let coding = coding(&head, &mut reader, &place)?;
    let whole = io::Cursor::new(head).chain(reader);
    let mut stream: Box<dyn Read + Send> = match coding {
        Coding::Plain => Box::new(whole),
        Coding::Zstd => Box::new(decoder(whole).map_err(unreadable)?),
    };
    let (schema, start) = read_schema(&mut stream, &place)?;
    let pipe = Pipe::new(io::Cursor::new(start).chain(stream), place.clone());
    let pipe = pipe.map_err(|error| OpenError::NoThread { place: place.clone(), error })?;
    Ok(Recording { schema, source: Box::new(pipe), place, bytes: None })
}

fn check_passes(passes: u64, place: &str) -> Result<(), OpenError> {
    if passes == 0 { Err(OpenError::NoPass { place: place.into() }) } else { Ok(()) }
}

/// The coding of a recording, by its first bytes. If it is no recording, `more` of it tells what it is.
fn coding(head: &[u8], more: impl Read, place: &str) -> Result<Coding, OpenError> {
    match head {
        [] => Err(OpenError::Empty { place: place.into() }),
        head if begins_like_a_stream(head) => Ok(Coding::Plain),
        // A zstd frame, or a skippable frame before one.
        [0x28, 0xB5, 0x2F, 0xFD] | [0x50..=0x5F, 0x2A, 0x4D, 0x18] => Ok(Coding::Zstd),
        _ => {
            let mut head = head.to_vec();
            // If the rest cannot be read, the first bytes must do.
            let _ = more.take(HEAD_BYTES).read_to_end(&mut head);
            Err(OpenError::NotARecording { place: place.into(), kind: FileKind::of(&head) })
        }
    }
}

/// Are these the first bytes of a stream of frames, of which one may be damaged?
fn begins_like_a_stream(head: &[u8]) -> bool {
    head.len() >= MAGIC.len()
        && head.iter().zip(MAGIC).filter(|(byte, magic)| *byte == magic).count() >= MAGIC.len() - 1
}

/// Reads the schema of a stream. Returns it and all bytes that were read.
fn read_schema(reader: &mut dyn Read, place: &str) -> Result<(Schema, Vec<u8>), OpenError> {
    let mut bytes = Vec::new();
    let mut at_end = false;
    let mut search = SchemaSearch::default();
    loop {
        match search.look(&bytes, at_end, place)? {
            SchemaFound::Schema(schema) => return Ok((schema, bytes)),
            SchemaFound::NeedMore(wanted) => {
                let missing = (wanted - bytes.len()) as u64;
                let got = (&mut *reader).take(missing).read_to_end(&mut bytes);
                let got = got.map_err(|error| OpenError::Unreadable { place: place.into(), error })?;
                at_end = (got as u64) < missing;
            }
        }
    }
}

/// Looks for the first good schema frame. It should come first, but what is in front of it may be damaged, itself included where streams were
/// concatenated; the run then counts that as lost.
struct SchemaSearch {
    scanner: Scanner,
    /// Bytes that were looked at.
    at: usize,
    /// What is wrong with the first frame.
    first: Option<Defect>,
}

enum SchemaFound {
    Schema(Schema),
    NeedMore(usize),
}

impl Default for SchemaSearch {
    fn default() -> Self {
        Self { scanner: Scanner::for_unknown_schema(), at: 0, first: None }
    }
}

impl SchemaSearch {
    /// Looks at the bytes of the stream, all from the first on. `at_end` says that no more will come.
    fn look(&mut self, bytes: &[u8], at_end: bool, place: &str) -> Result<SchemaFound, OpenError> {
        if self.at == 0 && bytes.len() >= MAGIC.len() && !begins_like_a_stream(bytes) {
            return Err(OpenError::NotARecording { place: place.into(), kind: FileKind::of(bytes) });
        }
        while self.at <= SEARCH_BYTES_MAX {
            match self.scanner.step(&bytes[self.at..], at_end) {
                Scanned::NeedMore { bytes } => return Ok(SchemaFound::NeedMore(self.at + bytes)),
                Scanned::Schema { body, .. } => {
                    let schema = Schema::parse(&bytes[self.at..][body]);
                    let wrong = |error| OpenError::Schema { place: place.into(), error };
                    return schema.map(SchemaFound::Schema).map_err(wrong);
                }
                Scanned::Defect { defect, consumed, .. } => {
                    self.first.get_or_insert(defect);
                    self.at += consumed;
                }
                Scanned::Skip { consumed } | Scanned::Frame { consumed, .. } => self.at += consumed,
                Scanned::End => break,
            }
        }
        let place = place.to_owned();
        Err(match self.first {
            None => OpenError::Empty { place },
            Some(Defect::Magic) => OpenError::NotARecording { place, kind: FileKind::of(bytes) },
            Some(Defect::Version)
                if let Some(header) = FrameHeader::read(bytes).filter(FrameHeader::is_sealed) =>
            {
                OpenError::Version { place, version: header.version }
            }
            Some(defect) => OpenError::Damaged { place, defect },
        })
    }
}
