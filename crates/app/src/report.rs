//! The result of a run: the one document behind the table and the JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use tamis_event::CloseReason;
use tamis_ledger::{Corrupt, Counts, Dropped, Errored, FrameTally, Latency, Quantiles, Storage, Tally};
use tamis_menu::CompiledMenu;
use tamis_pipeline::{Limits, Outcome};
use tamis_store::{LEDGER, PRESS_BYTES_MAX};

use crate::journal::Journal;
use crate::models::{ModelEngine, Rules};
use crate::problems::{LostDevice, device_losses, problems};
use crate::{Exit, Settings};

/// Version of the JSON documents. It changes when a key changes its meaning or goes away.
pub const DOCUMENT_VERSION: u32 = 7;

/// A pace is held if no event is later than this, or than this share of the run.
const LAG_MIN_NS: u64 = 20_000_000;
const LAG_SHARE: f64 = 0.01;

/// With none of `n` events kept, a mean of more than `3 / n` is excluded at 95 % confidence: exp(-3) = 5 %.
const ZERO_EVENTS_LIMIT: f64 = 3.0;

/// The report of one run. Serialises to the document that `replay --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this program.
    pub tamis: &'static str,
    /// [`DOCUMENT_VERSION`].
    pub schema: u32,
    /// Name that the run's files begin with.
    pub run: String,
    /// The file with the books of every segment.
    pub ledger_file: String,
    /// Where every event ended.
    pub ledger: Ledger,
    /// The lines of the menu.
    pub lines: Vec<Line>,
    /// The streams of the menu and the error stream.
    pub streams: Vec<Stream>,
    /// Bytes of input per byte of output; absent if nothing was stored.
    pub reduction: Option<f64>,
    /// How the files of the streams are compressed: `none`, `lz4` or `zstd=LEVEL`.
    pub compression: String,
    /// Speed.
    pub throughput: Throughput,
    /// From admission to decision, in ns. A quantile is absent (`null`) if too few batches were decided to know it: p99 needs 100, p99.9 1000.
    pub latency_ns: Quantiles<Option<u64>>,
    /// The two parts of that latency, and the time until storage, in ns.
    pub stages_ns: Stages,
    /// The largest delay with which an event was admitted, in ns; absent at flat pace, and if no event has a time. Latencies leave it out.
    pub lag_ns: Option<u64>,
    /// Did the run have the pace that was asked for? Absent at flat pace.
    pub pace_held: Option<bool>,
    /// Was the run stopped before the end of its input?
    pub stopped: bool,
    /// How many batches of events were closed for each reason.
    pub closes: BTreeMap<&'static str, u64>,
    /// Number of deciding threads.
    pub workers: usize,
    /// Did admission have a thread of its own? Else it took turns with the first worker.
    pub admitted_apart: bool,
    /// Most events per batch.
    pub batch: usize,
    /// Most bytes that batches, ids and books that wait for storage may take together, whatever comes.
    pub bytes_max: usize,
    /// What ran the models, until one of `device_losses`: one word if it was the same for all, else one for each of `models`; `none` without models.
    pub device: String,
    /// What ran each bundle, and why.
    pub models: Vec<ModelEngine>,
    /// The device losses that workers noticed, in the order of their events.
    pub device_losses: Vec<LostDevice>,
    /// Input rate in Hz that line rates are quoted at.
    pub input_rate_hz: Option<f64>,
    /// What went wrong, one sentence each; empty if nothing did.
    pub problems: Vec<String>,
    /// The code that the process ends with.
    pub exit: u8,
}

/// The books as a document.
#[derive(Clone, Debug, Serialize)]
pub struct Ledger {
    /// Events (and unreadable stretches) that arrived.
    pub received: u64,
    /// Events that a line kept.
    pub accepted: u64,
    /// Events that no line kept.
    pub rejected: u64,
    /// Events that were given up before a decision, by cause.
    pub dropped: Counts<Dropped>,
    /// Events and unreadable stretches that were damaged or repeated, by cause.
    pub corrupt: Counts<Corrupt>,
    /// Events that could not be decided, by cause.
    pub errored: Counts<Errored>,
    /// Accepted and rejected events by the rung of the fallback ladder that decided them.
    pub rungs: Vec<Rung>,
    /// Events with a score from a stand-in, after a device was lost; they ended like others.
    pub degraded: u64,
    /// Events that are unaccounted for: 0, unless this program has a defect.
    pub in_flight: i64,
    /// Ids that were skipped over and never received.
    pub missing: i128,
    /// Events whose ids were forgotten because the memory for ids was full: if they come again, they are decided again.
    pub forgotten: u64,
    /// The frames and bytes that arrived.
    pub frames: FrameTally,
    /// What became of accepted and errored events; absent in the books of a segment, which are closed before storage is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
}

impl Ledger {
    pub(crate) fn new(tally: &Tally, menu: &CompiledMenu, storage: Option<Storage>) -> Self {
        let kind = |rung: usize| match rung {
            0 => RungKind::Models,
            rung if rung < menu.model_rungs() => RungKind::Fallback,
            _ => RungKind::PassThrough,
        };
        let rungs = tally.rungs.iter().enumerate();
        Self {
            received: tally.received,
            accepted: tally.accepted,
            rejected: tally.rejected,
            dropped: tally.dropped.clone(),
            corrupt: tally.corrupt.clone(),
            errored: tally.errored.clone(),
            rungs: rungs.map(|(rung, &events)| Rung { rung, kind: kind(rung), events }).collect(),
            degraded: tally.degraded,
            in_flight: tally.in_flight(),
            missing: tally.missing,
            forgotten: tally.forgotten,
            frames: tally.frames.clone(),
            storage,
        }
    }

    /// Events that the lines saw: all that reached a verdict, except on the rung that passes events by hash.
    pub fn seen_by_lines(&self) -> u64 {
        let with_scores = self.rungs.iter().filter(|rung| rung.kind != RungKind::PassThrough);
        with_scores.map(|rung| rung.events).sum()
    }
}

/// One rung of the fallback ladder.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rung {
    /// Its number, as in the records.
    pub rung: usize,
    /// What decides on it.
    pub kind: RungKind,
    /// Events that were decided on it.
    pub events: u64,
}

/// What decides on a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RungKind {
    /// The bundles that the menu names first.
    Models,
    /// The fallbacks of those bundles.
    Fallback,
    /// No model decides: some events are kept by hash.
    PassThrough,
}

/// One line of the menu.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Name.
    pub name: String,
    /// Events that it saw.
    pub seen: u64,
    /// Events whose condition held.
    pub passed: u64,
    /// Events that passed and that the prescale let through.
    pub accepted: u64,
    /// The prescale.
    pub prescale: u64,
    /// Accepted events per second at the stated input rate, in Hz.
    pub rate_hz: Option<f64>,
    /// Its statistical error (binomial, one standard deviation), in Hz. An event that is played several times counts once. Absent if nothing was
    /// accepted: then there is a limit.
    pub rate_err_hz: Option<f64>,
    /// Upper limit of the rate at 95 % confidence, in Hz, if nothing was accepted.
    pub rate_limit_hz: Option<f64>,
}

/// One output stream.
#[derive(Clone, Debug, Serialize)]
pub struct Stream {
    /// Name.
    pub name: String,
    /// Events written.
    pub events: u64,
    /// Events that storage lost.
    pub failed: u64,
    /// Written events that survive a loss of power.
    pub durable: u64,
    /// Bytes in files.
    pub bytes: u64,
    /// Paths of the files.
    pub files: Vec<String>,
}

/// Speed of the whole run, first byte in to last byte out.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Throughput {
    /// Events per second.
    pub events_per_s: f64,
    /// Input bytes per second.
    pub bytes_per_s: f64,
    /// Seconds.
    pub seconds: f64,
}

/// How long events took in each stage, in ns.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Stages {
    /// From admission until a worker took the batch.
    pub wait: Quantiles<Option<u64>>,
    /// Scores and verdicts of the batch.
    pub decide: Quantiles<Option<u64>>,
    /// From admission until written, for kept events.
    pub store: Quantiles<Option<u64>>,
}

impl Report {
    pub(crate) fn new(
        settings: &Settings,
        rules: &Rules,
        limits: Limits,
        run_name: &str,
        streams: &[String],
        stopped: bool,
        outcome: &Outcome,
    ) -> Self {
        let ledger = Ledger::new(&outcome.tally, &rules.compiled, Some(outcome.storage));
        let rate_hz = settings.rate_hz.or(rules.menu.rate_hz());
        let seconds = outcome.elapsed_ns as f64 / 1e9;
        let streams: Vec<Stream> =
            streams.iter().zip(&outcome.streams).map(|(name, outcome)| stream(name, outcome)).collect();
        let output: u64 = streams.iter().map(|stream| stream.bytes).sum();
        let lag_ns = outcome.lag_ns;
        let device_losses = device_losses(rules.menu.models(), outcome);
        let (problems, exit) = problems(outcome, rules.menu.models(), &device_losses);
        Self {
            tamis: env!("CARGO_PKG_VERSION"),
            schema: DOCUMENT_VERSION,
            run: run_name.into(),
            ledger_file: settings.out.join(format!("{run_name}{LEDGER}")).display().to_string(),
            lines: lines(rules, outcome, ledger.seen_by_lines(), rate_hz),
            reduction: (output > 0).then(|| ledger.frames.bytes as f64 / output as f64),
            compression: settings.compression.to_string(),
            throughput: Throughput {
                events_per_s: ledger.received as f64 / seconds,
                bytes_per_s: ledger.frames.bytes as f64 / seconds,
                seconds,
            },
            ledger,
            streams,
            latency_ns: of_events(&outcome.latencies.decision, outcome),
            stages_ns: Stages {
                wait: of_events(&outcome.latencies.wait, outcome),
                decide: of_events(&outcome.latencies.decide, outcome),
                store: outcome.latencies.store.carried_quantiles(),
            },
            lag_ns,
            pace_held: lag_ns.map(|lag_ns| lag_ns <= LAG_MIN_NS.max((seconds * 1e9 * LAG_SHARE) as u64)),
            stopped,
            closes: CloseReason::ALL.iter().map(|reason| reason.name()).zip(outcome.closes).collect(),
            workers: limits.workers(),
            admitted_apart: outcome.admitted_apart,
            batch: limits.batch(),
            bytes_max: limits.bytes_max() + PRESS_BYTES_MAX + Journal::bytes_max(&rules.compiled),
            device: rules.device(),
            models: rules.model_engines(),
            device_losses,
            input_rate_hz: rate_hz,
            problems,
            exit: exit.code(),
        }
    }

    /// How the process should end.
    pub fn exit(&self) -> Exit {
        Exit::ALL.into_iter().find(|exit| exit.code() == self.exit).unwrap_or(Exit::Internal)
    }

    /// Adds a problem that showed after the run; the more serious code stays.
    pub(crate) fn add_problem(&mut self, exit: Exit, message: String) {
        self.problems.push(message);
        if matches!(self.exit(), Exit::Done | Exit::Losses) {
            self.exit = exit.code();
        }
    }
}

/// The quantiles that are known of a latency: none if there were no events.
fn of_events(latency: &Latency, outcome: &Outcome) -> Quantiles<Option<u64>> {
    let events = outcome.tally.decided() + outcome.tally.errored.total();
    if events > 0 { latency.carried_quantiles() } else { Latency::default().carried_quantiles() }
}

fn lines(rules: &Rules, outcome: &Outcome, seen: u64, rate_hz: Option<f64>) -> Vec<Line> {
    // Events that were played again say nothing new.
    let received = outcome.tally.received;
    let unique = outcome.first_pass.map_or(1.0, |first| first as f64 / received.max(1) as f64);
    let infos = rules.compiled.lines().iter().zip(&outcome.tally.lines);
    infos
        .map(|(info, counts)| {
            let rate = Rate::of(counts.kept, seen, seen as f64 * unique);
            let in_hz = |share: f64| rate_hz.map(|hz| hz * share);
            Line {
                name: info.name.clone(),
                seen,
                passed: counts.passed,
                accepted: counts.kept,
                prescale: info.prescale,
                rate_hz: in_hz(rate.share),
                rate_err_hz: rate.error.and_then(in_hz),
                rate_limit_hz: rate.limit.and_then(in_hz),
            }
        })
        .collect()
}

/// A share of all events, and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate {
    share: f64,
    error: Option<f64>,
    limit: Option<f64>,
}

impl Rate {
    /// `kept` of `seen` events, of which only `unique` are independent.
    fn of(kept: u64, seen: u64, unique: f64) -> Self {
        let share = kept as f64 / seen.max(1) as f64;
        if seen == 0 {
            return Self { share, error: None, limit: None };
        }
        if kept == 0 {
            return Self { share, error: None, limit: Some((ZERO_EVENTS_LIMIT / unique).min(1.0)) };
        }
        Self { share, error: Some((share * (1.0 - share) / unique).sqrt()), limit: None }
    }
}

fn stream(name: &str, outcome: &tamis_pipeline::StreamOutcome) -> Stream {
    Stream {
        name: name.into(),
        events: outcome.written,
        failed: outcome.failed,
        durable: outcome.report.durable,
        bytes: outcome.report.bytes,
        files: outcome.report.files.iter().map(|file| file.display().to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_are_played_again_say_nothing_new() {
        let once = Rate::of(105, 100_000, 100_000.0);
        // sqrt(0.00105 * 0.99895 / 100000) * 31e6
        assert!((once.error.unwrap() * 31e6 - 3175.0).abs() < 1.0, "{once:?}");
        assert_eq!(Rate::of(10_500, 10_000_000, 100_000.0), once);
        assert!((once.share * 31e6 - 32_550.0).abs() < 1e-6);
    }

    #[test]
    fn what_never_happened_has_a_limit_and_no_error() {
        let never = Rate::of(0, 100_000, 100_000.0);
        assert_eq!((never.share, never.error), (0.0, None));
        assert!((never.limit.unwrap() * 31e6 - 930.0).abs() < 1e-9, "{never:?}");
        assert_eq!(Rate::of(0, 10_000_000, 100_000.0), never);
        assert_eq!(Rate::of(0, 2, 2.0).limit, Some(1.0), "no rate is above that of the input");
        assert_eq!(Rate::of(0, 0, 0.0), Rate { share: 0.0, error: None, limit: None });
    }
}
