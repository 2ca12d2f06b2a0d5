//! `LinearClassifier`, `LinearRegressor`.

use burn::tensor::{Int, Tensor};

use crate::error::{Fault, refuse};
use crate::forest::{Link, Pair};
use crate::kernel_op::KernelOp;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::link::{self, FeatureTable, Labels};
use crate::source::Constant;
use crate::value::{Value, as_ints};

/// `x W + b`, then scores, and for a classifier the class.
#[derive(Debug)]
struct Linear {
    table: FeatureTable,
    outputs: usize,
    weight: usize,
    bias: usize,
    pair: Pair,
    link: Link,
    class: Class,
}

/// The output before the scores.
#[derive(Debug)]
enum Class {
    /// None: the node is no classifier.
    None,
    /// The class, which is not wanted.
    Unwanted,
    /// The class; with the index of the input that holds the numbers for the classes, if they are not 0, 1, 2, ...
    Labelled(Option<usize>),
}

impl Operator for Linear {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = self.table.take(inputs);
        let weight = inputs.float(self.weight).reshape([self.table.features, self.outputs]);
        let y = x.matmul(weight) + inputs.float(self.bias);
        let class = match self.class {
            Class::Labelled(labels) => Some(self.choose(&y, labels, inputs)),
            Class::None | Class::Unwanted => None,
        };
        let scores = link::apply(self.link, link::pair(self.pair, y));
        let scores = Value::Float(self.table.give(scores));
        match (class, &self.class) {
            (Some(class), _) => vec![Value::Int(self.table.give(class)), scores],
            (None, Class::Unwanted) => vec![scores.clone(), scores],
            (None, _) => vec![scores],
        }
    }

    fn multiply_adds(&self) -> u64 {
        (self.table.features * self.outputs) as u64
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        if !self.table.of_events() {
            return None;
        }
        let Self { outputs, weight, bias, pair, link, .. } = *self;
        let inputs = self.table.features;
        match self.class {
            Class::Labelled(labels) => {
                Some(KernelOp::Classifier { inputs, outputs, weight, bias, pair, link, labels })
            }
            Class::None | Class::Unwanted => (pair == Pair::None).then_some(KernelOp::Dense {
                inputs,
                outputs,
                weight,
                bias: Some(bias),
                link,
            }),
        }
    }
}

impl Linear {
    /// The class of every row.
    fn choose(&self, y: &Tensor<2>, labels: Option<usize>, inputs: &mut Inputs<'_>) -> Tensor<2, Int> {
        inputs.lose(y.clone().is_nan());
        let index = match self.outputs {
            1 => as_ints(y.clone().greater_scalar(0.0).int(), inputs.device),
            _ => link::largest(y.clone(), inputs.device),
        };
        match labels {
            Some(labels) => link::look_up(inputs.int(labels), index),
            None => index,
        }
    }
}

/// Builds `LinearClassifier`.
pub(super) fn classifier(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(2)?;
    site.ignore(&["multi_class"]);
    let table = FeatureTable::of(site)?;
    let labels = Labels::read(site, "classlabels_ints", "classlabels_strings")?;
    let link = link::link(site.text("post_transform", "NONE")?)?;
    let outputs = site.floats("intercepts")?.unwrap_or_default().len();
    if outputs == 0 {
        refuse!("has no intercepts; they say how many scores there are");
    }
    let (pair, link) = match (outputs, labels.len(), link) {
        (1, 2, Link::Probit) => {
            refuse!(
                "has two classes with one score and post_transform PROBIT, which ONNX Runtime leaves half undone"
            )
        }
        (1, 2, Link::Logistic) => (Pair::Mirror, Link::Logistic),
        (1, 2, _) => (Pair::Complement, Link::None),
        (1, classes, _) => refuse!("has one score for {classes} classes"),
        (outputs, classes, _) if outputs != classes => refuse!("has {outputs} scores for {classes} classes"),
        (.., link) => (Pair::None, link),
    };
    let types = vec![table.classes(labels.texts()), table.scores(labels.len())];
    let class = if site.wants(0) { Class::Labelled(labels.table(site)) } else { Class::Unwanted };
    let mut layer = Weights::read(site, table, outputs)?;
    let mut pair = pair;
    // If the class is not wanted, the two scores made of one become two outputs.
    if matches!(class, Class::Unwanted) {
        layer = layer.paired(pair);
        pair = Pair::None;
    }
    let outputs = layer.biases.len();
    let [weight, bias] = layer.add(site, table);
    let operator = Linear { table, outputs, weight, bias, pair, link, class };
    Ok(Built { operator: Box::new(operator), outputs: types })
}

/// Builds `LinearRegressor`.
pub(super) fn regressor(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let table = FeatureTable::of(site)?;
    let outputs = match site.int("targets")?.unwrap_or(1) {
        targets @ 1.. => targets as usize,
        other => refuse!("has {other} targets"),
    };
    let link = link::link_of_targets(link::link(site.text("post_transform", "NONE")?)?, outputs)?;
    let [weight, bias] = Weights::read(site, table, outputs)?.add(site, table);
    let operator = Linear { table, outputs, weight, bias, pair: Pair::None, link, class: Class::None };
    Built::one(operator, table.scores(outputs))
}

/// The coefficients `[outputs, features]` and the intercepts.
struct Weights {
    coefficients: Vec<f32>,
    biases: Vec<f32>,
}

impl Weights {
    fn read(site: &Site<'_>, table: FeatureTable, outputs: usize) -> Result<Self, Fault> {
        let features = table.features;
        let coefficients = site.floats("coefficients")?.unwrap_or_default().to_vec();
        if Some(coefficients.len()) != outputs.checked_mul(features) {
            refuse!("has {} coefficients for {outputs} scores of {features} features", coefficients.len());
        }
        let biases = match site.floats("intercepts")?.unwrap_or_default() {
            [] => vec![0.0; outputs],
            intercepts if intercepts.len() == outputs => intercepts.to_vec(),
            intercepts => refuse!("has {} intercepts for {outputs} scores", intercepts.len()),
        };
        Ok(Self { coefficients, biases })
    }

    /// The weights with both scores of a pair as outputs.
    fn paired(self, pair: Pair) -> Self {
        let one = match pair {
            Pair::None => return self,
            Pair::Complement => 1.0,
            Pair::Mirror => 0.0,
        };
        let minus =
            |numbers: &[f32], from: f32| numbers.iter().map(|number| from - number).collect::<Vec<_>>();
        let mut coefficients = minus(&self.coefficients, 0.0);
        coefficients.extend(self.coefficients);
        let mut biases = minus(&self.biases, one);
        biases.extend(self.biases);
        Self { coefficients, biases }
    }

    /// Adds both as constants of the node, the coefficients as `[features, outputs]`.
    fn add(self, site: &mut Site<'_>, table: FeatureTable) -> [usize; 2] {
        let features = table.features;
        let outputs = self.biases.len();
        let turned = |at: usize| self.coefficients[at % outputs * features + at / outputs];
        let turned = (0..features * outputs).map(turned).collect();
        let weight = site.add_constant(Constant::floats([features, outputs], turned));
        [weight, site.add_constant(Constant::floats([outputs], self.biases))]
    }
}
