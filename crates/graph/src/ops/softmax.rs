//! Softmax and its variants: turn the numbers along an axis into a distribution. If one of them is NaN, all results are NaN.

use burn::tensor::{Int, Tensor, activation};

use crate::error::{Fault, refuse};
use crate::kernel_op::KernelOp;
use crate::layout::EVENTS_AXIS;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::source::Kind;
use crate::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SoftmaxKind {
    Softmax,
    LogSoftmax,
    /// 1 for the first of the largest, 0 for the others.
    Hardmax,
}

#[derive(Debug)]
struct Along {
    function: SoftmaxKind,
    /// A row of the value as `[outer, length, inner]`; the function is applied along the middle axis.
    outer: usize,
    length: usize,
    inner: usize,
}

/// `Softmax`, `LogSoftmax`, `Hardmax`. Before opset 13 they apply to all axes from the given one on, since then only to that one.
pub(super) fn softmax(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let function = match site.operator() {
        "Softmax" => SoftmaxKind::Softmax,
        "LogSoftmax" => SoftmaxKind::LogSoftmax,
        "Hardmax" => SoftmaxKind::Hardmax,
        other => refuse!("'{other}' goes along no axis"),
    };
    let x = site.anywhere_of(0, Kind::Float)?;
    let flat = site.opset < 13;
    let axis = site.int("axis")?.unwrap_or(if flat { 1 } else { -1 });
    if x.numbers() == 0 {
        refuse!("its input 0 has shape {:?}, without a number", x.dims);
    }
    let axis = x.axis(axis)?;
    if flat && x.events.is_some_and(|layout| axis < layout.at) {
        refuse!("{EVENTS_AXIS}");
    }
    let numbers = |axes: &[usize]| axes.iter().product();
    let (outer, rest) = x.dims.split_at(axis);
    let (length, inner) = if flat { (numbers(rest), 1) } else { (rest[0], numbers(&rest[1..])) };
    Built::one(Along { function, outer: numbers(outer), length, inner }, x.clone())
}

impl Along {
    fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self.function {
            SoftmaxKind::Softmax => activation::softmax(x, 1),
            SoftmaxKind::LogSoftmax => activation::log_softmax(x, 1),
            SoftmaxKind::Hardmax => {
                let device = x.device();
                let mut axes = [1; D];
                axes[1] = self.length;
                let places = Tensor::<1, Int>::arange(0..self.length as i64, &device).reshape(axes);
                let lost = x.clone().is_nan().any_dim(1).expand(x.dims());
                let shape = x.dims();
                let hits = x.argmax(1).expand(shape).equal(places.expand(shape));
                hits.float().mask_fill(lost, f32::NAN)
            }
        }
    }

    /// Does it apply to whole rows?
    fn is_whole(&self) -> bool {
        self.outer == 1 && self.inner == 1
    }
}

impl Operator for Along {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.float(0);
        if self.is_whole() {
            return vec![Value::Float(self.apply(x))];
        }
        let shape = x.dims();
        let x = x.reshape([shape[0] * self.outer, self.length, self.inner]);
        vec![Value::Float(self.apply(x).reshape(shape))]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        (self.function == SoftmaxKind::Softmax && self.is_whole()).then_some(KernelOp::Softmax)
    }
}
