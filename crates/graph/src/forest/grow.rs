//! Turns nodes with arbitrary references into a checked [`TreeEnsemble`].
//!
//! Every tree is walked from its root with a work list, never by recursion: a file can hold a chain of a million nodes. A node
//! that several paths lead to is written once for each (converters write categories this way), up to the limit of nodes; one that
//! leads back to itself is refused.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Fault, refuse};
use crate::forest::{
    Aggregate, DEPTH_MAX, FOREST_OUTPUTS_MAX, Link, NODES_MAX, Named, Pair, TREES_MAX, Test, TreeEnsemble,
    TreeNode, Weight,
};

/// Most weights of all leaves together.
const WEIGHTS_MAX: usize = 1 << 22;

/// The comparison of a node, in the terms of ONNX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Leq,
    Lt,
    Gte,
    Gt,
    Eq,
    Neq,
    /// Is the feature a member of a set?
    Member,
}

/// A node before it is checked.
#[derive(Clone, Debug)]
pub(crate) struct DraftNode {
    /// Its name in the file, for messages.
    pub id: i64,
    pub kind: DraftKind,
}

#[derive(Clone, Debug)]
pub(crate) enum DraftKind {
    Split(SplitDraft),
    /// Outputs and weights.
    Leaf(Vec<(i64, f32)>),
}

#[derive(Clone, Debug)]
pub(crate) struct SplitDraft {
    pub feature: i64,
    pub mode: Mode,
    pub threshold: f32,
    /// Does a missing value count as true?
    pub missing_true: bool,
    /// Indices of the children in the draft.
    pub yes: usize,
    pub no: usize,
    /// The set, for [`Mode::Member`].
    pub members: Vec<f32>,
}

/// A forest before it is checked.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Numbers per event.
    pub features: usize,
    /// Number of outputs.
    pub outputs: usize,
    pub nodes: Vec<DraftNode>,
    /// Name of every tree in the file, and its root among the nodes.
    pub roots: Vec<(i64, usize)>,
    pub aggregate: Aggregate,
    /// One per output, or none.
    pub base: Vec<f32>,
}

impl Draft {
    /// Checks everything and builds the forest.
    pub fn grow(self) -> Result<TreeEnsemble, Fault> {
        if self.roots.is_empty() || self.roots.len() > TREES_MAX {
            refuse!("has {} trees; between 1 and {TREES_MAX} are supported", self.roots.len());
        }
        if self.outputs == 0 || self.outputs > FOREST_OUTPUTS_MAX {
            refuse!(
                "has {} outputs (targets or classes); between 1 and {FOREST_OUTPUTS_MAX} are supported",
                self.outputs
            );
        }
        if !self.base.is_empty() && self.base.len() != self.outputs {
            refuse!("has {} base values for {} outputs", self.base.len(), self.outputs);
        }
        if self.base.iter().any(|value| !value.is_finite()) {
            refuse!("has a base value that is not finite");
        }
        let mut grower = Grower::new(&self);
        let mut trees = Vec::new();
        for &(name, root) in &self.roots {
            trees.push(grower.tree(name, root)?);
        }
        if let Some(missed) = grower.used.iter().position(|used| !used) {
            refuse!("node {} is in no tree: no path from a root leads to it", self.nodes[missed].id);
        }
        Ok(grower.finish(&self, &trees))
    }
}

/// A tree that was walked.
struct GrownTree {
    root: u32,
    /// The number of its leaves that name an output, by output.
    names: BTreeMap<u32, usize>,
    leaves: usize,
}

/// An item of the work list.
enum ToDo {
    Write(Place),
    /// Everything below this node is written.
    Leave(usize),
}

/// A node that is still to be written.
struct Place {
    draft: usize,
    /// Its index in the forest.
    at: usize,
    depth: usize,
}

struct Grower<'a> {
    draft: &'a Draft,
    used: Vec<bool>,
    /// Is the node on the current path from the root?
    on_path: Vec<bool>,
    nodes: Vec<TreeNode>,
    weights: Vec<Weight>,
    depth: usize,
}

impl<'a> Grower<'a> {
    fn new(draft: &'a Draft) -> Self {
        let used = vec![false; draft.nodes.len()];
        Self { draft, on_path: used.clone(), used, nodes: Vec::new(), weights: Vec::new(), depth: 0 }
    }

    fn tree(&mut self, name: i64, root: usize) -> Result<GrownTree, Fault> {
        let at = self.room(1)?;
        let mut tree = GrownTree { root: at as u32, names: BTreeMap::new(), leaves: 0 };
        let mut to_do = vec![ToDo::Write(Place { draft: root, at, depth: 0 })];
        // Nodes that repeat another: (index of the copy, index of the original). A set has one true child to which many tests lead.
        let mut copies = Vec::new();
        while let Some(next) = to_do.pop() {
            let Place { draft, at, depth } = match next {
                ToDo::Write(place) => place,
                ToDo::Leave(draft) => {
                    self.on_path[draft] = false;
                    continue;
                }
            };
            let node = &self.draft.nodes[draft];
            let here = || format!("node {} of tree {name}", node.id);
            self.used[draft] = true;
            if self.on_path[draft] {
                refuse!("{} leads back to itself", here());
            }
            if depth > DEPTH_MAX {
                refuse!("{} is more than {DEPTH_MAX} steps below its root", here());
            }
            self.depth = self.depth.max(depth);
            match &node.kind {
                DraftKind::Leaf(weights) => {
                    self.nodes[at] = self.leaf(weights).map_err(|fault| format!("{} {fault}", here()))?;
                    tree.leaves += 1;
                    weights
                        .iter()
                        .for_each(|&(output, _)| *tree.names.entry(output as u32).or_default() += 1);
                }
                DraftKind::Split(split) => {
                    let pair =
                        self.split(split, at, &mut copies).map_err(|fault| format!("{} {fault}", here()))?;
                    let (yes, no) = if split.exchanged() { (pair[1], pair[0]) } else { (pair[0], pair[1]) };
                    let depth = depth + split.members.len().max(1);
                    self.on_path[draft] = true;
                    to_do.push(ToDo::Leave(draft));
                    to_do.push(ToDo::Write(Place { draft: split.no, at: no, depth }));
                    to_do.push(ToDo::Write(Place { draft: split.yes, at: yes, depth }));
                }
            }
        }
        copies.into_iter().for_each(|(to, from): (usize, usize)| self.nodes[to] = self.nodes[from]);
        Ok(tree)
    }

    /// Makes room for nodes and returns the index of the first.
    fn room(&mut self, count: usize) -> Result<usize, Fault> {
        let at = self.nodes.len();
        if at + count > NODES_MAX {
            refuse!("has more than {NODES_MAX} nodes");
        }
        self.nodes.resize(at + count, TreeNode::Leaf { from: 0, to: 0 });
        Ok(at)
    }

    fn leaf(&mut self, weights: &[(i64, f32)]) -> Result<TreeNode, Fault> {
        let from = self.weights.len();
        if weights.is_empty() {
            refuse!("is a leaf without a weight");
        }
        if from + weights.len() > WEIGHTS_MAX {
            refuse!("is beyond {WEIGHTS_MAX} weights, the most that are supported");
        }
        let mut seen = BTreeSet::new();
        for &(output, weight) in weights {
            if output < 0 || output >= self.draft.outputs as i64 {
                refuse!("gives a weight to output {output}; there are {}", self.draft.outputs);
            }
            // `f32::MAX` and `f32::MIN` stand for "no weight" where the smallest or largest weight is needed.
            if !weight.is_finite() || weight.abs() == f32::MAX {
                refuse!("has the weight {weight}, which is not finite");
            }
            if !seen.insert(output) {
                refuse!("gives two weights to output {output}");
            }
            self.weights.push(Weight { output: output as u32, weight });
        }
        Ok(TreeNode::Leaf { from: from as u32, to: self.weights.len() as u32 })
    }

    /// Writes a split, or a chain of them, and makes room for the two children. Returns their indices, the first child first.
    fn split(
        &mut self,
        split: &SplitDraft,
        at: usize,
        copies: &mut Vec<(usize, usize)>,
    ) -> Result<[usize; 2], Fault> {
        if split.feature < 0 || split.feature >= self.draft.features as i64 {
            refuse!("looks at feature {}; an event has {}", split.feature, self.draft.features);
        }
        let feature = split.feature as u32;
        let (test, exchanged) = split.mode.as_test();
        // NaN is neither equal to, above nor below any number.
        let missing_true = split.missing_true || split.mode == Mode::Neq;
        let missing_first = missing_true != exchanged;
        let one = [split.threshold];
        let thresholds = if split.mode == Mode::Member { &split.members[..] } else { &one };
        if thresholds.is_empty() || thresholds.iter().any(|threshold| threshold.is_nan()) {
            refuse!("compares with nothing, or with NaN");
        }
        let mut at = at;
        let mut pair = [0, 0];
        for (index, &threshold) in thresholds.iter().enumerate() {
            let first = self.room(2)?;
            self.nodes[at] = TreeNode::Split { feature, test, threshold, missing_first, first: first as u32 };
            if index == 0 {
                pair[0] = first;
            } else {
                copies.push((first, pair[0]));
            }
            pair[1] = first + 1;
            at = first + 1;
        }
        Ok(pair)
    }

    fn finish(self, draft: &Draft, trees: &[GrownTree]) -> TreeEnsemble {
        let mut trees_of = vec![Vec::new(); draft.outputs];
        let mut named = vec![Named::Never; draft.outputs];
        for (index, tree) in (0..).zip(trees) {
            for (&output, &leaves) in &tree.names {
                trees_of[output as usize].push(index);
                let named = &mut named[output as usize];
                *named = match *named {
                    Named::Always => Named::Always,
                    _ if leaves == tree.leaves => Named::Always,
                    _ => Named::Sometimes,
                };
            }
        }
        let base = if draft.base.is_empty() { vec![0.0; draft.outputs] } else { draft.base.clone() };
        TreeEnsemble {
            features: draft.features,
            nodes: self.nodes,
            weights: self.weights,
            roots: trees.iter().map(|tree| tree.root).collect(),
            depth: self.depth,
            aggregate: draft.aggregate,
            base,
            trees_of,
            named,
            pair: Pair::None,
            link: Link::None,
            choice: None,
            labels: None,
        }
    }
}

impl Mode {
    /// The test, and whether it swaps the children.
    fn as_test(self) -> (Test, bool) {
        match self {
            Self::Leq => (Test::AtMost, false),
            Self::Gt => (Test::AtMost, true),
            Self::Lt => (Test::Below, false),
            Self::Gte => (Test::Below, true),
            Self::Eq | Self::Member => (Test::Equal, false),
            Self::Neq => (Test::Equal, true),
        }
    }
}

impl SplitDraft {
    fn exchanged(&self) -> bool {
        self.mode.as_test().1
    }
}
