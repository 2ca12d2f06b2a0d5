//! Which event ids were seen: duplicates and gaps.
//!
//! Per source and run, the ids seen so far as a set of intervals. Ids come in order almost always, so the interval that grows is kept apart and
//! the common case is two comparisons per frame.
//!
//! * I1: intervals do not overlap or touch.
//! * I2: at most [`INTERVALS_MAX`] intervals per source and run, and [`BOOKS_MAX`] sources and runs: memory is bounded, whatever arrives.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Most gaps that are remembered per source and run.
const INTERVALS_MAX: usize = 65_536;
/// Most pairs of source and run that are remembered; beyond, the oldest pair is forgotten.
const BOOKS_MAX: usize = 4_096;

/// What the ids of a frame say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// All new. The number of missing ids grows by this much (it falls when a late frame fills a gap).
    New {
        /// Change of the number of missing ids.
        missing: i64,
    },
    /// At least one was seen before.
    Dup,
    /// Older than what is remembered.
    Late,
}

/// The ids of every source and run.
#[derive(Debug, Default)]
pub struct IdBook {
    books: HashMap<(u16, u32), Intervals>,
    order: VecDeque<(u16, u32)>,
}

impl IdBook {
    /// Admits `count` ids from `first`. `sparse` ids are labels: nothing is missing between them.
    ///
    /// # Panics
    /// If `count` is 0 or the last id exceeds `u64::MAX`; the codec has checked both.
    pub fn admit(&mut self, source: u16, run: u32, first: u64, count: u64, sparse: bool) -> Admit {
        let last =
            first.checked_add(count.checked_sub(1).expect("frames hold events")).expect("ids do not wrap");
        let key = (source, run);
        if !self.books.contains_key(&key) {
            if self.books.len() == BOOKS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.books.remove(&oldest);
            }
            self.order.push_back(key);
        }
        self.books.entry(key).or_default().admit(first, last, sparse)
    }
}

#[derive(Debug, Default)]
struct Intervals {
    /// The interval that grew last: first and last id.
    tail: Option<(u64, u64)>,
    /// The others: first id -> last id.
    others: BTreeMap<u64, u64>,
    /// Ids up to here are no longer remembered.
    forgotten: Option<u64>,
}

impl Intervals {
    fn admit(&mut self, first: u64, last: u64, sparse: bool) -> Admit {
        let before = self.bounds();
        if self.overlaps(first, last) {
            return Admit::Dup;
        }
        if !sparse && self.forgotten.is_some_and(|edge| first <= edge) {
            return Admit::Late;
        }
        self.insert(first, last);
        self.forget_surplus();
        if sparse {
            return Admit::New { missing: 0 };
        }
        // New ids outside the span seen so far open a gap; inside, they fill one.
        let count = i128::from(last - first) + 1;
        let missing = match before {
            None => 0,
            Some((low, high)) => {
                i128::from(high.max(last))
                    - i128::from(low.min(first))
                    - (i128::from(high) - i128::from(low))
                    - count
            }
        };
        Admit::New { missing: missing.clamp(i64::MIN.into(), i64::MAX.into()) as i64 }
    }

    /// Lowest and highest id seen.
    fn bounds(&self) -> Option<(u64, u64)> {
        let lows = [
            self.tail.map(|(first, _)| first),
            self.others.first_key_value().map(|(&first, _)| first),
            self.forgotten,
        ];
        let highs = [self.tail.map(|(_, last)| last), self.others.last_key_value().map(|(_, &last)| last)];
        Some((lows.into_iter().flatten().min()?, highs.into_iter().flatten().max()?))
    }

    fn overlaps(&self, first: u64, last: u64) -> bool {
        self.tail.is_some_and(|(from, to)| first <= to && from <= last)
            || self.others.range(..=last).next_back().is_some_and(|(_, &to)| to >= first)
    }

    fn insert(&mut self, first: u64, last: u64) {
        if let Some((from, to)) = self.tail
            && to.checked_add(1) == Some(first)
        {
            self.tail = Some((from, last));
        } else {
            if let Some((from, to)) = self.tail.replace((first, last)) {
                self.others.insert(from, to);
            }
            // The new tail may continue an interval on its left.
            if let Some((&from, &to)) = self.others.range(..first).next_back()
                && to.checked_add(1) == Some(first)
            {
                self.others.remove(&from);
                self.tail = Some((from, last));
            }
        }
        // And it may touch one on its right.
        if let Some(next) = last.checked_add(1)
            && let Some(to) = self.others.remove(&next)
        {
            self.tail = self.tail.map(|(from, _)| (from, to));
        }
    }

    fn forget_surplus(&mut self) {
        if self.others.len() >= INTERVALS_MAX
            && let Some((_, to)) = self.others.pop_first()
        {
            self.forgotten = self.forgotten.max(Some(to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Against a plain set of ids: duplicates are found exactly, and missing = span - unique ids.
        #[test]
        fn agrees_with_a_plain_set(frames in prop::collection::vec((0u64..200, 1u64..6), 1..120)) {
            let (mut book, mut seen, mut missing) = (IdBook::default(), BTreeSet::new(), 0);
            for (first, count) in frames {
                let ids = first..first + count;
                match book.admit(1, 7, first, count, false) {
                    Admit::New { missing: change } => {
                        prop_assert!(ids.clone().all(|id| !seen.contains(&id)));
                        missing += change;
                        seen.extend(ids);
                    }
                    Admit::Dup => prop_assert!(ids.clone().any(|id| seen.contains(&id))),
                    Admit::Late => prop_assert!(false, "nothing was forgotten"),
                }
                let span = seen.last().unwrap() - seen.first().unwrap() + 1;
                prop_assert_eq!(missing, (span - seen.len() as u64) as i64);
            }
        }
    }

    #[test]
    fn runs_and_sources_are_apart_and_labels_leave_no_gap() {
        let mut book = IdBook::default();
        let new = Admit::New { missing: 0 };
        assert_eq!(book.admit(1, 1, 5, 2, false), new);
        assert_eq!(book.admit(2, 1, 5, 2, false), new);
        assert_eq!(book.admit(1, 2, 5, 2, false), new);
        assert_eq!(book.admit(1, 1, 6, 2, false), Admit::Dup);
        assert_eq!(book.admit(1, 1, 1000, 1, true), new);
        assert_eq!(book.admit(1, 1, 1000, 1, true), Admit::Dup);
        assert_eq!(book.admit(3, 1, 0, 1, false), new);
        assert_eq!(book.admit(3, 1, u64::MAX, 1, false), Admit::New { missing: i64::MAX });
    }

    #[test]
    fn memory_is_bounded_and_what_was_forgotten_is_late() {
        let mut intervals = Intervals::default();
        for k in 0..2 * INTERVALS_MAX as u64 {
            intervals.admit(1_000 + 2 * k, 1_000 + 2 * k, false);
        }
        assert!(intervals.others.len() <= INTERVALS_MAX);
        assert_eq!(intervals.admit(1_001, 1_001, false), Admit::Late);
        assert_eq!(
            intervals.admit(1_001, 1_001, true),
            Admit::New { missing: 0 },
            "labels: it may well be new"
        );
        let mut book = IdBook::default();
        for run in 0..2 * BOOKS_MAX as u32 {
            book.admit(1, run, 0, 1, false);
        }
        assert!(book.books.len() <= BOOKS_MAX && book.order.len() <= BOOKS_MAX);
    }
}
