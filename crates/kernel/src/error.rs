//! Why a model cannot be compiled.

use crate::chain::{LAYERS_MAX, WIDTH_MAX};
use crate::image::{IMAGE_MAX, READS_MAX};
use crate::isa::Isa;

/// Why a chain of layers was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The CPU does not have the instruction set.
    #[error("this CPU lacks {}; choose one for which Isa::is_available is true", .0.name())]
    Lacks(Isa),
    /// No layers, or too many.
    #[error("a chain has 1 to {LAYERS_MAX} layers, not {0}")]
    Layers(usize),
    /// A layer that is invalid or does not fit the one before.
    #[error("layer {layer}: {fault}")]
    Layer {
        /// Its index.
        layer: usize,
        /// What is wrong.
        fault: LayerFault,
    },
    /// A layer on images that is invalid or does not fit the one before.
    #[error("layer {layer} on images: {fault}")]
    Image {
        /// Its index.
        layer: usize,
        /// What is wrong.
        fault: LayerFault,
    },
    /// A reconstruction whose width differs from that of the inputs.
    #[error("a reconstruction is as wide as the inputs, but there are {inputs} inputs and {outputs} outputs")]
    Reconstruction {
        /// Inputs of the first layer.
        inputs: usize,
        /// Outputs of the last layer.
        outputs: usize,
    },
}

/// What is wrong with a layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayerFault {
    /// No inputs or outputs, or too many.
    #[error("a layer takes and gives 1 to {WIDTH_MAX} numbers, not {0}")]
    Width(usize),
    /// A number of inputs that differs from the outputs of the layer before.
    #[error("it takes {inputs} numbers, but the layer before gives {before}")]
    Inputs {
        /// Outputs of the layer before.
        before: usize,
        /// Inputs of this layer.
        inputs: usize,
    },
    /// A number of weights other than one per input and output.
    #[error("it has {found} weights instead of outputs x inputs = {wanted}")]
    Weights {
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// A number of biases other than one per output.
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
    /// A property of an axis, or a number of channels, that is 0 or too large.
    #[error("its channels and the numbers of its axes are between 1 and {IMAGE_MAX}")]
    ImageAxis,
    /// An image with too many numbers.
    #[error("an image has at most {IMAGE_MAX} numbers, not {0}")]
    Image(usize),
    /// An image that differs from the one that the layer before gives.
    #[error("it takes {image:?} channels and places, but the layer before gives {before:?}")]
    Shape {
        /// Channels and places of the layer before.
        before: [usize; 2],
        /// Channels and places that this layer takes.
        image: [usize; 2],
    },
    /// Channels that do not divide into the groups.
    #[error("{channels} channels and {outputs} outputs do not divide into {groups} groups")]
    Groups {
        /// Channels that it takes.
        channels: usize,
        /// Channels that it gives.
        outputs: usize,
        /// Number of groups.
        groups: usize,
    },
    /// Windows that read too many numbers together.
    #[error("its windows read {0} numbers together; at most {READS_MAX} are possible")]
    Reads(usize),
    /// A window that lies beyond the image.
    #[error("one of its windows reads nothing of the image")]
    EmptyWindow,
    /// An average without a positive count for every window.
    #[error("an average has a count above 0 for each of its {wanted} windows")]
    Counts {
        /// How many there should be.
        wanted: usize,
    },
}
