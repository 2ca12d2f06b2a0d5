//! Parts of an axis: Slice, Split, Gather.
//!
//! The picked numbers are known when the graph is built; only Gather can also look up rows of a constant table by integers of the event.

use std::ops::Range;

use burn::tensor::kind::Basic;
use burn::tensor::{Int, Tensor};

use crate::error::{Fault, refuse};
use crate::kernel_op::KernelOp;
use crate::layout::{EVENTS_AXIS, Layout};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::reshape::Same;
use crate::source::{Constant, Kind};
use crate::value::{Type, Value, each};

/// Part of one axis of a value.
#[derive(Debug)]
pub(super) struct Part {
    /// Numbers of the axes before (within an event), size of the axis, numbers of the axes after.
    around: [usize; 3],
    wanted: Wanted,
}

#[derive(Debug)]
enum Wanted {
    Range(Range<usize>),
    /// Number of indices, and the input that holds them.
    Picked(usize, usize),
}

/// Numbers before, on and after axis `axis` of `dims`.
pub(super) fn around(dims: &[usize], axis: usize) -> [usize; 3] {
    [dims[..axis].iter().product(), dims[axis], dims[axis + 1..].iter().product()]
}

impl Part {
    /// The part at these indices along an axis, all below its size; indices that are no range become a constant of the node.
    pub(super) fn of(site: &mut Site<'_>, dims: &[usize], axis: usize, indices: &[usize]) -> Self {
        let first = indices.first().copied().unwrap_or(0);
        let is_range = indices.iter().enumerate().all(|(count, &index)| index == first + count);
        let wanted = if is_range {
            Wanted::Range(first..first + indices.len())
        } else {
            let numbers = indices.iter().map(|&index| index as i64).collect();
            Wanted::Picked(indices.len(), site.add_constant(Constant::ints([indices.len()], numbers)))
        };
        Self { around: around(dims, axis), wanted }
    }

    fn is_whole(&self) -> bool {
        matches!(&self.wanted, Wanted::Range(range) if *range == (0..self.around[1]))
    }

    fn run(&self, value: Value, inputs: &mut Inputs<'_>) -> Value {
        match &self.wanted {
            Wanted::Range(range) => each!(value, x => self.range(x, range)),
            &Wanted::Picked(count, input) => {
                let indices = inputs.int(input).reshape([count]);
                each!(value, x => self.picked(x, indices))
            }
        }
    }

    fn range<K: Basic>(&self, x: Tensor<2, K>, range: &Range<usize>) -> Tensor<2, K> {
        let ([rows, _], [outer, size, inner]) = (x.dims(), self.around);
        let numbers = range.len() * inner;
        if numbers * outer * rows == 0 {
            return Tensor::empty([rows, numbers * outer], &x.device());
        }
        let x = x.reshape([rows * outer, size * inner]).narrow(1, range.start * inner, numbers);
        x.reshape([rows, outer * numbers])
    }

    fn picked<K: Basic>(&self, x: Tensor<2, K>, indices: Tensor<1, Int>) -> Tensor<2, K> {
        let ([rows, _], [outer, size, inner]) = (x.dims(), self.around);
        let [count] = indices.dims();
        if outer * inner * rows == 0 {
            return Tensor::empty([rows, 0], &x.device());
        }
        // Of a matrix burn's CPU takes whole rows of indices; of more axes it works out the place of every number.
        if inner == 1 {
            return x.reshape([rows * outer, size]).select(1, indices).reshape([rows, outer * count]);
        }
        x.reshape([rows * outer, size, inner]).select(1, indices).reshape([rows, outer * count * inner])
    }
}

/// Takes parts one after another, each of the result of the one before.
#[derive(Debug)]
struct Parts(Vec<Part>);

impl Operator for Parts {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let whole = inputs.take(0);
        vec![self.0.iter().fold(whole, |value, part| part.run(value, inputs))]
    }

    fn moves(&self) -> bool {
        true
    }
}

pub(super) fn parts(parts: Vec<Part>, output: Type) -> Result<Built, Fault> {
    if parts.iter().all(Part::is_whole) { Built::one(Same, output) } else { Built::one(Parts(parts), output) }
}

/// Builds Slice: its bounds are attributes before opset 10, inputs since.
pub(super) fn slice(site: &mut Site<'_>) -> Result<Built, Fault> {
    let (starts, ends, axes, steps) = if site.opset < 10 {
        site.inputs_between(1, 1)?;
        let list = |key| Ok::<_, Fault>(site.ints(key)?.map(<[i64]>::to_vec));
        (list("starts")?, list("ends")?, list("axes")?, None)
    } else {
        site.inputs_between(3, 5)?;
        let list = |index, what| site.known_ints(index, what);
        (list(1, "starts")?, list(2, "ends")?, list(3, "axes")?, list(4, "steps")?)
    };
    let (Some(starts), Some(ends)) = (starts, ends) else { refuse!("has no starts or no ends") };
    let x = site.anything(0)?.clone();
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()].iter().any(|&count| count != starts.len()) {
        refuse!(
            "has lists of different lengths: starts {starts:?}, ends {ends:?}, axes {axes:?}, steps {steps:?}"
        );
    }
    let mut dims = x.dims.clone();
    let mut done = Vec::new();
    let mut chosen = Vec::new();
    for (((start, end), axis), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
        let axis = x.axis_or_events(axis)?;
        if done.contains(&axis) {
            refuse!("cuts one axis twice");
        }
        done.push(axis);
        let Some(axis) = axis else {
            // Exporters slice every axis, even those that they keep completely.
            let end_of_all = site.batch.map_or(i64::from(i32::MAX), |batch| {
                i64::try_from(batch.saturating_mul(x.rows())).unwrap_or(i64::MAX)
            });
            if start != 0 || end < end_of_all || step != 1 {
                refuse!("{EVENTS_AXIS}");
            }
            continue;
        };
        let indices = cut(start, end, step, dims[axis])?;
        chosen.push(Part::of(site, &dims, axis, &indices));
        dims[axis] = indices.len();
    }
    parts(chosen, x.with_dims(dims))
}

/// The indices of `start..end` by `step` on an axis of `size`: negative bounds count from the end, and bounds outside are clamped.
fn cut(start: i64, end: i64, step: i64, size: usize) -> Result<Vec<usize>, Fault> {
    let size = size as i64;
    let counted = |bound: i64| if bound < 0 { bound.saturating_add(size) } else { bound };
    let (start, end) = (counted(start), counted(end));
    let indices: Vec<usize> = match step {
        0 => refuse!("has a step of 0"),
        1.. => {
            let step = usize::try_from(step).unwrap_or(usize::MAX);
            (start.clamp(0, size)..end.clamp(0, size)).step_by(step).map(|index| index as usize).collect()
        }
        _ => {
            let step = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
            // Downwards from start, down to but not including end.
            let (first, last) = (start.min(size - 1), end.clamp(-1, size - 1));
            (last + 1..first + 1).rev().step_by(step).map(|index| index as usize).collect()
        }
    };
    Ok(indices)
}

/// Several parts of one axis.
#[derive(Debug)]
struct Split(Vec<Part>);

impl Operator for Split {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let whole = inputs.take(0);
        self.0.iter().map(|part| part.run(whole.clone(), inputs)).collect()
    }

    fn moves(&self) -> bool {
        true
    }
}

/// Builds Split: sizes are an attribute before opset 13, an input since; without them, the parts are equal.
pub(super) fn split(site: &mut Site<'_>) -> Result<Built, Fault> {
    let sizes = if site.opset < 13 {
        site.inputs_between(1, 1)?;
        site.ints("split")?.map(<[i64]>::to_vec)
    } else {
        site.inputs_between(1, 2)?;
        site.known_ints(1, "split")?
    };
    let x = site.anything(0)?.clone();
    let axis = x.axis(site.int("axis")?.unwrap_or(0))?;
    let size = x.dims[axis];
    let count = site.outputs();
    let said = if site.opset < 18 { None } else { site.int("num_outputs")? };
    if said.is_some_and(|said| said != count as i64) || count == 0 {
        refuse!("has {count} outputs, its attribute 'num_outputs' says {said:?}");
    }
    let sizes: Vec<usize> = match sizes {
        Some(sizes) => sizes.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect(),
        None if said.is_none() && !size.is_multiple_of(count) => {
            refuse!("splits an axis of {size} into {count} equal parts, which does not come out even")
        }
        // The last part is the rest.
        None => {
            let whole = size.div_ceil(count);
            (0..count).map(|part| whole.min(size - (whole * part).min(size))).collect()
        }
    };
    let sum = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
    if sum != Some(size) || sizes.len() != count {
        refuse!("splits an axis of {size} into {count} outputs of sizes {sizes:?}");
    }
    let mut from = 0;
    let mut split = Vec::new();
    let mut outputs = Vec::new();
    for part in sizes {
        split.push(Part { around: around(&x.dims, axis), wanted: Wanted::Range(from..from + part) });
        from += part;
        let mut dims = x.dims.clone();
        dims[axis] = part;
        outputs.push(x.with_dims(dims));
    }
    Ok(Built { operator: Box::new(Split(split)), outputs })
}

/// Builds Gather: picks entries of an axis by index.
pub(super) fn gather(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let axis = site.int("axis")?.unwrap_or(0);
    let indices = site.anywhere_of(1, Kind::Int)?.clone();
    if site.constant(0).is_some() && site.constant(1).is_none() {
        return look_up(site, axis, &indices);
    }
    let x = site.anything(0)?.clone();
    let axis = x.axis(axis)?;
    let size = x.dims[axis];
    let picked = site.known_ints(1, "indices")?.unwrap_or_default();
    let index = |index: i64| {
        let counted = if index < 0 { index.saturating_add(size as i64) } else { index };
        usize::try_from(counted)
            .ok()
            .filter(|&counted| counted < size)
            .ok_or_else(|| format!("picks entry {index} of an axis of {size}"))
    };
    let picked: Vec<usize> = picked.into_iter().map(index).collect::<Result<_, _>>()?;
    let part = Part::of(site, &x.dims, axis, &picked);
    let dims = [&x.dims[..axis], &indices.dims, &x.dims[axis + 1..]].concat();
    let moved = |layout: Layout| match layout.at {
        at if at > axis => Layout { at: at - 1 + indices.dims.len(), ..layout },
        _ => layout,
    };
    parts(vec![part], Type { events: x.events.map(moved), ..x.with_dims(dims) })
}

/// Looks up rows of a constant table by integers of the event.
#[derive(Debug)]
struct LookUp {
    size: usize,
    /// Numbers per entry.
    inner: usize,
}

fn look_up(site: &Site<'_>, axis: i64, indices: &Type) -> Result<Built, Fault> {
    let table = site.input(0)?;
    if table.kind == Kind::Bool {
        refuse!("looks up truth values; only numbers and words are supported");
    }
    let axis = table.axis(axis)?;
    let [outer, size, inner] = around(&table.dims, axis);
    if outer != 1 || size == 0 {
        refuse!(
            "looks up entries on axis {axis} of a constant of shape {:?}; only the first axis is supported",
            table.dims
        );
    }
    let dims = [&table.dims[..axis], &indices.dims, &table.dims[axis + 1..]].concat();
    let events = indices.events.map(|layout| Layout { at: axis + layout.at, ..layout });
    Built::one(LookUp { size, inner }, Type { events, ..table.with_dims(dims) })
}

impl Operator for LookUp {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let table = inputs.take(0);
        let indices = inputs.int(1);
        let [rows, count] = indices.dims();
        let last = self.size as i64 - 1;
        let below = indices.clone().lower_scalar(0);
        let indices = indices.clone().mask_where(below, indices + self.size as i64);
        // An index outside the table has no entry: the score is then NaN, and the event is reported as undecided.
        let outside = indices.clone().lower_scalar(0).bool_or(indices.clone().greater_scalar(last));
        let places = indices.clamp(0, last).reshape([rows * count]);
        let shape = [rows, count * self.inner];
        vec![match table {
            Value::Float(table) => {
                let found = table.reshape([self.size, self.inner]).select(0, places);
                let outside = outside.reshape([rows * count, 1]).expand([rows * count, self.inner]);
                Value::Float(found.mask_fill(outside, f32::NAN).reshape(shape))
            }
            Value::Int(table) => {
                inputs.lose(outside);
                Value::Int(table.reshape([self.size, self.inner]).select(0, places).reshape(shape))
            }
            Value::Bool(_) => unreachable!("kinds were checked"),
        }]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        (self.inner == 1).then_some(KernelOp::LookUp)
    }
}
