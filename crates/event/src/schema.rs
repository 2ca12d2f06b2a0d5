//! Schemas: what the bytes of an event record mean (`SPEC.md` section 4).

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::decimal::Grid;
use crate::dtype::Dtype;
use crate::header::{EventLayout, SCHEMA_BYTES_MAX};
use crate::list::{self, List};
use crate::words;

/// Most bytes of one event record.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// What menus call the length of a payload.
pub const PAYLOAD_LEN: &str = "payload.len";
/// Most fields of a schema.
const FIELDS_MAX: usize = 4096;

/// What a field may be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// What the detector measured.
    #[default]
    Data,
    /// Simulation truth: a menu or a model that reads it would cheat, so both are refused.
    Truth,
}

/// One named field.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Dotted path.
    pub name: String,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Number of elements, or `None` for a scalar. In a list it is the most that there may be.
    pub len: Option<usize>,
    /// Index in [`Schema::lists`] of the list that the field belongs to.
    pub list: Option<usize>,
    /// Physical value = raw * scale + offset.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// Unit of the physical value, empty if it has none.
    pub unit: String,
    /// Data or truth.
    pub role: Role,
    /// What it is.
    pub doc: String,
    /// Byte offset in the event record.
    pub at: usize,
    /// How its numbers count in decimals, if they do.
    pub grid: Option<Grid>,
}

impl Field {
    /// Number of elements, 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.len.unwrap_or(1)
    }

    /// Bytes that the field takes in a record.
    pub fn bytes(&self) -> Range<usize> {
        self.at..self.at + self.elements() * self.dtype.size()
    }

    /// Element `index`, ready to read.
    pub fn element(&self, index: usize) -> Element {
        assert!(index < self.elements(), "element {index} of {}", self.name);
        Element {
            at: self.at + index * self.dtype.size(),
            dtype: self.dtype,
            scale: self.scale,
            // Adding a negative zero leaves every float as it is, a negative zero included.
            offset: if self.dtype.integer_range().is_none() && self.offset == 0.0 {
                -0.0
            } else {
                self.offset
            },
        }
    }
}

/// Where one number stands in an event record and how to turn it into its physical value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Element {
    /// Byte offset in the record.
    pub at: usize,
    /// Type of the number.
    pub dtype: Dtype,
    /// Physical value = raw * scale + offset.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
}

impl Element {
    /// The physical value in one record.
    #[inline]
    pub fn physical(&self, record: &[u8]) -> f64 {
        self.dtype.read(&record[self.at..]) * self.scale + self.offset
    }
}

/// A field with or without an index, as in `jets.pt[3]` or `met.pt`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Name of the field.
    pub field: String,
    /// Element, if one was named.
    pub index: Option<usize>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}[{index}]", self.field),
            None => f.write_str(&self.field),
        }
    }
}

impl std::str::FromStr for Address {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let (field, index) = match text.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
            Some((field, digits)) => {
                let index = digits.parse().map_err(|_| SchemaError::Address { text: text.into() })?;
                (field, Some(index))
            }
            None => (text, None),
        };
        if !is_path(field) {
            return Err(SchemaError::Address { text: text.into() });
        }
        Ok(Self { field: field.into(), index })
    }
}

/// Why a schema text or an address is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum SchemaError {
    #[error("the schema has {bytes} bytes; at most {SCHEMA_BYTES_MAX} are allowed")]
    TooLong { bytes: usize },
    #[error("the schema is not UTF-8 text")]
    NotText,
    #[error("{message}")]
    Toml { message: String },
    #[error("schema name '{name}': use letters, digits, '-' and '_', at most 64")]
    Name { name: String },
    #[error("field name '{name}': use words of a-z, 0-9 and '_' that start with a letter, joined by dots")]
    FieldName { name: String },
    #[error("field '{name}' stands twice in the schema")]
    Twice { name: String },
    #[error("field '{name}': len = 0; leave len out for a scalar")]
    EmptyArray { name: String },
    #[error(
        "field '{name}': len = {len}; write a whole number for an array, or \"0..12\" for a list of up to 12 (at most {})",
        list::ELEMENTS_MAX
    )]
    Len { name: String, len: String },
    #[error(
        "list '{list}': its fields have room for {one} and for {other} elements; give all of them the same len"
    )]
    ListLen { list: String, one: usize, other: usize },
    #[error("'{name}' is a field and a list; rename one of them")]
    FieldAndList { name: String },
    #[error(
        "'payload.len' is the length of the payload, which events have by the table [payload]; give the field another name"
    )]
    PayloadLen,
    #[error("field '{name}': scale and offset must be finite and scale must not be 0")]
    Scale { name: String },
    #[error("a schema needs between 1 and {FIELDS_MAX} fields; this one has {fields}")]
    Fields { fields: usize },
    #[error("an event record of {bytes} bytes; at most {RECORD_BYTES_MAX} are allowed")]
    RecordTooLong { bytes: usize },
    #[error("'{text}' is no field address; write name or name[index]{hint}", hint = lower_case(.text))]
    Address { text: String },
    #[error("no field '{name}' in schema '{schema}'{hint}", hint = hint(.near))]
    Unknown { name: String, schema: String, near: Option<String> },
    #[error("no list '{name}' in schema '{schema}'{hint}; a list is made of fields with len = \"0..N\"", hint = hint(.near))]
    UnknownList { name: String, schema: String, near: Option<String> },
    #[error("'{function}' of a list means nothing; write count(LIST) or mask(LIST)")]
    InputFunction { function: String },
    #[error("{field}[{index}]: '{field}' is a single number; leave the index out")]
    Scalar { field: String, index: usize },
    #[error("{field}[{index}]: the field has {len} element(s), 0 to {last}", last = .len - 1)]
    Index { field: String, index: usize, len: usize },
}

fn hint(near: &Option<String>) -> String {
    near.as_ref().map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

fn lower_case(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let is_address = lower != text && lower.parse::<Address>().is_ok();
    if is_address { format!("; did you mean '{lower}'?") } else { String::new() }
}

/// A parsed schema. Keeps its text, because the text is its identity.
#[derive(Clone, Debug)]
pub struct Schema {
    text: String,
    id: u64,
    name: String,
    doc: String,
    fields: Vec<Field>,
    lists: Vec<List>,
    payload: Option<String>,
    by_name: HashMap<String, usize>,
    record_len: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchema {
    name: String,
    #[serde(default)]
    doc: String,
    #[serde(default)]
    field: Vec<RawField>,
    payload: Option<RawPayload>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPayload {
    #[serde(default)]
    doc: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawField {
    name: String,
    dtype: Dtype,
    len: Option<toml::Value>,
    #[serde(default = "one")]
    scale: f64,
    #[serde(default)]
    offset: f64,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    role: Role,
    #[serde(default)]
    doc: String,
}

fn one() -> f64 {
    1.0
}

impl Schema {
    /// Parses a schema text.
    pub fn parse(text: &[u8]) -> Result<Self, SchemaError> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(SchemaError::TooLong { bytes: text.len() });
        }
        let text = std::str::from_utf8(text).map_err(|_| SchemaError::NotText)?;
        let raw: RawSchema =
            toml::from_str(text).map_err(|error| SchemaError::Toml { message: explained(text, &error) })?;
        let name_ok = !raw.name.is_empty()
            && raw.name.len() <= 64
            && raw.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !name_ok {
            return Err(SchemaError::Name { name: raw.name });
        }
        if raw.field.is_empty() || raw.field.len() > FIELDS_MAX {
            return Err(SchemaError::Fields { fields: raw.field.len() });
        }
        let mut schema = Self {
            text: text.into(),
            id: schema_id(text.as_bytes()),
            name: raw.name,
            doc: raw.doc,
            fields: Vec::with_capacity(raw.field.len()),
            lists: Vec::new(),
            payload: raw.payload.map(|payload| payload.doc),
            by_name: HashMap::new(),
            record_len: 0,
        };
        for field in raw.field {
            schema.add(field)?;
        }
        // A field of variable length without a dot is the list of its name; no other field may have the name of a list.
        let both = schema.lists.iter().enumerate().find(|(k, list)| {
            let own = schema.by_name.get(list.name()).map(|&field| schema.fields[field].list);
            own.is_some_and(|own| own != Some(*k) || list.fields() > 1)
        });
        if let Some((_, list)) = both {
            return Err(SchemaError::FieldAndList { name: list.name().into() });
        }
        if schema.payload.is_some() && schema.by_name.contains_key(PAYLOAD_LEN) {
            return Err(SchemaError::PayloadLen);
        }
        Ok(schema)
    }

    fn add(&mut self, raw: RawField) -> Result<(), SchemaError> {
        let name = raw.name;
        if !is_path(&name) {
            return Err(SchemaError::FieldName { name });
        }
        let len = list::Len::parse(raw.len.as_ref(), &name)?;
        if !raw.scale.is_finite() || raw.scale == 0.0 || !raw.offset.is_finite() {
            return Err(SchemaError::Scale { name });
        }
        let list = match len {
            list::Len::UpTo(most) => Some(self.join_list(&name, most)?),
            list::Len::Scalar | list::Len::Array(_) => None,
        };
        let len = len.elements();
        let bytes = len.unwrap_or(1).saturating_mul(raw.dtype.size()).saturating_add(self.record_len);
        if bytes > RECORD_BYTES_MAX {
            return Err(SchemaError::RecordTooLong { bytes });
        }
        if self.by_name.insert(name.clone(), self.fields.len()).is_some() {
            return Err(SchemaError::Twice { name });
        }
        let dtype = raw.dtype;
        let at = self.record_len;
        let scale = raw.scale;
        let offset = raw.offset;
        let unit = raw.unit;
        let role = raw.role;
        let doc = raw.doc;
        let grid = Grid::of(Element { at, dtype, scale, offset });
        if let Some(list) = list {
            self.lists[list].add(at, dtype.size());
        }
        self.fields.push(Field { name, dtype, len, list, scale, offset, unit, role, doc, at, grid });
        self.record_len = bytes;
        Ok(())
    }

    /// The list that a field belongs to; a new one gets room for its count here.
    fn join_list(&mut self, field: &str, most: usize) -> Result<usize, SchemaError> {
        let name = list::name_of(field);
        if let Some(k) = self.lists.iter().position(|list| list.name() == name) {
            let one = self.lists[k].most();
            return if one == most {
                Ok(k)
            } else {
                Err(SchemaError::ListLen { list: name.into(), one, other: most })
            };
        }
        let list = List::new(name, self.record_len, most);
        self.record_len += list.count_len();
        self.lists.push(list);
        Ok(self.lists.len() - 1)
    }

    /// Identity: changes with every byte of the text.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The text that was parsed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Short name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the events are.
    pub fn doc(&self) -> &str {
        &self.doc
    }

    /// The fields in record order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Bytes of one event record.
    pub fn record_len(&self) -> usize {
        self.record_len
    }

    /// The lists, in record order.
    pub fn lists(&self) -> &[List] {
        &self.lists
    }

    /// The list of this name.
    pub fn list(&self, name: &str) -> Option<&List> {
        self.lists.iter().find(|list| list.name() == name)
    }

    /// Number of elements that an event has of a field: in a list as many as its count says.
    pub fn elements_in(&self, field: &Field, record: &[u8]) -> usize {
        let most = field.elements();
        field.list.map_or(most, |list| self.lists[list].count(record).min(most))
    }

    /// What the payloads of events are, if they have any.
    pub fn payload(&self) -> Option<&str> {
        self.payload.as_deref()
    }

    /// How events of this schema lie in a frame.
    pub fn layout(&self) -> EventLayout {
        EventLayout { stride: self.record_len, has_payloads: self.payload.is_some() }
    }

    /// The field of this name, or an error that suggests the nearest one.
    pub fn field(&self, name: &str) -> Result<&Field, SchemaError> {
        if let Some(&index) = self.by_name.get(name) {
            return Ok(&self.fields[index]);
        }
        let near =
            words::nearest_word(name, self.fields.iter().map(|field| field.name.as_str())).map(String::from);
        Err(SchemaError::Unknown { name: name.into(), schema: self.name.clone(), near })
    }

    /// The elements that an address names: one, or all of an array.
    pub fn resolve(&self, address: &Address) -> Result<Vec<Element>, SchemaError> {
        let field = self.field(&address.field)?;
        match address.index {
            Some(index) if field.len.is_none() => {
                Err(SchemaError::Scalar { field: field.name.clone(), index })
            }
            Some(index) if index >= field.elements() => {
                Err(SchemaError::Index { field: field.name.clone(), index, len: field.elements() })
            }
            Some(index) => Ok(vec![field.element(index)]),
            None => Ok((0..field.elements()).map(|index| field.element(index)).collect()),
        }
    }
}

/// The place of an error, and what is wrong there.
fn explained(text: &str, error: &toml::de::Error) -> String {
    let told = error.to_string();
    let told = told.trim_end();
    let remedy = error.span().and_then(|span| words::unquoted(text, span.start));
    match (remedy, told.strip_suffix(error.message())) {
        (Some(remedy), Some(place)) => format!("{place}{remedy}"),
        _ => told.into(),
    }
}

/// The id of a schema text: the first 8 bytes of its SHA-256.
pub(crate) fn schema_id(text: &[u8]) -> u64 {
    let digest = Sha256::digest(text);
    u64::from_le_bytes(digest[..8].try_into().expect("SHA-256 has 32 bytes"))
}

fn is_path(name: &str) -> bool {
    let word_ok = |word: &str| {
        word.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    !name.is_empty() && name.len() <= 128 && name.split('.').all(word_ok)
}
