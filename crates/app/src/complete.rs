//! Is a run complete? What its ledger says, against the files that are there.
//!
//! The files are looked for beside the ledger, by their names: a run can be moved with its folder. A run that ended in order has a final line,
//! and its files must hold what that says, to the event. Of a run that was killed everything must be there that the ledger called stored.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tamis_event::record::Record;
use tamis_part::is_being_written;
use tamis_store::{LEDGER, Reader, file_name};

use crate::exit::OrFail;
use crate::verify::{Verification, verify};
use crate::{Exit, Failure};

/// Run and segment.
type Place = (u64, u64);

/// Is this the ledger of a run?
pub fn is_ledger(path: &Path) -> bool {
    path.to_string_lossy().ends_with(LEDGER)
}

/// Checks a run by its ledger: the ledger itself first, then every file of the run.
pub fn verify_run(path: &Path) -> Result<Vec<(PathBuf, Verification)>, Failure> {
    let text = std::fs::read_to_string(path);
    let text =
        text.map_err(|error| format!("{}: cannot be read: {error}", path.display())).or_fail(Exit::Input)?;
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
        count(stream, said, &files, &mut run);
        for file in files {
            let found = verify(&file)?;
            checked.push((file, found));
        }
    }
    let others = others(folder, name, &said, &checked);
    others.iter().for_each(|other| run.damage(|| format!("{other} is not in the ledger")));
    checked.insert(0, (path.into(), run));
    Ok(checked)
}

/// What a ledger says.
#[derive(Debug, Default)]
struct Said {
    /// By stream, in the order of its names.
    streams: BTreeMap<String, SaidOfStream>,
}

#[derive(Debug, Default)]
struct SaidOfStream {
    /// What the files hold, if the run ended in order.
    last: Option<Last>,
    /// Most that was ever called stored.
    stored: u64,
    /// Events in all lines, and by segment and stretch of segments, where all of them are stored.
    events: u64,
    segments: BTreeMap<Place, u64>,
    stretches: Vec<(RangeInclusive<Place>, u64)>,
}

#[derive(Debug)]
struct Last {
    events: u64,
    bytes: u64,
    files: Vec<String>,
}

impl Said {
    /// Reads every line. What contradicts itself goes to `run`.
    fn read(text: &str, run: &mut Verification) -> Self {
        let mut said = Self::default();
        let (mut sums, mut last): (BTreeMap<&str, u64>, Option<Value>) = (BTreeMap::new(), None);
        for (number, line) in (1..).zip(text.lines()) {
            let line: Value = match serde_json::from_str(line) {
                Ok(line) => line,
                Err(error) => {
                    run.damage(|| format!("line {number} is no JSON: {error}"));
                    continue;
                }
            };
            if last.is_some() {
                run.damage(|| format!("line {number} stands after the final one"));
            }
            if line["final"] == true {
                last = Some(line);
                continue;
            }
            let is_one = line["from"].is_null();
            let (from, to) = if is_one { (&line, &line) } else { (&line["from"], &line["to"]) };
            let (from, to) = (place_at(from), place_at(to));
            for stream in items(&line["streams"]).chain(items(&line["storage"])) {
                let of = said.streams.entry(word_at(&stream["name"])).or_default();
                of.stored = of.stored.max(number_at(&stream["stored"]));
                let events = number_at(&stream["events"]);
                of.events += events;
                if stream["end"].as_u64().is_none_or(|end| end > number_at(&stream["stored"])) {
                    continue;
                }
                match is_one {
                    true => *of.segments.entry(from).or_default() += events,
                    false => of.stretches.push((from..=to, events)),
                }
            }
            for key in SUMMED {
                *sums.entry(key).or_default() += number_at(&line["ledger"][key]);
            }
        }
        match &last {
            None => run.damage(|| "there is no final line: the run did not end in order".into()),
            Some(last) => {
                for (key, sum) in sums {
                    let total = number_at(&last["ledger"][key]);
                    if sum != total {
                        run.damage(|| format!("{key}: the segments have {sum}, the run has {total}"));
                    }
                }
                for stream in items(&last["streams"]) {
                    let files = items(&stream["files"]).map(file_name_of).collect();
                    let [events, failed, bytes] =
                        ["events", "failed", "bytes"].map(|key| number_at(&stream[key]));
                    let name = word_at(&stream["name"]);
                    let of = said.streams.entry(name.clone()).or_default();
                    if of.events != events + failed {
                        let given = of.events;
                        run.damage(|| {
                            format!(
                                "stream {name}: the segments have {given}, the run has {}",
                                events + failed
                            )
                        });
                    }
                    of.last = Some(Last { events, bytes, files });
                }
            }
        }
        said
    }
}

/// What the segments of a run have in common with it.
const SUMMED: [&str; 3] = ["received", "accepted", "rejected"];

/// The files of a stream that are there, in order. Those that are not go to `run`.
fn files(
    folder: &Path,
    name: &str,
    stream: &str,
    said: &SaidOfStream,
    run: &mut Verification,
) -> Vec<PathBuf> {
    let there = |number: u32| folder.join(file_name(name, stream, number));
    let unfinished = |path: &Path| PathBuf::from(format!("{}.part", path.display()));
    let mut files = Vec::new();
    let Some(last) = &said.last else {
        // Nobody said how many there are: up to the first that is not there.
        for path in (1..).map(there) {
            match (path.exists(), unfinished(&path)) {
                (true, _) => files.push(path),
                (false, part) if part.exists() => {
                    run.damage(|| {
                        format!(
                            "{} was never closed: `tamis recover` makes a whole file of it",
                            part.display()
                        )
                    });
                    files.push(part);
                    break;
                }
                _ => break,
            }
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
    files
}

/// Compares what the files of a stream hold with what was said of it.
fn count(stream: &str, said: &SaidOfStream, files: &[PathBuf], run: &mut Verification) {
    let (mut found, mut bytes, mut next) = (BTreeMap::<Place, u64>::new(), 0, 0_u32);
    for file in files {
        bytes += std::fs::metadata(file).map_or(0, |file| file.len());
        let Ok(mut reader) = Reader::open(file) else { continue };
        loop {
            let entry = match reader.next_record() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                // What is damaged is told with the file.
                Err(tamis_store::ReadError::Damaged { .. }) => continue,
                Err(_) => break,
            };
            if entry.sequence != next {
                let missing = entry.sequence.wrapping_sub(next);
                run.damage(|| {
                    format!(
                        "stream {stream}: {missing} events are missing before number {} in {}",
                        entry.sequence,
                        file.display()
                    )
                });
            }
            next = entry.sequence.wrapping_add(1);
            if let Ok(record) = Record::parse(entry.record) {
                *found.entry((record.header().run.into(), record.header().segment.into())).or_default() += 1;
            }
        }
    }
    let events: u64 = found.values().sum();
    run.events += events;
    match &said.last {
        Some(last) if last.events != events => {
            run.damage(|| format!("stream {stream}: {events} of {} events are there", last.events));
        }
        Some(last) if last.bytes != bytes => {
            run.damage(|| {
                format!("stream {stream}: its files have {bytes} bytes, the ledger says {}", last.bytes)
            });
        }
        None if events < said.stored => {
            run.damage(|| {
                format!("stream {stream}: {events} events are there, {} were called stored", said.stored)
            });
        }
        _ => {}
    }
    by_segment(stream, said, &found, run);
}

/// Compares the segments of a stream with what was said of them.
fn by_segment(stream: &str, said: &SaidOfStream, found: &BTreeMap<Place, u64>, run: &mut Verification) {
    // A segment may have more than its lines say: in a killed run its next line was not due yet, and some may be in the line of a stretch.
    let may_have_more = said.last.is_none() || !said.stretches.is_empty();
    for (&(number, segment), &stored) in &said.segments {
        let there = found.get(&(number, segment)).copied().unwrap_or(0);
        if there < stored || (there > stored && !may_have_more) {
            run.damage(|| {
                format!("stream {stream}, run {number}, segment {segment}: {there} events are there, the ledger has {stored}")
            });
        }
    }
    let mut sums = vec![0];
    sums.extend(found.values().scan(0, |sum, events| {
        *sum += events;
        Some(*sum)
    }));
    let places: Vec<Place> = found.keys().copied().collect();
    for (stretch, stored) in &said.stretches {
        let (from, to) = (stretch.start(), stretch.end());
        let first = places.partition_point(|place| place < from);
        let end = places.partition_point(|place| place <= to);
        let there = sums[end].saturating_sub(sums[first]);
        if there < *stored {
            run.damage(|| {
                format!(
                    "stream {stream}, run {}, segment {} to run {}, segment {}: {there} events are there, the ledger has {stored}",
                    from.0, from.1, to.0, to.1
                )
            });
        }
    }
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

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn place_at(value: &Value) -> Place {
    (number_at(&value["run"]), number_at(&value["segment"]))
}

fn number_at(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn word_at(value: &Value) -> String {
    value.as_str().unwrap_or_default().into()
}

fn file_name_of(path: &Value) -> String {
    let path = word_at(path);
    path.rsplit('/').next().unwrap_or_default().into()
}
