//! How far a stream is stored, for whoever watches from another thread.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of the records of one stream, from its first on. They only fall if somebody takes a file away that is being written.
#[derive(Debug, Default)]
pub struct StreamProgress {
    stored: AtomicU64,
    durable: AtomicU64,
}

impl StreamProgress {
    /// Called by the sink, after the system has confirmed both.
    pub(crate) fn set(&self, stored: u64, durable: u64) {
        // Partners: the loads below. Who reads a count does what he does after the bytes were written or synced.
        self.stored.store(stored, Ordering::Release);
        self.durable.store(durable, Ordering::Release);
    }

    /// Records that survive a killed process: the operating system has them.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Acquire)
    }

    /// Records that survive a loss of power.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }
}
