//! What stands around the pipeline in a simulation: a source, a sink, a clock.

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tamis_port::{Sink, SinkError, SinkReport, Source, SourceError, Stored, Window};
use tamis_ring::Bell;

use crate::{Clock, ManualClock};

/// Gives bytes in windows of the given sizes, in turn, with pauses, as often as there are passes.
pub(super) struct Windows {
    pub(super) whole: Bytes,
    /// What is left of this pass.
    pub(super) bytes: Bytes,
    pub(super) sizes: Vec<usize>,
    pub(super) turn: usize,
    /// Passes after this one.
    pub(super) more: u64,
    /// Do its frames come by themselves?
    pub(super) is_live: bool,
    /// Calls of it so far, and the one at which it panics.
    pub(super) calls: Cell<usize>,
    pub(super) panics_at: usize,
    /// What it took back of the last window: at every second turn it does.
    pub(super) back: Vec<u8>,
}

impl Windows {
    fn count_call(&self) {
        self.calls.set(self.calls.get() + 1);
        assert!(self.calls.get() != self.panics_at, "a source that panics");
    }
}

impl Source for Windows {
    fn poll(&mut self) -> Result<Window, SourceError> {
        self.count_call();
        self.turn += 1;
        if self.bytes.is_empty() && self.more > 0 {
            self.more -= 1;
            self.bytes = self.whole.clone();
            self.back.clear();
            return Ok(Window::Restart);
        }
        if self.bytes.is_empty() {
            return Ok(Window::End);
        }
        if self.turn.is_multiple_of(3) {
            return Ok(Window::Idle);
        }
        let size = self.sizes[self.turn % self.sizes.len()].min(self.bytes.len());
        let mut window = std::mem::take(&mut self.back);
        window.extend_from_slice(&self.bytes.split_to(size));
        Ok(Window::Bytes(window.into()))
    }

    fn arrived_ns(&self) -> Option<u64> {
        self.count_call();
        None
    }

    fn bell(&self) -> Option<Arc<Bell>> {
        self.count_call();
        None
    }

    fn is_live(&self) -> bool {
        self.count_call();
        self.is_live
    }

    fn unread(&mut self, tail: &[u8], _wanted: usize) -> bool {
        self.count_call();
        let takes = self.turn.is_multiple_of(2);
        self.back = if takes { tail.to_vec() } else { Vec::new() };
        takes
    }

    fn stop(&mut self) {
        self.count_call();
        self.bytes.clear();
        self.more = 0;
    }
}

/// What a sink has stored: ids and records.
pub(super) type Records = Arc<Mutex<Vec<(u64, Vec<u8>)>>>;

/// Stores records in memory, ten at a time; fails for ever once `limit` are stored, and loses what it had taken beyond.
pub(super) struct Memory {
    pub(super) records: Records,
    pub(super) waiting: Vec<(u64, Vec<u8>)>,
    pub(super) limit: usize,
    pub(super) report: SinkReport,
    /// Calls until it panics.
    pub(super) panics_after: Cell<u64>,
}

impl Memory {
    pub(super) fn new(records: Records) -> Self {
        let report = SinkReport::default();
        let panics_after = Cell::new(u64::MAX);
        Self { records, waiting: Vec::new(), limit: usize::MAX, report, panics_after }
    }

    fn count_call(&self) {
        self.panics_after.set(self.panics_after.get().wrapping_sub(1));
        assert!(self.panics_after.get() != 0, "a sink that panics");
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let mut records = self.records.lock().unwrap();
        for record in self.waiting.drain(..) {
            if records.len() == self.limit {
                return Err(SinkError { place: "memory".into(), message: "full".into() });
            }
            records.push(record);
            self.report.events += 1;
        }
        Ok(())
    }
}

impl Sink for Memory {
    fn write(&mut self, stored: Stored<'_>) -> Result<(), SinkError> {
        self.count_call();
        self.waiting.push((stored.event_id, stored.record.to_vec()));
        if self.waiting.len() == 10 { self.flush() } else { Ok(()) }
    }

    fn tick(&mut self, _now_ns: u64) -> Result<(), SinkError> {
        self.count_call();
        Ok(())
    }

    fn report(&self) -> &SinkReport {
        self.count_call();
        &self.report
    }

    fn close(&mut self) -> Result<SinkReport, SinkError> {
        self.count_call();
        self.flush()?;
        Ok(self.report.clone())
    }
}

/// A clock that moves on between steps, and by `tick_ns` whenever it is read, so that time passes within a step too.
#[derive(Debug, Default)]
pub(super) struct SimClock {
    pub(super) clock: ManualClock,
    pub(super) tick_ns: u64,
}

impl Clock for SimClock {
    fn now_ns(&self) -> u64 {
        self.clock.advance(self.tick_ns);
        self.clock.now_ns()
    }
}
