//! The stage that restores the order of the input and keeps the books by segment.
//!
//! The books of a segment are closed when enough other segments have begun. How many are kept open adapts to the input: at first the current segment
//! and the one before. Whenever a segment comes again whose books were closed, the sequencer keeps twice as many open, up to [`OPEN_MAX`]. So where
//! segments follow one another, each has its line in the ledger soon; where some come in turn, they have a few lines, and not one per batch.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use tamis_event::{CloseReason, SegmentId};
use tamis_ledger::{Imbalance, Tally};
use tamis_ring::{Receiver, Sender, TryRecv};

use crate::budget::Budget;
use crate::outbound::Outbound;
use crate::run::News;
use crate::{Control, Progress, SegmentBooks, Share, Stage};

/// Segments that are kept open at first and at most.
const OPEN_MIN: usize = 2;
const OPEN_MAX: usize = 64;
/// Books that may wait for their reader.
pub(crate) const UNREAD_MAX: usize = 64;

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct Sequencer {
    input: Receiver<Outbound>,
    /// The first writer's queue; dropped at the end.
    writers: Option<Sender<Outbound>>,
    next: u64,
    /// Batches that came before their turn: number `seq` waits in slot `seq % len`. They are at most as many as the pool has, and the numbers
    /// in flight span no more than that (I2: the oldest one always has a batch), so slots never collide.
    waiting: Vec<Option<Outbound>>,
    /// Those that were booked last come last.
    open: VecDeque<SegmentBooks>,
    open_max: usize,
    /// The segments that were closed last.
    closed: VecDeque<SegmentId>,
    /// The first segment whose books do not balance.
    imbalance: Option<Imbalance>,
    totals: Tally,
    /// Events by stream, so far.
    ends: Vec<u64>,
    streams: usize,
    closes: [u64; CloseReason::ALL.len()],
    news: mpsc::Sender<News>,
    /// Books that were sent and not read yet.
    unread: Arc<AtomicUsize>,
    budget: Arc<Budget>,
    control: Arc<Control>,
}

impl Sequencer {
    /// `totals` is an empty tally, as wide as those of the batches.
    #[expect(clippy::too_many_arguments, reason = "called once, by the wiring, with one value of each type")]
    pub(crate) fn new(
        input: Receiver<Outbound>,
        writers: Sender<Outbound>,
        pool: usize,
        totals: Tally,
        streams: usize,
        news: mpsc::Sender<News>,
        unread: Arc<AtomicUsize>,
        budget: Arc<Budget>,
        control: Arc<Control>,
    ) -> Self {
        Self {
            input,
            writers: Some(writers),
            next: 0,
            waiting: (0..pool).map(|_| None).collect(),
            open: VecDeque::new(),
            open_max: OPEN_MIN,
            closed: VecDeque::new(),
            imbalance: None,
            totals,
            ends: vec![0; streams],
            streams,
            closes: [0; CloseReason::ALL.len()],
            news,
            unread,
            budget,
            control,
        }
    }

    pub(crate) fn report(&mut self) -> SequencerReport {
        let totals = std::mem::take(&mut self.totals);
        SequencerReport { totals, closes: self.closes, imbalance: self.imbalance.take() }
    }

    fn book(&mut self, batch: &Outbound) {
        if let Some(reason) = batch.close {
            self.closes[reason as usize] += 1;
        }
        for SegmentBooks { tally, streams, .. } in batch.books() {
            self.control.add_progress(tally.received, tally.frames.bytes);
            self.totals.merge(tally);
            self.ends.iter_mut().zip(streams).for_each(|(end, share)| *end += share.events);
        }
        // The segments of a batch share its place in the streams.
        let ends = std::mem::take(&mut self.ends);
        for SegmentBooks { id, tally, streams } in batch.books() {
            let books = self.open(*id);
            books.tally.merge(tally);
            for ((own, share), end) in books.streams.iter_mut().zip(streams).zip(&ends) {
                if share.events > 0 {
                    *own = Share { events: own.events + share.events, end: *end };
                }
            }
        }
        self.ends = ends;
    }

    /// The books of a segment.
    fn open(&mut self, id: SegmentId) -> &mut SegmentBooks {
        let found = self.open.iter().position(|books| books.id == id);
        let books = found.and_then(|at| self.open.remove(at)).unwrap_or_else(|| {
            if self.closed.contains(&id) {
                self.open_max = (self.open_max * 2).min(OPEN_MAX);
            }
            if self.open.len() >= self.open_max {
                self.close_oldest();
            }
            let tally = Tally::new(self.totals.lines.len(), self.totals.rungs.len());
            let streams = vec![Share::default(); self.streams];
            SegmentBooks { id, tally, streams }
        });
        self.open.push_back(books);
        self.open.back_mut().expect("just added")
    }

    /// Closes the books of the segment that has received nothing for longest.
    fn close_oldest(&mut self) {
        let Some(books) = self.open.pop_front() else { return };
        let id = books.id;
        if let (None, Err(imbalance)) = (&self.imbalance, books.tally.balance()) {
            self.imbalance =
                Some(Imbalance::Segment { run: id.run, segment: id.segment, imbalance: Box::new(imbalance) });
        }
        if self.closed.len() == OPEN_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back(id);
        self.unread.fetch_add(1, Ordering::Relaxed);
        // Nobody listens any more only when the run is being torn down.
        let _ = self.news.send(News::Segment(Box::new(books)));
    }
}

/// What the sequencer leaves behind.
#[derive(Debug, Default)]
pub(crate) struct SequencerReport {
    pub(crate) totals: Tally,
    pub(crate) closes: [u64; CloseReason::ALL.len()],
    pub(crate) imbalance: Option<Imbalance>,
}

impl Stage for Sequencer {
    fn pause(&self) {
        self.writers.iter().for_each(Sender::wake);
    }

    fn step(&mut self) -> Progress {
        let Some(writers) = &self.writers else {
            return Progress::Done;
        };
        let writers = writers.clone();
        let slots = self.waiting.len() as u64;
        let received = self.input.try_recv();
        let is_closed = matches!(received, Err(TryRecv::Closed));
        let mut worked = received.is_ok();
        if let Ok(batch) = received {
            let slot = &mut self.waiting[(batch.seq % slots) as usize];
            assert!(
                slot.is_none() && batch.seq >= self.next,
                "batch {} is out of the window of {slots}",
                batch.seq
            );
            *slot = Some(batch);
        }
        // Books that nobody reads would fill the memory: so batches wait for the reader of the books, and the source for free batches.
        while self.unread.load(Ordering::Relaxed) < UNREAD_MAX {
            let slot = &mut self.waiting[(self.next % slots) as usize];
            let Some(batch) = slot.take_if(|batch| batch.seq == self.next) else {
                if !is_closed {
                    break;
                }
                self.writers = None;
                while !self.open.is_empty() {
                    self.close_oldest();
                }
                return Progress::Done;
            };
            worked = true;
            self.next += 1;
            self.budget.turn_to(self.next);
            self.book(&batch);
            // As long as the pool (I1): fails only when the writers have died, and then the run is over.
            let _ = writers.try_send(batch);
        }
        if worked { Progress::Worked } else { Progress::Idle }
    }
}
