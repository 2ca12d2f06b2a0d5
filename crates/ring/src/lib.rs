//! What stages pass on goes through a lock-free queue: a bounded one whose ends can sleep.
//!
//! Promise: [`Sender::try_send`] and [`Receiver::try_recv`] take no lock, allocate nothing and never wait for room or items; a full queue hands the
//! item back; nothing is lost or doubled when ends are dropped. A thread that has nothing to do sleeps on its [`Bell`] and costs nothing until
//! someone rings.
//!
//! ```text
//!   stage A --try_send--> [ queue of capacity n ] --try_recv--> stage B
//!      ^                                                          |
//!      '---- bell A is rung when room appears   bell B is rung when an item appears
//! ```
//!
//! Words. *Lock-free*: no thread ever sleeps in an operation, or holds what another must take. One wait is left: between the two writes with which a
//! thread puts in (or takes out) an item, the thread that comes to the same slot next spins; if the first one loses its CPU just there, the other
//! spins for that time slice. Items are batches of thousands of events, so this shows only in latency tails when threads outnumber CPUs. *End*: a
//! sender or receiver; a queue with no sender left is closed (receivers drain it, then see [`TryRecv::Closed`]), one with no receiver left hands
//! every item back.
//!
//! * I1: at most `capacity` items are in a queue.
//! * I2: a stage that announces sleep, then looks at its queues once more, then sleeps, misses no item (see [`Bell`]). Items of a patient end
//!   ([`Sender::patient`]) are found when there are enough of them, when their sender pauses or leaves, or when the sleeper wakes by itself.
//! * I3: an item is in a queue, in a sender's hand or in a receiver's hand, always in exactly one of these.
//!
//! The queue is `crossbeam`'s `ArrayQueue` (Vyukov's bounded queue). Considered and left: `crossbeam-channel`, whose wake-up takes a mutex when
//! a receiver sleeps and whose ends cannot wait for several queues at once without `select`; per-pair single-producer rings, which are faster
//! per item, but an item here is a batch of thousands of events, and one hop costs well under a nanosecond per event.

mod bell;
mod items;
mod queue;

pub use bell::Bell;
pub use queue::{Receiver, Sender, TryRecv, TrySend, queue};
