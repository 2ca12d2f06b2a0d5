//! Chunks on their way from records to bytes of a file.
//!
//! ```text
//!  records --append--> FilledChunk --Packer--> ReadyChunk | chunk: front, packed records | message index |
//!             copy 1                 copy 2                 (as they stand in the file)
//! ```
//!
//! Copy 2 is what compression writes; without compression there is none, since the records stand behind room for the front of their chunk.
//!
//! Invariants: what a packer makes of a chunk depends on the chunk and the compression alone, and not on what it packed before. A chunk of
//! records of usual length is no longer than [`CHUNK_BYTES`] and one record; a record of that length or more has a chunk to itself.

use std::io::{self, Cursor, Write as _};

use crc32fast::Hasher;
use lz4::{BlockMode, BlockSize, ContentChecksum, EncoderBuilder, liblz4::BlockChecksum};
use zstd::{bulk::Compressor, zstd_safe::compress_bound};

use crate::{Compression, compose, limits::CHUNK_BYTES, op};

/// Bytes of a chunk record before its packed records, without the name of the compression: opcode, length, two times, size, CRC, length of the name,
/// length of the packed records.
const FRONT_LEN: usize = 1 + 8 + 8 + 8 + 8 + 4 + 4 + 8;
/// Bytes of a message index with one entry: opcode, length, channel, length of the entries, time, place.
const INDEX_LEN: usize = 1 + 8 + 2 + 4 + 16;
/// Most bytes of a buffer that is kept for the next chunk. The longest records are rare, and their buffers would stay for good.
const SPARE_BYTES_MAX: usize = 4 * CHUNK_BYTES;

/// A chunk that is being filled, or was.
#[derive(Debug)]
pub(crate) struct FilledChunk {
    /// Room for the front of an uncompressed chunk, then the records.
    bytes: Vec<u8>,
    /// Time and place of each message, as the message index has them.
    index: Vec<u8>,
    times: Option<(u64, u64)>,
    messages: u64,
}

impl FilledChunk {
    /// An empty chunk in the memory of `spare`.
    pub(crate) fn new(mut spare: Vec<u8>) -> Self {
        spare.clear();
        spare.resize(FRONT_LEN, 0);
        Self { bytes: spare, index: Vec::new(), times: None, messages: 0 }
    }

    /// Appends a record that is no message.
    pub(crate) fn describe(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
    }

    /// Appends a message.
    pub(crate) fn append(&mut self, channel: u16, sequence: u32, time_ns: u64, data: &[u8]) {
        let at = self.len() as u64;
        compose::u64(&mut self.index, time_ns);
        compose::u64(&mut self.index, at);
        compose::record(&mut self.bytes, op::MESSAGE, |out| {
            // So that a long record is copied once, and stays where it is when its index is put behind it.
            out.reserve(2 + 4 + 8 + 8 + data.len() + INDEX_LEN);
            compose::u16(out, channel);
            compose::u32(out, sequence);
            compose::u64(out, time_ns);
            compose::u64(out, time_ns);
            out.extend_from_slice(data);
        });
        let (first, last) = self.times.unwrap_or((time_ns, time_ns));
        self.times = Some((first.min(time_ns), last.max(time_ns)));
        self.messages += 1;
    }

    /// Bytes of the records.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - FRONT_LEN
    }

    /// Number of messages.
    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    /// The most bytes that it takes together with what a packer makes of it.
    pub(crate) fn bytes_while_packed(&self) -> usize {
        self.bytes.capacity() + self.index.capacity() + packed_bound(self.len(), self.index.len())
    }
}

/// The most bytes that packing makes of so many, with entries of so many in the message index.
fn packed_bound(bytes: usize, entries: usize) -> usize {
    // The bound of zstd is enough for lz4, with what is added here: its frame has 15 bytes, and 4 for each block of up to 1 MiB.
    compress_bound(bytes) + FRONT_LEN + INDEX_LEN + entries + 64
}

/// A chunk record and its message index, as they stand in a file.
#[derive(Debug)]
pub(crate) struct ReadyChunk {
    pub(crate) bytes: Vec<u8>,
    /// CRC of these bytes, to be combined with that of the file before.
    pub(crate) crc: Hasher,
    /// Bytes of the chunk record; the rest is the message index.
    pub(crate) chunk_len: usize,
    pub(crate) packed_len: usize,
    pub(crate) unpacked_len: usize,
    pub(crate) compression: &'static str,
    pub(crate) times: Option<(u64, u64)>,
    pub(crate) messages: u64,
}

impl ReadyChunk {
    /// The memory, if it is of a usual size.
    pub(crate) fn into_spare(self) -> Vec<u8> {
        spare(self.bytes)
    }
}

fn spare(bytes: Vec<u8>) -> Vec<u8> {
    if bytes.capacity() <= SPARE_BYTES_MAX { bytes } else { Vec::new() }
}

/// Packs chunks, one after the other, on one thread.
pub(crate) struct Packer {
    compression: Compression,
    /// Made for the first chunk that needs it.
    zstd: Option<Compressor<'static>>,
    /// Memory for the next chunk.
    spare: Vec<u8>,
}

impl Packer {
    pub(crate) fn new(compression: Compression) -> Self {
        Self { compression, zstd: None, spare: Vec::new() }
    }

    /// Packs a chunk of one channel.
    pub(crate) fn pack(&mut self, channel: u16, chunk: FilledChunk) -> io::Result<ReadyChunk> {
        let FilledChunk { bytes: unpacked, index, times, messages } = chunk;
        let compression = self.compression.mcap_name();
        let front_len = FRONT_LEN + compression.len();
        let mut content = Hasher::new();
        content.update(&unpacked[FRONT_LEN..]);
        let unpacked_len = unpacked.len() - FRONT_LEN;
        let mut bytes = match self.compression {
            Compression::None => unpacked,
            _ => self.compress(unpacked, front_len, index.len())?,
        };
        let packed_len = bytes.len() - front_len;
        let mut front = Vec::with_capacity(front_len);
        front.push(op::CHUNK);
        compose::u64(&mut front, (front_len - 9 + packed_len) as u64);
        let (first_ns, last_ns) = times.unwrap_or_default();
        compose::u64(&mut front, first_ns);
        compose::u64(&mut front, last_ns);
        compose::u64(&mut front, unpacked_len as u64);
        compose::u32(&mut front, content.clone().finalize());
        compose::text(&mut front, compression);
        compose::u64(&mut front, packed_len as u64);
        bytes[..front_len].copy_from_slice(&front);
        let chunk_len = bytes.len();
        if messages > 0 {
            compose::record(&mut bytes, op::MESSAGE_INDEX, |out| {
                compose::u16(out, channel);
                compose::block(out, &index);
            });
        }
        let mut crc = Hasher::new();
        if self.compression == Compression::None {
            // The records were summed already.
            crc.update(&front);
            crc.combine(&content);
            crc.update(&bytes[chunk_len..]);
        } else {
            crc.update(&bytes);
        }
        Ok(ReadyChunk { bytes, crc, chunk_len, packed_len, unpacked_len, compression, times, messages })
    }

    /// What is behind the front of `unpacked`, compressed behind a front of `front_len` bytes, with room for the message index.
    fn compress(&mut self, unpacked: Vec<u8>, front_len: usize, entries: usize) -> io::Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.spare);
        bytes.clear();
        let content = &unpacked[FRONT_LEN..];
        bytes.reserve(packed_bound(content.len(), entries));
        bytes.resize(front_len, 0);
        if let Compression::Zstd(level) = self.compression {
            let zstd = match &mut self.zstd {
                Some(zstd) => zstd,
                none => none.insert(Compressor::new(level)?),
            };
            let mut behind = Cursor::new(bytes);
            behind.set_position(front_len as u64);
            zstd.compress_to_buffer(content, &mut behind)?;
            bytes = behind.into_inner();
        } else {
            // MCAP has a CRC of the chunk. Blocks of their own are compressed where they lie instead of being copied.
            let mut lz4 = EncoderBuilder::new()
                .block_size(BlockSize::Max1MB)
                .block_mode(BlockMode::Independent)
                .block_checksum(BlockChecksum::NoBlockChecksum)
                .checksum(ContentChecksum::NoChecksum)
                .auto_flush(true)
                .build(bytes)?;
            lz4.write_all(content)?;
            let (packed, ended) = lz4.finish();
            ended?;
            bytes = packed;
        }
        self.spare = spare(unpacked);
        Ok(bytes)
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").field("compression", &self.compression).finish_non_exhaustive()
    }
}
