//! `tamis model info`: what is in a bundle, and what an event costs.

use std::fmt::Write;
use std::path::PathBuf;

use tamis_app::{Exit, Failure, ModelInfo};
use tamis_model::{Description, Engine, LayerInfo, Training};

use super::{Group, Run};
use crate::figures::{bytes, grouped, number, small};
use crate::output::{Document, print, print_json};
use crate::table::TextTable;

/// Digits of a hash that are shown to people.
const HASH_DIGITS: usize = 16;

/// Show what is in a model bundle, and measure what an event costs
///
/// Shows the inputs and what is done to them, every operator of the network, memory and provenance. The time per event is measured now, on this
/// machine, on every engine that is there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle: a folder or a .tar
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Schema of the events that are scored to measure the speed [default: one with just the inputs]
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    const NAME: &'static str = "info";
    const GROUP: Group = Group::Data;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("model info models/topo", "layers, parameters, speed"),
        ("model info models/topo --schema l1.toml --json", "with the features of real events, for a program"),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let info = tamis_app::model_info(&self.bundle, self.schema.as_deref())?;
        if self.json {
            print_json(&Document::new(&info))?;
        } else {
            print(&render(&info))?;
        }
        Ok(Exit::Done)
    }
}

fn render(info: &ModelInfo) -> String {
    let model = &info.description;
    let mut text = format!(
        "{}: {} {}, {}, {}\nhash {}\n",
        info.bundle.display(),
        model.name,
        model.version,
        model.architecture,
        bytes(model.memory.files),
        &model.hash[..HASH_DIGITS],
    );
    if !model.doc.is_empty() {
        let _ = writeln!(text, "{}", model.doc);
    }
    let _ = write!(text, "\n{}\n{}\n{}", inputs(model), layers(model), speeds(info));
    let golden = model.golden;
    let _ = write!(
        text,
        "\nscores {}\nmemory {} of parameters for all workers, {} for each worker\n{} golden vectors, tolerance {}\n",
        model.outputs.iter().map(|output| format!("{}.{output}", model.name)).collect::<Vec<_>>().join(", "),
        bytes(model.memory.parameters),
        bytes(model.memory.per_worker),
        grouped(golden.vectors as u64),
        small(golden.tolerance),
    );
    if let Some(section) = &model.calibration {
        let tolerance = |engine: Engine| {
            let most = section.tolerance.of(engine).map_or_else(|| "none".into(), small);
            format!("{most} on {engine}")
        };
        let tolerances = Engine::REDUCED.map(tolerance).join(", ");
        let _ = writeln!(text, "calibrated on {} events, tolerance {tolerances}", grouped(section.events));
    }
    if let Some(training) = &model.training {
        let _ = write!(text, "\n{}", provenance(training));
    }
    text
}

fn inputs(model: &Description) -> String {
    let mut table = TextTable::default().left("Input").left("what goes in, x = physical value");
    model.inputs.iter().for_each(|input| table.row([input.field.clone(), input.preprocessing.clone()]));
    model.notes.iter().fold(table.render(), |text, note| text + "note: " + note + "\n")
}

fn layers(model: &Description) -> String {
    let mut table = TextTable::default()
        .left("Layer")
        .left("operator")
        .right("output")
        .right("parameters")
        .right("multiply-adds");
    table.row(["input".into(), String::new(), model.width.to_string()]);
    let shape = |shape: &Vec<usize>| match &shape[..] {
        [] => "1".into(),
        sizes => sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" x "),
    };
    for LayerInfo { name, operator, outputs, parameters, multiply_adds, .. } in &model.layers {
        let shape = outputs.iter().map(shape).collect::<Vec<String>>().join(", ");
        let counts = [*parameters, *multiply_adds].map(|n| if n == 0 { String::new() } else { grouped(n) });
        table.row([name.clone(), operator.clone(), shape].into_iter().chain(counts));
    }
    table.row([
        "all".into(),
        String::new(),
        String::new(),
        grouped(model.parameters),
        grouped(model.multiply_adds),
    ]);
    table.render()
}

fn speeds(info: &ModelInfo) -> String {
    let mut table =
        TextTable::default().left("Measured here").right("ns/event").right("min").right("max").left("");
    for speed in &info.speeds {
        let mut cells = vec![speed.engine.clone()];
        match (&speed.ns_per_event, &speed.problem) {
            (Some(ns), _) => {
                cells.extend([ns.median, ns.min, ns.max].map(nanoseconds));
                cells.push(format!("one thread, {} events at a time", grouped(speed.events as u64)));
            }
            (None, problem) => {
                cells.extend(["-", "", ""].map(String::from));
                // The row says which engine of which model it is.
                let known =
                    format!("model '{}': engine {} cannot run it: ", info.description.name, speed.engine);
                let problem = problem.as_deref().unwrap_or_default();
                cells.push(problem.strip_prefix(&known).unwrap_or(problem).into());
            }
        }
        table.row(cells);
    }
    table.render_wrapped()
}

/// Three digits, grouped if there are more.
fn nanoseconds(ns: f64) -> String {
    if ns < 99.95 { format!("{ns:.1}") } else { grouped(ns.round() as u64) }
}

fn provenance(training: &Training) -> String {
    let mut table = TextTable::default().left("Provenance").left("");
    let hash = training.recipe_sha256.as_ref().map(|hash| short(hash));
    let entries = [
        ("framework", training.framework.clone()),
        ("recipe", training.recipe.clone()),
        ("recipe hash", hash),
        ("seed", training.seed.map(|seed| seed.to_string())),
        ("events", training.events.map(grouped)),
        ("epochs", training.epochs.map(|epochs| epochs.to_string())),
    ];
    for (key, value) in entries {
        value.into_iter().for_each(|value| table.row([key.into(), value]));
    }
    training.metrics.iter().for_each(|(name, value)| table.row([name.clone(), number(*value)]));
    let mut text = table.render();
    if !training.data.is_empty() {
        let mut data =
            TextTable::default().left("Learned from").left("class").right("events").left("records' hash");
        for used in &training.data {
            let cells =
                [used.class.clone(), used.events.map(grouped), used.records_sha256.as_deref().map(short)];
            data.row(std::iter::once(used.file.clone()).chain(cells.map(Option::unwrap_or_default)));
        }
        let _ = write!(text, "\n{}", data.render());
    }
    text
}

fn short(hash: &str) -> String {
    hash.chars().take(HASH_DIGITS).collect()
}
