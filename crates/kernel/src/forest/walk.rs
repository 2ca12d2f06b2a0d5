//! Large trees: 16 events walk down at the same time, each on its own path.
//!
//! Each step of an event waits for the memory that the step before pointed to; sixteen independent events fill that time. There
//! is no branch to mispredict: all take as many steps as the deepest leaf needs, and an event that has arrived stays on its leaf.

use std::hint::select_unpredictable;

use super::Weigher;
use super::flat::{Flat, FlatNode};
use super::spec::Combine;
use crate::lanes::{EVENTS, Lanes};

/// Events that walk together.
const GROUP: usize = 16;
/// Steps between checks whether all events have arrived; most trees are no deeper.
const STRIDE: usize = 12;

/// A node: goes on to `child` if `row <= threshold`, else to `child + 1`. At a leaf the threshold is NaN and `child + 1` is the leaf itself.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
struct WalkNode {
    threshold: f32,
    row: u32,
    child: u32,
    leaf: u32,
}

/// Trees laid out for walking.
#[derive(Clone, Debug, Default)]
pub(super) struct Walks {
    steps: Vec<WalkNode>,
    /// `[leaf][output]`: the contributions to the outputs of the tree.
    weights: Vec<f32>,
}

/// One tree of [`Walks`].
#[derive(Clone, Debug)]
pub(super) struct WalkTree {
    steps: std::ops::Range<usize>,
    weights: usize,
    depth: usize,
}

impl Walks {
    /// Adds a tree that contributes to `outputs` outputs; `weight(leaf, k)` is the contribution of a leaf to the `k`-th.
    pub fn add(&mut self, tree: &Flat, outputs: usize, weight: impl Fn(usize, usize) -> f32) -> WalkTree {
        let (start, weights) = (self.steps.len(), self.weights.len());
        // Level by level, with the two children of a branch side by side.
        let mut order = vec![0];
        let mut at = 0;
        while let Some(&node) = order.get(at) {
            let step = match tree.nodes[node] {
                FlatNode::Branch { row, threshold, no, .. } => {
                    let child = order.len() as u32;
                    order.extend([node + 1, no]);
                    WalkNode { threshold, row, child, leaf: 0 }
                }
                FlatNode::Leaf(leaf) => WalkNode {
                    threshold: f32::NAN,
                    row: 0,
                    child: (at as u32).wrapping_sub(1),
                    leaf: leaf as u32,
                },
            };
            self.steps.push(step);
            at += 1;
        }
        for leaf in 0..tree.leaves.len() {
            self.weights.extend((0..outputs).map(|k| weight(leaf, k)));
        }
        WalkTree { steps: start..self.steps.len(), weights, depth: tree.depth }
    }

    /// Adds the contributions of `tree` to `scores`, for the first `events` lanes and some beyond.
    #[inline(always)]
    pub fn run(
        &self,
        tree: &WalkTree,
        weigher: &Weigher<'_>,
        rows: &[Lanes],
        scores: &mut [Lanes],
        events: usize,
    ) {
        let steps = &self.steps[tree.steps.clone()];
        let outputs = weigher.outputs.len();
        for first in (0..events.min(EVENTS)).step_by(GROUP) {
            let ends = walk(steps, tree.depth, rows, first / GROUP);
            for (lane, end) in ends.into_iter().enumerate() {
                let leaf = steps[end as usize].leaf as usize;
                let weights = &self.weights[tree.weights + leaf * outputs..][..outputs];
                for (&output, &weight) in weigher.outputs.iter().zip(weights) {
                    let score = &mut scores[output as usize].0[first + lane];
                    *score = match weigher.aggregate {
                        Combine::Sum | Combine::Average => *score + weight,
                        Combine::Min if weight < *score => weight,
                        Combine::Max if weight > *score => weight,
                        Combine::Min | Combine::Max => *score,
                    };
                }
            }
        }
    }
}

/// The leaves at which the events of a group end.
#[inline(always)]
fn walk(steps: &[WalkNode], depth: usize, rows: &[Lanes], group: usize) -> [u32; GROUP] {
    let mut left = depth.saturating_sub(STRIDE);
    let mut at = stride(steps, [0; GROUP], depth - left, rows, group);
    while left > 0 {
        let count = left.min(STRIDE);
        let next = stride(steps, at, count, rows, group);
        if next == at {
            break;
        }
        at = next;
        left -= count;
    }
    at
}

/// The nodes of the events after `count` more steps.
#[inline(always)]
fn stride(
    steps: &[WalkNode],
    mut at: [u32; GROUP],
    count: usize,
    rows: &[Lanes],
    group: usize,
) -> [u32; GROUP] {
    for _ in 0..count {
        for (lane, at) in at.iter_mut().enumerate() {
            let step = &steps[*at as usize];
            let x = rows[step.row as usize].0[(group * GROUP + lane) % EVENTS];
            *at = select_unpredictable(x <= step.threshold, step.child, step.child.wrapping_add(1));
        }
    }
    at
}
