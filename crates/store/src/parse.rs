//! Parses the fields of MCAP records in place.
//!
//! The `mcap` crate's own parser reserves memory for the lengths that it reads and panics on a short attachment; a file that is torn or
//! tampered with must do neither (I5).

use std::collections::BTreeMap;

use crate::{Attachment, Flaw, op};

/// Bytes of a message before its record: channel, sequence, two times.
const MESSAGE_FRONT_LEN: usize = 22;

/// The unread rest of a record.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*front)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self, len: u64) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(front)
    }

    /// Bytes that are preceded by their 32-bit length.
    fn block(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.bytes(len.into())
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.block()?).ok()
    }
}

/// A schema record.
#[derive(Debug)]
pub(crate) struct SchemaRecord<'a> {
    pub name: &'a str,
    pub text: &'a [u8],
}

/// A channel record.
#[derive(Debug)]
pub(crate) struct Channel<'a> {
    pub id: u16,
    pub topic: &'a str,
    pub message_encoding: &'a str,
}

/// The fields of a message before its record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageFront {
    pub channel: u16,
    pub sequence: u32,
    pub time_ns: u64,
}

/// A chunk record.
#[derive(Debug)]
pub(crate) struct PackedChunk<'a> {
    pub unpacked_len: u64,
    pub crc: u32,
    pub compression: &'a str,
    pub data: &'a [u8],
}

/// A metadata record.
#[derive(Debug)]
pub(crate) struct Metadata<'a> {
    pub name: &'a str,
    pub map: BTreeMap<String, String>,
}

/// The statistics record of the summary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statistics {
    pub messages: u64,
    pub attachments: u32,
    pub chunks: u32,
}

fn or_malformed<T>(opcode: u8, parsed: Option<T>) -> Result<T, Flaw> {
    parsed.ok_or(Flaw::Malformed { opcode })
}

pub(crate) fn schema(body: &[u8]) -> Result<SchemaRecord<'_>, Flaw> {
    let mut fields = Fields(body);
    let mut parse = || {
        let _id = fields.u16()?;
        let name = fields.text()?;
        let _encoding = fields.text()?;
        Some(SchemaRecord { name, text: fields.block()? })
    };
    or_malformed(op::SCHEMA, parse())
}

pub(crate) fn channel(body: &[u8]) -> Result<Channel<'_>, Flaw> {
    let mut fields = Fields(body);
    let mut parse = || {
        let (id, _schema) = (fields.u16()?, fields.u16()?);
        Some(Channel { id, topic: fields.text()?, message_encoding: fields.text()? })
    };
    or_malformed(op::CHANNEL, parse())
}

/// Splits a message into its front and its record.
pub(crate) fn message(body: &[u8]) -> Result<(MessageFront, &[u8]), Flaw> {
    let mut fields = Fields(body);
    let mut parse = || {
        let channel = fields.u16()?;
        let sequence = fields.u32()?;
        let time_ns = fields.u64()?;
        Some((MessageFront { channel, sequence, time_ns }, body.get(MESSAGE_FRONT_LEN..)?))
    };
    or_malformed(op::MESSAGE, parse())
}

pub(crate) fn chunk(body: &[u8]) -> Result<PackedChunk<'_>, Flaw> {
    let mut fields = Fields(body);
    let mut parse = || {
        let (_start_time, _end_time) = (fields.u64()?, fields.u64()?);
        let unpacked_len = fields.u64()?;
        let crc = fields.u32()?;
        let compression = fields.text()?;
        let len = fields.u64()?;
        let data = fields.bytes(len)?;
        // A record with more bytes has a wrong length and includes part of the next record.
        fields.0.is_empty().then_some(PackedChunk { unpacked_len, crc, compression, data })
    };
    or_malformed(op::CHUNK, parse())
}

/// Checks that a header fills its record.
pub(crate) fn header(body: &[u8]) -> Result<(), Flaw> {
    let mut fields = Fields(body);
    let mut parse = || {
        let _profile = fields.block()?;
        let _library = fields.block()?;
        fields.0.is_empty().then_some(())
    };
    or_malformed(op::HEADER, parse())
}

/// Checks that a message index fills its record.
pub(crate) fn message_index(body: &[u8]) -> Result<(), Flaw> {
    let mut fields = Fields(body);
    let mut parse = || {
        let _channel = fields.u16()?;
        fields.block()?;
        fields.0.is_empty().then_some(())
    };
    or_malformed(op::MESSAGE_INDEX, parse())
}

pub(crate) fn metadata(body: &[u8]) -> Result<Metadata<'_>, Flaw> {
    let mut fields = Fields(body);
    let mut parse = || {
        let name = fields.text()?;
        let mut pairs = Fields(fields.block()?);
        let mut map = BTreeMap::new();
        while !pairs.0.is_empty() {
            map.insert(pairs.text()?.into(), pairs.text()?.into());
        }
        fields.0.is_empty().then_some(Metadata { name, map })
    };
    or_malformed(op::METADATA, parse())
}

pub(crate) fn attachment(body: &[u8]) -> Result<Attachment, Flaw> {
    let mut fields = Fields(body);
    let mut parse = || {
        let (_log_time, _create_time) = (fields.u64()?, fields.u64()?);
        let name = fields.text()?;
        let media_type = fields.text()?;
        let len = fields.u64()?;
        let data = fields.bytes(len)?;
        let covered = body.len() - fields.0.len();
        let stored = fields.u32()?;
        let attachment = Attachment { name: name.into(), media_type: media_type.into(), data: data.into() };
        fields.0.is_empty().then_some((attachment, covered, stored))
    };
    let (attachment, covered, stored) = or_malformed(op::ATTACHMENT, parse())?;
    let computed = crc32fast::hash(&body[..covered]);
    if stored != 0 && stored != computed {
        return Err(Flaw::AttachmentCrc { stored, computed });
    }
    Ok(attachment)
}

pub(crate) fn statistics(body: &[u8]) -> Result<Statistics, Flaw> {
    let mut fields = Fields(body);
    let mut parse = || {
        let messages = fields.u64()?;
        let _schemas = fields.u16()?;
        let _channels = fields.u32()?;
        let attachments = fields.u32()?;
        let _metadata = fields.u32()?;
        let chunks = fields.u32()?;
        Some(Statistics { messages, attachments, chunks })
    };
    or_malformed(op::STATISTICS, parse())
}

/// Byte offset of the chunk to which a chunk index record refers.
pub(crate) fn chunk_index(body: &[u8]) -> Result<u64, Flaw> {
    let mut fields = Fields(body);
    let mut parse = || {
        let (_start_time, _end_time) = (fields.u64()?, fields.u64()?);
        fields.u64()
    };
    or_malformed(op::CHUNK_INDEX, parse())
}
