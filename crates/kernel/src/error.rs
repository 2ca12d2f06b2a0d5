//! Why a model cannot be compiled.

use crate::chain::{LAYERS_MAX, WIDTH_MAX};
use crate::isa::Isa;

/// Why a chain of layers was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The CPU does not have the instruction set.
    #[error("this CPU lacks {}; take one that Isa::is_available says it has", .0.name())]
    Lacks(Isa),
    /// None, or too many.
    #[error("a chain has 1 to {LAYERS_MAX} layers, not {0}")]
    Layers(usize),
    /// A layer that is wrong by itself or does not fit the one before.
    #[error("layer {layer}: {fault}")]
    Layer {
        /// Its index.
        layer: usize,
        /// What is wrong.
        fault: LayerFault,
    },
    /// A reconstruction of another width than what it reconstructs.
    #[error("a reconstruction is as wide as the inputs, but there are {inputs} inputs and {outputs} outputs")]
    Reconstruction {
        /// Of the first layer.
        inputs: usize,
        /// Of the last layer.
        outputs: usize,
    },
}

/// What is wrong with a layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayerFault {
    /// No numbers, or too many.
    #[error("a layer takes and gives 1 to {WIDTH_MAX} numbers, not {0}")]
    Width(usize),
    /// The layer before gives another count of numbers.
    #[error("it takes {inputs} numbers, but the layer before gives {before}")]
    Inputs {
        /// Outputs of the layer before.
        before: usize,
        /// Inputs of this one.
        inputs: usize,
    },
    /// Not one weight per input and output.
    #[error("it has {found} weights instead of outputs x inputs = {wanted}")]
    Weights {
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// Not one bias per output.
    #[error("it has {found} biases instead of one per output, {wanted}; give zeros if it has none")]
    Biases {
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// Softmax in the middle of a chain.
    #[error("softmax is for the last layer only")]
    Softmax,
    /// A NaN or an infinity in weights, biases or alpha.
    #[error("a weight, a bias or alpha is not finite")]
    NotFinite,
}
