//! Composes MCAP records in memory: the counterpart of `parse.rs`.

use std::collections::BTreeMap;

/// Appends a record: its opcode, its length, and what `fields` writes.
pub(crate) fn record(out: &mut Vec<u8>, opcode: u8, fields: impl FnOnce(&mut Vec<u8>)) {
    out.push(opcode);
    let length_at = out.len();
    u64(out, 0);
    let start = out.len();
    fields(out);
    let length = (out.len() - start) as u64;
    out[length_at..start].copy_from_slice(&length.to_le_bytes());
}

pub(crate) fn u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Bytes behind their length in 32 bits.
pub(crate) fn block(out: &mut Vec<u8>, bytes: &[u8]) {
    u32(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    block(out, text.as_bytes());
}

/// Keys and values behind the length of all of them.
pub(crate) fn map(out: &mut Vec<u8>, map: &BTreeMap<String, String>) {
    let mut pairs = Vec::new();
    for (key, value) in map {
        text(&mut pairs, key);
        text(&mut pairs, value);
    }
    block(out, &pairs);
}
