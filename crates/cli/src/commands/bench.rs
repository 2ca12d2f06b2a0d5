//! `tamis bench`: the whole path from memory, several times.

use std::path::PathBuf;

use tamis_app::{Bench, BenchSettings, Exit, Failure, Settings};

use super::{Group, Run};
use crate::output::{print, print_json};
use crate::table::Table;
use crate::{figures, progress, report, units};

/// Measure how fast events are decided on this machine
///
/// Plays a recording from memory through a menu, several times, and stores what is accepted in a temporary folder, which is removed. One run
/// more than asked for is made first and not counted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The recording (.tmf or .tmf.zst)
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    /// The menu
    #[arg(long, value_name = "FILE")]
    menu: PathBuf,
    /// Events per run, at least; the recording is repeated
    #[arg(long, value_name = "N", default_value = "20M", value_parser = units::count)]
    events: u64,
    /// Runs that are measured
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,
    /// Deciding threads [default: one per core]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Most events per block
    #[arg(long, value_name = "N", default_value_t = Settings::BATCH)]
    batch: usize,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    const NAME: &'static str = "bench";
    const GROUP: Group = Group::Trigger;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("bench l1-mixed.tmf.zst --menu l1.toml", "the standard measurement"),
        ("bench l1-mixed.tmf.zst --menu l1.toml --workers 1 --json", "one core, for a program"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let out = std::env::temp_dir();
        let run = Settings { workers: self.workers, batch: self.batch, ..Settings::new(&self.menu, out) };
        let settings = BenchSettings { input: self.input.clone(), run, events: self.events, runs: self.runs };
        let bar = progress::bar(Some(self.runs as u64 + 1), &progress::COUNT);
        bar.set_message("runs");
        let bench = tamis_app::bench(&settings, |run| bar.set_position(run as u64 + 1))?;
        bar.finish_and_clear();
        if self.json { print_json(&bench)? } else { print(&render(&bench))? }
        Ok(Exit::Done)
    }
}

fn render(bench: &Bench) -> String {
    let mut speed = Table::default().left("Speed").right("median").right("min").right("max");
    let row = |name: &str, values: [f64; 3], show: &dyn Fn(f64) -> String| {
        std::iter::once(name.to_string()).chain(values.map(show)).collect::<Vec<_>>()
    };
    let workers = bench.report.workers as f64;
    let speeds = [bench.median, bench.min, bench.max];
    speed.row(row("events/s", speeds, &figures::per_second));
    // The fastest run has the least time per event, but each column stays one run.
    speed.row(row("ns per event and core", speeds.map(|speed| workers / speed * 1e9), &|ns| format!("{ns:.1}")));
    let runs = bench.events_per_s.len();
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    format!(
        "{}\n{runs} run{} of {} events, {} worker{}, blocks of {} events, on {}\n{}\n\n{}{}\n",
        speed.render().trim_end(),
        plural(runs),
        figures::grouped(bench.events),
        bench.report.workers,
        plural(bench.report.workers),
        bench.report.batch,
        bench.report.device,
        bench.machine,
        report::latencies(&bench.report),
        report::FLAT_NOTE,
    )
}
