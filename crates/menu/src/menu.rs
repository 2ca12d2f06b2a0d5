//! The menu file: everything that can be checked without a schema.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use tamis_event::unquoted;
use toml::de::DeTable;

use crate::error::MenuErrors;
use crate::kind::{Condition, KINDS};
use crate::limits::{
    FALLBACKS_MAX, FILE_BYTES_MAX, LINES_MAX, MODELS_MAX, NAME_BYTES_MAX, PRESCALE_MAX, STREAMS_MAX,
};
use crate::pass_through::PassThrough;
use tamis_form::{Complaint, Complaints, MistakeKind, quoted, suggestion};
use tamis_form::{PlacedStr, Table};

/// Name of the stream for events that could not be decided. No line may write to it.
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
    /// Bundles with the same outputs, tried in this order for an event that the one before could not score; paths as for `bundle`.
    pub fallback: Vec<String>,
}

/// A stream: its name and purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Unique name, `[A-Za-z0-9_-]`, at most 64 bytes, so it can name a file.
    pub name: String,
    /// What the stream is for, in the menu's words.
    pub doc: String,
}

/// A line without its condition: name, kind, prescale and streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// Unique name, `[A-Za-z0-9_-]`, at most 64 bytes.
    pub name: String,
    /// What the line is for, in the menu's words.
    pub doc: String,
    /// `cut`, `random` or `pass-through`.
    pub kind: &'static str,
    /// One passed event in this many is kept; at least 1.
    pub prescale: u64,
    /// Indices of the streams that get the kept events, ascending.
    pub streams: Vec<usize>,
}

/// A parsed menu, immutable and identified by the hash of its text.
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
    lines: Vec<MenuLine>,
    pass_through: Option<PassThrough>,
    places: Places,
}

/// Where the tables of models and streams begin, in their order.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) models: Vec<usize>,
    pub(crate) streams: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct MenuLine {
    pub(crate) info: LineInfo,
    pub(crate) condition: Box<dyn Condition>,
}

impl Menu {
    /// Parses a menu. Errors refer to the text as `place`, usually the path of the file.
    pub fn parse(text: &str, place: &str) -> Result<Self, MenuErrors> {
        let mut complaints = Complaints::default();
        let menu = read(text, place, &mut complaints);
        match menu {
            Some(menu) if complaints.0.is_empty() => Ok(menu),
            menu => Err(MenuErrors::new(place, text, complaints, menu)),
        }
    }

    /// The short name of the menu.
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

    /// The input rate in Hz at which line rates are quoted.
    pub fn rate_hz(&self) -> Option<f64> {
        self.rate_hz
    }

    /// The models, in file order.
    pub fn models(&self) -> &[ModelRef] {
        &self.models
    }

    /// What happens to events that no model could score; with `None` they go to the error stream.
    pub fn pass_through(&self) -> Option<&PassThrough> {
        self.pass_through.as_ref()
    }

    /// Names of the lines, in the order of their bits in a record.
    pub fn line_names(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| line.info.name.as_str())
    }

    /// The prescale of each line, by its name.
    pub fn prescales(&self) -> impl Iterator<Item = (&str, u64)> {
        self.lines.iter().map(|line| (line.info.name.as_str(), line.info.prescale))
    }

    /// What errors call the text.
    pub fn place(&self) -> &str {
        &self.place
    }

    pub(crate) fn streams(&self) -> &[StreamInfo] {
        &self.streams
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    pub(crate) fn lines(&self) -> &[MenuLine] {
        &self.lines
    }
}

/// Reads as much of a menu as it can; `None` if no menu can be made of it.
fn read(text: &str, place: &str, complaints: &mut Complaints) -> Option<Menu> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the menu has {} bytes, at most {FILE_BYTES_MAX} (1 MiB)", text.len());
        complaints.0.push(Complaint::new(0, MistakeKind::Limit, message));
        return None;
    }
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let message = unquoted(text, at).unwrap_or_else(|| error.message().replace('\n', "; "));
        Complaint::new(at, MistakeKind::Toml, message)
    });
    let document = complaints.take(document)?;
    let table = Table::new("a menu", &document);
    let (mut own, mut about) = (Complaints::default(), Complaints::default());
    let name = table.required("name", "\"l1\"").and_then(|name| Names::new("the menu").add(&name));
    let name = own.take(name).unwrap_or_default();
    let rate_hz = table.string("rate").and_then(|rate| rate.map(|rate| rate_of(&rate)).transpose());
    let rate_hz = own.take(rate_hz).flatten();
    let doc = own.take(table.text("doc")).unwrap_or_default();
    let (models, model_places) = read_models(&table, &mut about).into_iter().unzip();
    let streams = read_streams(&table, &mut about);
    let lines = read_lines(&table, text, &streams, &mut about);
    let last = about.take(table.table("fallback", "the table [fallback]")).flatten();
    let pass_through = last.and_then(|table| PassThrough::read(&table, &streams, &mut about));
    if table.tables("line", "a line", LINES_MAX).is_ok_and(|tables| tables.is_empty()) {
        own.0.push(Complaint::new(0, MistakeKind::Key, "a menu needs at least one line; add a [[line]]"));
    }
    table.complain(&MENU_KEYS, own, complaints);
    complaints.0.extend(about.0);
    let hash = Sha256::digest(text.as_bytes()).into();
    let place = place.into();
    let text = text.into();
    let places = Places { models: model_places, streams: streams.places };
    let streams = streams.known;
    Some(Menu { place, text, hash, name, doc, rate_hz, models, streams, lines, pass_through, places })
}

fn read_models(menu: &Table<'_>, complaints: &mut Complaints) -> Vec<(ModelRef, usize)> {
    let mut names = Names::new("a model");
    let mut models = Vec::new();
    for table in complaints.take(menu.tables("model", "a model", MODELS_MAX)).unwrap_or_default() {
        let at = table.at();
        let mut about = Complaints::default();
        let name = about.take(table.required("name", "\"anomaly\"").and_then(|name| names.add_model(&name)));
        let bundle = about.take(table.required("bundle", "\"../models/anomaly\""));
        let fallback = about.take(fallback_of(&table));
        table.complain(&["name", "bundle", "fallback"], about, complaints);
        // Lines can still name a model whose bundle is wrong.
        if let Some(name) = name {
            let bundle = bundle.map(|bundle| bundle.value.into()).unwrap_or_default();
            models.push((ModelRef { name, bundle, fallback: fallback.unwrap_or_default() }, at));
        }
    }
    models
}

fn fallback_of(model: &Table<'_>) -> Result<Vec<String>, Complaint> {
    let named = model.strings("fallback", "[\"../models/anomaly-small\"]")?;
    let named = named.map(|placed| placed.value).unwrap_or_default();
    if let Some(extra) = named.get(FALLBACKS_MAX) {
        let message = format!("{} fallbacks of one model, at most {FALLBACKS_MAX}", named.len());
        return Err(Complaint::new(extra.span.start, MistakeKind::Limit, message));
    }
    Ok(named.into_iter().map(|bundle| bundle.value.into()).collect())
}

fn read_streams(menu: &Table<'_>, complaints: &mut Complaints) -> Streams {
    let mut names = Names::new("a stream");
    let before = complaints.0.len();
    let (mut known, mut places) = (Vec::new(), Vec::new());
    for table in complaints.take(menu.tables("stream", "a stream", STREAMS_MAX)).unwrap_or_default() {
        let mut about = Complaints::default();
        let name = about.take(table.required("name", "\"physics\"").and_then(|name| names.add_stream(&name)));
        let doc = about.take(table.text("doc")).unwrap_or_default();
        table.complain(&["name", "doc"], about, complaints);
        if let Some(name) = name {
            known.push(StreamInfo { name, doc });
            places.push(table.at());
        }
    }
    Streams { known, places, are_all: complaints.0.len() == before }
}

fn read_lines(menu: &Table<'_>, text: &str, streams: &Streams, complaints: &mut Complaints) -> Vec<MenuLine> {
    let Some(tables) = complaints.take(menu.tables("line", "a line", LINES_MAX)) else { return Vec::new() };
    let mut names = Names::new("a line");
    tables.into_iter().filter_map(|table| read_line(table, text, streams, &mut names, complaints)).collect()
}

fn read_line(
    table: Table<'_>,
    text: &str,
    streams: &Streams,
    names: &mut Names,
    complaints: &mut Complaints,
) -> Option<MenuLine> {
    let kind = table.string("kind").and_then(|word| match word {
        None => Ok(&KINDS[0]),
        Some(word) => KINDS.iter().find(|kind| kind.word == word.value).ok_or_else(|| no_kind(&word)),
    });
    let kind = complaints.take(kind)?;
    let table = table.called(kind.title);
    let mut about = Complaints::default();
    let name = about.take(table.required("name", "\"single-muon\"").and_then(|name| names.add(&name)));
    let prescale = about.take(table.count("prescale", PRESCALE_MAX)).flatten().unwrap_or(1);
    let condition = about.take((kind.read)(&table, text));
    let streams = about.take(streams.named_by(&table)).unwrap_or_default();
    let doc = about.take(table.text("doc")).unwrap_or_default();
    table.complain(&[&LINE_KEYS, kind.keys].concat(), about, complaints);
    let name = name.unwrap_or_default();
    Some(MenuLine { info: LineInfo { name, doc, kind: kind.word, prescale, streams }, condition: condition? })
}

fn no_kind(word: &PlacedStr<'_>) -> Complaint {
    let words = KINDS.map(|kind| kind.word);
    let mut hint = suggestion(word.value, words);
    if hint.is_empty() {
        hint = format!("; kinds are {}", words.join(", "));
    }
    Complaint::new(
        word.span.start,
        MistakeKind::Unknown,
        format!("no kind {} of line{hint}", quoted(word.value)),
    )
}

/// The streams that could be read.
pub(crate) struct Streams {
    known: Vec<StreamInfo>,
    /// Where their tables begin.
    places: Vec<usize>,
    /// Could every stream be read?
    are_all: bool,
}

impl Streams {
    /// Indices of the streams that a line or `[fallback]` names.
    pub(crate) fn named_by(&self, owner: &Table<'_>) -> Result<Vec<usize>, Complaint> {
        let example = "[\"physics\"]";
        let named = owner.strings("streams", example)?.ok_or_else(|| owner.missing("streams", example))?;
        if named.value.is_empty() {
            let message = format!("{} needs at least one stream, or its events go nowhere", owner.owner());
            return Err(Complaint::new(named.at, MistakeKind::Value, message));
        }
        let mut found = Vec::with_capacity(named.value.len());
        for name in named.value {
            let Some(index) = self.known.iter().position(|stream| stream.name == name.value) else {
                if !self.are_all {
                    continue;
                }
                return Err(self.unknown(&name));
            };
            if found.contains(&index) {
                let message = format!("the stream {} is named twice", quoted(name.value));
                return Err(Complaint::new(name.span.start, MistakeKind::Value, message));
            }
            found.push(index);
        }
        found.sort_unstable();
        Ok(found)
    }

    fn unknown(&self, name: &PlacedStr<'_>) -> Complaint {
        let mut hint = suggestion(name.value, self.known.iter().map(|stream| stream.name.as_str()));
        if hint.is_empty() {
            hint = "; add a [[stream]] of that name".into();
        }
        Complaint::new(
            name.span.start,
            MistakeKind::Unknown,
            format!("no stream {}{hint}", quoted(name.value)),
        )
    }
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
        Complaint::new(rate.span.start, MistakeKind::Value, message)
    })
}

/// Checks the names of one kind of thing: well formed and unique.
struct Names {
    what: &'static str,
    taken: HashSet<String>,
}

impl Names {
    fn new(what: &'static str) -> Self {
        Self { what, taken: HashSet::new() }
    }

    fn add_model(&mut self, name: &PlacedStr<'_>) -> Result<String, Complaint> {
        if name.value.contains('-') {
            let message =
                "the name of a model must not contain '-': in an expression that is a minus; use '_'";
            return Err(Complaint::new(name.span.start, MistakeKind::Value, message));
        }
        self.add(name)
    }

    fn add_stream(&mut self, name: &PlacedStr<'_>) -> Result<String, Complaint> {
        if name.value == ERROR_STREAM {
            let message =
                "the stream 'error' is reserved for events that could not be decided; choose another name";
            return Err(Complaint::new(name.span.start, MistakeKind::Value, message));
        }
        self.add(name)
    }

    fn add(&mut self, name: &PlacedStr<'_>) -> Result<String, Complaint> {
        let what = self.what;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !(1..=NAME_BYTES_MAX).contains(&name.value.len()) || !name.value.bytes().all(allowed) {
            let shown = quoted(name.value);
            let message =
                format!("the name of {what} must be 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 _ -, not {shown}");
            return Err(Complaint::new(name.span.start, MistakeKind::Value, message));
        }
        if !self.taken.insert(name.value.into()) {
            let message = format!("the name '{}' is taken; {what} needs a name of its own", name.value);
            return Err(Complaint::new(name.span.start, MistakeKind::Value, message));
        }
        Ok(name.value.into())
    }
}
