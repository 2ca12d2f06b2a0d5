//! Small trees: every branch is evaluated for all events at once, and none is followed.
//!
//! ```text
//!            x <= 3 ?                 bit      0  1  2      leaves from left to right
//!           /        \                start    1  1  1
//!       y <= 1 ?    leaf 2            x > 3:   0  0  .      the leaves on the yes side are excluded
//!      /       \                      y > 1:   0  .  .
//!   leaf 0   leaf 1                   the event's leaf is the lowest bit left
//! ```
//!
//! No event follows a path of its own, so a register of events shares each comparison, and inputs are loaded side by side instead of gathered.
//! A branch that lies on no event's path costs as much as any other, so this pays off for trees with few leaves.
//!
//! The method is that of `QuickScorer` (Lucchese et al., SIGIR 2015), without its early exit, which a register full of events rarely allows.

use std::ops::Range;

use super::Weigher;
use super::flat::{Flat, FlatNode};
use crate::lanes::{Lanes, REGISTERS};
use crate::simd::Simd;

/// Leaves per word of bits.
const WORD: usize = 32;
/// Most words of a tree.
const WORDS_MAX: usize = 4;
/// Most leaves of a tree.
pub(super) const LEAVES_MAX: usize = WORD * WORDS_MAX;

/// A branch: where `row <= threshold` does not hold, only the leaves in `keep` remain.
#[derive(Clone, Copy, Debug)]
struct Branch {
    threshold: f32,
    row: u32,
    keep: u32,
}

/// Trees as cuts.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    cuts: Vec<Branch>,
    tables: Vec<[f32; WORD]>,
}

/// One tree of [`Cuts`].
#[derive(Clone, Debug)]
pub(super) struct CutTree {
    /// The cuts of each word of leaves.
    words: Vec<Range<usize>>,
    /// Index of the first table. There is a table of leaf weights for each word and, within it, each output of the tree.
    tables: usize,
}

impl Cuts {
    /// Adds a tree of at most [`LEAVES_MAX`] leaves that contributes to `outputs` outputs; `weight(leaf, k)` is the contribution of a leaf to the
    /// `k`-th.
    pub fn add(&mut self, tree: &Flat, outputs: usize, weight: impl Fn(usize, usize) -> f32) -> CutTree {
        let count = tree.leaves.len().div_ceil(WORD);
        assert!(count <= WORDS_MAX, "more leaves than bits");
        let tables = self.tables.len();
        let mut words = Vec::new();
        for word in 0..count {
            let leaves = word * WORD..((word + 1) * WORD).min(tree.leaves.len());
            let start = self.cuts.len();
            for node in &tree.nodes {
                if let FlatNode::Branch { row, threshold, left, .. } = node {
                    let cut = left.start.max(leaves.start)..left.end.min(leaves.end);
                    let gone = cut.fold(0u32, |gone, leaf| gone | 1 << (leaf - leaves.start));
                    if gone != 0 {
                        self.cuts.push(Branch { threshold: *threshold, row: *row, keep: !gone });
                    }
                }
            }
            words.push(start..self.cuts.len());
            for k in 0..outputs {
                let mut table = [0.0; WORD];
                table.iter_mut().zip(leaves.clone()).for_each(|(entry, leaf)| *entry = weight(leaf, k));
                self.tables.push(table);
            }
        }
        CutTree { words, tables }
    }

    /// Adds the contributions of `tree` to `scores`, for the first `events` lanes and some beyond.
    #[inline(always)]
    pub fn run<S: Simd>(
        &self,
        simd: S,
        tree: &CutTree,
        weigher: &Weigher<'_>,
        rows: &[Lanes],
        scores: &mut [Lanes],
        events: usize,
    ) {
        for first in (0..events.div_ceil(S::LANES)).step_by(REGISTERS) {
            self.registers(simd, tree, weigher, rows, scores, first);
        }
    }

    #[inline(always)]
    fn registers<S: Simd>(
        &self,
        simd: S,
        tree: &CutTree,
        weigher: &Weigher<'_>,
        rows: &[Lanes],
        scores: &mut [Lanes],
        first: usize,
    ) {
        let tables = &self.tables[tree.tables..][..tree.words.len() * weigher.outputs.len()];
        if let &[output] = weigher.outputs {
            let mut given = [simd.splat(0.0); REGISTERS];
            // The lowest bit overall is in the first word with any bit set, so that word is applied last and overrides the others.
            for (cuts, table) in tree.words.iter().zip(tables).rev() {
                let bits = left(simd, &self.cuts[cuts.clone()], rows, first);
                for r in 0..REGISTERS {
                    given[r] = simd.pick(bits[r], table, given[r]);
                }
            }
            weigher.give(simd, given, &mut scores[output as usize], first);
            return;
        }
        let mut words = [[simd.splat(0.0); REGISTERS]; WORDS_MAX];
        for (bits, cuts) in words.iter_mut().zip(&tree.words) {
            *bits = left(simd, &self.cuts[cuts.clone()], rows, first);
        }
        for (k, &output) in weigher.outputs.iter().enumerate() {
            let mut given = [simd.splat(0.0); REGISTERS];
            let tables = tables[k..].iter().step_by(weigher.outputs.len());
            for (bits, table) in words.iter().zip(tables).rev() {
                for r in 0..REGISTERS {
                    given[r] = simd.pick(bits[r], table, given[r]);
                }
            }
            weigher.give(simd, given, &mut scores[output as usize], first);
        }
    }
}

/// The leaves of a word that remain after all `cuts`, for [`REGISTERS`] registers of events.
#[inline(always)]
fn left<S: Simd>(simd: S, cuts: &[Branch], rows: &[Lanes], first: usize) -> [S::V; REGISTERS] {
    let mut bits = [simd.splat(f32::from_bits(u32::MAX)); REGISTERS];
    for cut in cuts {
        let row = &rows[cut.row as usize];
        let threshold = simd.splat(cut.threshold);
        let keep = simd.splat(f32::from_bits(cut.keep));
        for (r, bits) in bits.iter_mut().enumerate() {
            *bits = simd.keep_unless_le(*bits, simd.load(row, first + r), threshold, keep);
        }
    }
    bits
}
