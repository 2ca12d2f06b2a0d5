//! Making recordings: from tables, and from nothing but a seed.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use tamis_event::Schema;
use tamis_sim::{GenOptions, Generated, Generator};
use tamis_source::convert::{ConvertError, ConvertReport, Options, csv, npy};
use tamis_source::{TmfWriter, Written};

use crate::exit::OrFail;
use crate::{Exit, Failure};

/// First bytes of a NumPy array file.
const NPY_MAGIC: &[u8] = b"\x93NUMPY";

/// A conversion, as asked for.
#[derive(Clone, Debug)]
pub struct ConvertSettings {
    /// The table: CSV with a header line, or a 2-D `.npy` array; `-` reads CSV from standard input.
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
    let place = settings.input.display().to_string();
    let is_stdin = settings.input == Path::new("-");
    let mut reader: Box<dyn Read> = if is_stdin {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(&settings.input).map_err(|error| format!("{place}: cannot be read: {error}"));
        Box::new(BufReader::new(file.or_fail(Exit::Input)?))
    };
    let mut magic = Vec::new();
    (&mut reader)
        .take(NPY_MAGIC.len() as u64)
        .read_to_end(&mut magic)
        .map_err(|error| format!("{place}: cannot be read: {error}"))
        .or_fail(Exit::Input)?;
    let is_npy = magic == NPY_MAGIC;
    let whole = std::io::Cursor::new(magic).chain(reader);
    let mut writer = TmfWriter::create(&settings.out, &schema, settings.overwrite).or_fail(Exit::Storage)?;
    let report = if is_npy {
        npy(whole, &place, &schema, &settings.options, &mut writer)
    } else {
        csv(whole, &place, &schema, &settings.options, &mut writer)
    };
    let report = report.map_err(|error| match error {
        ConvertError::Write(_) => Failure::new(Exit::Storage, error),
        _ => Failure::new(Exit::Input, error),
    })?;
    Ok((report, writer.finish().or_fail(Exit::Storage)?))
}

/// A synthetic recording, as asked for.
#[derive(Clone, Debug)]
pub struct GenSettings {
    /// The schema of the events.
    pub schema: PathBuf,
    /// How many events.
    pub events: u64,
    /// The recording to write (`.tmf` or `.tmf.zst`).
    pub out: PathBuf,
    /// Replace `out` if it exists.
    pub overwrite: bool,
    /// Seed, rate, frames, signal.
    pub options: GenOptions,
}

/// Generates a synthetic recording. `progress` gets the number of events so far, once per frame.
pub fn generate(
    settings: &GenSettings,
    mut progress: impl FnMut(u64),
) -> Result<(Generated, Written), Failure> {
    let schema = read_schema(&settings.schema)?;
    let generator = Generator::new(&schema, settings.options.clone()).or_fail(Exit::Settings)?;
    let mut writer = TmfWriter::create(&settings.out, &schema, settings.overwrite).or_fail(Exit::Storage)?;
    let mut events = 0;
    let generated = generator.generate(settings.events, |frame| {
        writer.write_frame(frame)?;
        events += tamis_event::FrameHeader::read(frame).map_or(0, |header| u64::from(header.n_events));
        progress(events);
        Ok::<(), tamis_source::WriteError>(())
    });
    let generated = generated.or_fail(Exit::Storage)?;
    Ok((generated, writer.finish().or_fail(Exit::Storage)?))
}

/// Reads a schema file.
pub(crate) fn read_schema(path: &Path) -> Result<Schema, Failure> {
    let place = path.display();
    let text = std::fs::read(path).map_err(|error| format!("{place}: the schema cannot be read: {error}"));
    Schema::parse(&text.or_fail(Exit::Input)?)
        .map_err(|error| format!("{place}: {error}"))
        .or_fail(Exit::Input)
}
