//! Every limit of a run, in one place, and the pool sizes that follow from them.

use tamis_event::{BODY_BYTES_MAX, EVENT_BYTES_MAX, EventLayout};

use crate::IDS_BYTES_MAX;

/// Most worker threads.
pub const WORKERS_MAX: usize = 256;
/// Most events in a batch.
pub const BATCH_EVENTS_MAX: usize = 65_536;
/// Most bytes of records, and of payloads, in a batch, unless a single event is longer: bounds the memory of output batches when everything is kept.
pub(crate) const BATCH_BYTES_MAX: usize = 16 << 20;
/// Batches that may wait for each worker. It goes on with them while admission sleeps until some are free, wakes up, and fills those.
const WAITING_PER_WORKER: usize = 4;
/// Output batches by which each worker may be ahead of the slowest one.
const AHEAD_PER_WORKER: usize = 4;
/// Output batches that may wait for each writer, at least and at most. A writer that compresses a chunk takes nothing for some ms, in which small
/// batches come by the hundred; a decision should not wait for it.
const WAITING_PER_WRITER: [usize; 2] = [16, 256];
/// Bytes that a record takes beside its event, with a menu of some ten lines. From it follows how many batches may wait so that all of them keep
/// their memory even when every event is kept. More may wait, but that costs allocations.
const RECORD_BYTES: usize = 160;
/// Output batches that may wait for all writers together, unless they are the fewest for each.
const WAITING_MAX: usize = 4096;
/// Most bytes of all output batches together.
pub const OUTPUT_BYTES_MAX: usize = 512 << 20;
/// Bytes of the input that all input batches together keep in memory, unless this leaves less for one of them than [`BATCH_INPUT_BYTES_MIN`], or
/// than its events may need. A batch keeps whole read buffers, also where only a few of their events are new.
const INPUT_BYTES: usize = 256 << 20;
/// Two of the largest read buffers.
const BATCH_INPUT_BYTES_MIN: usize = 4 << 20;

/// What bounds a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    workers: usize,
    batch: usize,
    /// Output batches that may wait for all writers together and keep their memory.
    waiting_batches: usize,
    output_bytes_max: usize,
    batch_input_bytes: usize,
    has_payloads: bool,
}

/// A limit that was asked for and is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// Too few or too many workers.
    #[error("{0} workers; use 1 to {WORKERS_MAX}")]
    Workers(usize),
    /// Too small or too large a batch.
    #[error("a batch of {0} events; use 1 to {BATCH_EVENTS_MAX}")]
    Batch(usize),
}

impl Limits {
    /// Checks the two numbers that a user chooses.
    ///
    /// `batch` is cut down so that the records of a batch stay within 16 MiB.
    pub fn new(workers: usize, batch: usize, layout: EventLayout) -> Result<Self, LimitsError> {
        let EventLayout { stride: record_len, has_payloads } = layout;
        if !(1..=WORKERS_MAX).contains(&workers) {
            return Err(LimitsError::Workers(workers));
        }
        if !(1..=BATCH_EVENTS_MAX).contains(&batch) {
            return Err(LimitsError::Batch(batch));
        }
        let fitting = (BATCH_BYTES_MAX / record_len.max(1)).max(1);
        let batch = batch.min(fitting);
        // Buffers grow to the double at most, and half of the budget may be held by batches that wait.
        let waiting_batches = OUTPUT_BYTES_MAX / 2 / (2 * batch * (record_len + RECORD_BYTES));
        // What is copied is at most four times as long as the events that are wanted (`admission.rs`).
        let batch_input_bytes = BATCH_INPUT_BYTES_MIN.max(4 * batch * record_len);
        let output_bytes_max = OUTPUT_BYTES_MAX;
        let limits =
            Self { workers, batch, waiting_batches, output_bytes_max, batch_input_bytes, has_payloads };
        Ok(Self {
            batch_input_bytes: batch_input_bytes.max(INPUT_BYTES / limits.inbound_batches()),
            ..limits
        })
    }

    /// These limits with as few output batches as possible, and memory for two of them: then everything waits for everything sooner.
    #[cfg(test)]
    pub(crate) fn tight(self) -> Self {
        Self { waiting_batches: 0, output_bytes_max: 0, ..self }
    }

    /// Most bytes that all output batches take together, however much is kept and however slow storage is; if two batches whose events are all
    /// kept need more, that is the limit.
    pub fn output_bytes_max(self) -> usize {
        self.output_bytes_max
    }

    /// Most bytes of payloads in a batch: a single event may have more than the others together.
    pub(crate) fn payload_bytes(self) -> usize {
        if self.has_payloads { BATCH_BYTES_MAX.max(EVENT_BYTES_MAX) } else { 0 }
    }

    /// Most bytes of the input that a batch keeps in memory, unless a single read buffer has more.
    pub fn batch_input_bytes(self) -> usize {
        self.batch_input_bytes
    }

    /// Most bytes of the input that all input batches keep in memory together, whatever comes.
    pub fn input_bytes_max(self) -> usize {
        // A buffer has room for the longest frame, and what is behind it in the last huge page.
        let longest_buffer = if self.has_payloads { BODY_BYTES_MAX + (4 << 20) } else { 0 };
        self.inbound_batches() * self.batch_input_bytes.max(longest_buffer)
    }

    /// Most bytes of the memory that grows with the input: input batches, output batches and ids. Besides, a run has the buffers of its source,
    /// its models, and what sinks hold.
    pub fn bytes_max(self) -> usize {
        self.input_bytes_max() + self.output_bytes_max + IDS_BYTES_MAX
    }

    /// Worker threads.
    pub fn workers(self) -> usize {
        self.workers
    }

    /// Most events in a batch.
    pub fn batch(self) -> usize {
        self.batch
    }

    /// Input batches: one being filled, one in each worker's hand, and those that wait.
    pub fn inbound_batches(self) -> usize {
        1 + self.workers + WAITING_PER_WORKER * self.workers
    }

    /// Free input batches that wait before a sleeping admission is woken, while batches are freed one after the other. The workers meanwhile have
    /// work for longer than a wake-up takes.
    pub(crate) fn free_per_wake(self) -> usize {
        self.inbound_batches() / 3
    }

    /// Output batches that wait before a sleeping stage behind the decision is woken, while batches keep coming: a small part of those that may
    /// wait for it. One wake-up costs about as much as deciding a hundred events.
    pub(crate) fn outputs_per_wake(self, writers: usize) -> usize {
        self.waiting(writers) / 4
    }

    /// Output batches that may wait for each of the writers.
    fn waiting(self, writers: usize) -> usize {
        let [least, most] = WAITING_PER_WRITER;
        (self.waiting_batches.min(WAITING_MAX) / writers.max(1)).clamp(least, most)
    }

    /// Output batches for a run with `writers` streams: one in each worker's hand, those that are ahead of the order, those that wait for a
    /// writer, and one in each writer's hand.
    pub fn outbound_batches(self, writers: usize) -> usize {
        self.workers + AHEAD_PER_WORKER * self.workers + self.waiting(writers) * writers + writers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(record_len: usize) -> EventLayout {
        EventLayout { stride: record_len, has_payloads: false }
    }

    #[test]
    fn the_edges_are_where_the_messages_say() {
        assert!(
            Limits::new(1, 1, plain(100)).is_ok()
                && Limits::new(WORKERS_MAX, BATCH_EVENTS_MAX, plain(100)).is_ok()
        );
        assert_eq!(Limits::new(0, 1, plain(100)), Err(LimitsError::Workers(0)));
        assert_eq!(
            Limits::new(1, BATCH_EVENTS_MAX + 1, plain(100)),
            Err(LimitsError::Batch(BATCH_EVENTS_MAX + 1))
        );
    }

    #[test]
    fn large_events_make_small_batches() {
        let batch = |record_len| Limits::new(1, 4096, plain(record_len)).map(Limits::batch);
        assert_eq!((batch(116), batch(1 << 20), batch(1 << 30)), (Ok(4096), Ok(16), Ok(1)));
    }

    #[test]
    fn input_batches_keep_what_they_need_and_share_a_few_hundred_megabytes() {
        let limits = |workers, record_len| Limits::new(workers, 4096, plain(record_len)).unwrap();
        for workers in 1..=12 {
            assert!(limits(workers, 116).input_bytes_max() <= INPUT_BYTES);
        }
        for (workers, record_len) in [(1, 1), (2, 116), (WORKERS_MAX, 116), (2, 1 << 20)] {
            let limits = limits(workers, record_len);
            assert!(limits.batch_input_bytes() >= limits.batch() * record_len + (2 << 20));
        }
        let raw = Limits::new(2, 4096, EventLayout { has_payloads: true, ..plain(116) }).unwrap();
        assert!(raw.input_bytes_max() >= raw.inbound_batches() * BODY_BYTES_MAX);
    }
}
