//! Time to a decision at a load, in an open loop: events arrive when they are due, and their latency counts from then.
//!
//! The load is given as a share of the highest rate that is sustained: one at which the backlog does not grow. That rate is searched first,
//! from the speed at full pace down, with the same timetable that the latencies are measured with.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tamis_ledger::Quantiles;
use tamis_pipeline::Cpus;
use tamis_sim::Schedule;

use super::jitter::{self, Gaps};
use super::machine::cores;
use super::rows::{Row, Section, Spread, Unit};
use super::workload::{Bed, Workload};
use crate::Failure;

/// Loads that are measured, in per cent of what is sustained.
const LOADS: [u32; 4] = [20, 50, 70, 90];
/// Rates that are tried, in per cent of the speed at full pace.
const TRIED: [u32; 12] = [100, 97, 94, 90, 85, 80, 70, 60, 50, 40, 30, 20];
/// The largest backlog at the end of a run, as a share of its time. One that grows by a share of the rate reaches that share of the time.
const BACKLOG_MAX: f64 = 0.02;
/// A backlog below this, or below a tenth of a short run, is always allowed: one wake-up may come late.
const BACKLOG_MIN_NS: f64 = 5e6;
const BACKLOG_MIN: f64 = 0.1;
/// A neighbour may disturb some attempts; a rate is sustained if it is in this many.
const ATTEMPTS: usize = 3;
const SUCCESSES: usize = 2;
/// Frames of a burst, which come at twice the mean rate; the gap after it makes up for them. 72 bunches are a train of the LHC.
const TRAIN: Schedule = Schedule::Bursts { length: 72, factor: 2.0 };

/// The timetables, with the words for them.
const SCHEDULES: [(&str, Schedule); 3] =
    [("uniform", Schedule::Uniform), ("poisson", Schedule::Poisson), ("bursts", TRAIN)];

/// The tail of a distribution, each quantile over all runs, in ns.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Tail {
    /// The time within which half of the events were decided.
    pub p50: Spread,
    /// The time within which 99 % of the events were decided.
    pub p99: Spread,
    /// The time within which 99.9 % of the events were decided.
    pub p999: Spread,
    /// The time within which all events were decided.
    pub max: Spread,
}

/// Latency at one load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// How arrivals are spread in time: `uniform`, `poisson` or `bursts`.
    pub schedule: String,
    /// Rate of arrivals in per cent of the sustained rate.
    pub load: u32,
    /// Mean rate of arrivals, in events per second.
    pub events_per_s: f64,
    /// Events of each run.
    pub events: u64,
    /// From the moment when the last byte of an event's frame was due until the event was decided.
    pub decision: Tail,
    /// How late the last frame was taken, in ns: large if the backlog grew after all.
    pub backlog_ns: Spread,
    /// How late a thread that slept again and again beside the run woke up: the machine's own part.
    pub wake_up_late: Tail,
    /// Longest gap in ns of a thread that spun beside the run; without a core to spare, of as many threads as decide, which spun before the run.
    pub gap_max_ns: Spread,
    /// Did it spin beside the run, on a core to spare? Else just before.
    pub spun_beside: bool,
}

/// The highest rate without a growing backlog.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sustained {
    /// Events per second.
    pub events_per_s: f64,
    /// That rate in per cent of the speed at full pace.
    pub of_full_pace: u32,
}

impl Sustained {
    /// As a row for a comparison. Its range reaches to the rates on both sides that were tried: the search is no finer.
    pub(crate) fn row(&self) -> Row {
        let at = TRIED.iter().position(|&percent| percent == self.of_full_pace).unwrap_or(0);
        let rate = |k: usize| {
            self.events_per_s * f64::from(TRIED[k.min(TRIED.len() - 1)]) / f64::from(self.of_full_pace)
        };
        let spread = Spread { median: self.events_per_s, min: rate(at + 1), max: rate(at.saturating_sub(1)) };
        Row {
            section: Section::Latency,
            name: "sustained rate".into(),
            unit: Unit::EventsPerSecond,
            spread,
            runs: Vec::new(),
            event_bytes: None,
            limit: None,
        }
    }

    /// Are shares of the two about the same rates?
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (self.events_per_s / other.events_per_s - 1.0).abs() < 0.05
    }
}

/// Finds the sustained rate; none if not even the least rate that is tried is sustained.
pub(crate) fn sustained(
    workload: &Workload,
    bed: &Bed,
    full_pace: f64,
    seconds: f64,
) -> Result<Option<Sustained>, Failure> {
    for percent in TRIED {
        let events_per_s = full_pace * f64::from(percent) / 100.0;
        let (mut good, mut bad) = (0, 0);
        while good < SUCCESSES && bad <= ATTEMPTS - SUCCESSES {
            let frames = frames(workload, events_per_s, seconds);
            let (_, backlog) = workload.timed(bed, frames, events_per_s, Schedule::Uniform)?;
            let grew = is_growing(backlog.last_ns() as f64, backlog.due_ns() as f64);
            *(if grew { &mut bad } else { &mut good }) += 1;
        }
        if good == SUCCESSES {
            return Ok(Some(Sustained { events_per_s, of_full_pace: percent }));
        }
    }
    Ok(None)
}

/// Frames that arrive in `seconds`.
fn frames(workload: &Workload, events_per_s: f64, seconds: f64) -> u64 {
    let stream = &workload.stream;
    let frames = events_per_s * seconds * stream.frames() as f64 / stream.events as f64;
    (frames as u64).max(2)
}

/// One combination of timetable and load, and what its runs gave.
#[derive(Debug)]
struct LoadPoint {
    schedule: (&'static str, Schedule),
    load: u32,
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    events: u64,
    decision: Quantiles,
    backlog_ns: u64,
    late: Quantiles,
    gaps: Gaps,
}

/// Measures all loads, in turns. `progress` is called after every run.
pub(crate) fn measure(
    workload: &Workload,
    bed: &Bed,
    sustained: Sustained,
    runs: usize,
    seconds: f64,
    mut progress: impl FnMut(),
) -> Result<Vec<Load>, Failure> {
    let cells = SCHEDULES.iter().flat_map(|&schedule| LOADS.map(|load| (schedule, load)));
    let mut cells: Vec<LoadPoint> =
        cells.map(|(schedule, load)| LoadPoint { schedule, load, runs: Vec::new() }).collect();
    let rate = |load: u32| sustained.events_per_s * f64::from(load) / 100.0;
    for _ in 0..runs {
        for cell in &mut cells {
            let run = run(workload, bed, rate(cell.load), cell.schedule.1, seconds)?;
            cell.runs.push(run);
            progress();
        }
    }
    Ok(cells.iter().map(|cell| cell.load(rate(cell.load), has_core_to_spare(bed))).collect())
}

/// Admission and the workers are what keeps cores busy.
fn has_core_to_spare(bed: &Bed) -> bool {
    cores() >= bed.workers + 2
}

fn run(
    workload: &Workload,
    bed: &Bed,
    events_per_s: f64,
    schedule: Schedule,
    seconds: f64,
) -> Result<Run, Failure> {
    const SPIN: Duration = Duration::from_millis(150);
    let spinner = has_core_to_spare(bed).then(jitter::spinner);
    // As many threads as the run will have for decisions.
    let threads = bed.workers.min(cores());
    let cpus = Cpus::of_process(&bed.pin);
    let before = if spinner.is_none() { jitter::spin(threads, &cpus, SPIN) } else { Gaps::default() };
    let sleeper = jitter::sleeper();
    let frames = frames(workload, events_per_s, seconds);
    let done = workload.timed(bed, frames, events_per_s, schedule);
    let late = sleeper.end();
    let gaps = spinner.map_or(before, jitter::Witness::end);
    let (report, backlog) = done?;
    let events = report.ledger.received;
    let carried = report.latency_ns;
    // A quantile that too few batches were decided for is reported as its upper bound.
    let or_max = |ns: Option<u64>| ns.or(carried.max).unwrap_or(0);
    let p50 = or_max(carried.p50);
    let p99 = or_max(carried.p99);
    let p999 = or_max(carried.p999);
    let decision = Quantiles { p50, p99, p999, max: or_max(None) };
    Ok(Run { events, decision, backlog_ns: backlog.last_ns(), late, gaps })
}

impl LoadPoint {
    fn load(&self, events_per_s: f64, spun_beside: bool) -> Load {
        let spread = |value: &dyn Fn(&Run) -> u64| {
            Spread::of(&self.runs.iter().map(|run| value(run) as f64).collect::<Vec<_>>())
        };
        let tail = |of: &dyn Fn(&Run) -> Quantiles| Tail {
            p50: spread(&|run| of(run).p50),
            p99: spread(&|run| of(run).p99),
            p999: spread(&|run| of(run).p999),
            max: spread(&|run| of(run).max),
        };
        Load {
            schedule: self.schedule.0.into(),
            load: self.load,
            events_per_s,
            events: self.runs[0].events,
            decision: tail(&|run| run.decision),
            backlog_ns: spread(&|run| run.backlog_ns),
            wake_up_late: tail(&|run| run.late),
            gap_max_ns: spread(&|run| run.gaps.max_ns),
            spun_beside,
        }
    }
}

/// Runs that [`measure`] makes in each turn.
pub(crate) const RUNS_PER_TURN: usize = SCHEDULES.len() * LOADS.len();

/// Is a backlog at the end of a run of this time a growing one?
fn is_growing(backlog_ns: f64, run_ns: f64) -> bool {
    backlog_ns > (run_ns * BACKLOG_MAX).max(BACKLOG_MIN_NS.min(run_ns * BACKLOG_MIN))
}

impl Load {
    /// Did it grow in the middle one of the runs?
    pub(crate) fn backlog_grew(&self) -> bool {
        is_growing(self.backlog_ns.median, self.events as f64 / self.events_per_s * 1e9)
    }

    /// As rows, for a comparison.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row> {
        let Tail { p50, p99, p999, max } = self.decision;
        let quantiles = [("p50", p50), ("p99", p99), ("p99.9", p999), ("max", max)];
        quantiles.into_iter().map(|(word, spread)| Row {
            section: Section::Latency,
            name: format!("{}, load {} %, {word}", self.schedule, self.load),
            unit: Unit::Ns,
            spread,
            runs: Vec::new(),
            event_bytes: None,
            limit: None,
        })
    }
}
