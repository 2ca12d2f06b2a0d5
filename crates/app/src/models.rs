//! A menu with its models: loaded, verified, bound to a schema.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tamis_event::Schema;
use tamis_menu::{CompiledMenu, Menu};
use tamis_model::{Bundle, Engine, Model};
use tamis_pipeline::{Judge, Provenance};
use tamis_port::Classifier;

use crate::exit::OrFail;
use crate::{Exit, Failure};

/// Everything that decides, verified: menu, models, and their identity.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) menu: Menu,
    pub(crate) compiled: Arc<CompiledMenu>,
    /// With the menu's name for each.
    pub(crate) bundles: Vec<(String, Bundle)>,
    models: Vec<Model>,
    pub(crate) provenance: Provenance,
}

impl Rules {
    /// Reads a menu file and the bundles that it names. `replace` gives other bundles for some of its models.
    pub(crate) fn load(
        path: &Path,
        replace: &[(String, PathBuf)],
        schema: &Schema,
        engine: Engine,
    ) -> Result<Self, Failure> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(Exit::Input, format!("{place}: the menu cannot be read: {error}"))
        })?;
        let menu = Menu::parse(&text, &place).or_fail(Exit::Input)?;
        if let Some((name, _)) =
            replace.iter().find(|(name, _)| menu.models().iter().all(|model| model.name != *name))
        {
            let known: Vec<&str> = menu.models().iter().map(|model| model.name.as_str()).collect();
            let message = format!("{place} has no model '{name}' to replace; it has: {}", known.join(", "));
            return Err(Failure::new(Exit::Settings, message));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut bundles = Vec::new();
        for model in menu.models() {
            let replaced = replace.iter().find(|(name, _)| *name == model.name).map(|(_, path)| path.clone());
            let path = replaced.unwrap_or_else(|| folder.join(&model.bundle));
            bundles.push((model.name.clone(), Bundle::load(&path).or_fail(Exit::Input)?));
        }
        Self::bind(menu, bundles, schema, engine)
    }

    /// Puts a menu and its bundles, in the menu's order, together for a schema.
    pub(crate) fn bind(
        menu: Menu,
        bundles: Vec<(String, Bundle)>,
        schema: &Schema,
        engine: Engine,
    ) -> Result<Self, Failure> {
        let scores = score_names(&bundles);
        let compiled = Arc::new(menu.compile(schema, &scores).or_fail(Exit::Input)?);
        let models: Result<Vec<Model>, Failure> =
            bundles.iter().map(|(_, bundle)| bundle.bind(schema, engine).or_fail(Exit::Input)).collect();
        let model_hash = if bundles.is_empty() { 0 } else { joint_hash(&bundles) };
        let engine = if bundles.is_empty() { 0 } else { engine.code() };
        let provenance = Provenance { schema_id: schema.id(), model_hash, engine };
        Ok(Self { menu, compiled, bundles, models: models?, provenance })
    }

    /// Names of all scores, in the order of their columns.
    pub(crate) fn score_names(&self) -> Vec<String> {
        score_names(&self.bundles)
    }

    /// One set of classifiers: every worker has its own.
    pub(crate) fn classifiers(&self) -> Vec<Box<dyn Classifier>> {
        self.models.iter().map(|model| Box::new(model.clone()) as Box<dyn Classifier>).collect()
    }

    /// A judge for blocks of up to `batch` events.
    pub(crate) fn judge(&self, batch: usize) -> Judge {
        Judge::new(self.classifiers(), self.compiled.clone(), self.provenance, batch)
    }
}

fn score_names(bundles: &[(String, Bundle)]) -> Vec<String> {
    let of = |(name, bundle): &(String, Bundle)| -> Vec<String> {
        bundle.outputs().iter().map(|output| format!("{name}.{output}")).collect()
    };
    bundles.iter().flat_map(of).collect()
}

/// First 8 bytes of the SHA-256 over the hashes of all models, in the menu's order.
fn joint_hash(bundles: &[(String, Bundle)]) -> u64 {
    let mut sha = Sha256::new();
    bundles.iter().for_each(|(_, bundle)| sha.update(bundle.hash()));
    u64::from_le_bytes(sha.finalize()[..8].try_into().expect("SHA-256 has 32 bytes"))
}
