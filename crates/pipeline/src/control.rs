//! How a run is watched and stopped from outside.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Shared between the stages and whoever started them.
///
/// All accesses are relaxed: each word stands for itself and publishes nothing else; stages see a change at their next step, at the latest when
/// their longest sleep ends.
#[derive(Debug, Default)]
pub struct Control {
    state: AtomicU8,
    events: AtomicU64,
    bytes: AtomicU64,
}

/// The states after running (0), in the only order in which they may follow each other.
const DRAIN: u8 = 1;
const ABORT: u8 = 2;
const DEAD: u8 = 3;

impl Control {
    /// Ends the run in order: no further input is taken, what was taken is decided and stored.
    pub fn drain(&self) {
        self.state.fetch_max(DRAIN, Ordering::Relaxed);
    }

    /// Ends the run at once: what is not yet decided is dropped and counted.
    pub fn abort(&self) {
        self.state.fetch_max(ABORT, Ordering::Relaxed);
    }

    /// A stage panicked: every other one stops where it is. Never part of a normal end.
    pub(crate) fn die(&self) {
        self.state.fetch_max(DEAD, Ordering::Relaxed);
    }

    /// Should no more input be taken?
    pub fn is_draining(&self) -> bool {
        self.state.load(Ordering::Relaxed) >= DRAIN
    }

    /// Should undecided events be dropped?
    pub(crate) fn is_aborting(&self) -> bool {
        self.state.load(Ordering::Relaxed) >= ABORT
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state.load(Ordering::Relaxed) == DEAD
    }

    /// Events and bytes so far, for a progress display.
    pub fn progress(&self) -> (u64, u64) {
        (self.events.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    pub(crate) fn add_progress(&self, events: u64, bytes: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
