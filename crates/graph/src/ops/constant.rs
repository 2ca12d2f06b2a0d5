//! Values that do not depend on events: Constant, `ConstantOfShape`, Range, Shape.

use crate::error::{Fault, refuse};
use crate::layout::{Layout, times_events, written};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::source::{Constant, Data, Kind};
use crate::value::{Type, Value, each};

/// Returns a constant of the operator.
#[derive(Debug)]
struct Known {
    /// Its index among the inputs.
    input: usize,
}

impl Operator for Known {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![inputs.take(self.input)]
    }
}

/// Builds a node whose result is a constant.
pub(super) fn known(site: &mut Site<'_>, constant: Constant, kind: Type) -> Result<Built, Fault> {
    let input = site.add_constant(constant);
    Built::one(Known { input }, kind)
}

/// Builds `Constant`.
pub(super) fn constant(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(0, 0)?;
    let mut found = Vec::new();
    found.extend(site.tensor("value")?.cloned());
    found.extend(site.optional_float("value_float")?.map(|value| Constant::floats([], vec![value])));
    found
        .extend(site.floats("value_floats")?.map(|values| Constant::floats([values.len()], values.to_vec())));
    found.extend(site.int("value_int")?.map(|value| Constant::ints([], vec![value])));
    found.extend(site.ints("value_ints")?.map(|values| Constant::ints([values.len()], values.to_vec())));
    let [constant] = &found[..] else {
        refuse!(
            "must have one value: a tensor of numbers, or numbers; text and sparse tensors are not supported"
        );
    };
    let kind = Type::of(constant);
    known(site, constant.clone(), kind)
}

/// Builds Shape. [`crate::layout::EVENTS`] stands for the number of events in it: Reshape understands that, and operators that move numbers pass it
/// on.
pub(super) fn shape(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let sizes = site.anything(0)?.shape();
    let rank = sizes.len() as i64;
    let counted =
        |axis: i64| (if axis < 0 { axis.saturating_add(rank) } else { axis }).clamp(0, rank) as usize;
    let start = counted(site.int("start")?.unwrap_or(0));
    let end = counted(site.int("end")?.unwrap_or(rank));
    let sizes = sizes.get(start..end).unwrap_or_default().to_vec();
    let constant = Constant::ints([sizes.len()], sizes);
    let mut kind = Type::new(constant.kind(), None, constant.dims.clone());
    kind.shape = true;
    site.types_only();
    known(site, constant, kind)
}

/// Repeats a constant row for every event.
#[derive(Debug)]
struct Rows {
    row: usize,
    events: usize,
}

impl Operator for Rows {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let events = inputs.take(self.events).rows();
        vec![each!(inputs.take(self.row), row => row.clone().expand([events, row.dims()[1]]))]
    }
}

/// Builds `ConstantOfShape`: one number everywhere, and for every event if the shape contains their number.
pub(super) fn of_shape(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let shape = site.known_shape(0)?;
    let mut sizes = shape.to_vec();
    let at = sizes.iter().position(|&size| times_events(size) == Some(1));
    if let Some(at) = at {
        sizes.remove(at);
    }
    let whole = |&size: &i64| usize::try_from(size).ok().filter(|_| times_events(size).is_none());
    let Some(dims) = sizes.iter().map(whole).collect::<Option<Vec<usize>>>() else {
        refuse!("makes a value of shape {}; the number of events may be one of its axes", written(shape));
    };
    let events = at.map(|at| Layout { at, ..Layout::FRONT });
    let number = match site.tensor("value")? {
        Some(Constant { words: Some(_), .. }) => {
            refuse!("fills a shape with text; only numbers are supported")
        }
        Some(number) if number.len() == 1 => number.clone(),
        Some(other) => refuse!("fills a shape with {} numbers; one is expected", other.len()),
        None => Constant::floats([1], vec![0.0]),
    };
    let kind = Type { events, ..Type::of(&number).with_dims(dims.clone()) };
    kind.check()?;
    let count = kind.numbers();
    let data = match number.data {
        Data::Floats(number) => Data::Floats(vec![number[0]; count]),
        Data::Ints(number) => Data::Ints(vec![number[0]; count]),
        Data::Bools(number) => Data::Bools(vec![number[0]; count]),
    };
    let constant = Constant { dims, data, int32: number.int32, narrow: number.narrow, words: None };
    if events.is_none() {
        return known(site, constant, kind);
    }
    let row = site.add_constant(constant);
    Built::one(Rows { row, events: site.add_events() }, kind)
}

/// Builds Range: numbers from a start by a step up to, but not including, a limit.
pub(super) fn range(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(3, 3)?;
    let bounds = [site.known(0, "start")?, site.known(1, "limit")?, site.known(2, "delta")?];
    let int32 = bounds[0].int32;
    let data = match bounds.map(|bound| &bound.data) {
        [Data::Ints(start), Data::Ints(limit), Data::Ints(delta)] => {
            let (&[start], &[limit], &[delta]) = (&start[..], &limit[..], &delta[..]) else {
                refuse!("{NO_RANGE}")
            };
            let [from, to, by] = [start, limit, delta].map(i128::from);
            let count = if by == 0 { refuse!("{NO_RANGE}") } else { (to - from + by - by.signum()) / by };
            let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
            Type::new(Kind::Int, None, [count]).check()?;
            Data::Ints((0..count as i128).map(|at| (from + at * by) as i64).collect())
        }
        [Data::Floats(start), Data::Floats(limit), Data::Floats(delta)] => {
            let (&[start], &[limit], &[delta]) = (&start[..], &limit[..], &delta[..]) else {
                refuse!("{NO_RANGE}")
            };
            let count = ((limit - start) / delta).ceil();
            if !count.is_finite() {
                refuse!("{NO_RANGE}");
            }
            let count = count.max(0.0) as usize;
            Type::new(Kind::Float, None, [count]).check()?;
            Data::Floats((0..count).map(|at| start + at as f32 * delta).collect())
        }
        _ => refuse!("{NO_RANGE}"),
    };
    let constant = Constant { dims: vec![data.len()], data, int32, narrow: None, words: None };
    let kind = Type { int32, ..Type::new(constant.kind(), None, constant.dims.clone()) };
    site.types_only();
    known(site, constant, kind)
}

/// Why a range is refused.
const NO_RANGE: &str = "needs three numbers of one kind, the last of them (the step) not 0";
