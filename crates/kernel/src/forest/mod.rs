//! Boosted trees and random forests, compiled once and run on tiles of 32 events.
//!
//! ```text
//!   ForestSpec --checked--> rules --small tree--> cuts: all branches, no path    \
//!   (ONNX's meaning)        `x <= t`               (a register of events at once) > the leaf of each event --> outputs
//!                              `------large tree--> walk: one path per event     /
//! ```
//!
//! * I1: outputs add up in the order of the trees, in `f32`, however a tree finds its leaf, so scores are bit-identical everywhere.
//! * I2: an event is in exactly one leaf of each tree.

mod cuts;
mod error;
mod flat;
mod rules;
mod spec;
mod walk;

pub use error::{ForestError, TreeFault};
pub use spec::{BranchTest, Combine, ForestNode, ForestSpec, Missing, Tree};

use cuts::{CutTree, Cuts};
use flat::Flat;
use rules::{Rows, RowsBuilder};
use walk::{WalkTree, Walks};

use crate::chain::WIDTH_MAX;
use crate::gather::{Column, Gather};
use crate::isa::{Isa, Level, Work};
use crate::lanes::{EVENTS, Lanes, REGISTERS, Tile, from_rows, to_rows};
use crate::passes;
use crate::simd::Simd;

/// Most trees of a forest.
pub const TREES_MAX: usize = 1 << 16;
/// Most nodes of all trees together.
pub const NODES_MAX: usize = 1 << 24;
/// Most weights of all leaves together.
pub const WEIGHTS_MAX: usize = 1 << 26;
/// Most distinct tests with `==`.
pub const EQUALS_MAX: usize = 1 << 14;

/// A compiled forest. Immutable and shared by threads; each brings its own [`Tile`].
#[derive(Clone, Debug)]
pub struct Forest {
    level: Level,
    rows: Rows,
    inputs: usize,
    trees: Vec<Compiled>,
    cuts: Cuts,
    walks: Walks,
    aggregate: Combine,
    base: Vec<f32>,
}

#[derive(Clone, Debug)]
struct Compiled {
    /// Outputs that the tree contributes to.
    outputs: Vec<u32>,
    method: Method,
}

/// How the leaf of an event is found.
#[derive(Clone, Debug)]
enum Method {
    Cuts(CutTree),
    Walk(WalkTree),
}

/// Adds the contributions of a tree to its outputs.
#[derive(Clone, Copy, Debug)]
struct Weigher<'a> {
    outputs: &'a [u32],
    aggregate: Combine,
}

impl Weigher<'_> {
    /// Adds the contribution of a tree to one output, from register `first` on.
    #[inline(always)]
    fn give<S: Simd>(&self, simd: S, given: [S::V; REGISTERS], score: &mut Lanes, first: usize) {
        for (r, given) in given.into_iter().enumerate() {
            let sum = simd.load(score, first + r);
            let sum = match self.aggregate {
                Combine::Sum | Combine::Average => simd.add(sum, given),
                Combine::Min => simd.min(given, sum),
                Combine::Max => simd.max(given, sum),
            };
            simd.store(score, first + r, sum);
        }
    }
}

impl Forest {
    /// Compiles `spec` for the fastest instruction set of this CPU.
    ///
    /// # Errors
    /// If a tree is invalid (see [`TreeFault`]), a number cannot be used, or a limit is exceeded.
    pub fn new(spec: &ForestSpec) -> Result<Self, ForestError> {
        Self::with_isa(spec, Isa::best())
    }

    /// Compiles `spec` for `isa`. The scores are bit-identical for every `isa`.
    ///
    /// # Errors
    /// As [`Forest::new`], and if this CPU lacks `isa`.
    pub fn with_isa(spec: &ForestSpec, isa: Isa) -> Result<Self, ForestError> {
        let level = Level::new(isa).ok_or(ForestError::Lacks(isa))?;
        check(spec)?;
        let mut rows = RowsBuilder::new(spec.inputs);
        let mut cuts = Cuts::default();
        let mut walks = Walks::default();
        let mut weights = 0;
        let mut trees = Vec::new();
        for (index, tree) in spec.trees.iter().enumerate() {
            let wrong = |fault| ForestError::Tree { tree: index, fault };
            tree.check(spec.inputs, spec.outputs).map_err(wrong)?;
            let flat = Flat::new(tree, &mut rows).map_err(wrong)?;
            let outputs = touched(tree, spec.outputs);
            weights += flat.leaves.len() * outputs.len();
            if weights > WEIGHTS_MAX {
                return Err(ForestError::Weights);
            }
            if rows.equals() > EQUALS_MAX {
                return Err(ForestError::Equals);
            }
            let given = given(tree, &flat, &outputs, spec);
            let count = outputs.len();
            let leaves = flat.leaves.len();
            let weight = |leaf: usize, k: usize| given[leaf * count + k];
            let method =
                if leaves <= cuts::LEAVES_MAX && leaves <= 1 + flat.depth * level.tuning().cuts_per_step {
                    Method::Cuts(cuts.add(&flat, count, weight))
                } else {
                    Method::Walk(walks.add(&flat, count, weight))
                };
            trees.push(Compiled { outputs, method });
        }
        let base = if spec.base.is_empty() { vec![0.0; spec.outputs] } else { spec.base.clone() };
        let &ForestSpec { inputs, aggregate, .. } = spec;
        Ok(Self { level, rows: rows.finish(), inputs, trees, cuts, walks, aggregate, base })
    }

    /// Inputs per event.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Scores per event.
    pub fn outputs(&self) -> usize {
        self.base.len()
    }

    /// The instruction set that the forest was compiled for.
    pub fn isa(&self) -> Isa {
        self.level.isa()
    }

    /// The memory that one thread needs to run the forest.
    pub fn tile(&self) -> Tile {
        Tile::new(self.inputs, self.rows.derived(), [0; 2], self.outputs())
    }

    /// Plans how to gather the inputs from records of `record_len` bytes. The caller fills in inputs that no column names.
    ///
    /// # Panics
    /// If a column does not lie within the record.
    pub fn gather(&self, record_len: usize, columns: &[Column]) -> Gather {
        Gather::new(self.level, record_len, self.inputs(), columns)
    }

    /// Scores any number of events: `rows` are `[event][input]`, `scores` are `[event][score]`.
    ///
    /// # Panics
    /// If the lengths do not fit, or `tile` was made by another kernel.
    pub fn run(&self, tile: &mut Tile, rows: &[f32], scores: &mut [f32]) {
        tile.assert_fits(self.inputs(), self.outputs(), rows, scores);
        self.level.run(RunRows { forest: self, tile, rows, scores });
    }

    /// Scores the first `events` events of `tile`, whose inputs the caller has written. The scores are in [`Tile::scores`].
    ///
    /// # Panics
    /// If `tile` was made by another kernel.
    pub fn run_tile(&self, tile: &mut Tile, events: usize) {
        tile.assert_shape(self.inputs(), self.outputs());
        self.level.run(RunTile { forest: self, tile, events: events.min(EVENTS) });
    }

    #[inline(always)]
    fn score<S: Simd>(&self, simd: S, tile: &mut Tile, events: usize) {
        let Tile { rows, scores, .. } = tile;
        self.rows.fill(rows);
        scores.fill(Lanes([neutral(self.aggregate); EVENTS]));
        for tree in &self.trees {
            let weigher = Weigher { outputs: &tree.outputs, aggregate: self.aggregate };
            match &tree.method {
                Method::Cuts(cut) => self.cuts.run(simd, cut, &weigher, rows, scores, events),
                Method::Walk(walk) => self.walks.run(walk, &weigher, rows, scores, events),
            }
        }
        self.finish(simd, scores, events);
    }

    #[inline(always)]
    fn finish<S: Simd>(&self, simd: S, scores: &mut [Lanes], events: usize) {
        let trees = self.trees.len() as f32;
        let nothing = neutral(self.aggregate);
        for (score, &base) in scores.iter_mut().zip(&self.base) {
            for sum in &mut score.0 {
                let given = match self.aggregate {
                    Combine::Sum => *sum,
                    Combine::Average => *sum / trees,
                    Combine::Min | Combine::Max => {
                        if *sum == nothing {
                            0.0
                        } else {
                            *sum
                        }
                    }
                };
                *sum = given + base;
            }
        }
        passes::one_nan(simd, scores, events);
    }
}

struct RunRows<'a> {
    forest: &'a Forest,
    tile: &'a mut Tile,
    rows: &'a [f32],
    scores: &'a mut [f32],
}

impl Work for RunRows<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { forest, tile, rows, scores } = self;
        let (inputs, outputs) = (forest.inputs(), forest.outputs());
        for (rows, scores) in rows.chunks(EVENTS * inputs).zip(scores.chunks_mut(EVENTS * outputs)) {
            from_rows(simd, rows, tile.inputs_mut());
            forest.score(simd, tile, rows.len() / inputs);
            to_rows(&tile.scores, scores);
        }
    }
}

struct RunTile<'a> {
    forest: &'a Forest,
    tile: &'a mut Tile,
    events: usize,
}

impl Work for RunTile<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.forest.score(simd, self.tile, self.events);
    }
}

/// The neutral element: the contribution of a leaf without a weight for an output.
fn neutral(aggregate: Combine) -> f32 {
    match aggregate {
        Combine::Sum | Combine::Average => 0.0,
        Combine::Min => f32::INFINITY,
        Combine::Max => f32::NEG_INFINITY,
    }
}

/// The outputs that the leaves of `tree` contribute to, in ascending order.
fn touched(tree: &Tree, outputs: usize) -> Vec<u32> {
    let mut touched = vec![false; outputs];
    for node in &tree.nodes {
        if let ForestNode::Leaf { weights } = node {
            weights.iter().for_each(|&(output, _)| touched[output] = true);
        }
    }
    (0..outputs).filter(|&output| touched[output]).map(|output| output as u32).collect()
}

/// The contribution of each leaf to each of `outputs`.
fn given(tree: &Tree, flat: &Flat, outputs: &[u32], spec: &ForestSpec) -> Vec<f32> {
    let mut given = vec![neutral(spec.aggregate); flat.leaves.len() * outputs.len()];
    for (leaf, &node) in flat.leaves.iter().enumerate() {
        if let ForestNode::Leaf { weights } = &tree.nodes[node] {
            for &(output, weight) in weights {
                let k = outputs.binary_search(&(output as u32)).expect("the list has all of them");
                given[leaf * outputs.len() + k] = weight;
            }
        }
    }
    given
}

fn check(spec: &ForestSpec) -> Result<(), ForestError> {
    for width in [spec.inputs, spec.outputs] {
        if width == 0 || width > WIDTH_MAX {
            return Err(ForestError::Width(width));
        }
    }
    if spec.trees.is_empty() || spec.trees.len() > TREES_MAX {
        return Err(ForestError::Trees(spec.trees.len()));
    }
    let nodes = spec.trees.iter().map(|tree| tree.nodes.len()).sum();
    if nodes > NODES_MAX {
        return Err(ForestError::Nodes(nodes));
    }
    if !spec.base.is_empty() && spec.base.len() != spec.outputs {
        return Err(ForestError::Bases { found: spec.base.len(), outputs: spec.outputs });
    }
    if let Some(output) = spec.base.iter().position(|base| !base.is_finite()) {
        return Err(ForestError::Base(output));
    }
    Ok(())
}
