//! What a reader of a damaged stream must report.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tamis_event::Defect;

/// Frames, and the events that they announced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Frames, or stretches of bytes that are no frame.
    pub frames: u64,
    /// Events according to the headers; 0 where the header itself cannot be trusted.
    pub events: u64,
}

impl Loss {
    pub(crate) fn add(&mut self, events: u64) {
        self.frames += 1;
        self.events += events;
    }
}

/// An event as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its time.
    pub time_ns: u64,
    /// Its record.
    pub record: Vec<u8>,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// A good frame that arrived for the first time.
pub(crate) struct Arrived {
    pub(crate) sent: Vec<(u64, Sent)>,
    pub(crate) is_dense: bool,
}

/// The exact ledger of a damaged stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// Good event frames, each counted once however often it arrives.
    pub frames: u64,
    /// Their events; of those with one id the first.
    pub events: u64,
    /// What a scanner must find, in no particular order; causes that do not occur are left out.
    pub defects: Vec<(Defect, Loss)>,
    /// Units lost per (run, segment), duplicates included: that of the frame's own header if it was right, else that of the last right one.
    pub lost_in: BTreeMap<(u32, u32), u64>,
    /// Good frames that arrived again, and their events; also events with an id that stands twice in a frame.
    pub duplicates: Loss,
    /// Bytes of lost stretches, and of frames that arrived again.
    pub lost_bytes: u64,
    /// Good frames that arrived after one with a larger first id.
    pub reordered: u64,
    /// Ids that must reach a decision: sorted, disjoint, not adjacent.
    pub survivors: Vec<Range<u64>>,
    /// Every survivor as it was sent, by its id.
    pub sent: BTreeMap<u64, Sent>,
    /// Ids between the first and the last survivor of a frame with dense ids that never arrive intact: the gaps that a reader can see.
    pub missing: Vec<Range<u64>>,
    /// Survivors with a NaN in a data field, in order.
    pub poison: Vec<u64>,
}

impl Truth {
    /// The loss for one cause, zero if it does not occur.
    pub fn defect(&self, defect: Defect) -> Loss {
        self.defects.iter().find(|(found, _)| *found == defect).map(|&(_, loss)| loss).unwrap_or_default()
    }

    /// Events in [`Self::missing`].
    pub fn missing_events(&self) -> u64 {
        self.missing.iter().map(|ids| ids.end - ids.start).sum()
    }

    pub(crate) fn lose(&mut self, defect: Defect, events: u64, place: (u32, u32), bytes: usize) {
        self.lost_bytes += bytes as u64;
        *self.lost_in.entry(place).or_default() += events.max(1);
        if let Some((_, loss)) = self.defects.iter_mut().find(|(found, _)| *found == defect) {
            loss.add(events);
        } else {
            self.defects.push((defect, Loss { frames: 1, events }));
        }
    }

    /// Fills in survivors and gaps from the good frames.
    pub(crate) fn settle(&mut self, arrived: Vec<Arrived>) {
        let mut dense = BTreeSet::new();
        for Arrived { sent, is_dense } in arrived {
            self.frames += 1;
            self.events += sent.len() as u64;
            dense.extend(sent.iter().filter(|_| is_dense).map(|(id, _)| *id));
            self.sent.extend(sent);
        }
        for &id in self.sent.keys() {
            match self.survivors.last_mut() {
                Some(last) if last.end == id => last.end = id + 1,
                _ => self.survivors.push(id..id + 1),
            }
        }
        let (Some(&low), Some(&high)) = (dense.first(), dense.last()) else { return };
        let gaps = self.survivors.windows(2).map(|pair| pair[0].end..pair[1].start);
        self.missing = gaps.filter(|gap| low < gap.start && gap.end <= high).collect();
    }
}
