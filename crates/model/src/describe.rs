//! What a bundle is, in words and numbers: the same for every architecture.

mod notes;

use std::collections::HashSet;

use serde::Serialize;
use tamis_graph::{Data, StepInfo};

use crate::bundle::{Bundle, hex};
use crate::calibration::Calibration;
use crate::engine::Engine;
use crate::manifest::{Input, PerElement, Training};

/// Everything that can be said of a model without running it.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// What it is for.
    pub doc: String,
    /// SHA-256 of the bundle, hexadecimal.
    pub hash: String,
    /// Kind of network.
    pub architecture: &'static str,
    /// The fields that it reads, in order.
    pub inputs: Vec<InputInfo>,
    /// Numbers per event that go into the network.
    pub width: usize,
    /// What to know about what goes in ([`Bundle::notes`]).
    pub notes: Vec<String>,
    /// Names of the scores.
    pub outputs: Vec<String>,
    /// The operators of the network, in the order in which they run.
    pub layers: Vec<LayerInfo>,
    /// Numbers that were learned.
    pub parameters: u64,
    /// Multiplications, each with an addition, per event.
    pub multiply_adds: u64,
    /// What it takes.
    pub memory: MemoryUse,
    /// What it must reproduce before it is used.
    pub golden: GoldenInfo,
    /// What the engines of fewer bits know of it, if it was calibrated.
    pub calibration: Option<Calibration>,
    /// Where it comes from, if the bundle says.
    pub training: Option<Training>,
}

/// One input of a model.
#[derive(Clone, Debug, Serialize)]
pub struct InputInfo {
    /// Address in the schema.
    pub field: String,
    /// What is done to its physical value `x`, as a formula.
    pub preprocessing: String,
}

/// One operator of a network.
#[derive(Clone, Debug, Serialize)]
pub struct LayerInfo {
    /// Name in the network.
    pub name: String,
    /// Name of the operator.
    pub operator: String,
    /// Shape per event of what it makes; empty for a single number.
    pub output: Vec<usize>,
    /// Numbers that it has learned; the nodes of trees.
    pub parameters: u64,
    /// Multiplications, each with an addition, per event.
    pub multiply_adds: u64,
}

/// Bytes that a model takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MemoryUse {
    /// Of the files.
    pub files: u64,
    /// Of the parameters, shared by all workers.
    pub parameters: u64,
    /// Of the numbers of a whole tile in the widest step, for each worker, on the CPU.
    pub per_worker: u64,
}

/// The golden vectors of a bundle.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GoldenInfo {
    /// How many there are.
    pub vectors: usize,
    /// By how much a score may differ: of 1, or of the score if that is larger.
    pub tolerance: f64,
}

impl Bundle {
    /// What this model is, for people and programs that look into it.
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
    /// `counted` are the constants of the steps before: one that several steps read is learned once.
    fn new(step: &StepInfo<'_>, counted: &mut HashSet<usize>) -> Self {
        let learned = step.inputs.iter().flatten().filter_map(|&(slot, constant)| match &constant?.data {
            Data::Floats(values) => counted.insert(slot).then_some(values.len()),
            // Axes and shapes were not learned.
            _ => None,
        });
        let parameters = learned.sum::<usize>() + step.forest.map_or(0, |forest| forest.nodes().len());
        Self {
            name: step.name.into(),
            operator: step.operator.into(),
            output: step.output.into(),
            parameters: parameters as u64,
            multiply_adds: step.multiply_adds,
        }
    }
}

impl InputInfo {
    fn new(input: &Input) -> Self {
        Self { field: input.field.clone(), preprocessing: formula(input) }
    }
}

/// `(x - 28.5) * 0.0587, clip -8 to 8`; a list of numbers is `shift[k]` or `scale[k]`.
pub(crate) fn formula(input: &Input) -> String {
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
