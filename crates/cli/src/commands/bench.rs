//! `tamis bench`: the machine, the stages, the whole, and latencies; and what changed since another time.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use tamis_app::{
    Bench, BenchSettings, EventSize, Exit, Failure, RowChanges, Section, bench, compare_benches, may_replace,
    read_bench,
};
use tamis_model::Engine;
use tamis_part::{Existing, Folder, PartFile};

use super::{Group, Run};
use crate::output::{print, print_json, say};
use crate::signals::end_signals;
use crate::words::{ENGINES, or_words};
use crate::{bench_tables, progress, units};

/// Measure what this machine can do, what each stage makes of it, and how fast and how soon events are decided
///
/// One run measures everything: probes of the machine, each stage beside the limit that the machine sets, the whole pipeline by sources and workers,
/// the highest rate that is sustained, and the time to a decision at 20, 50, 70 and 90 % of it. Without INPUT, events, menu and model are made, and
/// sizes of events and shares of accepted ones are measured too.
///
/// Everything is measured in turns, several times; a value is the median, min and max are those of all runs. Latencies count from the moment
/// when an event was due, which is fixed in advance, whether or not the pipeline is ready for it. Accepted events are written to a temporary
/// folder, which is removed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A recording (.tmf or .tmf.zst) to measure with [default: noise that is made for it]
    #[arg(value_name = "INPUT", requires = "menu")]
    input: Option<PathBuf>,
    /// The menu for INPUT
    #[arg(long, value_name = "FILE", requires = "input")]
    menu: Option<PathBuf>,
    /// Use this bundle for a model of the menu; can be given several times
    #[arg(long, value_name = "NAME=BUNDLE", requires = "input", value_parser = super::replay::model)]
    model: Vec<(String, PathBuf)>,
    /// Measure these parts only: probes, stages, speed, sizes, latency; or engines, which no other run measures
    #[arg(long, value_name = "PARTS", value_delimiter = ',', value_parser = or_words(section, PARTS))]
    only: Vec<Section>,
    /// Measure events of these sizes, beside what the machine can do: of a record, or of a record and its payload, such as 114B,114B+64KiB
    /// [default: ten sizes from 114B to 114B+16MiB]
    #[arg(long, value_name = "SIZES", value_delimiter = ',', value_parser = event_size)]
    sizes: Vec<EventSize>,
    /// What runs the models; auto finds out for each what is fast and right here; tamis doctor lists what there is
    #[arg(long, value_name = "ENGINE", default_value_t = Engine::Auto, value_parser = or_words(Engine::from_str, ENGINES))]
    device: Engine,
    /// Numbers of deciding threads, such as 1,2 [default: powers of two up to one per core, or per CPU of --pin]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = units::number, allow_hyphen_values = true)]
    workers: Vec<usize>,
    /// Keep the deciding threads on these CPUs, in turn, and keep the other threads off these CPUs: a list of numbers, such as 2,3 [default:
    /// wherever the system puts them]
    #[arg(long, value_name = "CPU,..", value_delimiter = ',', allow_hyphen_values = true, value_parser = units::cpu)]
    pin: Vec<usize>,
    /// How long a deciding thread, or the one that feeds them, waits awake for more work before it sleeps: a time such as 50us, or always
    /// [default: a few us]
    #[arg(long, value_name = "TIME", value_parser = or_words(units::busy_poll, &["always"]))]
    busy_poll: Option<Duration>,
    /// Numbers of sources, such as 1,4: with several, the frames are those of so many sources in turn [default: 1,4]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = units::number, allow_hyphen_values = true)]
    sources: Vec<usize>,
    /// Most events per batch [default: 4096; 65536 on a GPU]
    #[arg(long, value_name = "N", value_parser = units::number, allow_hyphen_values = true)]
    batch: Option<usize>,
    /// Most events per frame; longer frames of INPUT are cut [default: as recorded; 256 if events are made]
    #[arg(long, value_name = "N", value_parser = units::number, allow_hyphen_values = true)]
    frame_events: Option<usize>,
    /// Runs of each measurement
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = units::number, allow_hyphen_values = true)]
    runs: usize,
    /// How long a run takes, about
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::time)]
    time: Duration,
    /// Events per run, at least, instead of as many as take that time; the input is repeated
    #[arg(long, value_name = "N", value_parser = units::count)]
    events: Option<u64>,
    /// Write the result to this file too, for a later --compare; an older result is replaced, any other file is not
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Say what moved since this result: a row moved if its old and new runs, at least 5 each, have no value in common
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
    /// Measure nothing: compare OLD.json with this result
    #[arg(long, value_name = "NEW.json", requires = "compare", conflicts_with_all = ["input", "model", "save", "only", "sizes", "device", "workers", "pin", "busy_poll", "sources", "batch", "frame_events", "runs", "time", "events"])]
    with: Option<PathBuf>,
    /// End with exit code 76 if something moved and got slower by more than this many per cent, except for the rows of the machine alone; or if the
    /// two results cannot be compared: they have different machines, events, menus, engines or parts, or fewer than 5 runs
    #[arg(long, value_name = "PERCENT", requires = "compare", value_parser = percent, allow_hyphen_values = true)]
    gate: Option<f64>,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    const NAME: &'static str = "bench";
    const GROUP: Group = Group::Trigger;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("bench", "this machine, with events, menu and model that are made for it"),
        ("bench l1-mixed.tmf.zst --menu l1.toml --device fused", "your events, menu and models"),
        ("bench l1-mixed.tmf.zst --menu l1.toml --only speed --workers 1 --events 20M", "one number"),
        (
            "bench l1-mixed.tmf.zst --menu l1.toml --only latency --frame-events 64",
            "latencies of small frames",
        ),
        (
            "bench l1-mixed.tmf.zst --menu l1.toml --model topo=topo-few --device int16",
            "another model, in integers",
        ),
        ("bench --sizes 114B,114B+64KiB,114B+1MiB", "without and with raw data beside the features"),
        ("bench --only engines --device gpu", "from which size on a network is worth a GPU"),
        ("bench --save before.json", "keep the result ..."),
        ("bench --compare before.json --gate 10", "... and fail if something got slower by 10 %"),
    ];
    const HEARS_SIGNALS: bool = true;

    fn run(self) -> Result<Exit, Failure> {
        let old = self.compare.as_deref().map(read_bench).transpose()?;
        self.save.as_deref().map_or(Ok(()), may_save)?;
        let new = match &self.with {
            Some(path) => read_bench(path)?,
            None => self.measure()?,
        };
        if let Some(path) = &self.save {
            save(path, &new)?;
        }
        let changes = old.as_ref().map(|old| compare_benches(old, &new));
        if self.json {
            print_json(&Document { bench: &new, changes: changes.as_ref() })?;
        } else {
            let measured = if self.with.is_none() { bench_tables::render(&new) } else { String::new() };
            let changed = changes.as_ref().map(bench_tables::changes).unwrap_or_default();
            print(&format!("{measured}{changed}"))?;
        }
        Ok(self.judge(changes.as_ref()))
    }
}

/// The result, and what changed.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    bench: &'a Bench,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'a RowChanges>,
}

impl Args {
    fn measure(&self) -> Result<Bench, Failure> {
        let folder = Scratch::new()?;
        let settings = BenchSettings {
            input: self.input.clone().zip(self.menu.clone()),
            models: self.model.clone(),
            engine: self.device,
            workers: self.workers.clone(),
            pin: self.pin.clone(),
            busy_poll: self.busy_poll.unwrap_or_default(),
            sources: self.sources.clone(),
            batch: self.batch,
            frame_events: self.frame_events,
            events: self.events,
            seconds: self.time.as_secs_f64(),
            runs: self.runs,
            sections: self.only.clone(),
            sizes: self.sizes.clone(),
            folder: folder.path.clone(),
        };
        let bar = progress::bar(Some(1), &progress::COUNT);
        let result = bench(&settings, &mut |step| {
            bar.set_length(step.total);
            bar.set_position(step.done);
            bar.set_message(step.next.to_owned());
        });
        bar.finish_and_clear();
        result
    }

    /// Did anything get slower by more than the gate allows?
    fn judge(&self, changes: Option<&RowChanges>) -> Exit {
        let Some((changes, percent)) = changes.zip(self.gate) else { return Exit::Done };
        if let Some(why) = &changes.ungated {
            say(format!("the gate cannot be held against these two: {why}"));
            return Exit::Gate;
        }
        let mut exit = Exit::Done;
        for row in changes.slower_than(percent) {
            let by = row.slower_percent();
            say(format!("{}: {} is {by:.1} % slower, the gate is {percent} %", row.section.word(), row.name));
            exit = Exit::Gate;
        }
        exit
    }
}

/// The folder for files that are written during a measurement. It is removed at the end, also if a signal ends the program.
struct Scratch {
    path: PathBuf,
    signals: signal_hook::iterator::Handle,
}

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let place = std::env::temp_dir();
        let folder = tempfile::Builder::new().prefix("tamis-bench-").tempdir_in(&place).map_err(|error| {
            let message = format!("{}: {error}; set TMPDIR to a folder that can be written", place.display());
            Failure::new(Exit::Storage, message)
        })?;
        // Removed here, and not when a value is dropped: a signal may come first.
        let path = folder.keep();
        let mut signals = end_signals()?;
        let handle = signals.handle();
        let watched = path.clone();
        std::thread::spawn(move || {
            let Some(signal) = signals.forever().next() else { return };
            say("interrupted: nothing was measured");
            remove(&watched);
            std::process::exit(128 + signal);
        });
        Ok(Self { path, signals: handle })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.signals.close();
        remove(&self.path);
    }
}

/// Removes a folder in which a run may still be making files.
fn remove(folder: &Path) {
    for _ in 0..100 {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                std::thread::sleep(Duration::from_millis(5));
            }
            _ => return,
        }
    }
}

/// Can the result be written to that file? This is asked before minutes are spent on it, and changes nothing.
fn may_save(path: &Path) -> Result<(), Failure> {
    may_replace(path)?;
    if path.is_dir() {
        return Err(unsaved(path, &io::ErrorKind::IsADirectory.into()));
    }
    let folder = Folder::open(path.parent().unwrap_or(Path::new("")));
    folder.and_then(|folder| folder.probe()).map_err(|error| unsaved(path, &error))
}

fn save(path: &Path, bench: &Bench) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(bench).expect("plain data serialises");
    text.push('\n');
    let written = PartFile::create(path).and_then(|mut part| {
        part.append(text.as_bytes())?;
        part.publish(Existing::Replace, true)
    });
    written.map_err(|error| unsaved(path, &error))
}

fn unsaved(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{}: the result cannot be written: {error}", path.display());
    Failure::new(Exit::of_output(error), message)
}

/// The words that a shell completes.
const PARTS: &[&str] = &["probes", "stages", "speed", "sizes", "latency", "engines"];

fn section(word: &str) -> Result<Section, String> {
    let known = Section::ALL.map(Section::word);
    let found = Section::ALL.into_iter().find(|section| section.word() == word);
    found.ok_or_else(|| format!("no such part; use {}", known.join(", ")))
}

/// `114B`, or `114B+64KiB`.
fn event_size(text: &str) -> Result<EventSize, String> {
    let (record, payload) =
        text.split_once('+').map_or((text, None), |(record, payload)| (record, Some(payload)));
    let size = |text: &str| units::bytes(text).map(|bytes| bytes as usize).map_err(|error| error.to_string());
    Ok(EventSize { record: size(record)?, payload: payload.map_or(Ok(0), size)? })
}

fn percent(text: &str) -> Result<f64, String> {
    let number: Result<f64, _> = text.trim_end_matches(['%', ' ']).parse();
    match number {
        Ok(percent) if percent >= 0.0 && percent.is_finite() => Ok(percent),
        _ => Err("write a number of per cent that is not negative, as in 10".into()),
    }
}
