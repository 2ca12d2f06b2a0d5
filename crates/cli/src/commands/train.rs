//! `tamis train`: a recipe to a verified model bundle.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tamis_app::{Exit, Failure, TrainSettings};
use tamis_lab::{Trained, TrainingProgress};

use super::{Group, Run};
use crate::output::{Document, print, print_json};
use crate::table::TextTable;
use crate::{figures, progress};

/// Train a model from a recipe and recordings
///
/// Writes a bundle (manifest, weights, checksums, golden vectors), loads it again with every check, and prints how well it separates events that
/// it has not learned from.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The recipe; its files are found relative to it
    #[arg(value_name = "RECIPE")]
    recipe: PathBuf,
    /// Folder for the bundle [default: models/NAME in the working folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace a bundle that is there
    #[arg(long)]
    overwrite: bool,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct TrainedDocument<'a> {
    bundle: String,
    trained: usize,
    held_out: usize,
    notes: &'a [String],
    losses: &'a [f64],
    auc: Vec<AucRow<'a>>,
    cuts: Vec<CutRow<'a>>,
}

#[derive(Debug, Serialize)]
struct AucRow<'a> {
    output: &'a str,
    signal: &'a str,
    auc: f64,
}

#[derive(Debug, Serialize)]
struct CutRow<'a> {
    output: &'a str,
    background: f64,
    threshold: f32,
    efficiencies: Vec<Efficiency<'a>>,
}

#[derive(Debug, Serialize)]
struct Efficiency<'a> {
    signal: &'a str,
    efficiency: f64,
}

impl Run for Args {
    const NAME: &'static str = "train";
    const GROUP: Group = Group::Data;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("train recipes/anomaly.toml --out models/anomaly-2", "a new bundle beside the old one"),
        ("train recipes/topo.toml --overwrite --json", "replace a bundle, figures for a program"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let settings = TrainSettings { recipe: self.recipe, out: self.out, overwrite: self.overwrite };
        // The number of batches is known when the first one is done.
        let bar = progress::bar(Some(1), &progress::COUNT);
        bar.set_message("batches");
        let (out, outcome) = tamis_app::train(&settings, |progress| show(&bar, progress))?;
        bar.finish_and_clear();
        if self.json {
            print_json(&Document::new(document(&out, &outcome)))?;
        } else {
            print(&render(&out, &outcome))?;
        }
        Ok(Exit::Done)
    }
}

fn show(bar: &indicatif::ProgressBar, progress: &TrainingProgress) {
    let batches = progress.batches as u64;
    // `epoch` counts what is complete, so that the last batch of an epoch belongs to it already.
    let done = u64::from(progress.epoch) * batches
        + if progress.batch < progress.batches { progress.batch as u64 } else { 0 };
    bar.set_length(u64::from(progress.epochs) * batches);
    bar.set_position(done);
    bar.set_message(format!("epoch {}/{}, loss {:.5}", progress.epoch, progress.epochs, progress.loss));
}

fn document<'a>(out: &Path, outcome: &'a Trained) -> TrainedDocument<'a> {
    let auc = |auc: &'a tamis_lab::Auc| AucRow { output: &auc.output, signal: &auc.signal, auc: auc.value };
    let efficiency = |(signal, efficiency): &'a (String, f64)| Efficiency { signal, efficiency: *efficiency };
    let cut = |cut: &'a tamis_lab::WorkingPoint| CutRow {
        output: &cut.output,
        background: cut.fraction,
        threshold: cut.threshold,
        efficiencies: cut.efficiencies.iter().map(efficiency).collect(),
    };
    TrainedDocument {
        bundle: out.display().to_string(),
        trained: outcome.trained,
        held_out: outcome.held_out,
        notes: &outcome.notes,
        losses: &outcome.losses,
        auc: outcome.auc.iter().map(auc).collect(),
        cuts: outcome.cuts.iter().map(cut).collect(),
    }
}

fn render(out: &Path, outcome: &Trained) -> String {
    let mut auc = TextTable::default().left("Score").left("signal").right("AUC");
    outcome
        .auc
        .iter()
        .for_each(|row| auc.row([row.output.clone(), row.signal.clone(), format!("{:.4}", row.value)]));
    let mut cuts = TextTable::default().left("Cut").right("background").left("signal").right("efficiency");
    for cut in &outcome.cuts {
        let head = [format!("{} > {}", cut.output, cut.threshold), percent(cut.fraction)];
        // The cut itself stands only in the first row of its kinds of signal.
        let mut heads = std::iter::once(head).chain(std::iter::repeat_with(<[String; 2]>::default));
        for (signal, efficiency) in &cut.efficiencies {
            let tail = [signal.clone(), percent(*efficiency)];
            cuts.row(heads.next().into_iter().flatten().chain(tail));
        }
        if cut.efficiencies.is_empty() {
            cuts.row(heads.next().into_iter().flatten());
        }
    }
    // With few events held out there is no cut that a share of them tells.
    let cuts = if outcome.cuts.is_empty() { String::new() } else { format!("\n{}", cuts.render()) };
    let notes: String = outcome.notes.iter().map(|note| format!("note: {note}\n")).collect();
    format!(
        "{}: learned from {}, {} held out\n{notes}loss {:.5} after the first epoch, {:.5} after the last\n\n{}{cuts}",
        out.display(),
        figures::counted(outcome.trained as u64, "event"),
        figures::grouped(outcome.held_out as u64),
        outcome.losses.first().copied().unwrap_or_default(),
        outcome.losses.last().copied().unwrap_or_default(),
        auc.render(),
    )
}

/// `0.25 %`, with as many digits as small fractions need.
fn percent(fraction: f64) -> String {
    let percent = fraction * 100.0;
    let decimals = match percent {
        p if p >= 1.0 => 1,
        p if p >= 0.1 => 2,
        _ => 4,
    };
    format!("{percent:.decimals$} %")
}
