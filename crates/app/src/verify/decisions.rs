//! Makes every stored decision again, with the menu and the models that the file carries.
//!
//! ```text
//!   record --engines of the run--> judge --> the same bits? -- yes --> reproduced
//!                                              `- no, on an engine whose last bits depend on the CPU or the device:
//!                                                   scores within the tolerance of the bundle? -- no --> different
//!                                                     `- yes: the same lines? -- yes --> same decision, other bits
//!                                                                             `- no --> flipped: the scores lie on both sides of a cut
//! ```
//!
//! An event is decided again by the engine that its record names, and must come to the same rung of the ladder and the same fault. Three things came
//! in from outside and are taken from the record: that the event was late (`fault` 3: it is then decided as one that is late), that a stand-in
//! scored it (`DEGRADED`: it is decided on the stand-in's engine), and, in the error stream, its place in its block.
//!
//! Where a device of the run is not here, the reference stands in for it: its scores have other bits, within the tolerance. Events of a block whose
//! decision panicked have no decision that could be repeated; like those of a lost device they are counted as unchecked, with the reason.

use std::collections::BTreeMap;

use tamis_event::record::{self, Record, RecordHeader};
use tamis_event::{Block, Span};
use tamis_model::{Engine, VectorUnit};
use tamis_pipeline::Kept;

use super::Verification;
use super::judges::{BoundElsewhere, Judges, engines};
use crate::Failure;
use crate::models::{JUDGED_AT_ONCE, REFERENCE};
use crate::stored::{About, StoredFile};

/// Decides every stored event again and compares whole records.
pub(super) fn decisions(
    file: StoredFile,
    elsewhere: &mut BoundElsewhere,
    verification: &mut Verification,
) -> Result<(), Failure> {
    if let Err(reason) = &file.about.rules {
        let reason = reason.clone();
        return unchecked(file, &reason, verification);
    }
    let mut again = Again::new(&file.about, elsewhere);
    let mut unchecked: BTreeMap<String, u64> = BTreeMap::new();
    // The check of the structure has reported what is damaged.
    file.read(|about, record| {
        verification.events += 1;
        let header = record.header();
        let id = header.event_id;
        let bytes = record.event().record.len();
        let expected = about.schema.record_len();
        if bytes != expected {
            verification.damage(|| format!("event {id}: {bytes} bytes instead of {expected}"));
            return true;
        }
        match again.judges.of(about, header) {
            Ok(by_reference) => again.add(by_reference, &record, verification),
            Err(reason) => {
                verification.unchecked += 1;
                *unchecked.entry(reason).or_default() += 1;
            }
        }
        true
    })?;
    again.decide(verification);
    verification.notes = unchecked.iter().map(|(reason, events)| note(reason, *events)).collect();
    let other_bits = again.other_bits.into_iter().map(|(made_on, events)| {
        let here = VectorUnit::of_this_cpu().name();
        format!(
            "{events} events: same decision, other bits: they were scored on {made_on}, here on a CPU with {here}, and the last bits of such scores depend on \
             that; all are within the tolerance of their models"
        )
    });
    verification.notes.extend(other_bits);
    Ok(())
}

/// Counts the events of a file that lacks what decided them.
fn unchecked(file: StoredFile, reason: &str, verification: &mut Verification) -> Result<(), Failure> {
    file.read(|_, _| {
        verification.events += 1;
        verification.unchecked += 1;
        true
    })?;
    verification.notes = vec![note(reason, verification.unchecked)];
    Ok(())
}

fn note(reason: &str, events: u64) -> String {
    format!("{events} decisions could not be made again: {reason}; their checksums are right")
}

/// Bytes of the records that are decided again together, at most, unless one is longer.
const BYTES_AT_ONCE: usize = 16 << 20;

/// What stored events must have in common to be decided again together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Common {
    run: u32,
    segment: u32,
    is_late: bool,
    by_reference: bool,
}

/// Decides again in blocks, because a device takes as long for one event as for thousands. Events that share a block do not affect each other's
/// decisions.
struct Again<'a> {
    judges: Judges<'a>,
    own_stream: u64,
    in_error_stream: bool,
    tolerances: Tolerances,
    /// Events with other bits, by what they were scored on.
    other_bits: BTreeMap<String, u64>,
    /// What waits to be decided, if something does.
    common: Option<Common>,
    block: Block,
    stored: Vec<Vec<u8>>,
    bytes: usize,
    records: Vec<u8>,
    entries: Vec<Kept>,
}

impl<'a> Again<'a> {
    fn new(about: &About, elsewhere: &'a mut BoundElsewhere) -> Self {
        let streams = about.rules().compiled.streams();
        // The error stream comes after those of the menu.
        let own = streams.iter().position(|stream| stream.name == about.stream).unwrap_or(streams.len());
        Self {
            judges: Judges::new(about, elsewhere),
            own_stream: 1 << own,
            in_error_stream: own == streams.len(),
            tolerances: Tolerances::new(about),
            other_bits: BTreeMap::new(),
            common: None,
            block: Block::new(about.schema.record_len()),
            stored: Vec::new(),
            bytes: 0,
            records: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Puts a record to those that wait, which are decided first if it cannot be decided with them.
    fn add(&mut self, by_reference: bool, record: &Record<'_>, verification: &mut Verification) {
        let &RecordHeader { run, segment, fault, .. } = record.header();
        let common = Common { run, segment, is_late: fault == record::fault::DEADLINE, by_reference };
        let is_full =
            self.stored.len() == JUDGED_AT_ONCE || self.bytes + record.bytes().len() > BYTES_AT_ONCE;
        if is_full || self.common.is_some_and(|waiting| waiting != common) {
            self.decide(verification);
        }
        if self.common.is_none() {
            self.block.reset(run, segment);
            self.common = Some(common);
        }
        self.block.push(Span::of_event(record.event()));
        self.stored.push(record.bytes().to_vec());
        self.bytes += record.bytes().len();
    }

    /// Decides what waits.
    fn decide(&mut self, verification: &mut Verification) {
        let Some(common) = self.common.take() else { return };
        let Self { judges, block, records, entries, .. } = self;
        let mut is_late = common.is_late.then_some(|| true);
        records.clear();
        entries.clear();
        let stands_in = judges.stands_in && !common.by_reference;
        let judge = judges.made(common.by_reference);
        judge.decide(block, is_late.as_mut().map(|is_late| is_late as _));
        judge.keep(block, records, entries);
        let mut entries = entries.iter().peekable();
        for (event, stored) in self.stored.drain(..).enumerate() {
            let stored = Record::parse(&stored).expect("it was read as a record");
            let stands_in = stands_in && is_of_device(stored.header().engine);
            let entry = entries.next_if(|entry| entry.event == event);
            let difference = match entry {
                None => Some("stored, but no line keeps it".into()),
                Some(entry) if entry.streams & self.own_stream == 0 => {
                    Some("belongs to another stream".into())
                }
                Some(entry) => {
                    let again = &records[entry.start..][..entry.len];
                    difference(&stored, again, self.in_error_stream, stands_in)
                        .map(|what| format!("the decision comes out differently: {what}"))
                }
            };
            let Some(difference) = difference else {
                verification.reproduced += 1;
                continue;
            };
            let again = entry.map(|entry| &records[entry.start..][..entry.len]);
            let is_of_stream = entry.is_some_and(|entry| entry.streams & self.own_stream != 0);
            let (rung, scores) = judge.scores(event);
            let scores: Vec<f32> = scores.collect();
            let id = stored.header().event_id;
            match self.tolerances.judge(&stored, rung, &scores, stands_in) {
                None => {
                    verification.different += 1;
                    verification.tell(|| format!("event {id}: {difference}"));
                }
                Some(_)
                    if is_of_stream && again.is_some_and(|again| same_lines(&stored, again, stands_in)) =>
                {
                    verification.other_bits += 1;
                    *self.other_bits.entry(made_on(stored.header())).or_default() += 1;
                }
                Some((k, old, new)) => {
                    verification.flipped += 1;
                    verification.tell(|| {
                        format!(
                            "event {id}: flips: the last bits of score {k} are others on this machine ({old} stored, {new} now, within the tolerance of its \
                             model), and a line decides otherwise"
                        )
                    });
                }
            }
        }
        self.bytes = 0;
    }
}

/// By how much scores may differ from the stored ones, column by column and rung by rung, where the engine's last bits depend on the machine.
struct Tolerances {
    /// For each rung with models; 0 for a score that has the same bits everywhere.
    rungs: Vec<Vec<f64>>,
}

impl Tolerances {
    fn new(about: &About) -> Self {
        let bundles = &about.rules().bundles;
        let engines = engines(about).unwrap_or_default();
        let mut number = 0;
        let mut of_models = Vec::new();
        for (_, choices) in bundles {
            let mut of_choices = Vec::new();
            for bundle in choices {
                let engine = engines.get(number).copied().unwrap_or(REFERENCE);
                number += 1;
                let tolerance = if engine.is_exact() { 0.0 } else { bundle.tolerance(engine) };
                of_choices.push(vec![tolerance; bundle.outputs().len()]);
            }
            of_models.push(of_choices);
        }
        let rungs = of_models.iter().map(Vec::len).max().unwrap_or(0);
        let rung = |rung: usize| {
            of_models.iter().flat_map(move |choices| choices[rung.min(choices.len() - 1)].clone()).collect()
        };
        Self { rungs: (0..rungs).map(rung).collect() }
    }

    /// If the machine explains that bits differ: the first score whose bits differ, with the stored value and the new one. `stands_in`: the reference
    /// scored now in place of a device.
    fn judge(
        &self,
        stored: &Record<'_>,
        rung: u8,
        scores: &[f32],
        stands_in: bool,
    ) -> Option<(usize, f32, f32)> {
        let header = stored.header();
        let of_unit = header.unit != VectorUnit::of_this_cpu().code();
        let on_flex = matches!(header.engine, record::FLEX | record::SEVERAL_ENGINES);
        let on_device = header.engine == DEVICE;
        if !(on_flex && of_unit || on_device || stands_in) || header.rung != rung {
            return None;
        }
        let tolerances = self.rungs.get(usize::from(rung))?;
        let mut first = None;
        for (k, ((old, &new), &tolerance)) in stored.scores().zip(scores).zip(tolerances).enumerate() {
            if old.to_bits() == new.to_bits() || old.is_nan() && new.is_nan() {
                continue;
            }
            let difference = f64::from(old - new).abs() / f64::from(old).abs().max(1.0);
            // A NaN is within no tolerance.
            if difference.is_nan() || difference > tolerance {
                return None;
            }
            first.get_or_insert((k, old, new));
        }
        first
    }
}

/// A device in a record, which does not say which one.
const DEVICE: u8 = Engine::Gpu(0).code();

/// May a device have scored this?
fn is_of_device(engine: u8) -> bool {
    matches!(engine, DEVICE | record::SEVERAL_ENGINES)
}

/// Do two records of one event differ in nothing but the bits of their scores, and in the engine if another stands in?
fn same_lines(stored: &Record<'_>, again: &[u8], stands_in: bool) -> bool {
    let Ok(again) = Record::parse(again) else { return false };
    let same = |a: &RecordHeader, b: &RecordHeader| {
        (a.menu_hash, a.model_hash, a.fault, a.guilty_model)
            == (b.menu_hash, b.model_hash, b.fault, b.guilty_model)
            && (a.engine == b.engine || stands_in)
    };
    same(stored.header(), again.header())
        && stored.passed().eq(again.passed())
        && stored.kept().eq(again.kept())
}

/// What scored an event, in words.
fn made_on(header: &RecordHeader) -> String {
    if header.engine == record::SEVERAL_ENGINES {
        return "several engines".into();
    }
    match (VectorUnit::of_code(header.unit), Engine::name_of(header.engine)) {
        (Some(unit), _) => format!("{REFERENCE} on a CPU with {}", unit.name()),
        (None, Some(engine)) => engine.into(),
        (None, None) => format!("{REFERENCE} on a CPU that this program does not know"),
    }
}

/// The first thing in which two records of one event differ, except for what came in from outside, and for the engine if another stands in.
fn difference(stored: &Record<'_>, again: &[u8], in_error_stream: bool, stands_in: bool) -> Option<String> {
    let Ok(again) = Record::parse(again) else { return Some("the records have different forms".into()) };
    let a = *stored.header();
    let mut b = *again.header();
    // Equal bits are a reproduced decision, whatever computed them.
    b.unit = a.unit;
    b.engine = if stands_in { a.engine } else { b.engine };
    b.flags = a.flags;
    b.crc = a.crc;
    if in_error_stream {
        (b.block_index, b.block_last) = (a.block_index, a.block_last);
    }
    let same_body = stored.bytes()[record::HEADER_LEN..] == again.bytes()[record::HEADER_LEN..];
    if a == b && same_body {
        return None;
    }
    if a.menu_hash != b.menu_hash {
        return Some(format!("menu {:016x} stored, {:016x} attached", a.menu_hash, b.menu_hash));
    }
    if a.model_hash != b.model_hash {
        return Some(format!("models {:016x} stored, {:016x} attached", a.model_hash, b.model_hash));
    }
    for (what, old, new) in
        [("rung", a.rung, b.rung), ("fault", a.fault, b.fault), ("engine", a.engine, b.engine)]
    {
        if old != new {
            return Some(format!("{what} {old} stored, {new} now"));
        }
    }
    if let Some((k, (old, new))) =
        stored.scores().zip(again.scores()).enumerate().find(|(_, (a, b))| a.to_bits() != b.to_bits())
    {
        return Some(format!("score {k} is {old} stored, {new} now"));
    }
    if !stored.passed().eq(again.passed()) || !stored.kept().eq(again.kept()) {
        return Some("other lines keep it".into());
    }
    Some("the header differs".into())
}
