//! `RUN.ledger.jsonl`: the books of every segment, how far storage is, and the whole run.
//!
//! ```text
//!   {"run":1,"segment":3,"ledger":{..},"lines":[..],"streams":[{"name":"physics","events":12,"end":340,"stored":352,"durable":300}]}
//!   {"storage":[{"name":"physics","stored":400,"durable":400}, ..]}                  now and then, when more has become durable
//!   {"final":true, ..the report.. }
//! ```
//!
//! * I1: a segment has its line when all that it gave to the streams is stored, so that the ledger of a killed run says no more than its files hold.
//!   `stored` survives the end of the process, `durable` a loss of power; both count the records of a stream from its first on, so that all of a
//!   segment is durable when `durable` has reached its `end`.
//! * I2: only what storage lost is in a line without being stored: it is written when the run ends, and says so.
//! * I3: a segment of which frames come when its books were closed already, because others had begun, gets a further line; lines of one run and segment add up.
//!
//! Lines are in the order in which segments were stored. At most [`WAITING_MAX`] wait; beyond that the oldest is written as it is, and its `stored`
//! says that it is ahead.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tamis_ledger::LineTally;
use tamis_menu::CompiledMenu;
use tamis_part::LogFile;
use tamis_pipeline::SegmentBooks;
use tamis_store::{Claim, LEDGER, StreamProgress};

use crate::{DOCUMENT_VERSION, Exit, Ledger, Report};

/// Segments that wait until they are stored.
const WAITING_MAX: usize = 4096;
/// How often it is told what has become durable, at most.
const STORAGE_EVERY: Duration = Duration::from_secs(1);

/// An open ledger file. A failure to write is kept until the end: the books are in the report as well.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: LogFile,
    menu: Arc<CompiledMenu>,
    streams: Vec<(String, Arc<StreamProgress>)>,
    waiting: VecDeque<SegmentBooks>,
    /// What was stored of each stream when the waiting ones were looked at last.
    looked: Vec<u64>,
    /// What was told of each stream, and when.
    told: (Vec<Stored>, Instant),
    error: Option<std::io::Error>,
}

/// How far a stream is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Stored {
    stored: u64,
    durable: u64,
}

impl Stored {
    fn of(progress: &StreamProgress) -> Self {
        // In this order: what is durable is stored.
        let durable = progress.durable();
        Self { stored: progress.stored().max(durable), durable }
    }
}

#[derive(Serialize)]
struct SegmentLine<'a> {
    tamis: &'static str,
    schema: u32,
    run: u32,
    segment: u32,
    ledger: Ledger,
    lines: Vec<LineBooks<'a>>,
    /// Those that the segment gave something to.
    streams: Vec<StreamBooks<'a>>,
}

#[derive(Serialize)]
struct LineBooks<'a> {
    name: &'a str,
    #[serde(flatten)]
    counts: LineTally,
}

#[derive(Serialize)]
struct StreamBooks<'a> {
    name: &'a str,
    /// Events of the segment.
    events: u64,
    /// Events of the stream up to the last of these.
    end: u64,
    #[serde(flatten)]
    storage: Stored,
}

#[derive(Serialize)]
struct StorageLine<'a> {
    tamis: &'static str,
    schema: u32,
    storage: Vec<StreamStorage<'a>>,
}

#[derive(Serialize)]
struct StreamStorage<'a> {
    name: &'a str,
    #[serde(flatten)]
    storage: Stored,
}

/// The last line of the file.
#[derive(Serialize)]
struct FinalLine<'a> {
    r#final: bool,
    #[serde(flatten)]
    report: &'a Report,
}

impl Journal {
    /// Begins the ledger of a run that was claimed, with the streams of the menu in order, then the error stream.
    pub(crate) fn new(
        folder: &Path,
        claim: Claim,
        menu: Arc<CompiledMenu>,
        streams: Vec<(String, Arc<StreamProgress>)>,
    ) -> Self {
        let path = folder.join(format!("{}{LEDGER}", claim.name));
        let (looked, told) =
            (vec![0; streams.len()], (vec![Stored::default(); streams.len()], Instant::now()));
        let (file, waiting) = (claim.ledger, VecDeque::new());
        Self { path, file, menu, streams, waiting, looked, told, error: None }
    }

    /// Takes in the books of a segment that has ended, and writes what is due. To be called now and then, with or without books.
    pub(crate) fn news(&mut self, books: Option<SegmentBooks>) {
        let stored: Vec<u64> = self.streams.iter().map(|(_, progress)| progress.stored()).collect();
        if stored != self.looked {
            let all = std::mem::take(&mut self.waiting);
            let (due, waiting) = all.into_iter().partition(|books| is_stored(books, &stored));
            self.waiting = waiting;
            let due: VecDeque<SegmentBooks> = due;
            due.iter().for_each(|books| self.segment(books));
            self.looked.clone_from(&stored);
        }
        match books {
            Some(books) if is_stored(&books, &stored) => self.segment(&books),
            Some(books) => self.waiting.push_back(books),
            None => {}
        }
        if self.waiting.len() > WAITING_MAX
            && let Some(books) = self.waiting.pop_front()
        {
            self.segment(&books);
        }
        if self.told.1.elapsed() >= STORAGE_EVERY {
            self.storage();
        }
    }

    /// Appends what is left and the final line, makes the file durable and gives the report back, with a problem more if that failed.
    pub(crate) fn finish(mut self, mut report: Report) -> Report {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.iter().for_each(|books| self.segment(books));
        self.storage();
        self.append(&FinalLine { r#final: true, report: &report });
        if self.error.is_none() {
            self.error = self.file.finish().err();
        }
        if let Some(error) = self.error {
            let message = format!("{}: the ledger could not be written: {error}", self.path.display());
            report.add_problem(Exit::Storage, message);
        }
        report
    }

    /// Appends the books of one segment.
    fn segment(&mut self, books: &SegmentBooks) {
        let (menu, streams) = (self.menu.clone(), self.streams.clone());
        let names = menu.lines().iter().map(|line| line.name.as_str());
        let lines = names.zip(&books.tally.lines).map(|(name, &counts)| LineBooks { name, counts }).collect();
        let (run, segment, ledger) = (books.run, books.segment, Ledger::new(&books.tally, &menu, None));
        let shares = streams.iter().zip(&books.streams).filter(|(_, share)| share.events > 0);
        let streams = shares.map(|((name, progress), share)| StreamBooks {
            name,
            events: share.events,
            end: share.end,
            storage: Stored::of(progress),
        });
        let (tamis, schema, streams) = (env!("CARGO_PKG_VERSION"), DOCUMENT_VERSION, streams.collect());
        self.append(&SegmentLine { tamis, schema, run, segment, ledger, lines, streams });
    }

    /// Appends how far storage is, if more is durable than was told.
    fn storage(&mut self) {
        let now: Vec<Stored> = self.streams.iter().map(|(_, progress)| Stored::of(progress)).collect();
        let is_news = now.iter().zip(&self.told.0).any(|(now, told)| now.durable != told.durable);
        if is_news {
            let streams = self.streams.clone();
            let storage =
                streams.iter().zip(&now).map(|((name, _), &storage)| StreamStorage { name, storage });
            let (tamis, schema, storage) = (env!("CARGO_PKG_VERSION"), DOCUMENT_VERSION, storage.collect());
            self.append(&StorageLine { tamis, schema, storage });
            self.told = (now, Instant::now());
        }
    }

    fn append(&mut self, line: &impl Serialize) {
        if self.error.is_none() {
            let mut text = serde_json::to_vec(line).expect("plain data serialises");
            text.push(b'\n');
            self.error = self.file.append(&text).err();
        }
    }
}

/// Is all stored that a segment gave to the streams?
fn is_stored(books: &SegmentBooks, stored: &[u64]) -> bool {
    books.streams.iter().zip(stored).all(|(share, &stored)| share.events == 0 || stored >= share.end)
}

#[cfg(test)]
mod tests;
