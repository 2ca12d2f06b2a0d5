//! A seeded detector that needs no physics generator: events of any schema, arrival times, and faults with their expected ledger.
//!
//! ```text
//!   Schema + GenOptions --Generator--> encoded frames --Mixture--> with columns, lists, payloads --FaultPlan--> damaged byte stream
//!                                                                                                    |
//!   Arrivals: when each frame is due                 Truth: what a reader must report, to the event <-'
//! ```
//!
//! Invariants:
//!
//! * I1: everything is a function of its seed; the number of threads, the frame size and the machine change nothing.
//! * I2: an event is a function of (schema, seed, event id) alone, so any part of a sample can be made again on its own.
//! * I3: every injected fault has exactly one cause in terms of `SPEC.md` section 3 (see [`FaultPlan`]).
//!
//! Threads: [`Generator::generate`] makes batches of frames in the caller's rayon pool. Cost: about 25 ns per number of an event.

mod arrivals;
mod faults;
mod generator;
mod mixture;
mod parts;
mod random;
mod shape;
mod truth;

pub use arrivals::{Arrivals, Schedule};
pub use faults::{Fault, FaultPlan, FaultRates, Faulted};
pub use generator::{GenError, GenOptions, Generated, Generator};
pub use mixture::Mixture;
pub use shape::SIGNAL_CLASSES;
pub use truth::{Loss, Sent, Truth};
