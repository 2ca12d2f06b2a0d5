//! `tamis replay`: a recording through a menu, accepted events to files.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tamis_app::{Exit, Failure, ModelEngine, Plan, Settings};
use tamis_model::Engine;
use tamis_pipeline::Pace;
use tamis_store::{Compression, Durable};

use super::{Group, Run};
use crate::output::{print, print_json, say};
use crate::units::{self, UnitError};
use crate::words::{ENGINES, or_words};
use crate::{progress, report, watch};

/// Run a recording through a menu and store what it accepts
///
/// Every event is scored and decided; accepted ones go to one file per stream in the output folder, undecided ones to the error stream. Prints
/// where every event ended, what each line did, and how fast it was. Ctrl-C ends the run in order; a second Ctrl-C ends it at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The recording (.tmf or .tmf.zst), or - for standard input
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    /// The menu
    #[arg(long, value_name = "FILE")]
    menu: PathBuf,
    /// Folder for accepted events; made if it is not there. Nothing in it is ever overwritten
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What file names begin with [default: the name of the input]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Use this bundle for a model of the menu; can be given several times
    #[arg(long, value_name = "NAME=BUNDLE", value_parser = model)]
    model: Vec<(String, PathBuf)>,
    /// What runs the models; auto finds out for each what is fast and right here; tamis doctor lists what there is
    #[arg(long, value_name = "ENGINE", default_value_t = Engine::Auto, value_parser = or_words(Engine::from_str, ENGINES))]
    device: Engine,
    /// Deciding threads [default: one per core, or per CPU of --pin]
    #[arg(long, value_name = "N", value_parser = units::number, allow_hyphen_values = true)]
    workers: Option<usize>,
    /// Keep the deciding threads on these CPUs, in turn, and keep the other threads off these CPUs: a list of numbers, such as 2,3 [default:
    /// wherever the system puts them]
    #[arg(long, value_name = "CPU,..", value_delimiter = ',', allow_hyphen_values = true, value_parser = units::cpu)]
    pin: Vec<usize>,
    /// How long a deciding thread, or the one that feeds them, waits awake for more work before it sleeps: a time such as 50us, or always. Saves
    /// the time of a wake-up and keeps their cores busy; useful if nothing else needs these cores [default: a few us]
    #[arg(long, value_name = "TIME", value_parser = or_words(units::busy_poll, &["always"]))]
    busy_poll: Option<Duration>,
    /// Most events per batch [default: 4096; 65536 on a GPU]
    #[arg(long, value_name = "N", value_parser = units::number, allow_hyphen_values = true)]
    batch: Option<usize>,
    /// How often the recording is played; event ids go on from pass to pass
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
    /// How fast events are admitted: flat (as fast as they are decided), recorded (as the times of events say, or those of frames
    /// whose events have none), or a rate such as 1MHz
    #[arg(long, value_name = "PACE", default_value = "flat", value_parser = or_words(pace, &["flat", "recorded"]))]
    pace: Pace,
    /// Longest time from admission to decision, such as 2ms [default: none]. Later events are not scored: they go to the last rung of the
    /// menu's ladder, or to the error stream. Which events are late differs from run to run, and each of their records says so. At flat pace
    /// the wait in full queues counts
    #[arg(long, value_name = "TIME", value_parser = units::time)]
    deadline: Option<Duration>,
    /// Input rate that line rates are quoted at, such as 40MHz [default: the menu's]
    #[arg(long, value_name = "RATE", value_parser = units::rate_hz)]
    rate: Option<f64>,
    /// When stored events are forced to the disk: every=TIME, close (of a file) or never
    #[arg(long, value_name = "WHEN", default_value_t = Durable::default(), value_parser = or_words(Durable::from_str, &["every=200ms", "close", "never"]))]
    durable: Durable,
    /// Begin a new file after this much, such as 500MB
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = units::bytes)]
    rotate: u64,
    /// How accepted events are compressed: none, lz4 (fast), or zstd with a level from 1 to 19, as in zstd=3; zstd alone is level 1. Any reader of MCAP
    /// files knows all three
    #[arg(long, value_name = "HOW", default_value_t = Compression::default(), value_parser = or_words(Compression::from_str, &["none", "lz4", "zstd", "zstd=3"]))]
    compression: Compression,
    /// Threads that compress the accepted events of a stream at a time, its own among them. Files are the same with any number [default: one per
    /// CPU, at most 8]
    #[arg(long, value_name = "N", value_parser = units::number, allow_hyphen_values = true)]
    compression_threads: Option<usize>,
    /// Read options that are not given here or in a variable from a TOML file, one key per long option
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    const NAME: &'static str = "replay";
    const GROUP: Group = Group::Trigger;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("replay l1.tmf --menu l1.toml --out out", "as fast as possible"),
        ("replay l1.tmf --menu l1.toml --out out --pace 1MHz --repeat 9", "latencies at 1 MHz"),
        ("replay l1.tmf --menu l1.toml --out out --pace 1MHz --deadline 2ms", "give up what is late"),
        ("replay l1.tmf --menu l1.toml --out out --model topo=topo-2 --json", "another model, for a program"),
    ];
    const HEARS_SIGNALS: bool = true;

    fn run(self) -> Result<Exit, Failure> {
        let plan = Plan::new(&self.input, self.settings())?;
        plan.warnings().iter().for_each(say);
        let control = plan.control();
        // Events that come by themselves have their own pace.
        let (pace, is_live) = (self.pace, plan.is_live());
        let bar = progress::bar(plan.input_bytes(), &progress::BYTES);
        let report = watch::watched(&control, &bar, || plan.run())??;
        if self.json {
            print_json(&report)?;
        } else {
            print(&report::render(&report, pace, is_live))?;
        }
        report.models.iter().filter_map(ModelEngine::note).for_each(say);
        report.problems.iter().for_each(say);
        Ok(report.exit())
    }
}

impl Args {
    fn settings(&self) -> Settings {
        Settings {
            name: self.name.clone(),
            models: self.model.clone(),
            engine: self.device,
            workers: self.workers,
            pin: self.pin.clone(),
            busy_poll: self.busy_poll.unwrap_or_default(),
            batch: self.batch,
            passes: self.repeat,
            pace: self.pace,
            deadline: self.deadline,
            rate_hz: self.rate,
            durable: self.durable,
            rotate_bytes: self.rotate,
            compression: self.compression,
            compression_threads: self.compression_threads,
            ..Settings::new(&self.menu, &self.out)
        }
    }
}

/// `NAME=BUNDLE`.
pub(super) fn model(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, bundle)) if !name.is_empty() && !bundle.is_empty() => Ok((name.into(), bundle.into())),
        _ => Err("write the menu's name for the model and a bundle, as in topo=models/topo-2".into()),
    }
}

/// `flat`, `recorded` or a rate.
fn pace(text: &str) -> Result<Pace, UnitError> {
    match text {
        "flat" => Ok(Pace::Flat),
        "recorded" => Ok(Pace::Recorded),
        rate => units::rate_hz(rate).map(Pace::Rate),
    }
}
