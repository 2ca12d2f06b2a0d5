//! Arithmetic on sizes that include the number of events: Mul, Div, Equal, Where, with which exporters compute the shape of a Reshape or an Expand.
//!
//! The answer must not depend on the number of events: twice as many, or a ninth of nine times as many, is understood; whether there are
//! five is not, and such a node is refused.

use crate::error::{Fault, refuse};
use crate::layout::{EVENTS, times_events};
use crate::operator::{Built, Site};
use crate::ops::constant::known;
use crate::source::{Constant, Data};
use crate::value::{EVENT_NUMBERS_MAX, Type};

/// Is the number of events among the inputs?
pub(super) fn are_in(site: &Site<'_>) -> bool {
    (0..site.inputs()).any(|index| site.anything(index).is_ok_and(|kind| kind.shape))
}

/// Builds a node on sizes.
pub(super) fn of(site: &mut Site<'_>) -> Result<Built, Fault> {
    let numbers = |index: usize| site.known_shape(index).map(<[i64]>::to_vec);
    let (shape, data) = match site.operator() {
        "Mul" => (true, pairs(&numbers(0)?, &numbers(1)?, times).map(Data::Ints)),
        "Div" => (true, pairs(&numbers(0)?, &numbers(1)?, over).map(Data::Ints)),
        "Equal" => (false, pairs(&numbers(0)?, &numbers(1)?, equal).map(Data::Bools)),
        "Where" => {
            let Data::Bools(question) = &site.known(0, "condition")?.data else {
                refuse!("chooses by numbers; truth values are expected")
            };
            (true, chosen(question, &numbers(1)?, &numbers(2)?).map(Data::Ints))
        }
        _ => (true, None),
    };
    let operands: Vec<&Type> =
        (0..site.inputs()).map(|index| site.anything(index)).collect::<Result<_, _>>()?;
    let largest = operands.iter().max_by_key(|kind| (kind.numbers(), kind.dims.len()));
    let (Some(data), Some(largest)) = (data, largest) else {
        refuse!(
            "its result depends on the number of events in a batch, which it is computed from; export the model with fixed shapes"
        );
    };
    let constant = Constant { dims: largest.dims.clone(), data, int32: false, narrow: None, words: None };
    let kind = Type { shape, ..Type::new(constant.kind(), None, constant.dims.clone()) };
    site.types_only();
    known(site, constant, kind)
}

/// Number `at` of a list, or the only one.
fn number<T: Copy>(numbers: &[T], at: usize) -> T {
    numbers[if numbers.len() == 1 { 0 } else { at }]
}

/// The common length of lists that are equally long or have one element.
fn together(lengths: &[usize]) -> Option<usize> {
    let longest = *lengths.iter().max()?;
    (longest > 0 && lengths.iter().all(|&length| length == 1 || length == longest)).then_some(longest)
}

fn pairs<T>(a: &[i64], b: &[i64], function: impl Fn(i64, i64) -> Option<T>) -> Option<Vec<T>> {
    let count = together(&[a.len(), b.len()])?;
    (0..count).map(|at| function(number(a, at), number(b, at))).collect()
}

fn chosen(question: &[bool], yes: &[i64], no: &[i64]) -> Option<Vec<i64>> {
    let count = together(&[question.len(), yes.len(), no.len()])?;
    let one = |at| if number(question, at) { number(yes, at) } else { number(no, at) };
    Some((0..count).map(one).collect())
}

/// `times` times the number of events.
fn events(times: usize) -> Option<i64> {
    (1..=EVENT_NUMBERS_MAX).contains(&times).then(|| EVENTS * times as i64)
}

fn times(a: i64, b: i64) -> Option<i64> {
    match (times_events(a), times_events(b)) {
        (Some(times), None) => events(times.checked_mul(usize::try_from(b).ok()?)?),
        (None, Some(times)) => events(times.checked_mul(usize::try_from(a).ok()?)?),
        (None, None) => a.checked_mul(b).filter(|product| *product < EVENTS),
        (Some(_), Some(_)) => None,
    }
}

fn over(a: i64, b: i64) -> Option<i64> {
    match (times_events(a), times_events(b)) {
        (Some(times), None) => {
            let divisor = usize::try_from(b).ok().filter(|divisor| times.checked_rem(*divisor) == Some(0))?;
            events(times / divisor)
        }
        (Some(a), Some(b)) => a.is_multiple_of(b).then(|| (a / b) as i64),
        (None, None) => a.checked_div(b),
        (None, Some(_)) => None,
    }
}

fn equal(a: i64, b: i64) -> Option<bool> {
    match (times_events(a), times_events(b)) {
        (Some(_), None) => (b <= 0).then_some(false),
        (None, Some(_)) => (a <= 0).then_some(false),
        (a_times, b_times) => Some(a == b && a_times == b_times),
    }
}
