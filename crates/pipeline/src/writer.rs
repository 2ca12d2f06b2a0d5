//! The storing stages, one per stream: each stores its events of every output batch and passes the batch on.
//!
//! Batches visit the writers one after the other, so each has one owner at a time and returns to the pool after the last. When a sink fails, its
//! writer asks the run to drain, and counts as failed what the sink took without storing it and every further event of the stream. It still passes
//! batches on: the books stay exact.

use std::collections::VecDeque;
use std::sync::Arc;

use tamis_ledger::{Latency, Storage};
use tamis_port::{Sink, SinkError, SinkReport, Stored};
use tamis_ring::{Receiver, Sender, TryRecv};

use crate::budget::Budget;
use crate::guard::guarded;
use crate::outbound::Outbound;
use crate::{Clock, Control, Progress, Stage};

/// See the module's doc.
pub(crate) struct Writer {
    stream: usize,
    /// Name of the stream.
    name: String,
    /// The sink, until it panics.
    sink: Option<Box<dyn Sink>>,
    input: Receiver<Outbound>,
    /// The next writer, or the pool; dropped at the end.
    next: Option<Sender<Outbound>>,
    /// Only the last writer has it: there the way of a batch ends.
    budget: Option<Arc<Budget>>,
    clock: Arc<dyn Clock>,
    control: Arc<Control>,
    /// Events that the sink took and did not store yet, oldest first: is this stream the first of the event's streams?
    taken: VecDeque<bool>,
    /// Events in finished files, and those of them that this stream is the first of.
    closed: (u64, u64),
    report: WriterReport,
}

/// What a writer leaves behind.
#[derive(Debug, Default)]
pub(crate) struct WriterReport {
    /// Events of this stream that were written, and those that were not.
    pub(crate) written: u64,
    pub(crate) failed: u64,
    /// What was written and what was not, among the events that go to this stream first.
    pub(crate) storage: Storage,
    pub(crate) sink: SinkReport,
    pub(crate) error: Option<SinkError>,
    pub(crate) latency: Latency,
}

impl Writer {
    pub(crate) fn new(
        (stream, name): (usize, String),
        sink: Box<dyn Sink>,
        input: Receiver<Outbound>,
        next: Sender<Outbound>,
        budget: Option<Arc<Budget>>,
        clock: Arc<dyn Clock>,
        control: Arc<Control>,
    ) -> Self {
        Self {
            stream,
            name,
            sink: Some(sink),
            input,
            next: Some(next),
            budget,
            clock,
            control,
            taken: VecDeque::new(),
            closed: (0, 0),
            report: WriterReport::default(),
        }
    }

    pub(crate) fn report(&mut self) -> WriterReport {
        std::mem::take(&mut self.report)
    }

    fn store(&mut self, batch: &Outbound) {
        let bit = 1 << self.stream;
        let mut taken = 0;
        for entry in batch.entries.iter().filter(|entry| entry.streams & bit != 0) {
            let record = &batch.records[entry.start..entry.start + entry.len];
            let stored = Stored { event_id: entry.event_id, time_ns: entry.time_ns, record };
            // Counted as taken first: if the sink fails at this very record, it fails with those that wait in its memory.
            self.taken.push_back(entry.streams.trailing_zeros() as usize == self.stream);
            taken +=
                u64::from(self.report.error.is_none() && self.attempt(|sink| sink.write(stored)).is_some());
        }
        if taken > 0 {
            self.report.latency.record(self.clock.now_ns().saturating_sub(batch.admitted_ns), taken);
        }
    }

    /// Books what the sink has stored by now, and after its failure everything else as failed.
    fn book_sink(&mut self) {
        let told = |report: &SinkReport| (report.events, report.closed);
        let (events, closed) = self.call(|sink| told(sink.report())).unwrap_or(told(&self.report.sink));
        self.book_stored(closed);
        if self.report.written == closed {
            self.closed = (closed, self.report.storage.stored);
        }
        self.book_stored(events);
        if events < self.report.written {
            // Somebody took away the file that was being written, with all that was booked since the one before.
            self.report.failed += self.report.written - self.closed.0;
            self.report.storage.failed += self.report.storage.stored - self.closed.1;
            (self.report.written, self.report.storage.stored) = self.closed;
        }
        if self.report.error.is_some() {
            self.report.failed += self.taken.len() as u64;
            self.report.storage.failed +=
                self.taken.iter().filter(|&&first_stream| first_stream).count() as u64;
            self.taken.clear();
        }
    }

    /// Books as stored, up to so many events of this stream.
    fn book_stored(&mut self, events: u64) {
        while self.report.written < events
            && let Some(first_stream) = self.taken.pop_front()
        {
            self.report.written += 1;
            self.report.storage.stored += u64::from(first_stream);
        }
    }

    /// One call of the sink; its first error stops the run.
    fn attempt<T>(&mut self, call: impl FnOnce(&mut dyn Sink) -> Result<T, SinkError>) -> Option<T> {
        match self.call(call)? {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    /// One call of the sink, if it is there. If it panics, that is its failure, and it is never called again.
    fn call<T>(&mut self, call: impl FnOnce(&mut dyn Sink) -> T) -> Option<T> {
        let sink = self.sink.as_mut()?;
        match guarded(|| call(&mut **sink)) {
            Ok(value) => Some(value),
            Err(message) => {
                // What it had stored by then is stored.
                if let Ok(report) = guarded(|| sink.report().clone()) {
                    self.report.sink = report;
                }
                let broken = self.sink.take();
                let _ = guarded(|| drop(broken));
                let message = format!("the storage of this stream panicked: {message}");
                self.fail(SinkError { place: self.name.clone(), message });
                None
            }
        }
    }

    fn fail(&mut self, error: SinkError) {
        self.control.drain();
        self.report.error.get_or_insert(error);
    }

    fn tick(&mut self) {
        if self.report.error.is_none() {
            let now = self.clock.now_ns();
            self.attempt(|sink| sink.tick(now));
        }
    }

    /// Closes the sink, if that was not done: nothing more comes.
    pub(crate) fn close(&mut self) {
        if self.next.take().is_some() {
            self.attempt(|sink| sink.close());
            self.book_sink();
            if let Some(report) = self.call(|sink| sink.report().clone()) {
                self.report.sink = report;
            }
        }
    }
}

impl Stage for Writer {
    fn pause(&self) {
        self.next.iter().for_each(Sender::wake);
    }

    fn step(&mut self) -> Progress {
        let Some(next) = &self.next else {
            return Progress::Done;
        };
        match self.input.try_recv() {
            Ok(mut batch) => {
                let next = next.clone();
                self.store(&batch);
                self.tick();
                self.book_sink();
                if let Some(budget) = &self.budget {
                    batch.end(budget);
                }
                // As long as the pool (I1): fails only when the other side has died or ended, and then nobody needs the batch.
                let _ = next.try_send(batch);
                Progress::Worked
            }
            Err(TryRecv::Empty) => {
                self.tick();
                Progress::Idle
            }
            Err(TryRecv::Closed) => {
                self.close();
                Progress::Done
            }
        }
    }
}
