//! Making a proper file of one that was never closed, or was damaged.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Defect, Ending, ReadError,
    disk::{DiskFile, Folder},
    file::{OpenFile, publish},
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
    /// The file lost its head: nobody knows what its records are.
    #[error("{path}: nothing to recover: {why}", path = .path.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    Nothing { path: PathBuf, why: &'static str },
    /// There is no name for the recovered file.
    #[error("{path}: name the file to write; only NAME.part has a name of its own to return to", path = .path.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    NoName { path: PathBuf },
    /// The recovered file cannot be written.
    #[error("{path}: {error}; nothing is ever overwritten: choose another file or remove this one", path = .path.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    Write { path: PathBuf, error: io::Error },
}

/// What was brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoverReport {
    /// The new file.
    pub file: PathBuf,
    /// Records in it.
    pub records: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Bytes of the input that could not be read: damaged parts and the torn end. 0 also for a file that only lacks its summary.
    pub lost_bytes: u64,
    /// How the input ends.
    pub ending: Ending,
}

/// Writes every record of every whole chunk of `input` into a new, closed file, with all that stands in the head of `input`.
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
    let mut source = Source::open(input)?;
    let head = source.head()?;
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let part = format!("{name}.recover");
    let write_error = |error| RecoverError::Write { path: output.clone(), error };
    let part_error = |error| RecoverError::Write { path: folder.join(&part), error };
    let disk = Folder::open(folder).map_err(write_error)?;
    if output.symlink_metadata().is_ok() {
        return Err(write_error(io::ErrorKind::AlreadyExists.into()));
    }
    let file = OpenFile::create(&disk, name.into(), &part, &head, None).map_err(part_error)?;
    let written = write_all(&mut source, file, &part_error).and_then(|(records, bytes, handle)| {
        publish(&disk, &*handle, &part, name, true).map_err(write_error)?;
        Ok((records, bytes))
    });
    match written {
        Ok((records, bytes)) => Ok(RecoverReport {
            file: output,
            records,
            bytes,
            lost_bytes: source.lost_bytes,
            ending: source.ending,
        }),
        Err(error) => {
            // It is this call's own file, and it would be in the way of the next attempt. The first error is the one to tell.
            let _ = disk.remove(&part);
            Err(error)
        }
    }
}

type Written = (u64, u64, Arc<dyn DiskFile>);

fn write_all(
    source: &mut Source,
    mut file: OpenFile,
    write_error: &dyn Fn(io::Error) -> RecoverError,
) -> Result<Written, RecoverError> {
    if let Err(error) = source.copy(&mut file, write_error) {
        file.abandon();
        return Err(error);
    }
    let records = file.records();
    let (_, handle, bytes) = file.finish();
    Ok((records, bytes.map_err(write_error)?, handle))
}

/// The file to recover, read up to its first record.
struct Source {
    path: PathBuf,
    size: u64,
    scan: Scan,
    first: Option<Item>,
    lost_bytes: u64,
    ending: Ending,
}

impl Source {
    fn open(path: &Path) -> Result<Self, RecoverError> {
        let size = std::fs::metadata(path).map_err(|error| ReadError::Io { path: path.into(), error })?.len();
        let scan = open_scan(path)?;
        let mut source =
            Self { path: path.into(), size, scan, first: None, lost_bytes: 0, ending: Ending::Closed };
        source.first = source.next()?;
        Ok(source)
    }

    /// The next message; damage on the way is added up.
    fn next(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            match next_item(&mut self.scan, &self.path)? {
                item @ Item::Message { .. } => return Ok(Some(item)),
                // What they cover was read or is counted already.
                Item::Defect { defect: Defect::DataCrc { .. } | Defect::SummaryCrc { .. }, .. } => {}
                Item::Defect { at, .. } => self.lost_bytes += self.scan.position() - at,
                Item::End(ending) => {
                    if let Ending::Torn { at, .. } = &ending {
                        self.lost_bytes += self.size.saturating_sub(*at);
                    }
                    self.ending = ending;
                    return Ok(None);
                }
                Item::Chunk { .. } | Item::ChunkIndex { .. } | Item::Statistics { .. } => {}
            }
        }
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
        write_error: &dyn Fn(io::Error) -> RecoverError,
    ) -> Result<(), RecoverError> {
        let mut item = self.first.take();
        while let Some(Item::Message { front, record }) = item {
            let record = self.scan.record(record);
            let chunk_is_full = file.append(front.sequence, front.time_ns, record).map_err(write_error)?;
            if chunk_is_full {
                file.end_chunk().map_err(write_error)?;
            }
            item = self.next()?;
        }
        Ok(())
    }
}
