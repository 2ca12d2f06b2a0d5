//! Writes one MCAP file.
//!
//! ```text
//!  magic | header | metadata | attachments | chunk (schema, channel) | chunk | index | ... | data end | summary | footer | magic
//!  '---------------- head, written at once -------------------------'  '- per end_chunk -'  '----------- finish -----------'
//! ```

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Seek, SeekFrom, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mcap::{
    Compression, McapError, WriteOptions, Writer,
    records::{MessageHeader, Metadata},
};

use tamis_part::PartFile;

use crate::{
    limits::{CHUNK_BYTES, COMPRESSION_LEVEL},
    provenance::{Head, METADATA, key},
};

/// Encoding of messages.
pub(crate) const MESSAGE_ENCODING: &str = "x-tamis-record";
/// Encoding of the MCAP schema record: the text of a Tamis schema.
const SCHEMA_ENCODING: &str = "x-tamis-schema";
/// Profile and library of the MCAP header.
const PROFILE: &str = "x-tamis";
const LIBRARY: &str = concat!("tamis-store/", env!("CARGO_PKG_VERSION"));

/// Bytes that a message adds to its record in a chunk.
const MESSAGE_OVERHEAD: usize = 31;
/// Bytes that are collected before they go to the operating system, unless a flush comes earlier.
const TAIL_BYTES: usize = 64 * 1024;

/// Appends bytes to the end of a file.
struct FileTail {
    part: Shared,
    pending: Vec<u8>,
    position: u64,
}

/// The file has two owners on one thread: the MCAP writer, which appends to it, and [`OpenFile`], which syncs it. So the lock never blocks.
#[derive(Clone)]
struct Shared(Arc<Mutex<PartFile>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, PartFile> {
        // A panic of the lock's holder does no harm, since a file only grows.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for FileTail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        self.position += bytes.len() as u64;
        if self.pending.len() >= TAIL_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.part.lock().append(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

impl Seek for FileTail {
    /// Returns the position only; the writer is set up never to seek.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Current(0) => Ok(self.position),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// A file `NAME.part`, which becomes `NAME` when it is published.
pub(crate) struct OpenFile {
    writer: Writer<FileTail>,
    part: Shared,
    channel: u16,
    chunk_bytes: usize,
    name: String,
    records: u64,
    record_bytes: u64,
}

impl OpenFile {
    /// Starts the file `name`: writes its head and hands it to the operating system.
    pub(crate) fn begin(part: PartFile, name: String, head: &Head, number: Option<u32>) -> io::Result<Self> {
        let part = Shared(Arc::new(Mutex::new(part)));
        let tail = FileTail {
            part: part.clone(),
            pending: Vec::with_capacity(TAIL_BYTES + CHUNK_BYTES),
            position: 0,
        };
        let options = WriteOptions::new()
            .profile(PROFILE)
            .library(LIBRARY)
            .compression(Some(Compression::Zstd))
            .compression_level(COMPRESSION_LEVEL)
            .compression_threads(0)
            .chunk_size(None)
            // Chunks are built in memory and appended whole (I1).
            .disable_seeking(true);
        let mut writer = options.create(tail).map_err(io_error)?;
        match write_head(&mut writer, head, number) {
            Ok(channel) => {
                Ok(Self { writer, part, channel, chunk_bytes: 0, name, records: 0, record_bytes: 0 })
            }
            Err(error) => {
                abandon(writer);
                Err(io_error(error))
            }
        }
    }

    /// Adds a record to the current chunk. Returns whether the chunk is full; then call [`Self::end_chunk`].
    pub(crate) fn append(&mut self, sequence: u32, time_ns: u64, record: &[u8]) -> io::Result<bool> {
        let header =
            MessageHeader { channel_id: self.channel, sequence, log_time: time_ns, publish_time: time_ns };
        self.writer.write_to_known_channel(&header, record).map_err(io_error)?;
        self.records += 1;
        self.record_bytes += record.len() as u64;
        self.chunk_bytes += MESSAGE_OVERHEAD + record.len();
        Ok(self.chunk_bytes >= CHUNK_BYTES)
    }

    /// Hands everything appended so far to the operating system, as whole MCAP records.
    pub(crate) fn end_chunk(&mut self) -> io::Result<()> {
        self.chunk_bytes = 0;
        self.writer.flush().map_err(io_error)
    }

    /// Makes everything that was handed over durable, including the file's name.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.part.lock().sync()
    }

    /// Writes the rest and the summary. The file keeps its name `.part` until it is published.
    pub(crate) fn finish(mut self) -> io::Result<PartFile> {
        let finished = self.writer.finish().map_err(io_error);
        drop(self.writer.into_inner());
        let part = Arc::into_inner(self.part.0).expect("the writer gave its own away");
        finished.map(|_| part.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Drops the file and leaves it on disk as it is.
    pub(crate) fn abandon(self) {
        abandon(self.writer);
    }

    /// Did another program remove, replace or change the file?
    pub(crate) fn is_lost(&self) -> bool {
        self.part.lock().is_lost()
    }

    /// The final name of the file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Number of records in the file.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Sum of the lengths of the records in bytes.
    pub(crate) fn record_bytes(&self) -> u64 {
        self.record_bytes
    }

    /// Number of uncompressed bytes in the open chunk.
    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }
}

/// Takes the writer apart, because dropping it would finish the file, and after a failure the disk must not be touched (I3).
fn abandon(writer: Writer<FileTail>) {
    drop(writer.into_inner());
}

fn write_head(writer: &mut Writer<FileTail>, head: &Head, number: Option<u32>) -> Result<u16, McapError> {
    let mut metadata = head.metadata.clone();
    if let Some(number) = number {
        metadata.insert(key::FILE.into(), number.to_string());
    }
    writer.write_metadata(&Metadata { name: METADATA.into(), metadata })?;
    for attachment in &head.attachments {
        writer.attach(&mcap::Attachment {
            log_time: 0,
            create_time: 0,
            name: attachment.name.clone(),
            media_type: attachment.media_type.clone(),
            data: Cow::Borrowed(&attachment.data),
        })?;
    }
    let schema = writer.add_schema(&head.schema_name, SCHEMA_ENCODING, &head.schema_text)?;
    let channel = writer.add_channel(schema, &head.stream, MESSAGE_ENCODING, &BTreeMap::new())?;
    writer.flush()?;
    Ok(channel)
}

fn io_error(error: McapError) -> io::Error {
    match error {
        McapError::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFile").field("name", &self.name).field("records", &self.records).finish()
    }
}
