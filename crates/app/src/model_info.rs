//! Looks into a bundle: what it is, and what an event costs on every engine that is there.

use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use tamis_event::{Block, FrameHeader, Schema, Span};
use tamis_model::{Bundle, Description, Engine, Model};
use tamis_port::Classifier;
use tamis_sim::{GenOptions, Generator};

use crate::Failure;
use crate::bench::Spread;
use crate::blocks::BLOCK_EVENTS;
use crate::convert::read_schema;
use crate::lineup::engines_found;
use crate::models::load_bundle;

/// Runs that are measured; one more is made first and thrown away.
const RUNS: usize = 7;
/// A run is repeated until it takes at least this long, so that the clock does not matter.
const RUN_SECONDS_MIN: f64 = 2e-3;
/// With a slower model fewer events are scored, at least one tile.
const RUN_SECONDS_MAX: f64 = 0.1;
/// Events with which the speed is estimated before it is measured.
const FIRST_EVENTS: usize = 64;
/// Least events of a run.
const EVENTS_MIN: usize = 512;

/// A bundle, as it is and as it runs here. Serialises to the document that `model info --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct ModelInfo {
    /// Where the bundle is.
    pub bundle: PathBuf,
    /// What it says about itself.
    #[serde(flatten)]
    pub description: Description,
    /// What an event costs, measured on this machine.
    pub speeds: Vec<Speed>,
}

/// What an event costs on one engine.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    /// The engine.
    pub engine: String,
    /// Time per event in ns, one thread, features included; absent if it could not be measured.
    pub ns_per_event: Option<Spread>,
    /// Number of events of a run.
    pub events: usize,
    /// Why it could not be measured.
    pub problem: Option<String>,
}

/// Loads a bundle, describes it, and measures it on noise. The events are those of `schema`, by default of one with just its inputs.
pub fn model_info(path: &Path, schema: Option<&Path>) -> Result<ModelInfo, Failure> {
    let bundle = load_bundle(path)?;
    let schema = match schema {
        Some(schema) => Ok(read_schema(schema)?),
        None => bundle.own_schema().map_err(|error| error.to_string()),
    };
    let speed = |engine: Engine| {
        let measured =
            schema.as_ref().map_err(Clone::clone).and_then(|schema| measure(&bundle, schema, engine));
        let engine = engine.to_string();
        match measured {
            Ok((spread, events)) => Speed { engine, ns_per_event: Some(spread), events, problem: None },
            Err(problem) => Speed { engine, ns_per_event: None, events: 0, problem: Some(problem) },
        }
    };
    let speeds = engines_found().into_iter().map(speed).collect();
    Ok(ModelInfo { bundle: path.into(), description: bundle.describe(), speeds })
}

fn measure(bundle: &Bundle, schema: &Schema, engine: Engine) -> Result<(Spread, usize), String> {
    let mut model = bundle.bind(schema, engine).map_err(|error| error.to_string())?;
    let block = noise(schema)?;
    let outputs = model.outputs().len();
    let mut columns = vec![vec![0.0; block.len()]; outputs];
    let mut seconds = |model: &mut Model, events: usize| {
        let begin = Instant::now();
        let mut slices: Vec<&mut [f32]> = columns.iter_mut().map(|column| &mut column[..events]).collect();
        let scored = model.score(&block, 0..events, &mut slices);
        scored.map(|()| begin.elapsed().as_secs_f64()).map_err(|error| error.to_string())
    };
    let few = FIRST_EVENTS.min(block.len());
    seconds(&mut model, few)?;
    let guess = seconds(&mut model, few)? / few as f64;
    let affordable = (RUN_SECONDS_MAX / guess) as usize;
    let events = affordable.clamp(EVENTS_MIN, BLOCK_EVENTS).min(block.len());
    let once = seconds(&mut model, events)?;
    let repeat = (RUN_SECONDS_MIN / once).ceil().clamp(1.0, 1000.0) as usize;
    let mut runs = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let mut total = 0.0;
        for _ in 0..repeat {
            total += seconds(&mut model, events)?;
        }
        runs.push(total / (repeat * events) as f64 * 1e9);
    }
    Ok((Spread::of(&runs), events))
}

/// A block of events whose fields are filled as their names suggest. It is the same on every machine.
fn noise(schema: &Schema) -> Result<Block, String> {
    let events = BLOCK_EVENTS.min(Generator::frame_events_max(schema, &GenOptions::default()));
    let options = GenOptions { frame_events: events, ..GenOptions::default() };
    let generator = Generator::new(schema, options).map_err(|error| error.to_string())?;
    let mut frame = Vec::new();
    generator.frame(0, events as u64, &mut frame);
    let header = FrameHeader::read(&frame).expect("the generator makes whole frames");
    let mut block = Block::new(schema.record_len());
    block.push(Span::of_frame(&header, &Bytes::from(frame).slice(header.body())));
    Ok(block)
}
