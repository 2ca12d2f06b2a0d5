//! The books that a line of the ledger file has: those of one segment, or of several.

use serde::Serialize;
use tamis_event::SegmentId;
use tamis_ledger::{Cause, Corrupt, Dropped, Errored, LineTally, Tally};
use tamis_menu::CompiledMenu;
use tamis_pipeline::{SegmentBooks, Share};

use super::StoredSoFar;
use crate::{DOCUMENT_VERSION, Ledger};

/// Books of segments that were stored one after the other, added up.
#[derive(Debug)]
pub(super) struct Books {
    /// The lowest and the highest of the segments.
    from: SegmentId,
    to: SegmentId,
    /// How many books were added.
    count: u64,
    tally: Tally,
    streams: Vec<Share>,
}

impl From<SegmentBooks> for Books {
    fn from(SegmentBooks { id, tally, streams }: SegmentBooks) -> Self {
        Self { from: id, to: id, count: 1, tally, streams }
    }
}

impl Books {
    /// What they take in memory, for a menu of so many lines, rungs and streams.
    pub(super) fn bytes_of(lines: usize, rungs: usize, streams: usize) -> usize {
        let counts = 2 * Corrupt::ALL.len() + Dropped::ALL.len() + Errored::ALL.len() + rungs;
        size_of::<Self>()
            + counts * size_of::<u64>()
            + lines * size_of::<LineTally>()
            + streams * size_of::<Share>()
    }

    /// Adds the books of other segments.
    pub(super) fn add(&mut self, other: &Self) {
        self.from = self.from.min(other.from);
        self.to = self.to.max(other.to);
        self.count += other.count;
        self.tally.merge(&other.tally);
        for (own, other) in self.streams.iter_mut().zip(&other.streams) {
            *own = Share { events: own.events + other.events, end: own.end.max(other.end) };
        }
    }

    /// Bytes that arrived.
    pub(super) fn received_bytes(&self) -> u64 {
        self.tally.frames.bytes
    }

    /// Is everything stored that the segments gave to the streams?
    pub(super) fn are_stored(&self, stored: &[u64]) -> bool {
        self.streams.iter().zip(stored).all(|(share, &stored)| share.events == 0 || stored >= share.end)
    }

    /// The line of these books; `storage` says how far each stream is stored.
    pub(super) fn line<'a>(
        &self,
        menu: &'a CompiledMenu,
        storage: impl Iterator<Item = (&'a str, StoredSoFar)>,
    ) -> BooksLine<'a> {
        let names = menu.lines().iter().map(|line| line.name.as_str());
        let lines = names.zip(&self.tally.lines).map(|(name, &counts)| LineBooks { name, counts });
        let shares = self.streams.iter().zip(storage).map(|(share, (name, storage))| {
            let &Share { events, end } = share;
            StreamBooks { name, events, end, storage }
        });
        let whose = if self.from == self.to {
            Whose::One(self.from)
        } else {
            Whose::Several { from: self.from, to: self.to, segments: self.count }
        };
        BooksLine {
            tamis: env!("CARGO_PKG_VERSION"),
            schema: DOCUMENT_VERSION,
            whose,
            ledger: Ledger::new(&self.tally, menu, None),
            lines: lines.filter(|line| line.counts != LineTally::default()).collect(),
            streams: shares.filter(|share| share.events > 0).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct BooksLine<'a> {
    tamis: &'static str,
    schema: u32,
    #[serde(flatten)]
    whose: Whose,
    ledger: Ledger,
    /// Those that counted something.
    lines: Vec<LineBooks<'a>>,
    /// Those that were given something.
    streams: Vec<StreamBooks<'a>>,
}

/// Whose books a line has.
#[derive(Serialize)]
#[serde(untagged)]
enum Whose {
    One(SegmentId),
    Several { from: SegmentId, to: SegmentId, segments: u64 },
}

#[derive(Serialize)]
struct LineBooks<'a> {
    name: &'a str,
    #[serde(flatten)]
    counts: LineTally,
}

#[derive(Serialize)]
struct StreamBooks<'a> {
    name: &'a str,
    /// Events of the segments.
    events: u64,
    /// Events of the stream up to the last of these.
    end: u64,
    #[serde(flatten)]
    storage: StoredSoFar,
}
