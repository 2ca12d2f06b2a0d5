//! The opcodes and the magic of MCAP, as its specification has them (<https://mcap.dev/spec>).

/// First and last bytes of a file.
pub(crate) const MAGIC: &[u8; 8] = b"\x89MCAP0\r\n";

pub(crate) const HEADER: u8 = 1;
pub(crate) const FOOTER: u8 = 2;
pub(crate) const SCHEMA: u8 = 3;
pub(crate) const CHANNEL: u8 = 4;
pub(crate) const MESSAGE: u8 = 5;
pub(crate) const CHUNK: u8 = 6;
pub(crate) const MESSAGE_INDEX: u8 = 7;
pub(crate) const CHUNK_INDEX: u8 = 8;
pub(crate) const ATTACHMENT: u8 = 9;
pub(crate) const ATTACHMENT_INDEX: u8 = 10;
pub(crate) const STATISTICS: u8 = 11;
pub(crate) const METADATA: u8 = 12;
pub(crate) const METADATA_INDEX: u8 = 13;
pub(crate) const SUMMARY_OFFSET: u8 = 14;
pub(crate) const DATA_END: u8 = 15;
