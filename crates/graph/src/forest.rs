//! Boosted trees and random forests as one checked structure, made from the parallel lists of `ai.onnx.ml`.
//!
//! ```text
//!   nodes   [ Split 0 | Split | Leaf | Leaf | Split | ... ]     a split refers to the first of its two children; the second follows it
//!   roots     0 ------'                                          one per tree
//!   weights             [ (output, weight), ... ]                a leaf refers to its range
//!
//!   event --per tree: down to a leaf--> weights --aggregate per output, plus base--> outputs --pair, link--> scores
//!                                                                                       '--choice--> class
//! ```
//!
//! Invariants:
//!
//! * I1: children stand behind their parent, so every walk ends; no walk is longer than [`TreeEnsemble::depth`].
//! * I2: every feature, child, output and stretch of weights that is named exists; weights and base values are finite.
//! * I3: trees are in the order of the file, in which every engine adds up what they give.
//!
//! Comparisons are in 32-bit floating point, as in ONNX Runtime. The other comparisons of ONNX (greater, not equal) are written
//! with the children swapped, and set membership as a chain of [`Test::Equal`].

mod grow;

use crate::error::Fault;

pub(crate) use grow::{Draft, DraftKind, DraftNode, Mode, SplitDraft};

/// Most nodes of a forest.
pub const NODES_MAX: usize = 1 << 20;
/// Most trees of a forest.
pub const TREES_MAX: usize = 4096;
/// Most steps from a root to a leaf.
pub const DEPTH_MAX: usize = 1024;
/// Most outputs of a forest, for example classes.
pub const FOREST_OUTPUTS_MAX: usize = 1024;

/// How a split compares a feature with its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// `value <= threshold`.
    AtMost,
    /// `value < threshold`.
    Below,
    /// `value == threshold`.
    Equal,
}

impl Test {
    /// Does the test hold for these numbers? It never does for NaN.
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
        /// Index of the feature that is compared.
        feature: u32,
        /// The comparison.
        test: Test,
        /// The threshold; not NaN.
        threshold: f32,
        /// Does a missing value (NaN) go to the first child?
        missing_first: bool,
        /// Index of the child where the test holds; the other child is the next node.
        first: u32,
    },
    /// Ends the walk.
    Leaf {
        /// Index of the first of its weights.
        from: u32,
        /// Index after the last of its weights.
        to: u32,
    },
}

/// The weight that a leaf adds to an output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weight {
    /// Index of the output.
    pub output: u32,
    /// The weight.
    pub weight: f32,
}

/// How the weights that the trees give to an output are combined into one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// The sum.
    Sum,
    /// The sum divided by the number of all trees.
    Average,
    /// The smallest; 0 if nothing is given.
    Min,
    /// The largest; 0 if nothing is given.
    Max,
}

/// How one output becomes the scores of two classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pair {
    /// No pair: the scores are the outputs.
    None,
    /// `1 - s` and `s`.
    Complement,
    /// `-s` and `s`.
    Mirror,
}

/// The final transformation of the scores of an event, as in ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// The identity.
    None,
    /// `1 / (1 + exp(-x))` of each.
    Logistic,
    /// Exponentials divided by their sum.
    Softmax,
    /// Exponentials divided by their sum, but scores closer to 0 than 1e-7 count as absent.
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
        /// Index of the output.
        output: u32,
        /// The threshold.
        threshold: f32,
    },
}

/// For which events do the leaves give a weight to an output?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Never,
    Sometimes,
    Always,
}

/// A checked forest. The features are the numbers of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeEnsemble {
    features: usize,
    nodes: Vec<TreeNode>,
    weights: Vec<Weight>,
    roots: Vec<u32>,
    depth: usize,
    aggregate: Aggregate,
    base: Vec<f32>,
    /// The trees that name an output, ascending, for every output.
    trees_of: Vec<Vec<u32>>,
    named: Vec<Named>,
    pair: Pair,
    link: Link,
    choice: Option<ClassRule>,
    labels: Option<Vec<i64>>,
}

impl TreeEnsemble {
    /// Number of features per event.
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

    /// The largest number of steps from a root to a leaf.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// How the weights of the trees are combined into one number per output.
    pub fn aggregate(&self) -> Aggregate {
        self.aggregate
    }

    /// The value that is added to every output after that; one per output.
    pub fn base(&self) -> &[f32] {
        &self.base
    }

    /// Number of outputs per event.
    pub fn outputs(&self) -> usize {
        self.base.len()
    }

    /// The trees that can give something to an output, in the order in which it is added.
    pub fn trees_of(&self, output: usize) -> &[u32] {
        &self.trees_of[output]
    }

    /// Is every output given a weight for every event? If not, a class without a weight is never chosen as the largest.
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

    /// The final transformation of the scores.
    pub fn link(&self) -> Link {
        self.link
    }

    /// How the class follows from the outputs; `None` if the forest is no classifier.
    pub fn choice(&self) -> Option<ClassRule> {
        self.choice
    }

    /// The number that stands for each class; `None` if that is its index, or if the forest is no classifier.
    pub fn labels(&self) -> Option<&[i64]> {
        self.labels.as_deref()
    }

    /// Number of scores per event.
    pub fn scores(&self) -> usize {
        if self.pair == Pair::None { self.outputs() } else { 2 }
    }

    /// Refuses a base value of an output to which some events give no weight.
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

    /// The weights of the leaf in which an event ends. A plain walk for comparison; not fast.
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
