//! Chains of dense layers whose inputs and weights have 8 significant bits ([`Bf16Chain`]), two in a lane; sums have those of `f32`.
//!
//! Promise: that of the crate, the same bits on every CPU included. Scores are near those of [`Chain`](crate::Chain), not equal to them.
//!
//! ```text
//!   lanes a, b, c, d ...   floats, as for `Chain`
//!      |
//!   round, join            (a b) (c d) ...      two bf16 in a lane: half as many lanes, and as many bytes of weights
//!      |
//!   layer                  sum += w0 x0; sum += w1 x1, each rounded once; bias and activation in floats
//!      |
//!   round, join --> layer --> ... --> scores, which are floats
//! ```
//!
//! * I1: a number is rounded to bf16 where a layer takes it and nowhere else; the reconstruction error compares floats.
//! * I2: a sum starts with the bias and adds inputs in ascending order, as in [`crate::dense`]: on inputs and weights that are bf16 already, and none
//!   beneath 2^-48 but zero, a layer gives the bits that it gives in `Chain`.
//!
//! Threads: as for `Chain`.
//!
//! Cost: AVX512-BF16 multiplies and adds two numbers with one instruction, and the rounding takes some ten operations for each number of a layer.
//! Where a CPU lacks it, both halves of a lane are taken apart first: with AVX2 a chain takes 1.25 to 1.45 times as long as in floats (Zen 3,
//! 2026-11-28; `examples/speed.rs`). With the instruction it was not measured yet; in a loop by itself it had the rate of integers of 16 bits
//! less 8 % on an AMD Zen 5, and half the rate of floats on an Intel Xeon ([`multiply_adds_bf16`](crate::multiply_adds_bf16)). Integers of 16 bits are
//! finer and faster; they need inputs that are integers, and to know how far numbers reach.

use crate::chain::{Layer, Readout, check};
use crate::dense::{Activation, Neurons, Reads, begin};
use crate::error::ChainError;
use crate::gather::{Column, Gather};
use crate::isa::{Isa, Level, Work};
use crate::lanes::{EVENTS, Lanes, Tile, from_rows, to_rows};
use crate::passes;
use crate::simd::{Simd, bf16};

/// A chain of dense layers, compiled for bf16. It does not change, and threads can share it; each brings its own [`Tile`].
#[derive(Clone, Debug)]
pub struct Bf16Chain {
    layers: Vec<Bf16Dense>,
    readout: Readout,
    level: Level,
}

#[derive(Clone, Debug)]
struct Bf16Dense {
    inputs: usize,
    neurons: Neurons,
    activation: Activation,
}

impl Bf16Chain {
    /// Compiles `layers`, those of a [`Chain`](crate::Chain), for the fastest instruction set of this CPU. Weights are rounded; biases are not, but beneath
    /// 2^-48 they count as zero, too.
    ///
    /// # Errors
    /// If they are no chain.
    pub fn new(layers: &[Layer], readout: Readout) -> Result<Self, ChainError> {
        Self::with_isa(layers, readout, Isa::best())
    }

    /// Compiles `layers` for `isa`. The scores are the same, bit for bit.
    ///
    /// # Errors
    /// As [`Bf16Chain::new`], and if this CPU lacks `isa`.
    pub fn with_isa(layers: &[Layer], readout: Readout, isa: Isa) -> Result<Self, ChainError> {
        Self::at(layers, readout, Level::new(isa).ok_or(ChainError::Lacks(isa))?)
    }

    fn at(layers: &[Layer], readout: Readout, level: Level) -> Result<Self, ChainError> {
        check(&[], layers, readout)?;
        let layers = layers.iter().map(|layer| Bf16Dense::pack(layer, level)).collect();
        Ok(Self { layers, readout, level })
    }

    /// Numbers per event that the chain takes.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs
    }

    /// Scores per event.
    pub fn outputs(&self) -> usize {
        match self.readout {
            Readout::Outputs => self.last().outputs(),
            Readout::ReconstructionError => 1,
        }
    }

    /// Multiply-adds per event in the layers.
    pub fn multiply_adds(&self) -> usize {
        self.layers.iter().map(|layer| layer.inputs * layer.outputs()).sum()
    }

    /// The instruction set that it was compiled for.
    pub fn isa(&self) -> Isa {
        self.level.isa()
    }

    /// Room for one thread to run it.
    pub fn tile(&self) -> Tile {
        let widest = |numbers: fn(&Bf16Dense) -> usize, layers: &[Bf16Dense]| {
            layers.iter().map(numbers).max().unwrap_or(0)
        };
        let hidden = match self.readout {
            Readout::Outputs => &self.layers[..self.layers.len() - 1],
            Readout::ReconstructionError => &self.layers,
        };
        let joined = widest(|layer| layer.inputs.div_ceil(2), &self.layers);
        Tile::new(self.inputs(), 0, [joined, widest(Bf16Dense::outputs, hidden)], self.outputs())
    }

    /// Plans how the inputs come from records of `record_len` bytes. Inputs that no column names are left to the caller.
    ///
    /// # Panics
    /// If a column does not lie within the record.
    pub fn gather(&self, record_len: usize, columns: &[Column]) -> Gather {
        Gather::new(self.level, record_len, self.inputs(), columns)
    }

    /// Scores `rows`, `[event][input]`, into `scores`, `[event][score]`, for any number of events.
    ///
    /// # Panics
    /// If the lengths do not fit, or `tile` was made by another kernel.
    pub fn run(&self, tile: &mut Tile, rows: &[f32], scores: &mut [f32]) {
        tile.assert_fits(self.inputs(), self.outputs(), rows, scores);
        let (inputs, outputs) = (self.inputs(), self.outputs());
        for (rows, scores) in rows.chunks(EVENTS * inputs).zip(scores.chunks_mut(EVENTS * outputs)) {
            self.level.run_bf16(One { chain: self, tile, events: rows.len() / inputs, rows });
            to_rows(&tile.scores, scores);
        }
    }

    /// Scores the first `events` events of `tile`, whose inputs the caller has written. The scores stand in [`Tile::scores`].
    ///
    /// # Panics
    /// If `tile` was made by another kernel.
    pub fn run_tile(&self, tile: &mut Tile, events: usize) {
        tile.assert_shape(self.inputs(), self.outputs());
        self.level.run_bf16(One { chain: self, tile, events: events.min(EVENTS), rows: &[] });
    }

    fn last(&self) -> &Bf16Dense {
        &self.layers[self.layers.len() - 1]
    }
}

impl Bf16Dense {
    fn pack(layer: &Layer, level: Level) -> Self {
        let &Layer { inputs, ref weight, ref bias, activation, .. } = layer;
        let joined =
            |two: &[f32]| bf16::joined(bf16::nearest(two[0]), two.get(1).map_or(0.0, |&b| bf16::nearest(b)));
        let weight: Vec<f32> =
            weight.chunks(inputs).flat_map(|weight| weight.chunks(2).map(joined)).collect();
        let bias: Vec<f32> =
            bias.iter().map(|&bias| if bias.abs() < bf16::LEAST { 0.0 } else { bias }).collect();
        Self { inputs, neurons: Neurons::pack(&weight, &bias, level.tuning().neurons_of_bf16), activation }
    }

    fn outputs(&self) -> usize {
        self.neurons.outputs()
    }

    /// The outputs of the first `events` lanes of `joined`, and of some lanes beyond.
    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, joined: &[Lanes], y: &mut [Lanes], events: usize) {
        let (joined, y) = (&joined[..self.inputs.div_ceil(2)], &mut y[..self.outputs()]);
        self.neurons.run(simd, Joined(joined), self.activation, y, events);
        passes::activate(simd, self.activation, y, events);
    }
}

/// Rounds numbers to bf16 and puts two into each lane; beside an odd last one stands a zero.
#[inline(always)]
fn join<S: Simd>(simd: S, x: &[Lanes], joined: &mut [Lanes], events: usize) {
    for (two, joined) in x.chunks(2).zip(joined) {
        for register in 0..events.div_ceil(S::LANES) {
            let a = simd.load(&two[0], register);
            let b = two.get(1).map_or(simd.splat(0.0), |lanes| simd.load(lanes, register));
            simd.store(joined, register, bf16::join(simd, a, b));
        }
    }
}

/// All of these lanes, in order.
#[derive(Clone, Copy, Debug)]
struct Joined<'a>(&'a [Lanes]);

impl Reads for Joined<'_> {
    #[inline(always)]
    fn sums<S: Simd, const N: usize, const R: usize>(
        self,
        simd: S,
        packed: &[f32],
        first: usize,
    ) -> [[S::V; R]; N] {
        let (mut sums, weights) = begin::<S, N, R>(simd, packed);
        for (weights, x) in weights.iter().zip(self.0) {
            let mut events = [simd.splat(0.0); R];
            for (r, events) in events.iter_mut().enumerate() {
                *events = simd.load(x, first + r);
            }
            for n in 0..N {
                let weight = simd.splat(weights[n]);
                for r in 0..R {
                    sums[n][r] = simd.multiply_add_bf16(weight, events[r], sums[n][r]);
                }
            }
        }
        sums
    }
}

/// One tile, from rows if there are any, else from its lanes.
struct One<'a> {
    chain: &'a Bf16Chain,
    tile: &'a mut Tile,
    events: usize,
    rows: &'a [f32],
}

impl Work for One<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { chain, tile, events, rows } = self;
        from_rows(simd, rows, tile.inputs_mut());
        let Tile { rows: inputs, between: [joined, numbers], scores, .. } = tile;
        let (last, hidden) = chain.layers.split_last().expect("a chain has a layer");
        join(simd, inputs, joined, events);
        for layer in hidden {
            layer.run(simd, joined, numbers, events);
            join(simd, &numbers[..layer.outputs()], joined, events);
        }
        match chain.readout {
            Readout::Outputs => last.run(simd, joined, scores, events),
            Readout::ReconstructionError => {
                last.run(simd, joined, numbers, events);
                passes::mean_squared_error(simd, inputs, &numbers[..last.outputs()], &mut scores[0], events);
            }
        }
        passes::settle(simd, scores, events);
    }
}
