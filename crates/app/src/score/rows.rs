//! Tables of scores: one row per event, in a file or on standard output.
//!
//! ```text
//!   .npy   128 bytes of header, then float32 [events, scores], row by row       the number of rows is entered at the end
//!   .csv   event,MODEL.OUTPUT,...                                               numbers that read back as the same float32
//! ```
//!
//! A file is called `NAME.part` until it is whole.

use std::fmt::Write as _;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tamis_event::{Block, ScoreTable};
use tamis_part::{Existing, PartFile};
use tamis_source::Patient;

use crate::exit::OrFail;
use crate::{Exit, Failure};

/// Bytes in front of the numbers of an array, with room for any number of rows; a multiple of 64, as the format asks.
const NPY_HEADER: usize = 128;

/// A table that is being written.
pub(super) struct Rows {
    format: TableFormat,
    columns: usize,
    out: Out,
    rows: u64,
    /// One block, encoded.
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TableFormat {
    Npy,
    Csv,
}

enum Out {
    File { path: PathBuf, file: BufWriter<PartFile>, overwrite: bool },
    Stdout(Patient<io::Stdout>),
}

/// Refuses a name that says nothing about the format, and a file that exists, unless it may be replaced.
pub(super) fn may_write(path: &Path, overwrite: bool) -> Result<(), Failure> {
    format_of(path)?;
    if path != Path::new("-") && path.exists() && !overwrite {
        return Err(exists(path));
    }
    Ok(())
}

fn exists(path: &Path) -> Failure {
    let message = format!("{}: exists; give --overwrite to replace it, or another --out", path.display());
    Failure::new(Exit::Settings, message)
}

fn format_of(path: &Path) -> Result<TableFormat, Failure> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("npy") => Ok(TableFormat::Npy),
        Some("csv") => Ok(TableFormat::Csv),
        None if path == Path::new("-") => Ok(TableFormat::Csv),
        _ => {
            let message = format!("{}: the name of a table of scores ends in .npy or .csv", path.display());
            Err(Failure::new(Exit::Settings, message))
        }
    }
}

impl Rows {
    /// Begins a table with these columns.
    pub(super) fn create(path: &Path, columns: &[String], overwrite: bool) -> Result<Self, Failure> {
        let format = format_of(path)?;
        let out = if path == Path::new("-") {
            Out::Stdout(Patient(io::stdout()))
        } else {
            let unbegun = |error| Failure { exit: Exit::of_output(&error), ..unwritable(path, &error) };
            let part = PartFile::create(path).map_err(unbegun)?;
            Out::File { path: path.into(), file: BufWriter::with_capacity(1 << 20, part), overwrite }
        };
        let mut rows = Self { format, columns: columns.len(), out, rows: 0, buffer: Vec::new() };
        rows.buffer = match format {
            TableFormat::Npy => npy_header(0, columns.len()),
            TableFormat::Csv => format!("event,{}\n", columns.join(",")).into_bytes(),
        };
        rows.write()?;
        Ok(rows)
    }

    /// Appends the scores of a block. `false`: there is no reader any more.
    pub(super) fn append(&mut self, block: &Block, scores: &ScoreTable) -> Result<bool, Failure> {
        self.rows += block.len() as u64;
        self.buffer.clear();
        let columns: Vec<&[f32]> = (0..self.columns).map(|column| scores.column(column)).collect();
        match self.format {
            TableFormat::Npy => {
                for event in 0..block.len() {
                    self.buffer.extend(columns.iter().flat_map(|column| column[event].to_le_bytes()));
                }
            }
            TableFormat::Csv => {
                let mut text = String::from_utf8(std::mem::take(&mut self.buffer)).expect("it is empty");
                for event in 0..block.len() {
                    let _ = write!(text, "{}", block.id(event));
                    for column in &columns {
                        // The shortest digits that read back as the same number.
                        let _ = write!(text, ",{:?}", column[event]);
                    }
                    text.push('\n');
                }
                self.buffer = text.into_bytes();
            }
        }
        self.write()
    }

    /// Makes the file durable and gives it its name. Returns its size in bytes; 0 for standard output.
    pub(super) fn finish(self) -> Result<u64, Failure> {
        let Out::File { path, file, overwrite } = self.out else { return Ok(0) };
        let fail = |error: &io::Error| unwritable(&path, error);
        let mut part = file.into_inner().map_err(|error| fail(error.error()))?;
        if self.format == TableFormat::Npy {
            part.overwrite(0, &npy_header(self.rows, self.columns)).map_err(|error| fail(&error))?;
        }
        let existing = if overwrite { Existing::Replace } else { Existing::Refuse };
        part.publish(existing, true).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => exists(&path),
            _ => fail(&error),
        })?;
        Ok(part.size())
    }

    fn write(&mut self) -> Result<bool, Failure> {
        match &mut self.out {
            Out::File { path, file, .. } => {
                file.write_all(&self.buffer).map_err(|error| unwritable(path, &error))?;
                Ok(true)
            }
            Out::Stdout(out) => match out.write_all(&self.buffer).and_then(|()| out.flush()) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
                Err(error) => {
                    Err(format!("standard output cannot be written: {error}")).or_fail(Exit::Storage)
                }
            },
        }
    }
}

/// Version 1.0 of the format, little-endian float32 in C order.
fn npy_header(rows: u64, columns: usize) -> Vec<u8> {
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    let after = NPY_HEADER - header.len() - 2;
    header.extend((after as u16).to_le_bytes());
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    header.extend(format!("{text:<width$}\n", width = after - 1).bytes());
    assert_eq!(header.len(), NPY_HEADER, "any two numbers fit");
    header
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Storage, format!("{}: {error}; {}", path.display(), tamis_part::remedy(error.kind())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_header_of_an_array_has_room_for_any_number_of_rows() {
        // As numpy.save writes it, apart from the length of the padding.
        let header = npy_header(3, 2);
        assert_eq!(&header[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert!(header[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }  "));
        assert_eq!((header.len(), header[127]), (128, b'\n'));
        assert_eq!(npy_header(u64::MAX, 1 << 20).len(), 128);
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.csv");
        let rows = Rows::create(&path, &["m.a".into()], false).unwrap();
        assert!(folder.path().join("s.csv.part").exists());
        drop(rows);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let rows = Rows::create(&path, &["m.a".into()], false).unwrap();
        assert_eq!(rows.finish().unwrap(), 10);
        assert_eq!(fs::read_to_string(&path).unwrap(), "event,m.a\n");
        assert_eq!(may_write(&path, false).unwrap_err().exit, Exit::Settings);
        assert!(may_write(&path, true).is_ok() && may_write(Path::new("-"), false).is_ok());
        assert!(may_write(&folder.path().join("s.txt"), false).unwrap_err().message.contains(".npy or .csv"));
    }
}
