//! The description of a forest as plain data, with the semantics of `TreeEnsemble` in ONNX.

use super::error::TreeFault;

/// Boosted trees or a random forest.
#[derive(Clone, Debug, PartialEq)]
pub struct ForestSpec {
    /// Inputs per event.
    pub inputs: usize,
    /// Scores per event.
    pub outputs: usize,
    /// The trees, in the order in which their contributions are added up.
    pub trees: Vec<Tree>,
    /// How the contributions of the trees to an output are combined.
    pub aggregate: Combine,
    /// Added to each output after that: one value per output, or an empty list for zeros.
    pub base: Vec<f32>,
}

/// A decision tree. Its root is node 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    /// The nodes, in any order. Unreachable nodes are ignored.
    pub nodes: Vec<ForestNode>,
}

/// A node of a tree.
#[derive(Clone, Debug, PartialEq)]
pub enum ForestNode {
    /// Goes on to node `yes` if `input comparison threshold`, else to node `no`.
    Branch {
        /// Index of the input.
        input: usize,
        /// The comparison.
        comparison: BranchTest,
        /// The right side of the comparison; not NaN.
        threshold: f32,
        /// Where a NaN input goes, which stands for a missing value.
        missing: Missing,
        /// Index of the node that follows if the comparison holds.
        yes: usize,
        /// Index of the node that follows otherwise.
        no: usize,
    },
    /// The end of a path: outputs with their weights.
    Leaf {
        /// Pairs of output and weight; each output at most once.
        weights: Vec<(usize, f32)>,
    },
}

/// The comparison of a branch: an input on the left, the threshold on the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BranchTest {
    /// `<=`
    LessOrEqual,
    /// `<`
    Less,
    /// `==`
    Equal,
}

/// The branch that a missing value takes, whatever the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// To the node `yes`.
    Yes,
    /// To the node `no`.
    No,
}

/// How the weights that the trees contribute to an output are combined, in the order of the trees, in `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// Their sum.
    Sum,
    /// Their sum divided by the number of all trees, including those that contribute nothing.
    Average,
    /// The smallest; zero if there is none.
    Min,
    /// The largest; zero if there is none.
    Max,
}

impl Tree {
    /// Checks each node on its own.
    pub(super) fn check(&self, inputs: usize, outputs: usize) -> Result<(), TreeFault> {
        // For each output, the last leaf that contributed to it.
        let mut giver = vec![usize::MAX; outputs];
        if self.nodes.is_empty() {
            return Err(TreeFault::Empty);
        }
        for (index, node) in self.nodes.iter().enumerate() {
            match node {
                &ForestNode::Branch { input, threshold, yes, no, .. } => {
                    if input >= inputs {
                        return Err(TreeFault::Input { node: index, input, inputs });
                    }
                    if threshold.is_nan() {
                        return Err(TreeFault::Threshold { node: index });
                    }
                    if let Some(child) = [yes, no].into_iter().find(|&child| child >= self.nodes.len()) {
                        return Err(TreeFault::Child { node: index, child, nodes: self.nodes.len() });
                    }
                }
                ForestNode::Leaf { weights } => {
                    for &(output, weight) in weights {
                        let Some(giver) = giver.get_mut(output).filter(|giver| **giver != index) else {
                            return Err(TreeFault::Output { node: index, output, outputs });
                        };
                        *giver = index;
                        if !weight.is_finite() {
                            return Err(TreeFault::Weight { node: index });
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
