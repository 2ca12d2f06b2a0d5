//! Why a chain cannot be computed in integers.

use crate::error::ChainError;

/// Why a chain was refused as an integer chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntChainError {
    /// Nor would it do as a chain of floats.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Not one range per input.
    #[error("the calibration has {found} inputs instead of {wanted}")]
    Inputs {
        /// How many there are.
        found: usize,
        /// How many the first layer takes.
        wanted: usize,
    },
    /// An input whose numbers make no sense.
    #[error("input {0}: a range goes from low to high, and scale and offset are finite")]
    Input(usize),
    /// Not one activation per hidden layer.
    #[error("the calibration has {found} activations instead of one per hidden layer, {wanted}")]
    Hidden {
        /// How many there are.
        found: usize,
        /// All layers but the last.
        wanted: usize,
    },
    /// The largest activation of a layer is negative or not finite.
    #[error("the largest activation of layer {0} is no finite number of at least 0")]
    Largest(usize),
    /// A layer whose numbers are too large or too small for floats once they are scaled.
    #[error("layer {0}: its numbers are beyond what a scale in f32 can express")]
    Scale(usize),
}
