//! Joins, permutes and repeats axes: Concat, Transpose, Expand, Tile.

use burn::tensor::Tensor;
use burn::tensor::kind::Basic;

use crate::error::{Fault, refuse};
use crate::layout::{EVENTS_AXIS, Layout, times_events, written};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::part::around;
use crate::ops::reshape::Same;
use crate::value::{
    AXES, Broadcast, RANK_MAX, Type, Value, axes, each, rows, spread, without_axis_of_events,
};

/// Concatenates values along an axis.
#[derive(Debug)]
struct Concat {
    inputs: usize,
    /// Number of numbers of the axes before.
    outer: usize,
    /// Is nothing among the inputs that was known before?
    moves: bool,
}

/// Builds `Concat`.
pub(super) fn concat(site: &mut Site<'_>) -> Result<Built, Fault> {
    let count = site.inputs();
    let Some(axis) = site.int("axis")? else { refuse!("does not say along which axis") };
    let operands: Vec<Type> =
        (0..count).map(|index| site.anything(index).cloned()).collect::<Result<_, _>>()?;
    let Some(model) = operands.iter().find(|kind| kind.events.is_some()).or(operands.first()) else {
        refuse!("has no inputs");
    };
    let axis = model.axis(axis)?;
    let mut dims = model.dims.clone();
    dims[axis] = 0;
    for (index, operand) in operands.iter().enumerate() {
        let refused =
            || format!("puts values of shapes {:?} and {:?} side by side", model.dims, operand.dims);
        let same = |a: &Type, b: &Type| {
            (a.kind, &a.labels, a.narrow, a.double) == (b.kind, &b.labels, b.narrow, b.double)
        };
        if !same(operand, model) {
            refuse!("puts values of different kinds side by side");
        }
        if operand.shape && (0..count).any(|other| !site.is_known(other)) {
            site.input(index)?;
        }
        // A constant joined to values with events is the same for every event: one row.
        let own = match (model.behind_events(), operand.events) {
            (Some(behind), None) if operand.rank() == model.rank() => {
                without_axis_of_events(&operand.dims, behind).map_err(|_| refused())?
            }
            (Some(_), None) => return Err(refused()),
            (_, events) if events != model.events => return Err(refused()),
            _ => operand.dims.clone(),
        };
        let fits = own.len() == dims.len() && (0..dims.len()).all(|at| at == axis || own[at] == dims[at]);
        let size = fits.then(|| dims[axis].checked_add(own[axis])).flatten();
        dims[axis] = size.ok_or_else(refused)?;
    }
    let mut output = model.with_dims(dims);
    output.shape = operands.iter().any(|operand| operand.shape);
    let outer = around(&model.dims, axis)[0];
    let moves = !(0..count).any(|index| site.is_known(index));
    if count == 1 {
        Built::one(Same, output)
    } else {
        Built::one(Concat { inputs: count, outer, moves }, output)
    }
}

impl Operator for Concat {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let rest = 1..self.inputs;
        vec![match inputs.take(0) {
            Value::Float(first) => Value::Float(self.join(first, rest.map(|index| inputs.float(index)))),
            Value::Int(first) => Value::Int(self.join(first, rest.map(|index| inputs.int(index)))),
            Value::Bool(first) => Value::Bool(self.join(first, rest.map(|index| inputs.bool(index)))),
        }]
    }

    fn moves(&self) -> bool {
        self.moves
    }
}

impl Concat {
    fn join<K: Basic>(&self, first: Tensor<2, K>, rest: impl Iterator<Item = Tensor<2, K>>) -> Tensor<2, K> {
        let parts: Vec<Tensor<2, K>> = std::iter::once(first).chain(rest).collect();
        let events = parts.iter().map(|part| part.dims()[0]).max().unwrap_or(1);
        if self.outer == 0 {
            return Tensor::empty([events, 0], &parts[0].device());
        }
        let whole = |part: Tensor<2, K>| {
            let [rows, numbers] = part.dims();
            let part = if rows == events { part } else { part.expand([events, numbers]) };
            part.reshape([events * self.outer, numbers / self.outer])
        };
        let joined = Tensor::cat(parts.into_iter().map(whole).collect(), 1);
        let numbers = joined.dims()[1];
        joined.reshape([events, self.outer * numbers])
    }
}

/// Permutes the axes of a value that is spread out.
#[derive(Debug)]
struct Transpose {
    from: [usize; AXES],
    order: [usize; AXES],
}

/// Builds `Transpose`.
pub(super) fn transpose(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let x = site.anything(0)?.clone();
    let rank = x.rank();
    let order = match site.ints("perm")? {
        Some(order) => order.to_vec(),
        None => (0..rank as i64).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank as i64) {
        refuse!("orders {rank} axes as {order:?}");
    }
    let all = x.all_axes();
    let output = x.with_all_axes(&order.iter().map(|&axis| all[axis as usize]).collect::<Vec<_>>());
    let order: Vec<usize> = order.iter().filter_map(|&axis| x.axis_or_events(axis).ok()?).collect();
    // If only axes of size 1 move, no number does.
    let mut moving = order.iter().filter(|&&axis| x.dims[axis] != 1);
    if moving.by_ref().is_sorted() {
        return Built::one(Same, output);
    }
    let mut spread_order: [usize; AXES] = std::array::from_fn(|axis| axis);
    for (at, &axis) in order.iter().enumerate() {
        spread_order[x.spread_axis(at)] = x.spread_axis(axis);
    }
    Built::one(Transpose { from: x.axes(), order: spread_order }, output)
}

impl Operator for Transpose {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![each!(inputs.take(0), x => rows(spread(x, self.from).permute(self.order)))]
    }

    fn moves(&self) -> bool {
        true
    }
}

/// Repeats axes.
#[derive(Debug)]
struct Repeat {
    from: [usize; AXES],
    times: [usize; AXES],
}

impl Operator for Repeat {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![each!(inputs.take(0), x => rows(spread(x, self.from).repeat(&self.times)))]
    }
}

/// Builds Expand: repeats axes of size 1 up to the given shape; a constant is repeated for every event if the shape contains their number.
pub(super) fn expand(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let x = site.anywhere(0)?.clone();
    let wanted = site.known_shape(1)?;
    let Some(target) = target(&x, wanted, site.batch) else {
        refuse!(
            "makes the shape {} of {}, which repeats events or is impossible; export the model with fixed shapes, the axis of events in front",
            written(wanted),
            written(&x.shape())
        );
    };
    target.check()?;
    let joint = Broadcast::new(&x, &target)?;
    let (from, to) = (joint.operands[0], axes(&joint.dims));
    let times = std::array::from_fn(|axis| if from[axis] == to[axis] { 1 } else { to[axis] });
    let output = Type { events: joint.events, ..x.with_dims(joint.dims) };
    if x.events.is_some() || output.events.is_none() {
        return repeat(from, times, output);
    }
    output.check()?;
    let events = site.add_events();
    Built::one(RepeatForEvents { repeat: Repeat { from, times }, events }, output)
}

/// The target shape of an expansion, as a type to broadcast with. `None` if it would repeat events.
fn target(x: &Type, wanted: &[i64], batch: Option<usize>) -> Option<Type> {
    let mut sizes = wanted.to_vec();
    let mut events = None;
    match (x.events, x.behind_events()) {
        (Some(layout), Some(behind)) => {
            if let Some(at) = sizes.len().checked_sub(behind + 1) {
                let size = sizes.remove(at);
                let is_batch = layout.rows() == 1 && batch.is_some_and(|batch| batch as i64 == size);
                if !is_batch && size != 1 && size != x.shape()[layout.at] {
                    return None;
                }
                events = Some(Layout { at, ..layout });
            }
        }
        _ => {
            if let Some(at) = sizes.iter().position(|&size| times_events(size) == Some(1)) {
                sizes.remove(at);
                events = Some(Layout { at, ..Layout::FRONT });
            }
        }
    }
    let whole = |&size: &i64| usize::try_from(size).ok().filter(|_| times_events(size).is_none());
    let dims: Vec<usize> = sizes.iter().map(whole).collect::<Option<_>>()?;
    (dims.len() <= RANK_MAX).then(|| Type::new(x.kind, events, dims))
}

/// Repeats a constant for every event.
#[derive(Debug)]
struct RepeatForEvents {
    repeat: Repeat,
    events: usize,
}

impl Operator for RepeatForEvents {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let events = inputs.take(self.events).rows();
        let repeated = self.repeat.run(inputs).swap_remove(0);
        vec![each!(repeated, row => row.clone().expand([events, row.dims()[1]]))]
    }
}

/// Builds Tile: repeats every axis a given number of times.
pub(super) fn tile(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let x = site.anywhere(0)?.clone();
    let mut repeats = site.known_ints(1, "repeats")?.unwrap_or_default();
    if repeats.len() != x.rank() {
        refuse!("repeats {} axes of a value that has {}", repeats.len(), x.rank());
    }
    if x.events.is_some_and(|layout| repeats.remove(layout.at) != 1) {
        refuse!("{EVENTS_AXIS}");
    }
    let mut times = [1; AXES];
    let mut dims = x.dims.clone();
    for (axis, &repeat) in repeats.iter().enumerate() {
        let size = usize::try_from(repeat).ok().and_then(|repeat| dims[axis].checked_mul(repeat));
        let Some(size) = size else { refuse!("repeats an axis {repeat} times") };
        dims[axis] = size;
        times[x.spread_axis(axis)] = repeat as usize;
    }
    repeat(x.axes(), times, x.with_dims(dims))
}

fn repeat(from: [usize; AXES], times: [usize; AXES], output: Type) -> Result<Built, Fault> {
    output.check()?;
    if times == [1; AXES] { Built::one(Same, output) } else { Built::one(Repeat { from, times }, output) }
}
