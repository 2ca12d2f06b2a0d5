//! Where every event ended, and the equation that must hold.
//!
//! ```text
//!   received = accepted + rejected + dropped{cause} + corrupt{cause} + errored{cause} + in_flight,      in_flight = 0 at exit
//!   accepted + errored = stored + store_failed
//!   accepted + rejected = sum of the rungs of the fallback ladder
//! ```
//!
//! Units. A received unit is an event of a frame with an intact header. A stretch of bytes in which no frame can be read counts as one
//! received and one corrupt unit, since nobody can know how many events it held: it never disappears from the books. `missing` ids were never
//! received; they stand beside the equation. So do `degraded` events, which a stand-in scored after a device was lost, and `forgotten` ones, whose ids are
//! not remembered any more: each of them has its end too.
//!
//! * I1: every unit ends under exactly one cause, counted by the thread that owned it, before that thread hands it on.
//! * I2: the two sides of the equation are counted by different stages ([`Tally::received`] by the one that admits, the ends by those that
//!   decide), so an event that is lost or doubled on the way cannot balance.
//!
//! Threads: none. Tallies are plain `u64` owned by one thread and travel as values.

mod causes;
mod latency;
mod tally;

pub use causes::{Cause, Corrupt, Counts, Dropped, Errored};
pub use latency::{Latency, Quantiles};
pub use tally::{FrameTally, Imbalance, LineTally, Storage, Tally};
