//! What a set of events covers: ids, times, runs, segments, and the bytes of their payloads.

use std::collections::BTreeSet;

use serde::Serialize;
use tamis_event::{Schema, SegmentId};

/// Ids, runs and segments of a set of events.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Extent {
    /// Number of events.
    pub events: u64,
    /// Smallest event id.
    pub first_id: Option<u64>,
    /// Largest event id.
    pub last_id: Option<u64>,
    /// The earliest known time, in ns since the start of its run.
    pub first_time_ns: Option<u64>,
    /// The latest.
    pub last_time_ns: Option<u64>,
    /// Runs.
    pub runs: BTreeSet<u32>,
    /// Number of different segments of these runs.
    pub segments: usize,
    /// Their payloads, if events have some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payloads: Option<PayloadSizes>,
    #[serde(skip)]
    places: BTreeSet<SegmentId>,
}

/// The payloads of a set of events.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PayloadSizes {
    /// What the schema says of them.
    pub doc: String,
    /// Bytes of all.
    pub bytes: u64,
    /// Bytes of the shortest.
    pub shortest: Option<u64>,
    /// Bytes of the longest.
    pub longest: Option<u64>,
}

impl Extent {
    /// Of no events yet.
    pub(crate) fn of(schema: &Schema) -> Self {
        let payloads =
            schema.payload().map(|doc| PayloadSizes { doc: doc.into(), ..PayloadSizes::default() });
        Self { payloads, ..Self::default() }
    }

    /// Adds events of a segment, of which the lowest and the highest id are given.
    pub(crate) fn add(&mut self, segment: SegmentId, (low, high): (u64, u64), events: u64) {
        self.events += events;
        self.first_id = Some(self.first_id.map_or(low, |id| id.min(low)));
        self.last_id = self.last_id.max(Some(high));
        self.runs.insert(segment.run);
        self.places.insert(segment);
        self.segments = self.places.len();
    }

    /// Adds a time of an event or a frame; 0 is unknown.
    pub(crate) fn add_time(&mut self, time_ns: u64) {
        if time_ns > 0 {
            self.first_time_ns = Some(self.first_time_ns.map_or(time_ns, |first| first.min(time_ns)));
            self.last_time_ns = self.last_time_ns.max(Some(time_ns));
        }
    }

    /// Adds the payload of an event: so many bytes.
    pub(crate) fn add_payload(&mut self, bytes: u64) {
        let Some(sizes) = &mut self.payloads else { return };
        sizes.bytes += bytes;
        sizes.shortest = Some(sizes.shortest.map_or(bytes, |shortest| shortest.min(bytes)));
        sizes.longest = sizes.longest.max(Some(bytes));
    }
}
