//! Picks numbers by values of the event: `TopK`, `GatherElements`.
//!
//! Of equal numbers `TopK` takes the first, on every device: it repeatedly searches the largest of the remaining numbers. A NaN
//! has no rank among numbers, so an event with one where `TopK` looks has no score. An entry that does not exist is
//! NaN; among integers, which have no NaN, the event has no score.

use burn::tensor::kind::{Basic, Numeric, Ordered};
use burn::tensor::{Bool, Device, Int, Tensor};

use crate::error::{Fault, refuse};
use crate::operator::{Built, Inputs, Operator, Site, product};
use crate::ops::part::around;
use crate::source::Kind;
use crate::value::{AXES, Type, Value, as_ints, each, ints, rows, spread};

/// The largest or smallest numbers of an axis, in order, and where they are.
#[derive(Debug)]
struct TopK {
    /// Numbers of a row before the axis, on it, after it.
    around: [usize; 3],
    count: usize,
    largest: bool,
}

/// Builds `TopK`: the count is an attribute before opset 10, an input since.
pub(super) fn top_k(site: &mut Site<'_>) -> Result<Built, Fault> {
    let count = if site.opset < 10 {
        site.inputs_between(1, 1)?;
        site.int("k")?
    } else {
        site.inputs_between(2, 2)?;
        site.known_ints(1, "K")?.filter(|counts| counts.len() == 1).map(|counts| counts[0])
    };
    let largest = site.flag("largest", true)?;
    // The result is always sorted, requested or not.
    site.flag("sorted", true)?;
    let x = site.anywhere(0)?.clone();
    if x.labels.is_some() || x.kind == Kind::Bool {
        refuse!("orders text or truth values; only numbers have an order");
    }
    let axis = x.axis(site.int("axis")?.unwrap_or(-1))?;
    let Some(count) =
        count.and_then(|count| usize::try_from(count).ok()).filter(|&count| count <= x.dims[axis])
    else {
        refuse!("takes {count:?} of the {} numbers of an axis", x.dims[axis]);
    };
    let mut dims = x.dims.clone();
    dims[axis] = count;
    let values = x.with_dims(dims);
    let places = Type::new(Kind::Int, values.events, values.dims.clone());
    let operator = TopK { around: around(&x.dims, axis), count, largest };
    Ok(Built { operator: Box::new(operator), outputs: vec![values, places] })
}

impl Operator for TopK {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        match inputs.take(0) {
            Value::Float(x) => {
                inputs.lose(x.clone().is_nan());
                let worst = if self.largest { f32::NEG_INFINITY } else { f32::INFINITY };
                let (values, places) = self.pick(x, inputs.device, |x, taken| x.mask_fill(taken, worst));
                vec![Value::Float(values), Value::Int(places)]
            }
            Value::Int(x) => {
                let wide = *inputs.device == Device::flex();
                let worst = match (wide, self.largest) {
                    (true, true) => i64::MIN,
                    (true, false) => i64::MAX,
                    (false, true) => i64::from(i32::MIN),
                    (false, false) => i64::from(i32::MAX),
                };
                let (values, places) = self.pick(x, inputs.device, |x, taken| x.mask_fill(taken, worst));
                vec![Value::Int(values), Value::Int(places)]
            }
            Value::Bool(_) => unreachable!("kinds were checked"),
        }
    }

    /// Counts comparisons, which cost as much as multiply-adds.
    fn multiply_adds(&self) -> u64 {
        let [before, on, after] = self.around;
        product(&[self.count, before, on, after])
    }
}

impl TopK {
    /// The numbers and their indices; `without` puts the worst number where one was taken already.
    fn pick<K: Numeric + Ordered>(
        &self,
        x: Tensor<2, K>,
        device: &Device,
        without: impl Fn(Tensor<3, K>, Tensor<3, Bool>) -> Tensor<3, K>,
    ) -> (Tensor<2, K>, Tensor<2, Int>) {
        let ([events, _], [before, on, after]) = (x.dims(), self.around);
        let width = before * self.count * after;
        if events * width == 0 {
            let nothing = Tensor::<2, Int>::zeros([events, width], device);
            return (Tensor::zeros([events, width], device), nothing);
        }
        let lines = [events * before, on, after];
        let x = x.reshape(lines);
        let numbered = ints((0..on as i64).collect(), [1, on, 1], device).expand(lines);
        let mut taken = numbered.clone().lower_scalar(0);
        let (mut values, mut places) = (Vec::with_capacity(self.count), Vec::with_capacity(self.count));
        for _ in 0..self.count {
            let left = without(x.clone(), taken.clone());
            let best = if self.largest { left.argmax(1) } else { left.argmin(1) };
            let best = as_ints(best, device);
            // If only worst numbers are left, `best` may be one that was taken; then take the first that was not.
            let free = as_ints(taken.clone().bool_not().int(), device);
            let again = free.clone().gather(1, best.clone()).equal_scalar(0);
            let best = best.mask_where(again, as_ints(free.argmax(1), device));
            taken = taken.bool_or(numbered.clone().equal(best.clone().expand(lines)));
            values.push(x.clone().gather(1, best.clone()));
            places.push(best);
        }
        (Tensor::cat(values, 1).reshape([events, width]), Tensor::cat(places, 1).reshape([events, width]))
    }
}

/// Picks entries along an axis, by one index per number of the result.
#[derive(Debug)]
struct Elements {
    /// Axes of the value and of the indices; the latter are no longer, except along the axis.
    from: [usize; AXES],
    to: [usize; AXES],
    /// Numbers of a row of the result before the axis, on it, after it.
    around: [usize; 3],
    /// Index of the axis in `from`, and its size.
    axis: usize,
    size: usize,
}

/// Builds `GatherElements`.
pub(super) fn elements(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let x = site.anywhere(0)?.clone();
    let indices = site.anywhere_of(1, Kind::Int)?.clone();
    let axis = x.axis(site.int("axis")?.unwrap_or(0))?;
    let fits = |(at, (&index, &dim)): (usize, (&usize, &usize))| at == axis || index <= dim;
    if x.events != indices.events
        || x.dims.len() != indices.dims.len()
        || !indices.dims.iter().zip(&x.dims).enumerate().all(fits)
        || x.dims[axis] == 0
    {
        refuse!(
            "picks entries of a value of shape {:?} by indices of shape {:?}, which do not fit",
            x.dims,
            indices.dims
        );
    }
    let operator = Elements {
        from: x.axes(),
        to: indices.axes(),
        around: around(&indices.dims, axis),
        axis: x.spread_axis(axis),
        size: x.dims[axis],
    };
    Built::one(operator, x.with_dims(indices.dims))
}

impl Operator for Elements {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let (x, indices) = (inputs.take(0), inputs.int(1));
        let ([events, numbers], last) = (indices.dims(), self.size as i64 - 1);
        let below = indices.clone().lower_scalar(0);
        let indices = indices.clone().mask_where(below, indices + self.size as i64);
        let outside = indices.clone().lower_scalar(0).bool_or(indices.clone().greater_scalar(last));
        let [before, on, after] = self.around;
        let indices = indices.clamp(0, last).reshape([events * before, on, after]);
        let found = each!(x, x => self.pick(x, indices).reshape([events, numbers]));
        vec![match found {
            Value::Float(found) => Value::Float(found.mask_fill(outside, f32::NAN)),
            found => {
                inputs.lose(outside);
                found
            }
        }]
    }
}

impl Elements {
    fn pick<K: Basic>(&self, x: Tensor<2, K>, indices: Tensor<3, Int>) -> Tensor<3, K> {
        let mut x = spread(x, self.from);
        for axis in (1..AXES).filter(|&axis| axis != self.axis && self.from[axis] != self.to[axis]) {
            x = x.narrow(axis, 0, self.to[axis]);
        }
        let [lines, _, after] = indices.dims();
        rows(x).reshape([lines, self.size, after]).gather(1, indices)
    }
}
