//! Reductions: `ReduceSum` and its family, `ArgMax`, `ArgMin`.
//!
//! The reduced axes are brought together ([`MergedAxis`]), so that one reduction over one axis does the rest. Its order of summing
//! depends only on the shape per event, never on the number of events: the change of rank before it makes the tensor contiguous.
//!
//! NaN wins against every number in `ReduceMax` and `ReduceMin`, and `ArgMax` finds the first of equal ones: burn does so on
//! every device. An event with a NaN where `ArgMax` looks has no score: no index is that of the largest number.

use burn::tensor::{Int, Tensor};

use crate::error::{Fault, refuse};
use crate::kernel_op::KernelOp;
use crate::layout::EVENTS_AXIS;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::source::Kind;
use crate::value::{AXES, Type, Value, as_ints, each, mean, rows, spread, wrapped};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reduction {
    L1,
    L2,
    LogSum,
    LogSumExp,
    Max,
    Mean,
    Min,
    Prod,
    Sum,
    SumSquare,
}

/// The reduced axes, as one axis between two others.
#[derive(Debug)]
struct MergedAxis {
    /// Numbers per event before the axis, on it, after it.
    around: [usize; 3],
    /// Shape, and the order that brings the axes together, if they are not adjacent.
    moved: Option<([usize; AXES], [usize; AXES])>,
}

impl MergedAxis {
    /// `gone` holds the reduced axes, ascending, each once.
    fn new(x: &Type, gone: &[usize]) -> Self {
        let (first, last) = (gone.first().copied().unwrap_or(0), gone.last().map_or(0, |&last| last + 1));
        let numbers = |dims: &[usize]| dims.iter().product::<usize>();
        let between = (first..last).filter(|axis| !gone.contains(axis));
        if between.clone().all(|axis| x.dims[axis] == 1) {
            let [before, on, after] = [&x.dims[..first], &x.dims[first..last], &x.dims[last..]].map(numbers);
            return Self { around: [before, on, after], moved: None };
        }
        let mut order: [usize; AXES] = std::array::from_fn(|axis| axis);
        let kept = (0..x.dims.len()).filter(|axis| !gone.contains(axis));
        for (at, axis) in kept.chain(gone.iter().copied()).enumerate() {
            order[x.spread_axis(at)] = x.spread_axis(axis);
        }
        let on: usize = gone.iter().map(|&axis| x.dims[axis]).product();
        let before = (0..x.dims.len()).filter(|axis| !gone.contains(axis)).map(|axis| x.dims[axis]).product();
        Self { around: [before, on, 1], moved: (x.numbers() > 0).then(|| (x.axes(), order)) }
    }

    /// Number of numbers per event that remain.
    fn left(&self) -> usize {
        self.around[0] * self.around[2]
    }

    fn together(&self, value: Value) -> Value {
        match self.moved {
            None => value,
            Some((from, order)) => each!(value, x => rows(spread(x, from).permute(order))),
        }
    }
}

#[derive(Debug)]
struct Reduce {
    function: Reduction,
    merged: MergedAxis,
    int32: bool,
}

/// Builds the Reduce operators: axes are an attribute before opset 18 (13 for the sum), an input since; no axes means all axes.
pub(super) fn reduce(site: &mut Site<'_>) -> Result<Built, Fault> {
    let (function, axes_as_input) = match site.operator() {
        "ReduceL1" => (Reduction::L1, 18),
        "ReduceL2" => (Reduction::L2, 18),
        "ReduceLogSum" => (Reduction::LogSum, 18),
        "ReduceLogSumExp" => (Reduction::LogSumExp, 18),
        "ReduceMax" => (Reduction::Max, 18),
        "ReduceMean" => (Reduction::Mean, 18),
        "ReduceMin" => (Reduction::Min, 18),
        "ReduceProd" => (Reduction::Prod, 18),
        "ReduceSum" => (Reduction::Sum, 13),
        "ReduceSumSquare" => (Reduction::SumSquare, 18),
        other => refuse!("'{other}' is no reduction"),
    };
    let axes = if site.opset < axes_as_input {
        site.inputs_between(1, 1)?;
        site.ints("axes")?.map(<[i64]>::to_vec)
    } else {
        site.inputs_between(1, 2)?;
        site.known_ints(1, "axes")?
    };
    let (keep, nothing) = (site.flag("keepdims", true)?, site.flag("noop_with_empty_axes", false)?);
    let x = site.anywhere(0)?.clone();
    if x.labels.is_some() || x.kind == Kind::Bool && ![Reduction::Max, Reduction::Min].contains(&function) {
        refuse!("works on text or truth values; only numbers are supported");
    }
    let mut gone = match axes.filter(|axes| !axes.is_empty()) {
        Some(axes) => axes.iter().map(|&axis| x.axis(axis)).collect::<Result<Vec<_>, _>>()?,
        None if nothing && [Reduction::L1, Reduction::L2, Reduction::SumSquare].contains(&function) => {
            refuse!("reduces no axes, which ONNX leaves undefined for this operator; name the axes")
        }
        None if nothing => Vec::new(),
        None if x.events.is_some() => refuse!("{EVENTS_AXIS}"),
        None => (0..x.dims.len()).collect(),
    };
    gone.sort_unstable();
    gone.dedup();
    let output = left(&x, &gone, keep);
    Built::one(Reduce { function, merged: MergedAxis::new(&x, &gone), int32: x.int32 }, output)
}

/// The type without some of its axes, or with 1 in their place.
fn left(x: &Type, gone: &[usize], keep: bool) -> Type {
    let reduced = |(axis, &dim)| if gone.contains(&axis) { 1 } else { dim };
    let kept = x.with_dims(x.dims.iter().enumerate().map(reduced).collect::<Vec<_>>());
    if keep { kept } else { kept.without(gone) }
}

impl Operator for Reduce {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![match self.merged.together(inputs.take(0)) {
            Value::Float(x) => Value::Float(self.floats(x)),
            Value::Int(x) => Value::Int(wrapped(as_ints(self.ints(x), inputs.device), self.int32)),
            Value::Bool(x) => Value::Bool(self.ints(x.int()).equal_scalar(1)),
        }]
    }
}

impl Reduce {
    /// The result of reducing no numbers.
    fn of_nothing(&self) -> f32 {
        match self.function {
            Reduction::L1 | Reduction::L2 | Reduction::Sum | Reduction::SumSquare => 0.0,
            Reduction::Prod => 1.0,
            Reduction::Max | Reduction::LogSum | Reduction::LogSumExp => f32::NEG_INFINITY,
            Reduction::Min => f32::INFINITY,
            Reduction::Mean => f32::NAN,
        }
    }

    fn floats(&self, x: Tensor<2>) -> Tensor<2> {
        let ([events, _], [before, on, after]) = (x.dims(), self.merged.around);
        let size = [events, self.merged.left()];
        if on * size[0] * size[1] == 0 {
            return Tensor::full(size, self.of_nothing(), &x.device());
        }
        // Sums along the last axis are several times as fast.
        let (x, axis) = if after == 1 {
            (x.reshape([events, before, on]), 2)
        } else {
            (x.reshape([events * before, on, after]), 1)
        };
        let y = match self.function {
            Reduction::L1 => x.abs().sum_dim(axis),
            Reduction::L2 => (x.clone() * x).sum_dim(axis).sqrt(),
            Reduction::LogSum => x.sum_dim(axis).log(),
            Reduction::LogSumExp => log_sum_exp(x, axis),
            Reduction::Max => x.max_dim(axis),
            Reduction::Mean => mean(x, axis),
            Reduction::Min => x.min_dim(axis),
            Reduction::Prod => x.prod_dim(axis),
            Reduction::Sum => x.sum_dim(axis),
            Reduction::SumSquare => (x.clone() * x).sum_dim(axis),
        };
        y.reshape(size)
    }

    fn ints(&self, x: Tensor<2, Int>) -> Tensor<2, Int> {
        let ([events, _], [before, on, after]) = (x.dims(), self.merged.around);
        let size = [events, self.merged.left()];
        if on * size[0] * size[1] == 0 {
            // As in NumPy: the ends of the range for the extremes (those of 32 bits, which every device has).
            let nothing = self.of_nothing() as i32;
            return Tensor::full(size, nothing, &x.device());
        }
        let x = x.reshape([events * before, on, after]);
        let y = match self.function {
            Reduction::Max => x.max_dim(1),
            Reduction::Min => x.min_dim(1),
            Reduction::Prod => x.prod_dim(1),
            Reduction::Sum => x.sum_dim(1),
            Reduction::Mean => x.sum_dim(1).div_scalar(on as i64),
            Reduction::L1 => x.abs().sum_dim(1),
            Reduction::SumSquare => (x.clone() * x).sum_dim(1),
            Reduction::L2 => (x.clone() * x).sum_dim(1).float().sqrt().int(),
            Reduction::LogSum => x.sum_dim(1).float().log().int(),
            Reduction::LogSumExp => log_sum_exp(x.float(), 1).int(),
        };
        y.reshape(size)
    }
}

/// The logarithm of a sum of exponentials, without overflow.
fn log_sum_exp<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    let largest = x.clone().max_dim(axis);
    let infinite = largest.clone().is_finite().bool_not();
    let largest = largest.mask_fill(infinite, 0.0);
    (x - largest.clone()).exp().sum_dim(axis).log() + largest
}

/// Where the largest or smallest number of an axis is.
/// Numbers less their mean, over the root of their mean square after that.
#[derive(Debug)]
struct MeanVariance {
    merged: MergedAxis,
}

/// What keeps the spread from being 0, in the definition of ONNX.
const SPREAD_MIN: f32 = 1e-9;

/// `MeanVarianceNormalization`.
pub(super) fn mean_variance(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let x = site.input_of(0, Kind::Float)?.clone();
    let axes = site.ints("axes")?.unwrap_or(&[0, 2, 3]);
    let mut gone = axes.iter().map(|&axis| x.axis(axis)).collect::<Result<Vec<_>, _>>()?;
    gone.sort_unstable();
    gone.dedup();
    let merged = MergedAxis::new(&x, &gone);
    if gone.is_empty() || merged.moved.is_some() || merged.around.contains(&0) {
        refuse!("has axes {axes:?}; only axes that stand side by side are supported, and not that of events");
    }
    Built::one(MeanVariance { merged }, x)
}

impl Operator for MeanVariance {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.float(0);
        let [events, numbers] = x.dims();
        let [before, on, after] = self.merged.around;
        let x = x.reshape([events * before, on, after]);
        // Twice: a mean far from 0 has lost the digits of what is left.
        let rest = x.clone() - mean(x, 1);
        let rest = rest.clone() - mean(rest, 1);
        let spread = mean(rest.clone() * rest.clone(), 1).sqrt().add_scalar(SPREAD_MIN);
        vec![Value::Float((rest / spread).reshape([events, numbers]))]
    }
}

#[derive(Debug)]
struct Arg {
    largest: bool,
    last: bool,
    merged: MergedAxis,
}

/// Builds `ArgMax`, `ArgMin`.
pub(super) fn arg(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let largest = site.operator() == "ArgMax";
    let (keep, last) = (site.flag("keepdims", true)?, site.flag("select_last_index", false)?);
    let x = site.anywhere(0)?.clone();
    if x.labels.is_some() || x.kind == Kind::Bool {
        refuse!("works on text or truth values; only numbers are supported");
    }
    let axis = x.axis(site.int("axis")?.unwrap_or(0))?;
    if x.dims[axis] == 0 {
        refuse!("looks for a number on an axis of size 0");
    }
    let left = left(&x, &[axis], keep);
    let output = Type::new(Kind::Int, left.events, left.dims);
    Built::one(Arg { largest, last, merged: MergedAxis::new(&x, &[axis]) }, output)
}

impl Operator for Arg {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        /// Along the middle axis.
        macro_rules! place {
            ($x:expr) => {{
                let [events, _] = $x.dims();
                let [before, on, after] = self.merged.around;
                let x = $x.reshape([events * before, on, after]);
                let x = if self.last { x.flip([1]) } else { x };
                let at = if self.largest { x.argmax(1) } else { x.argmin(1) };
                let at = as_ints(at, inputs.device);
                let at = if self.last { at.neg().add_scalar(on as i64 - 1) } else { at };
                Value::Int(at.reshape([events, before * after]))
            }};
        }
        vec![match inputs.take(0) {
            Value::Float(x) => {
                inputs.lose(x.clone().is_nan());
                place!(x)
            }
            Value::Int(x) => place!(x),
            Value::Bool(_) => unreachable!("kinds were checked"),
        }]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        let whole = self.merged.moved.is_none() && self.merged.left() == 1;
        (self.largest && !self.last && whole).then_some(KernelOp::FirstLargest)
    }
}
