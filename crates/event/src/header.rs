//! The 64-byte frame header of `SPEC.md` section 2.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use crate::checksum::crc32c;
use crate::segment::SegmentId;

/// First bytes of every frame.
pub const MAGIC: [u8; 4] = *b"TAMF";
/// Version of the frame format.
pub const VERSION: u16 = 2;
/// Bytes of a frame header.
pub const HEADER_LEN: usize = 64;
/// Frames start at multiples of this many bytes.
pub const ALIGN: usize = 64;
/// Most bytes of one event: its record and its payload.
pub const EVENT_BYTES_MAX: usize = 64 << 20;
/// Most bytes in the body of a frame with payloads: there is room for the longest event and its columns.
pub const BODY_BYTES_MAX: usize = 65 << 20;
/// Most bytes in the body of a frame without payloads. Our writers put no more into the others either, unless a single event is longer: a reader holds
/// whole frames in memory.
pub const PLAIN_BODY_BYTES_MAX: usize = 16 << 20;
/// Most events in one frame.
pub const EVENTS_PER_FRAME_MAX: usize = 65_536;
/// Most bytes of a schema text.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// Bits of [`FrameHeader::flags`].
pub mod flags {
    /// The body is a schema text.
    pub const SCHEMA: u16 = 1;
    /// Event ids are labels, not a dense sequence: ids in between are not missing.
    pub const SPARSE_IDS: u16 = 2;
    /// The body has a column of event ids.
    pub const IDS: u16 = 4;
    /// The body has a column of event times.
    pub const TIMES: u16 = 8;
    /// The body has a payload for each event, and a column of their ends.
    pub const PAYLOADS: u16 = 16;
    /// Every bit that version 2 knows.
    pub const ALL: u16 = SCHEMA | SPARSE_IDS | IDS | TIMES | PAYLOADS;
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
    /// Id of the first event; without [`flags::IDS`] the others follow one by one.
    pub first_event_id: u64,
    /// Time of the first event in ns since the start of the run, 0 if unknown.
    pub time_ns: u64,
    /// Run number.
    pub run: u32,
    /// Segment (luminosity block) of the run.
    pub segment: u32,
    /// Events in the body.
    pub n_events: u32,
    /// Bytes per event record.
    pub stride: u32,
    /// Bytes of the body, without padding.
    pub body_len: u32,
    /// Which source made the frame.
    pub source_id: u16,
    /// See [`flags`].
    pub flags: u16,
    /// CRC32C of the body.
    pub body_crc: u32,
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
    pub fn sealed(mut self, body: &[u8]) -> Self {
        self.body_crc = crc32c(body);
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

    /// Are the lengths such as a frame of this kind may have, as far as the header tells?
    pub fn is_right_in_length(&self) -> bool {
        if self.is_schema() {
            return self.has_length_of_text();
        }
        let layout = self.layout();
        let fixed = self.fixed_len(layout);
        let body_len = self.body_len as usize;
        if layout.has_payloads { body_len >= fixed } else { body_len == fixed }
    }

    /// How the header says that events are laid out.
    pub fn layout(&self) -> EventLayout {
        EventLayout { stride: self.stride as usize, has_payloads: self.flags & flags::PAYLOADS != 0 }
    }

    /// Bytes of a column of `width` bytes per event, if it is there.
    fn column_len(&self, width: usize, is_there: bool) -> usize {
        if is_there { self.n_events as usize * width } else { 0 }
    }

    /// Where the parts of a body of this layout lie in it: ids, times, ends, records. The payloads follow. What numbers of a wrong header add up to
    /// beyond 64 bits is the largest number.
    pub(crate) fn parts(&self, layout: EventLayout) -> [Range<usize>; 4] {
        let ids = self.column_len(ID_LEN, self.flags & flags::IDS != 0);
        let times = ids + self.column_len(TIME_LEN, self.flags & flags::TIMES != 0);
        let ends = times + self.column_len(END_LEN, layout.has_payloads);
        let records = ends.saturating_add((self.n_events as usize).saturating_mul(layout.stride));
        [0..ids, ids..times, times..ends, ends..records]
    }

    /// Bytes of a body of this layout without its payloads.
    fn fixed_len(&self, layout: EventLayout) -> usize {
        self.parts(layout)[3].end
    }

    /// Bytes of body of a frame whose header is wrong, if its lengths confirm each other, or if `known`, the layout of the schema in use, confirms
    /// them. Those of events are believed under the flag of a schema frame, too: it may be what is wrong. `frame` begins with the header. The
    /// error is the number of bytes of it that are needed, if it has fewer.
    pub(crate) fn lengths_agree(
        &self,
        known: Option<EventLayout>,
        frame: &[u8],
        at_end: bool,
    ) -> Result<Option<usize>, NeedMore> {
        let body_len = self.body_len as usize;
        if self.is_schema() && self.has_length_of_text() && self.is_sealed() {
            return Ok(Some(body_len));
        }
        for layout in [Some(self.layout()), known].into_iter().flatten() {
            // No part is longer than the whole, so there is no need to look for the ends of payloads then.
            let fits =
                layout.is_possible(body_len) && self.n_events > 0 && self.fixed_len(layout) <= body_len;
            if fits && self.length_by(layout, frame, at_end)? == Some(body_len) {
                return Ok(Some(body_len));
            }
        }
        Ok(None)
    }

    /// Bytes of body that a wrong header may mean where its lengths contradict each other, by the layout of the schema in use: the larger one first. Nothing
    /// confirms the length of a text.
    pub(crate) fn possible_lengths(
        &self,
        known: Option<EventLayout>,
        frame: &[u8],
        at_end: bool,
    ) -> Result<[Option<usize>; 2], NeedMore> {
        if self.is_schema() && self.n_events == 0 && self.stride == 0 {
            return Ok([None; 2]);
        }
        let layout = known.unwrap_or_else(|| self.layout());
        let said = Some(self.body_len as usize).filter(|&body_len| layout.is_possible(body_len));
        let of_events = match known.filter(|layout| layout.is_possible(self.fixed_len(*layout))) {
            Some(layout) => {
                self.length_by(layout, frame, at_end)?.filter(|&length| layout.is_possible(length))
            }
            None => None,
        };
        Ok([said.max(of_events), said.min(of_events)])
    }

    /// Bytes of body that so many events have by a layout: with payloads, the last of the ends tells.
    fn length_by(&self, layout: EventLayout, frame: &[u8], at_end: bool) -> Result<Option<usize>, NeedMore> {
        let [_, _, ends, records] = self.parts(layout);
        if !layout.has_payloads {
            return Ok(Some(records.end));
        }
        let needed = HEADER_LEN + ends.end;
        match frame.get(needed - END_LEN..needed) {
            Some(last) => Ok(Some(records.end + u32_at(last, 0) as usize)),
            None if at_end => Ok(None),
            None => Err(NeedMore(needed)),
        }
    }

    /// Are so many bytes behind this header the body that it was written for? `bytes` begin with the header.
    pub fn is_body(&self, bytes: &[u8], body_len: usize) -> bool {
        bytes.get(HEADER_LEN..HEADER_LEN + body_len).is_some_and(|body| crc32c(body) == self.body_crc)
    }

    fn has_length_of_text(&self) -> bool {
        let body_len = self.body_len as usize;
        self.n_events == 0 && self.stride == 0 && (1..=SCHEMA_BYTES_MAX).contains(&body_len)
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

    /// Where the body is, from the first byte of the header.
    pub fn body(&self) -> Range<usize> {
        HEADER_LEN..HEADER_LEN + self.body_len as usize
    }

    /// Bytes from this header to the next one: header, body, padding.
    pub fn frame_len(&self) -> usize {
        (HEADER_LEN + self.body_len as usize).next_multiple_of(ALIGN)
    }
}

/// How the events of a frame are laid out: what the length of its body follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLayout {
    /// Bytes of an event record.
    pub stride: usize,
    /// Do events have payloads?
    pub has_payloads: bool,
}

impl EventLayout {
    /// The most events that a frame may hold, with or without a column of ids and one of times, if their payloads are so long. At least 1.
    pub fn frame_events_max(self, with_ids: bool, with_times: bool, payload_len: usize) -> usize {
        let id = if with_ids { ID_LEN } else { 0 };
        let time = if with_times { TIME_LEN } else { 0 };
        let payload = if self.has_payloads { END_LEN + payload_len } else { 0 };
        (PLAIN_BODY_BYTES_MAX / (self.stride + id + time + payload)).clamp(1, EVENTS_PER_FRAME_MAX)
    }

    /// Most bytes of a body.
    pub(crate) fn body_bytes_max(self) -> usize {
        if self.has_payloads { BODY_BYTES_MAX } else { PLAIN_BODY_BYTES_MAX }
    }

    /// Can a frame have so many bytes of body?
    fn is_possible(self, body_len: usize) -> bool {
        (1..=self.body_bytes_max()).contains(&body_len)
    }
}

/// So many bytes of a frame are needed to answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NeedMore(pub(crate) usize);

/// Bytes of an entry in each of the columns.
pub(crate) const ID_LEN: usize = 8;
pub(crate) const TIME_LEN: usize = 8;
pub(crate) const END_LEN: usize = 4;

/// Entry `index` of a column of u32.
pub(crate) fn u32_at(column: &[u8], index: usize) -> u32 {
    u32::from_le_bytes(column.as_chunks().0[index])
}

/// Entry `index` of a column of u64.
pub(crate) fn u64_at(column: &[u8], index: usize) -> u64 {
    u64::from_le_bytes(column.as_chunks().0[index])
}
