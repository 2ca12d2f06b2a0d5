//! Reads the records of a file in order.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::{Path, PathBuf},
};

use crate::{
    Attachment, Ending, Flaw, Problem,
    limits::PROBLEMS_MAX,
    numbers::RecordNumbers,
    provenance::{MENU, SCHEMA, key},
    scan::{Item, Scan},
};

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refuses.
    #[error("{path}: {error}", path = .path.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    Io { path: PathBuf, error: io::Error },
    /// Another kind of file.
    #[error("{path}: not an MCAP file", path = .path.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    NotMcap { path: PathBuf },
    /// One part of the file is damaged. Reading can continue after it.
    #[error("{path}: byte {at}: {flaw}; `tamis recover` keeps everything else", path = .path.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    Damaged { path: PathBuf, at: u64, flaw: Flaw },
}

/// One stored event.
#[derive(Clone, Copy, Debug)]
pub struct StoredEvent<'a> {
    /// Its index in the file, from 0.
    pub number: u64,
    /// Its index in the stream over all files of the run, from 0, modulo 2^32.
    pub sequence: u32,
    /// Time of its frame in ns since the start of the run.
    pub time_ns: u64,
    /// The record, for `tamis_event::record::Record::parse`.
    pub record: &'a [u8],
}

/// Reads a file of one stream from start to end, in bounded memory. Files that were never closed or lost their end are read up to the last
/// whole chunk; [`Self::ending`] reports this.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    scan: Scan,
    /// The item after the head of the file, and damage in the head that was not reported yet.
    first: Option<Item>,
    head_damage: VecDeque<Problem>,
    stated: Option<u64>,
    number: u64,
    numbers: RecordNumbers,
    ending: Option<Ending>,
}

impl Reader {
    /// Opens a file and reads its head, up to the first record.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let mut scan = open_scan(path)?;
        let mut head_damage = VecDeque::new();
        let first = loop {
            match next_item(&mut scan, path)? {
                Item::Chunk { .. } | Item::ChunkIndex { .. } => {}
                // The rest of the head is still useful.
                Item::Flaw { at, flaw } if head_damage.len() < PROBLEMS_MAX => {
                    head_damage.push_back(Problem { at, record: None, flaw });
                }
                item => break item,
            }
        };
        let first = Some(first);
        Ok(Self {
            path: path.into(),
            scan,
            first,
            head_damage,
            stated: None,
            number: 0,
            numbers: RecordNumbers::default(),
            ending: None,
        })
    }

    /// The next record; `None` at the end. One that came before is passed over.
    ///
    /// After [`ReadError::Damaged`] the next call continues after the damage. After [`ReadError::Io`] there is nothing more.
    pub fn next_record(&mut self) -> Result<Option<StoredEvent<'_>>, ReadError> {
        loop {
            if let Some(Problem { at, flaw, .. }) = self.head_damage.pop_front() {
                return Err(ReadError::Damaged { path: self.path.clone(), at, flaw });
            }
            if self.ending.is_some() {
                return Ok(None);
            }
            let item = match self.first.take() {
                Some(item) => item,
                None => next_item(&mut self.scan, &self.path)?,
            };
            match item {
                Item::Message { front, record } if self.numbers.add(front.sequence) => {
                    let number = self.number;
                    self.number += 1;
                    let record = self.scan.record(record);
                    return Ok(Some(StoredEvent {
                        number,
                        sequence: front.sequence,
                        time_ns: front.time_ns,
                        record,
                    }));
                }
                Item::Flaw { at, flaw } => {
                    if matches!(flaw, Flaw::SummaryCrc { .. }) {
                        self.stated = None;
                    }
                    return Err(ReadError::Damaged { path: self.path.clone(), at, flaw });
                }
                Item::End(ending) => self.ending = Some(ending),
                Item::Statistics { statistics, .. } => self.stated = Some(statistics.messages),
                Item::Message { .. } | Item::Chunk { .. } | Item::ChunkIndex { .. } => {}
            }
        }
    }

    /// The number of records that are lost, as far as was read: by their numbers, and at the end by the summary, if that is whole.
    pub fn lost_records(&self) -> u64 {
        self.stated
            .map_or(0, |stated| stated.saturating_sub(self.number))
            .max(self.scan.missing(&self.numbers))
    }

    /// The number of records that were passed over because they came before.
    pub fn repeated_records(&self) -> u64 {
        self.numbers.repeated()
    }

    /// How the file ends, once [`Self::next_record`] has returned `None`.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Name of the stream; `None` if the file lost its head.
    pub fn stream(&self) -> Option<&str> {
        let told = self.scan.stream.as_ref().map(|stream| stream.topic.as_str());
        told.or_else(|| self.metadata().get(key::STREAM).map(String::as_str))
    }

    /// Metadata of the run: that of its [`crate::Provenance`], and `run_name`, `stream`, `file` (number from 1), `schema`, `schema_id`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.scan.metadata
    }

    /// The attachments: `schema.toml`, `menu.toml`, `model-NAME.tar`, `model-NAME.K.tar`.
    pub fn attachments(&self) -> &[Attachment] {
        &self.scan.attachments
    }

    /// Text of the menu that made the decisions.
    pub fn menu_text(&self) -> Option<&str> {
        self.attached_text(MENU)
    }

    /// Text of the schema of the events.
    pub fn schema_text(&self) -> Option<&str> {
        // It is stored twice: as an attachment, and before the first record, as MCAP requires.
        let in_chunk = || std::str::from_utf8(&self.scan.schema.as_ref()?.1).ok();
        self.attached_text(SCHEMA).or_else(in_chunk)
    }

    fn attached_text(&self, name: &str) -> Option<&str> {
        let attachment = self.attachments().iter().find(|attachment| attachment.name == name)?;
        std::str::from_utf8(&attachment.data).ok()
    }
}

pub(crate) fn open_scan(path: &Path) -> Result<Scan, ReadError> {
    match Scan::open(path) {
        Ok(Some(scan)) => Ok(scan),
        Ok(None) => Err(ReadError::NotMcap { path: path.into() }),
        Err(error) => Err(ReadError::Io { path: path.into(), error }),
    }
}

pub(crate) fn next_item(scan: &mut Scan, path: &Path) -> Result<Item, ReadError> {
    scan.next().map_err(|error| ReadError::Io { path: path.into(), error })
}
