//! Golden vectors for a model that comes without.
//!
//! The best ones come from the framework that trained the model, with its scores: they prove that the import is right. Those that are made here
//! only prove that the bundle gives the same scores later, on other machines and engines.

use std::sync::Arc;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use tamis_event::Schema;
use tamis_graph::Graph;
use toml::Table;

use super::ImportError;
use crate::bundle::network;
use crate::engine::Engine;
use crate::error::{BindError, BundleFault};
use crate::features::Features;
use crate::manifest::{MANIFEST_FILE, Manifest, NO_SCORE};
use crate::network::Network;

/// Golden vectors that are made.
const ROWS: usize = 64;
/// Most that are taken from a recording.
const ROWS_MAX: usize = 256;

/// Where golden vectors come from.
#[derive(Clone, Copy, Debug)]
pub enum GoldenInputs<'a> {
    /// A safetensors file with `inputs` in physical units and the framework's `scores`.
    Given(&'a [u8]),
    /// Event records of the schema, one after the other.
    Records(&'a [u8]),
    /// Numbers around the middle of what the preprocessing expects.
    Noise,
}

impl GoldenInputs<'_> {
    /// The file of golden vectors for a manifest that lacks nothing but them.
    pub(super) fn vectors(
        self,
        manifest: &Table,
        (file, weights): &(&'static str, Vec<u8>),
        schema: &Schema,
    ) -> Result<Vec<u8>, ImportError> {
        if let Self::Given(bytes) = self {
            return Ok(bytes.to_vec());
        }
        let manifest = provisional(manifest)?;
        let at = |place: &'static str| move |fault: BundleFault| ImportError::Bundle(fault.at(place));
        let graph = network(&manifest, weights).map_err(at(file))?;
        let features = Features::new(&manifest, schema, graph.input_numbers()).map_err(ImportError::Bind)?;
        let inputs = match self {
            Self::Records(records) => features.physical(records, ROWS_MAX),
            Self::Noise | Self::Given(_) => features.noise(ROWS),
        };
        let rows = inputs.len() / features.elements().max(1);
        if rows == 0 {
            let message = "there are no events to make golden vectors of".into();
            return Err(ImportError::File { message });
        }
        let scores = scores(&manifest, &graph, &features, &inputs, rows).map_err(|message| {
            let (model, engine) = (manifest.name.clone(), Engine::Flex.to_string());
            ImportError::Bind(BindError::Engine { model, engine, message })
        })?;
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

/// The manifest as far as it is known, with stand-ins for the golden vectors.
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

/// The named scores of rows of physical values, on the reference engine.
fn scores(
    manifest: &Manifest,
    graph: &Arc<Graph>,
    features: &Features,
    inputs: &[f32],
    rows: usize,
) -> Result<Vec<f32>, String> {
    let mut x = vec![0.0; rows * features.width()];
    for (values, row) in inputs.chunks_exact(features.elements()).zip(x.chunks_exact_mut(features.width())) {
        features.row_of_physical(values, row);
    }
    let numbers = Network::reference(graph)?.start(x, rows).wait(rows)?.numbers;
    let named = manifest.outputs.iter().map(|output| output != NO_SCORE).cycle();
    Ok(numbers.into_iter().zip(named).filter_map(|(number, named)| named.then_some(number)).collect())
}
