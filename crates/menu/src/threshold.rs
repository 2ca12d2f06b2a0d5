//! Where a line cuts on a score, and so where a small change of the score can change its decision.

use crate::expression::Comparison;
use crate::graph::{MenuGraph, MenuNode, NodeId};

/// A comparison of a score with a number in the condition of a line, as in `topo.taus > 0.9`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Column of the score.
    pub score: usize,
    /// The number as written.
    pub value: f64,
    comparison: Comparison,
}

impl Threshold {
    /// Does the comparison hold for this score? Compares in f32, as the menu does.
    pub fn holds(&self, score: f32) -> bool {
        self.comparison.holds(score.into(), f64::from(self.value as f32))
    }

    /// The comparison operator with the score on the left: `<`, `<=`, `>`, `>=`, `==` or `!=`.
    pub fn symbol(&self) -> &'static str {
        self.comparison.symbol()
    }
}

/// The comparisons of a bare score with a number in the condition `root`, each once. A score inside arithmetic has no threshold of its own.
pub(crate) fn thresholds(graph: &MenuGraph, root: NodeId) -> Vec<Threshold> {
    let mut needed = vec![false; root.index() + 1];
    needed[root.index()] = true;
    let mut found = Vec::new();
    // An operand has a smaller id than its operation (graph I2), so one sweep downwards reaches everything.
    for index in (0..=root.index()).rev() {
        if !needed[index] {
            continue;
        }
        let node = &graph.nodes()[index];
        node.for_each_operand(|operand| needed[operand.index()] = true);
        let MenuNode::Compare(comparison, a, b) = *node else { continue };
        match [a, b].map(|operand| &graph.nodes()[operand.index()]) {
            [&MenuNode::Score(score), &MenuNode::Number(bits)] => {
                found.push(Threshold { score, value: written(bits), comparison });
            }
            [&MenuNode::Number(bits), &MenuNode::Score(score)] => {
                let comparison = comparison.mirrored();
                found.push(Threshold { score, value: written(bits), comparison });
            }
            _ => {}
        }
    }
    found.reverse();
    found
}

/// The shortest decimal of an f32 whose value is held in an f64.
fn written(bits: u64) -> f64 {
    let value = f64::from_bits(bits);
    (value as f32).to_string().parse().unwrap_or(value)
}
