//! `RUN.ledger.jsonl`: the books of every segment, how far storage is, and the whole run.
//!
//! ```text
//!   {"run":1,"segment":3,"ledger":{..},"lines":[..],"streams":[{"name":"physics","events":12,"end":340,"stored":352,"durable":300}]}
//!   {"from":{"run":1,"segment":4},"to":{"run":2,"segment":7},"segments":50,"ledger":{..},"lines":[..],"streams":[..]}    where there is little room
//!   {"storage":[{"name":"physics","stored":400,"durable":400}, ..]}                  now and then, when more has become durable
//!   {"final":true, ..the report.. }
//! ```
//!
//! * I1: a segment has its line when all that it gave to the streams is stored, so that the ledger of a killed run says no more than its files hold.
//!   `stored` survives the end of the process, `durable` a loss of power; both count the records of a stream from its first on, so that all of a
//!   segment is durable when `durable` has reached its `end`.
//! * I2: the one exception is events that storage lost: their line is written when the run ends, although they are not stored.
//! * I3: a segment that receives frames after its books were closed gets a further line; lines of one run and segment add up.
//! * I4: the file has room for 1 MiB and a sixteenth of the bytes that arrived. A line is begun only if there is room; at the end of the run it is
//!   written anyway. Books that are due meanwhile are added up and share a line. All lines together always add up to the report.
//! * I5: a line names those lines of the menu that counted something, and those streams that were given something.
//! * I6: every line ends with its checksum (`sealed.rs`).
//!
//! Lines are in the order in which segments were stored. At most [`WAITING_MAX`] books wait for storage; if there are more, neighbours are added up in
//! pairs.

mod books;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tamis_menu::CompiledMenu;
use tamis_part::LogFile;
use tamis_pipeline::SegmentBooks;
use tamis_store::{Claim, LEDGER, StreamProgress};

use self::books::Books;
use crate::sealed::sealed;
use crate::{DOCUMENT_VERSION, Exit, Report};

/// Books that wait until they are stored.
const WAITING_MAX: usize = 4096;
/// Room of the file in bytes: `ROOM_MIN`, and one in `ROOM_SHARE` of those that arrived.
const ROOM_MIN: u64 = 1 << 20;
const ROOM_SHARE: u64 = 16;
/// Least time between two lines that report what has become durable.
const STORAGE_EVERY: Duration = Duration::from_secs(1);

/// An open ledger file. A failure to write is kept until the end: the books are in the report as well.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: LogFile,
    menu: Arc<CompiledMenu>,
    streams: Vec<(String, Arc<StreamProgress>)>,
    waiting: VecDeque<Books>,
    /// Books that are stored and have no line yet.
    due: Option<Books>,
    /// Bytes that arrived, and those of the file.
    received: u64,
    written: u64,
    /// What was stored of each stream when the waiting books were last checked.
    looked: Vec<u64>,
    /// What the last line about storage reported of each stream, and when.
    told: (Vec<StoredSoFar>, Instant),
    error: Option<std::io::Error>,
}

/// How far a stream is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct StoredSoFar {
    stored: u64,
    durable: u64,
}

impl StoredSoFar {
    fn of(progress: &StreamProgress) -> Self {
        // In this order: what is durable is stored.
        let durable = progress.durable();
        Self { stored: progress.stored().max(durable), durable }
    }
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
    storage: StoredSoFar,
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
        let looked = vec![0; streams.len()];
        let told = (vec![StoredSoFar::default(); streams.len()], Instant::now());
        Self {
            path,
            file: claim.ledger,
            menu,
            streams,
            waiting: VecDeque::new(),
            due: None,
            received: 0,
            written: 0,
            looked,
            told,
            error: None,
        }
    }

    /// Most bytes that books take while they wait until they are stored.
    pub(crate) fn bytes_max(menu: &CompiledMenu) -> usize {
        // The error stream is one more.
        let streams = menu.streams().len() + 1;
        WAITING_MAX * Books::bytes_of(menu.lines().len(), menu.rungs(), streams)
    }

    /// Takes the books of a segment that has ended, and writes what is due. It must be called now and then, with or without books.
    pub(crate) fn news(&mut self, books: Option<SegmentBooks>) {
        if self.told.1.elapsed() >= STORAGE_EVERY && self.has_room() {
            self.storage();
        }
        self.look();
        if let Some(books) = books.map(Books::from) {
            self.received += books.received_bytes();
            if books.are_stored(&self.looked) {
                self.add(books);
            } else {
                self.wait(books);
            }
        }
        self.write_if_room();
    }

    /// Appends what is left and the final line, makes the file durable and returns the report, with one more problem if that failed.
    pub(crate) fn finish(mut self, mut report: Report) -> Report {
        self.close();
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

    /// Appends everything but the final line.
    fn close(&mut self) {
        self.look();
        self.write();
        // What storage lost stays apart.
        let lost = std::mem::take(&mut self.waiting);
        lost.into_iter().for_each(|books| self.add(books));
        self.write();
        self.storage();
    }

    /// Finds out which of the books that wait are stored by now.
    fn look(&mut self) {
        let stored: Vec<u64> = self.streams.iter().map(|(_, progress)| progress.stored()).collect();
        if stored != self.looked {
            let all = std::mem::take(&mut self.waiting);
            let (due, waiting): (VecDeque<_>, _) =
                all.into_iter().partition(|books| books.are_stored(&stored));
            self.waiting = waiting;
            self.looked = stored;
            due.into_iter().for_each(|books| self.add(books));
        }
    }

    /// Lets books wait until they are stored. If too many do, they wait in pairs: the older ones of a long wait have few lines, but no line is ahead
    /// of its storage.
    fn wait(&mut self, books: Books) {
        self.waiting.push_back(books);
        if self.waiting.len() > WAITING_MAX {
            let mut singles = std::mem::take(&mut self.waiting).into_iter();
            while let Some(mut books) = singles.next() {
                singles.next().iter().for_each(|next| books.add(next));
                self.waiting.push_back(books);
            }
        }
    }

    /// Adds books to what is due.
    fn add(&mut self, books: Books) {
        match &mut self.due {
            Some(due) => due.add(&books),
            None => self.due = Some(books),
        }
        self.write_if_room();
    }

    fn has_room(&self) -> bool {
        self.written < ROOM_MIN + self.received / ROOM_SHARE
    }

    fn write_if_room(&mut self) {
        if self.has_room() {
            self.write();
        }
    }

    /// Appends what is due.
    fn write(&mut self) {
        let Some(due) = self.due.take() else { return };
        let menu = self.menu.clone();
        let streams = self.streams.clone();
        let storage = streams.iter().map(|(name, progress)| (name.as_str(), StoredSoFar::of(progress)));
        self.append(&due.line(&menu, storage));
    }

    /// Appends how far storage is, if more is durable than was reported.
    fn storage(&mut self) {
        let now: Vec<StoredSoFar> =
            self.streams.iter().map(|(_, progress)| StoredSoFar::of(progress)).collect();
        let is_news = now.iter().zip(&self.told.0).any(|(now, told)| now.durable != told.durable);
        if is_news {
            let streams = self.streams.clone();
            let storage =
                streams.iter().zip(&now).map(|((name, _), &storage)| StreamStorage { name, storage });
            self.append(&StorageLine {
                tamis: env!("CARGO_PKG_VERSION"),
                schema: DOCUMENT_VERSION,
                storage: storage.collect(),
            });
            self.told = (now, Instant::now());
        }
    }

    fn append(&mut self, line: &impl Serialize) {
        if self.error.is_none() {
            let text = sealed(line);
            self.written += text.len() as u64;
            self.error = self.file.append(text.as_bytes()).err();
        }
    }
}

#[cfg(test)]
mod tests;
