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
    pub(crate) admitted_ns: u64,
}

impl Inbound {
    pub(crate) fn new(stride: usize) -> Self {
        let (block, arrivals) = (Block::new(stride), Tally::new(0, 0));
        Self { seq: 0, block, close: CloseReason::Full, arrivals, admitted_ns: 0 }
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
