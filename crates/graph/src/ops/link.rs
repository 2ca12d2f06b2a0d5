//! Shared parts of the classifiers of `ai.onnx.ml`: input tables, `post_transform`, class labels.

use burn::tensor::{Device, Int, Tensor};

use crate::error::{Fault, refuse};
use crate::forest::{Link, Pair};
use crate::layout::{EVENTS_AXIS, Layout};
use crate::operator::{Inputs, Site};
use crate::source::{Constant, Kind};
use crate::value::{Type, Value, as_ints};

/// A table of rows of features, `[N, features]`, where N is the events or, in a graph without events, a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct FeatureTable {
    pub features: usize,
    /// Number of rows; `None` if the rows are events.
    rows: Option<usize>,
    events: Option<Layout>,
}

impl FeatureTable {
    /// Input 0 of a node as a table of floats or integers.
    pub fn of(site: &Site<'_>) -> Result<Self, Fault> {
        let kind = site.input(0)?;
        if kind.kind == Kind::Bool || kind.labels.is_some() {
            refuse!("works on truth values or text; only numbers are supported");
        }
        let table = match (kind.events, &kind.dims[..]) {
            (Some(_), &[features]) => Self { features, rows: None, events: kind.events },
            (None, &[features]) => Self { features, rows: Some(1), events: None },
            (None, &[rows, features]) => Self { features, rows: Some(rows), events: None },
            (Some(_), []) => refuse!("{EVENTS_AXIS}"),
            (_, dims) => refuse!("works on a table of features, not on values of shape {dims:?} per event"),
        };
        if table.features == 0 || table.rows == Some(0) {
            refuse!("works on a table of no numbers");
        }
        Ok(table)
    }

    /// Is every row an event?
    pub fn of_events(self) -> bool {
        self.rows.is_none()
    }

    /// Takes input 0 as `[N, features]`.
    pub fn take(self, inputs: &mut Inputs<'_>) -> Tensor<2> {
        let values = match inputs.take(0) {
            Value::Float(values) => values,
            Value::Int(values) => values.float(),
            Value::Bool(_) => unreachable!("kinds were checked"),
        };
        match self.rows {
            None => values,
            Some(rows) => values.reshape([rows, self.features]),
        }
    }

    /// The type of a table with `width` numbers per row.
    pub fn scores(self, width: usize) -> Type {
        match self.rows {
            None => Type::new(Kind::Float, self.events, [width]),
            Some(rows) => Type::new(Kind::Float, None, [rows, width]),
        }
    }

    /// The type of one integer per row.
    pub fn classes(self, labels: Option<Vec<String>>) -> Type {
        let dims: Vec<usize> = self.rows.into_iter().collect();
        Type { labels, ..Type::new(Kind::Int, self.events, dims) }
    }

    /// Turns `[N, width]` into a value of the graph.
    pub fn give<K: burn::tensor::kind::Basic>(self, table: Tensor<2, K>) -> Tensor<2, K> {
        let [rows, width] = table.dims();
        if self.rows.is_some() { table.reshape([1, rows * width]) } else { table }
    }
}

/// Reads `post_transform`.
pub(super) fn link(name: &str) -> Result<Link, Fault> {
    match name {
        "NONE" => Ok(Link::None),
        "LOGISTIC" => Ok(Link::Logistic),
        "SOFTMAX" => Ok(Link::Softmax),
        "SOFTMAX_ZERO" => Ok(Link::SoftmaxZero),
        "PROBIT" => Ok(Link::Probit),
        other => Err(format!("its post_transform '{other}' is not one that ONNX defines")),
    }
}

/// Refuses links other than `PROBIT` for one target: ONNX Runtime ignores them there, unlike ONNX.
pub(super) fn link_of_targets(link: Link, targets: usize) -> Result<Link, Fault> {
    if targets == 1 && !matches!(link, Link::None | Link::Probit) {
        refuse!(
            "has one target and a post_transform, which ONNX Runtime leaves out and ONNX applies; set it to NONE, \
             and add a node with the function if it is wanted"
        );
    }
    Ok(link)
}

/// Makes two scores of one in every row.
pub(super) fn pair(pair: Pair, scores: Tensor<2>) -> Tensor<2> {
    match pair {
        Pair::None => scores,
        Pair::Complement => Tensor::cat(vec![scores.clone().neg().add_scalar(1.0), scores], 1),
        Pair::Mirror => Tensor::cat(vec![scores.clone().neg(), scores], 1),
    }
}

/// Applies a link to every row, with the formulas of ONNX Runtime.
pub(super) fn apply(link: Link, scores: Tensor<2>) -> Tensor<2> {
    match link {
        Link::None => scores,
        Link::Logistic => {
            let below = scores.clone().lower_scalar(0.0);
            let above = scores.abs().neg().exp().add_scalar(1.0).recip();
            above.clone().mask_where(below, above.neg().add_scalar(1.0))
        }
        Link::Softmax => {
            let largest = scores.clone().max_dim(1);
            let grown = (scores - largest).exp();
            grown.clone() / grown.sum_dim(1)
        }
        Link::SoftmaxZero => {
            let largest = scores.clone().max_dim(1);
            let zero = scores.clone().abs().lower_equal_scalar(1e-7);
            let grown = (scores.clone() - largest.clone()).exp();
            let sum = grown.clone().mask_fill(zero.clone(), 0.0).sum_dim(1);
            grown.mask_where(zero, scores * largest.neg().exp()) / sum
        }
        Link::Probit => probit(scores),
    }
}

/// The approximation of ONNX Runtime (Winitzki's, accurate to about 1e-3), without its differences of nearly equal numbers, which lose digits.
fn probit(x: Tensor<2>) -> Tensor<2> {
    const A: f32 = 0.147;
    let x = x.mul_scalar(2.0).sub_scalar(1.0);
    let log = (x.clone() * x.clone()).neg().log1p();
    let v = log.clone().mul_scalar(0.5).add_scalar(2.0 / (std::f32::consts::PI * A));
    let w = log.div_scalar(-A);
    let s = (v.clone() * v.clone() + w.clone()).sqrt();
    let (below, above) = (s.clone() - v.clone(), w / (s + v.clone()));
    let root = above.mask_where(v.lower_scalar(0.0), below).sqrt().mul_scalar(std::f32::consts::SQRT_2);
    root.clone().mask_where(x.lower_scalar(0.0), root.neg())
}

/// Index of the first of the largest numbers of every row, `[N, 1]`; arbitrary for a row with NaN.
pub(super) fn largest(scores: Tensor<2>, device: &Device) -> Tensor<2, Int> {
    let [rows, width] = scores.dims();
    let smaller = scores.clone().lower(scores.max_dim(1).expand([rows, width]));
    let index = Tensor::<1, Int>::arange(0..width as i64, device).reshape([1, width]).expand([rows, width]);
    let index = as_ints(index, device).mask_fill(smaller, width as i64 - 1);
    index.min_dim(1)
}

/// Labels of classes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Labels {
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

impl Labels {
    /// Reads the labels from two attributes, one of which must be given.
    pub fn read<'a>(site: &Site<'a>, ints: &'a str, texts: &'a str) -> Result<Self, Fault> {
        match (site.ints(ints)?.unwrap_or_default(), site.texts(texts)?.unwrap_or_default()) {
            ([], []) => Err(format!("has neither {ints} nor {texts}")),
            (ints, []) => Ok(Self::Ints(ints.to_vec())),
            ([], texts) => Ok(Self::Texts(texts.to_vec())),
            _ => Err(format!("has both {ints} and {texts}")),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Ints(ints) => ints.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    /// The labels, if they are words.
    pub fn texts(&self) -> Option<Vec<String>> {
        match self {
            Self::Ints(_) => None,
            Self::Texts(texts) => Some(texts.clone()),
        }
    }

    /// Are the classes represented by their indices? So are words, and the numbers 0, 1, 2, ...
    pub fn are_indices(&self) -> bool {
        match self {
            Self::Ints(ints) => ints.iter().copied().eq(0..ints.len() as i64),
            Self::Texts(_) => true,
        }
    }

    /// The numbers that stand for the classes, if they are not 0, 1, 2, ...
    pub fn numbers(&self) -> Option<&[i64]> {
        match self {
            Self::Ints(ints) if !self.are_indices() => Some(ints),
            _ => None,
        }
    }

    /// Adds these numbers as a constant of the node.
    pub fn table(&self, site: &mut Site<'_>) -> Option<usize> {
        self.numbers().map(|ints| site.add_constant(Constant::ints([ints.len()], ints.to_vec())))
    }
}

/// Looks indices `[N, 1]` up in a constant row of integers.
pub(super) fn look_up(table: Tensor<2, Int>, index: Tensor<2, Int>) -> Tensor<2, Int> {
    let [rows, columns] = index.dims();
    table.gather(1, index.reshape([1, rows * columns])).reshape([rows, columns])
}
