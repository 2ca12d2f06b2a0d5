//! Lists: fields whose number of elements differs from event to event (`SPEC.md` section 4).

use crate::dtype::Dtype;
use crate::schema::{Element, SchemaError};

/// Most elements of a list.
pub(crate) const ELEMENTS_MAX: usize = u16::MAX as usize;

/// Fields with one count: `jets.pt` and `jets.eta` are the list `jets`.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    name: String,
    /// Byte offset of the count in the event record.
    at: usize,
    most: usize,
    /// Byte offset of the elements of each field, and bytes of one element.
    fields: Vec<(usize, usize)>,
}

impl List {
    pub(crate) fn new(name: &str, at: usize, most: usize) -> Self {
        Self { name: name.into(), at, most, fields: Vec::new() }
    }

    pub(crate) fn add(&mut self, at: usize, size: usize) {
        self.fields.push((at, size));
    }

    /// What the names of its fields begin with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Most elements.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Byte offset of the count in the event record.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Number of fields.
    pub(crate) fn fields(&self) -> usize {
        self.fields.len()
    }

    /// Bytes of the count: 1, or 2 where there may be more than 255 elements.
    pub fn count_len(&self) -> usize {
        if self.most > usize::from(u8::MAX) { 2 } else { 1 }
    }

    /// The count, ready to read like a number of a field.
    pub fn count_element(&self) -> Element {
        let dtype = if self.count_len() == 1 { Dtype::U8 } else { Dtype::U16 };
        Element { at: self.at, dtype, scale: 1.0, offset: 0.0 }
    }

    /// Number of elements that an event has.
    #[inline]
    pub fn count(&self, record: &[u8]) -> usize {
        let low = usize::from(record[self.at]);
        if self.count_len() == 1 { low } else { low | usize::from(record[self.at + 1]) << 8 }
    }

    /// Writes the count into a record, and zeros behind the last element.
    ///
    /// # Panics
    /// If it is more than there may be.
    pub fn cut(&self, count: usize, record: &mut [u8]) {
        assert!(count <= self.most, "{count} elements in the list {} of at most {}", self.name, self.most);
        record[self.at..][..self.count_len()].copy_from_slice(&count.to_le_bytes()[..self.count_len()]);
        self.fields.iter().for_each(|&(at, size)| record[at + count * size..at + self.most * size].fill(0));
    }

    /// Has the event at most as many elements as it may have, and nothing behind the last one?
    pub(crate) fn holds_in(&self, record: &[u8]) -> bool {
        let count = self.count(record);
        let is_blank = |&(at, size): &(usize, usize)| {
            record[at + count * size..at + self.most * size].iter().fold(0, |any, byte| any | byte) == 0
        };
        count <= self.most && self.fields.iter().all(is_blank)
    }
}

/// The list that a field of this name belongs to if it has a variable length.
pub(crate) fn name_of(field: &str) -> &str {
    field.rsplit_once('.').map_or(field, |(list, _)| list)
}

/// What stands behind `len =`.
pub(crate) enum Len {
    Scalar,
    Array(usize),
    UpTo(usize),
}

impl Len {
    pub(crate) fn parse(value: Option<&toml::Value>, name: &str) -> Result<Self, SchemaError> {
        let wrong =
            || SchemaError::Len { name: name.into(), len: value.map_or(String::new(), ToString::to_string) };
        match value {
            None => Ok(Self::Scalar),
            Some(toml::Value::Integer(0)) => Err(SchemaError::EmptyArray { name: name.into() }),
            Some(toml::Value::Integer(len)) => usize::try_from(*len).map(Self::Array).map_err(|_| wrong()),
            Some(toml::Value::String(range)) => {
                let most = range.strip_prefix("0..").and_then(|most| most.parse().ok());
                most.filter(|most| (1..=ELEMENTS_MAX).contains(most)).map(Self::UpTo).ok_or_else(wrong)
            }
            Some(_) => Err(wrong()),
        }
    }

    /// Elements that have room, `None` for a scalar.
    pub(crate) fn elements(&self) -> Option<usize> {
        match *self {
            Self::Scalar => None,
            Self::Array(len) | Self::UpTo(len) => Some(len),
        }
    }
}
