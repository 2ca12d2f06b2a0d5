//! What a forest is made of, as plain data. The meaning is that of `TreeEnsemble` in ONNX.

use super::error::TreeFault;

/// Boosted trees or a random forest.
#[derive(Clone, Debug, PartialEq)]
pub struct ForestSpec {
    /// Numbers per event that it takes.
    pub inputs: usize,
    /// Scores per event.
    pub outputs: usize,
    /// In the order in which what they say is added up.
    pub trees: Vec<Tree>,
    /// What becomes of the weights that the trees give to an output.
    pub aggregate: Combine,
    /// Added to each output after that; as many as there are outputs, or none at all for zeros.
    pub base: Vec<f32>,
}

/// A decision tree. Its root is node 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    /// In any order. Nodes that no way leads to are ignored.
    pub nodes: Vec<ForestNode>,
}

/// A node of a tree.
#[derive(Clone, Debug, PartialEq)]
pub enum ForestNode {
    /// Goes on to node `yes` if `input comparison threshold`, else to node `no`.
    Branch {
        /// Index of the input.
        input: usize,
        /// How it is compared.
        comparison: BranchTest,
        /// With what; not NaN.
        threshold: f32,
        /// Where an input goes that is NaN, which is how a missing value is written.
        missing: Missing,
        /// Index of a node of this tree.
        yes: usize,
        /// Index of a node of this tree.
        no: usize,
    },
    /// The end: outputs with the weights that they get.
    Leaf {
        /// Outputs, each at most once, and weights.
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

/// Where a missing value goes, whatever the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// To the node `yes`.
    Yes,
    /// To the node `no`.
    No,
}

/// What becomes of the weights that an output gets from the trees, in the order of the trees, in `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// Their sum.
    Sum,
    /// Their sum over the number of trees, those that gave nothing included.
    Average,
    /// The smallest; zero if there is none.
    Min,
    /// The largest; zero if there is none.
    Max,
}

impl Tree {
    /// Checks what can be seen in each node by itself.
    pub(super) fn check(&self, inputs: usize, outputs: usize) -> Result<(), TreeFault> {
        // The leaf that was the last to give to each output.
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
