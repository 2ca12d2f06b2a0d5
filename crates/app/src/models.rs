//! A menu with its models: loaded, verified, bound to a schema.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tamis_event::Schema;
use tamis_menu::{CompiledMenu, Menu, MenuErrors};
use tamis_model::{Bundle, Engine, Model, VectorUnit};
use tamis_pipeline::{Choice, Judge, Stamp};
use tamis_port::Classifier;
use tamis_source::FileKind;

use crate::exit::OrFail;
use crate::text_file::read_text;
use crate::wrong_file::or_wrong_file;
use crate::{Exit, Failure};

/// Everything that decides, verified: menu, models, and their identity.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) menu: Menu,
    pub(crate) compiled: Arc<CompiledMenu>,
    /// The choices of each model, best first, with the menu's name for the model.
    pub(crate) bundles: Vec<(String, Vec<Bundle>)>,
    models: BoundModels,
    pub(crate) stamp: Stamp,
}

/// What runs a bundle of the menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelEngine {
    /// The menu's name for the model.
    pub model: String,
    /// 0 for the bundle that the menu names first, k for its k-th fallback.
    pub choice: usize,
    /// The engine.
    pub engine: String,
    /// Why it is not the fused kernels, if the choice was left to this program.
    pub why_not_fused: Option<String>,
}

impl ModelEngine {
    pub(crate) fn new(model: &str, choice: usize, bound: &Model) -> Self {
        let model = model.to_owned();
        let engine = bound.engine().to_string();
        Self { model, choice, engine, why_not_fused: bound.why_not_fused().map(Into::into) }
    }

    /// A sentence, if there is something to say.
    pub fn note(&self) -> Option<String> {
        let Self { model, choice, engine, why_not_fused } = self;
        let fallback = if *choice == 0 { String::new() } else { format!(", fallback {choice},") };
        why_not_fused
            .as_ref()
            .map(|why| format!("model '{model}'{fallback} runs on {engine}, not on fused: {why}"))
    }
}

/// The engines of several bundles, in order: one word if it is the same for all.
pub(crate) fn words(engines: impl Iterator<Item = Engine>) -> String {
    let mut words: Vec<String> = engines.map(|engine| engine.to_string()).collect();
    if words.iter().all(|word| *word == words[0]) {
        words.truncate(1);
    }
    if words.is_empty() { NO_ENGINE.into() } else { words.join(",") }
}

/// The word for the engine where there is no model.
const NO_ENGINE: &str = "none";

/// The choices of each model, bound to engines.
pub(crate) type BoundModels = Vec<Vec<Bound>>;

/// A bundle on the engine of the run and, if that can be lost, on the one that cannot.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    own: Model,
    stand_in: Option<Model>,
}

/// The engine that stands in for one whose device is lost, and that can decide the events of every file.
pub(crate) const REFERENCE: Engine = Engine::Flex;

impl Rules {
    /// Reads a menu file and the bundles that it names. `replace` gives other bundles for some of its models; their fallbacks stay.
    pub(crate) fn load(
        path: &Path,
        replace: &[(String, PathBuf)],
        schema: &Schema,
        engine: Engine,
    ) -> Result<Self, Failure> {
        let place = path.display().to_string();
        let menu = read_menu(path, Some(schema))?;
        if let Some((name, _)) =
            replace.iter().find(|(name, _)| menu.models().iter().all(|model| model.name != *name))
        {
            let known: Vec<&str> = menu.models().iter().map(|model| model.name.as_str()).collect();
            let known = if known.is_empty() { "none at all".into() } else { known.join(", ") };
            let message = format!("{place} has no model '{name}' to replace; it has {known}");
            return Err(Failure::new(Exit::Settings, message));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        let (mut bundles, mut failures) = (Vec::new(), Vec::new());
        for model in menu.models() {
            let replaced = replace.iter().find(|(name, _)| *name == model.name);
            let first = match replaced {
                Some((_, path)) => load_bundle(path),
                None => load_named(&menu, folder, &model.bundle),
            };
            let fallback = model.fallback.iter().map(|bundle| load_named(&menu, folder, bundle));
            let mut choices = Vec::new();
            for choice in std::iter::once(first).chain(fallback) {
                match choice {
                    Ok(bundle) => choices.push(bundle),
                    Err(failure) => failures.push(failure),
                }
            }
            bundles.push((model.name.clone(), choices));
        }
        if let Some(first) = failures.first() {
            let messages: Vec<&str> = failures.iter().map(|failure| failure.message.as_str()).collect();
            return Err(Failure::new(first.exit, messages.join("\n")));
        }
        Self::bind(menu, bundles, schema, engine)
    }

    /// Puts a menu and its bundles, in the menu's order, together for a schema.
    pub(crate) fn bind(
        menu: Menu,
        bundles: Vec<(String, Vec<Bundle>)>,
        schema: &Schema,
        engine: Engine,
    ) -> Result<Self, Failure> {
        bundles.iter().try_for_each(|(name, choices)| same_outputs(name, choices))?;
        let scores = score_names(&bundles);
        let compiled = Arc::new(menu.compile(schema, &scores).or_fail(Exit::Input)?);
        let models = bind_all(&bundles, schema, |_| engine)?;
        let model_hash = if bundles.is_empty() { 0 } else { joint_hash(&bundles) };
        let unit = VectorUnit::of_this_cpu().code();
        let stamp = Stamp { schema_id: schema.id(), model_hash, unit };
        Ok(Self { menu, compiled, bundles, models, stamp })
    }

    /// What runs each choice of each model, in the menu's order.
    fn engines(&self) -> impl Iterator<Item = Engine> {
        self.models.iter().flatten().map(|bound| bound.own.engine())
    }

    /// What runs the models, in words: one word if it is the same for all.
    pub(crate) fn device(&self) -> String {
        words(self.engines())
    }

    /// What runs each choice of each model, with names and reasons.
    pub(crate) fn model_engines(&self) -> Vec<ModelEngine> {
        let of = |((name, _), choices): (&(String, Vec<Bundle>), &Vec<Bound>)| -> Vec<ModelEngine> {
            let choices = choices.iter().enumerate();
            choices.map(|(choice, bound)| ModelEngine::new(name, choice, &bound.own)).collect()
        };
        self.bundles.iter().zip(&self.models).flat_map(of).collect()
    }

    /// The number of events per batch that suits every engine.
    pub(crate) fn batch_events(&self) -> usize {
        self.engines().map(Engine::batch_events).max().unwrap_or(Engine::Auto.batch_events())
    }

    /// Do all models run on the deciding threads?
    pub(crate) fn is_on_cpu(&self) -> bool {
        self.engines().all(Engine::is_cpu)
    }

    /// Names of all scores, in the order of their columns.
    pub(crate) fn score_names(&self) -> Vec<String> {
        score_names(&self.bundles)
    }

    /// One set of models, with the choices of each. Every worker has its own set.
    pub(crate) fn choices(&self) -> Vec<Vec<Choice>> {
        choices(&self.models)
    }

    /// The model that each name of the menu stands for at first, without its fallbacks.
    pub(crate) fn first_choices(&self) -> Vec<(String, Model)> {
        let names = self.bundles.iter().map(|(name, _)| name.clone());
        names.zip(self.models.iter().map(|choices| choices[0].own.clone())).collect()
    }

    /// A judge for blocks of [`JUDGED_AT_ONCE`] events.
    pub(crate) fn judge(&self) -> Judge {
        self.judge_with(&self.models)
    }

    /// A judge like [`Self::judge`], with its models bound to other engines.
    pub(crate) fn judge_with(&self, models: &BoundModels) -> Judge {
        Judge::new(choices(models), self.compiled.clone(), self.stamp, JUDGED_AT_ONCE)
    }

    /// The models on other engines, one for each choice of each model in the menu's order, if they are here.
    pub(crate) fn bind_to(&self, engines: &[Engine], schema: &Schema) -> Result<BoundModels, Failure> {
        bind_all(&self.bundles, schema, |choice| engines[choice])
    }
}

fn choices(models: &BoundModels) -> Vec<Vec<Choice>> {
    models.iter().map(|choices| choices.iter().map(Bound::choice).collect()).collect()
}

/// Events that are decided again together, at most.
pub(crate) const JUDGED_AT_ONCE: usize = 4096;

/// Reads a menu file. A failure lists everything that is wrong with the menu; with a schema, also what only a schema can show.
pub(crate) fn read_menu(path: &Path, schema: Option<&Schema>) -> Result<Menu, Failure> {
    let place = path.display().to_string();
    let text = read_text(path)
        .map_err(|error| format!("{place}: the menu cannot be read: {error}"))
        .or_fail(Exit::Input)
        .map_err(|failure| or_wrong_file(path, &[FileKind::Menu, FileKind::Empty], "menu", failure))?;
    let with_schema = |errors: MenuErrors| match schema {
        Some(schema) => errors.with_schema(schema),
        None => errors,
    };
    Menu::parse(&text, &place)
        .map_err(with_schema)
        .or_fail(Exit::Input)
        .map_err(|failure| or_wrong_file(path, &[FileKind::Menu], "menu", failure))
}

/// Loads a bundle that a menu names. A failure names the line of the menu.
fn load_named(menu: &Menu, folder: &Path, bundle: &str) -> Result<Bundle, Failure> {
    load_bundle(&folder.join(bundle)).map_err(|failure| {
        let quoted = ['"', '\''].map(|quote| format!("{quote}{bundle}{quote}"));
        // The model itself may have the same name.
        let is_name = |line: &str| line.trim_start().starts_with("name");
        let names_it = |line: &str| !is_name(line) && quoted.iter().any(|quoted| line.contains(quoted));
        match menu.text().lines().position(names_it) {
            Some(line) => {
                let message = format!("{} ({}, line {})", failure.message, menu.place(), line + 1);
                Failure::new(failure.exit, message)
            }
            None => failure,
        }
    })
}

/// Loads a bundle from a folder or a `.tar`.
pub(crate) fn load_bundle(path: &Path) -> Result<Bundle, Failure> {
    Bundle::load(path).or_fail(Exit::Input).map_err(|failure| no_bundle(path, failure))
}

/// The failure to load a bundle, if it is one.
pub(crate) fn no_bundle(path: &Path, failure: Failure) -> Failure {
    or_wrong_file(path, &[FileKind::Tar], "bundle", failure)
}

impl Bound {
    fn choice(&self) -> Choice {
        let stand_in =
            self.stand_in.clone().map(|model| (Box::new(model) as Box<dyn Classifier>, REFERENCE.code()));
        Choice { classifier: Box::new(self.own.clone()), engine: self.own.engine().code(), stand_in }
    }
}

/// Binds every choice of every model, with its stand-in; `engine` says what runs a choice, by its number among all.
fn bind_all(
    bundles: &[(String, Vec<Bundle>)],
    schema: &Schema,
    engine: impl Fn(usize) -> Engine,
) -> Result<BoundModels, Failure> {
    let mut number = 0;
    let mut bind = |name: &str, choice: usize, bundle: &Bundle| {
        let engine = engine(number);
        number += 1;
        let place = match choice {
            0 if bundle.name() == name => String::new(),
            0 => format!("model '{name}' of the menu: "),
            choice => format!("model '{name}' of the menu, fallback {choice}: "),
        };
        let on =
            |engine| bundle.bind(schema, engine).map_err(|why| format!("{place}{why}")).or_fail(Exit::Input);
        let stand_in = (!engine.is_cpu()).then(|| on(REFERENCE)).transpose()?;
        Ok(Bound { own: on(engine)?, stand_in })
    };
    let mut all = Vec::new();
    for (name, choices) in bundles {
        let choices = choices.iter().enumerate().map(|(choice, bundle)| bind(name, choice, bundle));
        all.push(choices.collect::<Result<_, Failure>>()?);
    }
    Ok(all)
}

/// The scores of every choice stand in the same columns.
fn same_outputs(model: &str, choices: &[Bundle]) -> Result<(), Failure> {
    let wanted = choices[0].outputs();
    let Some(other) = choices.iter().find(|choice| choice.outputs() != wanted) else { return Ok(()) };
    let name = other.name();
    let found = other.outputs().join(", ");
    let wanted = wanted.join(", ");
    let message = format!(
        "model '{model}': its fallback '{name}' gives the scores {found}, not {wanted}; a fallback must have the same outputs in the same order"
    );
    Err(Failure::new(Exit::Input, message))
}

fn score_names(bundles: &[(String, Vec<Bundle>)]) -> Vec<String> {
    let of = |(name, choices): &(String, Vec<Bundle>)| -> Vec<String> {
        choices[0].outputs().iter().map(|output| format!("{name}.{output}")).collect()
    };
    bundles.iter().flat_map(of).collect()
}

/// First 8 bytes of the SHA-256 over the hashes of all bundles: the models in the menu's order, each with its choices.
fn joint_hash(bundles: &[(String, Vec<Bundle>)]) -> u64 {
    let mut sha = Sha256::new();
    bundles.iter().flat_map(|(_, choices)| choices).for_each(|bundle| sha.update(bundle.hash()));
    u64::from_le_bytes(sha.finalize()[..8].try_into().expect("SHA-256 has 32 bytes"))
}
