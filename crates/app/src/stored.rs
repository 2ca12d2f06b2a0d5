//! Files of stored records with everything that they carry: schema, menu, models.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tamis_event::Schema;
use tamis_event::record::Record;
use tamis_menu::Menu;
use tamis_model::Bundle;
use tamis_store::{Ending, ReadError, Reader, RecoverError};

use crate::exit::OrFail;
use crate::models::{REFERENCE, Rules};
use crate::{Exit, Failure};

/// What a file says about its records.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) schema: Schema,
    pub(crate) rules: Rules,
    pub(crate) stream: String,
    /// The engine that the run was to use, as it was written.
    pub(crate) engine: String,
    pub(crate) metadata: Vec<(String, String)>,
    /// Names of the lines, in the order of their bits.
    pub(crate) lines: Vec<String>,
    /// Names of the models, in the order of the menu.
    pub(crate) models: Vec<String>,
    /// Names of the scores, in the order of the record.
    pub(crate) scores: Vec<String>,
}

/// An open file of stored records.
#[derive(Debug)]
pub(crate) struct StoredFile {
    pub(crate) about: About,
    place: String,
    reader: Reader,
}

/// How reading ended.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Was the file closed in order?
    pub(crate) complete: bool,
    /// Damaged stretches and records that were passed over, one sentence each.
    pub(crate) damage: Vec<String>,
}

impl StoredFile {
    /// Opens a file and loads what it carries, with every check of a live run.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let place = path.display().to_string();
        let reader = Reader::open(path).or_fail(Exit::Input)?;
        let lost = |what: &str| {
            Failure::new(
                Exit::Input,
                format!("{place}: {what} is lost; nothing can be said about its records"),
            )
        };
        let schema = Schema::parse(reader.schema_text().ok_or_else(|| lost("the schema"))?.as_bytes());
        let schema =
            schema.map_err(|error| format!("{place}: attached schema: {error}")).or_fail(Exit::Input)?;
        let menu_text = reader.menu_text().ok_or_else(|| lost("the menu"))?;
        let menu = Menu::parse(menu_text, &format!("{place}: attached menu")).or_fail(Exit::Input)?;
        let mut bundles = Vec::new();
        for model in menu.models() {
            let choice = |choice: usize| {
                let name = tamis_store::Bundle::attachment(&model.name, choice);
                let tar = reader.attachments().iter().find(|attachment| attachment.name == name);
                let tar = tar.ok_or_else(|| lost(&format!("attachment {name}")))?;
                Bundle::from_tar(&tar.data, &format!("{place}: {name}")).or_fail(Exit::Input)
            };
            let choices = (0..=model.fallback.len()).map(choice).collect::<Result<_, _>>()?;
            bundles.push((model.name.clone(), choices));
        }
        let metadata: Vec<(String, String)> = reader.metadata().clone().into_iter().collect();
        let engine = metadata.iter().find(|(key, _)| key == "engine").map(|(_, value)| value.clone());
        let engine = engine.unwrap_or_else(|| REFERENCE.to_string());
        // A file can be looked at wherever it was made.
        let rules = Rules::bind(menu, bundles, &schema, REFERENCE)?;
        let lines = rules.compiled.lines().iter().map(|line| line.name.clone()).collect();
        let models = rules.menu.models().iter().map(|model| model.name.clone()).collect();
        let scores = rules.score_names();
        let stream = reader.stream().unwrap_or_default().to_owned();
        Ok(Self {
            about: About { schema, rules, stream, engine, metadata, lines, models, scores },
            place,
            reader,
        })
    }

    /// Calls `each` for every record, in order, until it says `false`. Damage is passed over and told.
    pub(crate) fn read(mut self, mut each: impl FnMut(&About, Record<'_>) -> bool) -> Result<Read, Failure> {
        let mut read = Read::default();
        loop {
            match self.reader.next_record() {
                Ok(Some(entry)) => match Record::parse(entry.record) {
                    Ok(record) => {
                        if !each(&self.about, record) {
                            break;
                        }
                    }
                    Err(error) => {
                        read.damage.push(format!("{}: record {}: {error}", self.place, entry.number));
                    }
                },
                Ok(None) => break,
                Err(error @ ReadError::Damaged { .. }) => read.damage.push(error.to_string()),
                Err(error) => return Err(Failure::new(Exit::Input, error)),
            }
        }
        read.complete = matches!(self.reader.ending(), Some(Ending::Closed));
        Ok(read)
    }
}

/// What was brought back from a file that was never closed.
#[derive(Clone, Debug, Serialize)]
pub struct Recovery {
    /// The new file.
    pub file: PathBuf,
    /// Records in it.
    pub records: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Bytes of the old file that could not be used.
    pub lost_bytes: u64,
    /// What the new file lacks, apart from a torn end: chunks from the middle, its schema, menu or models. One sentence each.
    pub problems: Vec<String>,
}

/// Makes a whole file of every chunk of `part` that was written completely. `part` is left as it is.
pub fn recover(part: &Path, out: Option<&Path>) -> Result<Recovery, Failure> {
    let report = tamis_store::recover(part, out).map_err(|error| {
        let exit = match error {
            RecoverError::Read(_) | RecoverError::Nothing { .. } => Exit::Input,
            RecoverError::NoName { .. } => Exit::Settings,
            RecoverError::Write { .. } => Exit::Storage,
        };
        Failure::new(exit, error)
    })?;
    let (file, records, bytes, lost_bytes) = (report.file, report.records, report.bytes, report.lost_bytes);
    // A torn end is what a killed process leaves. Anything else that is missing must be said.
    let mut problems = Vec::new();
    let check = tamis_store::check(&file).or_fail(Exit::Storage)?;
    problems.extend(check.problems.iter().map(|problem| format!("{}: {problem}", file.display())));
    problems.extend(StoredFile::open(&file).err().map(|failure| failure.message));
    Ok(Recovery { file, records, bytes, lost_bytes, problems })
}

impl Recovery {
    /// [`Exit::Done`] if everything that had reached the file is back, else [`Exit::Losses`].
    pub fn exit(&self) -> Exit {
        if self.problems.is_empty() { Exit::Done } else { Exit::Losses }
    }
}
