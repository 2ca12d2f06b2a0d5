//! What models and recipes read of a record: numbers of fields, how many elements a list has, and which of them.
//!
//! ```text
//!   jets.pt        every element that the list may have; those that the event does not have are 0 before scale and offset
//!   jets.pt[3]     one of them
//!   count(jets)    the number of elements
//!   mask(jets)     1 for every element that the event has, 0 for the others that it may have
//! ```

use crate::schema::{Address, Element, Role, Schema, SchemaError};
use crate::words;

/// One number that is read of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FieldReading {
    /// The element of a field, or the count of a list.
    pub element: Element,
    /// What is read of it.
    pub kind: ReadingKind,
}

/// See [`FieldReading`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadingKind {
    /// The physical value.
    Value,
    /// The number of elements of a list, of which there are at most so many.
    Count(usize),
    /// 1 if the list has an element of this index, else 0.
    Member(usize),
}

impl FieldReading {
    /// The number in a record.
    #[inline]
    pub fn physical(&self, record: &[u8]) -> f64 {
        let value = self.element.physical(record);
        match self.kind {
            ReadingKind::Value | ReadingKind::Count(_) => value,
            ReadingKind::Member(index) => f64::from(u8::from(value > index as f64)),
        }
    }

    /// Smallest and largest raw number, `None` for a floating type.
    pub fn raw_range(&self) -> Option<(f64, f64)> {
        match self.kind {
            ReadingKind::Value => {
                self.element.dtype.integer_range().map(|(least, most)| (least as f64, most as f64))
            }
            ReadingKind::Count(most) => Some((0.0, most as f64)),
            ReadingKind::Member(_) => Some((0.0, 1.0)),
        }
    }
}

/// The function and the list of `count(jets)` and `mask(jets)`; `None` for a field.
pub fn list_words(input: &str) -> Option<(&str, &str)> {
    input.strip_suffix(')')?.split_once('(')
}

impl Schema {
    /// The numbers that an input names, and whether they are simulation truth.
    pub fn readings(&self, input: &str) -> Result<(Vec<FieldReading>, Role), SchemaError> {
        let Some((function, name)) = list_words(input) else {
            let address: Address = input.parse()?;
            let elements = self.resolve(&address)?.into_iter();
            let readings =
                elements.map(|element| FieldReading { element, kind: ReadingKind::Value }).collect();
            return Ok((readings, self.field(&address.field)?.role));
        };
        let Some(index) = self.lists().iter().position(|list| list.name() == name) else {
            return Err(self.no_list(name));
        };
        let list = &self.lists()[index];
        let element = list.count_element();
        let reading = |kind| FieldReading { element, kind };
        let readings = match function {
            "count" => vec![reading(ReadingKind::Count(list.most()))],
            "mask" => (0..list.most()).map(|index| reading(ReadingKind::Member(index))).collect(),
            _ => return Err(SchemaError::InputFunction { function: function.into() }),
        };
        let mut fields = self.fields().iter().filter(|field| field.list == Some(index));
        let is_truth = fields.all(|field| field.role == Role::Truth);
        Ok((readings, if is_truth { Role::Truth } else { Role::Data }))
    }

    fn no_list(&self, name: &str) -> SchemaError {
        let near = words::nearest_word(name, self.lists().iter().map(crate::List::name)).map(String::from);
        SchemaError::UnknownList { name: name.into(), schema: self.name().into(), near }
    }
}
