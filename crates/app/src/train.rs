//! Trains a model: a recipe and recordings become a verified bundle.

use std::path::{Path, PathBuf};

use tamis_event::Schema;
use tamis_lab::{Dataset, Recipe, Trained, TrainingProgress};
use tamis_ledger::Cause;
use tamis_model::{Bundle, Engine};
use tamis_source::FileKind;

use crate::exit::OrFail;
use crate::frames::{Frame, Frames};
use crate::text_file::read_text;
use crate::wrong_file::or_wrong_file;
use crate::{Exit, Failure, bundle_folder};

/// A training that is asked for.
#[derive(Clone, Debug)]
pub struct TrainSettings {
    /// The recipe. Its files are found relative to it.
    pub recipe: PathBuf,
    /// Folder for the bundle; by default `models/NAME` in the working folder.
    pub out: Option<PathBuf>,
    /// Replace a bundle that is there.
    pub overwrite: bool,
}

/// Trains a model, writes the bundle, and loads it again with every check. Returns the folder of the bundle and the figures of merit.
pub fn train(
    settings: &TrainSettings,
    mut progress: impl FnMut(&TrainingProgress),
) -> Result<(PathBuf, Trained), Failure> {
    let place = settings.recipe.display().to_string();
    let no_recipe = |failure| or_wrong_file(&settings.recipe, &[FileKind::Recipe], "recipe", failure);
    let text = read_text(&settings.recipe)
        .map_err(|error| format!("{place}: the recipe cannot be read: {error}"))
        .or_fail(Exit::Input)
        .map_err(no_recipe)?;
    let recipe = Recipe::parse(&text, &place).or_fail(Exit::Input).map_err(no_recipe)?;
    let folder = settings.recipe.parent().unwrap_or(Path::new("."));
    let out = settings.out.clone().unwrap_or_else(|| Path::new("models").join(recipe.name()));
    bundle_folder::may_write(&out, settings.overwrite)?;
    let datasets = datasets(folder, &recipe)?;
    let schema: Option<Schema> = datasets.first().map(|dataset| dataset.schema.clone());
    let outcome = tamis_lab::train(&recipe, &datasets, &mut progress).or_fail(Exit::Input)?;
    bundle_folder::write(&out, &outcome.bundle.files(), settings.overwrite)?;
    // What was written must pass the same checks as any other bundle.
    let bundle = Bundle::load(&out).or_fail(Exit::Internal)?;
    if let Some(schema) = schema {
        bundle.bind(&schema, Engine::Flex).or_fail(Exit::Internal)?;
    }
    Ok((out, outcome))
}

/// The recordings of a recipe, or everything that is wrong with them and with what the recipe requires of them.
fn datasets(folder: &Path, recipe: &Recipe) -> Result<Vec<Dataset>, Failure> {
    let mut datasets: Vec<Dataset> = Vec::new();
    let mut failures: Vec<Failure> = Vec::new();
    for file in recipe.files() {
        let path = folder.join(file);
        match dataset(&path) {
            Ok(dataset) => {
                // Files of one schema are refused for the same reasons: they are reported with the first.
                if datasets.iter().all(|other| other.schema.id() != dataset.schema.id()) {
                    let faults = recipe.faults(file, &dataset.schema);
                    failures.extend(faults.into_iter().map(|fault| Failure::new(Exit::Input, fault)));
                }
                datasets.push(dataset);
            }
            Err(failure) => failures.push(failure),
        }
    }
    let Some(first) = failures.first() else { return Ok(datasets) };
    let messages: Vec<&str> = failures.iter().map(|failure| failure.message.as_str()).collect();
    Err(Failure::new(first.exit, messages.join("\n")))
}

/// All event records of a recording.
fn dataset(path: &Path) -> Result<Dataset, Failure> {
    let mut frames = Frames::open(path)?;
    let mut events = Vec::new();
    while let Some(frame) = frames.next()? {
        match frame {
            Frame::Events { span, .. } => events.extend_from_slice(span.records()),
            Frame::Lost { cause, .. } => {
                let place = path.display();
                let cause = cause.name();
                let message =
                    format!("{place}: a damaged frame (cause: {cause}); train on an intact recording");
                return Err(Failure::new(Exit::Input, message));
            }
            Frame::Other { .. } => {}
        }
    }
    Ok(Dataset { schema: frames.schema().clone(), events })
}
