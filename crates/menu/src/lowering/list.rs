//! What conditions say of lists, and of payloads: the other things that differ in length from event to event.
//!
//! An array of a list is lowered like one of the most elements that the list may have; where it is reduced to one number, elements that the event does
//! not have are left out ([`crate::number`]).

use tamis_event::{List, PAYLOAD_LEN, Role};
use tamis_form::{Complaint, MistakeKind, quoted};

use super::{Lowered, Lowering, mismatch, too_large};
use crate::expression::{Arithmetic, Expr, ExpressionNode};
use crate::flag::Flag;
use crate::graph::NodeId;
use crate::number::MenuNumber;
use crate::value::{Array, Value};

impl Lowering<'_> {
    /// The list that is meant by the arguments of `count`, and the place of its name.
    pub(super) fn list(&self, arguments: &[Expr]) -> Option<(usize, usize)> {
        let [Expr { at, node: ExpressionNode::Name { name, index: None }, .. }] = arguments else {
            return None;
        };
        let list = self.schema.lists().iter().position(|list| list.name() == name)?;
        Some((*at, list))
    }

    /// `count(jets)`.
    pub(super) fn len_of(&mut self, at: usize, list: usize) -> Lowered<Value> {
        let mut fields = self.schema.fields().iter().filter(|field| field.list == Some(list));
        let list = &self.schema.lists()[list];
        if fields.all(|field| field.role == Role::Truth) {
            let message = format!("'{}' is simulation truth; a menu that reads it would cheat", list.name());
            return Err(Complaint::new(at, MistakeKind::Truth, message));
        }
        self.graph.len_of(list).map(Value::Number).map_err(too_large(at))
    }

    /// For every element that the list of an array may have: does the event have it? `None` for an array of fixed length.
    fn members<T>(&mut self, at: usize, array: &Array<T>) -> Lowered<Option<Vec<NodeId>>> {
        let Some(list) = array.list else { return Ok(None) };
        self.graph.members(&self.schema.lists()[list]).map(Some).map_err(too_large(at))
    }

    pub(super) fn count(&mut self, at: usize, array: &Array<Flag>) -> Lowered<Value> {
        let count = match self.members(at, array)? {
            Some(members) => self.graph.count_of_list(&array.items, &members),
            None => self.graph.count_of(&array.items),
        };
        count.map(Value::Number).map_err(too_large(at))
    }

    pub(super) fn sum(&mut self, at: usize, array: &Array<MenuNumber>) -> Lowered<Value> {
        let sum = match self.members(at, array)? {
            Some(members) => self.graph.sum_of_list(&array.items, &members),
            None => self.graph.sum(&array.items),
        };
        sum.map(Value::Number).map_err(too_large(at))
    }

    /// The smallest or largest item.
    pub(super) fn extreme(
        &mut self,
        at: usize,
        arithmetic: Arithmetic,
        array: &Array<MenuNumber>,
    ) -> Lowered<Value> {
        let Some(members) = self.members(at, array)? else { return self.fold(at, arithmetic, &array.items) };
        let extreme = self.graph.extreme_of_list(arithmetic, &array.items, &members);
        extreme.map(Value::Number).map_err(too_large(at))
    }

    /// Refuses arrays whose items do not belong together one by one.
    pub(super) fn check_pairing<T>(&self, at: usize, xs: &Array<T>, ys: &Array<T>) -> Lowered<()> {
        let (x, y) = (quoted(&xs.field), quoted(&ys.field));
        let (m, n) = (xs.items.len(), ys.items.len());
        let name = |list: usize| quoted(self.schema.lists()[list].name());
        let message = match (xs.list, ys.list) {
            (Some(one), Some(other)) if one == other => return Ok(()),
            (Some(one), Some(other)) => format!(
                "{x} belongs to the list {} and {y} to the list {}, which have their own numbers of elements; reduce one of them, as in max({})",
                name(one),
                name(other),
                ys.field
            ),
            (Some(one), None) => mixed(&x, &name(one), &y, n),
            (None, Some(other)) => mixed(&y, &name(other), &x, m),
            (None, None) if m == n => return Ok(()),
            (None, None) => format!("{x} has {m} elements and {y} has {n}; they must be equal"),
        };
        mismatch(at, message)
    }

    pub(super) fn not_counted(&self, at: usize, list: usize, field: &str) -> Lowered<Value> {
        let list = self.schema.lists()[list].name();
        let message = format!(
            "count takes the name of a list, as in count({list}), or a condition on its elements, as in count({field} > 30)"
        );
        mismatch(at, message)
    }

    /// What to say of the name of a list where a number or a condition is needed.
    pub(super) fn bare_list(&self, list: &List) -> String {
        let name = list.name();
        let prefix = format!("{name}.");
        let field = self.schema.fields().iter().find(|field| field.name.starts_with(&prefix));
        let field = field.map_or(name, |field| &field.name);
        format!(
            "'{name}' is a list; write count({name}) for the number of its elements, or name a field: {field}"
        )
    }

    /// Is the name one of the payload and nothing else?
    pub(super) fn is_payload(&self, name: &str) -> bool {
        let is_known = self.schema.list(name).is_some() || self.scores.may_have(name);
        !is_known && (name == PAYLOAD_LEN || name.split('.').next() == Some("payload"))
    }

    pub(super) fn payload(&mut self, at: usize, name: &str, index: Option<usize>) -> Lowered<Value> {
        if self.schema.payload().is_none() {
            let message = format!("the events of schema '{}' have no payload", self.schema.name());
            return Err(Complaint::new(at, MistakeKind::Unknown, message));
        }
        if name != PAYLOAD_LEN {
            return mismatch(
                at,
                "a payload is not read; a menu may only use its length in bytes, payload.len",
            );
        }
        if index.is_some() {
            return mismatch(at, "'payload.len' is one number; leave the index out");
        }
        self.graph.payload_bytes().map(Value::Number).map_err(too_large(at))
    }
}

/// A list and an array of fixed length.
fn mixed(x: &str, list: &str, y: &str, len: usize) -> String {
    format!(
        "{x} belongs to the list {list}, whose number of elements differs from event to event, and {y} always has {len}; reduce one of them, or take one element of {y}"
    )
}
