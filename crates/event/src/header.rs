//! The 64-byte frame header of `SPEC.md` section 2.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use crate::checksum::crc32c;
use crate::segment::SegmentId;

/// First bytes of every frame.
pub const MAGIC: [u8; 4] = *b"TAMF";
/// Version of the frame format.
pub const VERSION: u16 = 1;
/// Bytes of a frame header.
pub const HEADER_LEN: usize = 64;
/// Frames start at multiples of this many bytes.
pub const ALIGN: usize = 64;
/// Most payload bytes in one frame.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;
/// Most events in one frame.
pub const EVENTS_PER_FRAME_MAX: usize = 65_536;
/// Most bytes of a schema text.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// Bits of [`FrameHeader::flags`].
pub mod flags {
    /// The payload is a schema text.
    pub const SCHEMA: u16 = 1;
    /// Event ids are labels, not a dense sequence: ids in between are not missing.
    pub const SPARSE_IDS: u16 = 2;
    /// Every bit that version 1 knows.
    pub const ALL: u16 = SCHEMA | SPARSE_IDS;
}

/// One frame header, byte for byte as in the stream (little-endian; Tamis runs on little-endian machines only).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct FrameHeader {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// [`VERSION`].
    pub version: u16,
    /// [`HEADER_LEN`].
    pub header_len: u16,
    /// Which schema the events follow; see [`crate::Schema::id`].
    pub schema_id: u64,
    /// Id of the first event; the others follow one by one.
    pub first_event_id: u64,
    /// Time of the first event in ns since the start of the run, 0 if unknown.
    pub time_ns: u64,
    /// Run number.
    pub run: u32,
    /// Segment (luminosity block) of the run.
    pub segment: u32,
    /// Events in the payload.
    pub n_events: u32,
    /// Bytes per event record.
    pub stride: u32,
    /// Bytes of payload, without padding.
    pub payload_len: u32,
    /// Which source made the frame.
    pub source_id: u16,
    /// See [`flags`].
    pub flags: u16,
    /// CRC32C of the payload.
    pub payload_crc: u32,
    /// CRC32C of header bytes 0 to 59.
    pub header_crc: u32,
}

const _: () =
    assert!(size_of::<FrameHeader>() == HEADER_LEN, "the header is exactly 64 bytes, without holes");
#[cfg(target_endian = "big")]
compile_error!("Tamis reads its little-endian formats in place and runs on little-endian machines only");

impl FrameHeader {
    /// Reads a header from the front of `bytes`; `None` if there are fewer than 64. Nothing is checked.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.get(..HEADER_LEN).map(bytemuck::pod_read_unaligned)
    }

    /// The header's own checksum, computed from its fields.
    pub fn checksum(&self) -> u32 {
        crc32c(&bytemuck::bytes_of(self)[..HEADER_LEN - 4])
    }

    /// The 64 bytes with both checksums in place.
    pub fn sealed(mut self, payload: &[u8]) -> Self {
        self.payload_crc = crc32c(payload);
        self.header_crc = self.checksum();
        self
    }

    /// The header as it stands in the stream. Nothing is computed: see [`Self::sealed`].
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        bytemuck::cast(*self)
    }

    /// Does it begin with the magic word, under a right checksum? Whatever its version; then its fields are as they were written.
    pub fn is_sealed(&self) -> bool {
        self.magic == MAGIC && self.header_crc == self.checksum()
    }

    /// Are the three lengths such as a frame of this kind may have?
    pub fn is_right_in_length(&self) -> bool {
        if self.is_schema() {
            self.has_length_of_text()
        } else {
            self.has_length_of_events(self.stride as usize)
        }
    }

    /// Bytes of payload of a frame whose header is wrong, if its lengths confirm each other, or if `record_len`, the right stride, confirms them.
    /// Those of events are believed under the flag of a schema frame, too: it may be what is wrong.
    pub fn lengths_agree(&self, record_len: Option<usize>) -> Option<usize> {
        let is_text = self.is_schema() && self.has_length_of_text();
        let mut strides = [Some(self.stride as usize), record_len].into_iter().flatten();
        let agree = is_text || strides.any(|stride| self.has_length_of_events(stride));
        agree.then_some(self.payload_len as usize)
    }

    /// Bytes of payload that a wrong header may mean where its lengths contradict each other, and the right stride is known: the larger one first.
    pub fn possible_lengths(&self, record_len: Option<usize>) -> [Option<usize>; 2] {
        let Some(record_len) = record_len else { return [None; 2] };
        let payload_len = self.payload_len as usize;
        let payload_len =
            (is_possible(payload_len) && payload_len.is_multiple_of(record_len)).then_some(payload_len);
        let of_events = Some(self.n_events as usize * record_len).filter(|&length| is_possible(length));
        [payload_len.max(of_events), payload_len.min(of_events)]
    }

    /// Are so many bytes behind this header the payload that it was written for? `bytes` begin with the header.
    pub fn is_payload(&self, bytes: &[u8], payload_len: usize) -> bool {
        bytes
            .get(HEADER_LEN..HEADER_LEN + payload_len)
            .is_some_and(|payload| crc32c(payload) == self.payload_crc)
    }

    fn has_length_of_text(&self) -> bool {
        let payload_len = self.payload_len as usize;
        self.n_events == 0 && self.stride == 0 && (1..=SCHEMA_BYTES_MAX).contains(&payload_len)
    }

    fn has_length_of_events(&self, stride: usize) -> bool {
        let payload_len = self.payload_len as usize;
        is_possible(payload_len) && self.n_events as usize * stride == payload_len
    }

    /// Run and segment as they stand.
    pub fn segment_id(&self) -> SegmentId {
        SegmentId { run: self.run, segment: self.segment }
    }

    /// Run and segment, if the header is sealed and not that of a schema frame, which belongs to none.
    pub(crate) fn known_segment_id(&self) -> Option<SegmentId> {
        (self.is_sealed() && !self.is_schema()).then(|| self.segment_id())
    }

    /// Is this a schema frame?
    pub fn is_schema(&self) -> bool {
        self.flags & flags::SCHEMA != 0
    }

    /// Where the payload is, from the first byte of the header.
    pub fn payload(&self) -> Range<usize> {
        HEADER_LEN..HEADER_LEN + self.payload_len as usize
    }

    /// Bytes from this header to the next one: header, payload, padding.
    pub fn frame_len(&self) -> usize {
        (HEADER_LEN + self.payload_len as usize).next_multiple_of(ALIGN)
    }
}

/// Can an event frame have so many bytes of payload?
fn is_possible(payload_len: usize) -> bool {
    (1..=PAYLOAD_BYTES_MAX).contains(&payload_len)
}
