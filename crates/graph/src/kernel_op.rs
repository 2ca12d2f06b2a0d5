//! Descriptions of operators for engines other than burn: in terms of the fused kernels ([`KernelOp`]), and what may be folded into
//! the layer before it.

use crate::forest::{Link, Pair};
use crate::ops::Axis;

/// A layer with constant weights: weight number `at` belongs to output `at / per_output % outputs`.
#[derive(Debug)]
pub(crate) struct Linear<'a> {
    /// Index of the weights among the inputs of the step.
    pub weight: usize,
    /// Index of the bias among the inputs, one number per output, if there is one; may be set to one.
    pub bias: &'a mut Option<usize>,
    pub outputs: usize,
    pub per_output: usize,
}

/// `(x - mean) * factor + summand` with constants for every channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scaling {
    pub channels: usize,
    /// Indices among the inputs of the step; no means count as zeros.
    pub means: Option<usize>,
    pub factors: usize,
    pub summands: usize,
}

/// An operator in terms of the fused kernels.
#[derive(Clone, Copy, Debug)]
pub enum KernelOp {
    /// The value itself, possibly in another shape.
    Identity,
    /// `x W + b` with constant `W` `[inputs, outputs]` and `b` `[outputs]`.
    Dense {
        /// Width of an input row.
        inputs: usize,
        /// Width of an output row.
        outputs: usize,
        /// Index of `W` among the inputs of the step.
        weight: usize,
        /// Index of `b` among the inputs of the step, if there is one.
        bias: Option<usize>,
        /// The final transformation of the numbers.
        link: Link,
    },
    /// A dense layer whose numbers choose a class before they become scores. It makes the class, then the scores.
    Classifier {
        /// Width of a row that goes in.
        inputs: usize,
        /// Numbers that the layer makes: one for every class, or one that is above 0 for the second of two.
        outputs: usize,
        /// Which input of the step `W` is.
        weight: usize,
        /// Which input of the step `b` is.
        bias: usize,
        /// How one number becomes two scores.
        pair: Pair,
        /// What is done to the scores in the end.
        link: Link,
        /// Which input of the step holds the numbers that stand for the classes, if they are not 0, 1, 2, ...
        labels: Option<usize>,
    },
    /// The place of the first of the largest numbers of a row.
    FirstLargest,
    /// Entries of a constant list, the first input, at places of the second.
    LookUp,
    /// Weighted sums in windows on the images of events, with constant weights `[outputs, channels / groups, height, width]` and biases `[outputs]`.
    Conv {
        /// Number of input channels.
        channels: usize,
        /// Height and width; an image of one axis has height 1.
        axes: [Axis; 2],
        /// Number of groups of channels that are convolved separately.
        groups: usize,
        /// Number of output channels.
        outputs: usize,
        /// Index of the weights among the inputs of the step.
        weight: usize,
        /// Index of the biases among the inputs of the step, if there are any.
        bias: Option<usize>,
    },
    /// The maximum of each window, channel by channel.
    MaxPool {
        /// Number of channels.
        channels: usize,
        /// Height and width.
        axes: [Axis; 2],
    },
    /// The mean of each window, channel by channel.
    AveragePool {
        /// Number of channels.
        channels: usize,
        /// Height and width.
        axes: [Axis; 2],
        /// Does the padding of the model count ([`Axis::counts`])?
        borders: bool,
    },
    /// `(x - means) * factors / divisors + summands`: each the index of an input of the step, with one number per number of the value or one for
    /// all; operations whose operand is `None` are left out.
    Scale {
        /// The subtrahends.
        means: Option<usize>,
        /// The factors.
        factors: Option<usize>,
        /// The divisors.
        divisors: Option<usize>,
        /// The summands.
        summands: Option<usize>,
    },
    /// All numbers of a row divided by the sum of their absolute values.
    Normalize,
    /// The larger of the value and 0.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The value, times `alpha` where it is negative.
    LeakyRelu {
        /// Slope below 0.
        alpha: f32,
    },
    /// Exponentials divided by their sum, over a whole row.
    Softmax,
    /// Numbers outside two bounds become the bound that is nearer.
    Clip {
        /// The lower bound.
        low: f32,
        /// The upper bound.
        high: f32,
    },
    /// Trees over the features of a row: `StepInfo::forest`. A classifier makes the class, then the scores; others only the scores.
    TreeEnsemble,
}
