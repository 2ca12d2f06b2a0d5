//! Is a run complete? Compares its ledger with the files that are there.
//!
//! The files are searched beside the ledger, by their names, so a run can be moved with its folder. A run that ended in order has a final line, and its
//! files must hold exactly the events that the line names. After a run was killed, everything that the ledger called stored must be there.
//! `complete/sums.rs` checks whether the ledger agrees with itself.

mod said;
mod sums;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tamis_event::SegmentId;
use tamis_event::record::{Record, RecordHeader};
use tamis_menu::Menu;
use tamis_part::is_being_written;
use tamis_store::{LEDGER, Reader, file_name};

use crate::exit::OrFail;
use crate::verify::{Verification, Verifier};
use crate::{Exit, Failure};
use said::{Said, SaidOfStream};

/// Is this the ledger of a run?
pub fn is_ledger(path: &Path) -> bool {
    path.to_string_lossy().ends_with(LEDGER)
}

impl Verifier {
    /// Checks a run by its ledger: the ledger itself first, then every file of the run.
    pub fn verify_run(&mut self, path: &Path) -> Result<Vec<(PathBuf, Verification)>, Failure> {
        let bytes = std::fs::read(path)
            .map_err(|error| format!("{}: cannot be read: {error}", path.display()))
            .or_fail(Exit::Input)?;
        // Damage may have made other bytes than text; the checksum of the line shows it.
        let text = String::from_utf8_lossy(&bytes);
        let mut run = Verification::default();
        if is_being_written(path).unwrap_or(false) {
            run.damage(|| "a run is still writing this ledger".into());
        }
        let said = Said::read(&text, &mut run);
        let folder = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(LEDGER).unwrap_or_default();
        let mut checked = Vec::new();
        for (stream, said) in &said.streams {
            let files = files(folder, name, stream, said, &mut run);
            StreamContents::in_files(stream, &files, &mut run).compare(stream, said, &mut run);
            for file in files {
                let found = self.verify(&file).unwrap_or_else(|failure| {
                    let mut unreadable = Verification::default();
                    unreadable.damage(|| failure.message);
                    unreadable
                });
                checked.push((file, found));
            }
        }
        let others = others(folder, name, &said, &checked);
        others.iter().for_each(|other| run.damage(|| format!("{other} is not in the ledger")));
        prescales(&said, &checked, &mut run);
        // The only things wrong are those that a kill leaves: no final line, and files that were never closed.
        let unclosed = checked.iter().filter(|(file, _)| is_part(file)).count() as u64;
        if !said.has_ended && run.damaged == 1 + unclosed {
            let of = |count: fn(&SaidOfStream) -> u64| said.streams.values().map(count).sum::<u64>();
            let stored = of(|stream| stream.stored);
            let durable = of(|stream| stream.durable);
            run.notes.push(format!(
                "all that the ledger called stored is there: {stored} records in the streams, {durable} of them called durable"
            ));
        }
        checked.insert(0, (path.into(), run));
        Ok(checked)
    }
}

/// Compares the prescales of the final line with the menu that the files carry.
fn prescales(said: &Said, checked: &[(PathBuf, Verification)], run: &mut Verification) {
    let menu = checked.iter().find_map(|(file, _)| {
        let reader = Reader::open(file).ok()?;
        Menu::parse(reader.menu_text()?, "").ok()
    });
    let Some(menu) = menu.filter(|_| said.has_ended) else { return };
    let prescales = menu.prescales().map(|(line, prescale)| (line.to_owned(), prescale)).collect();
    if said.prescales != prescales {
        run.damage(|| "the lines and prescales are not those of the menu that the files carry".into());
    }
}

/// The files of a stream that are there, in order. Missing ones become findings of `run`.
fn files(
    folder: &Path,
    name: &str,
    stream: &str,
    said: &SaidOfStream,
    run: &mut Verification,
) -> Vec<PathBuf> {
    let there = |number: u32| folder.join(file_name(name, stream, number));
    let mut files = Vec::new();
    let Some(last) = &said.last else {
        // The ledger does not say how many there are: up to the first that is missing.
        let mut number = 1;
        while add(&there(number), &mut files, run) {
            number += 1;
        }
        return files;
    };
    for (number, listed) in (1..).zip(&last.files) {
        let path = there(number);
        if Some(listed.as_str()) != path.file_name().and_then(|name| name.to_str()) {
            run.damage(|| format!("stream {stream}: {listed} is listed where {} should be", path.display()));
        }
        let path = folder.join(listed);
        match path.exists() {
            true => files.push(path),
            false => run.damage(|| format!("{} is missing", path.display())),
        }
    }
    // Where storage failed, the last file was not closed, and is not listed.
    if last.failed > 0 {
        add(&there(last.files.len() as u32 + 1), &mut files, run);
    }
    files
}

fn is_part(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "part")
}

/// Adds a file, or its part under the name of an unfinished file. Is it whole?
fn add(path: &Path, files: &mut Vec<PathBuf>, run: &mut Verification) -> bool {
    let part = PathBuf::from(format!("{}.part", path.display()));
    let is_whole = path.exists();
    if is_whole {
        files.push(path.into());
    } else if part.exists() {
        run.damage(|| {
            format!("{} was never closed: `tamis recover` makes a whole file of it", part.display())
        });
        files.push(part);
    }
    is_whole
}

/// What the files of a stream hold.
#[derive(Debug, Default)]
struct StreamContents {
    bytes: u64,
    /// Events, and the number in the stream behind the last of them, by segment.
    segments: BTreeMap<SegmentId, (u64, u64)>,
}

impl StreamContents {
    fn in_files(stream: &str, files: &[PathBuf], run: &mut Verification) -> Self {
        let mut found = Self::default();
        let mut next: u64 = 0;
        let mut is_in_order = true;
        for file in files {
            found.bytes += std::fs::metadata(file).map_or(0, |file| file.len());
            let Ok(mut reader) = Reader::open(file) else { continue };
            if let Some(own) = own_name(&reader).filter(|own| !is_named(file, own)) {
                is_in_order = false;
                run.damage(|| format!("stream {stream}: {} was written as {own}", file.display()));
            }
            let mut is_first = true;
            loop {
                let entry = match reader.next_record() {
                    Ok(Some(entry)) => entry,
                    // Damage is reported with the file.
                    Err(tamis_store::ReadError::Damaged { .. }) => continue,
                    Ok(None) | Err(_) => break,
                };
                // Numbers have 32 bits: the nearest one that ends so.
                let jump = entry.sequence.wrapping_sub(next as u32).cast_signed();
                if jump != 0 && (is_in_order || !is_first) {
                    let place = format!("before number {} in {}", entry.sequence, file.display());
                    run.damage(|| match jump {
                        1.. => format!("stream {stream}: {jump} events are missing {place}"),
                        _ => format!("stream {stream}: later events stand {place}"),
                    });
                }
                next = next.wrapping_add_signed(i64::from(jump)) + 1;
                is_first = false;
                if let Ok(record) = Record::parse(entry.record) {
                    let &RecordHeader { run, segment, .. } = record.header();
                    found.add(SegmentId { run, segment }, next);
                }
            }
        }
        found
    }

    fn add(&mut self, segment: SegmentId, end: u64) {
        let (events, last) = self.segments.entry(segment).or_default();
        *events += 1;
        *last = end.max(*last);
    }

    /// Compares it with what was said.
    fn compare(&self, stream: &str, said: &SaidOfStream, run: &mut Verification) {
        let events: u64 = self.segments.values().map(|(events, _)| events).sum();
        run.events += events;
        match &said.last {
            Some(last) => {
                if last.events != events {
                    run.damage(|| format!("stream {stream}: {events} of {} events are there", last.events));
                }
                if last.bytes != self.bytes && last.failed == 0 {
                    let bytes = self.bytes;
                    run.damage(|| {
                        format!(
                            "stream {stream}: its files have {bytes} bytes, the ledger says {}",
                            last.bytes
                        )
                    });
                }
            }
            None if events < said.stored => {
                run.damage(|| {
                    format!("stream {stream}: {events} events are there, {} were called stored", said.stored)
                });
            }
            None => {}
        }
        self.by_segment(stream, said, run);
        self.by_stretch(stream, said, run);
    }

    /// Compares the segments that have lines of their own.
    fn by_segment(&self, stream: &str, said: &SaidOfStream, run: &mut Verification) {
        let mut claimed = BTreeMap::<SegmentId, (u64, u64)>::new();
        let is_one = |claim: &&said::StoredClaim| claim.segments.start() == claim.segments.end();
        for claim in said.claims.iter().filter(is_one) {
            let (events, end) = claimed.entry(*claim.segments.start()).or_default();
            *events += claim.events;
            *end = claim.end.max(*end);
        }
        // A segment may have more than its lines say: in a killed run its next line was not due yet, and some may be in the line of a stretch.
        let may_have_more = said.last.is_none() || !said.claims.iter().all(|claim| is_one(&claim));
        for (segment, (events, end)) in claimed {
            let (there, last) = self.segments.get(&segment).copied().unwrap_or_default();
            let place = format!("stream {stream}, {segment}");
            if there < events || (there > events && !may_have_more) {
                run.damage(|| format!("{place}: {there} events are there, the ledger has {events}"));
            }
            if last > end && !may_have_more {
                run.damage(|| format!("{place}: its last event is number {last} of the stream, the ledger says {end} at most"));
            }
        }
    }

    /// Compares the lines that several segments share.
    fn by_stretch(&self, stream: &str, said: &SaidOfStream, run: &mut Verification) {
        let mut sums = vec![0];
        sums.extend(self.segments.values().scan(0, |sum, (events, _)| {
            *sum += events;
            Some(*sum)
        }));
        let ids: Vec<SegmentId> = self.segments.keys().copied().collect();
        for said::StoredClaim { segments, events, .. } in &said.claims {
            let (from, to) = (segments.start(), segments.end());
            let first = ids.partition_point(|id| id < from);
            let behind = ids.partition_point(|id| id <= to);
            let there = sums[behind].saturating_sub(sums[first]);
            if from != to && there < *events {
                run.damage(|| {
                    format!(
                        "stream {stream}, {from} to {to}: {there} events are there, the ledger has {events}"
                    )
                });
            }
        }
    }
}

/// The name under which a file was written, as far as it says.
fn own_name(reader: &Reader) -> Option<String> {
    let about = reader.metadata();
    let number = about.get("file")?.parse().ok()?;
    Some(file_name(about.get("run_name")?, about.get("stream")?, number))
}

fn is_named(path: &Path, name: &str) -> bool {
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    own.trim_end_matches(".part") == name
}

/// Files of the run that nobody listed.
fn others(folder: &Path, name: &str, said: &Said, known: &[(PathBuf, Verification)]) -> BTreeSet<String> {
    let known: BTreeSet<_> = known.iter().filter_map(|(path, _)| path.file_name()).collect();
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let entries = entries.filter(|entry| !known.contains(entry.as_os_str()));
    let entries = entries.map(|entry| entry.to_string_lossy().into_owned());
    let is_own = |entry: &String| {
        let of = |stream: &String| {
            let rest = entry.strip_prefix(&format!("{name}-{stream}-")).unwrap_or_default();
            let number = rest.strip_suffix(".mcap").or(rest.strip_suffix(".mcap.part")).unwrap_or_default();
            // What was recovered stands beside its part.
            let is_recovered =
                rest.ends_with(".part") && folder.join(entry.trim_end_matches(".part")).exists();
            !number.is_empty() && number.bytes().all(|b| b.is_ascii_alphanumeric()) && !is_recovered
        };
        said.streams.keys().any(of)
    };
    entries.filter(is_own).collect()
}
