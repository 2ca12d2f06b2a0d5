//! `RUN.ledger.jsonl`: the books of every segment as it ends, and of the whole run.
//!
//! A segment of which frames come when its books were closed already, because others had begun, gets a further line: lines of one run and segment add up.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tamis_ledger::LineTally;
use tamis_menu::CompiledMenu;
use tamis_pipeline::SegmentBooks;

use crate::exit::OrFail;
use crate::{DOCUMENT_VERSION, Exit, Failure, Ledger, Report};

/// An open ledger file. A failure to write is kept until the end: the books are in the report as well.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    menu: Arc<CompiledMenu>,
    error: Option<std::io::Error>,
}

/// One line of the file.
#[derive(Serialize)]
struct SegmentLine<'a> {
    tamis: &'static str,
    schema: u32,
    run: u32,
    segment: u32,
    ledger: Ledger,
    lines: Vec<LineBooks<'a>>,
}

#[derive(Serialize)]
struct LineBooks<'a> {
    name: &'a str,
    #[serde(flatten)]
    counts: LineTally,
}

/// The last line of the file.
#[derive(Serialize)]
struct FinalLine<'a> {
    r#final: bool,
    #[serde(flatten)]
    report: &'a Report,
}

impl Journal {
    /// Begins the file; it must not exist.
    pub(crate) fn create(folder: &Path, run_name: &str, menu: Arc<CompiledMenu>) -> Result<Self, Failure> {
        let path = folder.join(format!("{run_name}.ledger.jsonl"));
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file
            .map_err(|error| {
                format!(
                    "{}: cannot be created: {error}; if another run writes here, give this one a --name",
                    path.display()
                )
            })
            .or_fail(Exit::Storage)?;
        Ok(Self { path, file, menu, error: None })
    }

    /// Appends the books of one segment.
    pub(crate) fn segment(&mut self, books: &SegmentBooks) {
        let menu = self.menu.clone();
        let names = menu.lines().iter().map(|line| line.name.as_str());
        let lines = names.zip(&books.tally.lines).map(|(name, &counts)| LineBooks { name, counts }).collect();
        let (run, segment, ledger) = (books.run, books.segment, Ledger::new(&books.tally, &menu, None));
        self.append(&SegmentLine {
            tamis: env!("CARGO_PKG_VERSION"),
            schema: DOCUMENT_VERSION,
            run,
            segment,
            ledger,
            lines,
        });
    }

    /// Appends the final line, makes the file durable and gives the report back, with a problem more if that failed.
    pub(crate) fn finish(mut self, mut report: Report) -> Report {
        self.append(&FinalLine { r#final: true, report: &report });
        if self.error.is_none() {
            self.error = self.file.sync_all().err();
        }
        if let Some(error) = self.error {
            let message = format!("{}: the ledger could not be written: {error}", self.path.display());
            report.add_problem(Exit::Storage, message);
        }
        report
    }

    fn append(&mut self, line: &impl Serialize) {
        if self.error.is_none() {
            let mut text = serde_json::to_vec(line).expect("plain data serialises");
            text.push(b'\n');
            self.error = self.file.write_all(&text).err();
        }
    }
}
