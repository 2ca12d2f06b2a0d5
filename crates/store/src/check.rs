//! Checks every byte of a file.

use std::{collections::BTreeSet, path::Path};

use tamis_event::record::Record;

use crate::{
    Ending, Flaw, ReadError,
    limits::PROBLEMS_MAX,
    parse::{MessageFront, Statistics},
    reader::{next_item, open_scan},
    scan::{Item, Scan},
};

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Byte offset of the MCAP record (the whole chunk, for something inside a chunk).
    pub at: u64,
    /// Number of the decision record in the file, from 0, if the problem concerns a single record.
    pub record: Option<u64>,
    /// What is wrong.
    pub flaw: Flaw,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.record {
            Some(record) => write!(f, "byte {}, record {record}: {}", self.at, self.flaw),
            None => write!(f, "byte {}: {}", self.at, self.flaw),
        }
    }
}

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Number of decision records that could be read, including wrong ones.
    pub records: u64,
    /// Number of chunks whose CRC is right.
    pub chunks: u64,
    /// Number of attachments whose CRC is right.
    pub attachments: u64,
    /// The problems, in file order; at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// Number of all problems, including unlisted ones.
    pub problem_count: u64,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problem_count == 0
    }

    fn add(&mut self, at: u64, record: Option<u64>, flaw: Flaw) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { at, record, flaw });
        }
    }
}

/// Checks every byte of a file: the CRCs of chunks, attachments, data and summary section; form, CRC, time and channel of every record;
/// gapless record numbers; the counts and the index of the summary; the footer.
pub fn check(path: &Path) -> Result<CheckReport, ReadError> {
    let mut scan = open_scan(path)?;
    let mut checker = Checker::default();
    loop {
        match next_item(&mut scan, path)? {
            Item::Chunk { at } => {
                checker.report.chunks += 1;
                checker.chunks.insert(at);
            }
            Item::Message { front, record } => checker.message(&scan, front, scan.record(record)),
            Item::ChunkIndex { at, names } => {
                checker.indexes += 1;
                if !checker.chunks.contains(&names) {
                    checker.report.add(at, None, Flaw::Index { at: names });
                }
            }
            Item::Statistics { at, statistics } => checker.statistics = Some((at, statistics)),
            Item::Flaw { at, flaw } => {
                checker.lost_a_chunk = true;
                checker.report.add(at, None, flaw);
            }
            Item::End(ending) => {
                checker.report.attachments = scan.attachments.len() as u64;
                return Ok(checker.finish(ending));
            }
        }
    }
}

#[derive(Default)]
struct Checker {
    report: CheckReport,
    chunks: BTreeSet<u64>,
    indexes: u64,
    statistics: Option<(u64, Statistics)>,
    last_sequence: Option<u32>,
    /// Was something lost that may have been a chunk?
    lost_a_chunk: bool,
}

impl Checker {
    fn message(&mut self, scan: &Scan, front: MessageFront, bytes: &[u8]) {
        let number = self.report.records;
        self.report.records += 1;
        let mut wrong = |flaw| self.report.add(scan.chunk_at, Some(number), flaw);
        // The first chunk defines the channel. If that chunk is lost, this was reported, and the channel is unknown.
        let is_other = |channel| channel != front.channel;
        if scan.stream.as_ref().map_or(!self.lost_a_chunk, |stream| is_other(stream.channel)) {
            wrong(Flaw::Channel { channel: front.channel });
        }
        let found = front.sequence;
        if let Some(before) =
            self.last_sequence.replace(found).filter(|before| before.wrapping_add(1) != found)
        {
            wrong(Flaw::Sequence { before, found });
        }
        match Record::parse(bytes) {
            Ok(record) if record.header().time_ns != front.time_ns => {
                wrong(Flaw::Time { indexed: front.time_ns, record: record.header().time_ns });
            }
            Ok(_) => {}
            Err(error) => wrong(Flaw::Record(error)),
        }
    }

    fn finish(mut self, ending: Ending) -> CheckReport {
        if let Some((at, stated)) = self.statistics {
            let counts = [
                ("records", stated.messages, self.report.records),
                ("chunks", stated.chunks.into(), self.report.chunks),
                ("attachments", stated.attachments.into(), self.report.attachments),
                ("chunk indexes", self.report.chunks, self.indexes),
            ];
            for (what, stated, found) in counts.into_iter().filter(|(_, stated, found)| stated != found) {
                self.report.add(at, None, Flaw::Count { what, stated, found });
            }
        }
        if let Ending::Torn { at, flaw } = ending {
            self.report.add(at, None, flaw);
        }
        self.report
    }
}
