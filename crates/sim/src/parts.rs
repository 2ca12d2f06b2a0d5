//! The body of a good event frame, read once more from `SPEC.md` section 2.1: what the truth about a damaged stream stands on.

use std::collections::BTreeSet;
use std::ops::Range;

use tamis_event::{FrameHeader, HEADER_LEN, flags};

use crate::truth::Sent;

/// Where the columns of a frame are, and what they say.
pub(crate) struct Parts {
    pub(crate) ids: Vec<u64>,
    pub(crate) times: Vec<u64>,
    /// Where the ends of payloads are in the frame.
    pub(crate) ends: Range<usize>,
    /// Where the records begin in the frame.
    pub(crate) records: usize,
    payloads: Vec<Range<usize>>,
}

impl Parts {
    pub(crate) fn of(header: &FrameHeader, frame: &[u8]) -> Self {
        let n = header.n_events as usize;
        let mut at = HEADER_LEN;
        let mut column = |width: usize, flag: u16| -> Vec<u64> {
            let there = if header.flags & flag == 0 { 0 } else { n };
            let from = at;
            at += width * there;
            let entry =
                |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
            frame[from..at].chunks_exact(width).map(entry).collect()
        };
        let (ids, times, ends) = (column(8, flags::IDS), column(8, flags::TIMES), column(4, flags::PAYLOADS));
        let records = at;
        let payloads_at = records + n * header.stride as usize;
        let starts = [0].into_iter().chain(ends.iter().copied());
        let payloads =
            starts.zip(&ends).map(|(from, to)| payloads_at + from as usize..payloads_at + *to as usize);
        Self {
            payloads: payloads.collect(),
            ids: if ids.is_empty() { (header.first_event_id..).take(n).collect() } else { ids },
            times: if times.is_empty() { vec![header.time_ns; n] } else { times },
            ends: records - 4 * ends.len()..records,
            records,
        }
    }

    /// The events of the frame that have an id for the first time.
    pub(crate) fn sent(&self, header: &FrameHeader, frame: &[u8]) -> Vec<(u64, Sent)> {
        let mut came = BTreeSet::new();
        let stride = header.stride as usize;
        let sent = |event: usize| Sent {
            time_ns: self.times[event],
            record: frame[self.records + event * stride..][..stride].to_vec(),
            payload: self.payloads.get(event).map_or(Vec::new(), |payload| frame[payload.clone()].to_vec()),
        };
        let events = self.ids.iter().enumerate().filter(|(_, id)| came.insert(**id));
        events.map(|(event, id)| (*id, sent(event))).collect()
    }
}
