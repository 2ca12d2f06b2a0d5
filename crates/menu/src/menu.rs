//! The menu file: everything that can be checked without a schema.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use toml::de::DeTable;

use crate::error::{Complaint, Fault, MenuError, quoted, suggestion};
use crate::kind::{Condition, KINDS};
use crate::limits::{
    FALLBACKS_MAX, FILE_BYTES_MAX, LINES_MAX, MODELS_MAX, NAME_BYTES_MAX, PRESCALE_MAX, STREAMS_MAX,
};
use crate::pass_through::PassThrough;
use crate::table::{PlacedStr, Table};

/// The stream of events that could not be decided. No line may write to it.
pub const ERROR_STREAM: &str = "error";
const MENU_KEYS: [&str; 7] = ["name", "doc", "rate", "model", "stream", "line", "fallback"];
const LINE_KEYS: [&str; 5] = ["name", "doc", "kind", "prescale", "streams"];
const RATE_UNITS: [(&str, f64); 4] = [("kHz", 1e3), ("MHz", 1e6), ("GHz", 1e9), ("Hz", 1.0)];

/// A model that the menu's lines refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRef {
    /// Its scores are `NAME.OUTPUT`.
    pub name: String,
    /// Its bundle, as a path relative to the folder of the menu file.
    pub bundle: String,
    /// Bundles with the same outputs to use, in this order, for an event that could not be scored with the one before; relative likewise.
    pub fallback: Vec<String>,
}

/// What a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Unique name, `[A-Za-z0-9_-]`, at most 64 bytes: fit to name a file.
    pub name: String,
    /// What it is for.
    pub doc: String,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// Unique name, `[A-Za-z0-9_-]`, at most 64 bytes.
    pub name: String,
    /// What it is for.
    pub doc: String,
    /// `cut`, `random` or `pass-through`.
    pub kind: &'static str,
    /// One passed event in this many is kept; at least 1.
    pub prescale: u64,
    /// Indices of the streams that get the kept events, ascending.
    pub streams: Vec<usize>,
}

/// A menu as it was written, immutable. Identified by the hash of its text.
#[derive(Debug)]
pub struct Menu {
    place: String,
    text: String,
    hash: [u8; 32],
    name: String,
    doc: String,
    rate_hz: Option<f64>,
    models: Vec<ModelRef>,
    streams: Vec<StreamInfo>,
    lines: Vec<Line>,
    pass_through: Option<PassThrough>,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) info: LineInfo,
    pub(crate) condition: Box<dyn Condition>,
}

impl Menu {
    /// Parses a menu. `place` is what errors call the text, usually the path of the file.
    pub fn parse(text: &str, place: &str) -> Result<Self, MenuError> {
        read(text, place).map_err(|complaint| MenuError::new(place, text, complaint))
    }

    /// Short name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the menu is for.
    pub fn doc(&self) -> &str {
        &self.doc
    }

    /// The text that was parsed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The input rate, in Hz, that line rates are quoted at.
    pub fn rate_hz(&self) -> Option<f64> {
        self.rate_hz
    }

    /// The models, in the order of the file.
    pub fn models(&self) -> &[ModelRef] {
        &self.models
    }

    /// What becomes of events that no model could score; `None`: they go to the error stream.
    pub fn pass_through(&self) -> Option<&PassThrough> {
        self.pass_through.as_ref()
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) fn streams(&self) -> &[StreamInfo] {
        &self.streams
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }
}

fn read(text: &str, place: &str) -> Result<Menu, Complaint> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the menu has {} bytes, at most {FILE_BYTES_MAX} (1 MiB)", text.len());
        return Err(Complaint::new(0, Fault::Limit, message));
    }
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        Complaint::new(at, Fault::Toml, error.message().replace('\n', "; "))
    })?;
    let table = Table::new("a menu", &document);
    table.allow(&MENU_KEYS)?;
    let mut names = Names::new("the menu");
    let name = names.add(&table.required("name", "\"l1\"")?)?;
    let rate_hz = table.string("rate")?.map(|rate| rate_of(&rate)).transpose()?;
    let models = read_models(&table)?;
    let streams = read_streams(&table)?;
    let lines = read_lines(&table, text, &streams)?;
    let pass_through = table.table("fallback", "the table [fallback]")?;
    let pass_through = pass_through.map(|table| PassThrough::read(&table, &streams)).transpose()?;
    let hash = Sha256::digest(text.as_bytes()).into();
    let (place, text, doc) = (place.into(), text.into(), table.text("doc")?);
    Ok(Menu { place, text, hash, name, doc, rate_hz, models, streams, lines, pass_through })
}

fn read_models(menu: &Table<'_>) -> Result<Vec<ModelRef>, Complaint> {
    let mut names = Names::new("a model");
    let read = |table: Table<'_>| {
        table.allow(&["name", "bundle", "fallback"])?;
        let name = table.required("name", "\"anomaly\"")?;
        if name.value.contains('-') {
            let message =
                "the name of a model must not contain '-': in an expression that is a minus; use '_'";
            return Err(Complaint::new(name.span.start, Fault::Value, message));
        }
        let bundle = table.required("bundle", "\"../models/anomaly\"")?.value.into();
        Ok(ModelRef { name: names.add(&name)?, bundle, fallback: fallback_of(&table)? })
    };
    menu.tables("model", "a model", MODELS_MAX)?.into_iter().map(read).collect()
}

fn fallback_of(model: &Table<'_>) -> Result<Vec<String>, Complaint> {
    let named = model.strings("fallback", "[\"../models/anomaly-small\"]")?;
    let named = named.map(|placed| placed.value).unwrap_or_default();
    if let Some(extra) = named.get(FALLBACKS_MAX) {
        let message = format!("{} fallbacks of one model, at most {FALLBACKS_MAX}", named.len());
        return Err(Complaint::new(extra.span.start, Fault::Limit, message));
    }
    Ok(named.into_iter().map(|bundle| bundle.value.into()).collect())
}

fn read_streams(menu: &Table<'_>) -> Result<Vec<StreamInfo>, Complaint> {
    let mut names = Names::new("a stream");
    let read = |table: Table<'_>| {
        table.allow(&["name", "doc"])?;
        let name = table.required("name", "\"physics\"")?;
        if name.value == ERROR_STREAM {
            let message =
                "the stream 'error' is reserved for events that could not be decided; choose another name";
            return Err(Complaint::new(name.span.start, Fault::Value, message));
        }
        Ok(StreamInfo { name: names.add(&name)?, doc: table.text("doc")? })
    };
    menu.tables("stream", "a stream", STREAMS_MAX)?.into_iter().map(read).collect()
}

fn read_lines(menu: &Table<'_>, text: &str, streams: &[StreamInfo]) -> Result<Vec<Line>, Complaint> {
    let tables = menu.tables("line", "a line", LINES_MAX)?;
    if tables.is_empty() {
        return Err(Complaint::new(0, Fault::Key, "a menu needs at least one line; add a [[line]]"));
    }
    let mut names = Names::new("a line");
    let read = |table: Table<'_>| {
        let word = table.string("kind")?;
        let kind = match &word {
            None => &KINDS[0],
            Some(word) => KINDS.iter().find(|kind| kind.word == word.value).ok_or_else(|| no_kind(word))?,
        };
        let table = table.called(kind.title);
        table.allow(&[&LINE_KEYS, kind.keys].concat())?;
        let name = names.add(&table.required("name", "\"single-muon\"")?)?;
        let prescale = table.count("prescale", PRESCALE_MAX)?.unwrap_or(1);
        let condition = (kind.read)(&table, text)?;
        let streams = streams_of(&table, streams)?;
        let doc = table.text("doc")?;
        Ok(Line { info: LineInfo { name, doc, kind: kind.word, prescale, streams }, condition })
    };
    tables.into_iter().map(read).collect()
}

fn no_kind(word: &PlacedStr<'_>) -> Complaint {
    let words = KINDS.map(|kind| kind.word);
    let mut hint = suggestion(word.value, words);
    if hint.is_empty() {
        hint = format!("; kinds are {}", words.join(", "));
    }
    Complaint::new(word.span.start, Fault::Unknown, format!("no kind {} of line{hint}", quoted(word.value)))
}

/// Indices of the streams that a line or `[fallback]` names.
pub(crate) fn streams_of(owner: &Table<'_>, streams: &[StreamInfo]) -> Result<Vec<usize>, Complaint> {
    let example = "[\"physics\"]";
    let named = owner.strings("streams", example)?.ok_or_else(|| owner.missing("streams", example))?;
    if named.value.is_empty() {
        let message = format!("{} needs at least one stream, or its events go nowhere", owner.owner());
        return Err(Complaint::new(named.at, Fault::Value, message));
    }
    let mut found = Vec::with_capacity(named.value.len());
    for name in named.value {
        let Some(index) = streams.iter().position(|stream| stream.name == name.value) else {
            let mut hint = suggestion(name.value, streams.iter().map(|stream| stream.name.as_str()));
            if hint.is_empty() {
                hint = "; add a [[stream]] of that name".into();
            }
            let message = format!("no stream {}{hint}", quoted(name.value));
            return Err(Complaint::new(name.span.start, Fault::Unknown, message));
        };
        if found.contains(&index) {
            let message = format!("the stream {} is named twice", quoted(name.value));
            return Err(Complaint::new(name.span.start, Fault::Value, message));
        }
        found.push(index);
    }
    found.sort_unstable();
    Ok(found)
}

fn rate_of(rate: &PlacedStr<'_>) -> Result<f64, Complaint> {
    let number = |(unit, factor): &(&str, f64)| {
        let digits = rate.value.trim().strip_suffix(unit)?.trim_end();
        let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let hz = digits.parse::<f64>().ok()? * factor;
        (plain && hz > 0.0 && hz.is_finite()).then_some(hz)
    };
    RATE_UNITS.iter().find_map(number).ok_or_else(|| {
        let message =
            format!("'rate' must be a number above 0 with Hz, kHz, MHz or GHz, not {}", quoted(rate.value));
        Complaint::new(rate.span.start, Fault::Value, message)
    })
}

/// Names of one sort: well formed and unique.
struct Names {
    what: &'static str,
    taken: HashSet<String>,
}

impl Names {
    fn new(what: &'static str) -> Self {
        Self { what, taken: HashSet::new() }
    }

    fn add(&mut self, name: &PlacedStr<'_>) -> Result<String, Complaint> {
        let what = self.what;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !(1..=NAME_BYTES_MAX).contains(&name.value.len()) || !name.value.bytes().all(allowed) {
            let shown = quoted(name.value);
            let message =
                format!("the name of {what} must be 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 _ -, not {shown}");
            return Err(Complaint::new(name.span.start, Fault::Value, message));
        }
        if !self.taken.insert(name.value.into()) {
            let message = format!("the name '{}' is taken; {what} needs a name of its own", name.value);
            return Err(Complaint::new(name.span.start, Fault::Value, message));
        }
        Ok(name.value.into())
    }
}
