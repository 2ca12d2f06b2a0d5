//! End-to-end speed from memory: frames in, accepted events in files, several runs, median and spread.
//!
//! The recording is loaded into memory first and played as often as needed, so the disk it came from is not measured; the output is written to
//! real files in a temporary folder, which is removed. One run more than asked for is made and thrown away: it warms caches and clocks.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Serialize;
use tamis_event::FrameMeta;

use crate::exit::OrFail;
use crate::frames::{Frame, Frames};
use crate::{DOCUMENT_VERSION, Exit, Failure, Plan, Report, Settings};

/// What to measure.
#[derive(Clone, Debug)]
pub struct BenchSettings {
    /// The recording.
    pub input: PathBuf,
    /// The run. Its `out` is the folder in which temporary folders are made; `passes` is computed.
    pub run: Settings,
    /// Events per run, at least.
    pub events: u64,
    /// Runs that are measured.
    pub runs: usize,
}

/// What was measured. Serialises to the document that `bench --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Bench {
    /// Version of this program.
    pub tamis: &'static str,
    /// Version of the document.
    pub schema: u32,
    /// Processor, cores, kernel.
    pub machine: String,
    /// Events per run.
    pub events: u64,
    /// Events per second of every run, in the order in which they were made.
    pub events_per_s: Vec<f64>,
    /// Their median.
    pub median: f64,
    /// The slowest.
    pub min: f64,
    /// The fastest.
    pub max: f64,
    /// Core time per event at the median, in ns: workers / events per second.
    pub ns_per_event_and_worker: f64,
    /// The report of the median run.
    pub report: Report,
}

/// Measures. `progress` is called after every run.
pub fn bench(settings: &BenchSettings, mut progress: impl FnMut(usize)) -> Result<Bench, Failure> {
    if settings.runs == 0 || settings.events == 0 {
        return Err(Failure::new(Exit::Settings, "a measurement needs at least one run and one event"));
    }
    let (bytes, held) = load(&settings.input)?;
    let passes = settings.events.div_ceil(held.max(1));
    let mut reports: Vec<Report> = Vec::new();
    for run in 0..=settings.runs {
        let out = tempfile::Builder::new().prefix("tamis-bench-").tempdir_in(&settings.run.out);
        let out =
            out.map_err(|error| format!("{}: {error}", settings.run.out.display())).or_fail(Exit::Storage)?;
        let recording = tamis_source::memory(bytes.clone(), "memory", passes).or_fail(Exit::Input)?;
        let run_settings = Settings { out: out.path().into(), ..settings.run.clone() };
        let report = Plan::with(recording, "bench".into(), run_settings)?.run()?;
        // Half a run on another engine is no measurement.
        if report.exit() != Exit::Done || !report.device_losses.is_empty() {
            return Err(Failure::new(report.exit(), report.problems.join("; ")));
        }
        if run > 0 {
            reports.push(report);
        }
        progress(run);
    }
    let events_per_s: Vec<f64> = reports.iter().map(|report| report.throughput.events_per_s).collect();
    reports.sort_by(|a, b| a.throughput.events_per_s.total_cmp(&b.throughput.events_per_s));
    let (min, max) = (reports[0].throughput.events_per_s, reports[reports.len() - 1].throughput.events_per_s);
    let report = reports.swap_remove((reports.len() - 1) / 2);
    let median = report.throughput.events_per_s;
    Ok(Bench {
        tamis: env!("CARGO_PKG_VERSION"),
        schema: DOCUMENT_VERSION,
        machine: machine(),
        events: held * passes,
        events_per_s,
        median,
        min,
        max,
        ns_per_event_and_worker: report.workers as f64 / median * 1e9,
        report,
    })
}

/// The good frames of a recording as one stream in memory, and their number of events.
fn load(path: &Path) -> Result<(Bytes, u64), Failure> {
    let mut frames = Frames::open(path)?;
    let schema = frames.schema().clone();
    let mut stream = Vec::new();
    tamis_event::encode_schema(&schema, FrameMeta::default(), &mut stream);
    let mut events = 0;
    while let Some(frame) = frames.next()? {
        if let Frame::Events { header, payload, .. } = frame {
            let meta = FrameMeta {
                run: header.run,
                segment: header.segment,
                source_id: header.source_id,
                first_event_id: header.first_event_id,
                time_ns: header.time_ns,
                sparse_ids: header.flags & tamis_event::flags::SPARSE_IDS != 0,
            };
            tamis_event::encode_events(&schema, meta, &payload, &mut stream);
            events += u64::from(header.n_events);
        }
    }
    if events == 0 {
        return Err(Failure::new(Exit::Input, format!("{}: no events to measure with", path.display())));
    }
    Ok((Bytes::from(stream), events))
}

/// One line about the processor, for results that are compared later.
fn machine() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = processor().unwrap_or_else(|| "unknown processor".into());
    format!("{model}, {cores} cores, kernel {}", kernel.trim())
}

/// What the processor calls itself, if it says.
pub(crate) fn processor() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let name =
        |line: &str| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name.to_string());
    info.lines().find_map(name)
}
