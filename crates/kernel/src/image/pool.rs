//! A pooling that is not joined to a convolution, as a pass over an image.

use super::window::{Layout, Order, places};
use super::{Pool, Pooling};
use crate::dense::Activation;
use crate::lanes::Lanes;
use crate::passes;
use crate::simd::Simd;

/// A pooling, compiled to run on a tile.
#[derive(Clone, Debug)]
pub(crate) struct PoolPass {
    channels: usize,
    /// Distance between the rows of adjacent channels.
    apart: usize,
    windows: Vec<Patch>,
    is_max: bool,
    activation: Activation,
}

#[derive(Clone, Debug)]
struct Patch {
    /// The rows of the window in the first channel.
    rows: Box<[usize]>,
    /// The factor of the sum: 1 over the count.
    share: f32,
}

impl PoolPass {
    pub fn new(pool: &Pool, order: Order) -> Self {
        let layout = Layout { channels: pool.channels, axes: pool.axes, order };
        let share = |window: usize| match &pool.kind {
            Pooling::Max => 1.0,
            Pooling::Average(counts) => 1.0 / counts[window] as f32,
        };
        let window = |(window, places): (usize, Vec<usize>)| Patch {
            rows: places.into_iter().map(|place| layout.row(0, place)).collect(),
            share: share(window),
        };
        Self {
            channels: pool.channels,
            apart: layout.row(1, 0),
            windows: places(&pool.axes).into_iter().enumerate().map(window).collect(),
            is_max: pool.kind == Pooling::Max,
            activation: pool.activation,
        }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.windows.len() * self.channels
    }

    #[inline(always)]
    pub fn run<S: Simd>(&self, simd: S, x: &[Lanes], y: &mut [Lanes], events: usize) {
        let all = &mut y[..self.outputs()];
        for (window, y) in self.windows.iter().zip(all.chunks_exact_mut(self.channels)) {
            for (channel, y) in y.iter_mut().enumerate() {
                let x = &x[channel * self.apart..];
                for register in 0..events.div_ceil(S::LANES) {
                    let mut v = [window.reduced(simd, self.is_max, x, register)];
                    passes::activate_registers(simd, self.activation, &mut v);
                    simd.store(y, register, v[0]);
                }
            }
        }
        passes::activate(simd, self.activation, all, events);
    }
}

impl Patch {
    /// The maximum of its numbers, or their sum times its share.
    #[inline(always)]
    fn reduced<S: Simd>(&self, simd: S, is_max: bool, x: &[Lanes], register: usize) -> S::V {
        let (&first, others) = self.rows.split_first().expect("a window has numbers");
        let mut v = simd.load(&x[first], register);
        if is_max {
            for &row in others {
                v = passes::larger(simd, v, simd.load(&x[row], register));
            }
            return v;
        }
        for &row in others {
            v = simd.add(v, simd.load(&x[row], register));
        }
        simd.mul(v, simd.splat(self.share))
    }
}
