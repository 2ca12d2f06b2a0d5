//! Reshape and Flatten.
//!
//! Free at run time, as long as the events stay alone on their axis or in front of the axes merged with it. It must be settled which
//! axis of the new shape is that of events, and what else is on it (`layout.rs`). Numbers keep their row-major order, so as
//! many must lie before and behind those of the events in both shapes; where that is impossible, the node is refused: a shape that pulls numbers
//! out of one event into another has no meaning for a trigger.
//!
//! ```text
//!   in the file                      [N, 3, 4] becomes     read as
//!   [0, -1]  [-1, 12]  [N, -1]       [N, 12]               the first axis is that of events
//!   [128, 12]                        [N, 12]               the batch that the exporter was given
//!   [128, -1]                        [N, 12]               the same, if the file says that its input has 128 events, else refused
//!   [-1, 4]  [N * 3, 4]              [N * 3, 4]            a row for each of the three
//!   [1, -1, 12]                      [1, N, 12]            a new axis in front, unless the file says that its input has one event
//!   [12, -1]                         refused               mixes events, unless the file says that its input has 12
//! ```

use burn::tensor::Tensor;
use burn::tensor::kind::Basic;

use crate::error::{Fault, refuse};
use crate::layout::{EVENTS, EVENTS_AXIS, Layout, times_events, written};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::reshape::Same;
use crate::value::{RANK_MAX, Type, Value, each};

/// Builds `Reshape`.
pub(super) fn reshape(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let zero_is_size = site.flag("allowzero", false)?;
    let x = site.anything(0)?.clone();
    let wanted = site.known_shape(1)?;
    if wanted.len() > RANK_MAX + 1 {
        refuse!("makes a value with {} axes; at most {} are supported", wanted.len(), RANK_MAX + 1);
    }
    let own = x.shape();
    let copied = |axis: usize| match own.get(axis) {
        Some(&size) => Ok(size),
        None => Err(format!("keeps the size of axis {axis}, which its input does not have")),
    };
    let size =
        |(axis, &size): (usize, &i64)| if size == 0 && !zero_is_size { copied(axis) } else { Ok(size) };
    let sizes: Vec<i64> = wanted.iter().enumerate().map(size).collect::<Result<_, Fault>>()?;
    if x.events.is_none() {
        return Built::one(Same, x.with_dims(filled(&sizes, x.numbers())?));
    }
    match with_events(&x, &sizes, site.batch) {
        Some(output) => regrouped(&x, output),
        None => refuse!(
            "makes shape {} of {} numbers per event ({}), which does not keep events apart; export the model with a shape that begins with 0 \
             or -1, for the axis of events, and keeps the numbers per event",
            written(wanted),
            x.event_numbers(),
            written(&own)
        ),
    }
}

/// Builds Flatten: makes two axes of many.
pub(super) fn flatten(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let x = site.anything(0)?.clone();
    let axis = site.int("axis")?.unwrap_or(1);
    let rank = x.rank() as i64;
    if axis < -rank || axis > rank {
        refuse!("flattens at axis {axis}; the value has {rank} axes");
    }
    let at = (if axis < 0 { axis + rank } else { axis }) as usize;
    let Some(layout) = x.events else {
        let (rows, columns) = x.dims.split_at(at);
        return Built::one(Same, x.with_dims([rows.iter().product(), columns.iter().product::<usize>()]));
    };
    let product = |dims: &[usize]| dims.iter().product::<usize>() as i64;
    let (sizes, of_events) = if at == 0 && site.batch == Some(1) {
        // Before axis 0 there is an axis of size 1, which is that of events if the file was made for single events.
        ([EVENTS, x.event_numbers() as i64], 0)
    } else if layout.at < at {
        ([-1, product(&x.dims[at - 1..])], 0)
    } else {
        ([product(&x.dims[..at]), -1], 1)
    };
    match placed(&x, &sizes, of_events) {
        Some(output) => regrouped(&x, output),
        None => refuse!("{EVENTS_AXIS}"),
    }
}

/// The type with other axes, if the numbers of every event stay together.
fn with_events(x: &Type, sizes: &[i64], batch: Option<usize>) -> Option<Type> {
    let marked: Vec<usize> = (0..sizes.len()).filter(|&axis| times_events(sizes[axis]).is_some()).collect();
    match marked[..] {
        [at] => return placed(x, sizes, at),
        [] => {}
        [..] => return None,
    }
    if let Some(open) = sizes.iter().position(|&size| size == -1)
        && batch.is_none_or(|batch| Some(&(batch as i64)) != sizes.first())
    {
        return placed(x, sizes, open);
    }
    let (&first, rest) = sizes.split_first()?;
    placed(x, &[&[rows_of_batch(batch, first)?], rest].concat(), 0)
}

/// A size in front as a multiple of [`EVENTS`]: that of the batch that the file states. Where it states none and all sizes are given, the file
/// computes with one number of events only, and they can only be in front.
fn rows_of_batch(batch: Option<usize>, size: i64) -> Option<i64> {
    let Some(batch) = batch else { return Some(EVENTS) };
    EVENTS.checked_mul(over(usize::try_from(size).ok()?, batch)? as i64)
}

/// The type with these axes, of which axis `at` is that of events: a multiple of [`EVENTS`], or open.
fn placed(x: &Type, sizes: &[i64], at: usize) -> Option<Type> {
    let layout = x.events?;
    let numbers = |dims: &[usize]| dims.iter().product::<usize>();
    // Sizes of the axes that vary slower and faster than the events.
    let slower = numbers(&x.dims[..layout.at]) * layout.before;
    let faster = numbers(&x.dims[layout.at..]) * layout.after;
    let (in_front, behind) = (&sizes[..at], &sizes[at + 1..]);
    let (before, after) = match times_events(sizes[at]) {
        None => (over(slower, product(in_front)?)?, over(faster, product(behind)?)?),
        Some(times) if in_front.contains(&-1) => {
            let after = over(faster, product(behind)?)?;
            (over(times, after)?, after)
        }
        Some(times) => {
            let before = over(slower, product(in_front)?)?;
            (before, over(times, before)?)
        }
    };
    let mut dims = filled(in_front, over(slower, before)?).ok()?;
    dims.extend(filled(behind, over(faster, after)?).ok()?);
    Some(Type { events: Some(Layout { at, before, after }), ..x.with_dims(dims) })
}

/// The quotient, if there is no remainder.
fn over(number: usize, divisor: usize) -> Option<usize> {
    (divisor > 0 && number.is_multiple_of(divisor)).then(|| number / divisor)
}

/// The product of the sizes that are not open.
fn product(sizes: &[i64]) -> Option<usize> {
    let mut given = sizes.iter().filter(|&&size| size != -1);
    given.try_fold(1usize, |product, &size| product.checked_mul(usize::try_from(size).ok()?))
}

/// Replaces at most one -1 in `sizes` by the size that `numbers` leave for it.
fn filled(sizes: &[i64], numbers: usize) -> Result<Vec<usize>, Fault> {
    let misfit = || format!("makes shape {} of {numbers} numbers, which do not fit", written(sizes));
    let given = product(sizes).ok_or_else(misfit)?;
    let open = sizes.iter().filter(|&&size| size == -1).count();
    let rest = match open {
        0 if given == numbers => 1,
        1 => over(numbers, given).ok_or_else(misfit)?,
        _ => return Err(misfit()),
    };
    Ok(sizes.iter().map(|&size| usize::try_from(size).unwrap_or(rest)).collect())
}

/// How the numbers of an event are grouped: rows, and within each the numbers of the axes in front of and behind that of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Groups {
    rows: usize,
    in_front: usize,
    behind: usize,
}

impl Groups {
    fn of(kind: &Type) -> Self {
        let at = kind.events.map_or(0, |layout| layout.at);
        let numbers = |dims: &[usize]| dims.iter().product();
        Self { rows: kind.rows(), in_front: numbers(&kind.dims[..at]), behind: numbers(&kind.dims[at..]) }
    }

    /// Do the axes in front vary slower than the rows, although the rows are stored apart?
    fn are_turned(self) -> bool {
        self.rows > 1 && self.in_front > 1
    }
}

/// Regroups the numbers of events.
#[derive(Debug)]
struct Regroup {
    from: Groups,
    to: Groups,
}

/// Builds the operator from `x` to `output`, which have the same numbers in the same row-major order.
fn regrouped(x: &Type, output: Type) -> Result<Built, Fault> {
    let (from, to) = (Groups::of(x), Groups::of(&output));
    let same = from.rows == to.rows && (from == to || !from.are_turned() && !to.are_turned());
    if same { Built::one(Same, output) } else { Built::one(Regroup { from, to }, output) }
}

impl Operator for Regroup {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![each!(inputs.take(0), x => self.apply(x))]
    }

    fn moves(&self) -> bool {
        true
    }
}

impl Regroup {
    fn apply<K: Basic>(&self, x: Tensor<2, K>) -> Tensor<2, K> {
        let [rows, numbers] = x.dims();
        let (from, to) = (self.from, self.to);
        let events = rows / from.rows;
        let counted = if from.are_turned() {
            x.reshape([events, from.rows, from.in_front, from.behind]).swap_dims(1, 2)
        } else {
            x.reshape([events, 1, 1, from.rows * numbers])
        };
        let grouped = if to.are_turned() {
            counted.reshape([events, to.in_front, to.rows, to.behind]).swap_dims(1, 2)
        } else {
            counted
        };
        grouped.reshape([events * to.rows, to.in_front * to.behind])
    }
}
