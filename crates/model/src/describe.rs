//! Describes a bundle in words and numbers, for every architecture alike.

mod notes;

use std::collections::HashSet;

use serde::Serialize;
use tamis_graph::{Data, StepInfo};

use crate::bundle::{Bundle, hex};
use crate::calibration::Calibration;
use crate::engine::Engine;
use crate::manifest::{ManifestInput, PerElement, Training};

/// The properties of a model that are known without running it.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// What the model is for.
    pub doc: String,
    /// SHA-256 of the bundle, hexadecimal.
    pub hash: String,
    /// Kind of network.
    pub architecture: &'static str,
    /// The fields that the model reads, in order.
    pub inputs: Vec<InputInfo>,
    /// Input numbers of the network per event.
    pub width: usize,
    /// Remarks on the inputs ([`Bundle::notes`]).
    pub notes: Vec<String>,
    /// Names of the scores.
    pub outputs: Vec<String>,
    /// The operators of the network, in execution order.
    pub layers: Vec<LayerInfo>,
    /// Number of learned parameters.
    pub parameters: u64,
    /// Multiply-adds per event.
    pub multiply_adds: u64,
    /// Memory use.
    pub memory: MemoryUse,
    /// The golden vectors that it must reproduce before it is used.
    pub golden: GoldenInfo,
    /// The calibration for the reduced-precision engines, if there is one.
    pub calibration: Option<Calibration>,
    /// Provenance, if the bundle states it.
    pub training: Option<Training>,
}

/// One input of a model.
#[derive(Clone, Debug, Serialize)]
pub struct InputInfo {
    /// Address in the schema.
    pub field: String,
    /// The preprocessing of its physical value `x`, as a formula.
    pub preprocessing: String,
}

/// One operator of a network.
#[derive(Clone, Debug, Serialize)]
pub struct LayerInfo {
    /// Name in the network.
    pub name: String,
    /// Name of the operator.
    pub operator: String,
    /// Shape per event of its first output; empty for a single number.
    pub output: Vec<usize>,
    /// The same of all its outputs: a classifier has labels and scores.
    pub outputs: Vec<Vec<usize>>,
    /// Number of learned parameters; for trees, the number of nodes.
    pub parameters: u64,
    /// Multiply-adds per event.
    pub multiply_adds: u64,
}

/// Memory use of a model in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MemoryUse {
    /// Size of the files.
    pub files: u64,
    /// Size of the parameters, shared by all workers.
    pub parameters: u64,
    /// Size of the numbers of a whole tile in the widest step, per worker, on the CPU.
    pub per_worker: u64,
}

/// The golden vectors of a bundle.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GoldenInfo {
    /// Number of golden vectors.
    pub vectors: usize,
    /// Largest allowed difference of a score, relative to 1 or to the score if that is larger.
    pub tolerance: f64,
}

impl Bundle {
    /// Describes this model for people and programs.
    pub fn describe(&self) -> Description {
        let graph = self.graph();
        let mut counted = HashSet::new();
        let layers: Vec<LayerInfo> = graph.steps().map(|step| LayerInfo::new(&step, &mut counted)).collect();
        let parameters = layers.iter().map(|layer| layer.parameters).sum::<u64>();
        let number = size_of::<f32>() as u64;
        let rows = Engine::Flex.tiles(graph)[0] as u64;
        Description {
            name: self.name().into(),
            version: self.version().into(),
            doc: self.doc().into(),
            hash: hex(&self.hash()),
            architecture: self.architecture(),
            inputs: self.inputs().iter().map(InputInfo::new).collect(),
            width: graph.input_numbers(),
            notes: self.notes(),
            outputs: self.outputs().to_vec(),
            layers,
            parameters,
            multiply_adds: self.multiply_adds(),
            memory: MemoryUse {
                files: self.bytes(),
                parameters: parameters * number,
                per_worker: rows * graph.widest_step() as u64 * number,
            },
            golden: self.golden_info(),
            calibration: self.calibration().cloned(),
            training: self.training().cloned(),
        }
    }
}

impl LayerInfo {
    /// `counted` are the constants of earlier steps: one that several steps read counts once.
    fn new(step: &StepInfo<'_>, counted: &mut HashSet<usize>) -> Self {
        let learned = step.inputs.iter().flatten().filter_map(|&(slot, constant)| match &constant?.data {
            Data::Floats(values) => counted.insert(slot).then_some(values.len()),
            // Axes and shapes are not learned.
            _ => None,
        });
        let parameters = learned.sum::<usize>() + step.forest.map_or(0, |forest| forest.nodes().len());
        Self {
            name: step.name.into(),
            operator: step.operator.into(),
            output: step.output.into(),
            outputs: step.shapes.iter().map(|shape| shape.to_vec()).collect(),
            parameters: parameters as u64,
            multiply_adds: step.multiply_adds,
        }
    }
}

impl InputInfo {
    fn new(input: &ManifestInput) -> Self {
        Self { field: input.field.clone(), preprocessing: formula(input) }
    }
}

/// `(x - 28.5) * 0.0587, clip -8 to 8`; a list of numbers is written `shift[k]` or `scale[k]`.
pub(crate) fn formula(input: &ManifestInput) -> String {
    let mut text = String::from(if input.log1p { "log1p(x)" } else { "x" });
    if let Some(values) = &input.one_hot {
        text = format!("one hot: {}", values.iter().map(f64::to_string).collect::<Vec<_>>().join(", "));
    }
    match &input.shift {
        None => {}
        Some(PerElement::All(shift)) if *shift == 0.0 => {}
        Some(PerElement::All(shift)) if *shift < 0.0 => text = format!("({text} + {})", -shift),
        Some(PerElement::All(shift)) => text = format!("({text} - {shift})"),
        Some(PerElement::Each(_)) => text = format!("({text} - shift[k])"),
    }
    match &input.scale {
        None => {}
        Some(PerElement::All(scale)) if *scale == 1.0 => {}
        Some(PerElement::All(scale)) => text = format!("{text} * {scale}"),
        Some(PerElement::Each(_)) => text = format!("{text} * scale[k]"),
    }
    if let Some([low, high]) = input.clip {
        text = format!("{text}, clip {low} to {high}");
    }
    if let Some(mask) = &input.mask {
        text = format!("{text}, 0 where {mask} is 0");
    }
    text
}
