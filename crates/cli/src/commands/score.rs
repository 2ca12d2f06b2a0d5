//! `tamis score`: the scores of every event as a table.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use tamis_app::{Exit, Failure, ModelEngine, NamedBundle, ScoreSettings, Scored};
use tamis_model::Engine;

use super::model::named_bundle;
use super::{Group, Run};
use crate::figures::{bytes, counted, per_second};
use crate::output::{Document, print, print_json, say};
use crate::progress::Reading;
use crate::words::{ENGINES, or_words};

/// Write the scores of every event of a recording as a table
///
/// Writes one row per event, in order: a .npy array of float32 [events, scores], or CSV whose first column is the event id. This is the quick way to
/// compare a model with another framework. A score that cannot be computed is NaN, and is counted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The recording (.tmf or .tmf.zst), or - for standard input
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    /// A model bundle; can be given several times, then scores stand side by side. NAME=BUNDLE calls its scores NAME.OUTPUT
    #[arg(long, value_name = "[NAME=]BUNDLE", required = true, value_parser = named_bundle)]
    model: Vec<NamedBundle>,
    /// The table (.npy or .csv), or - for CSV on standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What runs the models; auto finds out for each what is fast and right here; tamis doctor lists what there is
    #[arg(long, value_name = "ENGINE", default_value_t = Engine::Auto, value_parser = or_words(Engine::from_str, ENGINES))]
    device: Engine,
    /// Replace the table if it exists
    #[arg(long)]
    overwrite: bool,
    /// Print one JSON document instead of sentences
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    const NAME: &'static str = "score";
    const GROUP: Group = Group::Data;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("score l1-mixed.tmf.zst --model models/topo --out scores.npy", "numpy.load reads it"),
        (
            "score l1-mixed.tmf.zst --model old=models/topo --model new=topo-2 --out both.csv",
            "two models side by side",
        ),
        ("score l1-mixed.tmf.zst --model models/topo --out -", "to look at"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let to_stdout = self.out == Path::new("-");
        if to_stdout && self.json {
            let message = "--json and --out - both want standard output; write the table to a file";
            return Err(Failure::new(Exit::Usage, message));
        }
        let settings = ScoreSettings {
            input: self.input,
            models: self.model,
            engine: self.device,
            out: self.out,
            overwrite: self.overwrite,
        };
        let mut reading = Reading::default();
        let scored = tamis_app::score(&settings, |so_far| reading.show(so_far))?;
        drop(reading);
        if self.json {
            print_json(&Document::new(&scored))?;
        } else if !to_stdout {
            print(&render(&scored))?;
        }
        scored.models.iter().filter_map(ModelEngine::note).for_each(say);
        scored.problems.iter().for_each(say);
        Ok(scored.exit())
    }
}

fn render(scored: &Scored) -> String {
    format!(
        "{}: {}, {}\ncolumns {}\n{} events/s on {}, one thread\n",
        scored.path,
        counted(scored.events, "event"),
        bytes(scored.bytes),
        scored.scores.join(", "),
        per_second(scored.events as f64 / scored.seconds),
        scored.device,
    )
}
