//! Checking stored files: every checksum, and every decision made again.
//!
//! An event is decided again by the engine that its record names, and must come to the same rung of the ladder, the same fault and the same
//! bits. Three things came in from outside and are taken from the record: that the event was late (`fault` 3: it is then decided as one that
//! is late), that a stand-in scored it (`DEGRADED`: it is decided on the stand-in's engine), and, in the error stream, its place in its block.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use serde::Serialize;
use tamis_event::record::{self, Record, RecordHeader};
use tamis_event::{Block, Span};
use tamis_model::Engine;
use tamis_pipeline::{Entry, Judge};

use crate::exit::OrFail;
use crate::frames::{Frame, Frames};
use crate::inspect::is_mcap;
use crate::models::{JUDGED_AT_ONCE, REFERENCE};
use crate::stored::{About, StoredFile};
use crate::{Exit, Failure};

/// Differences that are told one by one; further ones are only counted.
const TOLD_MAX: usize = 20;

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    /// Events that were looked at.
    pub events: u64,
    /// Events whose decision came out the same, bit for bit; none in a recording.
    pub reproduced: u64,
    /// Events whose decision could not be made again here; their checksums were checked.
    pub unchecked: u64,
    /// Events whose decision came out differently.
    pub different: u64,
    /// Frames, chunks or records that are damaged.
    pub damaged: u64,
    /// The first findings, one sentence each.
    pub findings: Vec<String>,
    /// Why events could not be checked, one sentence per reason.
    pub notes: Vec<String>,
}

impl Verification {
    /// [`Exit::Done`] if nothing was found, else [`Exit::Gate`].
    pub fn exit(&self) -> Exit {
        if self.different + self.damaged == 0 { Exit::Done } else { Exit::Gate }
    }

    fn tell(&mut self, finding: impl FnOnce() -> String) {
        if self.findings.len() < TOLD_MAX {
            self.findings.push(finding());
        }
    }

    fn damage(&mut self, finding: impl FnOnce() -> String) {
        self.damaged += 1;
        self.tell(finding);
    }
}

/// Checks a file of stored records (structure, checksums, decisions) or a recording (frames and checksums).
pub fn verify(path: &Path) -> Result<Verification, Failure> {
    let mut verification = Verification::default();
    if !is_mcap(path)? {
        recording(path, &mut verification)?;
        return Ok(verification);
    }
    let check = tamis_store::check(path).or_fail(Exit::Input)?;
    check.problems.iter().for_each(|problem| verification.tell(|| problem.to_string()));
    verification.damaged = check.problem_count;
    match StoredFile::open(path) {
        Ok(file) => decisions(file, &mut verification)?,
        // Damage to what the file carries was found already: a finding, and the gate is not met.
        Err(failure) if verification.damaged > 0 => verification.tell(|| failure.message),
        Err(failure) => return Err(failure),
    }
    Ok(verification)
}

fn recording(path: &Path, verification: &mut Verification) -> Result<(), Failure> {
    let (mut frames, mut at) = (Frames::open(path)?, 0);
    while let Some(frame) = frames.next()? {
        match &frame {
            Frame::Events { header, .. } => verification.events += u64::from(header.n_events),
            Frame::Lost { cause, .. } => {
                verification.damage(|| format!("byte {at}: a lost frame, cause {cause:?}"));
            }
            Frame::Other { .. } => {}
        }
        at += frame.bytes();
    }
    Ok(())
}

/// Decides every stored event again, with the menu and the models that the file carries, and compares whole records.
fn decisions(file: StoredFile, verification: &mut Verification) -> Result<(), Failure> {
    let mut again = Again::new(&file.about);
    let mut unchecked: BTreeMap<String, u64> = BTreeMap::new();
    // What is damaged was told by the check of the structure.
    file.read(|about, record| {
        verification.events += 1;
        let header = record.header();
        let id = header.event_id;
        let (bytes, expected) = (record.event().len(), about.schema.record_len());
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
    let note = |(reason, events): (String, u64)| {
        format!("{events} decisions could not be made again: {reason}; their checksums are right")
    };
    verification.notes = unchecked.into_iter().map(note).collect();
    Ok(())
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

/// Deciding again, in blocks: a device takes as long for one event as for thousands. What shares a block has no influence on a decision.
struct Again {
    judges: Judges,
    own_stream: u64,
    in_error_stream: bool,
    /// What waits to be decided, if something does.
    common: Option<Common>,
    block: Block,
    stored: Vec<Vec<u8>>,
    bytes: usize,
    records: Vec<u8>,
    entries: Vec<Entry>,
}

impl Again {
    fn new(about: &About) -> Self {
        let streams = about.rules.compiled.streams();
        // The error stream comes after those of the menu.
        let own = streams.iter().position(|stream| stream.name == about.stream).unwrap_or(streams.len());
        Self {
            judges: Judges { reference: about.rules.judge(), other: None },
            own_stream: 1 << own,
            in_error_stream: own == streams.len(),
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
        let &RecordHeader { run, segment, fault, source_id, event_id, time_ns, .. } = record.header();
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
        let bytes = Bytes::copy_from_slice(record.event());
        self.block.push(Span { source: source_id, first_id: event_id, time_ns, events: 1, bytes });
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
        let judge = judges.made(common.by_reference);
        judge.decide(block, is_late.as_mut().map(|is_late| is_late as _));
        judge.keep(block, records, entries);
        let mut entries = entries.iter().peekable();
        for (event, stored) in self.stored.drain(..).enumerate() {
            let stored = Record::parse(&stored).expect("it was read as a record");
            let difference = match entries.next_if(|entry| entry.event == event) {
                None => Some("stored, but no line keeps it".into()),
                Some(entry) if entry.streams & self.own_stream == 0 => {
                    Some("belongs to another stream".into())
                }
                Some(entry) => {
                    difference(&stored, &records[entry.start..][..entry.len], self.in_error_stream)
                        .map(|what| format!("the decision comes out differently: {what}"))
                }
            };
            match difference {
                Some(what) => {
                    verification.different += 1;
                    verification.tell(|| format!("event {}: {what}", stored.header().event_id));
                }
                None => verification.reproduced += 1,
            }
        }
        self.bytes = 0;
    }
}

/// Who can decide the events of a file again.
struct Judges {
    reference: Judge,
    /// On the engine of the run, made when it is first needed; or why it cannot be made.
    other: Option<Result<Judge, String>>,
}

impl Judges {
    /// Is the judge for a record the reference? Or why there is none.
    fn of(&mut self, about: &About, header: &RecordHeader) -> Result<bool, String> {
        if header.fault == record::fault::DEVICE {
            return Err("their device was lost, and nothing stood in for it".into());
        }
        if header.engine == 0 || header.engine == REFERENCE.code() {
            return Ok(true);
        }
        if header.flags & record::DEGRADED != 0 {
            return Err("after a device was lost, their models ran on several engines".into());
        }
        let other = self.other.get_or_insert_with(|| {
            let engine: Engine = about.engine.parse().map_err(|error| format!("{error}"))?;
            about.rules.judge_on(engine, &about.schema).map_err(|failure| failure.message)
        });
        match other {
            Ok(_) => Ok(false),
            Err(reason) => Err(format!("they were made on {}: {reason}", about.engine)),
        }
    }

    /// One that [`Judges::of`] named.
    fn made(&mut self, reference: bool) -> &mut Judge {
        match &mut self.other {
            Some(Ok(other)) if !reference => other,
            _ => &mut self.reference,
        }
    }
}

/// The first thing in which two records of one event differ, except for what came in from outside.
fn difference(stored: &Record<'_>, again: &[u8], in_error_stream: bool) -> Option<String> {
    let Ok(again) = Record::parse(again) else { return Some("the records have different forms".into()) };
    let (a, mut b) = (*stored.header(), *again.header());
    (b.flags, b.crc) = (a.flags, a.crc);
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
