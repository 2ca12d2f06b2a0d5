//! `tamis model verify`: everything that a run checks of a bundle, without a run.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use tamis_app::{Exit, Failure, ModelVerification, VerifyModelSettings};
use tamis_model::Engine;

use super::{Group, Run};
use crate::figures::{grouped, small};
use crate::output::{Document, print, print_json, say};
use crate::table::TextTable;
use crate::words::{ENGINES, or_words};

/// Check model bundles: files, and golden vectors on every engine
///
/// Sizes, checksums and shapes must be right, and weights finite. Then the golden vectors are computed again on every engine: the scores must be within
/// the tolerance of the bundle, with the same bits in every place of a batch. A bundle that a run would refuse ends in exit code 76.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundles: folders or .tar
    #[arg(value_name = "BUNDLE", required = true)]
    bundles: Vec<PathBuf>,
    /// Check them for events of this schema [default: one with just the inputs]
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Check them for the events of this recording
    #[arg(long, value_name = "FILE", conflicts_with = "schema")]
    events: Option<PathBuf>,
    /// Engines, separated by commas [default: all that are there]
    #[arg(long, value_name = "ENGINES", value_delimiter = ',', value_parser = or_words(Engine::from_str, ENGINES))]
    device: Vec<Engine>,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Verified {
    bundles: Vec<ModelVerification>,
    /// Why other bundles could not be looked at.
    problems: Vec<String>,
    exit: u8,
}

impl Run for Args {
    const NAME: &'static str = "verify";
    const GROUP: Group = Group::Data;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("model verify models/topo models/anomaly", "on every engine that is there"),
        ("model verify models/topo --events l1-mixed.tmf.zst --device flex", "for the events of a recording"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let mut bundles = Vec::new();
        let mut unusable = Vec::new();
        for bundle in self.bundles {
            let settings = VerifyModelSettings {
                bundle,
                schema: self.schema.clone(),
                events: self.events.clone(),
                engines: self.device.clone(),
            };
            match tamis_app::verify_model(&settings) {
                Ok(found) => bundles.push(found),
                Err(failure) => unusable.push(failure),
            }
        }
        let passed = bundles.iter().all(|found| found.exit() == Exit::Done);
        // A bundle that cannot be examined weighs more than one that fails a check.
        let exit =
            unusable.first().map_or(if passed { Exit::Done } else { Exit::Gate }, |failure| failure.exit);
        let problems = unusable.iter().map(|failure| failure.message.clone()).collect();
        let verified = Verified { bundles, problems, exit: exit.code() };
        if self.json {
            print_json(&Document::new(&verified))?;
        } else if !verified.bundles.is_empty() {
            print(&render(&verified.bundles))?;
        }
        for found in &verified.bundles {
            let engines = found.engines.iter().filter_map(|engine| engine.problem.as_ref());
            // The sentence about a file begins with its place.
            found.problem.iter().for_each(say);
            engines.for_each(|problem| say(format_args!("{}: {problem}", found.bundle.display())));
        }
        unusable.iter().for_each(say);
        Ok(exit)
    }
}

fn render(bundles: &[ModelVerification]) -> String {
    let mut table = TextTable::default()
        .left("Verdict")
        .left("model")
        .left("engine")
        .right("golden\nvectors")
        .right("largest\ndifference")
        .right("tolerance")
        .left("bundle");
    for found in bundles {
        let model = found.model.clone().unwrap_or_default();
        let place = found.bundle.display().to_string();
        if found.problem.is_some() {
            let blank = String::new;
            table.row(["BAD".into(), model, blank(), blank(), blank(), blank(), place]);
            continue;
        }
        for engine in &found.engines {
            let verdict = if engine.problem.is_none() { "good" } else { "BAD" };
            table.row([
                verdict.into(),
                model.clone(),
                engine.engine.clone(),
                grouped(engine.vectors as u64),
                engine.difference.map(small).unwrap_or_default(),
                small(engine.tolerance),
                place.clone(),
            ]);
        }
    }
    let mut text = table.render();
    let unchecked: Vec<String> = bundles
        .iter()
        .flat_map(|found| found.unchecked.iter().map(|why| format!("{}: {why}\n", found.bundle.display())))
        .collect();
    if !unchecked.is_empty() {
        text.push('\n');
        text.push_str(&unchecked.concat());
    }
    text
}
