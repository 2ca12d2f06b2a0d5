//! Values side by side, in another order, or repeated: Concat, Transpose, Expand, Tile.

use burn::tensor::Tensor;
use burn::tensor::kind::Basic;

use crate::error::{Fault, refuse};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::part::around;
use crate::ops::reshape::Same;
use crate::value::{AXES, Broadcast, EVENTS, EVENTS_AXIS, RANK_MAX, Type, Value, axes, each, rows, spread};

/// Values one after the other along an axis.
#[derive(Debug)]
struct Concat {
    inputs: usize,
    /// Numbers of the axes before.
    outer: usize,
}

/// Concat.
pub(super) fn concat(site: &mut Site<'_>) -> Result<Built, Fault> {
    let count = site.inputs();
    let Some(axis) = site.int("axis")? else { refuse!("does not say along which axis") };
    let operands: Vec<Type> =
        (0..count).map(|index| site.input_or_shape(index).cloned()).collect::<Result<_, _>>()?;
    let Some(model) = operands.iter().find(|kind| kind.events).or(operands.first()) else {
        refuse!("has no inputs");
    };
    let axis = model.axis(axis)?;
    let mut dims = model.dims.clone();
    dims[axis] = 0;
    for (index, operand) in operands.iter().enumerate() {
        let refused =
            || format!("puts values of shapes {:?} and {:?} side by side", model.dims, operand.dims);
        if operand.kind != model.kind || operand.labels != model.labels {
            refuse!("puts values of different kinds side by side");
        }
        if operand.shape && (0..count).any(|other| !site.is_known(other)) {
            site.input(index)?;
        }
        // A constant beside values of events is the same for every event: one row.
        let own = match &operand.dims[..] {
            [1, own @ ..] if model.events && !operand.events => own,
            _ if model.events && !operand.events => return Err(refused()),
            own => own,
        };
        let fits = own.len() == dims.len() && (0..dims.len()).all(|at| at == axis || own[at] == dims[at]);
        let size = fits.then(|| dims[axis].checked_add(own[axis])).flatten();
        dims[axis] = size.ok_or_else(refused)?;
    }
    let mut output = model.with_dims(dims);
    output.shape = operands.iter().any(|operand| operand.shape);
    let outer = around(&model.dims, axis)[0];
    if count == 1 { Built::one(Same, output) } else { Built::one(Concat { inputs: count, outer }, output) }
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

/// Another order of the axes of a value that is spread out.
#[derive(Debug)]
struct Transpose {
    from: [usize; AXES],
    order: [usize; AXES],
}

/// Transpose.
pub(super) fn transpose(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let x = site.input_or_shape(0)?.clone();
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
    let first = usize::from(x.events);
    if x.events && order[0] != 0 {
        refuse!("{EVENTS_AXIS}");
    }
    let order: Vec<usize> = order[first..].iter().map(|&axis| axis as usize - first).collect();
    let dims: Vec<usize> = order.iter().map(|&axis| x.dims[axis]).collect();
    // Where only axes of size 1 move, no number does.
    let mut moving = order.iter().filter(|&&axis| x.dims[axis] != 1);
    if moving.by_ref().is_sorted() {
        return Built::one(Same, x.with_dims(dims));
    }
    let mut spread_order: [usize; AXES] = std::array::from_fn(|axis| axis);
    for (at, &axis) in order.iter().enumerate() {
        spread_order[x.spread_axis(at)] = x.spread_axis(axis);
    }
    Built::one(Transpose { from: x.axes(), order: spread_order }, x.with_dims(dims))
}

impl Operator for Transpose {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![each!(inputs.take(0), x => rows(spread(x, self.from).permute(self.order)))]
    }

    fn moves(&self) -> bool {
        true
    }
}

/// Axes repeated.
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

/// Expand: axes of size 1 repeated until the value has the shape.
pub(super) fn expand(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let x = site.input(0)?.clone();
    let wanted = site.known_shape(1)?;
    if let (false, &[EVENTS, ..]) = (x.events, wanted) {
        return expand_to_events(site, &x);
    }
    let (front, wanted) =
        wanted.split_at(if x.events { (wanted.len() + 1).saturating_sub(x.rank()) } else { 0 });
    let keeps_events = match front {
        [] => true,
        &[EVENTS | 1] => true,
        &[written] => site.batch.is_some_and(|batch| batch as i64 == written),
        _ => false,
    };
    let sizes: Option<Vec<usize>> = wanted.iter().map(|&size| usize::try_from(size).ok()).collect();
    let Some(sizes) =
        sizes.filter(|sizes| keeps_events && sizes.len() <= RANK_MAX && !wanted.contains(&EVENTS))
    else {
        refuse!(
            "repeats events, or makes an impossible shape; export the model with fixed shapes, the axis of events in front"
        );
    };
    let [own, target] = [x.dims.clone(), sizes].map(|dims| Type::new(x.kind, false, dims));
    target.check()?;
    let joint = Broadcast::new(&own, &target)?;
    let (from, to) = (axes(&x.dims), axes(&joint.dims));
    let times = std::array::from_fn(|axis| if from[axis] == to[axis] { 1 } else { to[axis] });
    repeat(&x, from, times, joint.dims)
}

/// Constant numbers repeated in every event.
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

/// Expand of a constant to a shape that begins with the number of events.
fn expand_to_events(site: &mut Site<'_>, x: &Type) -> Result<Built, Fault> {
    let wanted = &site.known_shape(1)?[1..];
    let sizes: Option<Vec<usize>> = wanted.iter().map(|&size| usize::try_from(size).ok()).collect();
    let own = match &x.dims[..] {
        // An axis of size 1 where the events will be.
        [1, own @ ..] if own.len() == wanted.len() => Some(own),
        own if own.len() <= wanted.len() => Some(own),
        _ => None,
    };
    let (Some(sizes), Some(own)) = (sizes.filter(|_| !wanted.contains(&EVENTS)), own) else {
        refuse!("makes an impossible shape of {:?}", x.dims);
    };
    let [own, target] = [own.to_vec(), sizes].map(|dims| Type::new(x.kind, false, dims));
    target.check()?;
    let joint = Broadcast::new(&own, &target)?;
    let (from, to) = (axes(&own.dims), axes(&joint.dims));
    let times = std::array::from_fn(|axis| if from[axis] == to[axis] { 1 } else { to[axis] });
    let output = Type { events: true, ..x.with_dims(joint.dims) };
    let events = site.add_events();
    Built::one(RepeatForEvents { repeat: Repeat { from, times }, events }, output)
}

/// Tile: every axis repeated so many times.
pub(super) fn tile(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let x = site.input(0)?.clone();
    let repeats = site.known_ints(1, "repeats")?.unwrap_or_default();
    if repeats.len() != x.rank() {
        refuse!("repeats {} axes of a value that has {}", repeats.len(), x.rank());
    }
    let (front, repeats) = repeats.split_at(usize::from(x.events));
    if front.iter().any(|&times| times != 1) {
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
    repeat(&x, x.axes(), times, dims)
}

fn repeat(x: &Type, from: [usize; AXES], times: [usize; AXES], dims: Vec<usize>) -> Result<Built, Fault> {
    let output = x.with_dims(dims);
    output.check()?;
    if times == [1; AXES] { Built::one(Same, output) } else { Built::one(Repeat { from, times }, output) }
}
