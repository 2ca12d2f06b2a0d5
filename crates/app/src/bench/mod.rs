//! Benchmarks: what the machine can do, how fast each stage is, and how fast the whole pipeline is.
//!
//! ```text
//!   turn 1:  probes | stages | every topology | every size       all in turns, so that a ratio comes from the same minutes
//!   turn 2:  probes | stages | every topology | every size
//!   ...
//!   then:    the rate that is sustained, and latencies at 20, 50, 70 and 90 % of it, in turns too
//!   then:    networks of many sizes on every engine, if that is asked for, in turns too
//! ```
//!
//! * I1: events are in memory before a clock runs; accepted events go to real files in a temporary folder, which is removed.
//! * I2: everything is done once before it is measured: that warms caches and clocks.
//! * I3: a value is the median of several runs, and its range is that of all runs. Nothing is left out.
//! * I4: a latency counts from the moment when an event was due, which is fixed in advance (`open_loop.rs`).
//! * I5: a run that loses an event or a device ends the benchmark: half a run is no measurement.

mod bounds;
mod changes;
mod document;
mod engines;
mod jitter;
mod latency;
pub(crate) mod machine;
mod open_loop;
mod probes;
mod rows;
mod sample;
mod speed;
mod stages;
mod workload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tamis_ledger::{Corrupt, Counts};
use tamis_model::Engine;
use tamis_pipeline::Cpus;

pub use self::changes::{Change, RowChanges, compare_benches, may_replace, read_bench};
pub use self::document::{BENCH_VERSION, Bench, Conditions};
pub use self::engines::EngineSpeed;
pub use self::latency::{Load, Sustained, Tail};
pub use self::rows::{Limit, Row, Section, Spread, Unit};
pub use self::sample::EventSize;

use self::bounds::Bounds;
use self::engines::Engines;
use self::machine::{load, machine};
use self::probes::Probes;
use self::rows::Turns;
use self::sample::{L1_BYTES, Sample};
use self::speed::Trial;
use self::stages::MeasuredStages;
use self::workload::{Bed, Workload};
use crate::blocks;
use crate::models::Rules;
use crate::plan::check_pins;
use crate::{DOCUMENT_VERSION, Exit, Failure};

/// Events per frame that are made, if nothing else is asked for: 6.4 us of collisions at 40 MHz.
const FRAME_EVENTS: usize = 256;
/// Sources of the second topology, if nothing else is asked for.
const SOURCES: usize = 4;
/// Time of a run of a row of sizes, over that of a topology, unless the sizes were asked for: there are many rows of sizes.
const SIZES_SHARE: f64 = 0.2;
/// Time of the run that measures how batches are passed on, over that of a topology.
const IDLE_SHARE: f64 = 0.5;

/// A benchmark that is asked for.
#[derive(Clone, Debug)]
pub struct BenchSettings {
    /// A recording and its menu; without them, events, menu and model are made.
    pub input: Option<(PathBuf, PathBuf)>,
    /// Bundles in place of the menu's, by the menu's name for the model.
    pub models: Vec<(String, PathBuf)>,
    /// What runs the models.
    pub engine: Engine,
    /// Numbers of deciding threads, each a topology; empty: powers of two up to one per core, or per CPU that they are kept on.
    pub workers: Vec<usize>,
    /// CPUs that the workers are kept on, in turn; empty: wherever the system puts them.
    pub pin: Vec<usize>,
    /// How long threads look for something to do before they sleep.
    pub busy_poll: Duration,
    /// Numbers of sources, each a topology; empty: 1 and 4. With 1 the sources are those of the recording.
    pub sources: Vec<usize>,
    /// Most events per batch; by default what suits the engine best.
    pub batch: Option<usize>,
    /// Most events per frame; longer ones are cut.
    pub frame_events: Option<usize>,
    /// Least number of events per run; by default as many as take `seconds`.
    pub events: Option<u64>,
    /// Time of a run in seconds.
    pub seconds: f64,
    /// Number of runs that are measured.
    pub runs: usize,
    /// What is measured; empty: the sizes and what the machine can do if there are `sizes`, else all but engines, and without sizes if there is an
    /// input.
    pub sections: Vec<Section>,
    /// Sizes of events, each a row for every share of accepted ones; empty: ten from 114 B to 16 MiB.
    pub sizes: Vec<EventSize>,
    /// Where temporary folders are made.
    pub folder: PathBuf,
}

impl Default for BenchSettings {
    fn default() -> Self {
        Self {
            input: None,
            models: Vec::new(),
            engine: Engine::Auto,
            workers: Vec::new(),
            pin: Vec::new(),
            busy_poll: Duration::ZERO,
            sources: Vec::new(),
            batch: None,
            frame_events: None,
            events: None,
            seconds: 1.0,
            runs: 5,
            sections: Vec::new(),
            sizes: Vec::new(),
            folder: std::env::temp_dir(),
        }
    }
}

/// How far a benchmark is.
#[derive(Clone, Copy, Debug)]
pub struct BenchStep<'a> {
    /// Steps that are done.
    pub done: u64,
    /// Number of all steps.
    pub total: u64,
    /// What comes next.
    pub next: &'a str,
}

/// Runs a benchmark. `progress` is called before every step.
pub fn bench(settings: &BenchSettings, progress: &mut dyn FnMut(BenchStep<'_>)) -> Result<Bench, Failure> {
    check(settings)?;
    let load_before = load();
    let mut parts = Parts::new(settings)?;
    let mut steps = Steps { done: 0, total: parts.steps(settings), progress };
    let (turns, record_bytes) = in_turns(settings, &mut parts, &mut steps)?;
    let (sustained, loads) = latencies(settings, &parts, &turns, &mut steps)?;
    let engines = engines(settings, &mut steps)?;
    let Parts { rules, main, cells, bed, .. } = &parts;
    let event_bytes = main.stream.event_bytes();
    let bounds = Bounds { turns: &turns, event_bytes, record_bytes, models: multiply_adds(rules), cells };
    let first = cells.iter().find(|cell| cell.section == Section::Speed);
    let took = first.and_then(|cell| Some(cell.events() as f64 / turns.median(cell.section, &cell.name)?));
    let mut bench = Bench {
        machine: machine(),
        load_before,
        conditions: Conditions::new(settings, main, bed, cells),
        runs: settings.runs,
        seconds: took.unwrap_or(settings.seconds),
        rows: turns.rows(|section, name| bounds.of(section, name)),
        sustained,
        loads,
        engines,
        ..Bench::blank()
    };
    for row in &mut bench.rows {
        let cell = cells.iter().find(|cell| (cell.section, &cell.name) == (row.section, &row.name));
        row.event_bytes = cell.map(|cell| cell.workload.stream.event_bytes() as u64);
    }
    bench.remarks = document::remarks(&bench, &bounds, settings.wants(Section::Latency));
    let left_out =
        blocks::lost(&parts.corrupt).map(|lost| format!("left out of {}: {lost}", bench.conditions.input));
    bench.remarks.extend(left_out);
    Ok(bench)
}

/// Everything but latencies; also the bytes of the record of a kept event, 0 if no stage was measured.
fn in_turns(
    settings: &BenchSettings,
    parts: &mut Parts,
    steps: &mut Steps<'_>,
) -> Result<(Turns, f64), Failure> {
    let Parts { main, idle, cells, bed, .. } = parts;
    let folder = tempfile::Builder::new().prefix("tamis-bench-").tempdir_in(&settings.folder);
    let unwritten = |error| Failure::new(Exit::Storage, format!("{}: {error}", settings.folder.display()));
    let folder = folder.map_err(unwritten)?;
    for cell in &mut *cells {
        steps.next("warming up");
        let share =
            if cell.section == Section::Sizes && settings.sizes.is_empty() { SIZES_SHARE } else { 1.0 };
        cell.warm_up(settings.seconds * share, settings.events)?;
    }
    let mut probes = settings.wants(Section::Probes).then(|| Probes::new(&main.stream, folder.path()));
    let mut stages = None;
    if settings.wants(Section::Stages) {
        idle.warm_up(settings.seconds * IDLE_SHARE, settings.events)?;
        let all = Workload::random_rules(&main.stream.schema, 1)?;
        stages = Some(MeasuredStages::new(main, idle, &all, bed, folder.path())?);
    }
    let mut turns = Turns::default();
    for turn in 0..=settings.runs {
        // Turn 0 warms up what `warm_up` did not.
        if turn == 1 {
            turns = Turns::default();
        }
        if let Some(probes) = &mut probes {
            steps.next("probing the machine");
            probes.turn(&mut turns).map_err(unwritten)?;
        }
        if let Some(stages) = &mut stages {
            steps.next("stages");
            stages.turn(&mut turns)?;
        }
        for cell in cells.iter_mut().filter(|_| turn > 0) {
            steps.next(&cell.name);
            cell.turn(&mut turns)?;
        }
    }
    Ok((turns, stages.as_ref().map_or(0.0, MeasuredStages::record_bytes)))
}

/// The sustained rate, and latencies at shares of it.
fn latencies(
    settings: &BenchSettings,
    parts: &Parts,
    turns: &Turns,
    steps: &mut Steps<'_>,
) -> Result<(Option<Sustained>, Vec<Load>), Failure> {
    if !settings.wants(Section::Latency) {
        return Ok((None, Vec::new()));
    }
    let Parts { main, cells, bed, .. } = parts;
    let full_pace =
        cells.iter().find(|cell| cell.section == Section::Speed && cell.bed.workers == bed.workers);
    let full_pace = full_pace.and_then(|cell| turns.median(Section::Speed, &cell.name));
    let full_pace = full_pace.expect("the topology of the latencies is always measured");
    let most = settings.seconds;
    let seconds = settings.events.map_or(most, |events| most.min(events as f64 / full_pace));
    steps.next("looking for the sustained rate");
    let Some(sustained) = latency::sustained(main, bed, full_pace, seconds)? else {
        return Ok((None, Vec::new()));
    };
    let progress = || steps.next("latencies");
    let loads = latency::measure(main, bed, sustained, settings.runs, seconds, progress)?;
    Ok((Some(sustained), loads))
}

/// Networks of many sizes on every engine, in turns of their own.
fn engines(settings: &BenchSettings, steps: &mut Steps<'_>) -> Result<Vec<EngineSpeed>, Failure> {
    if !settings.wants(Section::Engines) {
        return Ok(Vec::new());
    }
    steps.next("making networks");
    let mut engines = Engines::all(settings.engine, &settings.workers())?;
    for _ in 0..settings.runs {
        engines.turn(|network| steps.next(network))?;
    }
    Ok(engines.into_speeds())
}

fn check(settings: &BenchSettings) -> Result<(), Failure> {
    let refuse = |message: &str| Err(Failure::new(Exit::Settings, message));
    if settings.runs == 0 {
        return refuse("0 runs measure nothing; use at least 1, and 5 to compare (--runs)");
    }
    if settings.events == Some(0) {
        return refuse("a run has at least one event (--events)");
    }
    if !(settings.seconds > 0.0 && settings.seconds < 86_400.0) {
        return refuse("a run must take some time, and less than a day (--time)");
    }
    if settings.sources.contains(&0)
        || settings.sources.iter().any(|&sources| sources > usize::from(u16::MAX))
    {
        return refuse("the number of sources must be 1 to 65535 (--sources)");
    }
    if settings.frame_events == Some(0) {
        return refuse("a frame has at least one event (--frame-events)");
    }
    settings.sizes.iter().try_for_each(|size| size.check())?;
    if !settings.sizes.is_empty() && !settings.wants(Section::Sizes) {
        return refuse(
            "sizes of events are asked for (--sizes), and not the part that measures them (--only sizes)",
        );
    }
    check_pins(&settings.pin)
}

impl BenchSettings {
    fn wants(&self, section: Section) -> bool {
        match self.sections.as_slice() {
            [] if !self.sizes.is_empty() => matches!(section, Section::Probes | Section::Sizes),
            [] => section != Section::Engines && (section != Section::Sizes || self.input.is_none()),
            some => some.contains(&section),
        }
    }

    fn workers(&self) -> Vec<usize> {
        if !self.workers.is_empty() {
            return once_each(&self.workers);
        }
        let most = Cpus::of_process(&self.pin).for_workers();
        let powers = std::iter::successors(Some(1), |n| Some(2 * n)).take_while(|&n| n < most);
        powers.chain([most]).collect()
    }

    fn sizes(&self) -> Vec<EventSize> {
        if self.sizes.is_empty() { speed::SIZES.to_vec() } else { once_each(&self.sizes) }
    }

    fn sources(&self) -> Vec<usize> {
        if self.sources.is_empty() { vec![1, SOURCES] } else { once_each(&self.sources) }
    }
}

/// The values in the order in which they first come: each is measured once per turn.
fn once_each<T: Copy + PartialEq>(values: &[T]) -> Vec<T> {
    let first = |&(k, value): &(usize, &T)| !values[..k].contains(value);
    values.iter().enumerate().filter(first).map(|(_, &value)| value).collect()
}

/// Everything that is measured, made and loaded.
struct Parts {
    rules: Arc<Rules>,
    /// The events of the first number of sources.
    main: Workload,
    /// Those events with a menu that keeps nothing, and one worker.
    idle: Trial,
    cells: Vec<Trial>,
    /// As many workers as the largest topology.
    bed: Bed,
    /// What was left out of the input.
    corrupt: Counts<Corrupt>,
}

impl Parts {
    fn new(settings: &BenchSettings) -> Result<Self, Failure> {
        let (sample, rules, cut) = match &settings.input {
            Some((input, menu)) => {
                let sample = Sample::load(input)?;
                let rules = Rules::load(menu, &settings.models, &sample.schema, settings.engine)?;
                (sample, Arc::new(rules), settings.frame_events)
            }
            None => {
                let frame_events = settings.frame_events.unwrap_or(FRAME_EVENTS);
                let sample = Sample::made(
                    EventSize::plain(L1_BYTES),
                    frame_events,
                    settings.events.unwrap_or(u64::MAX),
                )?;
                let rules = Workload::own_rules(&sample.schema, settings.engine)?;
                (sample, rules, None)
            }
        };
        let workers = settings.workers();
        let sources = settings.sources();
        let most = workers.iter().copied().max().expect("there is one");
        let pin = settings.pin.clone();
        let folder = settings.folder.clone();
        let batch = settings.batch.unwrap_or(settings.engine.batch_events());
        let bed = Bed { workers: most, pin, busy_poll: settings.busy_poll, batch, folder };
        let mut cells = Vec::new();
        let stream = sample.stream(sources[0], cut);
        for (k, &sources) in sources.iter().enumerate() {
            let stream = if k == 0 { stream.clone() } else { sample.stream(sources, cut) };
            for &workers in &workers {
                let is_for_latency = settings.wants(Section::Latency) && k == 0 && workers == most;
                if settings.wants(Section::Speed) || is_for_latency {
                    let workload = Workload { stream: stream.clone(), rules: rules.clone() };
                    let name = speed::topology(sources, workers);
                    let bed = Bed { workers, ..bed.clone() };
                    cells.push(Trial::new(Section::Speed, name, workload, bed));
                }
            }
        }
        if settings.wants(Section::Sizes) {
            cells.extend(sizes(settings, &bed)?);
        }
        let main = Workload { stream: stream.clone(), rules: rules.clone() };
        let idle = Workload { stream, rules: Workload::idle_rules(&sample.schema)? };
        let idle = Trial::new(Section::Stages, String::new(), idle, Bed { workers: 1, ..bed.clone() });
        Ok(Self { rules, main, idle, cells, bed, corrupt: sample.corrupt })
    }

    fn steps(&self, settings: &BenchSettings) -> u64 {
        let cells = self.cells.len();
        let runs = settings.runs;
        let first =
            usize::from(settings.wants(Section::Probes)) + usize::from(settings.wants(Section::Stages));
        let latency = if settings.wants(Section::Latency) { 1 + runs * latency::RUNS_PER_TURN } else { 0 };
        let engines = if settings.wants(Section::Engines) { 1 + runs * Engines::TURN_STEPS } else { 0 };
        (cells + (runs + 1) * first + runs * cells + latency + engines) as u64
    }
}

fn sizes(settings: &BenchSettings, bed: &Bed) -> Result<Vec<Trial>, Failure> {
    let mut cells = Vec::new();
    for size in settings.sizes() {
        let frame_events = settings.frame_events.unwrap_or(FRAME_EVENTS);
        let sample = Sample::made(size, frame_events, settings.events.unwrap_or(u64::MAX))?;
        let stream = sample.stream(1, None);
        for &every in speed::every(size) {
            let rules = Workload::random_rules(&sample.schema, every)?;
            let workload = Workload { stream: stream.clone(), rules };
            cells.push(Trial::new(Section::Sizes, speed::size(size, every), workload, bed.clone()));
        }
    }
    Ok(cells)
}

/// Names of the models and their multiply-adds per event, where a CPU does them.
fn multiply_adds(rules: &Rules) -> Vec<(String, u64)> {
    let count = |(name, choices): &(String, Vec<tamis_model::Bundle>)| {
        (name.clone(), if rules.is_on_cpu() { choices[0].multiply_adds() } else { 0 })
    };
    rules.bundles.iter().map(count).collect()
}

struct Steps<'a> {
    done: u64,
    total: u64,
    progress: &'a mut dyn FnMut(BenchStep<'_>),
}

impl Steps<'_> {
    fn next(&mut self, next: &str) {
        (self.progress)(BenchStep { done: self.done, total: self.total, next });
        self.done += 1;
    }
}
