//! `tamis info`: what is in a file.

use std::fmt::Write;
use std::path::PathBuf;

use tamis_app::{Exit, Extent, Failure, Info, PayloadSizes, RecordingInfo, RecordsInfo};
use tamis_ledger::{Cause, Corrupt};

use super::{Group, Run};
use crate::figures::{bytes, counted, grouped, grouped_signed, share, time_ns};
use crate::output::{Document, Ended, print, print_json, say};
use crate::table::TextTable;

/// Show what is in a recording or a file of stored events
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A recording (.tmf, .tmf.zst, or - for standard input) or stored events (.mcap, .mcap.part)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    const NAME: &'static str = "info";
    const GROUP: Group = Group::Files;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("info l1-mixed.tmf.zst", "schema, runs and event ids of a recording"),
        ("info out/l1-mixed-physics-0001.mcap --json", "what was kept by which line, for a program"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let info = tamis_app::info(&self.file)?;
        let (problems, exit) = match &info {
            Info::Recording(info) => (&info.problems, info.exit),
            Info::Records(info) => (&info.problems, info.exit),
        };
        if self.json {
            print_json(&Document::new(Ended::new(&info, exit)))?;
        } else {
            let text = match &info {
                Info::Recording(info) => recording(info),
                Info::Records(info) => records(info),
            };
            print(&format!("{}: {text}", tamis_app::place_of(&self.file)))?;
        }
        problems.iter().for_each(say);
        Ok(exit)
    }
}

fn recording(info: &RecordingInfo) -> String {
    let mut text = format!(
        "a recording, {}\n{} of {}\nschema {} ({}), {} bytes per record\n{}{}\n",
        size(info),
        counted(info.frames, "frame"),
        extent(&info.extent),
        info.schema,
        info.schema_id,
        info.record_bytes,
        times(&info.extent, if info.event_times { "events" } else { "frames" }),
        payloads(&info.extent),
    );
    let mut fields = TextTable::default().left("Field").left("type").left("unit").left("");
    for field in &info.fields {
        let dtype = match (&field.list, field.elements) {
            (Some(_), most) => format!("{}[0..{most}]", field.dtype),
            (None, 1) => field.dtype.into(),
            (None, elements) => format!("{}[{elements}]", field.dtype),
        };
        fields.row([field.name.clone(), dtype, field.unit.clone(), field.doc.clone()]);
    }
    text.push_str(&fields.render());
    let mut corrupt = TextTable::default().left("Lost").right("count").left("");
    for (cause, n) in info.corrupt.iter().filter(|&(_, n)| n > 0) {
        let what =
            if cause == Corrupt::Dup { "events that came before" } else { "frames or stretches of bytes" };
        corrupt.row([cause.name().into(), grouped(n), what.into()]);
    }
    if info.missing != 0 {
        corrupt.row(["missing".into(), grouped_signed(info.missing), "ids that were skipped over".into()]);
    }
    if info.corrupt.total() > 0 || info.missing != 0 {
        let _ = write!(text, "\n{}", corrupt.render());
    }
    text
}

/// `11.6 MB`, `609 kB (11.6 MB decompressed)`; standard input has no size but that of the stream.
fn size(info: &RecordingInfo) -> String {
    match info.file_bytes {
        0 => bytes(info.bytes),
        same if same == info.bytes => bytes(same),
        packed => format!("{} ({} decompressed)", bytes(packed), bytes(info.bytes)),
    }
}

fn records(info: &RecordsInfo) -> String {
    let mut text = format!(
        "stored events of stream '{}', {}{}\n{}{}\nschema {}, menu {} ({}), models {}\n{}{}\n",
        info.stream,
        bytes(info.file_bytes),
        if info.complete { "" } else { ", NOT CLOSED IN ORDER: tamis recover makes a whole file of it" },
        extent(&info.extent),
        remarks(info),
        info.schema,
        info.menu,
        info.menu_hash,
        if info.models.is_empty() { "none".into() } else { info.models.join(", ") },
        times(&info.extent, "events"),
        payloads(&info.extent),
    );
    let mut lines = TextTable::default().left("Line").right("kept").right("share");
    for (name, kept) in &info.lines {
        lines.row([name.clone(), grouped(*kept), share(*kept, info.extent.events)]);
    }
    text.push_str(&lines.render());
    let mut metadata = TextTable::default().left("Key").left("value");
    info.metadata.iter().for_each(|(key, value)| metadata.row([key.clone(), value.clone()]));
    if !info.metadata.is_empty() {
        let _ = write!(text, "\n{}", metadata.render());
    }
    text
}

/// What is wrong with the events.
fn remarks(info: &RecordsInfo) -> String {
    let remarks = [
        (info.faults, "could not be scored"),
        (info.degraded, "were scored by a stand-in"),
        (info.lost, "more are LOST"),
    ];
    let told = remarks.iter().filter(|&&(events, _)| events > 0);
    told.map(|&(events, what)| format!("; {} {what}", grouped(events))).collect()
}

/// What the payloads are, on a line of its own; nothing if events have none.
fn payloads(extent: &Extent) -> String {
    let Some(PayloadSizes { doc, bytes: all, shortest, longest }) = &extent.payloads else {
        return String::new();
    };
    let doc = if doc.is_empty() { String::new() } else { format!(": {doc}") };
    match (shortest, longest) {
        (Some(shortest), Some(longest)) => {
            let [shortest, longest, all] = [shortest, longest, all].map(|size| bytes(*size));
            format!("payloads of {shortest} to {longest}, {all} in all{doc}\n")
        }
        _ => format!("payloads{doc}\n"),
    }
}

/// From when to when these are; nothing if no time is known.
fn times(extent: &Extent, of: &str) -> String {
    let (Some(first), Some(last)) = (extent.first_time_ns, extent.last_time_ns) else { return String::new() };
    format!("times of {of} from {} to {}\n", time_ns(first), time_ns(last))
}

fn extent(extent: &Extent) -> String {
    let (Some(first), Some(last)) = (extent.first_id, extent.last_id) else { return "0 events".into() };
    let runs: Vec<String> = extent.runs.iter().map(u32::to_string).collect();
    let (last_run, others) = runs.split_last().expect("the events have a run");
    let others = if others.is_empty() { String::new() } else { format!("{} and ", others.join(", ")) };
    format!(
        "{}, ids {first} to {last}, {} {others}{last_run}, {}",
        counted(extent.events, "event"),
        if runs.len() == 1 { "run" } else { "runs" },
        counted(extent.segments as u64, "segment"),
    )
}
