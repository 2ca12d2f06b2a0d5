//! Writing recordings.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tamis_event::{FrameEvents, FrameMeta, Schema, encode_frame, encode_schema};
use tamis_part::{Existing, PartFile, part_name};
use zstd::stream::write::Encoder;

/// Compression: level 3 takes about 100 MB/s of noise per core; its window is 2^21 bytes.
const LEVEL: i32 = 3;

/// Why a recording cannot be written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum WriteError {
    #[error("{path}: the name of a recording ends in .tmf or .tmf.zst")]
    Extension { path: PathBuf },
    #[error("{path} exists; give --overwrite to replace it, or another --out")]
    Exists { path: PathBuf },
    #[error("{path}: {error}; {}", tamis_part::remedy(error.kind()))]
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
/// The file is called `NAME.part` until [`Self::finish`]; without that, the part is removed.
#[derive(Debug)]
pub struct TmfWriter {
    path: PathBuf,
    overwrite: bool,
    out: WriterOutput,
    schema: Schema,
    frames: u64,
    scratch: Vec<u8>,
}

enum WriterOutput {
    Plain(BufWriter<PartFile>),
    Compressed(Encoder<'static, BufWriter<PartFile>>),
}

impl std::fmt::Debug for WriterOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Compressed(_) => "Compressed",
        })
    }
}

impl TmfWriter {
    /// Creates the file. An existing file is replaced only with `overwrite`, and only once the new one is complete.
    pub fn create(path: &Path, schema: &Schema, overwrite: bool) -> Result<Self, WriteError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let compressed = name.ends_with(".tmf.zst");
        if !compressed && !name.ends_with(".tmf") {
            return Err(WriteError::Extension { path: path.into() });
        }
        refuse_existing(path, overwrite)?;
        let io_error = |error| WriteError::Io { path: part_name(path).into(), error };
        let part = PartFile::create(path).map_err(io_error)?;
        let buffered = BufWriter::with_capacity(1 << 20, part);
        let out = if compressed {
            let mut encoder = Encoder::new(buffered, LEVEL).map_err(io_error)?;
            encoder.include_checksum(true).map_err(io_error)?;
            WriterOutput::Compressed(encoder)
        } else {
            WriterOutput::Plain(buffered)
        };
        let path = path.into();
        let schema = schema.clone();
        let mut writer = Self { path, overwrite, out, schema, frames: 0, scratch: Vec::new() };
        encode_schema(&writer.schema, FrameMeta::default(), &mut writer.scratch);
        writer.write_scratch()?;
        Ok(writer)
    }

    /// Schema of the events.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Writes one encoded event frame.
    pub fn write_frame(&mut self, frame: &[u8]) -> Result<(), WriteError> {
        self.frames += 1;
        self.write(frame)
    }

    /// Encodes and writes one event frame; see [`encode_frame`].
    pub fn write_events(&mut self, meta: FrameMeta, events: FrameEvents<'_>) -> Result<(), WriteError> {
        encode_frame(&self.schema, meta, events, &mut self.scratch);
        self.frames += 1;
        self.write_scratch()
    }

    /// Makes the file durable and gives it its name.
    pub fn finish(self) -> Result<Written, WriteError> {
        let Self { path, overwrite, out, frames, .. } = self;
        let io_error = |error| WriteError::Io { path: path.clone(), error };
        let buffered = match out {
            WriterOutput::Plain(buffered) => buffered,
            WriterOutput::Compressed(encoder) => encoder.finish().map_err(io_error)?,
        };
        let mut part = buffered.into_inner().map_err(|error| io_error(error.into_error()))?;
        let existing = if overwrite { Existing::Replace } else { Existing::Refuse };
        part.publish(existing, true).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Exists { path: path.clone() },
            _ => io_error(error),
        })?;
        Ok(Written { path, bytes: part.size(), frames })
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
            WriterOutput::Plain(out) => out.write_all(bytes),
            WriterOutput::Compressed(out) => out.write_all(bytes),
        };
        written.map_err(|error| WriteError::Io { path: part_name(&self.path).into(), error })
    }
}

fn refuse_existing(path: &Path, overwrite: bool) -> Result<(), WriteError> {
    if !overwrite && path.exists() {
        return Err(WriteError::Exists { path: path.into() });
    }
    Ok(())
}
