//! A cut on one integer field is an interval of its raw values.
//!
//! `muons.pt[0] >= 22` with a scale of 0.5 holds exactly for raw values from 44 on. So the decide loop compares the integers as stored in
//! the record and computes no physical value. That is exact: the physical value, as rounded in f64, never falls as
//! the raw value rises (or never rises, for a negative scale), so bisection finds the edge of the interval with the very formula that it
//! replaces.

use tamis_event::Element;

use crate::expression::Comparison;

/// Raw values from `low` to `high`, both included; with `outside`, the values outside that interval. The interval is empty if `low > high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) low: i32,
    pub(crate) high: i32,
    pub(crate) outside: bool,
}

/// Smallest and largest raw value, if the type is an integer type that fits in an i32.
pub(crate) fn raw_range(element: Element) -> Option<(i64, i64)> {
    let (least, most) = element.dtype.integer_range()?;
    let (least, most) = (i32::try_from(least).ok()?, i32::try_from(most).ok()?);
    Some((least.into(), most.into()))
}

/// The raw values of `element` for which `value op limit`, where `value` is the physical value or (`absolute`) its absolute value.
///
/// `None` if they do not form such an interval: other field types, a NaN limit, or `abs(x) == c`.
pub(crate) fn interval(
    element: Element,
    absolute: bool,
    comparison: Comparison,
    limit: f64,
) -> Option<Interval> {
    let range = raw_range(element)?;
    if limit.is_nan() {
        return None;
    }
    let values = RawValues { element, range };
    let below = |x: f64| values.first(|value| value >= x);
    let up_to = |x: f64| values.first(|value| value > x);
    let all = values.len();
    let none = 0;
    // Positions among the values; `to` is excluded.
    let (from, to, outside) = match (absolute, comparison) {
        (false, Comparison::Less) => (none, below(limit), false),
        (false, Comparison::LessEqual) => (none, up_to(limit), false),
        (false, Comparison::Greater) => (up_to(limit), all, false),
        (false, Comparison::GreaterEqual) => (below(limit), all, false),
        (false, Comparison::Equal) => (below(limit), up_to(limit), false),
        (false, Comparison::NotEqual) => (below(limit), up_to(limit), true),
        (true, Comparison::Less) => (up_to(-limit), below(limit), false),
        (true, Comparison::LessEqual) => (below(-limit), up_to(limit), false),
        (true, Comparison::Greater) => (below(-limit), up_to(limit), true),
        (true, Comparison::GreaterEqual) => (up_to(-limit), below(limit), true),
        (true, Comparison::Equal | Comparison::NotEqual) => return None,
    };
    Some(values.interval(from, to, outside))
}

/// The raw values in order of increasing physical value.
struct RawValues {
    element: Element,
    range: (i64, i64),
}

impl RawValues {
    fn len(&self) -> i64 {
        self.range.1 - self.range.0 + 1
    }

    fn raw(&self, position: i64) -> i64 {
        if self.element.scale > 0.0 { self.range.0 + position } else { self.range.1 - position }
    }

    /// The first position whose physical value satisfies `reached`, which must then hold for all later ones.
    fn first(&self, reached: impl Fn(f64) -> bool) -> i64 {
        let mut from = 0;
        let mut to = self.len();
        while from < to {
            let middle = from + (to - from) / 2;
            let value = self.raw(middle) as f64 * self.element.scale + self.element.offset;
            if reached(value) { to = middle } else { from = middle + 1 }
        }
        from
    }

    fn interval(&self, from: i64, to: i64, outside: bool) -> Interval {
        if from >= to {
            return Interval { low: 0, high: -1, outside };
        }
        let ends = (self.raw(from), self.raw(to - 1));
        let fit = |raw: i64| i32::try_from(raw).expect("raw_range gave only such types");
        Interval { low: fit(ends.0.min(ends.1)), high: fit(ends.0.max(ends.1)), outside }
    }
}
