//! Reads a graph as a forest for the fused kernels, with the steps after the trees: the two scores of one output, the link, and the label
//! of the class.

#[cfg(test)]
mod tests;

use tamis_graph::{Aggregate, ClassRule, Graph, KernelOp, Kind, Link, Pair, Test, TreeEnsemble, TreeNode};
use tamis_kernel::{BranchTest, Column, ForestNode, ForestSpec, Gather, Missing, Tile, Tree};

use crate::fused::FloatRoom;
use crate::fused_chain::cut_to_integers;

/// A graph that is one forest.
#[derive(Debug)]
pub(crate) struct FusedForest {
    kernel: tamis_kernel::Forest,
    pair: Pair,
    choice: Option<ClassRule>,
    /// The number that stands for each class.
    labels: Vec<f32>,
    /// The logistic function or softmax that is still to be applied to two scores made of one, if any.
    link: Link,
    /// The outputs of the graph, in order.
    outputs: Vec<Given>,
}

/// One output of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    Class,
    Scores,
}

impl FusedForest {
    /// Compiles a graph whose only computing step is a forest.
    pub fn new(graph: &Graph) -> Result<Self, String> {
        let [input] = graph.inputs() else {
            return Err(format!("{} inputs; the fused kernels know one", graph.inputs().len()));
        };
        if input.kind != Kind::Float {
            return Err(cut_to_integers(input));
        }
        let mut found: Option<&TreeEnsemble> = None;
        // The known values. The input is value 0.
        let mut known: Vec<(usize, Option<Given>)> = vec![(0, None)];
        for step in graph.steps() {
            let from = step.inputs.first().copied().flatten().map(|(slot, _)| slot);
            let role = known.iter().find(|(slot, _)| Some(*slot) == from).map(|&(_, role)| role);
            match (step.kernel, role, step.forest) {
                (Some(KernelOp::Identity), Some(role), _) => {
                    known.extend(step.makes.map(|made| (made, role)));
                }
                (Some(KernelOp::TreeEnsemble), Some(None), Some(forest)) if found.is_none() => {
                    found = Some(forest);
                    let roles: &[Given] = if forest.choice().is_some() {
                        &[Given::Class, Given::Scores]
                    } else {
                        &[Given::Scores]
                    };
                    let made = step.outputs.iter().zip(roles);
                    known.extend(made.filter_map(|(slot, &role)| slot.map(|slot| (slot, Some(role)))));
                }
                _ => {
                    let (operator, name) = (step.operator, step.name);
                    return Err(format!(
                        "operator {operator} ('{name}') is none that the fused kernels know beside a forest"
                    ));
                }
            }
        }
        let role = |value: usize| known.iter().find(|(slot, _)| *slot == value).and_then(|&(_, role)| role);
        let outputs: Option<Vec<Given>> = graph.outputs().iter().map(|output| role(output.value())).collect();
        let (Some(forest), Some(outputs)) = (found, outputs) else {
            return Err("an output is neither the class nor the scores of its forest".into());
        };
        let chooses = forest.choice() == Some(ClassRule::Largest) && outputs.contains(&Given::Class);
        if chooses && !forest.names_all() {
            return Err(
                "the class is chosen among those that its leaves name, which the fused kernels do not know"
                    .into(),
            );
        }
        Ok(Self {
            kernel: tamis_kernel::Forest::new(&spec(forest)?).map_err(|error| error.to_string())?,
            pair: forest.pair(),
            choice: forest.choice(),
            labels: labels(forest),
            link: forest.link(),
            outputs,
        })
    }

    /// Kind and count of the numbers per event, for each output of the graph.
    pub fn outputs(&self) -> Vec<(Kind, usize)> {
        let of = |given: &Given| match given {
            Given::Class => (Kind::Int, 1),
            Given::Scores => (Kind::Float, self.scores()),
        };
        self.outputs.iter().map(of).collect()
    }

    /// Number of output numbers per event.
    pub fn numbers(&self) -> usize {
        self.outputs().iter().map(|&(_, count)| count).sum()
    }

    fn scores(&self) -> usize {
        if self.pair == Pair::None { self.kernel.outputs() } else { 2 }
    }

    /// Plans how to gather the inputs from records.
    pub fn gather(&self, record_len: usize, columns: &[Column]) -> Gather {
        self.kernel.gather(record_len, columns)
    }

    /// Computes the numbers of whole rows.
    pub fn run(&self, rows: &[f32], numbers: &mut [f32]) {
        let width = self.kernel.outputs();
        let mut raw = vec![0.0; rows.len() / self.kernel.inputs() * width];
        self.kernel.run(&mut self.kernel.tile(), rows, &mut raw);
        let mut scores = Vec::with_capacity(self.scores());
        for (raw, numbers) in raw.chunks_exact(width).zip(numbers.chunks_exact_mut(self.numbers())) {
            self.numbers_of(raw, &mut scores, numbers);
        }
    }

    /// The memory that one worker needs to run the forest on lanes.
    pub fn room(&self) -> FloatRoom {
        FloatRoom {
            tile: self.kernel.tile(),
            raw: vec![0.0; self.kernel.outputs()],
            scores: Vec::with_capacity(self.scores()),
            numbers: vec![0.0; self.numbers()],
        }
    }

    /// Runs the trees on the first `events` events of a tile.
    pub fn run_tile(&self, tile: &mut Tile, events: usize) {
        self.kernel.run_tile(tile, events);
    }

    /// Copies scores of the last tile, as [`crate::fused::Fused::read_scores`].
    pub fn read_scores(
        &self,
        room: &mut FloatRoom,
        picks: &[usize],
        at: usize,
        events: usize,
        columns: &mut [&mut [f32]],
    ) {
        let FloatRoom { tile, raw, scores, numbers } = room;
        for event in 0..events {
            for (raw, lanes) in raw.iter_mut().zip(tile.scores()) {
                *raw = lanes.0[event];
            }
            self.numbers_of(raw, scores, numbers);
            for (column, &pick) in columns.iter_mut().zip(picks) {
                column[at + event] = numbers[pick];
            }
        }
    }

    /// Computes the numbers of the graph, in order, from the outputs of the trees for one event.
    fn numbers_of(&self, raw: &[f32], scores: &mut Vec<f32>, mut numbers: &mut [f32]) {
        self.finish(raw, scores);
        for given in &self.outputs {
            let count = if *given == Given::Class { 1 } else { scores.len() };
            let (mine, rest) = std::mem::take(&mut numbers).split_at_mut(count);
            match given {
                Given::Class => mine[0] = self.class(raw),
                Given::Scores => mine.copy_from_slice(scores),
            }
            numbers = rest;
        }
    }

    /// Computes the scores from the outputs of the trees.
    fn finish(&self, raw: &[f32], scores: &mut Vec<f32>) {
        scores.clear();
        match (self.pair, raw) {
            (Pair::Complement, &[s]) => scores.extend([1.0 - s, s]),
            (Pair::Mirror, &[s]) => scores.extend([-s, s]),
            _ => scores.extend_from_slice(raw),
        }
        match self.link {
            Link::Logistic => scores.iter_mut().for_each(|x| *x = 1.0 / (1.0 + libm::expf(-*x))),
            Link::Softmax => {
                let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                scores.iter_mut().for_each(|x| *x = libm::expf(*x - largest));
                let sum: f32 = scores.iter().sum();
                scores.iter_mut().for_each(|x| *x /= sum);
            }
            Link::None | Link::SoftmaxZero | Link::Probit => {}
        }
    }

    /// The label of the class that follows from the outputs of the trees.
    fn class(&self, raw: &[f32]) -> f32 {
        let index = match self.choice {
            Some(ClassRule::Above { output, threshold }) => usize::from(raw[output as usize] > threshold),
            _ => (1..raw.len()).fold(0, |best, index| if raw[index] > raw[best] { index } else { best }),
        };
        self.labels[index]
    }
}

/// The number that stands for each class: its label, or its index if the graph has no labels.
fn labels(forest: &TreeEnsemble) -> Vec<f32> {
    match forest.labels() {
        Some(labels) => labels.iter().map(|&label| label as f32).collect(),
        None => (0..forest.scores()).map(|class| class as f32).collect(),
    }
}

/// The description of the trees alone.
fn spec(forest: &TreeEnsemble) -> Result<ForestSpec, String> {
    if matches!(forest.link(), Link::SoftmaxZero | Link::Probit) {
        return Err(format!("the link {:?} is none that the fused kernels know", forest.link()));
    }
    let trees = (0..forest.roots().len()).map(|tree| self::tree(forest, tree)).collect();
    Ok(ForestSpec {
        inputs: forest.features(),
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

/// One tree with renumbered nodes: the root is 0, and every node comes after its parent.
fn tree(forest: &TreeEnsemble, index: usize) -> Tree {
    let mut nodes = Vec::new();
    // Nodes of the forest in their new order.
    let mut order = vec![forest.roots()[index] as usize];
    while let Some(&at) = order.get(nodes.len()) {
        nodes.push(match forest.nodes()[at] {
            TreeNode::Split { feature, test, threshold, missing_first, first } => {
                let yes = order.len();
                order.extend([first as usize, first as usize + 1]);
                ForestNode::Branch {
                    input: feature as usize,
                    comparison: match test {
                        Test::AtMost => BranchTest::LessOrEqual,
                        Test::Below => BranchTest::Less,
                        Test::Equal => BranchTest::Equal,
                    },
                    threshold,
                    missing: if missing_first { Missing::Yes } else { Missing::No },
                    yes,
                    no: yes + 1,
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
    Tree { nodes }
}
