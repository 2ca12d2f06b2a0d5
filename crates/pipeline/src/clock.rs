//! Time is injected. It measures and paces; the one thing that it decides is whether an event is late, if the run has a deadline.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Monotonic time since the start of the run.
pub trait Clock: Send + Sync + Debug {
    /// Nanoseconds since an arbitrary start; never falls.
    fn now_ns(&self) -> u64;
}

/// The machine's monotonic clock. One reading costs about 25 ns, so a worker reads it once before and once after each batch, and once per slice of
/// a block if there is a deadline.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    start: Instant,
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for MonotonicClock {
    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

/// A clock that a simulation moves.
#[derive(Debug, Default)]
pub struct ManualClock {
    ns: AtomicU64,
}

impl ManualClock {
    /// Moves the clock on.
    pub fn advance(&self, ns: u64) {
        // Relaxed: the value alone matters, nothing is published with it.
        self.ns.fetch_add(ns, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_ns(&self) -> u64 {
        self.ns.load(Ordering::Relaxed)
    }
}
