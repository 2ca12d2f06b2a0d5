//! Checks stored files: every checksum, and every decision, which is made again (`verify/decisions.rs`).

mod decisions;
mod judges;

use std::path::Path;

use serde::Serialize;
use tamis_ledger::Cause;
use tamis_source::OpenError;

use crate::exit::OrFail;
use crate::frames::{Frame, Frames, unopened};
use crate::inspect::is_mcap;
use crate::stored::{LastRules, StoredFile};
use crate::{Exit, Failure};
use decisions::decisions;
use judges::BoundElsewhere;

/// Differences that are reported one by one; further ones are only counted.
const TOLD_MAX: usize = 20;

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    /// Events that were checked.
    pub events: u64,
    /// Events whose decision came out the same, bit for bit; none in a recording.
    pub reproduced: u64,
    /// Events whose decision came out the same from scores with other last bits, as an engine gives them on another CPU or device.
    pub other_bits: u64,
    /// Events that are decided differently here because such scores lie on both sides of a cut.
    pub flipped: u64,
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
    /// [`Exit::Done`] if every decision that could be made again is the same, else [`Exit::Gate`].
    pub fn exit(&self) -> Exit {
        if self.different + self.flipped + self.damaged == 0 { Exit::Done } else { Exit::Gate }
    }

    fn tell(&mut self, finding: impl FnOnce() -> String) {
        if self.findings.len() < TOLD_MAX {
            self.findings.push(finding());
        }
    }

    pub(crate) fn damage(&mut self, finding: impl FnOnce() -> String) {
        self.damaged += 1;
        self.tell(finding);
    }
}

/// Checks one file after another. Consecutive files that carry the same menu and models, like those of a run, load the models once.
#[derive(Debug, Default)]
pub struct Verifier {
    last: LastRules,
    elsewhere: BoundElsewhere,
}

impl Verifier {
    /// Checks a file of stored records (structure, checksums, decisions) or a recording (frames and checksums).
    pub fn verify(&mut self, path: &Path) -> Result<Verification, Failure> {
        let mut verification = Verification::default();
        if !is_mcap(path)? {
            recording(path, &mut verification)?;
            return Ok(verification);
        }
        let check = tamis_store::check(path).or_fail(Exit::Input)?;
        check.problems.iter().for_each(|problem| verification.tell(|| problem.to_string()));
        verification.damaged = check.problem_count;
        match StoredFile::open_next(path, &mut self.last) {
            Ok(file) => decisions(file, &mut self.elsewhere, &mut verification)?,
            // Damage to what the file carries was found already: a finding, and the gate is not met.
            Err(failure) if verification.damaged > 0 => verification.tell(|| failure.message),
            Err(failure) => return Err(failure),
        }
        Ok(verification)
    }
}

fn recording(path: &Path, verification: &mut Verification) -> Result<(), Failure> {
    let mut frames = match tamis_source::open(path, 1) {
        Ok(recording) => Frames::of(recording),
        Err(error @ OpenError::Damaged { .. }) if path != Path::new("-") => {
            verification.damage(|| error.to_string());
            return Ok(());
        }
        Err(error) => return Err(unopened(error)),
    };
    let mut at = 0;
    while let Some(frame) = frames.next()? {
        match &frame {
            Frame::Events { header, .. } => verification.events += u64::from(header.n_events),
            Frame::Lost { cause, .. } => {
                verification.damage(|| format!("byte {at}: a lost frame, cause {}", cause.name()));
            }
            Frame::Other { .. } => {}
        }
        at += frame.bytes();
    }
    Ok(())
}
