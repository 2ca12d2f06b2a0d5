//! `tamis convert`: tables to recordings.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;
use tamis_app::{ConvertSettings, Exit, Failure};
use tamis_source::convert::{ConvertReport, Options};

use super::{Group, Run};
use crate::figures;
use crate::output::{Document, print, print_json, say};
use crate::table::Table;

/// Make a recording of a CSV table or a NumPy array
///
/// Columns feed the fields that they are named after; other names are mapped. Every number of a record must be fed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// CSV with a header line or a 2-D .npy array; - reads CSV from standard input
    #[arg(value_name = "TABLE")]
    table: PathBuf,
    /// The schema of the events
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// The recording to write (.tmf or .tmf.zst)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Feed a field (met.pt) or element (jets.pt[3]) from a column of another name; can be given several times
    #[arg(long, value_name = "COLUMN=FIELD", value_parser = column)]
    map: Vec<(String, String)>,
    /// Column of event ids [default: event, if there is one; else ids count from 0]
    #[arg(long, value_name = "COLUMN")]
    event_column: Option<String>,
    /// Column of run numbers [default: run, if there is one]
    #[arg(long, value_name = "COLUMN")]
    run_column: Option<String>,
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
    ignored_columns: &'a [String],
    clamped: Vec<Clamped<'a>>,
}

#[derive(Debug, Serialize)]
struct Clamped<'a> {
    column: &'a str,
    values: u64,
}

impl Run for Args {
    const NAME: &'static str = "convert";
    const GROUP: Group = Group::Data;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("convert events.csv --schema schema.toml --out events.tmf", "columns are named after fields"),
        ("convert z.csv --schema z.toml --out z.tmf --map pt1=muons.pt[0] --map pt2=muons.pt[1]", "they are not"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let options = Options {
            map: self.map,
            event_column: self.event_column,
            run_column: self.run_column,
            label_column: self.label_column,
            saturate: self.saturate,
            run: self.run,
            source_id: self.source_id,
        };
        let (input, schema, out, overwrite) = (self.table, self.schema, self.out, self.overwrite);
        let (report, written) = tamis_app::convert(&ConvertSettings { input, schema, out, overwrite, options })?;
        let clamped = report.clamped.iter().map(|(column, values)| Clamped { column, values: *values }).collect();
        let converted = Converted {
            path: written.path.display().to_string(),
            events: report.events,
            frames: report.frames,
            bytes: written.bytes,
            ids_from_column: report.labelled,
            ignored_columns: &report.ignored,
            clamped,
        };
        if self.json {
            print_json(&Document::new(&converted))?;
        } else {
            print(&render(&converted))?;
        }
        warn(&report);
        Ok(Exit::Done)
    }
}

fn render(converted: &Converted<'_>) -> String {
    let mut text = format!(
        "{}: {} events in {} frames, {}; event ids {}\n",
        converted.path,
        figures::grouped(converted.events),
        figures::grouped(converted.frames),
        figures::bytes(converted.bytes),
        if converted.ids_from_column { "from the table" } else { "count from 0" },
    );
    if !converted.clamped.is_empty() {
        let mut table = Table::default().left("Clamped column").right("values");
        converted.clamped.iter().for_each(|clamped| table.row([clamped.column.into(), figures::grouped(clamped.values)]));
        let _ = write!(text, "\n{}", table.render());
    }
    text
}

fn warn(report: &ConvertReport) {
    if !report.ignored.is_empty() {
        say(format_args!("columns that feed nothing were ignored: {}", report.ignored.join(", ")));
    }
}

/// `COLUMN=FIELD`; a column's name may contain `=`, a field's may not.
fn column(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((column, field)) if !column.is_empty() && !field.is_empty() => Ok((column.into(), field.into())),
        _ => Err("write a column and a field, as in pt1=muons.pt[0]".into()),
    }
}
