//! Tree ensembles: `TreeEnsembleClassifier`, `TreeEnsembleRegressor`, `TreeEnsemble`.
//!
//! All trees of all events take one step down at a time. The state is a node index per tree and event, `[trees, events]`; a step looks
//! up feature, threshold and child of every node and the value of the feature, and compares. A leaf reads a feature that is always 0,
//! with a threshold that keeps it where it is. Memory per event: a few integers per tree.
//!
//! What the trees give to an output is added one tree after the other in the order of the file, as ONNX Runtime does it on one thread and the fused
//! kernels do it too. The votes of a random forest are often equal but for the last bit, and then the class depends on this order.

mod classifier;
mod lists;
mod single;

use burn::tensor::{Bool, Int, Tensor};

use crate::error::{Fault, refuse};
use crate::forest::{Aggregate, ClassRule, Named, Pair, Test, TreeEnsemble, TreeNode};
use crate::kernel_op::KernelOp;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::link::{self, FeatureTable};
use crate::source::Constant;
use crate::value::{Value, as_ints};

pub(super) use classifier::classifier;

/// Builds `TreeEnsembleRegressor`.
pub(super) fn regressor(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let table = FeatureTable::of(site)?;
    let outputs = match site.int("n_targets")? {
        Some(targets @ 1..) => targets as usize,
        _ => refuse!("has no number of targets (n_targets)"),
    };
    let link = link::link_of_targets(link::link(site.text("post_transform", "NONE")?)?, outputs)?;
    let mut draft = lists::draft(site, "target", table.features, outputs)?;
    draft.base = lists::numbers(site, "base_values", "base_values_as_tensor")?;
    draft.aggregate = match site.text("aggregate_function", "SUM")? {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => refuse!("its aggregate_function '{other}' is not one that ONNX defines"),
    };
    let forest = draft.grow()?;
    forest.base_is_given()?;
    let forest = forest.finish(Pair::None, link, None);
    let output = table.scores(outputs);
    Built::one(Trees::new(site, forest, table)?, output)
}

/// Builds `TreeEnsemble`.
pub(super) fn ensemble(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let table = FeatureTable::of(site)?;
    let (draft, link) = single::draft(site, table.features)?;
    let link = link::link_of_targets(link, draft.outputs)?;
    let forest = draft.grow()?.finish(Pair::None, link, None);
    let output = table.scores(forest.outputs());
    Built::one(Trees::new(site, forest, table)?, output)
}

/// Most numbers in the tables of weights.
const WEIGHTS_MAX: usize = 1 << 24;

/// A forest with its tables among the inputs of the node.
#[derive(Debug)]
struct Trees {
    forest: TreeEnsemble,
    table: FeatureTable,
    roots: usize,
    feature: usize,
    threshold: usize,
    first: usize,
    compare: Compare,
    /// 1 for nodes where a missing value goes to the first child; `None` if there are none.
    missing: Option<usize>,
    /// For every output, the index of the weights of all nodes.
    weights: Vec<usize>,
    /// 1 for every leaf that names the output, for those outputs of a classifier that some leaves do not name.
    names: Vec<Option<usize>>,
    /// The numbers that stand for the classes, if they are not 0, 1, 2, ...
    labels: Option<usize>,
}

/// The comparisons of the nodes.
#[derive(Clone, Copy, Debug)]
enum Compare {
    /// One test for all nodes.
    All(Test),
    /// One per node, from a table of codes ([`code`]).
    Each(usize),
}

fn code(test: Test) -> i64 {
    match test {
        Test::AtMost => 0,
        Test::Below => 1,
        Test::Equal => 2,
    }
}

impl Trees {
    /// Builds the tables.
    fn new(site: &mut Site<'_>, forest: TreeEnsemble, table: FeatureTable) -> Result<Self, Fault> {
        let count = forest.nodes().len();
        if count * forest.outputs() > WEIGHTS_MAX {
            refuse!(
                "has {count} nodes and {} outputs; at most {WEIGHTS_MAX} weights are supported, one of every node for every output",
                forest.outputs()
            );
        }
        let splits = || {
            forest.nodes().iter().filter_map(|node| match *node {
                TreeNode::Split { test, missing_first, .. } => Some((test, missing_first)),
                TreeNode::Leaf { .. } => None,
            })
        };
        let test = splits().next().map_or(Test::AtMost, |(test, _)| test);
        let alike = splits().all(|(other, _)| other == test);
        // The threshold that keeps an event at a leaf, whose feature is 0: 0 <= 1, 0 < 1 or 0 == 0.
        let stay = if alike && test == Test::Equal { 0.0 } else { 1.0 };
        let (mut feature, mut threshold, mut first) = (Vec::new(), Vec::new(), Vec::new());
        let (mut codes, mut missing) = (Vec::new(), Vec::new());
        for (index, node) in forest.nodes().iter().enumerate() {
            let (of, against, child, test, missing_first) = match *node {
                TreeNode::Split { feature, test, threshold, missing_first, first } => {
                    (i64::from(feature), threshold, i64::from(first), test, missing_first)
                }
                TreeNode::Leaf { .. } => (table.features as i64, stay, index as i64, Test::AtMost, false),
            };
            feature.push(of);
            threshold.push(against);
            first.push(child);
            codes.push(code(test));
            missing.push(i64::from(missing_first));
        }
        let any_missing = splits().any(|(_, missing_first)| missing_first);
        let outputs = 0..forest.outputs();
        let weights = outputs.clone().map(|output| weights(&forest, output)).collect::<Vec<_>>();
        let name = |output| (forest.named(output) != Named::Always).then(|| names(&forest, output));
        let named =
            forest.choice() == Some(ClassRule::Largest) && forest.base().iter().all(|&base| base == 0.0);
        let names: Vec<_> = outputs.map(|output| if named { name(output) } else { None }).collect();
        let roots = forest.roots().iter().map(|&root| i64::from(root)).collect::<Vec<_>>();
        let mut ints = |values: Vec<i64>| site.add_constant(Constant::ints([values.len()], values));
        Ok(Self {
            table,
            roots: ints(roots),
            feature: ints(feature),
            first: ints(first),
            compare: if alike { Compare::All(test) } else { Compare::Each(ints(codes)) },
            missing: any_missing.then(|| ints(missing)),
            labels: forest.labels().map(|labels| ints(labels.to_vec())),
            threshold: site.add_constant(Constant::floats([count], threshold)),
            weights: weights
                .into_iter()
                .map(|row| site.add_constant(Constant::floats([count], row)))
                .collect(),
            names: names
                .into_iter()
                .map(|row| row.map(|row| site.add_constant(Constant::floats([count], row))))
                .collect(),
            forest,
        })
    }

    /// The node in which every tree ends for every event: `[trees, events]`.
    fn descend(&self, inputs: &mut Inputs<'_>) -> Tensor<2, Int> {
        let x = self.table.take(inputs);
        let [events, _] = x.dims();
        let trees = self.forest.roots().len();
        let all = trees * events;
        // One row per feature, and one of zeros for the leaves.
        let x = x.swap_dims(0, 1);
        let zeros = Tensor::zeros([1, events], inputs.device);
        let x = Tensor::cat(vec![x, zeros], 0);
        let (feature, threshold, first) =
            (inputs.int(self.feature), inputs.float(self.threshold), inputs.int(self.first));
        let codes = match self.compare {
            Compare::All(_) => None,
            Compare::Each(codes) => Some(inputs.int(codes)),
        };
        let missing = self.missing.map(|missing| inputs.int(missing));
        let roots = inputs.int(self.roots).reshape([trees, 1]);
        let mut at = roots.repeat_dim(1, events).reshape([1, all]);
        for _ in 0..self.forest.depth() {
            let column = feature.clone().gather(1, at.clone()).reshape([trees, events]);
            let value = x.clone().gather(0, column).reshape([1, all]);
            let against = threshold.clone().gather(1, at.clone());
            let nan = missing.is_some().then(|| value.clone().is_nan());
            let mut holds = match (&codes, self.compare) {
                (Some(codes), _) => by_code(&codes.clone().gather(1, at.clone()), &value, &against),
                (None, Compare::All(test)) => holds(test, value, against),
                (None, Compare::Each(_)) => unreachable!("there is a table"),
            };
            if let (Some(missing), Some(nan)) = (&missing, nan) {
                let first = missing.clone().gather(1, at.clone()).equal_scalar(1);
                holds = holds.bool_or(nan.bool_and(first));
            }
            let second = as_ints(holds.bool_not().int(), inputs.device);
            at = first.clone().gather(1, at) + second;
        }
        at.reshape([trees, events])
    }

    /// What the trees give to an output, joined one after the other to `start`: `[1, events]`.
    fn join(
        &self,
        row: &Tensor<2>,
        output: usize,
        leaves: &Tensor<2, Int>,
        start: f32,
        join: Join,
    ) -> Tensor<2> {
        let [_, events] = leaves.dims();
        let start = Tensor::full([1, events], start, &leaves.device());
        self.forest.trees_of(output).iter().fold(start, |joined, &tree| {
            let leaves = leaves.clone().narrow(0, tree as usize, 1);
            join(joined, row.clone().gather(1, leaves))
        })
    }

    /// One output of every event: `[1, events]`.
    fn output(&self, inputs: &mut Inputs<'_>, output: usize, leaves: &Tensor<2, Int>) -> Tensor<2> {
        let row = inputs.float(self.weights[output]);
        let base = self.forest.base()[output];
        let joined = |start, join| self.join(&row, output, leaves, start, join);
        let given = match self.forest.aggregate() {
            Aggregate::Sum => joined(0.0, Tensor::add),
            Aggregate::Average => joined(0.0, Tensor::add).div_scalar(self.forest.roots().len() as f32),
            Aggregate::Min => nothing(joined(f32::MAX, Tensor::min_pair), f32::MAX),
            Aggregate::Max => nothing(joined(f32::MIN, Tensor::max_pair), f32::MIN),
        };
        if base == 0.0 { given } else { given.add_scalar(base) }
    }

    /// The class index of every event: `[events, 1]`.
    fn choose(
        &self,
        inputs: &mut Inputs<'_>,
        choice: ClassRule,
        outputs: &Tensor<2>,
        leaves: &Tensor<2, Int>,
    ) -> Tensor<2, Int> {
        match choice {
            ClassRule::Above { output, threshold } => {
                let output = outputs.clone().narrow(1, output as usize, 1);
                as_ints(output.greater_scalar(threshold).int(), inputs.device)
            }
            ClassRule::Largest => {
                // A class to which no leaf gives a weight cannot be chosen.
                let column = |(output, names): (usize, &Option<usize>)| {
                    let score = outputs.clone().narrow(1, output, 1);
                    let Some(names) = *names else { return score };
                    let named = self.join(&inputs.float(names), output, leaves, 0.0, Tensor::max_pair);
                    score.mask_fill(named.swap_dims(0, 1).equal_scalar(0.0), f32::MIN)
                };
                let columns: Vec<_> = self.names.iter().enumerate().map(column).collect();
                link::largest(Tensor::cat(columns, 1), inputs.device)
            }
        }
    }
}

impl Operator for Trees {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let leaves = self.descend(inputs);
        let outputs = (0..self.forest.outputs()).map(|output| self.output(inputs, output, &leaves)).collect();
        let outputs = Tensor::cat(outputs, 0).swap_dims(0, 1);
        let class = self.forest.choice().map(|choice| {
            let class = self.choose(inputs, choice, &outputs, &leaves);
            match self.labels {
                Some(labels) => link::look_up(inputs.int(labels), class),
                None => class,
            }
        });
        let scores = link::apply(self.forest.link(), link::pair(self.forest.pair(), outputs));
        let scores = Value::Float(self.table.give(scores));
        class.map(|class| Value::Int(self.table.give(class))).into_iter().chain([scores]).collect()
    }

    fn takes_missing(&self) -> bool {
        true
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        Some(KernelOp::TreeEnsemble)
    }

    fn as_forest(&self) -> Option<&TreeEnsemble> {
        Some(&self.forest)
    }
}

/// The weight that every node gives to an output.
fn weights(forest: &TreeEnsemble, output: usize) -> Vec<f32> {
    let nothing = match forest.aggregate() {
        Aggregate::Sum | Aggregate::Average => 0.0,
        Aggregate::Min => f32::MAX,
        Aggregate::Max => f32::MIN,
    };
    per_leaf(forest, output, nothing, |weight| weight)
}

/// 1 for every leaf that gives a weight to an output.
fn names(forest: &TreeEnsemble, output: usize) -> Vec<f32> {
    per_leaf(forest, output, 0.0, |_| 1.0)
}

fn per_leaf(forest: &TreeEnsemble, output: usize, nothing: f32, found: impl Fn(f32) -> f32) -> Vec<f32> {
    let of = |node: &TreeNode| match *node {
        TreeNode::Split { .. } => nothing,
        TreeNode::Leaf { from, to } => {
            let mut stretch = forest.weights()[from as usize..to as usize].iter();
            stretch.find(|weight| weight.output as usize == output).map_or(nothing, |it| found(it.weight))
        }
    };
    forest.nodes().iter().map(of).collect()
}

fn holds(test: Test, value: Tensor<2>, threshold: Tensor<2>) -> Tensor<2, Bool> {
    match test {
        Test::AtMost => value.lower_equal(threshold),
        Test::Below => value.lower(threshold),
        Test::Equal => value.equal(threshold),
    }
}

fn by_code(codes: &Tensor<2, Int>, value: &Tensor<2>, threshold: &Tensor<2>) -> Tensor<2, Bool> {
    let of = |test| {
        let these = codes.clone().equal_scalar(code(test));
        these.bool_and(holds(test, value.clone(), threshold.clone()))
    };
    of(Test::AtMost).bool_or(of(Test::Below)).bool_or(of(Test::Equal))
}

/// Joins two rows into one.
type Join = fn(Tensor<2>, Tensor<2>) -> Tensor<2>;

/// 0 where the number stands for "nothing given".
fn nothing(values: Tensor<2>, mark: f32) -> Tensor<2> {
    let marked = values.clone().equal_scalar(mark);
    values.mask_fill(marked, 0.0)
}
