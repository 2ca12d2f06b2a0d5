//! Looks into files: what is in a recording or in stored records, and single events.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use tamis_event::record::{self, Record};
use tamis_event::{FieldNumber, Schema, SegmentId};
use tamis_ledger::{Cause, Corrupt, Counts, Errored};
use tamis_menu::ERROR_STREAM;
use tamis_model::{Engine, VectorUnit};
use tamis_pipeline::IdBook;

use crate::blocks::lost;
use crate::exit::OrFail;
use crate::extent::Extent;
use crate::frames::{Frame, Frames, place_of};
use crate::shown::{BlockPosition, FieldInfo, Info, RecordingInfo, RecordsInfo, ShownEvent, Verdict};
use crate::stored::{About, StoredFile};
use crate::{Exit, Failure};

/// Reads a whole file and returns what is in it.
pub fn info(path: &Path) -> Result<Info, Failure> {
    if is_mcap(path)? { records(path).map(Info::Records) } else { recording(path).map(Info::Recording) }
}

/// Calls `each` for every event of a file and its payload, in order, until it returns `false`. Returns what is wrong with the file up
/// to there, one sentence each, and [`Exit::Losses`] if something is.
pub fn cat(
    path: &Path,
    mut each: impl FnMut(ShownEvent, &[u8]) -> bool,
) -> Result<(Vec<String>, Exit), Failure> {
    if is_mcap(path)? {
        let read = StoredFile::open(path)?
            .read(|about, record| each(stored_event(about, &record), record.event().payload))?;
        // The good events were shown; that some are missing must be known too.
        let exit = read.exit();
        return Ok((read.damage, exit));
    }
    let mut frames = Frames::open(path)?;
    let schema = frames.schema().clone();
    let mut damage = Damage::default();
    'frames: while let Some(frame) = frames.next()? {
        let (header, span) = match frame {
            Frame::Events { header, span, .. } => (header, span),
            Frame::Lost { cause, .. } => {
                damage.0.add(cause, 1);
                continue;
            }
            Frame::Other { .. } => continue,
        };
        for k in 0..span.len() {
            let found = span.event(k);
            let shown = ShownEvent {
                event: found.id,
                run: header.run,
                segment: header.segment,
                time_ns: found.time_ns,
                source: found.source,
                payload_bytes: schema.payload().map(|_| found.payload.len()),
                verdict: None,
                fields: fields(&schema, found.record),
                rooms: rooms(&schema),
            };
            if !each(shown, found.payload) {
                break 'frames;
            }
        }
    }
    Ok(damage.told(path))
}

/// Is this a file of stored records? Anything else is taken for a recording, which is checked when it is opened.
pub(crate) fn is_mcap(path: &Path) -> Result<bool, Failure> {
    if path == Path::new("-") {
        return Ok(false);
    }
    let file = File::open(path).map_err(|error| format!("{}: cannot be read: {error}", path.display()));
    let mut head = Vec::new();
    // What cannot be read here cannot be read as a recording either, and is reported there.
    let _ = file.or_fail(Exit::Input)?.take(8).read_to_end(&mut head);
    Ok(tamis_store::is_mcap(&head))
}

fn recording(path: &Path) -> Result<RecordingInfo, Failure> {
    let mut frames = Frames::open(path)?;
    let schema = frames.schema().clone();
    let mut info = RecordingInfo {
        schema: schema.name().into(),
        schema_id: format!("{:016x}", schema.id()),
        record_bytes: schema.record_len(),
        fields: schema.fields().iter().map(|field| field_info(&schema, field)).collect(),
        frames: 0,
        bytes: 0,
        file_bytes: std::fs::metadata(path).map_or(0, |meta| meta.len()),
        extent: Extent::of(&schema),
        corrupt: Counts::default(),
        missing: 0,
        event_times: false,
        problems: Vec::new(),
        exit: Exit::Done,
    };
    let mut ids = IdBook::default();
    let mut damage = Damage::default();
    let broken = loop {
        let frame = match frames.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => break None,
            // What was read before is shown.
            Err(failure) if info.frames > 0 => break Some(failure.message),
            Err(failure) => return Err(failure),
        };
        info.bytes += frame.bytes() as u64;
        match frame {
            Frame::Events { header, span, .. } => {
                info.frames += 1;
                info.extent.add(header.segment_id(), span.id_range(), header.n_events.into());
                info.event_times |= span.has_times();
                let timed = if span.has_times() { span.len() } else { 1 };
                (0..timed).for_each(|event| info.extent.add_time(span.event(event).time_ns));
                if info.extent.payloads.is_some() {
                    span.payload_lens(0).for_each(|bytes| info.extent.add_payload(bytes.into()));
                }
                let admitted = ids.admit_frame(&header, &span);
                info.corrupt.add(Corrupt::Dup, admitted.repeated.into());
                info.missing += admitted.missing;
            }
            Frame::Lost { cause, .. } => {
                info.corrupt.add(cause, 1);
                damage.0.add(cause, 1);
            }
            Frame::Other { .. } => {}
        }
    };
    (info.problems, info.exit) = damage.told(path);
    if let Some(broken) = broken {
        info.problems.push(broken);
        info.exit = Exit::Losses;
    }
    Ok(info)
}

/// The frames and stretches of a recording that have no events.
#[derive(Debug, Default)]
struct Damage(Counts<Corrupt>);

impl Damage {
    /// The damage in a sentence, and the exit code that follows.
    fn told(&self, path: &Path) -> (Vec<String>, Exit) {
        match lost(&self.0) {
            Some(lost) => (vec![format!("{}: {lost}", place_of(path))], Exit::Losses),
            None => (Vec::new(), Exit::Done),
        }
    }
}

fn records(path: &Path) -> Result<RecordsInfo, Failure> {
    let file = StoredFile::open(path)?;
    let about = &file.about;
    let mut info = RecordsInfo {
        stream: about.stream.clone(),
        schema: about.schema.name().into(),
        menu: about.word("menu").unwrap_or("?").into(),
        menu_hash: about.word("menu_hash").unwrap_or("?").into(),
        models: if about.rules.is_ok() { about.versions.clone() } else { about.models.clone() },
        file_bytes: std::fs::metadata(path).map_or(0, |meta| meta.len()),
        lost: 0,
        problems: Vec::new(),
        exit: Exit::Done,
        complete: false,
        damaged: 0,
        extent: Extent::of(&about.schema),
        lines: about.lines.iter().map(|name| (name.clone(), 0)).collect(),
        faults: 0,
        degraded: 0,
        metadata: about.metadata.clone(),
    };
    let read = file.read(|about, record| {
        let header = record.header();
        let segment = SegmentId { run: header.run, segment: header.segment };
        info.extent.add(segment, (header.event_id, header.event_id), 1);
        info.extent.add_time(header.time_ns);
        info.extent.add_payload(record.event().payload.len() as u64);
        info.faults += u64::from(header.fault != 0);
        info.degraded += u64::from(header.flags & record::DEGRADED != 0);
        for line in set_bits(record.kept()) {
            while info.lines.len() <= line {
                info.lines.push((line_name(about, info.lines.len()), 0));
            }
            info.lines[line].1 += 1;
        }
        true
    })?;
    info.complete = read.complete;
    info.damaged = read.damage.len() as u64;
    info.lost = read.lost;
    info.exit = read.exit();
    info.problems = read.damage;
    Ok(info)
}

/// The name of a line, or its number if the menu is lost.
fn line_name(about: &About, line: usize) -> String {
    about.lines.get(line).cloned().unwrap_or_else(|| format!("line[{line}]"))
}

fn stored_event(about: &About, record: &Record<'_>) -> ShownEvent {
    let header = record.header();
    let named = |bits: Vec<usize>| bits.into_iter().map(|line| line_name(about, line)).collect();
    let score_name = |k: usize| about.scores.get(k).cloned().unwrap_or_else(|| format!("score[{k}]"));
    let verdict = Verdict {
        passed: named(set_bits(record.passed())),
        kept: named(set_bits(record.kept())),
        scores: record.scores().enumerate().map(|(k, score)| (score_name(k), score)).collect(),
        rung: header.rung,
        engine: engine_name(header.engine),
        unit: VectorUnit::of_code(header.unit).map(VectorUnit::name),
        degraded: header.flags & record::DEGRADED != 0,
        fault: fault_name(header.fault),
        guilty_model: (header.fault != 0)
            .then(|| about.models.get(usize::from(header.guilty_model)).cloned())
            .flatten(),
        block: (about.stream == ERROR_STREAM).then(|| BlockPosition {
            index: header.block_index.into(),
            events: usize::from(header.block_last) + 1,
        }),
    };
    ShownEvent {
        event: header.event_id,
        run: header.run,
        segment: header.segment,
        time_ns: header.time_ns,
        source: header.source_id,
        payload_bytes: about.schema.payload().map(|_| record.event().payload.len()),
        verdict: Some(verdict),
        fields: fields(&about.schema, record.event().record),
        rooms: rooms(&about.schema),
    }
}

/// The word for a fault code of a record; `None` if the lines decided.
fn fault_name(code: u8) -> Option<&'static str> {
    use tamis_event::record::fault;
    match code {
        0 => None,
        fault::PANIC => Some(Errored::Panic.name()),
        fault::NAN => Some(Errored::NotFinite.name()),
        fault::DEADLINE => Some(Errored::Deadline.name()),
        fault::DEVICE => Some(Errored::Device.name()),
        fault::NOT_A_NUMBER => Some(Errored::NotANumber.name()),
        fault::REFUSED => Some(Errored::Refused.name()),
        _ => Some("unknown"),
    }
}

/// The word for an engine code of a record.
pub(crate) fn engine_name(code: u8) -> &'static str {
    match code {
        0 => "none",
        record::SEVERAL_ENGINES => "several",
        code => Engine::name_of(code).unwrap_or("unknown"),
    }
}

fn set_bits(words: impl Iterator<Item = u64>) -> Vec<usize> {
    let bits = |(k, word): (usize, u64)| {
        (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| k * 64 + bit)
    };
    words.enumerate().flat_map(bits).collect()
}

fn fields(schema: &Schema, record: &[u8]) -> Vec<(String, Vec<FieldNumber>)> {
    let values = |field: &tamis_event::Field| {
        (0..schema.elements_in(field, record)).map(|k| field.number(k, record)).collect()
    };
    schema.fields().iter().map(|field| (field.name.clone(), values(field))).collect()
}

fn rooms(schema: &Schema) -> Vec<usize> {
    schema.fields().iter().map(tamis_event::Field::elements).collect()
}

fn field_info(schema: &Schema, field: &tamis_event::Field) -> FieldInfo {
    let name = field.name.clone();
    let list = field.list.map(|list| schema.lists()[list].name().into());
    let unit = field.unit.clone();
    let doc = field.doc.clone();
    FieldInfo { name, dtype: field.dtype.name(), elements: field.elements(), list, unit, doc }
}
