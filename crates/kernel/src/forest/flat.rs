//! A tree as a list: parents before children, the yes subtree before the no subtree.

use std::ops::Range;

use super::error::TreeFault;
use super::rules::RowsBuilder;
use super::spec::{ForestNode, Tree};

/// A tree whose branches are rules. Node 0 is the root, and the yes child of a branch follows it directly.
#[derive(Clone, Debug)]
pub(super) struct Flat {
    pub nodes: Vec<FlatNode>,
    /// The original node index of each leaf, from left to right.
    pub leaves: Vec<usize>,
    /// Branches on the longest path.
    pub depth: usize,
}

#[derive(Clone, Debug)]
pub(super) enum FlatNode {
    /// Goes to the next node if `row <= threshold`, else to node `no`. `left` are the leaves of the yes subtree.
    Branch { row: u32, threshold: f32, no: usize, left: Range<usize> },
    /// Number of the leaf, from left to right.
    Leaf(usize),
}

impl Flat {
    /// Walks every path from the root of `tree`, whose nodes were checked one by one.
    pub fn new(tree: &Tree, rows: &mut RowsBuilder) -> Result<Self, TreeFault> {
        let mut flat = Self { nodes: Vec::new(), leaves: Vec::new(), depth: 0 };
        let mut seen = vec![false; tree.nodes.len()];
        // Nodes to be visited, their depth, and the branch of which they are the no child.
        let mut waiting = vec![(0, 0, None)];
        while let Some((node, depth, parent)) = waiting.pop() {
            if std::mem::replace(&mut seen[node], true) {
                return Err(TreeFault::Shared { node });
            }
            if let Some(parent) = parent {
                flat.right_begins(parent);
            }
            flat.depth = flat.depth.max(depth);
            match &tree.nodes[node] {
                &ForestNode::Branch { input, comparison, threshold, missing, yes, no } => {
                    let rule = rows.rule(input, comparison, threshold, missing);
                    let (left, right) = if rule.exchanged { (no, yes) } else { (yes, no) };
                    waiting.push((right, depth + 1, Some(flat.nodes.len())));
                    waiting.push((left, depth + 1, None));
                    let first = flat.leaves.len();
                    let (row, threshold) = (rule.row, rule.threshold);
                    flat.nodes.push(FlatNode::Branch { row, threshold, no: 0, left: first..first });
                }
                ForestNode::Leaf { .. } => {
                    flat.nodes.push(FlatNode::Leaf(flat.leaves.len()));
                    flat.leaves.push(node);
                }
            }
        }
        Ok(flat)
    }

    /// The next node is the no child of `parent`, so all leaves of the yes subtree are known.
    fn right_begins(&mut self, parent: usize) {
        let (next, leaves) = (self.nodes.len(), self.leaves.len());
        if let FlatNode::Branch { no, left, .. } = &mut self.nodes[parent] {
            *no = next;
            left.end = leaves;
        }
    }
}
