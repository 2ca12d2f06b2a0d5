//! Reduces every branch to one rule: is a row at most a threshold? A NaN never is.
//!
//! So the loops over events need not know the comparison, nor where missing values go. The reductions:
//!
//! * `x < t` is `x <= t'`, where `t'` is the next float below `t`;
//! * `x >= t` is `-x <= -t`, on a row that holds the negated input;
//! * "at most `t`, or missing" is "not above `t`": the rule for above, with its children swapped;
//! * `x == t` becomes a row of its own, 0 where it holds and 1 where it does not.
//!
//! These rows are numbered after the inputs and filled once per tile.

use std::collections::HashMap;

use super::spec::{BranchTest, Missing};
use crate::lanes::Lanes;

/// `row <= threshold`; with `exchanged`, the children are swapped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rule {
    pub row: u32,
    pub threshold: f32,
    pub exchanged: bool,
}

/// A row computed from an input.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Derived {
    /// The negated input.
    Negated { input: usize },
    /// 0 where the input equals `value`, or is missing and `missing` says so; else 1.
    Equal { input: usize, value: f32, missing: Missing },
}

/// The rows of a forest.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    inputs: usize,
    derived: Vec<Derived>,
}

impl Rows {
    /// Number of derived rows.
    pub fn derived(&self) -> usize {
        self.derived.len()
    }

    /// Fills the derived rows from the inputs, which precede them.
    #[inline(always)]
    pub fn fill(&self, rows: &mut [Lanes]) {
        let (inputs, derived) = rows.split_at_mut(self.inputs);
        for (row, derived) in derived.iter_mut().zip(&self.derived) {
            match *derived {
                Derived::Negated { input } => {
                    for (to, from) in row.0.iter_mut().zip(&inputs[input].0) {
                        *to = -from;
                    }
                }
                Derived::Equal { input, value, missing } => {
                    for (to, from) in row.0.iter_mut().zip(&inputs[input].0) {
                        let holds = *from == value || from.is_nan() && missing == Missing::Yes;
                        *to = if holds { 0.0 } else { 1.0 };
                    }
                }
            }
        }
    }
}

/// Turns branches into rules.
#[derive(Debug)]
pub(super) struct RowsBuilder {
    rows: Rows,
    negated: HashMap<usize, u32>,
    equal: HashMap<(usize, u32, bool), u32>,
}

impl RowsBuilder {
    pub fn new(inputs: usize) -> Self {
        Self { rows: Rows { inputs, derived: Vec::new() }, negated: HashMap::new(), equal: HashMap::new() }
    }

    /// Number of distinct tests for equality so far.
    pub fn equals(&self) -> usize {
        self.equal.len()
    }

    pub fn finish(self) -> Rows {
        self.rows
    }

    /// The rule for "`input` `comparison` `threshold`, or missing if `missing` says so".
    pub fn rule(&mut self, input: usize, comparison: BranchTest, threshold: f32, missing: Missing) -> Rule {
        let at_most = |row, threshold| Rule { row, threshold, exchanged: false };
        let above = |row, threshold| Rule { row, threshold, exchanged: true };
        match (comparison, missing) {
            (BranchTest::LessOrEqual, Missing::No) => at_most(input as u32, threshold),
            (BranchTest::LessOrEqual, Missing::Yes) => above(self.negated(input), below(-threshold)),
            (BranchTest::Less, Missing::No) => at_most(input as u32, below(threshold)),
            (BranchTest::Less, Missing::Yes) => above(self.negated(input), -threshold),
            (BranchTest::Equal, missing) => at_most(self.equal(input, threshold, missing), 0.5),
        }
    }

    fn negated(&mut self, input: usize) -> u32 {
        let rows = &mut self.rows;
        *self.negated.entry(input).or_insert_with(|| rows.add(Derived::Negated { input }))
    }

    fn equal(&mut self, input: usize, value: f32, missing: Missing) -> u32 {
        let rows = &mut self.rows;
        let key = (input, value.to_bits(), missing == Missing::Yes);
        *self.equal.entry(key).or_insert_with(|| rows.add(Derived::Equal { input, value, missing }))
    }
}

impl Rows {
    fn add(&mut self, derived: Derived) -> u32 {
        let row = (self.inputs + self.derived.len()) as u32;
        self.derived.push(derived);
        row
    }
}

/// The threshold `u` for which `x <= u` is equivalent to `x < threshold`; NaN, which no `x` satisfies, if there is none.
fn below(threshold: f32) -> f32 {
    if threshold == f32::NEG_INFINITY { f32::NAN } else { threshold.next_down() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [f32; 13] = [
        f32::NEG_INFINITY,
        f32::MIN,
        -1.0,
        -1e-45,
        -0.0,
        0.0,
        1e-45,
        f32::MIN_POSITIVE,
        1.0,
        1.000_000_1,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
    ];

    fn naive(x: f32, comparison: BranchTest, threshold: f32, missing: Missing) -> bool {
        if x.is_nan() {
            return missing == Missing::Yes;
        }
        match comparison {
            BranchTest::LessOrEqual => x <= threshold,
            BranchTest::Less => x < threshold,
            BranchTest::Equal => x == threshold,
        }
    }

    #[test]
    fn every_comparison_is_one_rule_also_at_the_edges() {
        use BranchTest::*;
        for comparison in [LessOrEqual, Less, Equal] {
            for missing in [Missing::Yes, Missing::No] {
                for threshold in VALUES.into_iter().filter(|value| !value.is_nan()) {
                    let mut builder = RowsBuilder::new(1);
                    let rule = builder.rule(0, comparison, threshold, missing);
                    let rows = builder.finish();
                    for x in VALUES {
                        let mut lanes = vec![Lanes([x; 32]); 1 + rows.derived()];
                        rows.fill(&mut lanes);
                        let got = (lanes[rule.row as usize].0[0] <= rule.threshold) != rule.exchanged;
                        let want = naive(x, comparison, threshold, missing);
                        assert_eq!(got, want, "{x:e} {comparison:?} {threshold:e}, missing {missing:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_are_shared() {
        let mut builder = RowsBuilder::new(3);
        let rules = [1.0, 2.0, 2.0].map(|t| builder.rule(1, BranchTest::LessOrEqual, t, Missing::Yes));
        assert_eq!(rules.map(|rule| rule.row), [3; 3]);
        let rules = [1.0, 2.0, 2.0].map(|t| builder.rule(1, BranchTest::Equal, t, Missing::No));
        assert_eq!(rules.map(|rule| rule.row), [4, 5, 5]);
        assert_eq!((builder.equals(), builder.finish().derived()), (2, 3));
    }
}
