//! `tamis model compare`: the same events on several engines, or through several models.

use std::fmt::Write;
use std::path::PathBuf;
use std::str::FromStr;

use tamis_app::{CompareSettings, Contrast, Exit, Failure, Gates, ModelComparison, NamedBundle};
use tamis_model::Engine;

use super::{Group, Run, named_bundle};
use crate::figures::{counted, grouped, share, small};
use crate::output::{Document, print, print_json, say};
use crate::progress::Reading;
use crate::table::TextTable;
use crate::words::{ENGINES, or_words};

/// Compare scores and decisions of engines, or of models, on a recording
///
/// The first engine is the reference. Prints by how much every score differs and, with a menu, which decisions that changes: a flip is an
/// event that a line passes on one side only, before its prescale; its margin is the distance of the reference score from the number that the
/// line compares it with. Differences beyond the gates end in exit code 76.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The recording (.tmf or .tmf.zst), or - for standard input
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    /// The menu whose models are compared
    #[arg(long, value_name = "FILE", required_unless_present = "model")]
    menu: Option<PathBuf>,
    /// A bundle to compare without a menu, or in place of one of the menu's; can be given several times
    #[arg(long, value_name = "[NAME=]BUNDLE", value_parser = named_bundle)]
    model: Vec<NamedBundle>,
    /// Compare with this bundle in place of a model; can be given several times
    #[arg(long, value_name = "[NAME=]BUNDLE", value_parser = named_bundle)]
    with: Vec<NamedBundle>,
    /// Engines, separated by commas, the reference first [default: all that are there, except int16 and int8]
    #[arg(long, value_name = "ENGINES", value_delimiter = ',', value_parser = or_words(Engine::from_str, ENGINES))]
    engines: Vec<Engine>,
    /// Largest difference of a score, divided by the score, or by 1 if the score is smaller [default: 1e-4; with int16 or int8 the
    /// tolerance for it in the bundle, which calibration measured]
    #[arg(long, value_name = "D")]
    max_difference: Option<f64>,
    /// Largest share of events that are decided differently
    #[arg(long, value_name = "SHARE", default_value_t = Gates::default().flips)]
    max_flips: f64,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    const NAME: &'static str = "compare";
    const GROUP: Group = Group::Data;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        (
            "model compare l1-mixed.tmf.zst --menu l1.toml --engines flex,gpu",
            "are decisions the same on the GPU?",
        ),
        (
            "model compare l1-mixed.tmf.zst --menu l1.toml --model topo=topo-few --engines flex,int16,int8",
            "what fewer bits would change",
        ),
        (
            "model compare l1-mixed.tmf.zst --menu l1.toml --with topo=topo-2 --max-difference 1",
            "what a new model would change",
        ),
        ("model compare l1-mixed.tmf.zst --model models/topo --with topo-2 --engines flex", "scores alone"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let settings = CompareSettings {
            input: self.input,
            menu: self.menu,
            models: self.model,
            with: self.with,
            engines: self.engines,
            gates: Gates { difference: self.max_difference, flips: self.max_flips },
        };
        let mut reading = Reading::default();
        let comparison = tamis_app::compare_models(&settings, |so_far| reading.show(so_far))?;
        drop(reading);
        if self.json {
            print_json(&Document::new(&comparison))?;
        } else {
            print(&render(&comparison))?;
        }
        comparison.problems.iter().for_each(say);
        Ok(comparison.exit())
    }
}

fn render(comparison: &ModelComparison) -> String {
    let contrasts = comparison.contrasts.iter().map(|contrast| contrast_text(comparison, contrast));
    contrasts.collect::<Vec<_>>().join("\n")
}

fn contrast_text(comparison: &ModelComparison, contrast: &Contrast) -> String {
    let (reference, other) = (&comparison.reference, &contrast.side);
    let mut text =
        format!("{} against {}: {}\n\n", other.name, reference.name, counted(comparison.events, "event"));
    text.push_str(&scores(contrast));
    if !contrast.lines.is_empty() {
        let _ = write!(text, "\n{}", lines(comparison, contrast));
    }
    if let Some(accepted) = contrast.accepted {
        let [a, b, flips] = [accepted.reference, accepted.other, accepted.flips].map(grouped);
        let share = share(accepted.flips, accepted.reference);
        let share = if share.is_empty() { share } else { format!(", {share} of the first") };
        let _ = writeln!(
            text,
            "\naccepted after prescales: {a} on {}, {b} on {}; {flips} on one side only{share}",
            reference.name, other.name,
        );
    }
    if contrast.flips.iter().any(|flip| flip.threshold.is_some()) {
        let _ = write!(text, "\n{}", flips(contrast));
    }
    if reference.undecided + other.undecided > 0 {
        let (a, b) = (grouped(reference.undecided), grouped(other.undecided));
        let _ = writeln!(text, "\nundecided {a} on {}, {b} on {}", reference.name, other.name);
    }
    let gates = comparison.gates;
    let (difference, allowed) =
        contrast.worst_score().map_or((0.0, 0.0), |score| (score.difference, score.allowed));
    let verdict = |good: bool| if good { "good" } else { "BAD" };
    let mut table = TextTable::default().left("Gate").right("found").right("allowed").left("");
    table.row([
        "largest difference".into(),
        small(difference),
        small(allowed),
        verdict(difference <= allowed).into(),
    ]);
    table.row([
        "events decided differently".into(),
        small(contrast.flipped_share),
        small(gates.flips),
        verdict(contrast.flipped_share <= gates.flips).into(),
    ]);
    let _ = write!(text, "\n{}", table.render());
    text
}

fn scores(contrast: &Contrast) -> String {
    let mut table = TextTable::default()
        .left("Score")
        .right("events")
        .right("rms\ndifference")
        .right("largest\ndifference")
        .right("largest\nrelative")
        .right("of 1 or\nthe score")
        .right("at event");
    for score in &contrast.scores {
        let differences = [score.rms, score.max, score.max_relative, score.difference].map(small);
        let event = score.event.map(|event| event.to_string()).unwrap_or_default();
        table.row([score.name.clone(), grouped(score.events)].into_iter().chain(differences).chain([event]));
    }
    table.render()
}

fn lines(comparison: &ModelComparison, contrast: &Contrast) -> String {
    let mut table = TextTable::default()
        .left("Line")
        .right(format!("passed on\n{}", comparison.reference.engine))
        .right(format!(
            "passed on\n{}",
            if contrast.side.name.contains(" with ") { "the other" } else { &contrast.side.engine }
        ))
        .right("flips")
        .right("of\nreference")
        .right("largest\nmargin")
        .left("cuts on scores");
    for line in &contrast.lines {
        let flips = if line.flips == 0 { String::new() } else { share(line.flips, line.reference) };
        table.row([
            line.name.clone(),
            grouped(line.reference),
            grouped(line.other),
            grouped(line.flips),
            flips,
            line.max_margin.map(small).unwrap_or_default(),
            line.thresholds.join(", "),
        ]);
    }
    table.render()
}

fn flips(contrast: &Contrast) -> String {
    let mut table = TextTable::default()
        .right("Event")
        .left("line")
        .left("threshold")
        .right("reference")
        .right("other")
        .right("margin");
    for flip in &contrast.flips {
        let score = |score: Option<f32>| score.map(|score| score.to_string()).unwrap_or_default();
        table.row([
            flip.event.to_string(),
            flip.line.clone(),
            flip.threshold.clone().unwrap_or_default(),
            score(flip.reference),
            score(flip.other),
            flip.margin.map(small).unwrap_or_default(),
        ]);
    }
    let told = contrast.flips.len() as u64;
    let all: u64 = contrast.lines.iter().map(|line| line.flips).sum();
    let mut text = table.render();
    if all > told {
        let _ = writeln!(text, "and {}", counted(all - told, "more flip"));
    }
    text
}
