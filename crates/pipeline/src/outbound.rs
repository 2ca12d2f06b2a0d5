//! The two kinds of blocks that circulate.

use tamis_event::{Block, CloseReason};
use tamis_ledger::Tally;

use crate::Entry;

/// Events on their way to a worker. Refers to bytes where they arrived.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// Position in the order of admission.
    pub(crate) seq: u64,
    pub(crate) block: Block,
    pub(crate) close: CloseReason,
    /// What arrived since the block before: frames, bytes, losses.
    pub(crate) arrivals: Tally,
    /// When its first event arrived.
    pub(crate) admitted_ns: u64,
    /// When its events arrived, in their order.
    pub(crate) arrivals_ns: Vec<Arrival>,
}

/// Consecutive events that were complete at the same time, if the source knows; else all of a block, at its admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) ns: u64,
    pub(crate) events: u64,
}

impl Inbound {
    pub(crate) fn new(stride: usize) -> Self {
        let (block, arrivals) = (Block::new(stride), Tally::new(0, 0));
        let close = CloseReason::Full;
        Self { seq: 0, block, close, arrivals, admitted_ns: 0, arrivals_ns: Vec::new() }
    }

    /// Empties the block for events of a segment, the first of which arrived at `ns`. Memory is kept.
    pub(crate) fn begin(&mut self, (run, segment): (u32, u32), ns: u64) {
        self.block.reset(run, segment);
        self.admitted_ns = ns;
        self.arrivals_ns.clear();
    }

    /// Books events that were pushed. Without a time of their own they arrived with those before them.
    pub(crate) fn arrive(&mut self, ns: Option<u64>, events: usize) {
        let events = events as u64;
        match self.arrivals_ns.last_mut() {
            Some(last) if ns.is_none_or(|ns| ns == last.ns) => last.events += events,
            _ => self.arrivals_ns.push(Arrival { ns: ns.unwrap_or(self.admitted_ns), events }),
        }
    }
}

/// What a worker made of one input block: its books and copies of the events that are kept. Nothing in it refers to the input.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    pub(crate) seq: u64,
    pub(crate) run: u32,
    pub(crate) segment: u32,
    pub(crate) tally: Tally,
    pub(crate) close: Option<CloseReason>,
    pub(crate) records: Vec<u8>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) admitted_ns: u64,
}

impl Outbound {
    pub(crate) fn new(lines: usize, rungs: usize) -> Self {
        Self { tally: Tally::new(lines, rungs), ..Self::default() }
    }

    /// Makes it the empty result of an input block; memory is kept.
    pub(crate) fn reset(&mut self, input: &Inbound) {
        self.seq = input.seq;
        self.run = input.block.run();
        self.segment = input.block.segment();
        self.close = Some(input.close);
        self.admitted_ns = input.admitted_ns;
        self.tally.clear();
        self.tally.merge(&input.arrivals);
        self.records.clear();
        self.entries.clear();
    }
}
