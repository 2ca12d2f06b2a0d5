//! Unpacks a chunk and walks through the records in it.

use std::{io::Read as _, ops::Range};

use zstd::bulk::Decompressor;

use crate::{
    Flaw,
    limits::READ_CHUNK_BYTES_MAX,
    op,
    parse::{self, MessageFront},
    walk::split_front,
};

/// The next record in a chunk; ranges refer to [`Chunk::bytes`].
#[derive(Debug)]
pub(crate) enum Inner {
    Message { front: MessageFront, record: Range<usize> },
    Other { opcode: u8, body: Range<usize> },
}

/// The unpacked records of one chunk. The memory is reused for the next chunk.
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    next: usize,
    decompressor: Decompressor<'static>,
}

impl Chunk {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { bytes: Vec::new(), next: 0, decompressor: Decompressor::new()? })
    }

    /// Unpacks the body of a chunk record and checks it. After a flaw the chunk is empty.
    pub(crate) fn open(&mut self, body: &[u8]) -> Result<(), Flaw> {
        self.next = 0;
        self.bytes.clear();
        let unpacked = self.unpack(body);
        if unpacked.is_err() {
            self.bytes.clear();
        }
        unpacked
    }

    fn unpack(&mut self, body: &[u8]) -> Result<(), Flaw> {
        let packed = parse::chunk(body)?;
        let stated = packed.unpacked_len;
        if stated > READ_CHUNK_BYTES_MAX {
            return Err(Flaw::Oversize { opcode: op::CHUNK, bytes: stated, limit: READ_CHUNK_BYTES_MAX });
        }
        match packed.compression {
            "" => self.bytes.extend_from_slice(packed.data),
            "zstd" => {
                self.bytes.reserve_exact(stated as usize);
                self.decompressor
                    .decompress_to_buffer(packed.data, &mut self.bytes)
                    .map_err(|error| Flaw::Decompress { detail: error.to_string() })?;
            }
            "lz4" => {
                // No byte of lz4 unpacks to more than 255.
                self.bytes.reserve_exact(stated.min(255 * packed.data.len() as u64) as usize);
                // One byte more shows that there are too many.
                lz4::Decoder::new(packed.data)
                    .and_then(|unpacked| unpacked.take(stated + 1).read_to_end(&mut self.bytes))
                    .map_err(|error| Flaw::Decompress { detail: error.to_string() })?;
            }
            name => return Err(Flaw::Compression { name: name.into() }),
        }
        let found = self.bytes.len() as u64;
        if found != stated {
            return Err(Flaw::ChunkSize { stated, found });
        }
        let computed = crc32fast::hash(&self.bytes);
        let stored = packed.crc;
        if stored != 0 && stored != computed {
            return Err(Flaw::ChunkCrc { stored, computed });
        }
        Ok(())
    }

    /// The next record; `None` at the end. A flaw ends the chunk.
    pub(crate) fn next(&mut self) -> Option<Result<Inner, Flaw>> {
        let rest = self.bytes.get(self.next..).filter(|rest| !rest.is_empty())?;
        let parsed = parse_inner(rest, self.next);
        self.next = match &parsed {
            Ok((_, end)) => *end,
            Err(_) => self.bytes.len(),
        };
        Some(parsed.map(|(inner, _)| inner))
    }

    /// The unpacked bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the record at the start of `rest`, which is at byte `at` of the chunk. Returns it and the byte at which it ends.
fn parse_inner(rest: &[u8], at: usize) -> Result<(Inner, usize), Flaw> {
    let cut = |needed: u64| Flaw::Cut { needed, found: rest.len() as u64 };
    let (front, after) = rest.split_first_chunk().ok_or_else(|| cut(9))?;
    let (opcode, length) = split_front(*front);
    let body = usize::try_from(length)
        .ok()
        .and_then(|length| after.get(..length))
        .ok_or_else(|| cut(length.saturating_add(9)))?;
    let start = at + front.len();
    let end = start + body.len();
    let inner = if opcode == op::MESSAGE {
        let (front, record) = parse::message(body)?;
        Inner::Message { front, record: end - record.len()..end }
    } else {
        Inner::Other { opcode, body: start..end }
    };
    Ok((inner, end))
}

impl std::fmt::Debug for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunk")
            .field("bytes", &self.bytes.len())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
