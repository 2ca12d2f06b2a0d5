//! One MCAP file while it is written.
//!
//! ```text
//!  magic | header | metadata | attachments | chunk (schema, channel) | chunk | index | ... | data end | summary | footer | magic
//!  '---------------- head, written at once -------------------------'  '- per end_chunk -'  '----------- finish -----------'
//! ```

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Seek, SeekFrom, Write},
    sync::Arc,
};

use mcap::{
    Compression, McapError, WriteOptions, Writer,
    records::{MessageHeader, Metadata},
};

use crate::{
    disk::{Disk, DiskFile},
    limits::{CHUNK_BYTES, COMPRESSION_LEVEL},
    name::part_name,
    provenance::{Head, METADATA, key},
};

/// Encoding of messages.
pub(crate) const MESSAGE_ENCODING: &str = "x-tamis-record";
/// Encoding of the MCAP schema record: the text of a Tamis schema.
const SCHEMA_ENCODING: &str = "x-tamis-schema";
/// Profile and library in the MCAP header.
const PROFILE: &str = "x-tamis";
const LIBRARY: &str = concat!("tamis-store/", env!("CARGO_PKG_VERSION"));

/// Bytes that a message takes in a chunk besides its record.
const MESSAGE_OVERHEAD: usize = 31;
/// Bytes that are collected before they go to the operating system, if nobody asks for more.
const TAIL_BYTES: usize = 64 * 1024;

/// The end of a file, to which bytes are appended.
struct Tail {
    file: Arc<dyn DiskFile>,
    pending: Vec<u8>,
    position: u64,
}

impl Write for Tail {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        self.position += bytes.len() as u64;
        if self.pending.len() >= TAIL_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut rest = &self.pending[..];
        while !rest.is_empty() {
            match self.file.append(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.pending.clear();
        Ok(())
    }
}

impl Seek for Tail {
    /// Tells the position; the writer is set up never to go back.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Current(0) => Ok(self.position),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// A file `NAME.part` that becomes `NAME` when it is finished.
pub(crate) struct OpenFile {
    writer: Writer<Tail>,
    file: Arc<dyn DiskFile>,
    channel: u16,
    chunk_bytes: usize,
    name: String,
    records: u64,
    record_bytes: u64,
    name_is_durable: bool,
}

impl OpenFile {
    /// Creates `part` for the final name `name` and writes its head, up to the operating system.
    pub(crate) fn create(
        disk: &dyn Disk,
        name: String,
        part: &str,
        head: &Head,
        number: Option<u32>,
    ) -> io::Result<Self> {
        let file = disk.create(part)?;
        let tail = Tail {
            file: Arc::clone(&file),
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
            // Chunks are put together in memory and appended whole (I1).
            .disable_seeking(true);
        let mut writer = options.create(tail).map_err(io_error)?;
        match write_head(&mut writer, head, number) {
            Ok(channel) => Ok(Self {
                writer,
                file,
                channel,
                chunk_bytes: 0,
                name,
                records: 0,
                record_bytes: 0,
                name_is_durable: false,
            }),
            Err(error) => {
                abandon(writer);
                Err(io_error(error))
            }
        }
    }

    /// Adds a record to the current chunk. Says whether the chunk is full: then call [`Self::end_chunk`].
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

    /// Makes everything that was handed over durable, and the file's name too.
    pub(crate) fn sync(&mut self, disk: &dyn Disk) -> io::Result<()> {
        self.file.sync()?;
        if !self.name_is_durable {
            disk.sync()?;
            self.name_is_durable = true;
        }
        Ok(())
    }

    /// Writes the rest and the summary. Returns the size of the file in bytes. The file keeps its name `.part`.
    pub(crate) fn finish(mut self) -> (String, Arc<dyn DiskFile>, io::Result<u64>) {
        let finished = self.writer.finish().map_err(io_error);
        let bytes = self.writer.into_inner().position;
        (self.name, self.file, finished.map(|_| bytes))
    }

    /// Gives the file up as it is on disk.
    pub(crate) fn abandon(self) {
        abandon(self.writer);
    }

    /// Final name of the file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Records in the file.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Sum of the lengths of the records in bytes.
    pub(crate) fn record_bytes(&self) -> u64 {
        self.record_bytes
    }

    /// Uncompressed bytes in the open chunk.
    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }
}

/// A writer that is dropped finishes its file; one that failed must not touch the disk again (I3).
fn abandon(writer: Writer<Tail>) {
    drop(writer.into_inner());
}

fn write_head(writer: &mut Writer<Tail>, head: &Head, number: Option<u32>) -> Result<u16, McapError> {
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

/// Closes a finished file: makes it durable if asked, and gives it its final name.
pub(crate) fn publish(
    disk: &dyn Disk,
    file: &dyn DiskFile,
    part: &str,
    name: &str,
    durable: bool,
) -> io::Result<()> {
    if durable {
        file.sync()?;
    }
    disk.rename(part, name)?;
    if durable { disk.sync() } else { Ok(()) }
}

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFile")
            .field("name", &part_name(&self.name))
            .field("records", &self.records)
            .finish()
    }
}
