//! Finds rows with the same run and event id.
//!
//! Consecutive ids in consecutive rows are one stretch of 24 bytes. Stretches are sorted and compared at the end, or when there are
//! [`STRETCHES_MAX`] of them; later rows are compared only within parts of as many. A table whose ids ascend is still compared as a whole,
//! however long it is, because equal ids are adjacent in it.

/// Most stretches in memory: 192 MiB.
const STRETCHES_MAX: usize = 1 << 23;
/// Most repeated ids that a message names.
const NAMED: usize = 3;

/// Consecutive ids in consecutive rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stretch {
    run: u32,
    first: u64,
    row: u64,
    len: u32,
}

impl Stretch {
    fn last(&self) -> u64 {
        self.first + u64::from(self.len - 1)
    }

    /// Do this id and row follow the last ones of the stretch?
    fn goes_on(&self, run: u32, id: u64, row: u64) -> bool {
        let len = u64::from(self.len);
        run == self.run
            && self.first.checked_add(len) == Some(id)
            && self.row + len == row
            && self.len < u32::MAX
    }
}

/// Two rows with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Repeat {
    /// The later row.
    row: u64,
    earlier: u64,
    run: u32,
    id: u64,
}

/// The ids so far.
#[derive(Debug)]
pub(super) struct Repeats {
    stretches: Vec<Stretch>,
    most: usize,
    named: Vec<Repeat>,
    /// Number of rows with the id of an earlier one.
    rows: u64,
    /// Number of rows after the first part.
    later: u64,
    parts: u64,
    last: Option<(u32, u64)>,
    ascends: bool,
}

impl Default for Repeats {
    fn default() -> Self {
        Self::with_room(STRETCHES_MAX)
    }
}

impl Repeats {
    fn with_room(most: usize) -> Self {
        Self {
            stretches: Vec::new(),
            most,
            named: Vec::new(),
            rows: 0,
            later: 0,
            parts: 0,
            last: None,
            ascends: true,
        }
    }

    /// Adds the id of a row.
    pub(super) fn add(&mut self, run: u32, id: u64, row: u64) {
        self.ascends &= self.last <= Some((run, id));
        self.last = Some((run, id));
        self.later += u64::from(self.parts > 0);
        match self.stretches.last_mut() {
            Some(last) if last.goes_on(run, id, row) => last.len += 1,
            _ => {
                if self.stretches.len() == self.most {
                    self.compare();
                    // In an ascending table, a row can repeat only the id of the row before.
                    let greatest = self.stretches.pop();
                    self.stretches.clear();
                    self.stretches.extend(greatest);
                    self.parts += 1;
                    self.later += u64::from(self.parts == 1);
                }
                self.stretches.push(Stretch { run, first: id, row, len: 1 });
            }
        }
    }

    /// Compares the ids that were not compared yet. Nothing is added afterwards.
    pub(super) fn finish(&mut self) {
        self.compare();
        self.stretches.clear();
    }

    /// Names the repeated ids, if there are any, as the first part of a sentence. Rows are called `called`.
    pub(super) fn told(&self, called: &str) -> Option<String> {
        let named: Vec<String> = self
            .named
            .iter()
            .map(|Repeat { row, earlier, run, id }| {
                format!("event {id} of run {run} stands in {called} {earlier} and again in {called} {row}")
            })
            .collect();
        let more = match self.rows.saturating_sub(named.len() as u64) {
            0 => String::new(),
            1 => "; 1 more row repeats an id".into(),
            more => format!("; {more} more rows repeat an id"),
        };
        (self.rows > 0).then(|| format!("{}{more}", named.join("; ")))
    }

    /// Number of rows that were not compared with all rows before.
    pub(super) fn uncompared(&self) -> u64 {
        if self.ascends { 0 } else { self.later }
    }

    fn compare(&mut self) {
        self.stretches.sort_unstable();
        // The earlier stretch that reaches farthest: any overlap of an earlier stretch with a later one lies in it, too.
        let mut reach: Option<Stretch> = None;
        for next in &self.stretches {
            let overlap = reach.filter(|reach| reach.run == next.run && next.first <= reach.last());
            if let Some(reach) = overlap {
                self.rows += reach.last().min(next.last()) - next.first + 1;
                let twin = reach.row + (next.first - reach.first);
                let (row, earlier) = (twin.max(next.row), twin.min(next.row));
                name(&mut self.named, Repeat { row, earlier, run: next.run, id: next.first });
            }
            if overlap.is_none_or(|reach| next.last() > reach.last()) {
                reach = Some(*next);
            }
        }
    }
}

/// Keeps the first few repeats in row order.
fn name(named: &mut Vec<Repeat>, repeat: Repeat) {
    let at = named.partition_point(|other| *other < repeat);
    if at < NAMED {
        named.insert(at, repeat);
        named.truncate(NAMED);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn told(ids: &[(u32, u64)], most: usize) -> (u64, Option<String>, u64) {
        let mut repeats = Repeats::with_room(most);
        for (row, &(run, id)) in (2..).zip(ids) {
            repeats.add(run, id, row);
        }
        repeats.finish();
        (repeats.rows, repeats.told("line"), repeats.uncompared())
    }

    proptest! {
        /// The oracle is a hash set.
        #[test]
        fn rows_that_repeat_an_id_are_counted(ids in prop::collection::vec((0..3u32, 0..40u64), 0..60), most in 1..8usize) {
            let mut seen = HashSet::new();
            let wanted = ids.iter().filter(|&id| !seen.insert(*id)).count() as u64;
            let (rows, sentence, uncompared) = told(&ids, STRETCHES_MAX);
            prop_assert_eq!((rows, sentence.is_some(), uncompared), (wanted, wanted > 0, 0));
            // With little memory, an ascending table is compared as a whole, and for others the number of uncompared rows is reported.
            let mut sorted = ids.clone();
            sorted.sort_unstable();
            let (rows, _, uncompared) = told(&sorted, most);
            prop_assert_eq!((rows, uncompared), (wanted, 0));
            let (rows, _, uncompared) = told(&ids, most);
            prop_assert!(rows <= wanted && (uncompared > 0 || rows == wanted), "{} of {}, {}", rows, wanted, uncompared);
        }
    }

    #[test]
    fn repeats_are_named_with_both_rows() {
        let max = u64::MAX;
        let ids = [(1, 5), (1, 6), (1, 7), (2, 6), (1, 6), (1, max), (1, 0), (1, max), (1, 7), (1, 7)];
        let (rows, sentence, _) = told(&ids, STRETCHES_MAX);
        assert_eq!(rows, 4);
        let sentence = sentence.unwrap();
        assert!(sentence.starts_with("event 6 of run 1 stands in line 3 and again in line 6; event 18446744073709551615 of run 1 stands in line 7 and again in line 9; event 7 of run 1 stands in line 4 and again in line 10; 1 more"), "{sentence}");
    }
}
