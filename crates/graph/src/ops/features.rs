//! Preprocessing: Scaler, Normalizer, Binarizer, Imputer, `FeatureVectorizer`, `ArrayFeatureExtractor`.

use burn::tensor::Tensor;

use crate::error::{Fault, refuse};
use crate::kernel_op::KernelOp;
use crate::layout::{EVENTS_AXIS, Layout, written};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::link::FeatureTable;
use crate::source::{Constant, Data, Kind};
use crate::value::{Type, Value, each};

/// A value as a float tensor; it was checked to hold no truth values.
fn floats(value: Value) -> Tensor<2> {
    match value {
        Value::Float(values) => values,
        Value::Int(values) => values.float(),
        Value::Bool(_) => unreachable!("kinds were checked"),
    }
}

/// `(x - offset) * scale`, in this order.
#[derive(Debug)]
struct Scale {
    table: FeatureTable,
    offset: usize,
    scale: usize,
}

impl Operator for Scale {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = self.table.take(inputs);
        let scaled = (x - inputs.float(self.offset)) * inputs.float(self.scale);
        vec![Value::Float(self.table.give(scaled))]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        let (means, factors) = (Some(self.offset), Some(self.scale));
        self.table.of_events().then_some(KernelOp::Scale { means, factors, divisors: None, summands: None })
    }
}

/// Builds `Scaler`.
pub(super) fn scaler(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let table = FeatureTable::of(site)?;
    let scale = site.floats("scale")?.unwrap_or_default().to_vec();
    let offset = site.floats("offset")?.unwrap_or_default().to_vec();
    if scale.len() != offset.len() || ![1, table.features].contains(&scale.len()) {
        refuse!("has {} scales and {} offsets for {} features", scale.len(), offset.len(), table.features);
    }
    let output = Type::new(Kind::Float, site.input(0)?.events, site.input(0)?.dims.clone());
    let offset = site.add_constant(Constant::floats([offset.len()], offset));
    let scale = site.add_constant(Constant::floats([scale.len()], scale));
    Built::one(Scale { table, offset, scale }, output)
}

/// Divides every row by its norm, except rows whose norm is 0.
#[derive(Debug)]
struct Normalize {
    table: FeatureTable,
    norm: Norm,
}

#[derive(Clone, Copy, Debug)]
enum Norm {
    /// The largest number, not the largest absolute value.
    Max,
    L1,
    L2,
}

impl Operator for Normalize {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = self.table.take(inputs);
        let norm = match self.norm {
            Norm::Max => x.clone().max_dim(1),
            Norm::L1 => x.clone().abs().sum_dim(1),
            Norm::L2 => (x.clone() * x.clone()).sum_dim(1).sqrt(),
        };
        let none = norm.clone().equal_scalar(0.0);
        vec![Value::Float(self.table.give(x / norm.mask_fill(none, 1.0)))]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        (self.table.of_events() && matches!(self.norm, Norm::L1)).then_some(KernelOp::Normalize)
    }
}

/// Builds `Normalizer`.
pub(super) fn normalizer(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let table = FeatureTable::of(site)?;
    let norm = match site.text("norm", "MAX")? {
        "MAX" => Norm::Max,
        "L1" => Norm::L1,
        "L2" => Norm::L2,
        other => refuse!("its norm '{other}' is not MAX, L1 or L2"),
    };
    let output = Type::new(Kind::Float, site.input(0)?.events, site.input(0)?.dims.clone());
    Built::one(Normalize { table, norm }, output)
}

/// 1 where a number is above the threshold, 0 elsewhere.
#[derive(Debug)]
struct Binarize {
    threshold: f32,
}

impl Operator for Binarize {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = floats(inputs.take(0));
        let ones = x.clone().greater_scalar(self.threshold).float();
        // A NaN stays a NaN.
        let nan = x.clone().is_nan();
        vec![Value::Float(ones.mask_where(nan, x))]
    }
}

/// Builds `Binarizer`.
pub(super) fn binarizer(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let threshold = site.float("threshold", 0.0)?;
    let output = site.input_of(0, Kind::Float)?.clone();
    Built::one(Binarize { threshold }, output)
}

/// Replaces one number, for example NaN, in every row.
#[derive(Debug)]
struct Impute {
    table: FeatureTable,
    replaced: f32,
    imputed: usize,
}

impl Operator for Impute {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = self.table.take(inputs);
        let shape = x.dims();
        let missing = match self.replaced {
            replaced if replaced.is_nan() => x.clone().is_nan(),
            replaced => x.clone().equal_scalar(replaced),
        };
        let imputed = inputs.float(self.imputed).expand(shape);
        vec![Value::Float(self.table.give(x.mask_where(missing, imputed)))]
    }

    fn takes_missing(&self) -> bool {
        self.replaced.is_nan()
    }
}

/// Builds `Imputer`.
pub(super) fn imputer(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let table = FeatureTable::of(site)?;
    let output = site.input_of(0, Kind::Float)?.clone();
    let replaced = site.float("replaced_value_float", 0.0)?;
    site.ignore(&["replaced_value_int64"]);
    let imputed = site.floats("imputed_value_floats")?.unwrap_or_default().to_vec();
    if ![1, table.features].contains(&imputed.len()) {
        refuse!("has {} values to put in for {} features", imputed.len(), table.features);
    }
    let imputed = site.add_constant(Constant::floats([imputed.len()], imputed));
    Built::one(Impute { table, replaced, imputed }, output)
}

/// Joins rows side by side.
#[derive(Debug)]
struct Vectorize {
    inputs: usize,
}

impl Operator for Vectorize {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let parts = (0..self.inputs).map(|index| floats(inputs.take(index))).collect();
        vec![Value::Float(Tensor::cat(parts, 1))]
    }
}

/// Builds `FeatureVectorizer`.
pub(super) fn vectorizer(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.outputs_at_most(1)?;
    let widths = site.ints("inputdimensions")?.unwrap_or_default();
    let inputs = site.inputs();
    if inputs == 0 || widths.len() != inputs {
        refuse!("has {inputs} inputs and {} widths (inputdimensions)", widths.len());
    }
    let mut width = 0;
    for (index, &expected) in widths.iter().enumerate() {
        let kind = site.input(index)?;
        if kind.kind == Kind::Bool || kind.labels.is_some() || kind.events.is_none() {
            refuse!("its input {index} must be numbers of every event");
        }
        if kind.dims.len() != 1 || kind.dims[0] as i64 != expected {
            refuse!(
                "its input {index} has the shape {:?} per event, and its width is said to be {expected}",
                kind.dims
            );
        }
        width += kind.dims[0];
    }
    Built::one(Vectorize { inputs }, Type::new(Kind::Float, site.input(0)?.events, [width]))
}

/// Picks numbers of the last axis, the same for every event.
#[derive(Debug)]
struct Columns {
    /// Rows per event (for a value without events: all rows), and numbers in each.
    rows: usize,
    width: usize,
    chosen: usize,
    index: usize,
}

impl Operator for Columns {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let index = inputs.int(self.index).reshape([self.chosen]);
        macro_rules! choose {
            ($kind:path, $tensor:expr) => {{
                let tensor = $tensor;
                let [events, _] = tensor.dims();
                let rows = tensor.reshape([events * self.rows, self.width]).select(1, index);
                $kind(rows.reshape([events, self.rows * self.chosen]))
            }};
        }
        vec![match inputs.take(0) {
            Value::Float(tensor) => choose!(Value::Float, tensor),
            Value::Int(tensor) => choose!(Value::Int, tensor),
            Value::Bool(tensor) => choose!(Value::Bool, tensor),
        }]
    }

    fn moves(&self) -> bool {
        true
    }
}

/// Picks numbers of a constant list by event, each a row of its own: scikit-learn turns class indices into labels this way.
#[derive(Debug)]
struct Entries {
    count: usize,
}

impl Operator for Entries {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let index = inputs.int(1);
        let chosen = index.dims().iter().product();
        let index = index.clamp(0, self.count as i64 - 1).reshape([1, chosen]);
        vec![each!(inputs.take(0), list => list.gather(1, index).reshape([chosen, 1]))]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        Some(KernelOp::LookUp)
    }
}

/// Builds a choice by the event. ONNX puts all that is chosen on one axis, behind the axes of the list in front of its last, or one of size 1.
fn entries(x: &Type, y: &Type, events: Layout) -> Result<Built, Fault> {
    let width = x.dims.last().copied().unwrap_or(0);
    if x.events.is_some() || x.numbers() != width || width == 0 {
        refuse!(
            "chooses by the event from values of shape {}; only a choice from a constant list is supported: choose with GatherElements",
            written(&x.shape())
        );
    }
    let at = x.dims.len().max(2) - 1;
    let Some(after) = events.after.checked_mul(y.numbers()) else { refuse!("chooses too many numbers") };
    let output = Type { events: Some(Layout { at, after, ..events }), ..x.with_dims(vec![1; at]) };
    Built::one(Entries { count: width }, output)
}

/// Builds `ArrayFeatureExtractor`.
pub(super) fn extractor(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    site.outputs_at_most(1)?;
    let x = site.input(0)?.clone();
    let y = site.input_of(1, Kind::Int)?.clone();
    let Some(&width) = x.dims.last() else { refuse!("{EVENTS_AXIS}") };
    if let Some(events) = y.events {
        return entries(&x, &y, events);
    }
    let index = match &site.known(1, "the columns")?.data {
        Data::Ints(index) if !index.is_empty() => index.clone(),
        _ => refuse!("chooses no columns"),
    };
    if let Some(wrong) = index.iter().find(|&&index| index < 0 || index >= width as i64) {
        refuse!("chooses column {wrong} of {width}");
    }
    let chosen = index.len();
    let rows = x.numbers() / width;
    let mut dims = x.dims.clone();
    match (x.events, &mut dims[..]) {
        (None, [_]) => dims = vec![1, chosen],
        (_, [.., last]) => *last = chosen,
        (_, []) => unreachable!("it has a last axis"),
    }
    let index = site.add_constant(Constant::ints([chosen], index));
    Built::one(Columns { rows, width, chosen, index }, x.with_dims(dims))
}
