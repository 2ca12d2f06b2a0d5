//! The pipeline: admit, score, decide, put in order, store.
//!
//! ```text
//!            free Inbound <------------------------------.            free Outbound <-------------------------.
//!                 v                                      |                 v                                   |
//!  Source --> Admission --Inbound--> queue --> Worker (n threads) --Outbound--> Sequencer --> Writer --> Writer --> (pool)
//!             frames, ids,                     score, decide,                   input order,   stream 0   ... error stream
//!             what is lost                     copy what is kept                segment books
//! ```
//!
//! A **stage** is a state machine with one method, [`Stage::step`]. Threads call it until it is done and sleep when it has nothing to do; the
//! simulation calls the steps of all stages on one thread in an order drawn from a seed. Both drive the same code.
//!
//! Stages pass events on in **batches**: `Inbound` carries up to `--batch` events to a worker, in a [`tamis_event::Block`] for each of their
//! segments, and `Outbound` carries what the worker made of them.
//!
//! * I1: a stage waits only for a free batch or for bytes of the budget; the sequencer also waits for the reader of the segment books. Every queue
//!   is as long as its pool, so a send always succeeds, and [`Limits`] bounds the memory.
//! * I2: a worker holds an output batch before it takes an input batch, and bytes are reserved for the oldest batch in flight
//!   (`budget.rs`). So that one always has the memory that it needs, and the pipeline cannot lock up while the sequencer waits for it.
//! * I3: the sequencer forwards batches in the order of admission. So what is stored does not depend on the number of workers.
//! * I4: an event's verdict depends on its bytes, its id and run, the menu and the models; never on its block, batch, thread or time. Its record
//!   shows the two exceptions: the event was late, if the run has a deadline, or its device was lost.
//! * I5: the decision path (admission, workers) waits for storage only through the pool, and then the source waits too.
//!
//! Threads: one for admission, one per worker, one for the sequencer, one per stream; where CPUs are scarce, admission may share a worker's thread
//! (`crew.rs`). Cost: two queue hops per batch; per event nothing but its bytes' checksum, its scores, its verdict and, if kept, one copy.

mod admission;
mod budget;
mod clock;
mod control;
mod crew;
mod guard;
mod ids;
mod input;
mod judge;
mod ladder;
mod limits;
mod outbound;
mod pacer;
mod run;
mod scheduling;
mod scorer;
mod scoring;
mod sequencer;
#[cfg(test)]
mod simulation;
mod stage;
mod worker;
mod writer;

pub use clock::{Clock, ManualClock, MonotonicClock};
pub use control::Control;
pub use guard::is_guarded;
pub use ids::{Admitted, FrameIds, IDS_BYTES_MAX, IdBook};
pub use input::{Found, FrameReader};
pub use judge::{Judge, Kept, Stamp};
pub use ladder::{Choice, DeviceLoss};
pub use limits::{BATCH_EVENTS_MAX, Limits, LimitsError, OUTPUT_BYTES_MAX, WORKERS_MAX};
pub use pacer::Pace;
pub use run::{Latencies, Outcome, Pipeline, SegmentBooks, Setup, Share, StreamOutcome};
pub use scheduling::{Cpus, allowed_cpus, keep_on};
pub use scorer::Scorer;
pub use scoring::Undecided;
pub use stage::{Progress, Stage};
