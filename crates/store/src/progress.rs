//! How far a stream is stored, for observers on other threads.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of stored records of one stream since its start. They decrease only if another program removes a file that is being written.
#[derive(Debug, Default)]
pub struct StreamProgress {
    stored: AtomicU64,
    durable: AtomicU64,
}

impl StreamProgress {
    /// Called by the sink, after the system has confirmed both.
    pub(crate) fn set(&self, stored: u64, durable: u64) {
        // Pairs with the loads below: a thread that reads a count knows that the bytes were written or synced before.
        self.stored.store(stored, Ordering::Release);
        self.durable.store(durable, Ordering::Release);
    }

    /// Number of records that survive a killed process: the operating system has them.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Acquire)
    }

    /// Number of records that survive a loss of power.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }
}
