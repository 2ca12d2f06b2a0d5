//! `tamis convert`: tables to recordings.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;
use tamis_app::{ConvertSettings, Exit, Failure};
use tamis_source::convert::{Changes, ConvertReport, Ids, Options};

use super::{Group, Run};
use crate::figures;
use crate::output::{Document, print, print_json, say};
use crate::table::TextTable;
use crate::words::or_words;

/// No remark is made about fewer frames than this.
const FEW_FRAMES: u64 = 100;
/// A remark is made if frames have fewer events than this on average.
const EVENTS_PER_FRAME: u64 = 4;
/// Most columns that are named; further ones are only counted.
const SHOWN: usize = 20;

/// Make a recording of a CSV table or a NumPy array
///
/// Columns feed the fields that they are named after, in upper or lower case; other names are mapped. Every number of a record must be fed. Values
/// that change when they are stored, NaN and infinities are counted by column; what cannot be kept is an error with its row and column.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// CSV with a header line (commas, semicolons, tabs or bars between columns) or a .npy array, compressed with zstd or not; - is standard
    /// input
    #[arg(value_name = "TABLE")]
    table: PathBuf,
    /// The schema of the events
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// The recording to write (.tmf or .tmf.zst)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Feed a field (met.pt), an element (jets.pt[3]) or the number of elements of a list (count(jets)) from a column of another name; can be given
    /// several times. Shells need quotes around brackets
    #[arg(long, value_name = "COLUMN=FIELD", value_parser = column)]
    map: Vec<(String, String)>,
    /// Where event ids come from: label (from a column; a second one in a run is refused), number (rows are numbered from 0 in each run), or
    /// ignore (neither ids nor runs are read; rows are numbered from 0) [default: label, if there is a column of event ids]
    #[arg(long, value_name = "HOW", value_parser = or_words(ids, &["label", "number", "ignore"]))]
    ids: Option<Ids>,
    /// Column of event ids [default: event, if there is one]
    #[arg(long, value_name = "COLUMN")]
    event_column: Option<String>,
    /// Column of run numbers [default: run, if there is one]
    #[arg(long, value_name = "COLUMN")]
    run_column: Option<String>,
    /// Column of event times, in whole nanoseconds since the start of the run [default: `time_ns`, if there is one and no field is
    /// called so]
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
    /// Column of the truth label
    #[arg(long, value_name = "COLUMN")]
    label_column: Option<String>,
    /// Clamp values that do not fit their field, and count them, instead of refusing the table
    #[arg(long)]
    saturate: bool,
    /// Run number of all events, if there is no column
    #[arg(long, value_name = "N", default_value_t = 1)]
    run: u32,
    /// Source that the frames claim to come from
    #[arg(long, value_name = "N", default_value_t = 0)]
    source_id: u16,
    /// Replace the recording if it exists
    #[arg(long)]
    overwrite: bool,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Converted<'a> {
    path: String,
    events: u64,
    frames: u64,
    bytes: u64,
    ids_from_column: bool,
    times_from_column: bool,
    uncompared_ids: u64,
    ignored_columns: &'a [String],
    clamped: Vec<Counted<'a>>,
    rounded: Vec<Rounded<'a>>,
    nan: Vec<Counted<'a>>,
    infinite: Vec<Counted<'a>>,
}

#[derive(Debug, Serialize)]
struct Counted<'a> {
    column: &'a str,
    values: u64,
}

#[derive(Debug, Serialize)]
struct Rounded<'a> {
    column: &'a str,
    values: u64,
    largest_change: f64,
    largest_row: u64,
}

impl Run for Args {
    const NAME: &'static str = "convert";
    const GROUP: Group = Group::Data;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("convert events.csv --schema schema.toml --out events.tmf", "columns are named after fields"),
        (
            "convert z.csv --schema z.toml --out z.tmf --map 'pt1=muons.pt[0]' --map 'pt2=muons.pt[1]'",
            "they are not",
        ),
        ("convert candidates.csv --schema z.toml --out z.tmf --ids number", "several rows of one event"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let options = Options {
            map: self.map,
            ids: self.ids,
            event_column: self.event_column,
            run_column: self.run_column,
            time_column: self.time_column,
            label_column: self.label_column,
            saturate: self.saturate,
            run: self.run,
            source_id: self.source_id,
        };
        let input = self.table;
        let schema = self.schema;
        let out = self.out;
        let overwrite = self.overwrite;
        let (report, written) =
            tamis_app::convert(&ConvertSettings { input, schema, out, overwrite, options })?;
        let changes = &report.changes;
        let converted = Converted {
            path: written.path.display().to_string(),
            events: report.events,
            frames: report.frames,
            bytes: written.bytes,
            ids_from_column: report.id_column.is_some(),
            times_from_column: report.time_column.is_some(),
            uncompared_ids: report.uncompared,
            ignored_columns: &report.ignored,
            clamped: counted(changes, |changes| changes.clamped),
            rounded: changes.iter().filter(|changes| changes.rounded > 0).map(rounded).collect(),
            nan: counted(changes, |changes| changes.nan),
            infinite: counted(changes, |changes| changes.infinite),
        };
        if self.json {
            print_json(&Document::new(&converted))?;
        } else {
            print(&render(&converted, &report))?;
        }
        warn(&report);
        Ok(Exit::Done)
    }
}

fn counted(changes: &[Changes], of: impl Fn(&Changes) -> u64) -> Vec<Counted<'_>> {
    let counted = changes.iter().map(|changes| Counted { column: &changes.column, values: of(changes) });
    counted.filter(|counted| counted.values > 0).collect()
}

fn rounded(changes: &Changes) -> Rounded<'_> {
    let Changes { column, rounded, largest_change, largest_row, .. } = changes;
    Rounded { column, values: *rounded, largest_change: *largest_change, largest_row: *largest_row }
}

fn render(converted: &Converted<'_>, report: &ConvertReport) -> String {
    let ids = report.id_column.as_ref().map(|column| format!("from column '{column}'"));
    let mut text = format!(
        "{}: {} in {}, {}; event ids {}\n",
        converted.path,
        figures::counted(converted.events, "event"),
        figures::counted(converted.frames, "frame"),
        figures::bytes(converted.bytes),
        ids.as_deref().unwrap_or("count from 0"),
    );
    if !report.changes.is_empty() {
        let mut table = TextTable::default()
            .left("Changed column")
            .right("clamped")
            .right("rounded")
            .right("largest\nchange")
            .right("NaN")
            .right("infinite");
        for changes in &report.changes {
            let count = |n: u64| if n == 0 { String::new() } else { figures::grouped(n) };
            let change =
                if changes.rounded == 0 { String::new() } else { figures::small(changes.largest_change) };
            table.row([
                changes.column.clone(),
                count(changes.clamped),
                count(changes.rounded),
                change,
                count(changes.nan),
                count(changes.infinite),
            ]);
        }
        let _ = write!(text, "\n{}", table.render());
    }
    text
}

fn warn(report: &ConvertReport) {
    if !report.ignored.is_empty() {
        say(format_args!("columns that feed nothing were ignored: {}", some_of(&report.ignored)));
    }
    if report.uncompared > 0 {
        say(format_args!(
            "the ids of the last {} rows were not compared with those of all rows before: there are too many; sort the table by run and event, and all are",
            figures::grouped(report.uncompared)
        ));
    }
    // A frame has 64 bytes of its own and begins at a multiple of 64.
    let ConvertReport { events, frames, .. } = *report;
    if frames >= FEW_FRAMES && events < frames * EVENTS_PER_FRAME {
        say(format_args!(
            "{} take {} of at least 128 bytes, and longer to replay, because the run changes from row to row; sort the table by run, or give --ids \
             ignore if runs do not matter",
            figures::counted(events, "event"),
            figures::counted(frames, "frame"),
        ));
    }
}

/// Names, as many as people read.
fn some_of(names: &[String]) -> String {
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// `label`, `number` or `ignore`.
fn ids(text: &str) -> Result<Ids, &'static str> {
    match text {
        "label" => Ok(Ids::Label),
        "number" => Ok(Ids::Number),
        "ignore" => Ok(Ids::Ignore),
        _ => Err("write label, number or ignore"),
    }
}

/// `COLUMN=FIELD`; a column's name may contain `=`, a field's may not.
fn column(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((column, field)) if !column.is_empty() && !field.is_empty() => Ok((column.into(), field.into())),
        _ => Err("write a column and a field, as in 'pt1=muons.pt[0]'".into()),
    }
}
