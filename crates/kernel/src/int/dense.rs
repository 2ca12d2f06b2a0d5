//! One dense layer of integers on one tile: the inner loop of [`IntChain`](super::IntChain).
//!
//! ```text
//!                 group of 4 pairs of neurons         sums: 8 neurons x 2 registers of events = 16 registers
//!   inputs 0, 1   ww ww ww ww ww ww ww ww   x  [ 16 events ][ 16 events ]
//!   inputs 2, 3   ww ww ww ww ww ww ww ww   x  [ 16 events ][ 16 events ]      sum[n][r] += w0[n] x0[r] + w1[n] x1[r]
//!   ...           packed side by side           from the L1 cache
//! ```
//!
//! As in [`crate::dense`], but one instruction multiplies and adds two inputs, or four 8-bit ones ([`Packing`]). Two adjacent
//! neurons become a pair of inputs of the next layer, or half of a quad; an odd last neuron is paired with a neuron of zeros.
//!
//! * I1: sums are exact; the operations after them are the same, in the same order, on every instruction set.

use super::Pairs;
use super::packing::{Packing, pair};
use super::scale::{IntLayer, Neuron, Way};
use crate::dense::Activation;
use crate::isa::Level;
use crate::lanes::{Lanes, REGISTERS};
use crate::passes;
use crate::simd::IntSimd;

/// Pairs of neurons in the largest group of any instruction set.
const GROUP_MAX: usize = 4;

/// A layer, packed for the inner loop.
#[derive(Clone, Debug)]
pub(super) struct IntDense {
    pub outputs: usize,
    inputs: usize,
    activation: Activation,
    way: Way,
    /// How the inputs share their lanes, and how the outputs do.
    takes: Packing,
    gives: Packing,
    groups: Vec<Group>,
    /// Per group: for each lane of inputs, its weights to the neurons.
    packed: Vec<[u32; 2]>,
    neurons: Vec<[Neuron; 2]>,
    per_step: f32,
    /// The range of the next layer's integers, as pairs.
    low: u32,
    high: u32,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    /// Number of pairs of neurons.
    pairs: usize,
    /// Index of its first entry in `packed`.
    at: usize,
}

/// Where a layer writes its outputs.
pub(super) enum Out<'a> {
    /// As integers, for the next layer.
    Integers(&'a mut [Pairs]),
    /// As floats.
    Numbers(&'a mut [Lanes]),
}

impl IntDense {
    /// Packs `layer` for the register file of `level`.
    pub fn pack(inputs: usize, activation: Activation, layer: &IntLayer, level: Level) -> Self {
        let outputs = layer.neurons.len();
        let weight = |neuron: usize, input: usize| {
            if neuron < outputs && input < inputs { layer.weight[neuron * inputs + input] } else { 0 }
        };
        let weights = |neuron: usize, x: usize| layer.takes.weights(x, |input| weight(neuron, input));
        let pairs = outputs.div_ceil(2);
        let count = pairs.div_ceil(level.tuning().neurons / 2);
        let (mut groups, mut packed) = (Vec::new(), Vec::new());
        for group in 0..count {
            // Groups have nearly equal sizes, as in `crate::dense`.
            let of_group = group * pairs / count..(group + 1) * pairs / count;
            groups.push(Group { pairs: of_group.len(), at: packed.len() });
            for x in 0..layer.takes.lanes(inputs) {
                packed.extend(of_group.clone().map(|y| [weights(2 * y, x), weights(2 * y + 1, x)]));
            }
        }
        let two = |neurons: &[Neuron]| [neurons[0], neurons.get(1).copied().unwrap_or_default()];
        Self {
            outputs,
            activation,
            way: layer.way,
            takes: layer.takes,
            gives: layer.gives,
            inputs,
            groups,
            packed,
            neurons: layer.neurons.chunks(2).map(two).collect(),
            per_step: layer.per_step,
            low: pair([layer.range[0]; 2]),
            high: pair([layer.range[1]; 2]),
        }
    }

    /// Multiply-adds per event, without those of padding.
    pub fn multiply_adds(&self) -> usize {
        self.inputs * self.outputs
    }

    /// Number of lanes of its integer outputs.
    pub fn lanes(&self) -> usize {
        self.gives.lanes(self.outputs)
    }

    /// Must its floats be stored before they become integers?
    pub fn needs_numbers(&self) -> bool {
        self.way == Way::Numbers
    }

    /// Writes to `y` the integers for the next layer, for the first `events` lanes of `x` and some beyond. `numbers` is scratch memory for floats.
    #[inline(always)]
    pub fn run<S: IntSimd>(
        &self,
        simd: S,
        x: &[Pairs],
        y: &mut [Pairs],
        numbers: &mut [Lanes],
        events: usize,
    ) {
        if self.needs_numbers() {
            self.numbers(simd, x, numbers, events);
            self.round(simd, numbers, y, events);
        } else {
            self.groups(simd, x, &mut Out::Integers(y), events);
        }
    }

    /// Writes the outputs to `y` as floats, with one meaningless number more if there are an odd number of outputs.
    #[inline(always)]
    pub fn numbers<S: IntSimd>(&self, simd: S, x: &[Pairs], y: &mut [Lanes], events: usize) {
        self.groups(simd, x, &mut Out::Numbers(y), events);
        let all = &mut y[..self.outputs];
        passes::activate(simd, self.activation, all, events);
    }

    #[inline(always)]
    fn groups<S: IntSimd>(&self, simd: S, x: &[Pairs], y: &mut Out<'_>, events: usize) {
        match self.takes {
            Packing::Pairs => self.groups_of::<S, false>(simd, x, y, events),
            Packing::Quads => self.groups_of::<S, true>(simd, x, y, events),
        }
    }

    #[inline(always)]
    fn groups_of<S: IntSimd, const QUADS: bool>(&self, simd: S, x: &[Pairs], y: &mut Out<'_>, events: usize) {
        let x = &x[..self.takes.lanes(self.inputs)];
        let mut first = 0;
        for &group in &self.groups {
            // Only groups that fit the registers are compiled.
            match group.pairs {
                1 => self.group::<S, QUADS, 1>(simd, group, x, y, first, events),
                2 => self.group::<S, QUADS, 2>(simd, group, x, y, first, events),
                3 if S::NEURONS >= 2 * 3 => self.group::<S, QUADS, 3>(simd, group, x, y, first, events),
                GROUP_MAX if S::NEURONS >= 2 * GROUP_MAX => {
                    self.group::<S, QUADS, GROUP_MAX>(simd, group, x, y, first, events);
                }
                _ => unreachable!("groups are as large as the kernel was compiled for"),
            }
            first += group.pairs;
        }
    }

    #[inline(always)]
    fn group<S: IntSimd, const QUADS: bool, const P: usize>(
        &self,
        simd: S,
        group: Group,
        x: &[Pairs],
        y: &mut Out<'_>,
        first: usize,
        events: usize,
    ) {
        let packed = self.packed[group.at..][..P * x.len()].as_chunks().0;
        let neurons = self.neurons[first..].first_chunk().expect("as many as the group has neurons");
        for register in (0..events.div_ceil(S::LANES)).step_by(REGISTERS) {
            let sums = sums::<S, QUADS, P>(simd, packed, neurons, x, register);
            self.finish::<S, QUADS, P>(simd, sums, neurons, y, first, register);
        }
    }

    /// Requantises the sums, or turns them into floats and applies activations that need one operation, and stores.
    #[inline(always)]
    fn finish<S: IntSimd, const QUADS: bool, const P: usize>(
        &self,
        simd: S,
        sums: [[[S::V; REGISTERS]; 2]; P],
        neurons: &[[Neuron; 2]; P],
        y: &mut Out<'_>,
        first: usize,
        register: usize,
    ) {
        match y {
            Out::Integers(y) if self.gives == Packing::Pairs => {
                let y: &mut [Pairs; P] =
                    y[first..].first_chunk_mut().expect("as many as the group has neurons");
                for (y, (neurons, sums)) in y.iter_mut().zip(neurons.iter().zip(&sums)) {
                    self.store(simd, y, false, register, whole::<S, QUADS>(simd, neurons, sums));
                }
            }
            Out::Integers(y) => {
                for (p, (neurons, sums)) in neurons.iter().zip(&sums).enumerate() {
                    let (lane, joins) = self.gives.place(first + p);
                    self.store(simd, &mut y[lane], joins, register, whole::<S, QUADS>(simd, neurons, sums));
                }
            }
            Out::Numbers(y) => {
                let neurons = neurons.as_flattened().iter().zip(sums.as_flattened());
                for (y, (neuron, sums)) in y[2 * first..].iter_mut().zip(neurons) {
                    let (scale, bias) = (simd.splat(neuron.scale), simd.splat(neuron.bias));
                    for (r, &sum) in sums.iter().enumerate() {
                        let mut sum = [simd.fma(simd.to_float(sum), scale, bias)];
                        passes::activate_registers(simd, self.activation, &mut sum);
                        simd.store(y, register + r, sum[0]);
                    }
                }
            }
        }
    }

    /// Rounds activated floats to integers.
    #[inline(always)]
    fn round<S: IntSimd>(&self, simd: S, numbers: &[Lanes], y: &mut [Pairs], events: usize) {
        let per_step = simd.splat(self.per_step);
        for (pair, [a, b]) in numbers[..self.neurons.len() * 2].as_chunks().0.iter().enumerate() {
            let (lane, joins) = self.gives.place(pair);
            for register in 0..events.div_ceil(S::LANES) {
                let a = simd.nearest(simd.mul(simd.load(a, register), per_step));
                let b = simd.nearest(simd.mul(simd.load(b, register), per_step));
                self.store(simd, &mut y[lane], joins, register, [[a], [b]]);
            }
        }
    }

    /// Clamps the integers of two neurons and stores them in their lane for the next layer: as a pair, or as one that completes a quad.
    #[inline(always)]
    fn store<S: IntSimd, const R: usize>(
        &self,
        simd: S,
        y: &mut Pairs,
        joins: bool,
        register: usize,
        [a, b]: [[S::V; R]; 2],
    ) {
        let (low, high) = (simd.splat_bits(self.low), simd.splat_bits(self.high));
        for r in 0..R {
            let mut both = simd.clamp_pairs(simd.pair(a[r], b[r]), low, high);
            if joins {
                both = simd.or(simd.load_pairs(y, register + r), simd.shift_left(both, 8));
            }
            simd.store_pairs(y, register + r, both);
        }
    }
}

/// Requantises the sums of two neurons for the next layer: by a shift, or after quads by scale, bias and rounding ([`Way`]). The clamp to the
/// range, which begins at 0, does the relu.
#[inline(always)]
fn whole<S: IntSimd, const QUADS: bool>(
    simd: S,
    neurons: &[Neuron; 2],
    sums: &[[S::V; REGISTERS]; 2],
) -> [[S::V; REGISTERS]; 2] {
    let mut out = *sums;
    for (neuron, sums) in neurons.iter().zip(&mut out) {
        let by = simd.splat_bits(neuron.shift);
        let (scale, bias) = (simd.splat(neuron.scale), simd.splat(neuron.bias));
        for sum in sums {
            *sum = if QUADS {
                simd.nearest(simd.fma(simd.to_float(*sum), scale, bias))
            } else {
                simd.shift_right_by(*sum, by)
            };
        }
    }
    out
}

/// Sums of `P` pairs of neurons for [`REGISTERS`] registers of events from register `first` on.
#[inline(always)]
fn sums<S: IntSimd, const QUADS: bool, const P: usize>(
    simd: S,
    packed: &[[[u32; 2]; P]],
    neurons: &[[Neuron; 2]; P],
    x: &[Pairs],
    first: usize,
) -> [[[S::V; REGISTERS]; 2]; P] {
    let mut sums = [[[simd.splat_bits(0); REGISTERS]; 2]; P];
    for (sums, neuron) in sums.as_flattened_mut().iter_mut().zip(neurons.as_flattened()) {
        *sums = [simd.splat_bits(neuron.start.cast_unsigned()); REGISTERS];
    }
    for (weights, x) in packed.iter().zip(x) {
        let mut events = [simd.splat_bits(0); REGISTERS];
        for (r, events) in events.iter_mut().enumerate() {
            *events = simd.load_pairs(x, first + r);
        }
        for p in 0..P {
            for n in 0..2 {
                let weight = simd.splat_bits(weights[p][n]);
                for r in 0..REGISTERS {
                    sums[p][n][r] = if QUADS {
                        simd.multiply_add_quads(events[r], weight, sums[p][n][r])
                    } else {
                        simd.multiply_add_pairs(weight, events[r], sums[p][n][r])
                    };
                }
            }
        }
    }
    sums
}
