//! Recipes: what to train, on which events, from which seed.
//!
//! ```toml
//! name = "topo"                       # of the model, and of the bundle's folder
//! version = "1.0.0"
//! architecture = "dense"              # or "autoencoder"
//! layers = [57, 32, 16, 3]
//! outputs = ["background", "leptons", "taus"]     # dense: the classes; autoencoder: the name of its one score
//! background = "background"           # dense: the class whose pass fractions are reported
//! seed = 1
//! epochs = 20
//! batch = 512
//! learning_rate = 2e-3                # falls to 0 along a cosine
//! weight_decay = 1e-2                 # of AdamW; default 0
//! held_out = 0.2                      # fraction of the events that is only used to evaluate
//! balance = true                      # dense: every class counts as much, however many events it has
//!
//! [[input]]                           # in the order of the first layer
//! field = "jets.pt"
//! standardize = true                  # x = (value - mean) / sigma * weight, mean and sigma from the training events
//! weight = 1.0
//! clip = [-5.0, 5.0]
//! augment = "rotate"                  # an angle in rad, or "reflect": a coordinate along the beam; see `augment.rs`
//!
//! [[data]]
//! file = "../l1-zerobias.tmf.zst"     # relative to the recipe
//! class = "background"                # dense only
//! label = { field = "truth.label", values = [0] }     # only these events
//! max_events = 100000
//!
//! [[evaluate]]                        # autoencoder only: events it was not trained on
//! name = "leptons"
//! file = "../l1-a4l.tmf.zst"
//! ```

use serde::Deserialize;
use tamis_event::Address;

use crate::error::RecipeError;

/// A checked recipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    #[serde(skip)]
    pub(crate) text: String,
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) doc: String,
    pub(crate) architecture: Architecture,
    pub(crate) layers: Vec<usize>,
    pub(crate) outputs: Vec<String>,
    pub(crate) background: Option<String>,
    pub(crate) seed: u64,
    pub(crate) epochs: u32,
    pub(crate) batch: usize,
    pub(crate) learning_rate: f64,
    #[serde(default)]
    pub(crate) weight_decay: f64,
    pub(crate) held_out: f64,
    #[serde(default)]
    pub(crate) balance: bool,
    #[serde(default)]
    pub(crate) input: Vec<Input>,
    #[serde(default)]
    pub(crate) data: Vec<Data>,
    #[serde(default)]
    pub(crate) evaluate: Vec<Evaluate>,
}

/// The kinds of network that can be trained; the words are those of the bundle format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Architecture {
    Dense,
    Autoencoder,
}

/// One schema field and its preprocessing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    pub field: String,
    #[serde(default)]
    pub standardize: bool,
    #[serde(default = "one")]
    pub weight: f64,
    pub clip: Option<[f64; 2]>,
    pub augment: Option<Augment>,
}

/// A symmetry of the collisions under which an input changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Augment {
    Rotate,
    Reflect,
}

fn one() -> f64 {
    1.0
}

/// Events to train with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    pub file: String,
    pub class: Option<String>,
    pub label: Option<Label>,
    pub max_events: Option<usize>,
}

/// Events to evaluate an autoencoder with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evaluate {
    pub name: String,
    pub file: String,
    pub label: Option<Label>,
    pub max_events: Option<usize>,
}

/// A filter on the truth of an event.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Label {
    pub field: String,
    pub values: Vec<i64>,
}

impl Recipe {
    /// Reads a recipe; `place` names it in errors.
    pub fn parse(text: &str, place: &str) -> Result<Self, RecipeError> {
        let toml_fault = |error: toml::de::Error| {
            let message = error.to_string().trim_end().into();
            RecipeError::Toml { place: place.into(), message }
        };
        let recipe = Self { text: text.into(), ..toml::from_str(text).map_err(toml_fault)? };
        match recipe.first_fault() {
            Some((key, reason)) => Err(RecipeError::Key { place: place.into(), key, reason: reason.into() }),
            None => Ok(recipe),
        }
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Times that the training goes through its events.
    pub fn epochs(&self) -> u32 {
        self.epochs
    }

    /// The files to load, as the recipe writes them (relative to it), each once, in the order in which [`crate::train`] wants them.
    pub fn files(&self) -> Vec<&str> {
        let mut files = Vec::new();
        let all = self
            .data
            .iter()
            .map(|data| &data.file)
            .chain(self.evaluate.iter().map(|evaluate| &evaluate.file));
        for file in all {
            if !files.contains(&file.as_str()) {
                files.push(file.as_str());
            }
        }
        files
    }

    /// Key and reason of the first thing that is wrong.
    fn first_fault(&self) -> Option<(String, &'static str)> {
        let fault = |key: &str, reason| Some((key.to_owned(), reason));
        if !is_word(&self.name) {
            return fault("name", "use a-z, 0-9 and '_', a letter first");
        }
        if self.layers.len() < 2 || self.layers.iter().any(|&width| width == 0 || width > 8192) {
            return fault("layers", "give at least 2 widths between 1 and 8192");
        }
        if self.outputs.is_empty() || !self.outputs.iter().all(|name| is_word(name)) {
            return fault("outputs", "give names of a-z, 0-9 and '_', a letter first");
        }
        if self.epochs == 0 || self.batch == 0 || self.batch > 1 << 20 {
            return fault("epochs, batch", "both are above 0, and a batch at most 1048576");
        }
        if !(self.learning_rate > 0.0 && self.learning_rate < 1.0) {
            return fault("learning_rate", "give a number between 0 and 1");
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay < 1.0) {
            return fault("weight_decay", "give a number from 0 to below 1");
        }
        if !(self.held_out > 0.0 && self.held_out <= 0.9) {
            return fault("held_out", "give a fraction above 0 and at most 0.9");
        }
        if self.data.is_empty() {
            return fault("data", "name at least one file");
        }
        self.input_fault().or_else(|| match self.architecture {
            Architecture::Dense => self.dense_fault(),
            Architecture::Autoencoder => self.autoencoder_fault(),
        })
    }

    fn input_fault(&self) -> Option<(String, &'static str)> {
        let labels =
            self.data.iter().map(|d| &d.label).chain(self.evaluate.iter().map(|e| &e.label)).flatten();
        let fields = self.input.iter().map(|input| &input.field).chain(labels.map(|label| &label.field));
        for field in fields {
            if field.parse::<Address>().is_err() {
                return Some((field.clone(), "is no field address; write name or name[index]"));
            }
        }
        let bad = self.input.iter().find(|input| {
            let clip_ok =
                input.clip.is_none_or(|[low, high]| low.is_finite() && high.is_finite() && low < high);
            !clip_ok || !input.weight.is_finite() || input.weight <= 0.0
        });
        bad.map(|input| {
            (input.field.clone(), "weight is above 0 and finite, clip = [low, high] with low below high")
        })
    }

    fn dense_fault(&self) -> Option<(String, &'static str)> {
        if self.outputs.len() < 2 || self.layers.last() != Some(&self.outputs.len()) {
            return Some((
                "outputs".into(),
                "a classifier has at least 2, one for every number of the last layer",
            ));
        }
        let known = |class: &Option<String>| class.as_ref().is_some_and(|class| self.outputs.contains(class));
        if let Some(data) = self.data.iter().find(|data| !known(&data.class)) {
            return Some((data.file.clone(), "class must be one of outputs"));
        }
        if !known(&self.background) {
            return Some(("background".into(), "must be one of outputs"));
        }
        if !self.evaluate.is_empty() {
            return Some((
                "evaluate".into(),
                "is for autoencoders; a classifier is evaluated on its held-out events",
            ));
        }
        None
    }

    fn autoencoder_fault(&self) -> Option<(String, &'static str)> {
        if self.layers.first() != self.layers.last() {
            return Some(("layers".into(), "an autoencoder is as wide at the end as at the beginning"));
        }
        if self.outputs.len() != 1 {
            return Some(("outputs".into(), "an autoencoder has one score, the reconstruction error"));
        }
        if self.background.is_some() || self.balance || self.data.iter().any(|data| data.class.is_some()) {
            return Some((
                "class, background, balance".into(),
                "are for classifiers; an autoencoder knows no classes",
            ));
        }
        None
    }
}

fn is_word(word: &str) -> bool {
    word.len() <= 64
        && word.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
