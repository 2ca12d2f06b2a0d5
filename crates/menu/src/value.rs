//! What a subexpression is: a number, a condition, or an array of one of them.

use tamis_form::Complaint;

use crate::flag::Flag;
use crate::number::MenuNumber;

/// The type and the nodes of a subexpression.
pub(crate) enum Value {
    Number(MenuNumber),
    Flag(Flag),
    Numbers(Array<MenuNumber>),
    Flags(Array<Flag>),
}

pub(crate) struct Array<T> {
    pub(crate) items: Vec<T>,
    /// The field that makes it an array, for messages.
    pub(crate) field: String,
    /// Index in the schema of the list, if not every event has all of the items.
    pub(crate) list: Option<usize>,
    pub(crate) at: usize,
}

impl<T> Array<T> {
    /// What messages call the array, if its items are called so.
    pub(crate) fn describe(&self, items: &str) -> String {
        match self.list {
            Some(_) => format!("a list of up to {} {items}", self.items.len()),
            None => format!("an array of {} {items}", self.items.len()),
        }
    }
}

impl<T: Copy> Array<T> {
    pub(crate) fn try_map<U>(self, f: impl FnMut(T) -> Result<U, Complaint>) -> Result<Array<U>, Complaint> {
        let items = self.items.into_iter().map(f).collect::<Result<_, _>>()?;
        Ok(Array { items, field: self.field, list: self.list, at: self.at })
    }
}

impl Value {
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Number(_) => "a number".into(),
            Self::Flag(_) => "a condition".into(),
            Self::Numbers(array) => array.describe("numbers"),
            Self::Flags(array) => array.describe("conditions"),
        }
    }
}

/// One number or condition, or an array of them.
pub(crate) enum Operand<T> {
    One(T),
    Many(Array<T>),
}

impl Operand<MenuNumber> {
    pub(crate) fn into_numbers(self) -> Value {
        match self {
            Self::One(number) => Value::Number(number),
            Self::Many(array) => Value::Numbers(array),
        }
    }
}

impl Operand<Flag> {
    pub(crate) fn into_flags(self) -> Value {
        match self {
            Self::One(flag) => Value::Flag(flag),
            Self::Many(array) => Value::Flags(array),
        }
    }
}

pub(crate) fn numbers(value: Value) -> Operand<MenuNumber> {
    match value {
        Value::Number(number) => Operand::One(number),
        Value::Numbers(array) => Operand::Many(array),
        Value::Flag(_) | Value::Flags(_) => unreachable!("the types were checked"),
    }
}

pub(crate) fn flags(value: Value) -> Operand<Flag> {
    match value {
        Value::Flag(flag) => Operand::One(flag),
        Value::Flags(array) => Operand::Many(array),
        Value::Number(_) | Value::Numbers(_) => unreachable!("the types were checked"),
    }
}
