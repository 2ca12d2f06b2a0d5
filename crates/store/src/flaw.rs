//! The flaws that a file can have.

use tamis_event::record::RecordError;

/// A flaw at one place of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
#[non_exhaustive]
pub enum Flaw {
    #[error("the file ends without a footer: it was never closed")]
    NotClosed,
    #[error("the file ends inside a record of {needed} bytes, {found} are there")]
    Cut { needed: u64, found: u64 },
    #[error("a record (opcode {opcode:#04x}) of {bytes} bytes is longer than {limit}")]
    Oversize { opcode: u8, bytes: u64, limit: u64 },
    #[error("{bytes} bytes in which no record can be found")]
    Framing { bytes: u64 },
    #[error("other bytes than the MCAP magic")]
    StartMagic,
    #[error("no MCAP magic after the footer")]
    EndMagic,
    #[error("bytes after the end magic")]
    Trailing,
    #[error("the fields of a record (opcode {opcode:#04x}) do not fit into it")]
    Malformed { opcode: u8 },
    #[error("a message outside a chunk, where no CRC protects it")]
    Loose,
    #[error("chunk compression '{name}', only zstd, lz4 and none are known")]
    Compression { name: String },
    #[error("a chunk that does not decompress: {detail}")]
    Decompress { detail: String },
    #[error("a chunk unpacks to {found} bytes, it states {stated}")]
    ChunkSize { stated: u64, found: u64 },
    #[error("chunk CRC {computed:#010x}, stored {stored:#010x}")]
    ChunkCrc { stored: u32, computed: u32 },
    #[error("attachment CRC {computed:#010x}, stored {stored:#010x}")]
    AttachmentCrc { stored: u32, computed: u32 },
    #[error("attachments of more than {limit} bytes in all")]
    Attachments { limit: u64 },
    #[error("CRC of the data section {computed:#010x}, stored {stored:#010x}")]
    DataCrc { stored: u32, computed: u32 },
    #[error("CRC of the summary section {computed:#010x}, stored {stored:#010x}")]
    SummaryCrc { stored: u32, computed: u32 },
    #[error("channel {channel} is not the one of decision records")]
    Channel { channel: u16 },
    #[error("{0}")]
    Record(RecordError),
    #[error("the index says {indexed} ns, the record {record} ns")]
    Time { indexed: u64, record: u64 },
    #[error("record number {found} of the stream after {before}")]
    Sequence { before: u32, found: u32 },
    #[error("{found} {what}, the summary says {stated}")]
    Count { what: &'static str, stated: u64, found: u64 },
    #[error("the index names a chunk at byte {at} that is not there")]
    Index { at: u64 },
}

/// How a file ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a footer: it was closed properly.
    Closed,
    /// Without a footer: it was never closed, or its end is lost.
    Torn {
        /// Byte offset up to which it could be read.
        at: u64,
        /// The flaw at that byte.
        flaw: Flaw,
    },
}
