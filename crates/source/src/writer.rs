//! Writing frame files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tamis_event::{FrameMeta, Schema, encode_events, encode_schema};
use zstd::stream::write::Encoder;

/// Compression: level 3 takes about 100 MB/s of noise per core; its window is 2^21 bytes.
const LEVEL: i32 = 3;

/// Why a frame file cannot be written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum WriteError {
    #[error("{path}: the name of a frame file ends in .tmf or .tmf.zst")]
    Extension { path: PathBuf },
    #[error("{path} exists; give --overwrite to replace it, or another --out")]
    Exists { path: PathBuf },
    #[error("{path}: {error}; check that the folder exists, can be written and has room")]
    Io { path: PathBuf, error: io::Error },
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its final name.
    pub path: PathBuf,
    /// Bytes in the file.
    pub bytes: u64,
    /// Event frames.
    pub frames: u64,
}

/// Writes a stream of one schema to a file, compressed if its name ends in `.tmf.zst`. The schema frame comes first.
///
/// The file is called `NAME.part` until [`Self::finish`]; without it, the part is removed.
#[derive(Debug)]
pub struct TmfWriter {
    path: PathBuf,
    part: Part,
    overwrite: bool,
    out: Output,
    schema: Schema,
    frames: u64,
    scratch: Vec<u8>,
}

enum Output {
    Plain(BufWriter<File>),
    Compressed(Encoder<'static, BufWriter<File>>),
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Compressed(_) => "Compressed",
        })
    }
}

/// The unfinished file; removed unless it got its final name.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    finished: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.finished {
            // Nothing can be done about a failure here; the name says that the file is unfinished.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl TmfWriter {
    /// Creates the file. An existing one is replaced only if `overwrite` says so, and only when the new one is whole.
    pub fn create(path: &Path, schema: &Schema, overwrite: bool) -> Result<Self, WriteError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let compressed = name.ends_with(".tmf.zst");
        if !compressed && !name.ends_with(".tmf") {
            return Err(WriteError::Extension { path: path.into() });
        }
        refuse_existing(path, overwrite)?;
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let io_error = |error| WriteError::Io { path: part.clone(), error };
        // A part without an owner is what an earlier process left behind when it was killed.
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).open(&part).map_err(io_error)?;
        let buffered = BufWriter::with_capacity(1 << 20, file);
        let out = if compressed {
            let mut encoder = Encoder::new(buffered, LEVEL).map_err(io_error)?;
            encoder.include_checksum(true).map_err(io_error)?;
            Output::Compressed(encoder)
        } else {
            Output::Plain(buffered)
        };
        let (part, schema) = (Part { path: part, finished: false }, schema.clone());
        let mut writer =
            Self { path: path.into(), part, overwrite, out, schema, frames: 0, scratch: Vec::new() };
        encode_schema(&writer.schema, FrameMeta::default(), &mut writer.scratch);
        writer.write_scratch()?;
        Ok(writer)
    }

    /// Schema of the events.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Writes one event frame that is already encoded.
    pub fn write_frame(&mut self, frame: &[u8]) -> Result<(), WriteError> {
        self.frames += 1;
        self.write(frame)
    }

    /// Encodes and writes one event frame; see [`encode_events`] for `payload`.
    pub fn write_events(&mut self, meta: FrameMeta, payload: &[u8]) -> Result<(), WriteError> {
        encode_events(&self.schema, meta, payload, &mut self.scratch);
        self.frames += 1;
        self.write_scratch()
    }

    /// Makes the file durable and gives it its name.
    pub fn finish(self) -> Result<Written, WriteError> {
        let Self { path, mut part, overwrite, out, frames, .. } = self;
        let io_error = |error| WriteError::Io { path: path.clone(), error };
        let buffered = match out {
            Output::Plain(buffered) => buffered,
            Output::Compressed(encoder) => encoder.finish().map_err(io_error)?,
        };
        let file = buffered.into_inner().map_err(|error| io_error(error.into_error()))?;
        file.sync_all().map_err(io_error)?;
        let bytes = file.metadata().map_err(io_error)?.len();
        refuse_existing(&path, overwrite)?;
        fs::rename(&part.path, &path).map_err(io_error)?;
        part.finished = true;
        Ok(Written { path, bytes, frames })
    }

    fn write_scratch(&mut self) -> Result<(), WriteError> {
        let scratch = std::mem::take(&mut self.scratch);
        let written = self.write(&scratch);
        self.scratch = scratch;
        self.scratch.clear();
        written
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let written = match &mut self.out {
            Output::Plain(out) => out.write_all(bytes),
            Output::Compressed(out) => out.write_all(bytes),
        };
        written.map_err(|error| WriteError::Io { path: self.part.path.clone(), error })
    }
}

fn refuse_existing(path: &Path, overwrite: bool) -> Result<(), WriteError> {
    if !overwrite && path.exists() {
        return Err(WriteError::Exists { path: path.into() });
    }
    Ok(())
}
