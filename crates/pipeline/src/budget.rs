//! How many bytes all output batches may take together.
//!
//! Before a worker decides a batch, it obtains the most bytes that the result may need; afterwards it gives back what was not needed. So memory
//! stays bounded when a disk is slower than the input, however much is kept and however many streams there are.
//!
//! * I1: the bytes that one batch may need are reserved for the batch whose turn it is in the order of the input. That one waits only for
//!   batches before it, which writers free, and never for one behind it: so the pipeline cannot lock up.
//! * I2: batches in the pool keep memory for their next use only while at most half of the limit is used.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// See the module's doc. All orderings are relaxed: these are plain numbers, and what they count is handed over by queues. Whoever waits asks
/// again.
#[derive(Debug)]
pub(crate) struct Budget {
    max: usize,
    /// Bytes that are reserved for the batch whose turn it is.
    reserve: usize,
    used: AtomicUsize,
    /// Number of the batch whose turn it is.
    turn: AtomicU64,
    #[cfg(test)]
    peak: AtomicUsize,
    /// Reserves nothing for the batch whose turn it is, for the test that tests the tests.
    #[cfg(test)]
    pub(crate) fault: std::sync::atomic::AtomicBool,
}

impl Budget {
    /// A budget of `max` bytes, or of what two batches may need (`batch` bytes each) if that is more.
    pub(crate) fn new(max: usize, batch: usize) -> Self {
        Self {
            max: max.max(2 * batch),
            reserve: batch,
            used: AtomicUsize::new(0),
            turn: AtomicU64::new(0),
            #[cfg(test)]
            peak: AtomicUsize::new(0),
            #[cfg(test)]
            fault: false.into(),
        }
    }

    /// Obtains so many bytes for batch `seq`, all or none.
    pub(crate) fn obtain(&self, bytes: usize, seq: u64) -> bool {
        let is_its_turn = self.turn.load(Ordering::Relaxed) == seq;
        #[cfg(test)]
        let is_its_turn = is_its_turn || self.fault.load(Ordering::Relaxed);
        let max = if is_its_turn { self.max } else { self.max - self.reserve };
        let within = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= max);
        let before = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within);
        #[cfg(test)]
        self.peak.fetch_max(before.map_or(0, |used| used + bytes), Ordering::Relaxed);
        before.is_ok()
    }

    /// Gives bytes back.
    pub(crate) fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Makes it the turn of batch `seq`.
    pub(crate) fn turn_to(&self, seq: u64) {
        self.turn.store(seq, Ordering::Relaxed);
    }

    /// May a batch in the pool keep its memory?
    pub(crate) fn is_ample(&self) -> bool {
        self.used.load(Ordering::Relaxed) <= self.max / 2
    }

    /// The most bytes that were ever used, and the most that may be: for tests.
    #[cfg(test)]
    pub(crate) fn peak(&self) -> (usize, usize) {
        (self.peak.load(Ordering::Relaxed), self.max)
    }
}
