//! Numbers of lists, whose number of elements differs from event to event.
//!
//! ```text
//!   count(jets.pt > 20)     and(jets.pt[k] > 20, count > k), counted over every k that there may be
//!   sum(jets.pt)            jets.pt[k] where count > k, else 0
//!   max(jets.pt)            best = max(best, jets.pt[k]) where count > k, else the best so far
//! ```
//!
//! * I1: an element that the event does not have changes no result, neither by its value nor because arithmetic made it NaN.
//! * I2: the minimum and maximum of no elements is *absent*, and so is arithmetic with it. Minimum and maximum of several numbers leave absent ones out.
//!   A comparison with an absent number is false.
//! * I3: a number is never both absent and NaN. What a node holds for events in which its number is absent is arbitrary, within its bounds.

use tamis_event::{EVENT_BYTES_MAX, List};

use super::{Form, Made, MenuNumber};
use crate::expression::{Arithmetic, Comparison};
use crate::flag::Flag;
use crate::graph::{MenuGraph, MenuNode, NodeId};

impl MenuNumber {
    fn existing(self) -> Self {
        Self { absent: None, ..self }
    }

    /// The number with bounds that are those of another one, too, which has the same form but for its bounds.
    fn spanning(self, other: Self) -> Self {
        let form = match (self.form, other.form) {
            (Form::Large { places, low, high }, Form::Large { places: same, low: least, high: most }) => {
                debug_assert_eq!(places, same, "elements of a list have one form");
                Form::Large { places, low: low.min(least), high: high.max(most) }
            }
            (form, other) => {
                debug_assert_eq!(form, other, "elements of a list have one form");
                form
            }
        };
        Self { form, low: self.low.min(other.low), high: self.high.max(other.high), ..self }
    }
}

impl MenuGraph {
    /// The number of elements of a list.
    pub(crate) fn len_of(&mut self, list: &List) -> Made<MenuNumber> {
        let number = self.field(list.count_element())?;
        Ok(MenuNumber { high: list.most() as f64, ..number })
    }

    /// Bytes of the payload.
    pub(crate) fn payload_bytes(&mut self) -> Made<MenuNumber> {
        let id = self.payload_len()?;
        Ok(MenuNumber::whole(id, 0, (0.0, EVENT_BYTES_MAX as f64)).expect("lengths are exact"))
    }

    /// For every element that a list may have: does the event have it?
    pub(crate) fn members(&mut self, list: &List) -> Made<Vec<NodeId>> {
        let count = self.load(list.count_element())?;
        let has = |index: usize| {
            let before = self.number(index as f64)?;
            self.compare(Comparison::Greater, count, before)
        };
        (0..list.most()).map(has).collect()
    }

    /// How many conditions hold of elements that the event has.
    pub(crate) fn count_of_list(&mut self, flags: &[Flag], members: &[NodeId]) -> Made<MenuNumber> {
        let mut of_members = Vec::with_capacity(flags.len());
        for (flag, &member) in flags.iter().zip(members) {
            let id = self.and(flag.id, member)?;
            of_members.push(Flag { id, unknown: self.joined(flag.unknown, member)? });
        }
        self.count_of(&of_members)
    }

    /// The sum of the elements that the event has.
    pub(crate) fn sum_of_list(&mut self, items: &[MenuNumber], members: &[NodeId]) -> Made<MenuNumber> {
        let mut terms = Vec::with_capacity(items.len() + 1);
        let number = self.number(0.0)?;
        let zero = match items[0].form {
            // A whole or large number has no negative zero, so it can be added to nothing as it is.
            form @ Form::Whole { .. } => MenuNumber::new(number, form, (0.0, 0.0)),
            Form::Large { places, .. } => {
                let form = Form::Large { places, low: 0, high: 0 };
                MenuNumber::new(self.integer(0)?, form, (0.0, 0.0))
            }
            form => {
                terms.extend(MenuNumber::whole(number, 0, (0.0, 0.0)));
                MenuNumber::new(number, form, (0.0, 0.0))
            }
        };
        for (&item, &member) in items.iter().zip(members) {
            let is_padded = self.is_zero_in_zeros(item.id);
            terms.push(if is_padded { item } else { self.chosen(member, item, zero)? });
        }
        self.sum(&terms)
    }

    /// The smallest or largest of the elements that the event has; absent if there are none.
    pub(crate) fn extreme_of_list(
        &mut self,
        arithmetic: Arithmetic,
        items: &[MenuNumber],
        members: &[NodeId],
    ) -> Made<MenuNumber> {
        let mut best = items[0];
        for (&item, &member) in items.iter().zip(members).skip(1) {
            let next = self.calculate(arithmetic, best, item)?;
            best = self.chosen(member, next, best)?;
        }
        let is_empty = self.not(members[0])?;
        let nan = self.joined(best.nan, members[0])?;
        Ok(MenuNumber { nan, absent: self.either(best.absent, Some(is_empty))?, ..best })
    }

    /// Arithmetic on numbers of which one may be absent.
    pub(super) fn calculate_existing(
        &mut self,
        arithmetic: Arithmetic,
        a: MenuNumber,
        b: MenuNumber,
    ) -> Made<MenuNumber> {
        let result = self.calculate(arithmetic, a.existing(), b.existing())?;
        if matches!(arithmetic, Arithmetic::Min | Arithmetic::Max) {
            return self.extreme_of_existing(result, a, b);
        }
        let absent = self.either(a.absent, b.absent)?;
        Ok(MenuNumber { nan: self.without(result.nan, absent)?, absent, ..result })
    }

    /// `both` is the minimum or maximum of `a` and `b`; the result is the other one where one is absent.
    fn extreme_of_existing(&mut self, both: MenuNumber, a: MenuNumber, b: MenuNumber) -> Made<MenuNumber> {
        // Its node names the operands in their common unit.
        let (x, y) = match self.nodes()[both.id.index()] {
            MenuNode::Combine(_, x, y) | MenuNode::CombineIntegers(_, x, y) => (x, y),
            // It would be of two constants, and a number that may be absent is none.
            _ => (both.id, both.id),
        };
        let mut id = both.id;
        for (absent, other) in [(a.absent, y), (b.absent, x)] {
            id = absent.map_or(Ok(id), |absent| self.select(absent, other, id))?;
        }
        let least = self.calculate(Arithmetic::Min, a.existing(), b.existing())?;
        let most = self.calculate(Arithmetic::Max, a.existing(), b.existing())?;
        let absent = match (a.absent, b.absent) {
            (Some(a), Some(b)) => Some(self.and(a, b)?),
            _ => None,
        };
        Ok(MenuNumber { id, absent, ..both.spanning(least).spanning(most) })
    }

    /// The condition, which fails where one of the numbers that are compared in it is absent.
    pub(super) fn where_both_exist(&mut self, flag: Flag, a: MenuNumber, b: MenuNumber) -> Made<Flag> {
        let Some(absent) = self.either(a.absent, b.absent)? else { return Ok(flag) };
        let exist = self.not(absent)?;
        Ok(Flag { id: self.and(flag.id, exist)?, unknown: self.joined(flag.unknown, exist)? })
    }

    /// `a` where the condition holds, else `b`, of the same form.
    fn chosen(&mut self, condition: NodeId, a: MenuNumber, b: MenuNumber) -> Made<MenuNumber> {
        let id = self.select(condition, a.id, b.id)?;
        let nan = self.either_by(condition, a.nan, b.nan)?;
        let absent = self.either_by(condition, a.absent, b.absent)?;
        Ok(MenuNumber { id, nan, absent, written: None, ..a.spanning(b) })
    }

    /// `a` where the condition holds, else `b`.
    fn either_by(&mut self, condition: NodeId, a: Option<NodeId>, b: Option<NodeId>) -> Made<Option<NodeId>> {
        let fails = self.not(condition)?;
        let (a, b) = (self.joined(a, condition)?, self.joined(b, fails)?);
        self.either(a, b)
    }

    fn joined(&mut self, a: Option<NodeId>, b: NodeId) -> Made<Option<NodeId>> {
        let both = a.map(|a| self.and(a, b)).transpose()?;
        self.either(both, None)
    }

    fn without(&mut self, a: Option<NodeId>, b: Option<NodeId>) -> Made<Option<NodeId>> {
        let Some(b) = b else { return Ok(a) };
        let rest = self.not(b)?;
        self.joined(a, rest)
    }
}
