//! Chains of dense layers in integers ([`IntChain`]): one instruction multiplies and adds twice as many 16-bit integers as floats, and four times as
//! many 8-bit ones ([`HiddenBits`]).
//!
//! Promise: as for the whole crate, including the same bits on every CPU. Scores are near those of [`Chain`], not equal to them.
//!
//! ```text
//!   record: a b c d ...        two 16-bit fields are a 32-bit lane
//!      |
//!   pairs --clamp--> layer --shift, clamp--> pairs --> ... --> layer --scale, bias, activation--> scores
//!                      |  sums in 32 bits, exact                 sums become floats
//!                      '--shift, clamp, join--> quads --> layer --scale, bias, round, clamp, join--> quads --> ...
//! ```
//!
//! * I1: an input beyond its range is clamped to it, and a hidden number beyond what calibration saw saturates at the largest integer.
//!   So no input makes a sum overflow.
//! * I2: scores are finite, unless the last layer's numbers overflow as floats.
//!
//! Threads: as for [`Chain`].
//!
//! Cost (Zen 5, 2026-11-25; `examples/speed.rs`): 57-32-16-3 takes 11.2 ns instead of 18.9, 252-256-128-1 takes 350 ns instead of 690. Between
//! layers, a sum costs a shift and half of a pack, shuffle and clamp; via floats 57-32-16-3 would take 8 % longer. Clamping the inputs takes
//! 0.4 ns of the 11.2, and nothing where their ranges are all 16 bits.
//!
//! Of the two widths, 16 bits are the first choice: with the sample network `topo` (trained weights, 50,000 sample events, a cut that keeps 500 of
//! them) they changed no verdict, and 8 bits after a 16-bit first layer changed 19 (rms of the scores: 2e-4 and 4e-3). 8 bits suit hidden layers that
//! are so wide that they take nearly all of the time, and networks trained for them. With AVX2, which needs three instructions for four 8-bit
//! products and four for as many 16-bit ones, 57-512-256-3 is 1.2 times as fast as in 16 bits (1.7 times as fast as in floats), and 57-32-16-3 no
//! faster at all (Zen 3, 2026-11-27). VNNI needs one and two: 1.6 times as fast (3.1), and hardly faster (Xeon, the same day; from records it was a
//! fifth slower in one run).
//!
//! Left out (Zen 5, the same network):
//!
//! * 8 bits in the first layer: its inputs have up to 16 bits, and 64 verdicts would change.

mod dense;
mod error;
mod gather;
mod packing;
mod passes;
mod scale;
#[cfg(test)]
mod tests;
mod tile;

use dense::IntDense;
pub use error::IntChainError;
pub use gather::{IntColumn, IntGather};
pub use packing::HiddenBits;
pub use tile::{IntTile, Pairs};

use crate::chain::{Chain, Layer, Readout, check};
use crate::error::ChainError;
use crate::isa::{IntWork, Isa, Level};
use crate::lanes::{EVENTS, to_rows};
use crate::simd::IntSimd;

/// An input of an integer chain: an integer of the event record that stands for `scale * integer + offset`.
///
/// Its range is the one that a model clips to, or the full range of the field, never that of a sample: a value beyond the sample is an anomaly, and a
/// reconstruction error that sees it clamped is too small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntInput {
    /// Lower end of the range; smaller values are clamped to it.
    pub low: i16,
    /// Upper end of the range; larger values are clamped to it. A narrower range gives finer weights.
    pub high: i16,
    /// The input of the first layer per unit of the integer.
    pub scale: f32,
    /// The input of the first layer at integer zero.
    pub offset: f32,
}

/// The ranges of a chain's numbers, needed to compile it to integers.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainRanges {
    /// One per input.
    pub inputs: Vec<IntInput>,
    /// The largest expected absolute value of each hidden layer after its activation; [`ChainRanges::largest`] finds it.
    pub hidden: Vec<f32>,
}

impl ChainRanges {
    /// The largest absolute value of each hidden layer over `rows`, the inputs of the first layer as `[event][input]`.
    ///
    /// # Errors
    /// If `layers` do not form a chain.
    ///
    /// # Panics
    /// If `rows` are not whole rows.
    pub fn largest(layers: &[Layer], rows: &[f32]) -> Result<Vec<f32>, ChainError> {
        check(&[], layers, Readout::Outputs)?;
        let largest = |end: usize| {
            let chain = Chain::new(&layers[..end], Readout::Outputs)?;
            let mut numbers = vec![0.0; rows.len() / chain.inputs() * chain.outputs()];
            chain.run(&mut chain.tile(), rows, &mut numbers);
            Ok(numbers.into_iter().map(f32::abs).fold(0.0, f32::max))
        };
        (1..layers.len()).map(largest).collect()
    }
}

/// A chain of dense layers, compiled to integers. Immutable and shared by threads; each brings its own [`IntTile`].
///
/// It takes the layers of a [`Chain`] and the integers of event records: scale and offset of an input go into the weights. Hidden layers with no
/// activation or relu are the fastest; the others pass through floats in memory.
#[derive(Clone, Debug)]
pub struct IntChain {
    inputs: Vec<IntInput>,
    ranges: Box<[Option<passes::Range>]>,
    layers: Vec<IntDense>,
    readout: Readout,
    level: Level,
}

impl IntChain {
    /// Compiles `layers`, those of a [`Chain`], for the fastest instruction set of this CPU.
    ///
    /// # Errors
    /// If they do not form a chain, the calibration does not fit them, or a scale is beyond `f32`.
    pub fn new(
        layers: &[Layer],
        readout: Readout,
        calibration: &ChainRanges,
        bits: HiddenBits,
    ) -> Result<Self, IntChainError> {
        Self::with_isa(layers, readout, calibration, bits, Isa::best())
    }

    /// Compiles `layers` for `isa`. The scores are bit-identical for every `isa`.
    ///
    /// # Errors
    /// As [`IntChain::new`], and if this CPU lacks `isa`.
    pub fn with_isa(
        layers: &[Layer],
        readout: Readout,
        calibration: &ChainRanges,
        bits: HiddenBits,
        isa: Isa,
    ) -> Result<Self, IntChainError> {
        let level = Level::new(isa).ok_or(ChainError::Lacks(isa))?;
        Self::at(layers, readout, calibration, bits, level)
    }

    fn at(
        layers: &[Layer],
        readout: Readout,
        calibration: &ChainRanges,
        bits: HiddenBits,
        level: Level,
    ) -> Result<Self, IntChainError> {
        let level = level.for_integers();
        check(&[], layers, readout)?;
        check_calibration(layers, calibration)?;
        let scaled = scale::scale(layers, calibration, bits)?;
        let pack =
            |(layer, scaled): (&Layer, _)| IntDense::pack(layer.inputs, layer.activation, scaled, level);
        let layers = layers.iter().zip(&scaled).map(pack).collect();
        let inputs = calibration.inputs.clone();
        let ranges = passes::Range::of(&calibration.inputs);
        Ok(Self { inputs, ranges, layers, readout, level })
    }

    /// Inputs per event.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Scores per event.
    pub fn outputs(&self) -> usize {
        match self.readout {
            Readout::Outputs => self.last().outputs,
            Readout::ReconstructionError => 1,
        }
    }

    /// Multiply-adds per event in the layers.
    pub fn multiply_adds(&self) -> usize {
        self.layers.iter().map(IntDense::multiply_adds).sum()
    }

    /// The instruction set that the chain was compiled for: AVX2 where AVX-512 lacks what integers need.
    pub fn isa(&self) -> Isa {
        self.level.isa()
    }

    /// The memory that one thread needs to run the chain.
    pub fn tile(&self) -> IntTile {
        let (last, hidden) = self.layers.split_last().expect("a chain has a layer");
        let mut between = [0; 2];
        let mut numbers = 0;
        for (i, layer) in hidden.iter().enumerate() {
            between[i % 2] = between[i % 2].max(layer.lanes());
            numbers = numbers.max(if layer.needs_numbers() { layer.outputs } else { 0 });
        }
        if self.readout == Readout::ReconstructionError {
            numbers = numbers.max(last.outputs);
        }
        IntTile::new(self.inputs(), between, numbers, self.outputs())
    }

    /// Plans how to gather the inputs from records of `record_len` bytes. The caller fills in inputs that no column names.
    ///
    /// # Panics
    /// If a column does not lie within the record, or its type does not fit `i16`.
    pub fn gather(&self, record_len: usize, columns: &[IntColumn]) -> IntGather {
        IntGather::new(self.level, record_len, self.inputs(), columns)
    }

    /// Scores any number of events: `rows` are `[event][input]`, `scores` are `[event][score]`.
    ///
    /// # Panics
    /// If the lengths do not fit, or `tile` was made by another chain.
    pub fn run(&self, tile: &mut IntTile, rows: &[i16], scores: &mut [f32]) {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let events = rows.len() / inputs;
        assert_eq!(rows.len(), events * inputs, "whole rows of {inputs} inputs");
        assert_eq!(scores.len(), events * outputs, "{outputs} scores for each of {events} events");
        for (rows, scores) in rows.chunks(EVENTS * inputs).zip(scores.chunks_mut(EVENTS * outputs)) {
            tile::from_rows(rows, inputs, &mut tile.inputs);
            self.run_tile(tile, rows.len() / inputs);
            to_rows(tile.scores(), scores);
        }
    }

    /// Scores the first `events` events of `tile`, whose inputs the caller has written. The scores are in [`IntTile::scores`].
    ///
    /// # Panics
    /// If `tile` was made by another chain.
    pub fn run_tile(&self, tile: &mut IntTile, events: usize) {
        tile.assert_shape(self.inputs(), self.outputs());
        self.level.run_int(One { chain: self, tile, events: events.min(EVENTS) });
    }

    fn last(&self) -> &IntDense {
        &self.layers[self.layers.len() - 1]
    }
}

struct One<'a> {
    chain: &'a IntChain,
    tile: &'a mut IntTile,
    events: usize,
}

impl IntWork for One<'_> {
    #[inline(always)]
    fn run<S: IntSimd>(self, simd: S) {
        let Self { chain, tile, events } = self;
        let IntTile { inputs, between: [a, b], numbers, scores, .. } = tile;
        passes::clamp(simd, &chain.ranges, inputs, events);
        let (last, hidden) = chain.layers.split_last().expect("a chain has a layer");
        let (mut from, mut to) = (&mut **b, &mut **a);
        for (i, layer) in hidden.iter().enumerate() {
            let x = if i == 0 { &**inputs } else { &*from };
            layer.run(simd, x, to, numbers, events);
            (from, to) = (to, from);
        }
        let x = if hidden.is_empty() { &**inputs } else { &*from };
        match chain.readout {
            Readout::Outputs => last.numbers(simd, x, scores, events),
            Readout::ReconstructionError => {
                last.numbers(simd, x, numbers, events);
                passes::mean_squared_error(simd, &chain.inputs, inputs, numbers, &mut scores[0], events);
            }
        }
        crate::passes::one_nan(simd, scores, events);
    }
}

fn check_calibration(layers: &[Layer], calibration: &ChainRanges) -> Result<(), IntChainError> {
    let ChainRanges { inputs, hidden } = calibration;
    if inputs.len() != layers[0].inputs {
        return Err(IntChainError::Inputs { found: inputs.len(), wanted: layers[0].inputs });
    }
    if hidden.len() != layers.len() - 1 {
        return Err(IntChainError::Hidden { found: hidden.len(), wanted: layers.len() - 1 });
    }
    let is_sound =
        |input: &IntInput| input.low <= input.high && input.scale.is_finite() && input.offset.is_finite();
    if let Some(input) = inputs.iter().position(|input| !is_sound(input)) {
        return Err(IntChainError::Input(input));
    }
    if let Some(layer) = hidden.iter().position(|largest| !(0.0..=f32::MAX).contains(largest)) {
        return Err(IntChainError::Largest(layer));
    }
    Ok(())
}
