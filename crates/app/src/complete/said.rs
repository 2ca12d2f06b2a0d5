//! What the ledger file of a run says about its streams; `sums.rs` has what it says about its counters.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;
use tamis_event::SegmentId;

use super::sums::Sums;
use crate::DOCUMENT_VERSION;
use crate::sealed::is_sealed;
use crate::verify::Verification;

/// What a ledger says.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// What it says about each stream, in the order of their names.
    pub(super) streams: BTreeMap<String, SaidOfStream>,
    /// The prescales of the final line, by line of the menu.
    pub(super) prescales: BTreeMap<String, u64>,
    /// Did the run end in order?
    pub(super) has_ended: bool,
}

#[derive(Debug, Default)]
pub(super) struct SaidOfStream {
    /// What the files hold, if the run ended in order.
    pub(super) last: Option<Last>,
    /// The most events that were ever called stored, and durable.
    pub(super) stored: u64,
    pub(super) durable: u64,
    /// Events in all lines.
    events: u64,
    /// Did a line have anything before it was stored?
    is_ahead: bool,
    /// What the files must hold by segment and stretch of segments.
    pub(super) claims: Vec<StoredClaim>,
}

/// Events of a segment, or of a stretch of segments, that are stored.
#[derive(Debug)]
pub(super) struct StoredClaim {
    pub(super) segments: RangeInclusive<SegmentId>,
    pub(super) events: u64,
    /// Events of the stream up to the end of the batch that had the last of these.
    pub(super) end: u64,
}

/// What the final line says of a stream.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) events: u64,
    pub(super) failed: u64,
    pub(super) bytes: u64,
    pub(super) files: Vec<String>,
}

impl Said {
    /// Reads every line. Contradictions become findings of `run`.
    pub(super) fn read(text: &str, run: &mut Verification) -> Self {
        let mut said = Self::default();
        let mut sums = Sums::default();
        // Every line has the same version: one sentence is enough.
        let mut of_others: Option<Value> = None;
        let lines = text.lines().count() as u64;
        let is_cut = !text.ends_with('\n');
        for (number, text) in (1_u64..).zip(text.lines()) {
            let line: Value = match serde_json::from_str(text) {
                Ok(line) => line,
                Err(_) if number == lines && is_cut => {
                    run.notes.push("the last line was not written to its end".into());
                    continue;
                }
                Err(error) => {
                    run.damage(|| format!("line {number} is no JSON: {error}"));
                    continue;
                }
            };
            if !is_sealed(text) {
                run.damage(|| format!("line {number} was changed: it has another checksum than it says"));
            }
            if said.has_ended {
                run.damage(|| format!("line {number} stands after the final one"));
            }
            let version = &line["schema"];
            if version.as_u64() != Some(DOCUMENT_VERSION.into()) && of_others.as_ref() != Some(version) {
                run.damage(|| {
                    format!("line {number} is a document of version {version}, this program writes {DOCUMENT_VERSION}")
                });
                of_others = Some(version.clone());
            }
            if line["final"] == true {
                said.has_ended = true;
                said.end(&line, run);
                sums.compare(&line, run);
                continue;
            }
            for stream in items(&line["streams"]).chain(items(&line["storage"])) {
                said.progress(number, stream, run);
            }
            if line["storage"].is_null() {
                said.claim(number, &line, run);
                sums.add(number, &line, run);
            }
        }
        // What storage lost is in a line without being stored, and nothing else.
        let ahead = said
            .streams
            .iter()
            .filter(|(_, of)| of.is_ahead && of.last.as_ref().is_none_or(|last| last.failed == 0));
        ahead.for_each(|(name, _)| {
            run.damage(|| format!("stream {name}: a line has events that were not stored then"));
        });
        if !said.has_ended {
            run.damage(|| "there is no final line: the run did not end in order".into());
        }
        said
    }

    /// How far a stream was stored when a line was written: never less than before.
    fn progress(&mut self, number: u64, stream: &Value, run: &mut Verification) {
        let name = word_at(&stream["name"]);
        let of = self.streams.entry(name.clone()).or_default();
        let stored = count_at(&stream["stored"]);
        let durable = count_at(&stream["durable"]);
        if stored < of.stored || durable < of.durable {
            run.damage(|| format!("line {number}: stream {name} had more stored or durable before"));
        }
        if durable > stored {
            run.damage(|| format!("line {number}: of stream {name} more is durable than stored"));
        }
        of.stored = of.stored.max(stored);
        of.durable = of.durable.max(durable);
    }

    /// What a line says about the events that the streams were given.
    fn claim(&mut self, number: u64, line: &Value, run: &mut Verification) {
        let is_one = line["from"].is_null();
        let (from, to) = if is_one { (line, line) } else { (&line["from"], &line["to"]) };
        for stream in items(&line["streams"]) {
            let of = self.streams.entry(word_at(&stream["name"])).or_default();
            let events = count_at(&stream["events"]);
            let end = count_at(&stream["end"]);
            of.events += events;
            if events > end {
                let name = &stream["name"];
                run.damage(|| {
                    format!("line {number}: {events} events of stream {name}, which had {end} by then")
                });
            }
            if end <= count_at(&stream["stored"]) {
                of.claims.push(StoredClaim { segments: segment_at(from)..=segment_at(to), events, end });
            } else {
                of.is_ahead = true;
            }
        }
    }

    /// What the final line says of the streams, against the lines before.
    fn end(&mut self, last: &Value, run: &mut Verification) {
        for line in items(&last["lines"]) {
            self.prescales.insert(word_at(&line["name"]), count_at(&line["prescale"]));
        }
        for stream in items(&last["streams"]) {
            let name = word_at(&stream["name"]);
            let of = self.streams.entry(name.clone()).or_default();
            let events = count_at(&stream["events"]);
            let failed = count_at(&stream["failed"]);
            let durable = count_at(&stream["durable"]);
            let mut differ = |what: &str, before: u64, now: u64| {
                if before != now {
                    run.damage(|| format!("stream {name}: {what} {before}, the run has {now}"));
                }
            };
            differ("the segments have", of.events, events + failed);
            // Files that others removed or changed count as lost, whatever was said of them before.
            if failed == 0 {
                differ("the lines before say that so many are durable:", of.durable, durable);
                if of.stored > events {
                    differ("the lines before say that so many are stored:", of.stored, events);
                }
            }
            let files = items(&stream["files"]).map(file_name_of).collect();
            of.last = Some(Last { events, failed, bytes: count_at(&stream["bytes"]), files });
        }
        let unnamed = self.streams.iter().filter(|(_, of)| of.last.is_none());
        unnamed.for_each(|(name, _)| run.damage(|| format!("stream {name} is not in the final line")));
    }
}

pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn segment_at(value: &Value) -> SegmentId {
    let number = |key: &str| u32::try_from(count_at(&value[key])).unwrap_or(u32::MAX);
    SegmentId { run: number("run"), segment: number("segment") }
}

pub(super) fn count_at(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

pub(super) fn word_at(value: &Value) -> String {
    value.as_str().unwrap_or_default().into()
}

fn file_name_of(path: &Value) -> String {
    let path = word_at(path);
    path.rsplit('/').next().unwrap_or_default().into()
}
