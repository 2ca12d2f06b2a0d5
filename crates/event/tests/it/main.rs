//! Tests of the bytes: golden vectors from an independent program, properties, and every fault at every place.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod block;
mod codec;
mod golden;
mod record;
mod schema;

use tamis_event::{FrameMeta, Schema, encode_events, encode_schema};

/// A schema whose records are `stride` bytes of `u8`.
fn schema_of(stride: usize) -> Schema {
    let text = format!("name = \"s{stride}\"\n[[field]]\nname = \"a\"\ndtype = \"u8\"\nlen = {stride}\n");
    Schema::parse(text.as_bytes()).unwrap()
}

/// A schema with records of three bytes, whose events have payloads.
fn raw_schema() -> Schema {
    Schema::parse(b"name = 'raw'\n[[field]]\nname = 'a'\ndtype = 'u8'\nlen = 3\n[payload]\n").unwrap()
}

/// One event frame with these records.
fn frame(schema: &Schema, first_event_id: u64, records: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let meta = FrameMeta { run: 3, segment: 1, source_id: 9, first_event_id, ..FrameMeta::default() };
    encode_events(schema, meta, records, &mut out);
    out
}

/// The schema frame.
fn schema_frame(schema: &Schema) -> Vec<u8> {
    let mut out = Vec::new();
    encode_schema(schema, FrameMeta::default(), &mut out);
    out
}
