//! Makes golden vectors for an imported model.
//!
//! The best ones come from the framework that trained the model, with its scores: they prove that the import is correct. Those that are made here
//! only prove that the bundle gives the same scores later, on other machines and engines. So they should be events on which engines could differ:
//! of all candidates (noise, narrow and wide, or the events of a recording), those of rare classes are taken first.
//! Rows without a score are left out.

use std::collections::HashMap;
use std::sync::Arc;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use tamis_event::Schema;
use tamis_graph::{Graph, Kind};
use toml::Table;

use super::ImportError;
use crate::bundle::network;
use crate::engine::Engine;
use crate::error::{BindError, BundleFault};
use crate::features::Features;
use crate::manifest::{MANIFEST_FILE, Manifest, NO_SCORE};
use crate::network::Network;

/// Number of golden vectors that are made from noise.
const ROWS: usize = 64;
/// Most golden vectors from a recording.
const ROWS_MAX: usize = 256;
/// Number of rows that are scored at a time.
const BATCH: usize = 512;
/// Number of batches of noise, each four times as wide as the one before.
const BATCHES: i32 = 8;
/// Number of rows of each class that take precedence over others.
const ROWS_OF_CLASS: usize = 4;
/// Most multiplications that the search may cost.
const WORK_MAX: u64 = 1_000_000_000;

/// The origin of golden vectors.
#[derive(Clone, Copy, Debug)]
pub enum GoldenInputs<'a> {
    /// A safetensors file with `inputs` in physical units and the framework's `scores`.
    Given(&'a [u8]),
    /// Contiguous event records of the schema; all are considered.
    Records(&'a [u8]),
    /// Numbers around the middle of the range that the preprocessing expects.
    Noise,
}

impl GoldenInputs<'_> {
    /// The file of golden vectors for a manifest that is complete except for them.
    pub(super) fn vectors(
        self,
        manifest: &Table,
        (file, weights): &(&'static str, Vec<u8>),
        schema: &Schema,
    ) -> Result<Vec<u8>, ImportError> {
        if let Self::Given(bytes) = self {
            return Ok(bytes.to_vec());
        }
        let mut manifest = provisional(manifest)?;
        let at = |place: &'static str| move |fault: BundleFault| ImportError::Bundle(fault.at(place));
        let graph = network(&mut manifest, weights).map_err(at(file))?;
        let features = Features::new(&manifest, schema, graph.input_numbers()).map_err(ImportError::Bind)?;
        let mut chosen = Chosen::new(&manifest, &graph, &features);
        let most = match self {
            Self::Records(records) => {
                let events = features.physical(records, usize::MAX);
                events.chunks(BATCH * features.elements().max(1)).try_for_each(|rows| chosen.add(rows))?;
                ROWS_MAX
            }
            Self::Noise | Self::Given(_) => {
                let affordable = WORK_MAX / graph.multiply_adds().max(1) / BATCH as u64;
                chosen.add(&features.noise(ROWS))?;
                for batch in 0..BATCHES.min(i32::try_from(affordable).unwrap_or(BATCHES)) {
                    chosen.add(&features.wide_noise(BATCH, 4f64.powi(batch)))?;
                }
                ROWS
            }
        };
        let (inputs, scores) = chosen.rows(most);
        if inputs.is_empty() {
            let message = match self {
                Self::Records(_) => {
                    "no event of the recording has scores; golden vectors are made of events that do"
                }
                Self::Noise | Self::Given(_) => {
                    "no row of noise gets scores; name a recording whose events do (--events), or vectors of the framework (--golden)"
                }
            };
            return Err(ImportError::File { message: message.into() });
        }
        let rows = inputs.len() / features.elements();
        let tensor =
            |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (inputs_bytes, scores_bytes) = (tensor(&inputs), tensor(&scores));
        let view = |bytes, width| TensorView::new(Dtype::F32, vec![rows, width], bytes).expect("whole rows");
        let tensors = [
            ("inputs", view(&inputs_bytes, features.elements())),
            ("scores", view(&scores_bytes, scores.len() / rows)),
        ];
        Ok(serialize(tensors, None).expect("tensors with as many numbers as their shapes say"))
    }
}

/// Candidates with scores, in two ranks: those of classes that were rare so far, and the others.
struct Chosen<'a> {
    manifest: &'a Manifest,
    graph: &'a Arc<Graph>,
    features: &'a Features,
    classes: HashMap<Vec<u32>, usize>,
    first: Vec<(Vec<f32>, Vec<f32>)>,
    others: Vec<(Vec<f32>, Vec<f32>)>,
}

impl<'a> Chosen<'a> {
    fn new(manifest: &'a Manifest, graph: &'a Arc<Graph>, features: &'a Features) -> Self {
        Self { manifest, graph, features, classes: HashMap::new(), first: Vec::new(), others: Vec::new() }
    }

    /// Scores rows of physical values and keeps the possible golden vectors.
    fn add(&mut self, inputs: &[f32]) -> Result<(), ImportError> {
        let elements = self.features.elements().max(1);
        let rows = inputs.len() / elements;
        if rows == 0 {
            return Ok(());
        }
        let numbers = scores(self.graph, self.features, inputs, rows).map_err(|message| {
            let model = self.manifest.name.clone();
            let engine = Engine::Flex.to_string();
            ImportError::Bind(BindError::Engine { model, engine, message })
        })?;
        let missing = self.graph.takes_missing_values();
        let is_known = |value: &f32| value.is_finite() || missing && value.is_nan();
        for (inputs, numbers) in inputs.chunks_exact(elements).zip(numbers.chunks_exact(numbers.len() / rows))
        {
            let named = numbers.iter().zip(&self.manifest.outputs).filter(|(_, name)| *name != NO_SCORE);
            let scores: Vec<f32> = named.map(|(number, _)| *number).collect();
            if !inputs.iter().all(is_known) || !scores.iter().all(|score| score.is_finite()) {
                continue;
            }
            let found = self.classes.entry(classes(self.graph, numbers)).or_default();
            *found += 1;
            let list = if *found <= ROWS_OF_CLASS { &mut self.first } else { &mut self.others };
            if list.len() < ROWS_MAX {
                list.push((inputs.to_vec(), scores));
            }
        }
        Ok(())
    }

    /// Inputs and scores of at most `most` rows.
    fn rows(self, most: usize) -> (Vec<f32>, Vec<f32>) {
        let chosen: Vec<_> = self.first.into_iter().chain(self.others).take(most).collect();
        let inputs = chosen.iter().flat_map(|(inputs, _)| inputs).copied().collect();
        (inputs, chosen.iter().flat_map(|(_, scores)| scores).copied().collect())
    }
}

/// The class of a row: the label of every integer output, and the index of the largest number of every other one.
fn classes(graph: &Graph, mut numbers: &[f32]) -> Vec<u32> {
    let of = |output: &tamis_graph::Output| {
        let (mine, rest) = numbers.split_at(output.kind.numbers());
        numbers = rest;
        match output.kind.kind {
            Kind::Float => {
                (1..mine.len()).fold(0, |best, at| if mine[at] > mine[best] { at } else { best }) as u32
            }
            Kind::Int | Kind::Bool => mine.first().map_or(0, |label| label.to_bits()),
        }
    };
    graph.outputs().iter().map(of).collect()
}

/// The manifest so far, with placeholders for the golden vectors.
fn provisional(manifest: &Table) -> Result<Manifest, ImportError> {
    let mut manifest = manifest.clone();
    let golden =
        [("file", GOLDEN.into()), ("sha256", "0".repeat(64).into()), ("tolerance", toml::Value::Float(0.1))];
    manifest
        .insert("golden".into(), Table::from_iter(golden.map(|(key, value)| (key.to_owned(), value))).into());
    let text = toml::to_string(&manifest)
        .map_err(|error| ImportError::Text { what: "manifest", message: error.to_string() })?;
    Manifest::parse(text.as_bytes()).map_err(|fault| ImportError::Bundle(fault.at(MANIFEST_FILE)))
}

const GOLDEN: &str = "golden";

/// The numbers of the network for rows of physical values, on the reference engine.
fn scores(graph: &Arc<Graph>, features: &Features, inputs: &[f32], rows: usize) -> Result<Vec<f32>, String> {
    let mut x = vec![0.0; rows * features.width()];
    for (values, row) in inputs.chunks_exact(features.elements()).zip(x.chunks_exact_mut(features.width())) {
        features.row_of_physical(values, row);
    }
    Ok(Network::reference(graph)?.start(x, rows).wait(rows)?.numbers)
}
