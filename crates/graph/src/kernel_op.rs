//! What an operator tells of itself to those who do not run it on burn: as the fused kernels know it ([`KernelOp`]), and what may be folded into
//! the layer before it.

use crate::forest::Link;
use crate::ops::Axis;

/// A layer with constant weights: weight number `at` belongs to output `at / per_output % outputs`.
#[derive(Debug)]
pub(crate) struct Linear<'a> {
    /// Which input of the step the weights are.
    pub weight: usize,
    /// Which input of the step the bias is, one number per output, if there is one; it may be given one.
    pub bias: &'a mut Option<usize>,
    pub outputs: usize,
    pub per_output: usize,
}

/// `(x - mean) * factor + summand` with constants for every channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scaling {
    pub channels: usize,
    /// Which inputs of the step they are; no means are zeros.
    pub means: Option<usize>,
    pub factors: usize,
    pub summands: usize,
}

/// An operator as the fused kernels know it.
#[derive(Clone, Copy, Debug)]
pub enum KernelOp {
    /// The value itself, perhaps in another shape.
    Identity,
    /// `x W + b` with constant `W` `[inputs, outputs]` and `b` `[outputs]`.
    Dense {
        /// Width of a row that goes in.
        inputs: usize,
        /// Width of a row that comes out.
        outputs: usize,
        /// Which input of the step `W` is.
        weight: usize,
        /// Which input of the step `b` is, if there is one.
        bias: Option<usize>,
        /// What is done to the numbers in the end.
        link: Link,
    },
    /// Weighted sums in windows on the images of events, with constant weights `[outputs, channels / groups, height, width]` and biases `[outputs]`.
    Conv {
        /// Channels that go in.
        channels: usize,
        /// Height and width; an image of one axis has height 1.
        axes: [Axis; 2],
        /// Sets of channels that are convolved by themselves.
        groups: usize,
        /// Channels that come out.
        outputs: usize,
        /// Which input of the step the weights are.
        weight: usize,
        /// Which input of the step the biases are, if there are any.
        bias: Option<usize>,
    },
    /// The largest number of each window, channel by channel.
    MaxPool {
        /// Channels.
        channels: usize,
        /// Height and width.
        axes: [Axis; 2],
    },
    /// The mean of each window, channel by channel.
    AveragePool {
        /// Channels.
        channels: usize,
        /// Height and width.
        axes: [Axis; 2],
        /// Does what is added around the image count ([`Axis::counts`])?
        borders: bool,
    },
    /// `(x - means) * factors / divisors + summands`: each an input of the step with one number for every number of the value, or with one for
    /// all; what is not there is not done.
    Scale {
        /// What is taken off.
        means: Option<usize>,
        /// What is multiplied by.
        factors: Option<usize>,
        /// What is divided by.
        divisors: Option<usize>,
        /// What is added.
        summands: Option<usize>,
    },
    /// All numbers of a row over the sum of their sizes.
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
    /// Exponentials over their sum, over a whole row.
    Softmax,
    /// Trees over the features of a row: `StepInfo::forest`. A classifier makes the class, then the scores; others only the scores.
    TreeEnsemble,
}
