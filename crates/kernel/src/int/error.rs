//! Why a chain cannot be computed in integers.

use crate::error::ChainError;

/// Why a chain was refused as an integer chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntChainError {
    /// The layers do not form a valid chain of floats either.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A number of ranges other than one per input.
    #[error("the calibration has {found} inputs instead of {wanted}")]
    Inputs {
        /// How many there are.
        found: usize,
        /// How many the first layer takes.
        wanted: usize,
    },
    /// An input whose range, scale or offset is invalid.
    #[error("input {0}: a range goes from low to high, and scale and offset are finite")]
    Input(usize),
    /// A number of largest activations other than one per hidden layer.
    #[error("the calibration has {found} activations instead of one per hidden layer, {wanted}")]
    Hidden {
        /// How many there are.
        found: usize,
        /// How many there should be: all layers but the last.
        wanted: usize,
    },
    /// The largest activation of a layer is negative or not finite.
    #[error("the largest activation of layer {0} must be finite and at least 0")]
    Largest(usize),
    /// A layer whose scaled numbers are too large or too small for `f32`.
    #[error("layer {0}: its numbers are beyond what a scale in f32 can express")]
    Scale(usize),
}
