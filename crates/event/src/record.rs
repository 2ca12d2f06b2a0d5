//! The decision record: what is stored for an event that a menu kept (`SPEC.md` section 5).
//!
//! ```text
//!  | header 88 B | passed words | kept words | scores | event record | payload |  verbatim, both
//!                  u64 each       u64 each     f32 each
//! ```
//!
//! Bit `k % 64` of word `k / 64` is line `k` of the menu. *Passed*: the line's condition held. *Kept*: and its prescale let it through.

use bytemuck::{Pod, Zeroable};

use crate::checksum::crc32c_of_two;
use crate::span::Event;

/// First bytes of every record.
pub const MAGIC: [u8; 4] = *b"TAMR";
/// Version of the record format.
pub const VERSION: u16 = 2;
/// Bytes before the line words.
pub const HEADER_LEN: usize = 88;
/// [`RecordHeader::engine`] of the reference engine, the bits of whose scores depend on the CPU.
pub const FLEX: u8 = 1;
/// [`RecordHeader::engine`] if the models of the event's rung ran on different engines.
pub const SEVERAL_ENGINES: u8 = 255;
/// [`RecordHeader::guilty_model`] if no model caused the fault.
pub const NO_MODEL: u8 = 255;
/// Bit of [`RecordHeader::flags`]: a score comes from a stand-in, because the device of the run was lost.
pub const DEGRADED: u8 = 1;

/// Values of [`RecordHeader::fault`].
pub mod fault {
    /// A model panicked, or the decision on the event's block.
    pub const PANIC: u8 = 1;
    /// A score is not finite.
    pub const NAN: u8 = 2;
    /// The deadline passed before the event was scored.
    pub const DEADLINE: u8 = 3;
    /// The device of a model was lost, and nothing stood in for it.
    pub const DEVICE: u8 = 4;
    /// A field that a line reads is a NaN, or a line depends on an intermediate result that is NaN (0 / 0).
    pub const NOT_A_NUMBER: u8 = 5;
    /// The engine of a model gave an error.
    pub const REFUSED: u8 = 6;
}

/// Fixed part of a record, byte for byte as stored.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct RecordHeader {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// [`VERSION`].
    pub version: u16,
    /// [`HEADER_LEN`].
    pub header_len: u16,
    /// Event id.
    pub event_id: u64,
    /// Time of the event in ns since the start of the run, 0 if unknown.
    pub time_ns: u64,
    /// First 8 bytes of the SHA-256 of the menu.
    pub menu_hash: u64,
    /// First 8 bytes of the SHA-256 over the models in use, 0 without a model.
    pub model_hash: u64,
    /// Schema of the event bytes.
    pub schema_id: u64,
    /// Run number.
    pub run: u32,
    /// Segment of the run.
    pub segment: u32,
    /// Source of the frame.
    pub source_id: u16,
    /// Words of line bits, in each of the two sets.
    pub n_words: u16,
    /// Number of scores.
    pub n_scores: u16,
    /// What computed the scores: 0 nothing, [`FLEX`], 2 `gpu`, 3 `fused`, 4 `int16`, 5 `int8`, [`SEVERAL_ENGINES`].
    pub engine: u8,
    /// Rung of the fallback ladder; 0 is the models that the menu names first.
    pub rung: u8,
    /// 0 if the menu's lines decided; else why they could not: one of [`fault`].
    pub fault: u8,
    /// With a fault: index in the menu of the first model that failed, [`NO_MODEL`] if none did. Else 0.
    pub guilty_model: u8,
    /// In the error stream: index of the event in the block that it was scored in. Else 0.
    pub block_index: u16,
    /// In the error stream: index of the last event of that block. Else 0.
    pub block_last: u16,
    /// [`DEGRADED`]; the other bits must be 0.
    pub flags: u8,
    /// The vector unit that `flex` computed with, where a score is from there: 1 none with fused multiply-adds, 2 AVX2, 3 AVX-512, 4 NEON, 5 another.
    /// Else 0: the scores have the same bits on every machine, or belong to a device.
    pub unit: u8,
    /// Bytes of the event record.
    pub event_len: u32,
    /// Bytes of the payload.
    pub payload_len: u32,
    /// 0.
    pub zero: u32,
    /// CRC32C of the record without these 4 bytes.
    pub crc: u32,
}

const _: () =
    assert!(size_of::<RecordHeader>() == HEADER_LEN, "the header is exactly 88 bytes, without holes");

impl RecordHeader {
    /// A header with the format's constants and zeros elsewhere.
    pub fn blank() -> Self {
        Self { magic: MAGIC, version: VERSION, header_len: HEADER_LEN as u16, ..Self::zeroed() }
    }
}

/// Why stored bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum RecordError {
    #[error("a record of {bytes} bytes is shorter than its parts ({needed})")]
    Short { bytes: usize, needed: usize },
    #[error("a record of {bytes} bytes is longer than its parts ({needed})")]
    Long { bytes: usize, needed: usize },
    #[error("record magic {found:?} instead of {MAGIC:?}")]
    Magic { found: [u8; 4] },
    #[error("record version {found}; this program knows version {VERSION}")]
    Version { found: u16 },
    #[error("record CRC {computed:#010x}, stored {stored:#010x}")]
    Crc { computed: u32, stored: u32 },
}

/// A record in place: views into stored bytes.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    header: RecordHeader,
    bytes: &'a [u8],
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// Checks every part of a record, its CRC last.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let found = bytes.len();
        let Some(front) = bytes.get(..HEADER_LEN) else {
            return Err(RecordError::Short { bytes: found, needed: HEADER_LEN });
        };
        let header: RecordHeader = bytemuck::pod_read_unaligned(front);
        if header.magic != MAGIC {
            return Err(RecordError::Magic { found: header.magic });
        }
        if header.version != VERSION || header.header_len as usize != HEADER_LEN {
            return Err(RecordError::Version { found: header.version });
        }
        let needed =
            HEADER_LEN + body_offset_event(&header) + header.event_len as usize + header.payload_len as usize;
        if found < needed {
            return Err(RecordError::Short { bytes: found, needed });
        }
        if found > needed {
            return Err(RecordError::Long { bytes: found, needed });
        }
        let computed = checksum(bytes);
        if computed != header.crc {
            return Err(RecordError::Crc { computed, stored: header.crc });
        }
        Ok(Self { header, bytes, body: &bytes[HEADER_LEN..] })
    }

    /// The whole record as it is stored.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The fixed part.
    pub fn header(&self) -> &RecordHeader {
        &self.header
    }

    /// Words of the lines whose condition held.
    pub fn passed(&self) -> impl ExactSizeIterator<Item = u64> + 'a {
        words(self.body, 0, self.header.n_words)
    }

    /// Words of the lines that kept the event: passed, and the prescale let it through.
    pub fn kept(&self) -> impl ExactSizeIterator<Item = u64> + 'a {
        words(self.body, self.header.n_words, self.header.n_words)
    }

    /// The model scores, in the menu's order.
    pub fn scores(&self) -> impl ExactSizeIterator<Item = f32> + 'a {
        let start = self.header.n_words as usize * 16;
        let bytes = &self.body[start..start + self.header.n_scores as usize * 4];
        bytes.as_chunks().0.iter().map(|&c| f32::from_le_bytes(c))
    }

    /// The event as it arrived.
    pub fn event(&self) -> Event<'a> {
        let RecordHeader { event_id: id, time_ns, source_id: source, event_len, .. } = self.header;
        let bytes = &self.body[body_offset_event(&self.header)..];
        let (record, payload) = bytes.split_at(event_len as usize);
        Event { source, id, time_ns, record, payload }
    }
}

/// Bytes of a record with so many words of line bits in each set, scores, and bytes of the event and its payload.
pub const fn len(words: usize, scores: usize, event: usize) -> usize {
    HEADER_LEN + 16 * words + 4 * scores + event
}

/// Appends one record: of the event its record and payload. Lengths and CRC of `header` are filled in here. Returns the record's length in bytes.
///
/// # Panics
/// If `passed` and `kept` differ in length.
pub fn append(
    mut header: RecordHeader,
    passed: &[u64],
    kept: &[u64],
    scores: impl ExactSizeIterator<Item = f32>,
    event: Event<'_>,
    out: &mut Vec<u8>,
) -> usize {
    assert_eq!(passed.len(), kept.len(), "the same lines in both sets");
    header.n_words = passed.len() as u16;
    header.n_scores = scores.len() as u16;
    header.event_len = event.record.len() as u32;
    header.payload_len = event.payload.len() as u32;
    let start = out.len();
    out.extend_from_slice(bytemuck::bytes_of(&header));
    passed.iter().chain(kept).for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    scores.for_each(|score| out.extend_from_slice(&score.to_le_bytes()));
    out.extend_from_slice(event.record);
    out.extend_from_slice(event.payload);
    let crc = checksum(&out[start..]);
    out[start + HEADER_LEN - 4..start + HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
    out.len() - start
}

fn body_offset_event(header: &RecordHeader) -> usize {
    header.n_words as usize * 16 + header.n_scores as usize * 4
}

fn checksum(record: &[u8]) -> u32 {
    crc32c_of_two(&record[..HEADER_LEN - 4], &record[HEADER_LEN..])
}

fn words(body: &[u8], skip: u16, count: u16) -> impl ExactSizeIterator<Item = u64> {
    let bytes = &body[skip as usize * 8..(skip as usize + count as usize) * 8];
    bytes.as_chunks().0.iter().map(|&c| u64::from_le_bytes(c))
}
