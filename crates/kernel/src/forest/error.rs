//! Why a forest cannot be compiled.

use super::{EQUALS_MAX, NODES_MAX, TREES_MAX, WEIGHTS_MAX};
use crate::chain::WIDTH_MAX;
use crate::isa::Isa;

/// Why a forest was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForestError {
    /// The CPU does not have the instruction set.
    #[error("this CPU lacks {}; take one that Isa::is_available says it has", .0.name())]
    Lacks(Isa),
    /// No inputs or outputs, or too many.
    #[error("a forest takes and gives 1 to {WIDTH_MAX} numbers, not {0}")]
    Width(usize),
    /// None, or too many.
    #[error("a forest has 1 to {TREES_MAX} trees, not {0}")]
    Trees(usize),
    /// Too many nodes in all trees together.
    #[error("all trees together have {0} nodes; at most {NODES_MAX} are allowed")]
    Nodes(usize),
    /// Too many weights, counting each output of a tree at each of its leaves.
    #[error("all leaves together have more than {WEIGHTS_MAX} weights")]
    Weights,
    /// Too many different tests for equality.
    #[error("more than {EQUALS_MAX} different tests with == and !=")]
    Equals,
    /// Not one base value per output.
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
    /// A tree that is wrong.
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
    #[error("it has no nodes; a tree that always says the same is one leaf")]
    Empty,
    /// A branch on an input that does not exist.
    #[error("node {node} looks at input {input}, but there are {inputs}, counted from 0")]
    Input {
        /// Index of the node.
        node: usize,
        /// What it asks for.
        input: usize,
        /// How many there are.
        inputs: usize,
    },
    /// A threshold that nothing can be compared with.
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
    /// Two ways to a node, or a way in a circle.
    #[error(
        "two ways lead to node {node}; in a tree each node has one parent, and the root, node 0, has none"
    )]
    Shared {
        /// Index of the node.
        node: usize,
    },
    /// A leaf that gives to an output that does not exist, or twice to one.
    #[error("leaf {node} gives to output {output} twice, or there are only {outputs}, counted from 0")]
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
