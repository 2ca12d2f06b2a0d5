//! Values that are known before any event: Constant, `ConstantOfShape`, Shape.

use crate::error::{Fault, refuse};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::source::{Constant, Data};
use crate::value::{EVENTS, Type, Value, each};

/// A constant of the operator.
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

fn known(site: &mut Site<'_>, constant: Constant, kind: Type) -> Result<Built, Fault> {
    let input = site.add_constant(constant);
    Built::one(Known { input }, kind)
}

/// Constant.
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
    let kind = Type { int32: constant.int32, ..Type::new(constant.kind(), false, constant.dims.clone()) };
    known(site, constant.clone(), kind)
}

/// Shape. Where the number of events stands in it, [`EVENTS`] does: Reshape understands that, and operators that move numbers pass it on.
pub(super) fn shape(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let x = site.input_or_shape(0)?;
    let events = x.events.then_some(EVENTS);
    let sizes: Vec<i64> = events.into_iter().chain(x.dims.iter().map(|&dim| dim as i64)).collect();
    let rank = sizes.len() as i64;
    let counted =
        |axis: i64| (if axis < 0 { axis.saturating_add(rank) } else { axis }).clamp(0, rank) as usize;
    let start = counted(site.int("start")?.unwrap_or(0));
    let end = counted(site.int("end")?.unwrap_or(rank));
    let sizes = sizes.get(start..end).unwrap_or_default().to_vec();
    let constant = Constant::ints([sizes.len()], sizes);
    let mut kind = Type::new(constant.kind(), false, constant.dims.clone());
    kind.shape = true;
    site.types_only();
    known(site, constant, kind)
}

/// A row for every event, the same for all.
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

/// `ConstantOfShape`: one number everywhere, in every event if the shape begins with their number.
pub(super) fn of_shape(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let shape = site.known_shape(0)?;
    let (events, sizes) = match shape {
        [EVENTS, sizes @ ..] => (true, sizes),
        sizes => (false, sizes),
    };
    let dims: Option<Vec<usize>> = sizes.iter().map(|&size| usize::try_from(size).ok()).collect();
    let Some(dims) = dims.filter(|_| !sizes.contains(&EVENTS)) else {
        refuse!("makes a value of shape {sizes:?} behind the axis of events");
    };
    let number = match site.tensor("value")? {
        Some(number) if number.len() == 1 => number.clone(),
        Some(other) => refuse!("fills a shape with {} numbers; one is expected", other.len()),
        None => Constant::floats([1], vec![0.0]),
    };
    let kind = Type { int32: number.int32, ..Type::new(number.kind(), events, dims.clone()) };
    kind.check()?;
    let count = kind.numbers();
    let data = match number.data {
        Data::Floats(number) => Data::Floats(vec![number[0]; count]),
        Data::Ints(number) => Data::Ints(vec![number[0]; count]),
        Data::Bools(number) => Data::Bools(vec![number[0]; count]),
    };
    let constant = Constant { dims, data, int32: number.int32 };
    if !events {
        return known(site, constant, kind);
    }
    let row = site.add_constant(constant);
    Built::one(Rows { row, events: site.add_events() }, kind)
}
