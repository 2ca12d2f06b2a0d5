//! Boosted trees and random forests as one checked structure: what `ai.onnx.ml` writes in parallel lists, made plain.
//!
//! ```text
//!   nodes   [ Split 0 | Split | Leaf | Leaf | Split | ... ]     a split names the first of its two children; the second stands right behind it
//!   roots     0 ------'                                          one per tree
//!   weights             [ (output, weight), ... ]                a leaf names its stretch
//!
//!   event --per tree: down to a leaf--> weights --aggregate per output, plus base--> outputs --pair, link--> scores
//!                                                                                       '--choice--> class
//! ```
//!
//! Invariants:
//!
//! * I1: children stand behind their parent, so every walk ends; no walk is longer than [`TreeEnsemble::depth`].
//! * I2: every feature, child, output and stretch of weights that is named exists; weights and base values are finite.
//! * I3: trees are in the order of the first output that they name, so the trees of one output of a boosted classifier stand together.
//!
//! Comparisons are of 32-bit floating-point numbers, as ONNX Runtime makes them. The other comparisons of ONNX (greater, not equal) are written
//! with the children exchanged, set membership as a chain of [`Test::Equal`].

mod grow;

use std::ops::Range;

use crate::error::Fault;

pub(crate) use grow::{Draft, DraftKind, DraftNode, Mode, SplitDraft};

/// Most nodes of a forest.
pub const NODES_MAX: usize = 1 << 20;
/// Most trees of a forest.
pub const TREES_MAX: usize = 4096;
/// Most steps from a root to a leaf.
pub const DEPTH_MAX: usize = 1024;
/// Most outputs of a forest, classes for example.
pub const FOREST_OUTPUTS_MAX: usize = 1024;

/// How a split compares a feature with its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// Smaller or equal.
    AtMost,
    /// Smaller.
    Below,
    /// Equal.
    Equal,
}

impl Test {
    /// Is it true of these numbers? Never of NaN.
    pub fn holds(self, value: f32, threshold: f32) -> bool {
        match self {
            Self::AtMost => value <= threshold,
            Self::Below => value < threshold,
            Self::Equal => value == threshold,
        }
    }
}

/// A node of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TreeNode {
    /// Goes on to one of two children.
    Split {
        /// Which number of the event is looked at.
        feature: u32,
        /// How it is compared.
        test: Test,
        /// With what; not NaN.
        threshold: f32,
        /// Does a missing value (NaN) go to the first child?
        missing_first: bool,
        /// The child where the test holds; that where it does not is the next node.
        first: u32,
    },
    /// Ends the walk.
    Leaf {
        /// The first of its weights.
        from: u32,
        /// One past the last.
        to: u32,
    },
}

/// What a leaf gives to an output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weight {
    /// To which output.
    pub output: u32,
    /// How much.
    pub weight: f32,
}

/// How what the trees give to an output becomes one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// The sum.
    Sum,
    /// The sum over the number of all trees.
    Average,
    /// The smallest; 0 if nothing is given.
    Min,
    /// The largest; 0 if nothing is given.
    Max,
}

/// How one output becomes the scores of two classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pair {
    /// It does not: scores are outputs.
    None,
    /// `1 - s` and `s`.
    Complement,
    /// `-s` and `s`.
    Mirror,
}

/// What is done to the scores of an event in the end, as ONNX Runtime does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// Nothing.
    None,
    /// `1 / (1 + exp(-x))` of each.
    Logistic,
    /// Exponentials over their sum.
    Softmax,
    /// The same, but what is closer to 0 than 1e-7 counts nothing.
    SoftmaxZero,
    /// The probit function of each.
    Probit,
}

/// How the class of an event follows from its outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClassRule {
    /// The first of the largest outputs.
    Largest,
    /// Class 1 where this output is larger than the threshold, class 0 otherwise.
    Above {
        /// Which output.
        output: u32,
        /// Larger than what.
        threshold: f32,
    },
}

/// Do the leaves that an event ends in give something to an output?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Never,
    Sometimes,
    Always,
}

/// Trees that were checked. The fields of an event are its features.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeEnsemble {
    features: usize,
    nodes: Vec<TreeNode>,
    weights: Vec<Weight>,
    roots: Vec<u32>,
    depth: usize,
    aggregate: Aggregate,
    base: Vec<f32>,
    /// The trees between the first and the last that name an output, for every output.
    trees_of: Vec<Range<usize>>,
    named: Vec<Named>,
    pair: Pair,
    link: Link,
    choice: Option<ClassRule>,
    labels: Option<Vec<i64>>,
}

impl TreeEnsemble {
    /// Numbers per event.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The nodes of all trees.
    pub fn nodes(&self) -> &[TreeNode] {
        &self.nodes
    }

    /// The weights of all leaves.
    pub fn weights(&self) -> &[Weight] {
        &self.weights
    }

    /// The first node of every tree.
    pub fn roots(&self) -> &[u32] {
        &self.roots
    }

    /// Most steps from a root to a leaf.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// How what the trees give becomes one number per output.
    pub fn aggregate(&self) -> Aggregate {
        self.aggregate
    }

    /// What is added to every output after that; there are as many as outputs.
    pub fn base(&self) -> &[f32] {
        &self.base
    }

    /// Numbers that the trees give per event.
    pub fn outputs(&self) -> usize {
        self.base.len()
    }

    /// The trees that can give something to an output are among these; weights of others in the range do not name it.
    pub fn trees_of(&self, output: usize) -> Range<usize> {
        self.trees_of[output].clone()
    }

    /// Is every output given something for every event? If not, a class that nothing was given for is never the largest.
    pub fn names_all(&self) -> bool {
        self.named.iter().all(|named| *named == Named::Always)
    }

    pub(crate) fn named(&self, output: usize) -> Named {
        self.named[output]
    }

    /// How one output becomes two scores.
    pub fn pair(&self) -> Pair {
        self.pair
    }

    /// What is done to the scores in the end.
    pub fn link(&self) -> Link {
        self.link
    }

    /// How the class follows from the outputs; `None` if the forest is no classifier.
    pub fn choice(&self) -> Option<ClassRule> {
        self.choice
    }

    /// The number that stands for each class; `None` where that is its index, and in a forest that is no classifier.
    pub fn labels(&self) -> Option<&[i64]> {
        self.labels.as_deref()
    }

    /// Scores per event.
    pub fn scores(&self) -> usize {
        if self.pair == Pair::None { self.outputs() } else { 2 }
    }

    /// Refuses a base value of an output that some events are given nothing for.
    pub(crate) fn base_is_given(&self) -> Result<(), Fault> {
        let left_out = |output: &usize| self.base[*output] != 0.0 && self.named[*output] != Named::Always;
        match (0..self.outputs()).find(left_out) {
            None => Ok(()),
            Some(output) => Err(format!(
                "has a base value for output {output}, to which not every event is given a weight; ONNX Runtime leaves it out there, \
                 ONNX does not: export it without"
            )),
        }
    }

    pub(crate) fn finish(mut self, pair: Pair, link: Link, choice: Option<ClassRule>) -> Self {
        (self.pair, self.link, self.choice) = (pair, link, choice);
        self
    }

    pub(crate) fn with_labels(self, labels: Option<Vec<i64>>) -> Self {
        Self { labels, ..self }
    }

    /// The leaf in which an event ends: the stretch of its weights. The plain meaning of a tree, for comparison; not fast.
    ///
    /// # Panics
    /// If there is no such tree, or the event has too few numbers.
    pub fn leaf(&self, tree: usize, event: &[f32]) -> &[Weight] {
        let mut at = self.roots[tree] as usize;
        loop {
            match self.nodes[at] {
                TreeNode::Leaf { from, to } => return &self.weights[from as usize..to as usize],
                TreeNode::Split { feature, test, threshold, missing_first, first } => {
                    let value = event[feature as usize];
                    let holds = if value.is_nan() { missing_first } else { test.holds(value, threshold) };
                    at = first as usize + usize::from(!holds);
                }
            }
        }
    }
}
