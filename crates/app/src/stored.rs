//! Files of stored records with everything that they carry: schema, menu, models.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tamis_event::Schema;
use tamis_event::record::Record;
use tamis_menu::Menu;
use tamis_model::Bundle;
use tamis_store::{Ending, ReadError, Reader, RecoverError};

use crate::exit::OrFail;
use crate::models::{REFERENCE, Rules};
use crate::{Exit, Failure};

/// What a file says about its records. If a part of this is damaged, only what needs that part is hidden.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) schema: Schema,
    /// The rules that decide the events again, or why that is not possible.
    pub(crate) rules: Result<Arc<Rules>, String>,
    pub(crate) stream: String,
    /// The engine that the run was to use, as it was written.
    pub(crate) engine: String,
    pub(crate) metadata: Vec<(String, String)>,
    /// Names of the lines, in the order of their bits; none if the menu is lost.
    pub(crate) lines: Vec<String>,
    /// Names of the models, in the order of the menu.
    pub(crate) models: Vec<String>,
    /// Their versions, as far as they are there, each followed by its fallbacks.
    pub(crate) versions: Vec<String>,
    /// Names of the scores, in the order of the record; none if a model is lost.
    pub(crate) scores: Vec<String>,
}

impl About {
    /// The rules that decide again, for a caller that has checked that they are there.
    pub(crate) fn rules(&self) -> &Arc<Rules> {
        self.rules.as_ref().expect("it was asked for first")
    }

    /// A word of the metadata.
    pub(crate) fn word(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }
}

/// The rules of the last file that was opened, ready for the next one: the files of a run carry the same, and loading models takes longer than
/// reading a small file.
#[derive(Debug, Default)]
pub(crate) struct LastRules(Option<([u8; 32], Arc<Rules>)>);

impl LastRules {
    /// The rules that a file carries, with every check of a live run.
    fn of(
        &mut self,
        reader: &Reader,
        menu: Menu,
        schema: &Schema,
        place: &str,
    ) -> Result<Arc<Rules>, String> {
        let mut sha = Sha256::new();
        let texts = [schema.text(), menu.text()];
        let models =
            reader.attachments().iter().map(|attachment| (attachment.name.as_str(), &attachment.data[..]));
        for (name, data) in texts.map(|text| ("", text.as_bytes())).into_iter().chain(models) {
            sha.update((name.len() as u64).to_le_bytes());
            sha.update(name);
            sha.update((data.len() as u64).to_le_bytes());
            sha.update(data);
        }
        let carried: [u8; 32] = sha.finalize().into();
        if let Some((_, rules)) = self.0.as_ref().filter(|(last, _)| *last == carried) {
            return Ok(rules.clone());
        }
        let bundles = bundles(reader, &menu, place)?;
        let rules = Rules::bind(menu, bundles, schema, REFERENCE).map_err(|failure| failure.message)?;
        let (_, rules) = self.0.insert((carried, Arc::new(rules)));
        Ok(rules.clone())
    }
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
    /// Events that the file says it has, and that could not be read.
    pub(crate) lost: u64,
}

impl Read {
    /// [`Exit::Losses`] if the file is damaged.
    pub(crate) fn exit(&self) -> Exit {
        if self.damage.is_empty() { Exit::Done } else { Exit::Losses }
    }
}

impl StoredFile {
    /// Opens a file and loads what it carries, with every check of a live run.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        Self::open_next(path, &mut LastRules::default())
    }

    /// Like [`Self::open`], after another file, which may have carried the same rules.
    pub(crate) fn open_next(path: &Path, last: &mut LastRules) -> Result<Self, Failure> {
        let place = path.display().to_string();
        let reader = Reader::open(path).or_fail(Exit::Input)?;
        let Some(schema) = reader.schema_text() else {
            let message =
                format!("{place}: the schema is lost, twice; nothing can be said about its records");
            return Err(Failure::new(Exit::Input, message));
        };
        let schema = Schema::parse(schema.as_bytes());
        let schema = schema.map_err(|error| format!("{place}: its schema: {error}")).or_fail(Exit::Input)?;
        let menu = reader.menu_text().ok_or_else(|| format!("{place}: attachment menu.toml is lost"));
        let menu = menu.and_then(|text| {
            Menu::parse(text, &format!("{place}: attached menu")).map_err(|error| error.to_string())
        });
        let lines = menu.iter().flat_map(Menu::line_names).map(String::from).collect();
        let models = menu.iter().flat_map(Menu::models).map(|model| model.name.clone()).collect();
        // A file can be examined wherever it was made.
        let rules = menu.and_then(|menu| last.of(&reader, menu, &schema, &place));
        let scores = rules.iter().flat_map(|rules| rules.score_names()).collect();
        let versions = rules.iter().flat_map(|rules| &rules.bundles).flat_map(named_choices).collect();
        let metadata: Vec<(String, String)> = reader.metadata().clone().into_iter().collect();
        let engine = metadata.iter().find(|(key, _)| key == "engine").map(|(_, value)| value.clone());
        let engine = engine.unwrap_or_else(|| REFERENCE.to_string());
        let stream = reader.stream().unwrap_or_default().to_owned();
        let about = About { schema, rules, stream, engine, metadata, lines, models, versions, scores };
        Ok(Self { about, place, reader })
    }

    /// Calls `each` for every record, in order, until it returns `false`. It passes over damage and reports it.
    pub(crate) fn read(mut self, mut each: impl FnMut(&About, Record<'_>) -> bool) -> Result<Read, Failure> {
        let mut read = Read::default();
        let mut found = 0;
        loop {
            match self.reader.next_record() {
                Ok(Some(entry)) => match Record::parse(entry.record) {
                    Ok(record) => {
                        found += 1;
                        if !each(&self.about, record) {
                            break;
                        }
                    }
                    Err(error) => {
                        read.lost += 1;
                        read.damage.push(format!("{}: record {}: {error}", self.place, entry.number));
                    }
                },
                Ok(None) => break,
                Err(ReadError::Damaged { at, flaw, .. }) => {
                    read.damage.push(format!("{}: byte {at}: {flaw}", self.place));
                }
                Err(error) => return Err(Failure::new(Exit::Input, error)),
            }
        }
        read.complete = matches!(self.reader.ending(), Some(Ending::Closed));
        read.damage.extend(self.reader.ending().and_then(|ending| lost_end(Path::new(&self.place), ending)));
        read.lost += self.reader.lost_records();
        if read.lost > 0 {
            let all = read.lost + found;
            read.damage.push(format!("{}: {} of {all} events are lost", self.place, read.lost));
        }
        read.damage.extend(twice(Path::new(&self.place), self.reader.repeated_records()));
        if let Err(reason) = &self.about.rules {
            read.damage.push(format!("{reason}; the decisions cannot be made again"));
        }
        Ok(read)
    }
}

/// The bundles that a file carries for the models of its menu.
fn bundles(reader: &Reader, menu: &Menu, place: &str) -> Result<Vec<(String, Vec<Bundle>)>, String> {
    let of = |model: &tamis_menu::ModelRef| {
        let choice = |choice: usize| {
            let name = tamis_store::ModelArchive::attachment(&model.name, choice);
            let tar = reader.attachments().iter().find(|attachment| attachment.name == name);
            let tar = tar.ok_or_else(|| format!("{place}: attachment {name} is lost"))?;
            Bundle::from_tar(&tar.data, &format!("{place}: {name}")).map_err(|error| error.to_string())
        };
        let choices = (0..=model.fallback.len()).map(choice).collect::<Result<_, String>>()?;
        Ok((model.name.clone(), choices))
    };
    menu.models().iter().map(of).collect()
}

/// `anomaly 1.2.0`, and `anomaly (fallback 1) 0.9.0`.
fn named_choices((name, choices): &(String, Vec<Bundle>)) -> Vec<String> {
    let named = |(choice, bundle): (usize, &Bundle)| match choice {
        0 => format!("{name} {}", bundle.version()),
        _ => format!("{name} (fallback {choice}) {}", bundle.version()),
    };
    choices.iter().enumerate().map(named).collect()
}

/// The sentence about a file that has no end. A file that is being written, or that a killed process left, cannot have one yet, and its name says so.
fn lost_end(path: &Path, ending: &Ending) -> Option<String> {
    let Ending::Torn { at, .. } = ending else { return None };
    let is_unfinished =
        path.extension().is_some_and(|extension| extension == "part" || extension == "recover");
    let lost = || format!("{}: its end is lost, from byte {at} on; it was closed once", path.display());
    (!is_unfinished).then(lost)
}

/// The sentence about records that came before.
fn twice(path: &Path, records: u64) -> Option<String> {
    (records > 0).then(|| format!("{}: {records} records are there twice", path.display()))
}

/// What was brought back from a file that was never closed.
#[derive(Clone, Debug, Serialize)]
pub struct Recovery {
    /// The new file.
    pub file: PathBuf,
    /// Number of records in the new file.
    pub records: u64,
    /// Size of the new file in bytes.
    pub bytes: u64,
    /// Bytes of the old file that could not be used.
    pub lost_bytes: u64,
    /// Number of events that the old file had, as far as that can be known, and that the new one lacks.
    pub lost_events: u64,
    /// What the new file lacks, apart from a torn end: chunks from the middle, its schema, menu or models. One sentence each.
    pub problems: Vec<String>,
}

/// Makes a whole file of every chunk of `part` that was written completely. `part` is left as it is.
pub fn recover(part: &Path, out: Option<&Path>) -> Result<Recovery, Failure> {
    let report = tamis_store::recover(part, out).map_err(|error| {
        let exit = match &error {
            RecoverError::Read(_) | RecoverError::Nothing { .. } | RecoverError::Busy { .. } => Exit::Input,
            RecoverError::NoName { .. } | RecoverError::Exists { .. } => Exit::Settings,
            RecoverError::Write { error, .. } => Exit::of_output(error),
        };
        Failure::new(exit, error)
    })?;
    let file = report.file;
    let records = report.records;
    let bytes = report.bytes;
    let lost_bytes = report.lost_bytes;
    // A torn end is what a killed process leaves. Anything else that is missing must be said.
    let mut problems: Vec<String> =
        report.problems.iter().map(|problem| format!("{}: {problem}", part.display())).collect();
    if report.lost_records > 0 {
        problems.push(format!("{}: {} events are lost", part.display(), report.lost_records));
    }
    problems.extend(twice(part, report.repeated_records));
    problems.extend(lost_end(part, &report.ending));
    let check = tamis_store::check(&file).or_fail(Exit::Storage)?;
    problems.extend(check.problems.iter().map(|problem| format!("{}: {problem}", file.display())));
    problems.extend(
        StoredFile::open(&file)
            .and_then(|stored| stored.about.rules.or_fail(Exit::Input))
            .err()
            .map(|failure| failure.message),
    );
    Ok(Recovery { file, records, bytes, lost_bytes, lost_events: report.lost_records, problems })
}

impl Recovery {
    /// [`Exit::Done`] if everything that had reached the file is back, else [`Exit::Losses`].
    pub fn exit(&self) -> Exit {
        if self.problems.is_empty() { Exit::Done } else { Exit::Losses }
    }
}
