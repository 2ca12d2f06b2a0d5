//! `LinearClassifier`, `LinearRegressor`.

use crate::error::{Fault, refuse};
use crate::forest::{Link, Pair};
use crate::operator::{Built, Inputs, KernelOp, Operator, Site};
use crate::ops::link::{self, Labels, Table};
use crate::source::Constant;
use crate::value::{Value, as_ints};

/// `x W + b`, then scores, and a class for a classifier.
#[derive(Debug)]
struct Linear {
    table: Table,
    outputs: usize,
    weight: usize,
    bias: usize,
    pair: Pair,
    link: Link,
    class: Option<Class>,
}

#[derive(Debug)]
struct Class {
    /// Numbers that stand for the classes, if they are not 0, 1, 2, ...
    labels: Option<usize>,
}

impl Operator for Linear {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = self.table.take(inputs);
        let weight = inputs.float(self.weight).reshape([self.table.features, self.outputs]);
        let y = x.matmul(weight) + inputs.float(self.bias);
        let class = self.class.as_ref().map(|class| {
            let index = match self.outputs {
                1 => as_ints(y.clone().greater_scalar(0.0).int(), inputs.device),
                _ => link::largest(y.clone(), inputs.device),
            };
            match class.labels {
                Some(labels) => link::look_up(inputs.int(labels), index),
                None => index,
            }
        });
        let scores = link::apply(self.link, link::pair(self.pair, y));
        let scores = Value::Float(self.table.give(scores));
        class.map(|class| Value::Int(self.table.give(class))).into_iter().chain([scores]).collect()
    }

    fn multiply_adds(&self) -> u64 {
        (self.table.features * self.outputs) as u64
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        let alone = self.class.is_none() && self.pair == Pair::None && self.link == Link::None;
        (alone && self.table.of_events()).then_some(KernelOp::Dense {
            inputs: self.table.features,
            outputs: self.outputs,
            weight: self.weight,
            bias: Some(self.bias),
        })
    }
}

/// `LinearClassifier`.
pub(super) fn classifier(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(2)?;
    site.ignore(&["multi_class"]);
    let table = Table::of(site)?;
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
    let class = Some(Class { labels: labels.table(site) });
    let [weight, bias] = weights(site, table, outputs)?;
    let operator = Linear { table, outputs, weight, bias, pair, link, class };
    Ok(Built { operator: Box::new(operator), outputs: types })
}

/// `LinearRegressor`.
pub(super) fn regressor(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let table = Table::of(site)?;
    let outputs = match site.int("targets")?.unwrap_or(1) {
        targets @ 1.. => targets as usize,
        other => refuse!("has {other} targets"),
    };
    let link = link::link_of_targets(link::link(site.text("post_transform", "NONE")?)?, outputs)?;
    let [weight, bias] = weights(site, table, outputs)?;
    let operator = Linear { table, outputs, weight, bias, pair: Pair::None, link, class: None };
    Built::one(operator, table.scores(outputs))
}

/// The coefficients, `[outputs, features]` in the file, and the intercepts, as constants of the node.
fn weights(site: &mut Site<'_>, table: Table, outputs: usize) -> Result<[usize; 2], Fault> {
    let features = table.features;
    let coefficients = site.floats("coefficients")?.unwrap_or_default();
    if Some(coefficients.len()) != outputs.checked_mul(features) {
        refuse!("has {} coefficients for {outputs} scores of {features} features", coefficients.len());
    }
    let turned =
        (0..features * outputs).map(|at| coefficients[at % outputs * features + at / outputs]).collect();
    let intercepts = match site.floats("intercepts")?.unwrap_or_default() {
        [] => vec![0.0; outputs],
        intercepts if intercepts.len() == outputs => intercepts.to_vec(),
        intercepts => refuse!("has {} intercepts for {outputs} scores", intercepts.len()),
    };
    let weight = site.add_constant(Constant::floats([features, outputs], turned));
    Ok([weight, site.add_constant(Constant::floats([outputs], intercepts))])
}
