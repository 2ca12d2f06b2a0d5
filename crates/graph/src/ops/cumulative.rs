//! Sums from the begin of an axis to each of its numbers: `CumSum`.
//!
//! They are made one number after the other, as ONNX Runtime makes them, so that their order is the same on every device.

use burn::tensor::Tensor;
use burn::tensor::kind::Numeric;

use crate::error::{Fault, refuse};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::part::around;
use crate::source::Kind;
use crate::value::{Value, as_ints, wrapped};

/// Longest axis: each of its numbers is a step.
const LENGTH_MAX: usize = 1 << 12;

#[derive(Debug)]
struct CumulativeSum {
    /// Numbers of a row before the axis, on it, after it.
    around: [usize; 3],
    /// Is each number left out of its own sum?
    exclusive: bool,
    /// From the end?
    reverse: bool,
    int32: bool,
}

/// `CumSum`.
pub(super) fn cumulative_sum(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let x = site.input(0)?.clone();
    if x.kind == Kind::Bool || x.labels.is_some() {
        refuse!("adds up text or truth values; only numbers are supported");
    }
    let axis = match site.known_ints(1, "axis")?.as_deref() {
        Some(&[axis]) => x.axis(axis)?,
        _ => refuse!("needs one axis"),
    };
    let around = around(&x.dims, axis);
    if around.contains(&0) || around[1] > LENGTH_MAX {
        refuse!("adds up an axis of {} numbers; between 1 and {LENGTH_MAX} are supported", x.dims[axis]);
    }
    let [exclusive, reverse] = [site.flag("exclusive", false)?, site.flag("reverse", false)?];
    Built::one(CumulativeSum { around, exclusive, reverse, int32: x.int32 }, x)
}

impl Operator for CumulativeSum {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![match inputs.take(0) {
            Value::Float(x) => Value::Float(self.sums(x)),
            Value::Int(x) => Value::Int(wrapped(as_ints(self.sums(x), inputs.device), self.int32)),
            Value::Bool(_) => unreachable!("kinds were checked"),
        }]
    }
}

impl CumulativeSum {
    fn sums<K: Numeric>(&self, x: Tensor<2, K>) -> Tensor<2, K> {
        let [events, numbers] = x.dims();
        let [before, on, after] = self.around;
        let x = x.reshape([events * before, on, after]);
        let mut sum = x.clone().narrow(1, 0, 1).zeros_like();
        let mut sums = Vec::with_capacity(on);
        for step in 0..on {
            let at = if self.reverse { on - 1 - step } else { step };
            let with = sum.clone() + x.clone().narrow(1, at, 1);
            let without = std::mem::replace(&mut sum, with);
            sums.push(if self.exclusive { without } else { sum.clone() });
        }
        if self.reverse {
            sums.reverse();
        }
        Tensor::cat(sums, 1).reshape([events, numbers])
    }
}
