//! Derives a schema from a model's inputs alone, for inspecting a model without data.
//!
//! Golden vectors are physical values, so 32-bit floating-point fields hold them exactly. If a manifest does not state how many elements a
//! field has (`len`), this follows from an index, numbers per element, a mask, and the number of values in a golden vector.

use std::fmt::Write;

use tamis_event::{Address, Schema, list_words};

use crate::bundle::Bundle;
use crate::describe::formula;
use crate::error::BindError;
use crate::manifest::{ManifestInput, PerElement};

/// What is known about a field.
struct OwnField {
    name: String,
    /// Number of elements, if an input states it.
    len: Option<usize>,
    /// Least number of elements that an index requires.
    indexed: usize,
    /// Number of inputs that use all of its elements.
    whole: usize,
}

impl Bundle {
    /// A schema of just the fields that the model reads, as `f32`. An error if the bundle leaves the number of elements of a field open.
    pub fn own_schema(&self) -> Result<Schema, BindError> {
        let mut fields: Vec<OwnField> = Vec::new();
        let mut single = 0;
        for input in self.inputs() {
            // A count is one number, and a mask as many as its list has room for.
            if let Some((function, _)) = list_words(&input.field) {
                let is_mask = function == "mask";
                single += usize::from(!is_mask);
                let len = if is_mask { stated_len(input) } else { None };
                fields.push(OwnField { name: input.field.clone(), len, indexed: 0, whole: is_mask.into() });
                continue;
            }
            let address: Address =
                input.field.parse().map_err(|error| self.open_fields(format!("{error}")))?;
            let index = fields.iter().position(|field| field.name == address.field);
            let index = index.unwrap_or_else(|| {
                fields.push(OwnField { name: address.field.clone(), len: None, indexed: 0, whole: 0 });
                fields.len() - 1
            });
            match address.index {
                Some(element) => {
                    single += 1;
                    fields[index].indexed = fields[index].indexed.max(element.saturating_add(1));
                }
                None => {
                    fields[index].whole += 1;
                    fields[index].len = fields[index].len.or_else(|| stated_len(input));
                }
            }
        }
        self.share_lengths(&mut fields);
        share_in_lists(&mut fields);
        self.spread(&mut fields, single)?;
        let schema = text(&fields);
        Schema::parse(schema.as_bytes()).map_err(|error| self.open_fields(error.to_string()))
    }

    fn open_fields(&self, message: String) -> BindError {
        BindError::OwnSchema { model: self.name().into(), message }
    }

    /// Gives a field and its mask the same number of elements.
    fn share_lengths(&self, fields: &mut [OwnField]) {
        let place = |fields: &[OwnField], name: &str| fields.iter().position(|field| field.name == name);
        // Twice, so that a length passes from one field to the mask, and from the mask to the other fields.
        for input in self.inputs().iter().chain(self.inputs()) {
            let Some(mask) = &input.mask else { continue };
            let (Some(a), Some(b)) = (place(fields, &input.field), place(fields, mask)) else { continue };
            let len = fields[a].len.or(fields[b].len);
            (fields[a].len, fields[b].len) = (len, len);
        }
    }

    /// Distributes the unassigned elements of a golden vector over the fields whose length is open.
    fn spread(&self, fields: &mut [OwnField], single: usize) -> Result<(), BindError> {
        let taken: usize = fields.iter().map(|field| field.len.unwrap_or(0) * field.whole).sum();
        let rest = self.golden_elements().saturating_sub(taken + single);
        let is_open = |field: &OwnField| field.len.is_none() && field.whole > 0;
        let interchangeable = self.are_interchangeable(|name| {
            fields.iter().any(|field| field.name == name && is_open(field) && field.whole == 1)
        });
        let mut open: Vec<&mut OwnField> = fields.iter_mut().filter(|field| is_open(field)).collect();
        let inputs: usize = open.iter().map(|field| field.whole).sum();
        match &mut open[..] {
            [] => {}
            all if self.are_one_object(all) && rest.is_multiple_of(inputs) => {
                all.iter_mut().for_each(|field| field.len = Some(rest / inputs));
            }
            all if rest == inputs => all.iter_mut().for_each(|field| field.len = Some(1)),
            [first, others @ ..] if interchangeable && rest > inputs => {
                first.len = Some(rest - others.len());
                others.iter_mut().for_each(|field| field.len = Some(1));
            }
            all => {
                let names: Vec<String> = all.iter().map(|field| format!("'{}'", field.name)).collect();
                return Err(
                    self.open_fields(format!("how many elements {} have is open", names.join(" and ")))
                );
            }
        }
        Ok(())
    }

    /// Are these a single field, or fields and their mask? Then they have equally many elements.
    fn are_one_object(&self, fields: &[&mut OwnField]) -> bool {
        let mask = |field: &&mut OwnField| {
            let input = self.inputs().iter().find(|input| input.field == field.name);
            input.and_then(|input| input.mask.clone()).unwrap_or_else(|| field.name.clone())
        };
        let first = fields.first().map(mask);
        fields.iter().all(|field| Some(mask(field)) == first)
    }

    /// Are these inputs consecutive and preprocessed alike? Then it does not matter to which of them an element belongs.
    fn are_interchangeable(&self, is_open: impl Fn(&str) -> bool) -> bool {
        let inputs = self.inputs();
        let Some(first) = inputs.iter().position(|input| is_open(&input.field)) else { return false };
        let count = inputs.iter().filter(|input| is_open(&input.field)).count();
        let is_a_mask = |name: &str| inputs.iter().any(|input| input.mask.as_deref() == Some(name));
        inputs[first..].iter().take(count).all(|input| {
            let alike = formula(input) == formula(&inputs[first]);
            is_open(&input.field) && alike && input.mask.is_none() && !is_a_mask(&input.field)
        })
    }
}

/// The number of elements of a field that an input uses as a whole, if its keys determine it.
fn stated_len(input: &ManifestInput) -> Option<usize> {
    input.len.or_else(|| [&input.shift, &input.scale].into_iter().flatten().find_map(PerElement::len))
}

/// The list of `count(jets)` and `mask(jets)`, or the one that a field belongs to if any input asks for it.
fn list_of<'a>(name: &'a str, fields: &'a [OwnField]) -> Option<&'a str> {
    let asked =
        |list: &str| fields.iter().any(|field| list_words(&field.name).is_some_and(|(_, of)| of == list));
    let own = name.rsplit_once('.').map_or(name, |(list, _)| list);
    list_words(name).map(|(_, list)| list).or(Some(own).filter(|list| asked(list)))
}

/// Most elements of a list that an input asks for, as far as the inputs say.
fn most_of(list: &str, fields: &[OwnField]) -> Option<usize> {
    let of_list = || fields.iter().filter(|field| list_of(&field.name, fields) == Some(list));
    of_list()
        .find_map(|field| field.len)
        .or_else(|| of_list().map(|field| field.indexed).max().filter(|&most| most > 0))
}

/// Gives all fields of a list, and its mask, the same number of elements.
fn share_in_lists(fields: &mut [OwnField]) {
    for at in 0..fields.len() {
        let most = list_of(&fields[at].name, fields).and_then(|list| most_of(list, fields));
        fields[at].len = fields[at].len.or(most.filter(|_| fields[at].whole > 0));
    }
}

/// Elements of a list of which nothing but the count is read.
const ELEMENTS_UNKNOWN: usize = 255;

fn text(fields: &[OwnField]) -> String {
    let mut text = String::from("name = \"inputs\"\n");
    let mut lists: Vec<&str> = Vec::new();
    for OwnField { name, len, indexed, .. } in fields {
        if let Some(list) = list_of(name, fields) {
            let has_fields = fields
                .iter()
                .any(|field| list_words(&field.name).is_none() && list_of(&field.name, fields) == Some(list));
            let is_words = list_words(name).is_some();
            if is_words && (has_fields || lists.contains(&list)) {
                continue;
            }
            lists.push(list);
            let name = if is_words { list } else { name };
            let most = most_of(list, fields).unwrap_or(ELEMENTS_UNKNOWN);
            let _ = write!(text, "\n[[field]]\nname = \"{name}\"\ndtype = \"f32\"\nlen = \"0..{most}\"\n");
            continue;
        }
        let elements = len.unwrap_or(*indexed).max(*indexed);
        let _ = write!(text, "\n[[field]]\nname = \"{name}\"\ndtype = \"f32\"\n");
        // A single number and an array of one element are addressed the same way, except by index.
        if elements != 1 || *indexed > 0 {
            let _ = writeln!(text, "len = {elements}");
        }
    }
    text
}
