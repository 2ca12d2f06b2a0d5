//! Reading TOML tables so that every complaint knows its place.
//!
//! A thin layer over the parser's own document, because the alternative, deserialising into structs, loses the places of keys and words its
//! messages for programmers.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Complaint, Complaints, Fault, quoted, suggestion};

/// A value and the byte of the menu text where it starts.
#[derive(Clone, Debug)]
pub(crate) struct Placed<T> {
    pub(crate) at: usize,
    pub(crate) value: T,
}

/// A string and where it stands in the text, with its quotation marks.
#[derive(Clone, Debug)]
pub(crate) struct PlacedStr<'a> {
    pub(crate) span: Range<usize>,
    pub(crate) value: &'a str,
}

/// One table of the file.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    /// What it is, as in "a line".
    owner: &'static str,
    at: usize,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(owner: &'static str, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self { owner, at: table.span().start, entries: table.get_ref() }
    }

    /// The same table under a more telling name.
    pub(crate) fn called(self, owner: &'static str) -> Self {
        Self { owner, ..self }
    }

    /// What it is, as in "a line".
    pub(crate) fn owner(&self) -> &'static str {
        self.owner
    }

    /// Where the table starts.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// What is wrong with keys that are not in `known`. Called first: a misspelt key should not be reported as a missing one.
    pub(crate) fn strange(&self, known: &[&str]) -> Vec<Complaint> {
        let strange = self.entries.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        let complaint = |key: &Spanned<_>| {
            let name = AsRef::<str>::as_ref(key.get_ref());
            let mut hint = suggestion(name, known.iter().copied());
            if hint.is_empty() {
                hint = format!("; its keys are {}", known.join(", "));
            }
            let message = format!("{} has no key {}{hint}", self.owner, quoted(name));
            Complaint::new(key.span().start, Fault::Key, message)
        };
        strange.map(complaint).collect()
    }

    /// Adds the complaints about one table: about its keys, or about what is missing, which may be a misspelt key.
    pub(crate) fn complain(&self, known: &[&str], about: Complaints, to: &mut Complaints) {
        let strange = self.strange(known);
        let is_told = |complaint: &Complaint| strange.is_empty() || complaint.fault != Fault::Key;
        to.0.extend(about.0.into_iter().filter(is_told));
        to.0.extend(strange);
    }

    /// The string at `key`, if there is one.
    pub(crate) fn string(&self, key: &str) -> Result<Option<PlacedStr<'a>>, Complaint> {
        self.entries.get(key).map(|value| as_string(key, value)).transpose()
    }

    /// The string at `key`; `example` shows what is missing.
    pub(crate) fn required(&self, key: &str, example: &str) -> Result<PlacedStr<'a>, Complaint> {
        self.string(key)?.ok_or_else(|| self.missing(key, example))
    }

    /// The text at `key`, or an empty one.
    pub(crate) fn text(&self, key: &str) -> Result<String, Complaint> {
        Ok(self.string(key)?.map(|s| s.value.into()).unwrap_or_default())
    }

    /// The whole number from 1 to `max` at `key`, if there is one.
    pub(crate) fn count(&self, key: &str, max: u64) -> Result<Option<u64>, Complaint> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        let wrong = |found: &str| {
            let message = format!("'{key}' must be a whole number from 1 to {max}, not {found}");
            Err(Complaint::new(value.span().start, Fault::Value, message))
        };
        let DeValue::Integer(digits) = value.get_ref() else { return wrong(type_of(value.get_ref())) };
        match u64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(count) if (1..=max).contains(&count) => Ok(Some(count)),
            _ => wrong(&digits.to_string()),
        }
    }

    /// The list of strings at `key`, if there is one; `example` shows what it looks like.
    pub(crate) fn strings(
        &self,
        key: &str,
        example: &str,
    ) -> Result<Option<Placed<Vec<PlacedStr<'a>>>>, Complaint> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        let at = value.span().start;
        let DeValue::Array(items) = value.get_ref() else {
            let message =
                format!("'{key}' must be a list, for example {example}, not {}", type_of(value.get_ref()));
            return Err(Complaint::new(at, Fault::Value, message));
        };
        let strings = items.iter().map(|item| as_string(key, item)).collect::<Result<_, _>>()?;
        Ok(Some(Placed { at, value: strings }))
    }

    /// The table `[key]`, if there is one; `owner` is what it is called.
    pub(crate) fn table(&self, key: &str, owner: &'static str) -> Result<Option<Table<'a>>, Complaint> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        let at = value.span().start;
        match value.get_ref() {
            DeValue::Table(entries) => Ok(Some(Table { owner, at, entries })),
            _ => {
                let message = format!("'{key}' must be one table; write [{key}]");
                Err(Complaint::new(at, Fault::Value, message))
            }
        }
    }

    /// The tables `[[key]]`, at most `max`; `owner` is what one of them is called.
    pub(crate) fn tables(
        &self,
        key: &str,
        owner: &'static str,
        max: usize,
    ) -> Result<Vec<Table<'a>>, Complaint> {
        let Some(value) = self.entries.get(key) else { return Ok(Vec::new()) };
        let wrong = |at| {
            Complaint::new(at, Fault::Value, format!("'{key}' must be a list of tables; write [[{key}]]"))
        };
        let DeValue::Array(items) = value.get_ref() else { return Err(wrong(value.span().start)) };
        let read = |item: &'a Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::Table(entries) => Ok(Table { owner, at: item.span().start, entries }),
            _ => Err(wrong(item.span().start)),
        };
        if let Some(extra) = items.get(max) {
            let message = format!("{} of [[{key}]], at most {max}", items.len());
            return Err(Complaint::new(extra.span().start, Fault::Limit, message));
        }
        items.iter().map(read).collect()
    }

    pub(crate) fn missing(&self, key: &str, example: &str) -> Complaint {
        let message = format!("{} needs the key '{key}', for example {key} = {example}", self.owner);
        Complaint::new(self.at, Fault::Key, message)
    }
}

fn as_string<'a>(key: &str, value: &'a Spanned<DeValue<'a>>) -> Result<PlacedStr<'a>, Complaint> {
    match value.get_ref() {
        DeValue::String(text) => Ok(PlacedStr { span: value.span(), value: text.as_ref() }),
        other => {
            let message = format!("'{key}' must be text in quotation marks, not {}", type_of(other));
            Err(Complaint::new(value.span().start, Fault::Value, message))
        }
    }
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
