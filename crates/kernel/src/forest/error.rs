//! Why a forest cannot be compiled.

use super::{EQUALS_MAX, NODES_MAX, TREES_MAX, WEIGHTS_MAX};
use crate::chain::WIDTH_MAX;
use crate::isa::Isa;

/// Why a forest was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForestError {
    /// The CPU does not have the instruction set.
    #[error("this CPU lacks {}; choose one for which Isa::is_available is true", .0.name())]
    Lacks(Isa),
    /// No inputs or outputs, or too many.
    #[error("a forest takes and gives 1 to {WIDTH_MAX} numbers, not {0}")]
    Width(usize),
    /// No trees, or too many.
    #[error("a forest has 1 to {TREES_MAX} trees, not {0}")]
    Trees(usize),
    /// Too many nodes in all trees together.
    #[error("all trees together have {0} nodes; at most {NODES_MAX} are allowed")]
    Nodes(usize),
    /// Too many weights, counted as outputs of a tree times its leaves.
    #[error("all leaves together have more than {WEIGHTS_MAX} weights")]
    Weights,
    /// Too many different tests for equality.
    #[error("more than {EQUALS_MAX} different tests with == and !=")]
    Equals,
    /// A number of base values other than one per output or none.
    #[error("there are {found} base values for {outputs} outputs; give one for each, or none at all")]
    Bases {
        /// How many there are.
        found: usize,
        /// How many there should be.
        outputs: usize,
    },
    /// A base value that is NaN or infinite.
    #[error("the base value of output {0} is not finite")]
    Base(usize),
    /// An invalid tree.
    #[error("tree {tree}: {fault}")]
    Tree {
        /// Its index.
        tree: usize,
        /// What is wrong.
        fault: TreeFault,
    },
}

/// What is wrong with a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeFault {
    /// No root.
    #[error("it has no nodes; a tree with a constant score is one leaf")]
    Empty,
    /// A branch on an input that does not exist.
    #[error("node {node} looks at input {input}, but there are {inputs}, counted from 0")]
    Input {
        /// Index of the node.
        node: usize,
        /// The input that it names.
        input: usize,
        /// How many there are.
        inputs: usize,
    },
    /// A threshold that is NaN.
    #[error("the threshold of node {node} is not a number")]
    Threshold {
        /// Index of the node.
        node: usize,
    },
    /// A child that does not exist.
    #[error("node {node} leads to node {child}, but there are {nodes}, counted from 0")]
    Child {
        /// Index of the node.
        node: usize,
        /// Where it leads.
        child: usize,
        /// How many there are.
        nodes: usize,
    },
    /// Two paths to a node, or a cycle.
    #[error(
        "two paths lead to node {node}; in a tree each node has one parent, and the root, node 0, has none"
    )]
    Shared {
        /// Index of the node.
        node: usize,
    },
    /// A leaf that contributes to an output that does not exist, or twice to one output.
    #[error("leaf {node} has output {output} twice, or there are only {outputs}, counted from 0")]
    Output {
        /// Index of the node.
        node: usize,
        /// The output.
        output: usize,
        /// How many there are.
        outputs: usize,
    },
    /// A weight that is NaN or infinite.
    #[error("a weight of leaf {node} is not finite")]
    Weight {
        /// Index of the node.
        node: usize,
    },
}
