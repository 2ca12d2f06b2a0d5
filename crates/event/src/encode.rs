//! Writing frames: the other half of the codec.

use bytemuck::Zeroable;

use crate::header::{ALIGN, FrameHeader, HEADER_LEN, MAGIC, VERSION, flags};
use crate::{EVENT_BYTES_MAX, EVENTS_PER_FRAME_MAX, Schema, Span};

/// What a writer says of a frame besides its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameMeta {
    /// Run number.
    pub run: u32,
    /// Segment of the run.
    pub segment: u32,
    /// Which source this is.
    pub source_id: u16,
    /// Id of the first event.
    pub first_event_id: u64,
    /// Time of the first event in ns since the start of the run, 0 if unknown.
    pub time_ns: u64,
    /// Are the ids labels instead of a dense sequence?
    pub sparse_ids: bool,
}

/// The events of a frame to be written: their records, and the columns that it is to have beside them.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameEvents<'a> {
    /// Whole records of the schema, at least one.
    pub records: &'a [u8],
    /// An id for each event; empty if ids follow one by one from [`FrameMeta::first_event_id`].
    pub ids: &'a [u64],
    /// A time for each event; empty if all have [`FrameMeta::time_ns`].
    pub times: &'a [u64],
    /// Where the payload of each event ends in `payloads`; empty if the schema has no payloads.
    pub ends: &'a [u32],
    /// The payloads, one behind the other.
    pub payloads: &'a [u8],
}

/// Appends an event frame whose ids follow one by one, without payloads: header, whole records of `schema`, padding.
///
/// # Panics
/// As [`encode_frame`].
pub fn encode_events(schema: &Schema, meta: FrameMeta, records: &[u8], out: &mut Vec<u8>) {
    encode_frame(schema, meta, FrameEvents { records, ..FrameEvents::default() }, out);
}

/// Appends an event frame: header, columns, records, payloads, padding. With a column of ids, or of times, its first entry takes the place of that in
/// `meta`.
///
/// # Panics
/// If the events are not what `SPEC.md` section 2.1 says: a writer chooses its own frames. The counts of lists in `records` are not looked at.
pub fn encode_frame(schema: &Schema, meta: FrameMeta, events: FrameEvents<'_>, out: &mut Vec<u8>) {
    let FrameEvents { records, ids, times, ends, payloads } = events;
    let layout = schema.layout();
    let n_events = records.len() / layout.stride;
    assert!(n_events > 0 && records.len().is_multiple_of(layout.stride), "a frame holds whole records");
    let fits = |column: usize| column == 0 || column == n_events;
    assert!(fits(ids.len()) && fits(times.len()), "an entry in each column for each event");
    assert_eq!(ends.len(), if layout.has_payloads { n_events } else { 0 }, "the payloads of the schema");
    assert!(ends.is_sorted(), "payloads lie one behind the other");
    assert_eq!(ends.last().map_or(0, |&end| end as usize), payloads.len(), "they end with the last one");
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let longest = starts.zip(ends).map(|(start, end)| (end - start) as usize).max().unwrap_or(0);
    assert!(layout.stride + longest <= EVENT_BYTES_MAX, "an event of more than {EVENT_BYTES_MAX} bytes");
    let first_event_id = ids.first().copied().unwrap_or(meta.first_event_id);
    let is_too_high = ids.is_empty() && first_event_id.checked_add(n_events as u64 - 1).is_none();
    assert!(!is_too_high, "ids beyond 64 bits");
    let flag = |is_set: bool, flag: u16| if is_set { flag } else { 0 };
    let start = out.len();
    let header = FrameHeader {
        first_event_id,
        time_ns: times.first().copied().unwrap_or(meta.time_ns),
        n_events: n_events as u32,
        stride: layout.stride as u32,
        flags: flag(meta.sparse_ids, flags::SPARSE_IDS)
            | flag(!ids.is_empty(), flags::IDS)
            | flag(!times.is_empty(), flags::TIMES)
            | flag(layout.has_payloads, flags::PAYLOADS),
        ..blank(schema.id(), meta)
    };
    out.extend_from_slice(&[0; HEADER_LEN]);
    ids.iter().chain(times).for_each(|entry| out.extend_from_slice(&entry.to_le_bytes()));
    ends.iter().for_each(|end| out.extend_from_slice(&end.to_le_bytes()));
    out.extend_from_slice(records);
    out.extend_from_slice(payloads);
    let is_short =
        n_events <= EVENTS_PER_FRAME_MAX && out.len() - start - HEADER_LEN <= layout.body_bytes_max();
    assert!(is_short, "frame too large");
    finish(header, start, out);
}

/// Appends a frame of these events, with the columns that they have; their ids and times take the place of those in `meta`.
///
/// # Panics
/// As [`encode_frame`].
pub fn encode_span(schema: &Schema, meta: FrameMeta, span: &Span, out: &mut Vec<u8>) {
    let events = || (0..span.len()).map(|event| span.event(event));
    let first = span.event(0);
    let ids: Vec<u64> =
        if span.first_id().is_none() { events().map(|event| event.id).collect() } else { Vec::new() };
    let times: Vec<u64> =
        if span.has_times() { events().map(|event| event.time_ns).collect() } else { Vec::new() };
    let mut ends = Vec::new();
    let mut payloads = Vec::new();
    if schema.payload().is_some() {
        for event in events() {
            payloads.extend_from_slice(event.payload);
            ends.push(payloads.len() as u32);
        }
    }
    let meta = FrameMeta { first_event_id: first.id, time_ns: first.time_ns, ..meta };
    let parts =
        FrameEvents { records: span.records(), ids: &ids, times: &times, ends: &ends, payloads: &payloads };
    encode_frame(schema, meta, parts, out);
}

/// Appends the schema frame that a stream starts with.
pub fn encode_schema(schema: &Schema, meta: FrameMeta, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LEN]);
    out.extend_from_slice(schema.text().as_bytes());
    finish(FrameHeader { flags: flags::SCHEMA, ..blank(schema.id(), meta) }, start, out);
}

fn blank(schema_id: u64, meta: FrameMeta) -> FrameHeader {
    FrameHeader {
        magic: MAGIC,
        version: VERSION,
        header_len: HEADER_LEN as u16,
        schema_id,
        run: meta.run,
        segment: meta.segment,
        source_id: meta.source_id,
        ..FrameHeader::zeroed()
    }
}

/// Puts the header in front of a body that begins 64 bytes behind `start`, and the padding behind it.
fn finish(header: FrameHeader, start: usize, out: &mut Vec<u8>) {
    let body = &out[start + HEADER_LEN..];
    let header = FrameHeader { body_len: body.len() as u32, ..header }.sealed(body);
    let padding = body.len().next_multiple_of(ALIGN) - body.len();
    out[start..start + HEADER_LEN].copy_from_slice(&header.to_bytes());
    out.resize(out.len() + padding, 0);
}
