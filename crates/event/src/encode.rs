//! Writing frames: the other half of the codec.

use bytemuck::Zeroable;

use crate::Schema;
use crate::header::{ALIGN, FrameHeader, HEADER_LEN, MAGIC, VERSION, flags};

/// What a writer says of a frame besides its payload.
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

/// Appends an event frame: header, `payload` (whole records of `schema`), padding.
///
/// # Panics
/// If `payload` is not a whole, non-zero number of records, or exceeds the limits of the format: a writer chooses its own frames.
pub fn encode_events(schema: &Schema, meta: FrameMeta, payload: &[u8], out: &mut Vec<u8>) {
    let stride = schema.record_len();
    assert!(!payload.is_empty() && payload.len().is_multiple_of(stride), "a frame holds whole records");
    let n_events = payload.len() / stride;
    assert!(
        n_events <= crate::EVENTS_PER_FRAME_MAX && payload.len() <= crate::PAYLOAD_BYTES_MAX,
        "frame too large"
    );
    let header = FrameHeader {
        first_event_id: meta.first_event_id,
        time_ns: meta.time_ns,
        n_events: n_events as u32,
        stride: stride as u32,
        flags: if meta.sparse_ids { flags::SPARSE_IDS } else { 0 },
        ..blank(schema.id(), meta, payload)
    };
    append(header, payload, out);
}

/// Appends the schema frame that a stream starts with.
pub fn encode_schema(schema: &Schema, meta: FrameMeta, out: &mut Vec<u8>) {
    let payload = schema.text().as_bytes();
    append(FrameHeader { flags: flags::SCHEMA, ..blank(schema.id(), meta, payload) }, payload, out);
}

fn blank(schema_id: u64, meta: FrameMeta, payload: &[u8]) -> FrameHeader {
    FrameHeader {
        magic: MAGIC,
        version: VERSION,
        header_len: HEADER_LEN as u16,
        schema_id,
        run: meta.run,
        segment: meta.segment,
        payload_len: payload.len() as u32,
        source_id: meta.source_id,
        ..FrameHeader::zeroed()
    }
}

fn append(header: FrameHeader, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytemuck::bytes_of(&header.sealed(payload)));
    out.extend_from_slice(payload);
    let padding = payload.len().next_multiple_of(ALIGN) - payload.len();
    out.resize(out.len() + padding, 0);
}
