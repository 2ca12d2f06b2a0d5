//! Reading TOML tables so that every complaint knows its place.
//!
//! A thin layer over the parser's own document: the alternative, deserialising into structs, loses the places of keys and words its
//! messages for programmers.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Complaint, Complaints, MistakeKind, quoted, suggestion};

/// A value and the byte of the text where it starts.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    /// Byte offset in the text.
    pub at: usize,
    /// The value.
    pub value: T,
}

/// A string and where it stands in the text, with its quotation marks.
#[derive(Clone, Debug)]
pub struct PlacedStr<'a> {
    /// Its byte range in the file.
    pub span: Range<usize>,
    /// The decoded text.
    pub value: &'a str,
}

/// One table of the file.
#[derive(Debug)]
pub struct Table<'a> {
    /// What messages call the table, as in "a line".
    owner: &'static str,
    at: usize,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The table of a whole file; messages call it `owner`.
    pub fn new(owner: &'static str, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self { owner, at: table.span().start, entries: table.get_ref() }
    }

    /// This table, which messages now call `owner`.
    pub fn called(self, owner: &'static str) -> Self {
        Self { owner, ..self }
    }

    /// What messages call the table, as in "a line".
    pub fn owner(&self) -> &'static str {
        self.owner
    }

    /// Byte offset in the text where the table starts.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Complaints about keys that are not in `known`.
    pub fn strange(&self, known: &[&str]) -> Vec<Complaint> {
        let strange = self.entries.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        let complaint = |key: &Spanned<_>| {
            let name = AsRef::<str>::as_ref(key.get_ref());
            let mut hint = suggestion(name, known.iter().copied());
            if hint.is_empty() {
                hint = format!("; its keys are {}", known.join(", "));
            }
            let message = format!("{} has no key {}{hint}", self.owner, quoted(name));
            Complaint::new(key.span().start, MistakeKind::Key, message)
        };
        strange.map(complaint).collect()
    }

    /// Adds the complaints about one table. If it has unknown keys, complaints about missing ones are left out: an unknown key may be a misspelt one.
    pub fn complain(&self, known: &[&str], about: Complaints, to: &mut Complaints) {
        let strange = self.strange(known);
        let is_told = |complaint: &Complaint| strange.is_empty() || complaint.fault != MistakeKind::Key;
        to.0.extend(about.0.into_iter().filter(is_told));
        to.0.extend(strange);
    }

    /// The string at `key`, if the key is there. An error if the value is no string.
    pub fn string(&self, key: &str) -> Result<Option<PlacedStr<'a>>, Complaint> {
        self.entries.get(key).map(|value| as_string(key, value)).transpose()
    }

    /// The string at `key`. An error if the key is missing; `example` is a value for the message.
    pub fn required(&self, key: &str, example: &str) -> Result<PlacedStr<'a>, Complaint> {
        self.string(key)?.ok_or_else(|| self.missing(key, example))
    }

    /// The string at `key`, or an empty one if the key is missing.
    pub fn text(&self, key: &str) -> Result<String, Complaint> {
        Ok(self.string(key)?.map(|s| s.value.into()).unwrap_or_default())
    }

    /// The whole number from 1 to `max` at `key`, if there is one.
    pub fn count(&self, key: &str, max: u64) -> Result<Option<u64>, Complaint> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        let wrong = |found: &str| {
            let message = format!("'{key}' must be a whole number from 1 to {max}, not {found}");
            Err(Complaint::new(value.span().start, MistakeKind::Value, message))
        };
        let DeValue::Integer(digits) = value.get_ref() else { return wrong(type_of(value.get_ref())) };
        match u64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(count) if (1..=max).contains(&count) => Ok(Some(count)),
            _ => wrong(&digits.to_string()),
        }
    }

    /// The number at `key`, if there is one.
    pub fn number(&self, key: &str) -> Result<Option<Placed<f64>>, Complaint> {
        self.entries.get(key).map(|value| as_number(key, value)).transpose()
    }

    /// The whole number at `key`, 0 or more, if there is one.
    pub fn natural(&self, key: &str) -> Result<Option<Placed<u64>>, Complaint> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        let at = value.span().start;
        let number = match value.get_ref() {
            DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        let wrong = || {
            let found = shown(value.get_ref());
            Complaint::new(
                at,
                MistakeKind::Value,
                format!("'{key}' must be a whole number, 0 or more, not {found}"),
            )
        };
        number.map(|value| Some(Placed { at, value })).ok_or_else(wrong)
    }

    /// Is `key` true? A missing key counts as false.
    pub fn flag(&self, key: &str) -> Result<bool, Complaint> {
        match self.entries.get(key).map(|value| (value.span().start, value.get_ref())) {
            None => Ok(false),
            Some((_, DeValue::Boolean(value))) => Ok(*value),
            Some((at, other)) => {
                let message = format!("'{key}' must be true or false, not {}", shown(other));
                Err(Complaint::new(at, MistakeKind::Value, message))
            }
        }
    }

    /// The list of numbers at `key`, if there is one; `example` shows what it looks like.
    pub fn numbers(&self, key: &str, example: &str) -> Result<Option<Placed<Vec<Placed<f64>>>>, Complaint> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        let at = value.span().start;
        let DeValue::Array(items) = value.get_ref() else {
            let found = type_of(value.get_ref());
            let message = format!("'{key}' must be a list, for example {example}, not {found}");
            return Err(Complaint::new(at, MistakeKind::Value, message));
        };
        let value = items.iter().map(|item| as_number(key, item)).collect::<Result<_, _>>()?;
        Ok(Some(Placed { at, value }))
    }

    /// The index in `words` of the string at `key`, if the key is there; `what` is what messages call the words.
    pub fn word(&self, key: &str, what: &str, words: &[&str]) -> Result<Option<usize>, Complaint> {
        let Some(word) = self.string(key)? else { return Ok(None) };
        one_of(&word, what, words.iter().copied()).map(Some)
    }

    /// The list of strings at `key`, if there is one; `example` shows what it looks like.
    pub fn strings(&self, key: &str, example: &str) -> Result<Option<Placed<Vec<PlacedStr<'a>>>>, Complaint> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        let at = value.span().start;
        let DeValue::Array(items) = value.get_ref() else {
            let message =
                format!("'{key}' must be a list, for example {example}, not {}", type_of(value.get_ref()));
            return Err(Complaint::new(at, MistakeKind::Value, message));
        };
        let strings = items.iter().map(|item| as_string(key, item)).collect::<Result<_, _>>()?;
        Ok(Some(Placed { at, value: strings }))
    }

    /// The table `[key]`, if there is one; `owner` is what messages call it.
    pub fn table(&self, key: &str, owner: &'static str) -> Result<Option<Table<'a>>, Complaint> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        let at = value.span().start;
        match value.get_ref() {
            DeValue::Table(entries) => Ok(Some(Table { owner, at, entries })),
            _ => {
                let message = format!("'{key}' must be one table; write [{key}]");
                Err(Complaint::new(at, MistakeKind::Value, message))
            }
        }
    }

    /// The table `key = { ... }`, if there is one; messages call it `owner` and show `example`.
    pub fn inline(
        &self,
        key: &str,
        owner: &'static str,
        example: &str,
    ) -> Result<Option<Table<'a>>, Complaint> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        let at = value.span().start;
        match value.get_ref() {
            DeValue::Table(entries) => Ok(Some(Table { owner, at, entries })),
            other => {
                let message = format!("'{key}' must be {example}, not {}", shown(other));
                Err(Complaint::new(at, MistakeKind::Value, message))
            }
        }
    }

    /// Byte offset of `key`, if it is there.
    pub fn place_of(&self, key: &str) -> Option<usize> {
        self.entries.iter().find(|(name, _)| name.get_ref() == key).map(|(name, _)| name.span().start)
    }

    /// The complaint that there is no table `[[key]]`; `example` is one of its keys with a value.
    pub fn missing_tables(&self, key: &str, example: &str) -> Complaint {
        let message = format!("{} needs at least one [[{key}]], for example with {example}", self.owner);
        Complaint::new(self.at, MistakeKind::Key, message)
    }

    /// The tables `[[key]]`, at most `max` of them; messages call one of them `owner`.
    pub fn tables(&self, key: &str, owner: &'static str, max: usize) -> Result<Vec<Table<'a>>, Complaint> {
        let Some(value) = self.entries.get(key) else { return Ok(Vec::new()) };
        let wrong = |at| {
            Complaint::new(
                at,
                MistakeKind::Value,
                format!("'{key}' must be a list of tables; write [[{key}]]"),
            )
        };
        let DeValue::Array(items) = value.get_ref() else { return Err(wrong(value.span().start)) };
        let read = |item: &'a Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::Table(entries) => Ok(Table { owner, at: item.span().start, entries }),
            _ => Err(wrong(item.span().start)),
        };
        if let Some(extra) = items.get(max) {
            let message = format!("{} of [[{key}]], at most {max}", items.len());
            return Err(Complaint::new(extra.span().start, MistakeKind::Limit, message));
        }
        items.iter().map(read).collect()
    }

    /// The complaint that `key` is missing; `example` shows what it looks like.
    pub fn missing(&self, key: &str, example: &str) -> Complaint {
        let message = format!("{} needs the key '{key}', for example {key} = {example}", self.owner);
        Complaint::new(self.at, MistakeKind::Key, message)
    }
}

fn as_string<'a>(key: &str, value: &'a Spanned<DeValue<'a>>) -> Result<PlacedStr<'a>, Complaint> {
    match value.get_ref() {
        DeValue::String(text) => Ok(PlacedStr { span: value.span(), value: text.as_ref() }),
        other => {
            let message = format!("'{key}' must be text in quotation marks, not {}", type_of(other));
            Err(Complaint::new(value.span().start, MistakeKind::Value, message))
        }
    }
}

/// The index of `word` in the allowed words; `what` is what messages call them.
pub fn one_of<'w>(
    word: &PlacedStr<'_>,
    what: &str,
    words: impl Iterator<Item = &'w str> + Clone,
) -> Result<usize, Complaint> {
    words.clone().position(|known| known == word.value).ok_or_else(|| {
        let mut hint = suggestion(word.value, words.clone());
        if hint.is_empty() {
            hint = format!("; it is one of {}", words.collect::<Vec<_>>().join(", "));
        }
        Complaint::new(
            word.span.start,
            MistakeKind::Unknown,
            format!("no {what} {}{hint}", quoted(word.value)),
        )
    })
}

fn as_number(key: &str, value: &Spanned<DeValue<'_>>) -> Result<Placed<f64>, Complaint> {
    let at = value.span().start;
    let number = match value.get_ref() {
        DeValue::Integer(digits) => {
            i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(|x| x as f64)
        }
        DeValue::Float(digits) => digits.as_str().parse().ok().filter(|x: &f64| x.is_finite()),
        _ => None,
    };
    let wrong = || {
        let found = shown(value.get_ref());
        Complaint::new(at, MistakeKind::Value, format!("'{key}' must be a finite number, not {found}"))
    };
    number.map(|value| Placed { at, value }).ok_or_else(wrong)
}

/// A number as written, or the type of any other value.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(digits) => digits.to_string(),
        DeValue::Float(digits) => digits.to_string(),
        other => type_of(other).into(),
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
