//! Reads the attributes of a node by key, each as the type that it must have.

use super::Site;
use crate::error::Fault;
use crate::source::{Attribute, Constant};

impl<'a> Site<'a> {
    fn attribute(&self, key: &'a str) -> Option<&'a Attribute> {
        self.read.borrow_mut().insert(key);
        self.node.attributes.get(key)
    }

    /// An integer attribute.
    pub fn int(&self, key: &'a str) -> Result<Option<i64>, Fault> {
        match self.attribute(key) {
            None => Ok(None),
            Some(Attribute::Int(value)) => Ok(Some(*value)),
            Some(other) => Err(wrong(key, other, "an integer")),
        }
    }

    /// A 0-or-1 attribute.
    pub fn flag(&self, key: &'a str, default: bool) -> Result<bool, Fault> {
        Ok(self.int(key)?.map_or(default, |value| value != 0))
    }

    /// A floating-point attribute.
    pub fn float(&self, key: &'a str, default: f32) -> Result<f32, Fault> {
        Ok(self.optional_float(key)?.unwrap_or(default))
    }

    /// A floating-point attribute; `None` if it is absent.
    pub fn optional_float(&self, key: &'a str) -> Result<Option<f32>, Fault> {
        match self.attribute(key) {
            None => Ok(None),
            Some(Attribute::Float(value)) => Ok(Some(*value)),
            Some(other) => Err(wrong(key, other, "a number")),
        }
    }

    /// A text attribute.
    pub fn text(&self, key: &'a str, default: &'a str) -> Result<&'a str, Fault> {
        match self.attribute(key) {
            None => Ok(default),
            Some(Attribute::Text(value)) => Ok(value),
            Some(other) => Err(wrong(key, other, "a text")),
        }
    }

    /// A list of integers; `None` if it is absent.
    pub fn ints(&self, key: &'a str) -> Result<Option<&'a [i64]>, Fault> {
        match self.attribute(key) {
            None => Ok(None),
            Some(Attribute::Ints(values)) => Ok(Some(values)),
            Some(other) => Err(wrong(key, other, "a list of integers")),
        }
    }

    /// A list of numbers; `None` if it is absent.
    pub fn floats(&self, key: &'a str) -> Result<Option<&'a [f32]>, Fault> {
        match self.attribute(key) {
            None => Ok(None),
            Some(Attribute::Floats(values)) => Ok(Some(values)),
            Some(other) => Err(wrong(key, other, "a list of numbers")),
        }
    }

    /// A list of texts; `None` if it is absent.
    pub fn texts(&self, key: &'a str) -> Result<Option<&'a [String]>, Fault> {
        match self.attribute(key) {
            None => Ok(None),
            Some(Attribute::Texts(values)) => Ok(Some(values)),
            Some(other) => Err(wrong(key, other, "a list of texts")),
        }
    }

    /// A tensor attribute.
    pub fn tensor(&self, key: &'a str) -> Result<Option<&'a Constant>, Fault> {
        match self.attribute(key) {
            None => Ok(None),
            Some(Attribute::Tensor(value)) => Ok(Some(value)),
            Some(other) => Err(wrong(key, other, "a tensor")),
        }
    }

    /// Marks attributes as read that have no effect here (training, hints to an optimiser).
    pub fn ignore(&self, keys: &[&'a str]) {
        self.read.borrow_mut().extend(keys);
    }
}

fn wrong(key: &str, found: &Attribute, wanted: &str) -> Fault {
    let found = match found {
        Attribute::Other(what) => return format!("its attribute '{key}' cannot be used: {what}"),
        Attribute::Float(_) => "a number",
        Attribute::Int(_) => "an integer",
        Attribute::Text(_) => "a text",
        Attribute::Tensor(_) => "a tensor",
        Attribute::Floats(_) => "a list of numbers",
        Attribute::Ints(_) => "a list of integers",
        Attribute::Texts(_) => "a list of texts",
    };
    format!("its attribute '{key}' is {found}, must be {wanted}")
}
