//! The same numbers in another shape, and nothing at all: Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout.
//!
//! Free when events wait: a row stays a row. What is to be settled is which axis of the new shape is that of events, and that is the first
//! or the node is refused: a shape that pulls numbers out of one event into another has no meaning for a trigger.
//!
//! ```text
//!   the file says                    [N, 3, 4] becomes     read as
//!   [0, -1]  [-1, 12]  [N, -1]       [N, 12]               the first axis is that of events
//!   [1, -1]  [128, 12]               [N, 12]               the batch that the exporter was shown, written down
//!   [12, -1]                         refused               may mix events, if the batch is not 12
//! ```

use burn::tensor::{Int, Tensor};

use crate::error::{Fault, refuse};
use crate::kernel_op::KernelOp;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::source::{Constant, Data, Kind};
use crate::value::{EVENTS, EVENTS_AXIS, RANK_MAX, Type, Value};

/// The first input, as it is.
#[derive(Debug)]
pub(super) struct Same;

impl Operator for Same {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![inputs.take(0)]
    }

    fn moves(&self) -> bool {
        true
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        Some(KernelOp::Identity)
    }
}

/// Identity.
pub(super) fn identity(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    Built::one(Same, site.input_or_shape(0)?.clone())
}

/// Dropout with its mask: everything is kept.
#[derive(Debug)]
struct Kept;

impl Operator for Kept {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.float(0);
        let mask = Tensor::<2, Int>::ones(x.dims(), inputs.device).equal_scalar(1);
        vec![Value::Float(x), Value::Bool(mask)]
    }
}

/// Dropout, which drops nothing once a network is trained.
pub(super) fn dropout(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 3)?;
    site.ignore(&["is_test", "ratio", "seed"]);
    let on = |index: usize, what| -> Result<bool, Fault> {
        Ok(match site.has(index).then(|| site.known(index, what)).transpose()? {
            None => false,
            Some(Constant { data: Data::Bools(values), .. }) => values.contains(&true),
            Some(Constant { data: Data::Floats(values), .. }) => values.iter().any(|&value| value != 0.0),
            Some(_) => refuse!("its input {index} ({what}) is of the wrong kind"),
        })
    };
    // Without a ratio, training drops one half.
    if on(2, "training_mode")? && (!site.has(1) || on(1, "ratio")?) {
        refuse!("is in training mode, where scores are random; export the model in evaluation mode");
    }
    let x = site.input_of(0, Kind::Float)?.clone();
    if !site.wants(1) {
        return Built::one(Same, x);
    }
    if site.opset < 10 {
        refuse!("its mask is wanted, which opset {} leaves undefined in evaluation mode", site.opset);
    }
    let mask = Type::new(Kind::Bool, x.events, x.dims.clone());
    Ok(Built { operator: Box::new(Kept), outputs: vec![x, mask] })
}

/// Reshape.
pub(super) fn reshape(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let zero_is_size = site.flag("allowzero", false)?;
    let x = site.input_or_shape(0)?.clone();
    let wanted = site.known_shape(1)?;
    if wanted.len() > RANK_MAX + 1 {
        refuse!("makes a value with {} axes; at most {} are supported", wanted.len(), RANK_MAX + 1);
    }
    let copied = |axis: usize| -> Result<i64, Fault> {
        match axis.checked_sub(usize::from(x.events)).and_then(|axis| x.dims.get(axis)) {
            Some(&dim) => Ok(dim as i64),
            None => Err(format!("keeps the size of axis {axis}, which its input does not have")),
        }
    };
    let size = |(axis, &size): (usize, &i64)| match size {
        0 if zero_is_size => Ok(0),
        0 => copied(axis),
        EVENTS => Err(format!(
            "puts the number of events on axis {axis}, where events would not stay apart; export the model with fixed shapes"
        )),
        other => Ok(other),
    };
    if !x.events {
        let sizes: Vec<i64> = wanted.iter().enumerate().map(size).collect::<Result<_, _>>()?;
        return Built::one(Same, x.with_dims(filled(&sizes, x.numbers())?));
    }
    let Some((&first, _)) = wanted.split_first() else {
        refuse!("makes one number of a whole batch; export the model with a shape that begins with 0 or -1");
    };
    let sizes: Vec<i64> = wanted.iter().enumerate().skip(1).map(size).collect::<Result<_, _>>()?;
    let open = sizes.contains(&-1);
    let keeps_events = match first {
        EVENTS => true,
        0 => !zero_is_size,
        -1 => !open,
        // With all other sizes given, a batch of this size is the only one that fits.
        written => written > 0 && (!open || may_be_batch(site.batch, written, x.numbers())),
    };
    let dims = filled(&sizes, x.numbers()).ok().filter(|_| keeps_events);
    let Some(dims) = dims else {
        let shape: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        refuse!(
            "makes shape [{}] of {} numbers per event ({:?}), which does not keep events apart; export the model with a \
             shape that begins with 0 or -1, for the axis of events, and keeps the numbers per event",
            shape.join(", ").replace(&EVENTS.to_string(), "batch"),
            x.numbers(),
            x.dims
        );
    };
    Built::one(Same, x.with_dims(dims))
}

/// Is a size in front of an open one the batch that an exporter wrote down? It is if the file says so elsewhere; else if it is 1, or if
/// nothing but the batch could be a multiple of it.
fn may_be_batch(batch: Option<usize>, written: i64, numbers: usize) -> bool {
    match batch {
        Some(batch) => written == batch as i64,
        None => written == 1 || numbers as i64 % written != 0,
    }
}

/// Sizes with at most one -1, which becomes what `numbers` leave for it.
fn filled(sizes: &[i64], numbers: usize) -> Result<Vec<usize>, Fault> {
    let misfit = || format!("makes shape {sizes:?} of {numbers} numbers, which do not fit");
    let mut given = 1usize;
    for &size in sizes.iter().filter(|&&size| size != -1) {
        let size = usize::try_from(size).map_err(|_| misfit())?;
        given = given.checked_mul(size).ok_or_else(misfit)?;
    }
    let open = sizes.iter().filter(|&&size| size == -1).count();
    let rest = match open {
        0 if given == numbers => 1,
        1 if given > 0 && numbers.is_multiple_of(given) => numbers / given,
        _ => return Err(misfit()),
    };
    Ok(sizes.iter().map(|&size| usize::try_from(size).unwrap_or(rest)).collect())
}

/// Flatten: two axes of many.
pub(super) fn flatten(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let x = site.input_or_shape(0)?.clone();
    let (axis, rank) = (site.int("axis")?.unwrap_or(1), x.rank() as i64);
    if axis < -rank || axis > rank {
        refuse!("flattens at axis {axis}; the value has {rank} axes");
    }
    let at = (if axis < 0 { axis + rank } else { axis }) as usize;
    if !x.events {
        let (rows, columns) = x.dims.split_at(at);
        return Built::one(Same, x.with_dims([rows.iter().product(), columns.iter().product::<usize>()]));
    }
    let columns: usize = x.dims[at.saturating_sub(1)..].iter().product();
    // Before axis 0 stands an axis of size 1, which is that of events if the file was made for single events.
    if columns != x.numbers() || at == 0 && site.batch != Some(1) {
        refuse!("{EVENTS_AXIS}");
    }
    Built::one(Same, x.with_dims([columns]))
}

/// The axes that Squeeze and Unsqueeze name: an attribute before opset 13, an input since.
fn named_axes(site: &Site<'_>) -> Result<Option<Vec<i64>>, Fault> {
    if site.opset < 13 {
        site.inputs_between(1, 1)?;
        return Ok(site.ints("axes")?.map(<[i64]>::to_vec));
    }
    site.inputs_between(1, 2)?;
    site.known_ints(1, "axes")
}

/// Squeeze: without the axes of size 1.
pub(super) fn squeeze(site: &mut Site<'_>) -> Result<Built, Fault> {
    let x = site.input_or_shape(0)?.clone();
    let Some(axes) = named_axes(site)? else {
        if x.events && site.batch == Some(1) {
            refuse!(
                "takes away every axis of size 1, among them that of events; export the model with the axes of Squeeze named"
            );
        }
        let dims: Vec<usize> = x.dims.iter().copied().filter(|&dim| dim != 1).collect();
        return Built::one(Same, x.with_dims(dims));
    };
    let gone: Vec<usize> = axes.iter().map(|&axis| x.axis(axis)).collect::<Result<_, _>>()?;
    if let Some(&axis) = gone.iter().find(|&&axis| x.dims[axis] != 1) {
        refuse!("takes away an axis of size {}; only axes of size 1 can go", x.dims[axis]);
    }
    let left = x.dims.iter().enumerate().filter(|(axis, _)| !gone.contains(axis));
    Built::one(Same, x.with_dims(left.map(|(_, &dim)| dim).collect::<Vec<_>>()))
}

/// Unsqueeze: with more axes of size 1, counted in the result.
pub(super) fn unsqueeze(site: &mut Site<'_>) -> Result<Built, Fault> {
    let x = site.input_or_shape(0)?.clone();
    let Some(axes) = named_axes(site)? else { refuse!("does not say which axes it adds") };
    let rank = x.rank() + axes.len();
    if rank > RANK_MAX + 1 {
        refuse!("makes a value with {rank} axes; at most {} are supported", RANK_MAX + 1);
    }
    let result = Type::new(x.kind, x.events, vec![1; rank - usize::from(x.events)]);
    let mut added: Vec<usize> = axes.iter().map(|&axis| result.axis(axis)).collect::<Result<_, _>>()?;
    added.sort_unstable();
    if added.windows(2).any(|pair| pair[0] == pair[1]) {
        refuse!("adds the same axis twice: {axes:?}");
    }
    let mut dims = x.dims.clone();
    added.into_iter().for_each(|axis| dims.insert(axis, 1));
    Built::one(Same, x.with_dims(dims))
}
