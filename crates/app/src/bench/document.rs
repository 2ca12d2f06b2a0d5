//! The document that `tamis bench` prints and compares.

use serde::{Deserialize, Serialize};

use super::bounds::{Bounds, Parts};
use super::changes::RUNS_MIN;
use super::engines::{self, EngineSpeed};
use super::latency::{Load, Sustained};
use super::machine::cores;
use super::probes::LOST_OF_ALL;
use super::rows::{Row, Section, Unit};
use super::speed::Trial;
use super::workload::{Bed, Workload};
use super::{BenchSettings, DOCUMENT_VERSION};

/// Version of the document of a benchmark. It changes when a key changes its meaning or goes away.
pub const BENCH_VERSION: u32 = 3;

/// What was measured. Serialises to the document that `bench --json` prints, and is read back from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bench {
    /// Version of this program.
    pub tamis: String,
    /// Version of all documents.
    pub schema: u32,
    /// [`BENCH_VERSION`]; only benchmarks have this key.
    pub bench: u32,
    /// Processor, cores, kernel.
    pub machine: String,
    /// Threads of all programs that wanted a core in the minute before, on average.
    pub load_before: Option<f64>,
    /// What was run.
    pub conditions: Conditions,
    /// Runs behind every row.
    pub runs: usize,
    /// Seconds of a run of the first topology; the time that was asked for, if no topology was run.
    pub seconds: f64,
    /// Everything but latencies.
    pub rows: Vec<Row>,
    /// The highest rate at which the backlog does not grow; absent if it was not looked for, or not found.
    pub sustained: Option<Sustained>,
    /// Latencies.
    pub loads: Vec<Load>,
    /// Networks of many sizes on every engine.
    pub engines: Vec<EngineSpeed>,
    /// What to know when reading it, one sentence each.
    pub remarks: Vec<String>,
}

/// What was run. Benchmarks with different conditions measure different things.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// The recording, or `noise`: for people.
    pub input: String,
    /// SHA-256 of the events as they were played, the first 16 digits.
    pub events: String,
    /// How long runs were to be.
    pub run: String,
    /// Name of the menu.
    pub menu: String,
    /// Hashes of the menu and of all models in use.
    pub rules: String,
    /// What ran the models.
    pub device: String,
    /// Bytes of an event.
    pub event_bytes: usize,
    /// Events per frame, on average.
    pub frame_events: f64,
    /// Most events per batch.
    pub batch: usize,
    /// Workers of the latencies.
    pub workers: usize,
    /// CPUs that workers were kept on; none: wherever the system put them.
    pub pin: Vec<usize>,
    /// How long threads looked for something to do before they slept, in ns.
    #[serde(default)]
    pub busy_poll_ns: u64,
    /// Share of the events that the menu keeps, if it was run.
    pub accepted: Option<f64>,
}

impl Conditions {
    pub(super) fn new(settings: &BenchSettings, main: &Workload, bed: &Bed, cells: &[Trial]) -> Self {
        let input = settings.input.as_ref().map_or("noise".into(), |(input, _)| input.display().to_string());
        let kept = cells.iter().find(|cell| cell.section == Section::Speed).map(|cell| cell.kept);
        let run = match settings.events {
            Some(events) => format!("{events} events"),
            None => format!("{} s", settings.seconds),
        };
        Self {
            input,
            events: main.stream.digest(),
            run,
            menu: main.rules.menu.name().into(),
            rules: format!("{:016x} {:016x}", main.rules.compiled.hash_prefix(), main.rules.stamp.model_hash),
            device: main.rules.device(),
            event_bytes: main.stream.event_bytes().round() as usize,
            frame_events: main.stream.events as f64 / main.stream.frames() as f64,
            batch: bed.batch,
            workers: bed.workers,
            pin: bed.pin.clone(),
            busy_poll_ns: bed.busy_poll.as_nanos().try_into().unwrap_or(u64::MAX),
            accepted: kept,
        }
    }

    /// What differs: its name, its value here, its value there.
    pub(super) fn differences(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let pair = |what, a: &dyn ToString, b: &dyn ToString| (what, a.to_string(), b.to_string());
        let all = [
            pair("set of events", &self.events, &other.events),
            pair("length of runs", &self.run, &other.run),
            pair("menu", &self.menu, &other.menu),
            pair("text of the menu or other models", &self.rules, &other.rules),
            pair("choice of CPUs", &format!("{:?}", self.pin), &format!("{:?}", other.pin)),
            pair("busy polling in ns", &self.busy_poll_ns, &other.busy_poll_ns),
            pair("engine", &self.device, &other.device),
            pair("size of events", &self.event_bytes, &other.event_bytes),
            pair("number of events per frame", &self.frame_events.round(), &other.frame_events.round()),
            pair("batch", &self.batch, &other.batch),
            pair("number of workers", &self.workers, &other.workers),
        ];
        all.into_iter().filter(|(_, a, b)| a != b).collect()
    }
}

impl Bench {
    pub(super) fn blank() -> Self {
        Self {
            tamis: env!("CARGO_PKG_VERSION").into(),
            schema: DOCUMENT_VERSION,
            bench: BENCH_VERSION,
            machine: String::new(),
            load_before: None,
            conditions: Conditions::default(),
            runs: 0,
            seconds: 0.0,
            rows: Vec::new(),
            sustained: None,
            loads: Vec::new(),
            engines: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// All rows, those of latencies and engines included.
    pub fn all_rows(&self) -> Vec<Row> {
        let loads = self.sustained.iter().map(Sustained::row).chain(self.loads.iter().flat_map(Load::rows));
        self.rows.iter().cloned().chain(loads).chain(self.engines.iter().map(EngineSpeed::row)).collect()
    }
}

/// What a reader should know.
pub(super) fn remarks(bench: &Bench, bounds: &Bounds<'_>, looked_for_rate: bool) -> Vec<String> {
    let mut remarks = Vec::new();
    let fastest =
        bench.rows.iter().filter(|row| (row.section, row.unit) == (Section::Speed, Unit::EventsPerSecond));
    if let Some(row) = fastest.max_by(|a, b| a.spread.median.total_cmp(&b.spread.median))
        && let Some(cell) = bounds.cells.iter().find(|cell| cell.name == row.name)
        && let Some(parts) = bounds.parts(cell.kept)
    {
        let (by, ns) = parts.slowest(cell.bed.workers, cell.admitted_apart);
        let verb = if by == "admission" || by == "writer" { "is" } else { "are" };
        let name = &row.name;
        let measured = 1e9 / row.spread.median;
        remarks.push(format!(
            "{by} {verb} the limit of {name}: {ns:.1} ns per event at best, {measured:.1} were measured"
        ));
        let Parts { admission, worker, writer } = parts;
        remarks.push(format!(
            "by its stages an event takes {admission:.1} ns of admission, {worker:.1} ns of a worker, {writer:.1} ns of a writer"
        ));
    }
    if looked_for_rate && bench.sustained.is_none() {
        remarks.push("no rate was sustained without a growing backlog, so there are no latencies: let runs take longer (--time)".into());
    }
    let grew = bench.loads.iter().filter(|load| load.backlog_grew()).count();
    if grew > 0 {
        remarks.push(format!(
            "the backlog grew in half of the runs or more at {grew} of {} loads: latencies there say how long a run was, not how soon events are decided",
            bench.loads.len()
        ));
    }
    if let Some(load) = bench.load_before.filter(|&load| load > 0.25 * cores() as f64) {
        let cores = cores();
        remarks.push(format!(
            "{load:.1} threads wanted the {cores} cores before the start: ranges and tails are theirs too"
        ));
    }
    if let Some(lost) = bounds.turns.median(Section::Probes, LOST_OF_ALL).filter(|&lost| lost > 0.05) {
        remarks.push(format!(
            "threads that spun on all cores lost {:.0} % of their time, and so do runs that need all of them: compare core times",
            lost * 100.0
        ));
    }
    remarks.extend(engines::remarks(&bench.engines));
    if bench.runs < RUNS_MIN {
        remarks.push(format!("with fewer than {RUNS_MIN} runs nobody can say by how much a value varies"));
    }
    remarks
}
