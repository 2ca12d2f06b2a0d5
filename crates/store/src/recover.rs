//! Recovers files that were never closed, or were damaged, as proper files.

use std::{
    io,
    path::{Path, PathBuf},
};

use tamis_part::{Existing, PartFile, is_being_written};

use crate::{
    Ending, Flaw, Problem, ReadError,
    file::{CHANNEL, OpenFile},
    limits::PROBLEMS_MAX,
    numbers::RecordNumbers,
    pack::Packer,
    provenance::{Head, SCHEMA, key},
    reader::{next_item, open_scan},
    scan::{Item, Scan},
};

/// Why a file cannot be recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The file cannot be read at all.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file has no whole chunk, or lost its head, so that its records cannot be interpreted.
    #[error("{path}: nothing to recover: {why}", path = .path.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    Nothing { path: PathBuf, why: &'static str },
    /// A run is still writing it.
    #[error("{path}: a run is still writing this file; end the run, and the file will be whole", path = .path.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    Busy { path: PathBuf },
    /// There is no name for the recovered file.
    #[error("{path}: name the file to write; only NAME.part has a name of its own to return to", path = .path.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    NoName { path: PathBuf },
    /// There is a file where the recovered one should be.
    #[error("{path}: exists already, and nothing is ever overwritten: choose another file or remove this one", path = .path.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    Exists { path: PathBuf },
    /// The recovered file cannot be written.
    #[error("{path}: {error}", path = .path.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    Write { path: PathBuf, error: io::Error },
}

/// What was recovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoverReport {
    /// The new file.
    pub file: PathBuf,
    /// Number of records in it.
    pub records: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Bytes of the input that could not be read: damaged parts and the torn end. It is 0 for a file that only lacks its summary.
    pub lost_bytes: u64,
    /// The problems of the input apart from its end; at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// Records that the input had twice, and that the new file has once.
    pub repeated_records: u64,
    /// Number of records that the input had, judging by its summary and record numbers, and that are not in the new file.
    pub lost_records: u64,
    /// How the input ends.
    pub ending: Ending,
}

/// Writes every record of every whole chunk of `input` into a new, closed file, with everything in the head of `input`.
///
/// Without `output`, `NAME.part` becomes `NAME`. The input is only read. The new file is called `OUTPUT.recover` until it is complete and
/// durable; nothing is overwritten.
pub fn recover(input: &Path, output: Option<&Path>) -> Result<RecoverReport, RecoverError> {
    let output = match output {
        Some(output) => output.to_path_buf(),
        None if input.extension().is_some_and(|extension| extension == "part") => input.with_extension(""),
        None => return Err(RecoverError::NoName { path: input.into() }),
    };
    let Some(name) = output.file_name().and_then(|name| name.to_str()) else {
        return Err(RecoverError::NoName { path: output });
    };
    let input_error = |error| ReadError::Io { path: input.into(), error };
    if is_being_written(input).map_err(input_error)? {
        return Err(RecoverError::Busy { path: input.into() });
    }
    let mut source = DamagedFile::open(input)?;
    let head = source.head()?;
    let write_error = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => RecoverError::Exists { path: output.clone() },
        _ => RecoverError::Write { path: output.clone(), error },
    };
    if output.symlink_metadata().is_ok() {
        return Err(RecoverError::Exists { path: output });
    }
    // NAME.part is the input, so the new file has another temporary name. It is removed if it is not finished, and so is one left by an earlier call.
    let part = PartFile::create_as(&output, ".recover").map_err(write_error)?;
    let mut packer = Packer::new(head.compression());
    let mut file = OpenFile::begin(part, name.into(), &head, None, &mut packer).map_err(write_error)?;
    source.copy(&mut file, &mut packer, &write_error)?;
    let records = file.records();
    let mut part = file.finish().map_err(write_error)?;
    part.publish(Existing::Refuse, true).map_err(write_error)?;
    Ok(RecoverReport {
        file: output,
        records,
        bytes: part.size(),
        lost_bytes: source.lost_bytes,
        repeated_records: source.numbers.repeated(),
        lost_records: source.lost_records(records),
        problems: source.problems,
        ending: source.ending,
    })
}

/// The file to recover; opening reads it up to its first record.
struct DamagedFile {
    path: PathBuf,
    size: u64,
    scan: Scan,
    first: Option<Item>,
    lost_bytes: u64,
    problems: Vec<Problem>,
    /// Number of records according to the summary, if that is whole.
    stated: u64,
    numbers: RecordNumbers,
    ending: Ending,
}

impl DamagedFile {
    fn open(path: &Path) -> Result<Self, RecoverError> {
        let size = std::fs::metadata(path).map_err(|error| ReadError::Io { path: path.into(), error })?.len();
        let scan = open_scan(path)?;
        let mut source = Self {
            path: path.into(),
            size,
            scan,
            first: None,
            lost_bytes: 0,
            problems: Vec::new(),
            stated: 0,
            numbers: RecordNumbers::default(),
            ending: Ending::Closed,
        };
        source.first = source.next()?;
        Ok(source)
    }

    /// The next message; damage before it is added up.
    fn next(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            match next_item(&mut self.scan, &self.path)? {
                Item::Message { front, record } if self.numbers.add(front.sequence) => {
                    return Ok(Some(Item::Message { front, record }));
                }
                // The bytes that these CRCs cover were read, or are counted already.
                Item::Flaw { flaw: Flaw::DataCrc { .. }, .. } => {}
                Item::Flaw { flaw: Flaw::SummaryCrc { .. }, .. } => self.stated = 0,
                Item::Flaw { at, flaw } => {
                    self.lost_bytes += self.scan.position() - at;
                    if self.problems.len() < PROBLEMS_MAX {
                        self.problems.push(Problem { at, record: None, flaw });
                    }
                }
                Item::Statistics { statistics, .. } => self.stated = statistics.messages,
                Item::End(ending) => {
                    if let Ending::Torn { at, .. } = &ending {
                        self.lost_bytes += self.size.saturating_sub(*at);
                    }
                    self.ending = ending;
                    return Ok(None);
                }
                Item::Message { .. } | Item::Chunk { .. } | Item::ChunkIndex { .. } => {}
            }
        }
    }

    /// The number of lost records, if `records` were found.
    fn lost_records(&self, records: u64) -> u64 {
        self.stated.saturating_sub(records).max(self.scan.missing(&self.numbers))
    }

    fn head(&self) -> Result<Head, RecoverError> {
        let nothing = |why| RecoverError::Nothing { path: self.path.clone(), why };
        if self.first.is_none() {
            return Err(nothing("it holds no whole chunk of records"));
        }
        let Scan { metadata, attachments, schema, stream, .. } = &self.scan;
        let stream = stream.as_ref().map(|stream| &stream.topic).or_else(|| metadata.get(key::STREAM));
        let attached =
            || attachments.iter().find(|attachment| attachment.name == SCHEMA).map(|found| &found.data);
        let name = schema.as_ref().map(|(name, _)| name).or_else(|| metadata.get(key::SCHEMA));
        let text = schema.as_ref().map(|(_, text)| text).or_else(attached);
        let (Some(stream), Some(schema_name), Some(schema_text)) = (stream, name, text) else {
            return Err(nothing("its head is lost, with the stream and the schema of its records"));
        };
        Ok(Head {
            stream: stream.clone(),
            schema_name: schema_name.clone(),
            schema_text: schema_text.clone(),
            metadata: metadata.clone(),
            attachments: attachments.clone(),
        })
    }

    fn copy(
        &mut self,
        file: &mut OpenFile,
        packer: &mut Packer,
        write_error: &dyn Fn(io::Error) -> RecoverError,
    ) -> Result<(), RecoverError> {
        let mut end_chunk = |file: &mut OpenFile| match file.take_chunk() {
            Some(chunk) => packer.pack(CHANNEL, chunk).and_then(|chunk| file.add(chunk)).map_err(write_error),
            None => Ok(()),
        };
        let mut item = self.first.take();
        while let Some(Item::Message { front, record }) = item {
            let record = self.scan.record(record);
            if file.must_end_before(record.len()) {
                end_chunk(file)?;
            }
            if file.append(front.sequence, front.time_ns, record) {
                end_chunk(file)?;
            }
            item = self.next()?;
        }
        end_chunk(file)
    }
}
