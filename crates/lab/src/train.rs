//! Trains a network: from a recipe and events to a bundle and its figures of merit.
//!
//! ```text
//!   Dataset --select--> rows --split--> train ----> learn shift, scale --> Learner --epochs--> weights --.
//!                                  \--> held out --------------------------> scores --> AUC, cuts ------+--> bundle
//! ```
//!
//! Invariants:
//!
//! * I1: held-out events never enter the preprocessing or the weights, and no event that did is evaluated. The identity of an event does not depend
//!   on the file, its name, the class or the filter that selected it: see `Identity`.
//! * I2: the bundle is a function of recipe and events: the same bytes from the same seed on the same kind of machine.

use std::collections::HashSet;

use crate::augment::Symmetries;
use crate::bundle::{Golden, TrainedBundle, TrainingRecord, Used, assemble, sha256};
use crate::error::TrainError;
use crate::learner::{Learner, MiniBatch};
use crate::metrics::{auc, efficiency, threshold};
use crate::preprocessing::{Steps, learn};
use crate::random::Random;
use crate::recipe::{Architecture, Recipe, RecipeInput};
use crate::samples::{Dataset, Identity, Rows, Selection, inputs, select};
use tamis_event::Schema;

/// Number of golden vectors in a bundle.
const GOLDEN_ROWS: usize = 32;
/// The working points: background fractions for which a cut is computed.
const FRACTIONS: [f64; 3] = [1e-2, 1e-3, 1e-4];
/// Streams of random numbers for weights, order and augmentation.
const WEIGHT_STREAM: u64 = u64::MAX;
const ORDER_STREAM: u64 = u64::MAX - 1;
const AUGMENT_STREAM: u64 = u64::MAX - 2;

/// The progress of a training, reported after every batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingProgress {
    /// Number of complete epochs.
    pub epoch: u32,
    /// Total number of epochs.
    pub epochs: u32,
    /// Number of batches done in this epoch, at least 1.
    pub batch: usize,
    /// Number of batches per epoch.
    pub batches: usize,
    /// Mean loss of this epoch so far.
    pub loss: f64,
}

/// The result of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The bundle, to be written.
    pub bundle: TrainedBundle,
    /// Number of training events.
    pub trained: usize,
    /// Number of held-out events.
    pub held_out: usize,
    /// Remarks on the events for the user, one sentence each.
    pub notes: Vec<String>,
    /// Mean loss of every epoch.
    pub losses: Vec<f64>,
    /// Areas under the ROC curve on held-out events.
    pub auc: Vec<Auc>,
    /// Cuts on the scores for given background fractions.
    pub cuts: Vec<WorkingPoint>,
}

/// One area under the ROC curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Auc {
    /// The score.
    pub output: String,
    /// The signal: a class against all others, or the events of an `[[evaluate]]` against the held-out ones.
    pub signal: String,
    /// 0.5 for a score without information, 1 for a perfect one.
    pub value: f64,
}

/// A cut `score > threshold`.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkingPoint {
    /// The score.
    pub output: String,
    /// Fraction of the held-out background that passes.
    pub fraction: f64,
    /// The threshold of the cut.
    pub threshold: f32,
    /// Name and passing fraction of every other kind of events.
    pub efficiencies: Vec<(String, f64)>,
}

/// Scores of one kind of events, one list per output.
struct KindScores {
    name: String,
    scores: Vec<Vec<f32>>,
}

/// The training and held-out rows of every class (one class for an autoencoder), and those to evaluate with.
struct Split {
    train: Vec<Rows>,
    held_out: Vec<Rows>,
    evaluate: Vec<(String, Rows)>,
    data: Vec<Used>,
    notes: Vec<String>,
}

/// Trains the recipe's network on its files; `datasets` are those of [`Recipe::files`], in the same order.
pub fn train(
    recipe: &Recipe,
    datasets: &[Dataset],
    progress: &mut dyn FnMut(&TrainingProgress),
) -> Result<Trained, TrainError> {
    let files = recipe.files();
    if files.len() != datasets.len() {
        return Err(TrainError::Datasets { wanted: files.len(), given: datasets.len() });
    }
    let split = load(recipe, &files, datasets)?;
    let elements = inputs(recipe, files[0], &datasets[0].schema)?;
    let preprocessing = learn(&recipe.input, &elements, &split.train.iter().collect::<Vec<_>>());
    let steps = Steps::new(&preprocessing);
    let symmetries =
        Symmetries::new(&recipe.input, &elements, &units(recipe, &datasets[0].schema), &split.train)?;
    let mut batches = Batches::new(recipe, &split.train, &steps, symmetries);
    let mut learner = Learner::new(recipe, &mut Random::new(recipe.seed, WEIGHT_STREAM));
    let losses = run_epochs(recipe, &mut batches, &mut learner, progress)?;

    let kinds = score_kinds(recipe, &steps, &learner, &split)?;
    let auc = areas(recipe, &kinds);
    let cuts = cuts(recipe, &kinds);
    let trained = split.train.iter().map(Rows::len).sum();
    let held_out = split.held_out.iter().map(Rows::len).sum();
    let golden = golden(recipe, &steps, &learner, &split.held_out)?;
    let provenance = TrainingRecord { events: trained, data: split.data, metrics: metrics(&auc, &cuts) };
    let bundle = assemble(recipe, &preprocessing, &learner.layers()?, golden, &provenance);
    Ok(Trained { bundle, trained, held_out, notes: split.notes, losses, auc, cuts })
}

fn load(recipe: &Recipe, files: &[&str], datasets: &[Dataset]) -> Result<Split, TrainError> {
    let width = recipe.layers[0];
    let identities: Vec<Vec<Identity>> = datasets.iter().map(Identity::of_all).collect();
    let index_of = |file: &str| {
        let index = files.iter().position(|other| *other == file);
        index.expect("the recipe's files are those of its entries")
    };
    let classes = match recipe.architecture {
        Architecture::Dense => recipe.outputs.len(),
        Architecture::Autoencoder => 1,
    };
    let empty = || vec![Rows::new(width); classes];
    let mut out = Split {
        train: empty(),
        held_out: empty(),
        evaluate: Vec::new(),
        data: Vec::new(),
        notes: Vec::new(),
    };
    let mut trained: HashSet<Identity> = HashSet::new();
    let mut twice = 0;
    for data in &recipe.data {
        let what = Selection { file: &data.file, label: data.label.as_ref(), max_events: data.max_events };
        let index = index_of(&data.file);
        let (rows, places) = select(recipe, what, &datasets[index])?;
        let class = recipe.outputs.iter().position(|output| Some(output) == data.class.as_ref()).unwrap_or(0);
        for (row, place) in rows.iter().zip(places) {
            let identity = identities[index][place];
            if identity.is_held_out(recipe) {
                out.held_out[class].push(row);
            } else {
                out.train[class].push(row);
                twice += usize::from(!trained.insert(identity));
            }
        }
        out.data.push(Used {
            file: data.file.clone(),
            class: data.class.clone(),
            events: rows.len(),
            records_sha256: sha256(&datasets[index].events),
        });
    }
    if twice > 0 {
        out.notes.push(format!("{twice} events to train with stand in several [[data]], or in a file twice"));
    }
    for evaluate in &recipe.evaluate {
        let what = Selection {
            file: &evaluate.file,
            label: evaluate.label.as_ref(),
            max_events: evaluate.max_events,
        };
        let index = index_of(&evaluate.file);
        let (rows, places) = select(recipe, what, &datasets[index])?;
        let mut unseen = Rows::new(width);
        for (row, place) in rows.iter().zip(places) {
            if !trained.contains(&identities[index][place]) {
                unseen.push(row);
            }
        }
        let (all, left) = (rows.len(), unseen.len());
        if left == 0 {
            return Err(TrainError::AllTrained { name: evaluate.name.clone(), events: all });
        }
        if left < all {
            let name = &evaluate.name;
            out.notes
                .push(format!("'{name}': {} of {all} events were trained on and are left out", all - left));
        }
        out.evaluate.push((evaluate.name.clone(), unseen));
    }
    for (class, (train, held_out)) in out.train.iter().zip(&out.held_out).enumerate() {
        let (train, held_out) = (train.len(), held_out.len());
        if train == 0 || held_out == 0 {
            return Err(TrainError::Empty { class: recipe.outputs[class].clone(), train, held_out });
        }
    }
    Ok(out)
}

/// The unit of every input; unknown fields are refused elsewhere.
fn units(recipe: &Recipe, schema: &Schema) -> Vec<String> {
    let unit = |input: &RecipeInput| {
        let name = input.field.split('[').next().unwrap_or_default();
        schema.field(name).map(|field| field.unit.clone()).unwrap_or_default()
    };
    recipe.input.iter().map(unit).collect()
}

fn run_epochs(
    recipe: &Recipe,
    batches: &mut Batches<'_>,
    learner: &mut Learner,
    progress: &mut dyn FnMut(&TrainingProgress),
) -> Result<Vec<f64>, TrainError> {
    let mut order: Vec<u32> = (0..batches.events.len() as u32).collect();
    let mut random = Random::new(recipe.seed, ORDER_STREAM);
    let per_epoch = order.len().div_ceil(recipe.batch);
    let steps = per_epoch * recipe.epochs as usize;
    let mut losses = Vec::new();
    for epoch in 0..recipe.epochs {
        random.shuffle(&mut order);
        let (mut sum, mut seen) = (0.0, 0);
        for (index, chosen) in order.chunks(recipe.batch).enumerate() {
            let step = epoch as usize * per_epoch + index;
            let falling = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
            let loss = learner.learn(batches.make(chosen), recipe.learning_rate * falling)?;
            if !loss.is_finite() {
                return Err(TrainError::Diverged { epoch, loss });
            }
            sum += loss * chosen.len() as f64;
            seen += chosen.len();
            let epochs = recipe.epochs;
            let batch = index + 1;
            progress(&TrainingProgress { epoch, epochs, batch, batches: per_epoch, loss: sum / seen as f64 });
        }
        losses.push(sum / seen as f64);
    }
    Ok(losses)
}

/// Makes batches of the training events.
struct Batches<'a> {
    /// Class and physical values of every event.
    events: Vec<(usize, &'a [f32])>,
    /// The weight of an event of each class; empty for an autoencoder, which has no targets.
    weights: Vec<f32>,
    steps: &'a Steps,
    symmetries: Symmetries,
    random: Random,
}

impl<'a> Batches<'a> {
    fn new(recipe: &Recipe, classes: &'a [Rows], steps: &'a Steps, symmetries: Symmetries) -> Self {
        let with_class = |(class, rows): (usize, &'a Rows)| rows.iter().map(move |row| (class, row));
        let events: Vec<_> = classes.iter().enumerate().flat_map(with_class).collect();
        let fair = |rows: &Rows| events.len() as f32 / (classes.len() * rows.len()) as f32;
        let weights = match recipe.architecture {
            Architecture::Dense => {
                classes.iter().map(|rows| if recipe.balance { fair(rows) } else { 1.0 }).collect()
            }
            Architecture::Autoencoder => Vec::new(),
        };
        Self { events, weights, steps, symmetries, random: Random::new(recipe.seed, AUGMENT_STREAM) }
    }

    fn make(&mut self, chosen: &[u32]) -> MiniBatch {
        let mut batch = MiniBatch { rows: chosen.len(), inputs: Vec::new(), targets: Vec::new() };
        for &index in chosen {
            let (class, values) = self.events[index as usize];
            let start = batch.inputs.len();
            batch.inputs.extend_from_slice(values);
            self.symmetries.apply(&mut self.random, &mut batch.inputs[start..]);
            self.steps.apply(&mut batch.inputs[start..]);
            batch.targets.extend(self.weights.iter().enumerate().map(
                |(k, &weight)| {
                    if k == class { weight } else { 0.0 }
                },
            ));
        }
        batch
    }
}

/// Scores the held-out events of every class, then the events to evaluate with.
fn score_kinds(
    recipe: &Recipe,
    steps: &Steps,
    learner: &Learner,
    split: &Split,
) -> Result<Vec<KindScores>, TrainError> {
    let classes = split.held_out.iter().enumerate().map(|(class, rows)| match recipe.architecture {
        Architecture::Dense => (recipe.outputs[class].clone(), rows),
        Architecture::Autoencoder => ("held-out".to_owned(), rows),
    });
    let others = split.evaluate.iter().map(|(name, rows)| (name.clone(), rows));
    let mut kinds = Vec::new();
    for (name, rows) in classes.chain(others) {
        kinds
            .push(KindScores { name, scores: learner.scores(&steps.apply_all(rows), recipe.outputs.len())? });
    }
    Ok(kinds)
}

fn areas(recipe: &Recipe, kinds: &[KindScores]) -> Vec<Auc> {
    let mut areas = Vec::new();
    match recipe.architecture {
        Architecture::Dense => {
            for (class, output) in recipe.outputs.iter().enumerate() {
                let others: Vec<f32> = kinds
                    .iter()
                    .filter(|kind| kind.name != *output)
                    .flat_map(|kind| kind.scores[class].iter().copied())
                    .collect();
                let value = auc(&kinds[class].scores[class], &others);
                areas.extend(value.map(|value| Auc {
                    output: output.clone(),
                    signal: output.clone(),
                    value,
                }));
            }
        }
        Architecture::Autoencoder => {
            let output = &recipe.outputs[0];
            let held_out = &kinds[0].scores[0];
            for kind in &kinds[1..] {
                let value = auc(&kind.scores[0], held_out);
                areas.extend(value.map(|value| Auc {
                    output: output.clone(),
                    signal: kind.name.clone(),
                    value,
                }));
            }
        }
    }
    areas
}

fn cuts(recipe: &Recipe, kinds: &[KindScores]) -> Vec<WorkingPoint> {
    let background = match &recipe.background {
        Some(name) => kinds.iter().position(|kind| kind.name == *name).expect("the recipe was checked"),
        None => 0,
    };
    let mut cuts = Vec::new();
    for (index, output) in recipe.outputs.iter().enumerate() {
        if Some(output) == recipe.background.as_ref() {
            continue;
        }
        for fraction in FRACTIONS {
            let Some(threshold) = threshold(&kinds[background].scores[index], fraction) else { continue };
            let others =
                kinds.iter().enumerate().filter(|&(kind, _)| kind != background).map(|(_, kind)| kind);
            let efficiencies =
                others.map(|kind| (kind.name.clone(), efficiency(&kind.scores[index], threshold))).collect();
            cuts.push(WorkingPoint { output: output.clone(), fraction, threshold, efficiencies });
        }
    }
    cuts
}

fn metrics(areas: &[Auc], cuts: &[WorkingPoint]) -> Vec<(String, f64)> {
    let rounded = |value: f64| (value * 1e6).round() / 1e6;
    let areas = areas.iter().map(|area| match area.output == area.signal {
        true => (format!("auc.{}", area.output), rounded(area.value)),
        false => (format!("auc.{}.{}", area.output, area.signal), rounded(area.value)),
    });
    let cuts = cuts.iter().map(|cut| {
        (format!("threshold.{}.{:e}", cut.output, cut.fraction), rounded(f64::from(cut.threshold)))
    });
    areas.chain(cuts).collect()
}

/// Golden vectors: held-out events, spread evenly over each class, and their scores.
fn golden(
    recipe: &Recipe,
    steps: &Steps,
    learner: &Learner,
    held_out: &[Rows],
) -> Result<Golden, TrainError> {
    let mut chosen = Rows::new(recipe.layers[0]);
    for rows in held_out {
        let count = (GOLDEN_ROWS / held_out.len()).clamp(1, rows.len());
        for row in rows.iter().step_by(rows.len() / count).take(count) {
            chosen.push(row);
        }
    }
    let columns = learner.scores(&steps.apply_all(&chosen), recipe.outputs.len())?;
    let scores = (0..chosen.len()).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
    Ok(Golden { rows: chosen.len(), inputs: chosen.values, scores })
}
