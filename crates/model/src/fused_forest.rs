//! A forest of decision trees in the language of the fused kernels, with what stands before the trees (`front.rs`) and behind them (`finish.rs`).

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use tamis_graph::{Aggregate, ClassRule, Graph, StepInfo, Test, TreeEnsemble, TreeNode};
use tamis_kernel::{BranchTest, Column, ForestNode, ForestSpec, Gather, Missing, Tile, Tree};

use crate::finish::{ClassChoice, Finish, TailSteps};
use crate::front::Front;
use crate::fused::FloatRoom;
use crate::fused_chain::refuse_integers;

/// A graph that is one forest.
#[derive(Debug)]
pub(crate) struct FusedForest {
    kernel: tamis_kernel::Forest,
    pub finish: Finish,
}

impl FusedForest {
    /// Compiles a graph whose only computing step is a forest.
    pub fn new(graph: &Graph) -> Result<Self, String> {
        refuse_integers(graph)?;
        let origins = graph.origins();
        // The numbers before the trees, by value.
        let mut fronts: HashMap<usize, Front> = origins
            .iter()
            .enumerate()
            .filter_map(|(at, origin)| Some((at, Front::new(origin.as_ref()?))))
            .collect();
        let mut found = None;
        for step in graph.steps() {
            let front = step.inputs.first().copied().flatten().and_then(|(slot, _)| fronts.get(&slot));
            let unknown = || {
                let (operator, name) = (step.operator, step.name);
                format!("the fused kernels do not support operator {operator} ('{name}') beside a forest")
            };
            if step.makes.is_some_and(|made| fronts.contains_key(&made)) {
                continue;
            }
            found = match (found, front, step.forest) {
                (None, Some(front), Some(forest)) => {
                    Some((spec(forest, front, graph.input_numbers())?, tail(&step, forest)?))
                }
                (None, Some(front), None) => {
                    let made = step.makes.zip(front.then(&step)).ok_or_else(unknown)?;
                    fronts.insert(made.0, made.1);
                    None
                }
                (Some((spec, mut tail)), ..) => {
                    tail.add(&step).then_some(()).ok_or_else(unknown)?;
                    Some((spec, tail))
                }
                (None, None, _) => return Err(unknown()),
            };
        }
        let finish = found.and_then(|(spec, tail)| Some((spec, tail.finish(graph)?)));
        let (spec, finish) = finish.ok_or("an output is neither the class nor the scores of its forest")?;
        let chooses = |forest: &TreeEnsemble| {
            forest.choice() == Some(ClassRule::Largest) && finish.gives_label() && !forest.names_all()
        };
        if graph.steps().filter_map(|step| step.forest).any(chooses) {
            return Err(
                "the class is chosen among those that its leaves name, which the fused kernels do not support; leave it out if no line needs it \
                 (tamis model import --outputs=-,p0,p1)"
                    .into(),
            );
        }
        Ok(Self { kernel: tamis_kernel::Forest::new(&spec).map_err(|error| error.to_string())?, finish })
    }

    /// Plans how to gather the inputs from records.
    pub fn gather(&self, record_len: usize, columns: &[Column]) -> Gather {
        self.kernel.gather(record_len, columns)
    }

    /// Computes the numbers of whole rows.
    pub fn run(&self, rows: &[f32], numbers: &mut [f32]) {
        let mut raw = vec![0.0; rows.len() / self.kernel.inputs() * self.kernel.outputs()];
        self.kernel.run(&mut self.kernel.tile(), rows, &mut raw);
        self.finish.run(&raw, numbers);
    }

    /// The memory that one worker needs to run the forest on lanes.
    pub fn room(&self) -> FloatRoom {
        self.finish.room(self.kernel.tile())
    }

    /// Runs the trees on the first `events` events of a tile.
    pub fn run_tile(&self, tile: &mut Tile, events: usize) {
        self.kernel.run_tile(tile, events);
    }
}

/// What follows from the trees at once.
fn tail(step: &StepInfo<'_>, forest: &TreeEnsemble) -> Result<TailSteps, String> {
    let choice = forest.choice().map(|rule| ClassChoice { rule, of_scores: false, labels: labels(forest) });
    TailSteps::of_classifier(step, forest.outputs(), forest.pair(), forest.link(), choice)
}

/// The number that stands for each class: its label, or its index if the graph has no labels.
fn labels(forest: &TreeEnsemble) -> Vec<f32> {
    match forest.labels() {
        Some(labels) => labels.iter().map(|&label| label as f32).collect(),
        None => (0..forest.scores()).map(|class| class as f32).collect(),
    }
}

/// The trees, for events of so many numbers.
fn spec(forest: &TreeEnsemble, front: &Front, inputs: usize) -> Result<ForestSpec, String> {
    let trees = (0..forest.roots().len()).map(|tree| self::tree(forest, front, tree));
    let trees = trees.collect::<Option<_>>().ok_or(
        "its trees ask whether a number is equal to another one that is scaled or cut before them, which the fused kernels do not support",
    )?;
    Ok(ForestSpec {
        inputs,
        outputs: forest.outputs(),
        trees,
        aggregate: match forest.aggregate() {
            Aggregate::Sum => tamis_kernel::Combine::Sum,
            Aggregate::Average => tamis_kernel::Combine::Average,
            Aggregate::Min => tamis_kernel::Combine::Min,
            Aggregate::Max => tamis_kernel::Combine::Max,
        },
        base: forest.base().to_vec(),
    })
}

/// One tree with its nodes renumbered from the root on: the root is 0, and every node stands behind its parent.
fn tree(forest: &TreeEnsemble, front: &Front, index: usize) -> Option<Tree> {
    let mut nodes = Vec::new();
    // Nodes of the forest in their new order.
    let mut order = vec![forest.roots()[index] as usize];
    while let Some(&at) = order.get(nodes.len()) {
        nodes.push(match forest.nodes()[at] {
            TreeNode::Split { feature, test, threshold, missing_first, first } => {
                let asked = front.question(feature as usize, test, threshold)?;
                let child = order.len();
                order.extend([first as usize, first as usize + 1]);
                let (yes, no) = if asked.exchanged { (child + 1, child) } else { (child, child + 1) };
                ForestNode::Branch {
                    input: asked.input,
                    comparison: match asked.test {
                        Test::AtMost => BranchTest::LessOrEqual,
                        Test::Below => BranchTest::Less,
                        Test::Equal => BranchTest::Equal,
                    },
                    threshold: asked.threshold,
                    missing: if missing_first == asked.exchanged { Missing::No } else { Missing::Yes },
                    yes,
                    no,
                }
            }
            TreeNode::Leaf { from, to } => {
                let weights = forest.weights()[from as usize..to as usize].iter();
                ForestNode::Leaf {
                    weights: weights.map(|weight| (weight.output as usize, weight.weight)).collect(),
                }
            }
        });
    }
    Some(Tree { nodes })
}
