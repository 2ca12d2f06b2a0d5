//! The counters of one segment or of a whole run.

use serde::Serialize;

use crate::{Corrupt, Counts, Dropped, Errored};

/// Frames and bytes as they arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FrameTally {
    /// Good event frames and lost stretches together.
    pub received: u64,
    /// Lost frames or stretches of bytes by cause.
    pub corrupt: Counts<Corrupt>,
    /// Bytes that arrived.
    pub bytes: u64,
    /// Bytes among them that belong to no good frame.
    pub bytes_corrupt: u64,
}

/// One trigger line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LineTally {
    /// Events whose condition held.
    pub passed: u64,
    /// Those of them that the prescale let through.
    pub kept: u64,
}

/// Every counter of the books; the crate's doc has the equation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Units that arrived, counted where they are admitted.
    pub received: u64,
    /// Events that at least one line kept.
    pub accepted: u64,
    /// Events that no line kept.
    pub rejected: u64,
    /// Events that were given up.
    pub dropped: Counts<Dropped>,
    /// Units that are no good events.
    pub corrupt: Counts<Corrupt>,
    /// Events that could not be decided.
    pub errored: Counts<Errored>,
    /// Decided events (accepted and rejected) by the rung of the fallback ladder that decided them.
    pub rungs: Vec<u64>,
    /// Events with a score from a stand-in, after a device was lost; decided or not.
    pub degraded: u64,
    /// Ids that were skipped over, minus those that came late after all.
    pub missing: i128,
    /// Events whose ids are not remembered any more: should they come again, nobody would notice.
    pub forgotten: u64,
    /// Frames and bytes.
    pub frames: FrameTally,
    /// One entry per line of the menu.
    pub lines: Vec<LineTally>,
}

/// The books do not balance: a defect of this program, never of the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Imbalance {
    /// Events were lost (positive) or doubled (negative) on the way.
    #[error(
        "the ledger does not balance: {received} received, but {ended} ended ({in_flight} unaccounted for)"
    )]
    InFlight {
        /// Left side of the equation.
        received: u64,
        /// Right side without `in_flight`.
        ended: u64,
        /// Their difference.
        in_flight: i64,
    },
    /// Decided events and those of all rungs differ.
    #[error(
        "the ledger does not balance: {decided} events decided, but {on_rungs} on the rungs of the ladder"
    )]
    Rungs {
        /// Accepted and rejected.
        decided: u64,
        /// All rungs together.
        on_rungs: u64,
    },
    /// The run balances, but not this segment of it.
    #[error("run {run}, segment {segment}: {imbalance}")]
    Segment {
        /// Run.
        run: u32,
        /// Segment of the run.
        segment: u32,
        /// What is wrong with its books.
        imbalance: Box<Imbalance>,
    },
    /// Events for storage that are neither stored nor counted as failed.
    #[error(
        "the ledger does not balance: {kept} events for storage, but {stored} stored and {failed} failed to be stored"
    )]
    Storage {
        /// Left side: accepted and errored.
        kept: u64,
        /// Right side.
        stored: u64,
        /// Right side.
        failed: u64,
    },
}

/// What became of the events that were handed to storage.
///
/// An event that goes to several streams is counted by the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// Written.
    pub stored: u64,
    /// Lost by storage.
    pub failed: u64,
}

impl Storage {
    /// Was every accepted and every errored event of `tally` stored or counted as failed?
    pub fn balance(&self, tally: &Tally) -> Result<(), Imbalance> {
        let kept = tally.accepted + tally.errored.total();
        if kept == self.stored + self.failed {
            return Ok(());
        }
        Err(Imbalance::Storage { kept, stored: self.stored, failed: self.failed })
    }
}

impl Tally {
    /// An empty tally for a menu of `lines` lines and a ladder of `rungs` rungs.
    pub fn new(lines: usize, rungs: usize) -> Self {
        Self { lines: vec![LineTally::default(); lines], rungs: vec![0; rungs], ..Self::default() }
    }

    /// Units that ended, whatever the way.
    pub fn ended(&self) -> u64 {
        self.accepted + self.rejected + self.dropped.total() + self.corrupt.total() + self.errored.total()
    }

    /// Units that were received and have not ended.
    pub fn in_flight(&self) -> i64 {
        self.received.wrapping_sub(self.ended()) as i64
    }

    /// Events that reached a verdict.
    pub fn decided(&self) -> u64 {
        self.accepted + self.rejected
    }

    /// Do the equations hold with nothing in flight?
    pub fn balance(&self) -> Result<(), Imbalance> {
        let in_flight = self.in_flight();
        if in_flight != 0 {
            return Err(Imbalance::InFlight { received: self.received, ended: self.ended(), in_flight });
        }
        let decided = self.decided();
        let on_rungs = self.rungs.iter().sum();
        if decided != on_rungs {
            return Err(Imbalance::Rungs { decided, on_rungs });
        }
        Ok(())
    }

    /// Was any data lost or left undecided? The run then ends with exit code 75.
    pub fn has_losses(&self) -> bool {
        self.dropped.total() + self.corrupt.total() + self.errored.total() + self.forgotten > 0
            || self.missing != 0
    }

    /// Counts a lost frame or stretch: `events` that its intact header announced, or one unit if nobody can know.
    pub fn lose(&mut self, cause: Corrupt, events: u64) {
        let units = events.max(1);
        self.received += units;
        self.corrupt.add(cause, units);
        self.frames.received += 1;
        self.frames.corrupt.add(cause, 1);
    }

    /// Counts events of a good frame that came before.
    pub fn repeat(&mut self, events: u64) {
        self.received += events;
        self.corrupt.add(Corrupt::Dup, events);
    }

    /// Counts ids that were skipped over, or that came late after all, and those that had to be forgotten.
    pub fn skip(&mut self, missing: i128, forgotten: u64) {
        self.missing += missing;
        self.forgotten += forgotten;
    }

    /// Adds another tally, counter by counter.
    pub fn merge(&mut self, other: &Self) {
        self.received += other.received;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.dropped.merge(&other.dropped);
        self.corrupt.merge(&other.corrupt);
        self.errored.merge(&other.errored);
        self.rungs.resize(self.rungs.len().max(other.rungs.len()), 0);
        self.rungs.iter_mut().zip(&other.rungs).for_each(|(mine, theirs)| *mine += theirs);
        self.degraded += other.degraded;
        self.skip(other.missing, other.forgotten);
        self.frames.received += other.frames.received;
        self.frames.corrupt.merge(&other.frames.corrupt);
        self.frames.bytes += other.frames.bytes;
        self.frames.bytes_corrupt += other.frames.bytes_corrupt;
        self.lines.resize(self.lines.len().max(other.lines.len()), LineTally::default());
        for (mine, theirs) in self.lines.iter_mut().zip(&other.lines) {
            mine.passed += theirs.passed;
            mine.kept += theirs.kept;
        }
    }

    /// Sets every counter to 0; memory is kept.
    pub fn clear(&mut self) {
        let Self {
            received,
            accepted,
            rejected,
            dropped,
            corrupt,
            errored,
            rungs,
            degraded,
            missing,
            forgotten,
            frames,
            lines,
        } = self;
        for counter in [received, accepted, rejected, degraded, forgotten] {
            *counter = 0;
        }
        *missing = 0;
        rungs.fill(0);
        dropped.clear();
        corrupt.clear();
        errored.clear();
        frames.corrupt.clear();
        (frames.received, frames.bytes, frames.bytes_corrupt) = (0, 0, 0);
        lines.fill(LineTally::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cause;

    /// A tally in which every counter has a different value, so that a forgotten one shows.
    fn full() -> Tally {
        let mut tally = Tally::new(2, 3);
        let mut next = 1;
        let mut step = || {
            next *= 2;
            next
        };
        (tally.accepted, tally.rejected) = (step(), step());
        Dropped::ALL.iter().for_each(|&cause| tally.dropped.add(cause, step()));
        Errored::ALL.iter().for_each(|&cause| tally.errored.add(cause, step()));
        Corrupt::ALL.iter().for_each(|&cause| tally.lose(cause, step()));
        (tally.frames.bytes, tally.frames.bytes_corrupt, tally.missing) = (step(), step(), step().into());
        tally.degraded = step();
        tally.forgotten = step();
        tally.rungs.iter_mut().for_each(|rung| *rung = step());
        tally.lines.iter_mut().for_each(|line| *line = LineTally { passed: step(), kept: step() });
        tally.received = step();
        tally
    }

    #[test]
    fn merge_adds_and_clear_empties_every_counter() {
        let mut sum = full();
        sum.merge(&full());
        let double = |json: serde_json::Value| -> serde_json::Value { map(json, &|n| n * 2) };
        assert_eq!(serde_json::to_value(&sum).unwrap(), double(serde_json::to_value(full()).unwrap()));
        sum.clear();
        assert_eq!(sum, Tally::new(2, 3));
    }

    fn map(json: serde_json::Value, f: &dyn Fn(i64) -> i64) -> serde_json::Value {
        use serde_json::Value::{Array, Number, Object};
        match json {
            Number(n) => f(n.as_i64().unwrap()).into(),
            Array(items) => Array(items.into_iter().map(|item| map(item, f)).collect()),
            Object(items) => Object(items.into_iter().map(|(key, item)| (key, map(item, f))).collect()),
            other => other,
        }
    }

    #[test]
    fn every_cause_is_a_side_of_the_equation() {
        let balanced = {
            let mut tally = full();
            tally.rejected = tally.rungs.iter().sum::<u64>() - tally.accepted;
            tally.received = tally.ended();
            tally
        };
        assert_eq!(balanced.balance(), Ok(()));
        let breaks = |change: &dyn Fn(&mut Tally)| {
            let mut tally = balanced.clone();
            change(&mut tally);
            tally.balance().is_err()
        };
        assert!((0..3).all(|rung| breaks(&|t| t.rungs[rung] += 1)));
        assert!(breaks(&|t| t.received += 1) && breaks(&|t| t.rejected += 1) && breaks(&|t| t.accepted += 1));
        let kept = balanced.accepted + balanced.errored.total();
        assert!(Storage { stored: kept - 3, failed: 3 }.balance(&balanced).is_ok());
        assert!(Storage { stored: kept, failed: 3 }.balance(&balanced).is_err());
        assert!(Dropped::ALL.iter().all(|&cause| breaks(&|t| t.dropped.add(cause, 1))));
        assert!(Corrupt::ALL.iter().all(|&cause| breaks(&|t| t.corrupt.add(cause, 1))));
        assert!(Errored::ALL.iter().all(|&cause| breaks(&|t| t.errored.add(cause, 1))));
    }

    #[test]
    fn a_stretch_of_unknown_size_is_one_unit() {
        let mut tally = Tally::default();
        tally.lose(Corrupt::Magic, 0);
        tally.lose(Corrupt::Crc, 7);
        assert_eq!((tally.received, tally.corrupt.total(), tally.frames.received), (8, 8, 2));
        assert!(tally.balance().is_ok() && tally.has_losses());
    }
}
