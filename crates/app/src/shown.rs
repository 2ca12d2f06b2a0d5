//! What is shown of a file: the documents of `tamis info` and `tamis cat`.

use serde::{Serialize, Serializer};
use tamis_event::{Decimal, FieldNumber};
use tamis_ledger::{Corrupt, Counts};

use crate::Exit;
use crate::extent::Extent;

/// What a file holds.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Info {
    /// Frames.
    Recording(RecordingInfo),
    /// Decision records.
    Records(RecordsInfo),
}

/// A recording.
#[derive(Clone, Debug, Serialize)]
pub struct RecordingInfo {
    /// Name of the schema.
    #[serde(rename = "event_schema")]
    pub schema: String,
    /// Identity of the schema.
    pub schema_id: String,
    /// Bytes per event.
    pub record_bytes: usize,
    /// Fields with type, elements and unit.
    pub fields: Vec<FieldInfo>,
    /// Good frames.
    pub frames: u64,
    /// Bytes of the stream, decompressed.
    pub bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Do frames have times of their events, and not only their own?
    pub event_times: bool,
    /// The events.
    #[serde(flatten)]
    pub extent: Extent,
    /// Lost frames by cause; under `dup` the events that came before.
    pub corrupt: Counts<Corrupt>,
    /// Ids that were skipped over.
    pub missing: i128,
    /// The parts of the recording that cannot be read, one sentence each.
    pub problems: Vec<String>,
    /// [`Exit::Losses`] if there are such parts.
    #[serde(skip)]
    pub exit: Exit,
}

/// One field of a schema.
#[derive(Clone, Debug, Serialize)]
pub struct FieldInfo {
    /// Dotted path.
    pub name: String,
    /// Number type.
    pub dtype: &'static str,
    /// Elements, 1 for a scalar; of a list the most that there may be.
    pub elements: usize,
    /// The list that the field belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Unit.
    pub unit: String,
    /// Its description.
    pub doc: String,
}

/// A file of decision records.
#[derive(Clone, Debug, Serialize)]
pub struct RecordsInfo {
    /// Stream that the records belong to.
    pub stream: String,
    /// Name of the schema of the events.
    #[serde(rename = "event_schema")]
    pub schema: String,
    /// Name of the menu that decided.
    pub menu: String,
    /// Identity of the menu.
    pub menu_hash: String,
    /// Models that scored, with their bundles' versions, each followed by its fallbacks.
    pub models: Vec<String>,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Events that the file says it has, and that are lost.
    pub lost: u64,
    /// What is wrong with the file, one sentence each. Damage to a model or the menu hides no event.
    pub problems: Vec<String>,
    /// [`Exit::Losses`] if something is.
    #[serde(skip)]
    pub exit: Exit,
    /// Was the file closed in order? If not, `tamis recover` makes a whole one of it.
    pub complete: bool,
    /// Damaged stretches and records that were passed over.
    pub damaged: u64,
    /// The events.
    #[serde(flatten)]
    pub extent: Extent,
    /// Events that each line kept.
    #[serde(serialize_with = "by_name")]
    pub lines: Vec<(String, u64)>,
    /// Events that no model could score.
    pub faults: u64,
    /// Events with a score from a stand-in, after a device was lost.
    pub degraded: u64,
    /// Key and value of the file's own metadata.
    #[serde(serialize_with = "by_name")]
    pub metadata: Vec<(String, String)>,
}

/// One event, for people and programs.
#[derive(Clone, Debug, Serialize)]
pub struct ShownEvent {
    /// Event id.
    pub event: u64,
    /// Run.
    pub run: u32,
    /// Segment.
    pub segment: u32,
    /// Its time in ns since the start of the run, 0 if unknown.
    pub time_ns: u64,
    /// Source.
    pub source: u16,
    /// Bytes of its payload; absent if its schema has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_bytes: Option<usize>,
    /// The verdict; absent in a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Every field with its physical values.
    #[serde(serialize_with = "numbers_by_name")]
    pub fields: Vec<(String, Vec<FieldNumber>)>,
    /// How many values each of these fields has; of a list the most that there may be, and here are those that the event has.
    #[serde(skip)]
    pub rooms: Vec<usize>,
}

/// What was decided.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Lines whose condition held.
    pub passed: Vec<String>,
    /// Lines that kept the event.
    pub kept: Vec<String>,
    /// Scores by name.
    #[serde(serialize_with = "number_by_name")]
    pub scores: Vec<(String, f32)>,
    /// Rung of the fallback ladder.
    pub rung: u8,
    /// What computed the scores.
    pub engine: &'static str,
    /// The vector unit that flex computed with, on which the last bits of its scores depend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// Did a stand-in compute a score, after a device was lost?
    pub degraded: bool,
    /// Why no model could score the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// The first model that failed, by its name in the menu.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guilty_model: Option<String>,
    /// In the error stream: its place in the block in which it was scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockPosition>,
}

/// A place in the block in which an event was scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BlockPosition {
    /// Index of the event, from 0.
    pub index: usize,
    /// Number of events of the block.
    pub events: usize,
}

/// Pairs as a map, in their order.
fn by_name<V: Serialize, S: Serializer>(pairs: &[(String, V)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// Numbers as a map.
fn number_by_name<S: Serializer>(pairs: &[(String, f32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, number)| (name, InJson(*number))))
}

/// Lists of numbers as a map.
fn numbers_by_name<S: Serializer>(
    pairs: &[(String, Vec<FieldNumber>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let in_json = |numbers: &[FieldNumber]| numbers.iter().copied().map(InJson).collect::<Vec<_>>();
    serializer.collect_map(pairs.iter().map(|(name, numbers)| (name, in_json(numbers))))
}

/// A number for JSON, which knows no infinity and no NaN: these are the words `"inf"`, `"-inf"` and `"nan"`, as `float` of Python and `strtod` of C
/// read them.
#[derive(Clone, Copy)]
struct InJson<N>(N);

impl Serialize for InJson<f32> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() { self.0.serialize(serializer) } else { word(self.0.into(), serializer) }
    }
}

impl Serialize for InJson<FieldNumber> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            FieldNumber::Decimal(Decimal { digits, places: 0 }) => digits.serialize(serializer),
            // The nearest f64 of all digits.
            FieldNumber::Decimal(decimal) => {
                decimal.to_string().parse::<f64>().expect("it is a decimal").serialize(serializer)
            }
            number if number.value().is_finite() => number.value().serialize(serializer),
            number => word(number.value(), serializer),
        }
    }
}

fn word<S: Serializer>(number: f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match number {
        f64::INFINITY => "inf",
        f64::NEG_INFINITY => "-inf",
        _ => "nan",
    })
}
