//! Models to look at outside a run: by name, on an engine that is there.

use std::path::{Path, PathBuf};

use tamis_event::Schema;
use tamis_menu::Menu;
use tamis_model::{Bundle, Engine, Model, engines};
use tamis_pipeline::Scorer;
use tamis_port::Classifier;

use crate::exit::OrFail;
use crate::models::{ModelEngine, load_bundle, read_menu};
use crate::{Exit, Failure};

/// A bundle, and the name that its scores begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedBundle {
    /// The name of the model; by default the bundle's own name.
    pub name: Option<String>,
    /// The bundle: a folder or a `.tar`.
    pub path: PathBuf,
}

/// Models side by side.
#[derive(Clone, Debug)]
pub(crate) struct Lineup {
    /// Each with the name that its scores begin with.
    pub(crate) models: Vec<(String, Bundle)>,
}

impl Lineup {
    /// Loads bundles.
    pub(crate) fn load(bundles: &[NamedBundle]) -> Result<Self, Failure> {
        let mut models: Vec<(String, Bundle)> = Vec::new();
        for NamedBundle { name, path } in bundles {
            let bundle = load_bundle(path)?;
            let name = name.clone().unwrap_or_else(|| bundle.name().into());
            if models.iter().any(|(other, _)| *other == name) {
                let message =
                    format!("two models are called '{name}'; name one, as in other={}", path.display());
                return Err(Failure::new(Exit::Settings, message));
            }
            models.push((name, bundle));
        }
        Ok(Self { models })
    }

    /// Reads a menu and loads the bundles that it names.
    pub(crate) fn of_menu(path: &Path) -> Result<(Menu, Self), Failure> {
        let menu = read_menu(path, None)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let load = |model: &tamis_menu::ModelRef| {
            let bundle = load_bundle(&folder.join(&model.bundle))?;
            Ok((model.name.clone(), bundle))
        };
        let models = menu.models().iter().map(load).collect::<Result<_, _>>()?;
        Ok((menu, Self { models }))
    }

    /// These models, some of them replaced by other bundles.
    pub(crate) fn replaced(&self, bundles: &[NamedBundle]) -> Result<Self, Failure> {
        let mut models = self.models.clone();
        for NamedBundle { name, path } in bundles {
            let bundle = load_bundle(path)?;
            let wanted = name.as_deref().unwrap_or(bundle.name());
            let known: Vec<&str> = self.models.iter().map(|(name, _)| name.as_str()).collect();
            // A single bundle needs no name.
            let place = match (name, known.len()) {
                (None, 1) => Some(0),
                _ => known.iter().position(|name| *name == wanted),
            };
            let Some(place) = place else {
                let path = path.display();
                let known = known.join(", ");
                let message = format!(
                    "{path}: there is no model '{wanted}' to replace; write NAME={path} with one of: {known}"
                );
                return Err(Failure::new(Exit::Settings, message));
            };
            models[place].1 = bundle;
        }
        Ok(Self { models })
    }

    /// Refuses models that do not give the same scores as these, one by one.
    pub(crate) fn check_comparable(&self, other: &Self) -> Result<(), Failure> {
        for ((name, here), (_, there)) in self.models.iter().zip(&other.models) {
            if here.outputs() != there.outputs() {
                let (there, here) = (there.outputs().join(", "), here.outputs().join(", "));
                let message = format!(
                    "model '{name}': gives the scores {here} on one side and {there} on the other; only equal scores can be compared"
                );
                return Err(Failure::new(Exit::Input, message));
            }
        }
        Ok(())
    }

    /// Names of all scores, `MODEL.OUTPUT`, in the order of their columns.
    pub(crate) fn score_names(&self) -> Vec<String> {
        let of = |(name, bundle): &(String, Bundle)| -> Vec<String> {
            bundle.outputs().iter().map(|output| format!("{name}.{output}")).collect()
        };
        self.models.iter().flat_map(of).collect()
    }

    /// The models, bound to a schema on an engine.
    pub(crate) fn bind(&self, schema: &Schema, engine: Engine) -> Result<Vec<Model>, Failure> {
        check_engine(engine)?;
        self.models.iter().map(|(_, bundle)| bundle.bind(schema, engine).or_fail(Exit::Input)).collect()
    }

    /// What runs each of them.
    pub(crate) fn model_engines(&self, bound: &[Model]) -> Vec<ModelEngine> {
        self.models.iter().zip(bound).map(|((name, _), model)| ModelEngine::new(name, 0, model)).collect()
    }

    /// What scores blocks of up to `batch` events of a schema on an engine.
    pub(crate) fn scorer(&self, schema: &Schema, engine: Engine, batch: usize) -> Result<Scorer, Failure> {
        Ok(scorer(self.bind(schema, engine)?, batch))
    }
}

/// What scores blocks of up to `batch` events with these models.
pub(crate) fn scorer(models: Vec<Model>, batch: usize) -> Scorer {
    Scorer::new(models.into_iter().map(|model| Box::new(model) as Box<dyn Classifier>).collect(), batch)
}

/// The engines that are there, the reference first.
pub(crate) fn engines_found() -> Vec<Engine> {
    let found = engines().into_iter().filter(|engine| engine.found.is_ok());
    found.filter_map(|engine| engine.name.parse().ok()).collect()
}

/// Refuses an engine that is not there, and says what to do about it.
pub(crate) fn check_engine(engine: Engine) -> Result<(), Failure> {
    if engine == Engine::Auto {
        return Ok(());
    }
    let name = engine.to_string();
    let all = engines();
    let itself = all.iter().find(|known| known.name == name);
    // Without any device of its kind, what is missing is the same for all of them.
    let kind = all.iter().find(|known| known.name == engine.name() && known.found.is_err());
    let why = match itself.or(kind).map(|known| &known.found) {
        Some(Ok(_)) => return Ok(()),
        Some(Err(why)) => why.clone(),
        None => {
            let found = all.iter().filter(|known| known.found.is_ok()).map(|known| known.name.as_str());
            format!("there is no such device; there is: {}", found.collect::<Vec<_>>().join(", "))
        }
    };
    Err(Failure::new(Exit::Absent, format!("engine {name}: {why}")))
}

/// Why scores end in the middle of a recording.
pub(crate) fn lost_device(engine: Engine, message: &str) -> Failure {
    Failure::new(
        Exit::Absent,
        format!("engine {engine} was lost: {message}; try again, or use --device flex"),
    )
}
