//! The two kinds of batches that circulate: what stages pass on in one piece.
//!
//! A batch holds the events of up to [`PARTS_MAX`] segments. Each segment has a part of its own with its own books, and in [`Inbound`] with its own
//! [`Block`]. So sources that are in different segments or runs, and send in turn, do not cut batches short; what is kept leaves in the order in
//! which it arrived.

use tamis_event::{Block, CloseReason, SegmentId, Span};
use tamis_ledger::{Cause, Corrupt, Dropped, Errored, LineTally, Tally};

use crate::budget::Budget;
use crate::{Kept, SegmentBooks, Share};

/// Most segments in a batch.
pub(crate) const PARTS_MAX: usize = 64;

/// An input batch: events on their way to a worker. It refers to bytes where they arrived.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// Position in the order of admission.
    pub(crate) seq: u64,
    pub(crate) close: CloseReason,
    /// When its first event arrived.
    pub(crate) admitted_ns: u64,
    /// When its events arrived, in their order.
    pub(crate) arrivals_ns: Vec<Arrival>,
    /// Entries from `used` on are empty and kept for reuse.
    parts: Vec<Part>,
    used: usize,
    /// The part that was asked for last.
    last: usize,
    events: usize,
    payload_bytes: usize,
    stride: usize,
}

/// The part of one segment in an input batch.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) block: Block,
    /// For each span of the block, how many events of all parts arrived before its first event.
    pub(crate) order: Vec<usize>,
    /// What arrived since the batch before this one: frames, bytes, losses.
    pub(crate) arrivals: Tally,
}

impl Part {
    pub(crate) fn segment(&self) -> SegmentId {
        SegmentId { run: self.block.run(), segment: self.block.segment() }
    }

    /// How many events of all parts arrived before event `index` of this one.
    pub(crate) fn order_of(&self, index: usize) -> usize {
        let (span, within) = self.block.locate(index);
        self.order[span] + within
    }
}

/// Consecutive events that were complete at the same time, if the source knows it; else all events of a batch, at its admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) ns: u64,
    pub(crate) events: u64,
}

impl Inbound {
    pub(crate) fn new(stride: usize) -> Self {
        Self {
            seq: 0,
            close: CloseReason::Full,
            admitted_ns: 0,
            arrivals_ns: Vec::new(),
            parts: Vec::new(),
            used: 0,
            last: 0,
            events: 0,
            payload_bytes: 0,
            stride,
        }
    }

    /// Empties the batch and lets go of the bytes that it referred to. Its own memory is kept.
    pub(crate) fn clear(&mut self) {
        for part in &mut self.parts[..self.used] {
            part.block.reset(0, 0);
            part.order.clear();
            part.arrivals.clear();
        }
        (self.used, self.last) = (0, 0);
        (self.events, self.payload_bytes) = (0, 0);
        self.arrivals_ns.clear();
    }

    /// Bytes per event.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Events of all parts.
    pub(crate) fn events(&self) -> usize {
        self.events
    }

    /// Bytes of the payloads of all parts.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// The parts, in the order in which they were begun.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts[..self.used]
    }

    /// Can something of this segment be booked here?
    pub(crate) fn has_room_for(&mut self, segment: SegmentId) -> bool {
        self.used < PARTS_MAX || self.find(segment).is_some()
    }

    /// The books of a segment.
    ///
    /// # Panics
    /// If there is no room for it.
    pub(crate) fn arrivals(&mut self, segment: SegmentId) -> &mut Tally {
        &mut self.part(segment).arrivals
    }

    /// Takes events of a segment, which were complete at `ns` if the source knows it. Events without a time arrived with those before them.
    pub(crate) fn push(&mut self, segment: SegmentId, span: Span, ns: Option<u64>) {
        let (before, events) = (self.events, span.len());
        self.payload_bytes += span.payload_bytes();
        let part = self.part(segment);
        part.order.push(before);
        part.block.push(span);
        part.arrivals.received += events as u64;
        self.events += events;
        match self.arrivals_ns.last_mut() {
            Some(last) if ns.is_none_or(|ns| ns == last.ns) => last.events += events as u64,
            _ => {
                let ns = ns.unwrap_or(self.admitted_ns);
                self.arrivals_ns.push(Arrival { ns, events: events as u64 });
            }
        }
    }

    fn find(&mut self, segment: SegmentId) -> Option<usize> {
        if self.parts().get(self.last).is_none_or(|part| part.segment() != segment) {
            self.last = self.parts().iter().position(|part| part.segment() == segment)?;
        }
        Some(self.last)
    }

    fn part(&mut self, segment: SegmentId) -> &mut Part {
        let at = self.find(segment).unwrap_or_else(|| {
            assert!(self.used < PARTS_MAX, "a batch of more than {PARTS_MAX} segments");
            if self.used == self.parts.len() {
                let block = Block::new(self.stride);
                let arrivals = Tally::new(0, 0);
                self.parts.push(Part { block, order: Vec::new(), arrivals });
            }
            self.parts[self.used].block.reset(segment.run, segment.segment);
            self.used += 1;
            self.last = self.used - 1;
            self.last
        });
        &mut self.parts[at]
    }
}

/// An output batch: what a worker made of one input batch. It has the books of all parts, and copies of the events that are kept, in the order
/// of their arrival. Nothing in it refers to the input.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    pub(crate) seq: u64,
    pub(crate) close: Option<CloseReason>,
    pub(crate) records: Vec<u8>,
    pub(crate) entries: Vec<Kept>,
    pub(crate) admitted_ns: u64,
    /// Entries from `used` on are empty and kept for reuse.
    books: Vec<SegmentBooks>,
    used: usize,
    lines: usize,
    rungs: usize,
    streams: usize,
    /// Bytes of the budget that it holds.
    held: usize,
}

impl Outbound {
    pub(crate) fn new(lines: usize, rungs: usize, streams: usize) -> Self {
        Self { lines, rungs, streams, ..Self::default() }
    }

    /// Makes it the empty result of an input batch; memory is kept.
    pub(crate) fn reset(&mut self, input: &Inbound) {
        self.seq = input.seq;
        self.close = Some(input.close);
        self.admitted_ns = input.admitted_ns;
        self.records.clear();
        self.entries.clear();
        self.used = 0;
    }

    /// Obtains the most bytes that the result of `input` needs, if `record` bytes are stored for each event. `false`: there are not enough now.
    pub(crate) fn obtain(&mut self, input: &Inbound, record: usize, budget: &Budget) -> bool {
        let payload_bytes = if record == 0 { 0 } else { input.payload_bytes() };
        let need = self.need(input.events(), payload_bytes, input.parts().len(), record);
        let more = need.saturating_sub(self.held);
        let is_obtained = more == 0 || budget.obtain(more, input.seq);
        self.held += if is_obtained { more } else { 0 };
        is_obtained
    }

    /// The bytes that so many events of so many segments may need, with payloads of so many bytes. Buffers grow to at most the double.
    pub(crate) fn need(&self, events: usize, payload_bytes: usize, parts: usize, record: usize) -> usize {
        2 * (events * (record + size_of::<Kept>()) + payload_bytes) + parts * self.books_bytes()
    }

    /// Gives back what was obtained and not needed.
    pub(crate) fn give_back_spare(&mut self, budget: &Budget) {
        let entries = self.entries.capacity() * size_of::<Kept>();
        let holds = self.records.capacity() + entries + self.books.len() * self.books_bytes();
        budget.release(self.held.saturating_sub(holds));
        self.held = self.held.min(holds);
    }

    /// Ends its way through the stages. It keeps its memory for the next time if the budget is ample.
    pub(crate) fn end(&mut self, budget: &Budget) {
        if !budget.is_ample() {
            budget.release(self.held);
            *self = Self::new(self.lines, self.rungs, self.streams);
        }
    }

    /// Bytes that the books of one segment take.
    fn books_bytes(&self) -> usize {
        let counts = Corrupt::ALL.len() * 2 + Errored::ALL.len() + Dropped::ALL.len() + self.rungs;
        size_of::<SegmentBooks>()
            + size_of::<u64>() * counts
            + size_of::<LineTally>() * self.lines
            + size_of::<Share>() * self.streams
    }

    /// The books of the segments in it.
    pub(crate) fn books(&self) -> &[SegmentBooks] {
        &self.books[..self.used]
    }

    /// Begins the books of a part with what arrived. Returns them, and the buffers for its records.
    pub(crate) fn open(&mut self, part: &Part) -> (&mut Tally, &mut Vec<u8>, &mut Vec<Kept>) {
        if self.used == self.books.len() {
            let tally = Tally::new(self.lines, self.rungs);
            let streams = vec![Share::default(); self.streams];
            self.books.push(SegmentBooks { id: SegmentId::default(), tally, streams });
        }
        let books = &mut self.books[self.used];
        self.used += 1;
        books.id = part.segment();
        books.tally.clear();
        books.tally.merge(&part.arrivals);
        books.streams.fill(Share::default());
        (&mut books.tally, &mut self.records, &mut self.entries)
    }

    /// Counts, by stream, the events that were kept in the part that was opened last: the entries from `first` on.
    pub(crate) fn count_streams(&mut self, first: usize) {
        let Some(books) = self.books[..self.used].last_mut() else { return };
        for entry in &self.entries[first..] {
            let mut streams = entry.streams;
            while streams != 0 {
                books.streams[streams.trailing_zeros() as usize].events += 1;
                streams &= streams - 1;
            }
        }
    }

    /// Books to miscount in.
    #[cfg(test)]
    pub(crate) fn books_mut(&mut self) -> &mut [SegmentBooks] {
        &mut self.books[..self.used]
    }
}
