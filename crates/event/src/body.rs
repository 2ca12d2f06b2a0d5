//! What an intact body must hold, so that everything behind the scanner may rely on it (`SPEC.md` sections 2.1 and 4).

use crate::defect::Defect;
use crate::header::{EVENT_BYTES_MAX, FrameHeader, u64_at};
use crate::list::List;

/// Checks the columns and lists of a body whose checksum and lengths are right, and whose layout is that of the schema.
pub(crate) fn check(header: &FrameHeader, body: &[u8], lists: &[List]) -> Result<(), Defect> {
    let layout = header.layout();
    let [ids, times, ends, records] = header.parts(layout);
    let begins_with = |column: &[u8], first: u64| column.is_empty() || u64_at(column, 0) == first;
    let columns_hold = begins_with(&body[ids], header.first_event_id)
        && begins_with(&body[times], header.time_ns)
        && ends_hold(&body[ends], body.len() - records.end, layout.stride);
    if !columns_hold {
        return Err(Defect::Columns);
    }
    let mut records = body[records].chunks_exact(layout.stride);
    if lists.is_empty() || records.all(|record| lists.iter().all(|list| list.holds_in(record))) {
        Ok(())
    } else {
        Err(Defect::Count)
    }
}

/// Do the payloads lie one behind the other, and end where the body ends?
fn ends_hold(ends: &[u8], payloads_len: usize, stride: usize) -> bool {
    let (ends, _) = ends.as_chunks();
    let mut start = 0;
    let each_holds = ends.iter().all(|&end| {
        let end = u32::from_le_bytes(end) as usize;
        let holds = end >= start && end - start + stride <= EVENT_BYTES_MAX;
        start = end;
        holds
    });
    each_holds && start == payloads_len
}
