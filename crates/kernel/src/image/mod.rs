//! Layers on images, before the dense layers of a [`Chain`](crate::Chain): convolution and pooling over one or two axes.
//!
//! ```text
//!   inputs, by channel             images between, by place           inputs of the first dense layer
//!   c0: p0 p1 p2 ...   --layer-->  p0: c0 c1 c2 ...    --layer--> ... its weights are reordered, not the image
//!   c1: p0 p1 p2 ...               p1: c0 c1 c2 ...
//! ```
//!
//! All channels of a place lie side by side. So a window of three by three places is three contiguous pieces, a
//! convolution is a dense layer on few pieces (`crate::dense`), and its outputs for a place are contiguous too.
//!
//! * I1: a sum adds the numbers of its window in memory order: by row, place, channel; for the inputs by channel, row, place.
//! * I2: nothing is read or added beyond the edge of an image: weights are finite, so zeros would add zeros. An average
//!   is a sum times the reciprocal of its count.
//! * I3: the maximum of numbers that include a NaN is NaN.
//! * I4: if max pooling over disjoint windows follows a convolution, only the maxima are stored, and the activation is applied after them:
//!   for a non-decreasing activation the result is the same, up to the rounding of `tanh` and `e^x`. Places that no window reads are not computed.
//!
//! Cost: as for dense layers, per multiply-add that is done: those beyond the edges and those for unread places are saved.

mod check;
mod conv;
mod pool;
mod window;

pub(crate) use check::{check, check_finite};
pub(crate) use pool::PoolPass;
pub use window::ImageAxis;
pub(crate) use window::Order;

use conv::ConvSums;

use crate::dense::{Activation, Dense};
use crate::isa::Level;
use crate::lanes::Lanes;
use crate::simd::Simd;
use window::places;

/// Most numbers of an image.
pub const IMAGE_MAX: usize = 1 << 16;
/// Most numbers that all windows of a layer read together.
pub const READS_MAX: usize = 1 << 22;

/// A layer that takes and gives images of several channels.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageLayer {
    /// Weighted sums of windows.
    Conv(Conv),
    /// One number per channel and window: maximum or average.
    Pool(Pool),
}

/// A convolution: the same neurons applied in every window.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Number of input channels.
    pub channels: usize,
    /// Height and width; an image of one axis has height 1.
    pub axes: [ImageAxis; 2],
    /// Number of groups of channels that are convolved separately.
    pub groups: usize,
    /// Number of output channels.
    pub outputs: usize,
    /// `[output][channel of its group][row][place]`.
    pub weight: Vec<f32>,
    /// One per output.
    pub bias: Vec<f32>,
    /// The activation applied to the sums.
    pub activation: Activation,
}

/// A pooling of each channel separately.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Number of input and output channels.
    pub channels: usize,
    /// Height and width; an image of one axis has height 1.
    pub axes: [ImageAxis; 2],
    /// How the numbers of a window are reduced.
    pub kind: Pooling,
    /// The activation applied to the result.
    pub activation: Activation,
}

/// How the numbers of a window are reduced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their maximum.
    Max,
    /// Their sum divided by the count of the window: one count per window, row by row.
    Average(Vec<u32>),
}

impl ImageLayer {
    fn channels(&self) -> usize {
        match self {
            Self::Conv(conv) => conv.channels,
            Self::Pool(pool) => pool.channels,
        }
    }

    fn axes(&self) -> &[ImageAxis; 2] {
        match self {
            Self::Conv(conv) => &conv.axes,
            Self::Pool(pool) => &pool.axes,
        }
    }

    fn activation(&self) -> Activation {
        match self {
            Self::Conv(conv) => conv.activation,
            Self::Pool(pool) => pool.activation,
        }
    }

    /// Number of inputs.
    pub(crate) fn inputs(&self) -> usize {
        self.channels() * self.axes().iter().map(|axis| axis.size).product::<usize>()
    }

    /// Channels and places of its output.
    pub(crate) fn image(&self) -> [usize; 2] {
        let channels = if let Self::Conv(conv) = self { conv.outputs } else { self.channels() };
        [channels, self.axes().iter().map(|axis| axis.windows).product()]
    }
}

/// A layer, compiled to run on a tile.
#[derive(Clone, Debug)]
pub(crate) enum TileLayer {
    Conv(ConvSums),
    Pool(PoolPass),
    Dense(Dense),
}

impl TileLayer {
    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Conv(conv) => conv.outputs(),
            Self::Pool(pass) => pass.outputs(),
            Self::Dense(dense) => dense.outputs(),
        }
    }

    /// Multiply-adds per event.
    pub fn multiply_adds(&self) -> usize {
        match self {
            Self::Conv(conv) => conv.multiply_adds(),
            Self::Pool(_) => 0,
            Self::Dense(dense) => dense.multiply_adds(),
        }
    }

    /// Writes to `y` the outputs of the first `events` lanes of `x`, and of some lanes beyond.
    #[inline(always)]
    pub fn run<S: Simd>(&self, simd: S, x: &[Lanes], y: &mut [Lanes], events: usize) {
        match self {
            Self::Conv(conv) => conv.run(simd, x, y, events),
            Self::Pool(pass) => pass.run(simd, x, y, events),
            Self::Dense(dense) => dense.run(simd, x, y, events),
        }
    }
}

/// Compiles checked layers.
pub(crate) fn compile(image: &[ImageLayer], level: Level) -> Vec<TileLayer> {
    let mut steps = Vec::new();
    let mut rest = image;
    while let Some((layer, after)) = rest.split_first() {
        let order = if steps.is_empty() { Order::ByChannel } else { Order::ByPlace };
        rest = after;
        steps.push(match (layer, after) {
            (ImageLayer::Conv(conv), [ImageLayer::Pool(pool), after @ ..]) if is_joined(conv, pool) => {
                rest = after;
                // At least one of the two activations is the identity.
                let activation =
                    if conv.activation == Activation::None { pool.activation } else { conv.activation };
                TileLayer::Conv(ConvSums::new(conv, &places(&pool.axes), activation, order, level))
            }
            (ImageLayer::Conv(conv), _) => {
                let each: Vec<_> = (0..layer.image()[1]).map(|place| vec![place]).collect();
                TileLayer::Conv(ConvSums::new(conv, &each, conv.activation, order, level))
            }
            (ImageLayer::Pool(pool), _) => TileLayer::Pool(PoolPass::new(pool, order)),
        });
    }
    steps
}

/// Can the maxima be taken before the sums are stored (I4)?
fn is_joined(conv: &Conv, pool: &Pool) -> bool {
    let rises = match conv.activation {
        Activation::None => return pool.is_apart(),
        Activation::LeakyRelu(alpha) => alpha > 0.0,
        Activation::Relu | Activation::Tanh | Activation::Sigmoid => true,
        Activation::Softmax => false,
    };
    rises && pool.activation == Activation::None && pool.is_apart()
}

impl Pool {
    /// Is it a maximum over disjoint windows?
    fn is_apart(&self) -> bool {
        self.kind == Pooling::Max
            && self.axes.iter().all(|axis| axis.dilation == 1 && axis.stride >= axis.kernel)
    }
}

/// Weights of a dense layer, `[output][channel][place]`, reordered for an image stored by place.
pub(crate) fn by_place(weight: &[f32], [channels, places]: [usize; 2]) -> Vec<f32> {
    let turn = |row: &[f32]| -> Vec<f32> {
        (0..row.len()).map(|at| row[at % channels * places + at / channels]).collect()
    };
    weight.chunks_exact(channels * places).flat_map(turn).collect()
}
