//! Makes recordings from tables, or from a seed alone.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tamis_event::Schema;
use tamis_sim::{GenOptions, Generated, Generator};
use tamis_source::convert::{ConvertError, ConvertReport, Options, table};
use tamis_source::{FileKind, Patient, TmfWriter, WriteError, Written};

use crate::exit::OrFail;
use crate::frames::place_of;
use crate::text_file::read_bytes;
use crate::wrong_file::or_wrong_file;
use crate::{Exit, Failure};

/// A conversion that is asked for.
#[derive(Clone, Debug)]
pub struct ConvertSettings {
    /// The table: CSV with a header line, or a `.npy` array; `-` is standard input.
    pub input: PathBuf,
    /// The schema of the events.
    pub schema: PathBuf,
    /// The recording to write (`.tmf` or `.tmf.zst`).
    pub out: PathBuf,
    /// Replace `out` if it exists.
    pub overwrite: bool,
    /// How the table is read.
    pub options: Options,
}

/// Converts a table into a recording.
pub fn convert(settings: &ConvertSettings) -> Result<(ConvertReport, Written), Failure> {
    let schema = read_schema(&settings.schema)?;
    let place = place_of(&settings.input);
    let reader: Box<dyn Read> = if settings.input == Path::new("-") {
        Box::new(Patient(std::io::stdin().lock()))
    } else {
        let unreadable = |error| format!("{place}: cannot be read: {error}");
        if settings.input.is_dir() {
            return Err(Failure::new(Exit::Input, format!("{place} is a folder; name a table in it")));
        }
        Box::new(File::open(&settings.input).map_err(unreadable).or_fail(Exit::Input)?)
    };
    let mut writer = create(&settings.out, &schema, settings.overwrite)?;
    let report = table(reader, &place, &schema, &settings.options, &mut writer);
    let report = report.map_err(|error| match error {
        ConvertError::Write(error) => unwritten(&error),
        _ => Failure::new(Exit::Input, error),
    })?;
    Ok((report, writer.finish().map_err(|error| unwritten(&error))?))
}

fn create(path: &Path, schema: &Schema, overwrite: bool) -> Result<TmfWriter, Failure> {
    TmfWriter::create(path, schema, overwrite).map_err(|error| match &error {
        WriteError::Io { error: cause, .. } => Failure::new(Exit::of_output(cause), &error),
        _ => unwritten(&error),
    })
}

/// The failure to write a recording: a mistake in the command line if the name cannot be used, else a failure of storage.
fn unwritten(error: &WriteError) -> Failure {
    let exit = match error {
        WriteError::Extension { .. } | WriteError::Exists { .. } => Exit::Settings,
        WriteError::Io { .. } => Exit::Storage,
    };
    Failure::new(exit, error)
}

/// A synthetic recording that is asked for.
#[derive(Clone, Debug)]
pub struct GenSettings {
    /// The schema of the events.
    pub schema: PathBuf,
    /// Number of events.
    pub events: u64,
    /// The recording to write (`.tmf` or `.tmf.zst`).
    pub out: PathBuf,
    /// Replace `out` if it exists.
    pub overwrite: bool,
    /// Events per frame; default: those of [`GenOptions`], or as many as fit.
    pub frame_events: Option<usize>,
    /// Seed, rate, signal, and everything else.
    pub options: GenOptions,
}

/// Generates a synthetic recording. `progress` gets the number of events so far, once per frame.
pub fn generate(
    settings: &GenSettings,
    mut progress: impl FnMut(u64),
) -> Result<(Generated, Written), Failure> {
    let schema = read_schema(&settings.schema)?;
    let usual = settings.options.frame_events.min(Generator::frame_events_max(&schema, &settings.options));
    let options =
        GenOptions { frame_events: settings.frame_events.unwrap_or(usual), ..settings.options.clone() };
    let generator = Generator::new(&schema, options).or_fail(Exit::Settings)?;
    let mut writer = create(&settings.out, &schema, settings.overwrite)?;
    let mut events = 0;
    let generated = generator.generate(settings.events, |frame| {
        writer.write_frame(frame)?;
        events += tamis_event::FrameHeader::read(frame).map_or(0, |header| u64::from(header.n_events));
        progress(events);
        Ok::<(), WriteError>(())
    });
    let generated = generated.map_err(|error| unwritten(&error))?;
    Ok((generated, writer.finish().map_err(|error| unwritten(&error))?))
}

/// Reads a schema file.
pub(crate) fn read_schema(path: &Path) -> Result<Schema, Failure> {
    let place = path.display();
    let text = read_bytes(path).map_err(|error| format!("{place}: the schema cannot be read: {error}"));
    Schema::parse(&text.or_fail(Exit::Input)?)
        .map_err(|error| format!("{place}: {error}"))
        .or_fail(Exit::Input)
        .map_err(|failure| or_wrong_file(path, &[FileKind::Schema], "schema", failure))
}
