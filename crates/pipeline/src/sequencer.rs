//! The stage that restores the order of the input and keeps the books by segment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc;

use tamis_event::CloseReason;
use tamis_ledger::Tally;
use tamis_ring::{Receiver, Sender, TryRecv};

use crate::outbound::Outbound;
use crate::run::News;
use crate::{Control, Progress, SegmentBooks, Stage};

/// Segments that are kept open, so that frames which come a little late are still booked in one line with their segment.
const OPEN_SEGMENTS: usize = 2;

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct Sequencer {
    input: Receiver<Outbound>,
    /// The first writer's queue; dropped at the end.
    writers: Option<Sender<Outbound>>,
    next: u64,
    /// Blocks that came before their turn: number `seq` waits in slot `seq % len`. They are at most as many as the pool has, and the numbers
    /// in flight span no more than that (I2: the oldest one always has a block), so slots never collide.
    waiting: Vec<Option<Outbound>>,
    open: VecDeque<SegmentBooks>,
    totals: Tally,
    closes: [u64; CloseReason::ALL.len()],
    news: mpsc::Sender<News>,
    control: Arc<Control>,
}

impl Sequencer {
    /// `totals` is an empty tally, as wide as those of the blocks.
    pub(crate) fn new(
        input: Receiver<Outbound>,
        writers: Sender<Outbound>,
        pool: usize,
        totals: Tally,
        news: mpsc::Sender<News>,
        control: Arc<Control>,
    ) -> Self {
        Self {
            input,
            writers: Some(writers),
            next: 0,
            waiting: (0..pool).map(|_| None).collect(),
            open: VecDeque::new(),
            totals,
            closes: [0; CloseReason::ALL.len()],
            news,
            control,
        }
    }

    pub(crate) fn report(&mut self) -> (Tally, [u64; CloseReason::ALL.len()]) {
        (std::mem::take(&mut self.totals), self.closes)
    }

    fn book(&mut self, block: &Outbound) {
        self.control.add_progress(block.tally.received, block.tally.frames.bytes);
        self.totals.merge(&block.tally);
        if let Some(reason) = block.close {
            self.closes[reason as usize] += 1;
        }
        let place = (block.run, block.segment);
        let books = match self.open.iter_mut().find(|books| (books.run, books.segment) == place) {
            Some(books) => books,
            None => {
                if self.open.len() == OPEN_SEGMENTS {
                    self.finish_oldest();
                }
                let tally = Tally::new(self.totals.lines.len(), self.totals.rungs.len());
                self.open.push_back(SegmentBooks { run: place.0, segment: place.1, tally });
                self.open.back_mut().expect("just added")
            }
        };
        books.tally.merge(&block.tally);
    }

    fn finish_oldest(&mut self) {
        if let Some(books) = self.open.pop_front() {
            // Nobody listens any more only when the run is being torn down.
            let _ = self.news.send(News::Segment(Box::new(books)));
        }
    }
}

impl Stage for Sequencer {
    fn pause(&self) {
        self.writers.iter().for_each(Sender::wake);
    }

    fn step(&mut self) -> Progress {
        let Some(writers) = &self.writers else {
            return Progress::Done;
        };
        let slots = self.waiting.len() as u64;
        match self.input.try_recv() {
            Ok(block) => {
                let slot = &mut self.waiting[(block.seq % slots) as usize];
                assert!(
                    slot.is_none() && block.seq >= self.next,
                    "block {} is out of the window of {slots}",
                    block.seq
                );
                *slot = Some(block);
            }
            Err(TryRecv::Empty) => return Progress::Idle,
            Err(TryRecv::Closed) => {
                self.writers = None;
                while !self.open.is_empty() {
                    self.finish_oldest();
                }
                return Progress::Done;
            }
        }
        let writers = writers.clone();
        while let Some(block) =
            self.waiting[(self.next % slots) as usize].take_if(|block| block.seq == self.next)
        {
            self.next += 1;
            self.book(&block);
            // As long as the pool (I1): fails only when the writers have died, and then the run is over.
            let _ = writers.try_send(block);
        }
        Progress::Worked
    }
}
