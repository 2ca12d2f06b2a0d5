//! Why a model cannot be compiled.

use crate::chain::{LAYERS_MAX, WIDTH_MAX};
use crate::image::{IMAGE_MAX, READS_MAX};
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
    /// The same for a layer on images.
    #[error("layer {layer} on images: {fault}")]
    Image {
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
    /// A number of an axis, or of channels, that is 0 or too large.
    #[error("its channels and the numbers of its axes are between 1 and {IMAGE_MAX}")]
    ImageAxis,
    /// Too many numbers.
    #[error("an image has at most {IMAGE_MAX} numbers, not {0}")]
    Image(usize),
    /// The layer before gives another image.
    #[error("it takes {image:?} channels and places, but the layer before gives {before:?}")]
    Shape {
        /// Channels and places of the layer before.
        before: [usize; 2],
        /// Channels and places that this one takes.
        image: [usize; 2],
    },
    /// Channels that cannot be divided.
    #[error("{channels} channels and {outputs} outputs do not divide into {groups} groups")]
    Groups {
        /// Channels that it takes.
        channels: usize,
        /// Channels that it gives.
        outputs: usize,
        /// Into how many groups they are divided.
        groups: usize,
    },
    /// Too much to read.
    #[error("its windows read {0} numbers together; at most {READS_MAX} are possible")]
    Reads(usize),
    /// A pooling of nothing.
    #[error("a window of it reads nothing of the image")]
    EmptyWindow,
    /// An average that does not say what it is over.
    #[error("an average has a count above 0 for each of its {wanted} windows")]
    Counts {
        /// How many there should be.
        wanted: usize,
    },
}
