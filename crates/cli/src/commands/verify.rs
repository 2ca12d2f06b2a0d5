//! `tamis verify`: every checksum, and every decision made again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;
use tamis_app::{Exit, Failure, Verification, Verifier};

use super::{Group, Run};
use crate::figures::{counted, grouped};
use crate::output::{Document, print, print_json, say};
use crate::table::TextTable;

/// Check files: every checksum, and every decision made again
///
/// A stored file carries its menu and models; each event is decided again with them and must come out the same, bit for bit. For a recording, frames
/// and checksums are checked. For the ledger of a run, tamis checks that the run is complete: its files are there, with the events that the ledger
/// names by stream and segment, and each file is checked. Any difference or damage ends in exit code 76. The last bits of scores of the engines flex
/// and gpu depend on the machine: scores from another machine may differ here within the tolerance of the bundle. That is counted as "other bits" and
/// is no difference; an event that a cut then decides differently is counted as "flipped" and is one. An event that was late is decided as a late
/// event. An event that was scored on an engine that is not here is not decided again; it is counted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stored events (.mcap), recordings (.tmf, .tmf.zst), or the ledger of a run (.ledger.jsonl)
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Verified {
    files: Vec<File>,
    /// Why other files could not be looked at.
    problems: Vec<String>,
    exit: u8,
}

#[derive(Debug, Serialize)]
struct File {
    file: String,
    #[serde(flatten)]
    found: Verification,
}

impl Run for Args {
    const NAME: &'static str = "verify";
    const GROUP: Group = Group::Files;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("verify out/l1-mixed-physics-0001.mcap out/l1-mixed-monitor-0001.mcap", "both streams of a run"),
        ("verify out/l1-mixed.ledger.jsonl", "a whole run: is everything there?"),
        ("verify l1-mixed.tmf.zst --json", "a recording, for a program"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let mut files = Vec::new();
        let mut unusable = Vec::new();
        let mut verifier = Verifier::default();
        // A ledger verifies the files of its run, which are not verified again.
        let (ledgers, others): (Vec<_>, Vec<_>) =
            self.files.iter().partition(|path| tamis_app::is_ledger(path));
        let mut seen = BTreeSet::new();
        for path in ledgers.into_iter().chain(others) {
            if path.canonicalize().is_ok_and(|path| seen.contains(&path)) {
                continue;
            }
            let found = if tamis_app::is_ledger(path) {
                verifier.verify_run(path)
            } else {
                verifier.verify(path).map(|found| vec![(path.clone(), found)])
            };
            match found {
                Ok(found) => {
                    seen.extend(found.iter().filter_map(|(path, _)| path.canonicalize().ok()));
                    files.extend(
                        found
                            .into_iter()
                            .map(|(path, found)| File { file: path.display().to_string(), found }),
                    );
                }
                Err(failure) => unusable.push(failure),
            }
        }
        let passed = files.iter().all(|file| file.found.exit() == Exit::Done);
        // A file that cannot be examined weighs more than one that fails a check.
        let exit =
            unusable.first().map_or(if passed { Exit::Done } else { Exit::Gate }, |failure| failure.exit);
        let problems = unusable.iter().map(|failure| failure.message.clone()).collect();
        let verified = Verified { files, problems, exit: exit.code() };
        if self.json {
            print_json(&Document::new(&verified))?;
        } else if !verified.files.is_empty() {
            print(&render(&verified.files))?;
        }
        for File { file, found } in &verified.files {
            found.notes.iter().for_each(|note| say(format_args!("{file}: {note}")));
            found.findings.iter().for_each(|finding| say(format_args!("{file}: {finding}")));
            let silent =
                (found.damaged + found.different + found.flipped).saturating_sub(found.findings.len() as u64);
            if silent > 0 {
                say(format_args!("{file}: and {}", counted(silent, "more finding")));
            }
        }
        unusable.iter().for_each(say);
        Ok(exit)
    }
}

fn render(files: &[File]) -> String {
    let mut table = TextTable::default().left("Verdict").right("events").right("reproduced");
    let is_partial = files.iter().any(|file| file.found.unchecked > 0);
    let has_other_bits = files.iter().any(|file| file.found.other_bits + file.found.flipped > 0);
    if has_other_bits {
        table = table.right("other\nbits").right("flipped");
    }
    if is_partial {
        table = table.right("unchecked");
    }
    table = table.right("different").right("damaged").left("file");
    for File { file, found } in files {
        let verdict = match found.exit() {
            Exit::Done if found.unchecked > 0 => "in part",
            Exit::Done => "good",
            _ if found.different + found.damaged == 0 => "flips",
            _ => "BAD",
        };
        let elsewhere = has_other_bits.then_some([found.other_bits, found.flipped]);
        let decided = found.reproduced + found.other_bits + found.flipped + found.unchecked + found.different;
        // In a recording and a ledger there are no decisions to be made again.
        let reproduced =
            if decided == 0 && found.events > 0 { "-".into() } else { grouped(found.reproduced) };
        let counts = elsewhere.into_iter().flatten().chain(is_partial.then_some(found.unchecked));
        let counts = counts.chain([found.different, found.damaged]).map(grouped);
        let first = [verdict.to_string(), grouped(found.events), reproduced];
        table.row(first.into_iter().chain(counts).chain([file.clone()]));
    }
    table.render()
}
