//! What the summary at the end of a file says, collected while the file is written.

use crate::{compose, op, pack::ReadyChunk};

/// The records of the summary, as far as they are known. Those of a kind stand together.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// The schema and the channel.
    schemas: Vec<u8>,
    channels: Vec<u8>,
    chunk_indexes: Vec<u8>,
    attachment_indexes: Vec<u8>,
    metadata_indexes: Vec<u8>,
    channel: u16,
    messages: u64,
    chunks: u32,
    attachments: u32,
    metadata: u32,
    times: Option<(u64, u64)>,
}

impl Contents {
    /// Takes the records of the only schema and the only channel.
    pub(crate) fn describe(&mut self, schema: &[u8], channel: (u16, &[u8])) {
        self.schemas.extend_from_slice(schema);
        self.channel = channel.0;
        self.channels.extend_from_slice(channel.1);
    }

    /// Notes a metadata record.
    pub(crate) fn add_metadata(&mut self, at: u64, length: u64, name: &str) {
        self.metadata += 1;
        compose::record(&mut self.metadata_indexes, op::METADATA_INDEX, |out| {
            compose::u64(out, at);
            compose::u64(out, length);
            compose::text(out, name);
        });
    }

    /// Notes an attachment of `bytes` bytes, without times, in a record of `length` bytes.
    pub(crate) fn add_attachment(&mut self, at: u64, length: u64, bytes: u64, name: &str, media_type: &str) {
        self.attachments += 1;
        compose::record(&mut self.attachment_indexes, op::ATTACHMENT_INDEX, |out| {
            [at, length, 0, 0, bytes].into_iter().for_each(|value| compose::u64(out, value));
            compose::text(out, name);
            compose::text(out, media_type);
        });
    }

    /// Notes a chunk that begins at byte `at`.
    pub(crate) fn add_chunk(&mut self, at: u64, chunk: &ReadyChunk) {
        self.chunks += 1;
        self.messages += chunk.messages;
        let chunk_len = chunk.chunk_len as u64;
        let index_len = (chunk.bytes.len() - chunk.chunk_len) as u64;
        let (first_ns, last_ns) = chunk.times.unwrap_or_default();
        if let Some((first, last)) = chunk.times {
            let (earliest, latest) = self.times.unwrap_or((first, last));
            self.times = Some((earliest.min(first), latest.max(last)));
        }
        compose::record(&mut self.chunk_indexes, op::CHUNK_INDEX, |out| {
            [first_ns, last_ns, at, chunk_len].into_iter().for_each(|value| compose::u64(out, value));
            // Where the message index of each channel begins.
            let mut offsets = Vec::new();
            if index_len > 0 {
                compose::u16(&mut offsets, self.channel);
                compose::u64(&mut offsets, at + chunk_len);
            }
            compose::block(out, &offsets);
            compose::u64(out, index_len);
            compose::text(out, chunk.compression);
            compose::u64(out, chunk.packed_len as u64);
            compose::u64(out, chunk.unpacked_len as u64);
        });
    }

    fn statistics(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        compose::record(&mut bytes, op::STATISTICS, |out| {
            compose::u64(out, self.messages);
            compose::u16(out, 1);
            compose::u32(out, 1);
            compose::u32(out, self.attachments);
            compose::u32(out, self.metadata);
            compose::u32(out, self.chunks);
            let (first_ns, last_ns) = self.times.unwrap_or_default();
            compose::u64(out, first_ns);
            compose::u64(out, last_ns);
            let mut counts = Vec::new();
            if self.messages > 0 {
                compose::u16(&mut counts, self.channel);
                compose::u64(&mut counts, self.messages);
            }
            compose::block(out, &counts);
        });
        bytes
    }

    /// Everything behind the data section, which ends at byte `at` and has this CRC.
    pub(crate) fn end(&self, at: u64, data_crc: u32) -> Vec<u8> {
        let mut end = Vec::new();
        compose::record(&mut end, op::DATA_END, |out| compose::u32(out, data_crc));
        let start = end.len();
        let mut offsets = Vec::new();
        let groups = [
            (op::SCHEMA, &self.schemas),
            (op::CHANNEL, &self.channels),
            (op::STATISTICS, &self.statistics()),
            (op::CHUNK_INDEX, &self.chunk_indexes),
            (op::ATTACHMENT_INDEX, &self.attachment_indexes),
            (op::METADATA_INDEX, &self.metadata_indexes),
        ];
        for (opcode, group) in groups.into_iter().filter(|(_, group)| !group.is_empty()) {
            compose::record(&mut offsets, op::SUMMARY_OFFSET, |out| {
                out.push(opcode);
                compose::u64(out, at + end.len() as u64);
                compose::u64(out, group.len() as u64);
            });
            end.extend_from_slice(group);
        }
        let offsets_at = at + end.len() as u64;
        end.extend_from_slice(&offsets);
        compose::record(&mut end, op::FOOTER, |out| {
            compose::u64(out, at + start as u64);
            compose::u64(out, offsets_at);
            compose::u32(out, 0);
        });
        // The CRC covers the footer up to itself.
        let crc_at = end.len() - 4;
        let crc = crc32fast::hash(&end[start..crc_at]);
        end[crc_at..].copy_from_slice(&crc.to_le_bytes());
        end.extend_from_slice(op::MAGIC);
        end
    }
}
