//! Summarises the contents of a file.

use std::{collections::BTreeMap, path::Path};

use sha2::{Digest as _, Sha256};
use tamis_event::record::Record;

use crate::{
    Attachment, Ending, ReadError,
    provenance::key,
    reader::{next_item, open_scan},
    scan::{Item, Scan},
};

/// An attachment: a file inside a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentInfo {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// The part of a file that belongs to one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// Number of events.
    pub events: u64,
    /// Lowest segment.
    pub first_segment: u32,
    /// Highest segment.
    pub last_segment: u32,
    /// Lowest event id.
    pub first_event: u64,
    /// Highest event id.
    pub last_event: u64,
}

/// The contents of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Name of the stream, if the head of the file could be read.
    pub stream: Option<String>,
    /// The run name, if the head of the file could be read.
    pub run_name: Option<String>,
    /// Number of decision records.
    pub records: u64,
    /// Sum of their lengths in bytes.
    pub record_bytes: u64,
    /// Number of records that cannot be read.
    pub bad_records: u64,
    /// Number of records of events that no model could score.
    pub faults: u64,
    /// The runs, by run number.
    pub runs: BTreeMap<u32, RunInfo>,
    /// Number of events that each line kept, in menu order. Trailing lines that kept nothing may be left out.
    pub kept: Vec<u64>,
    /// Number of chunks.
    pub chunks: u64,
    /// Number of damaged places.
    pub damaged: u64,
    /// The metadata of the run.
    pub metadata: BTreeMap<String, String>,
    /// The attachments.
    pub attachments: Vec<AttachmentInfo>,
    /// How the file ends.
    pub ending: Ending,
}

/// Reads a whole file and summarises it, even if it is damaged or unfinished.
pub fn summary(path: &Path) -> Result<FileInfo, ReadError> {
    let bytes = std::fs::metadata(path).map_err(|error| ReadError::Io { path: path.into(), error })?.len();
    let mut scan = open_scan(path)?;
    let mut info = FileInfo {
        bytes,
        stream: None,
        run_name: None,
        records: 0,
        record_bytes: 0,
        bad_records: 0,
        faults: 0,
        runs: BTreeMap::new(),
        kept: Vec::new(),
        chunks: 0,
        damaged: 0,
        metadata: BTreeMap::new(),
        attachments: Vec::new(),
        ending: Ending::Closed,
    };
    loop {
        match next_item(&mut scan, path)? {
            Item::Chunk { .. } => info.chunks += 1,
            Item::Message { record, .. } => info.add_record(scan.record(record)),
            Item::Flaw { .. } => info.damaged += 1,
            Item::ChunkIndex { .. } | Item::Statistics { .. } => {}
            Item::End(ending) => {
                info.ending = ending;
                info.take_head(scan);
                return Ok(info);
            }
        }
    }
}

impl FileInfo {
    fn add_record(&mut self, bytes: &[u8]) {
        self.records += 1;
        self.record_bytes += bytes.len() as u64;
        let Ok(record) = Record::parse(bytes) else {
            self.bad_records += 1;
            return;
        };
        let header = record.header();
        self.faults += u64::from(header.fault != 0);
        let segment = header.segment;
        let event = header.event_id;
        let run = self.runs.entry(header.run).or_insert(RunInfo {
            events: 0,
            first_segment: segment,
            last_segment: segment,
            first_event: event,
            last_event: event,
        });
        run.events += 1;
        run.first_segment = run.first_segment.min(segment);
        run.last_segment = run.last_segment.max(segment);
        run.first_event = run.first_event.min(event);
        run.last_event = run.last_event.max(event);
        for (word, mut bits) in record.kept().enumerate() {
            while bits != 0 {
                let line = word * 64 + bits.trailing_zeros() as usize;
                if self.kept.len() <= line {
                    self.kept.resize(line + 1, 0);
                }
                self.kept[line] += 1;
                bits &= bits - 1;
            }
        }
    }

    fn take_head(&mut self, scan: Scan) {
        self.stream =
            scan.stream.map(|stream| stream.topic).or_else(|| scan.metadata.get(key::STREAM).cloned());
        self.run_name = scan.metadata.get(key::RUN_NAME).cloned();
        self.attachments = scan.attachments.into_iter().map(describe).collect();
        self.metadata = scan.metadata;
    }
}

fn describe(Attachment { name, media_type, data }: Attachment) -> AttachmentInfo {
    let sha256 = Sha256::digest(&data).iter().map(|byte| format!("{byte:02x}")).collect();
    AttachmentInfo { name, media_type, bytes: data.len() as u64, sha256 }
}
