//! Checks a bundle before it is used: everything that a run checks, on every engine, without a run.

use std::path::PathBuf;

use serde::Serialize;
use tamis_event::Schema;
use tamis_model::{BindError, Bundle, BundleFault, Engine};

use crate::convert::read_schema;
use crate::exit::OrFail;
use crate::frames::Frames;
use crate::lineup::{check_engine, engines_found};
use crate::models::no_bundle;
use crate::{Exit, Failure};

/// A check that is asked for.
#[derive(Clone, Debug)]
pub struct VerifyModelSettings {
    /// Folder or `.tar`.
    pub bundle: PathBuf,
    /// Schema of the events that the bundle is for; by default one with just its inputs.
    pub schema: Option<PathBuf>,
    /// A recording with that schema.
    pub events: Option<PathBuf>,
    /// The engines; by default all that are there.
    pub engines: Vec<Engine>,
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct ModelVerification {
    /// Where the bundle is.
    pub bundle: PathBuf,
    /// Name and version; absent if the files are wrong.
    pub model: Option<String>,
    /// What is wrong with the files: sizes, checksums, shapes, weights that are not finite.
    pub problem: Option<String>,
    /// The engines; none if the files are wrong.
    pub engines: Vec<EngineVerification>,
    /// Engines that are there and cannot run the model, with the reasons; none if engines were asked for.
    pub unchecked: Vec<String>,
}

/// The result for a model on one engine.
#[derive(Clone, Debug, Serialize)]
pub struct EngineVerification {
    /// The engine.
    pub engine: String,
    /// Number of golden vectors.
    pub vectors: usize,
    /// Largest difference of a score, divided by 1, or by the score if that is larger. Absent if none was computed.
    pub difference: Option<f64>,
    /// The largest difference that is allowed.
    pub tolerance: f64,
    /// Why the model is refused.
    pub problem: Option<String>,
}

impl ModelVerification {
    /// [`Exit::Done`] if a run on any of these engines would take the model, else [`Exit::Gate`].
    pub fn exit(&self) -> Exit {
        let good = self.problem.is_none() && self.engines.iter().all(|engine| engine.problem.is_none());
        if good { Exit::Done } else { Exit::Gate }
    }
}

/// Why engines of integers are not asked for a schema of the inputs alone.
const NO_TYPES: &str = "integers need to know the types of the fields; give a --schema or --events";

/// Checks a bundle. A failure means that there is nothing to check.
pub fn verify_model(settings: &VerifyModelSettings) -> Result<ModelVerification, Failure> {
    let schema = match (&settings.schema, &settings.events) {
        (Some(schema), _) => Some(read_schema(schema)?),
        (None, Some(events)) => Some(Frames::open(events)?.schema().clone()),
        (None, None) => None,
    };
    settings.engines.iter().try_for_each(|&engine| check_engine(engine))?;
    let mut found = ModelVerification {
        bundle: settings.bundle.clone(),
        model: None,
        problem: None,
        engines: Vec::new(),
        unchecked: Vec::new(),
    };
    let bundle = match Bundle::load(&settings.bundle) {
        Ok(bundle) => bundle,
        Err(error) => {
            let told = error.to_string();
            let failure = no_bundle(&settings.bundle, Failure::new(Exit::Input, &told));
            // Nothing can be good or bad of what cannot be read, or is another kind of file.
            if matches!(error.fault, BundleFault::Read { .. }) || failure.message != told {
                return Err(failure);
            }
            found.problem = Some(told);
            return Ok(found);
        }
    };
    found.model = Some(format!("{} {}", bundle.name(), bundle.version()));
    let is_given = schema.is_some();
    let schema = schema.map_or_else(|| bundle.own_schema(), Ok).or_fail(Exit::Input)?;
    if settings.engines.is_empty() {
        let why = |engine: Engine| {
            let why = bundle.unfit_with(engine, &schema)?;
            let lacks_types = !is_given && bundle.unfit_for(engine).is_none();
            let why = if lacks_types { NO_TYPES.into() } else { why };
            Some(format!("{engine} was not checked: {why}"))
        };
        found.unchecked = engines_found().into_iter().filter_map(why).collect();
    }
    let fits = |engine: &Engine| bundle.unfit_with(*engine, &schema).is_none();
    let engines = match &settings.engines[..] {
        [] => engines_found().into_iter().filter(fits).collect(),
        asked => asked.to_vec(),
    };
    found.engines = engines.into_iter().map(|engine| check(&bundle, &schema, engine)).collect();
    Ok(found)
}

fn check(bundle: &Bundle, schema: &Schema, engine: Engine) -> EngineVerification {
    let vectors = bundle.describe().golden.vectors;
    let (difference, problem) = match bundle.bind(schema, engine) {
        Ok(model) => (Some(model.golden().difference), None),
        Err(error) => {
            let difference = match error {
                BindError::Golden { difference, .. } => Some(difference),
                _ => None,
            };
            (difference, Some(error.to_string()))
        }
    };
    EngineVerification {
        engine: engine.to_string(),
        vectors,
        difference,
        tolerance: bundle.tolerance(engine),
        problem,
    }
}
