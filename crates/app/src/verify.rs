//! Checking stored files: every checksum, and every decision made again.

use std::path::Path;

use serde::Serialize;
use tamis_event::Block;
use tamis_pipeline::Entry;

use crate::exit::OrFail;
use crate::frames::{Frame, Frames};
use crate::inspect::{block_of, is_mcap};
use crate::stored::StoredFile;
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
    /// Events whose decision came out differently.
    pub different: u64,
    /// Frames, chunks or records that are damaged.
    pub damaged: u64,
    /// The first findings, one sentence each.
    pub findings: Vec<String>,
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
    let mut judge = file.about.rules.judge(1);
    let streams = file.about.rules.compiled.streams();
    // The error stream comes after those of the menu.
    let own = streams.iter().position(|stream| stream.name == file.about.stream).unwrap_or(streams.len());
    let own_stream = 1 << own;
    let mut block = Block::new(file.about.schema.record_len());
    let (mut again, mut entries): (Vec<u8>, Vec<Entry>) = (Vec::new(), Vec::new());
    // What is damaged was told by the check of the structure.
    file.read(|about, record| {
        verification.events += 1;
        let id = record.header().event_id;
        let (bytes, expected) = (record.event().len(), about.schema.record_len());
        if bytes != expected {
            verification.damage(|| format!("event {id}: {bytes} bytes instead of {expected}"));
            return true;
        }
        block_of(&record, &mut block);
        again.clear();
        entries.clear();
        judge.decide(&block);
        judge.keep(&block, &mut again, &mut entries);
        if entries.is_empty() {
            verification.different += 1;
            verification.tell(|| format!("event {id}: stored, but no line keeps it"));
        } else if entries[0].streams & own_stream == 0 {
            verification.different += 1;
            verification.tell(|| format!("event {id}: belongs to another stream"));
        } else if again != record.bytes() {
            verification.different += 1;
            verification.tell(|| {
                format!(
                    "event {id}: the decision comes out differently: {}",
                    difference(record.bytes(), &again)
                )
            });
        } else {
            verification.reproduced += 1;
        }
        true
    })?;
    Ok(())
}

/// The first thing in which two records of one event differ.
fn difference(stored: &[u8], again: &[u8]) -> String {
    use tamis_event::record::Record;
    let (Ok(stored), Ok(again)) = (Record::parse(stored), Record::parse(again)) else {
        return "the records have different forms".into();
    };
    let (a, b) = (stored.header(), again.header());
    if a.menu_hash != b.menu_hash {
        return format!("menu {:016x} stored, {:016x} attached", a.menu_hash, b.menu_hash);
    }
    if a.model_hash != b.model_hash {
        return format!("models {:016x} stored, {:016x} attached", a.model_hash, b.model_hash);
    }
    if a.fault != b.fault {
        return format!("fault {} stored, {} now", a.fault, b.fault);
    }
    if let Some((k, (old, new))) =
        stored.scores().zip(again.scores()).enumerate().find(|(_, (a, b))| a.to_bits() != b.to_bits())
    {
        return format!("score {k} is {old} stored, {new} now");
    }
    if !stored.passed().eq(again.passed()) || !stored.kept().eq(again.kept()) {
        return "other lines keep it".into();
    }
    "the header differs".into()
}
