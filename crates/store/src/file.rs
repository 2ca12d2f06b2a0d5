//! Writes one MCAP file.
//!
//! ```text
//!  magic | header | metadata | attachments | chunk (schema, channel) | chunk | index | ... | data end | summary | footer | magic
//!  '---------------- head, written at once -------------------------'  '---- per add ---'  '----------- finish -----------'
//! ```
//!
//! Who writes it takes each chunk that was filled, has it packed, here or elsewhere, and adds it. So the order of chunks in the file is the order of
//! [`OpenFile::add`].

use std::io;

use crc32fast::Hasher;
use tamis_part::PartFile;

use crate::{
    Attachment, compose,
    contents::Contents,
    limits::CHUNK_BYTES,
    op,
    pack::{FilledChunk, Packer, ReadyChunk},
    provenance::{Head, METADATA, key},
};

/// Encoding of messages.
pub(crate) const MESSAGE_ENCODING: &str = "x-tamis-record";
/// Encoding of the MCAP schema record: the text of a Tamis schema.
const SCHEMA_ENCODING: &str = "x-tamis-schema";
/// Profile and library of the MCAP header.
const PROFILE: &str = "x-tamis";
const LIBRARY: &str = concat!("tamis-store/", env!("CARGO_PKG_VERSION"));

/// The only schema and the only channel.
const SCHEMA: u16 = 1;
pub(crate) const CHANNEL: u16 = 1;

/// A file `NAME.part`, which becomes `NAME` when it is published. Dropping it leaves it on disk as it is.
pub(crate) struct OpenFile {
    part: PartFile,
    name: String,
    /// CRC of everything that was handed over.
    crc: Hasher,
    contents: Contents,
    chunk: FilledChunk,
    /// Memory for the next chunk.
    spare: Vec<u8>,
    records: u64,
    record_bytes: u64,
}

impl OpenFile {
    /// Starts the file `name`: writes its head and hands it to the operating system.
    pub(crate) fn begin(
        part: PartFile,
        name: String,
        head: &Head,
        number: Option<u32>,
        packer: &mut Packer,
    ) -> io::Result<Self> {
        let mut file = Self {
            part,
            name,
            crc: Hasher::new(),
            contents: Contents::default(),
            chunk: FilledChunk::new(Vec::new()),
            spare: Vec::new(),
            records: 0,
            record_bytes: 0,
        };
        let mut metadata = head.metadata.clone();
        if let Some(number) = number {
            metadata.insert(key::FILE.into(), number.to_string());
        }
        let mut bytes = op::MAGIC.to_vec();
        compose::record(&mut bytes, op::HEADER, |out| {
            compose::text(out, PROFILE);
            compose::text(out, LIBRARY);
        });
        let at = bytes.len();
        compose::record(&mut bytes, op::METADATA, |out| {
            compose::text(out, METADATA);
            compose::map(out, &metadata);
        });
        file.contents.add_metadata(at as u64, (bytes.len() - at) as u64, METADATA);
        file.put(&bytes)?;
        head.attachments.iter().try_for_each(|attachment| file.attach(attachment))?;
        file.describe(head, packer)?;
        Ok(file)
    }

    fn attach(&mut self, Attachment { name, media_type, data }: &Attachment) -> io::Result<()> {
        let at = self.part.size();
        let mut bytes = Vec::with_capacity(data.len() + 256);
        compose::record(&mut bytes, op::ATTACHMENT, |out| {
            let start = out.len();
            compose::u64(out, 0);
            compose::u64(out, 0);
            compose::text(out, name);
            compose::text(out, media_type);
            compose::u64(out, data.len() as u64);
            out.extend_from_slice(data);
            let crc = crc32fast::hash(&out[start..]);
            compose::u32(out, crc);
        });
        self.contents.add_attachment(at, bytes.len() as u64, data.len() as u64, name, media_type);
        self.put(&bytes)
    }

    /// Writes the chunk of the schema and the channel.
    fn describe(&mut self, head: &Head, packer: &mut Packer) -> io::Result<()> {
        let (mut schema, mut channel) = (Vec::new(), Vec::new());
        compose::record(&mut schema, op::SCHEMA, |out| {
            compose::u16(out, SCHEMA);
            compose::text(out, &head.schema_name);
            compose::text(out, SCHEMA_ENCODING);
            compose::block(out, &head.schema_text);
        });
        compose::record(&mut channel, op::CHANNEL, |out| {
            compose::u16(out, CHANNEL);
            compose::u16(out, SCHEMA);
            compose::text(out, &head.stream);
            compose::text(out, MESSAGE_ENCODING);
            compose::block(out, &[]);
        });
        self.contents.describe(&schema, (CHANNEL, &channel));
        let mut chunk = FilledChunk::new(Vec::new());
        chunk.describe(&schema);
        chunk.describe(&channel);
        self.add(packer.pack(CHANNEL, chunk)?)
    }

    /// Must the current chunk end before a record of `bytes` bytes? One that could fill a chunk has a chunk to itself, so that damage to it hides
    /// nothing else.
    pub(crate) fn must_end_before(&self, bytes: usize) -> bool {
        bytes >= CHUNK_BYTES && self.chunk.messages() > 0
    }

    /// Adds a record to the current chunk. Returns whether the chunk is full; then take it.
    pub(crate) fn append(&mut self, sequence: u32, time_ns: u64, record: &[u8]) -> bool {
        self.chunk.append(CHANNEL, sequence, time_ns, record);
        self.records += 1;
        self.record_bytes += record.len() as u64;
        self.chunk.len() >= CHUNK_BYTES
    }

    /// Ends the current chunk, if there is a record in it, and begins the next.
    pub(crate) fn take_chunk(&mut self) -> Option<FilledChunk> {
        if self.chunk.messages() == 0 {
            return None;
        }
        let next = FilledChunk::new(std::mem::take(&mut self.spare));
        Some(std::mem::replace(&mut self.chunk, next))
    }

    /// Hands a chunk to the operating system.
    pub(crate) fn add(&mut self, chunk: ReadyChunk) -> io::Result<()> {
        let at = self.part.size();
        self.part.append(&chunk.bytes)?;
        self.crc.combine(&chunk.crc);
        self.contents.add_chunk(at, &chunk);
        self.spare = chunk.into_spare();
        Ok(())
    }

    /// Hands whole records to the operating system.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.part.append(bytes)?;
        self.crc.update(bytes);
        Ok(())
    }

    /// Makes everything that was handed over durable, including the file's name.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.part.sync()
    }

    /// Writes the summary. The file keeps its name `.part` until it is published.
    pub(crate) fn finish(mut self) -> io::Result<PartFile> {
        let end = self.contents.end(self.part.size(), self.crc.finalize());
        self.part.append(&end)?;
        Ok(self.part)
    }

    /// Did another program remove, replace or change the file?
    pub(crate) fn is_lost(&self) -> bool {
        self.part.is_lost()
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
}

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFile").field("name", &self.name).field("records", &self.records).finish()
    }
}
