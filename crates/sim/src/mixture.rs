//! Frames of every kind that the format knows, made of plain ones.
//!
//! An event keeps its frame, its record (but for its lists), and the set of ids of its frame keeps its place in the sequence. What is drawn: columns of
//! ids in any order, now and then with an id twice; labels; columns of times; payloads; counts of lists.

use tamis_event::{FrameEvents, FrameHeader, FrameMeta, Schema, encode_frame};

use crate::parts::Parts;
use crate::random::Random;

/// Makes frames of a schema with lists and payloads, as a function of a seed.
#[derive(Clone, Debug)]
pub struct Mixture {
    /// Two mixtures of the same frames with the same seed are equal.
    pub seed: u64,
    /// No payload is longer.
    pub payload_bytes_max: usize,
    /// Bytes of one more payload, that of the first event of a frame in the middle; 0: it is as all others.
    pub long_payload_bytes: usize,
}

impl Mixture {
    /// Frames of `schema` with the events of good frames of another schema, whose records are as long.
    ///
    /// # Panics
    /// If an element of `frames` is no frame, or its records have another length.
    pub fn mix(&self, schema: &Schema, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        frames.iter().zip(0..).map(|(frame, k)| self.frame(schema, frame, k)).collect()
    }

    fn frame(&self, schema: &Schema, plain: &[u8], k: u64) -> Vec<u8> {
        let header = FrameHeader::read(plain).expect("the caller gives whole frames");
        assert_eq!(header.stride as usize, schema.record_len(), "records of another length");
        let parts = Parts::of(&header, plain);
        let mut random = Random::new(self.seed ^ 0x6D69_7874, k);
        let n = parts.ids.len();
        let mut records = plain[parts.records..][..n * schema.record_len()].to_vec();
        for record in records.chunks_exact_mut(schema.record_len()) {
            schema.lists().iter().for_each(|list| list.cut(random.below(list.most() + 1), record));
        }
        let ids = if random.chance(0.5) { column(&parts.ids, &mut random) } else { Vec::new() };
        let step = 1 + random.below(50) as u64;
        let time = |event: u64| header.time_ns + event * step;
        let times: Vec<u64> = if random.chance(0.5) { (0..n as u64).map(time).collect() } else { Vec::new() };
        let (mut ends, mut payloads) = (Vec::new(), Vec::new());
        if schema.payload().is_some() {
            for event in 0..n {
                let most = [0, 3, self.payload_bytes_max][random.below(3)].min(self.payload_bytes_max);
                let is_long = (event, k) == (0, self.seed % 5 + 3) && self.long_payload_bytes > 0;
                let len = if is_long { self.long_payload_bytes } else { random.below(most + 1) };
                // No magic word forms: the faults count on it.
                payloads.extend((0..len).map(|_| random.bits() as u8 & !0x10));
                ends.push(payloads.len() as u32);
            }
        }
        let meta = FrameMeta {
            run: header.run,
            segment: header.segment,
            source_id: header.source_id,
            first_event_id: header.first_event_id,
            time_ns: header.time_ns,
            sparse_ids: random.chance(0.25),
        };
        let events =
            FrameEvents { records: &records, ids: &ids, times: &times, ends: &ends, payloads: &payloads };
        let mut out = Vec::new();
        encode_frame(schema, meta, events, &mut out);
        out
    }
}

/// The same ids in another order; sometimes one of them stands twice, and another one is left out.
fn column(ids: &[u64], random: &mut Random) -> Vec<u64> {
    let mut ids = ids.to_vec();
    match random.below(3) {
        0 => ids.reverse(),
        1 => {
            for last in (1..ids.len()).rev() {
                ids.swap(last, random.below(last + 1));
            }
        }
        _ => {}
    }
    if random.chance(0.2) {
        let from = random.below(ids.len());
        let to = random.below(ids.len());
        ids[to] = ids[from];
    }
    ids
}
