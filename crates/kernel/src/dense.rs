//! Sums of products on one tile: the inner loop of the crate.
//!
//! ```text
//!                 group of 8 neurons                  sums: 8 neurons x 2 registers of events = 16 registers
//!   input 0   w w w w w w w w   x  [ 16 events ][ 16 events ]
//!   input 1   w w w w w w w w   x  [ 16 events ][ 16 events ]      sum[n][r] = fma(w[n], x[r], sum[n][r])
//!   ...       packed side by side    from the L1 cache
//! ```
//!
//! Each step reads two registers of events and eight weights for sixteen multiply-adds, so it is limited by multiply-adds, not by loads.
//!
//! A dense layer does this once, on all of its inputs; a convolution (`crate::image`) does it in each of its windows, on the inputs that the window
//! reads.
//!
//! * I1: a sum starts with the bias and adds inputs in ascending order, one fused multiply-add each. So it is the same for every group size,
//!   every number of events and every instruction set.
//!
//! These loops contain no closures: a closure that is not inlined is not compiled for the instruction set, which costs a factor of a hundred.

use crate::isa::Level;
use crate::lanes::{Lanes, REGISTERS};
use crate::passes;
use crate::simd::Simd;

/// Neurons in the largest group of any instruction set.
const GROUP_MAX: usize = 8;

/// The activation of a layer: what is applied to its sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// The identity.
    None,
    /// `x < 0 ? 0 : x`.
    Relu,
    /// `x < 0 ? alpha * x : x`, with this alpha.
    LeakyRelu(f32),
    /// `tanh x`.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `e^x` divided by the sum of `e^x` over all outputs; for the last layer only.
    Softmax,
}

/// A layer, packed for the inner loop.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    inputs: usize,
    neurons: Neurons,
    activation: Activation,
}

impl Dense {
    /// Packs `weight`, `[output][input]`, for the register file of `level`.
    pub fn pack(inputs: usize, weight: &[f32], bias: &[f32], activation: Activation, level: Level) -> Self {
        let neurons = Neurons::pack(weight, bias, level.tuning().neurons);
        Self { inputs, neurons, activation }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.neurons.outputs
    }

    /// Multiply-adds per event.
    pub fn multiply_adds(&self) -> usize {
        self.inputs * self.neurons.outputs
    }

    /// Writes to `y` the outputs of the first `events` lanes of `x`, and of some lanes beyond.
    #[inline(always)]
    pub fn run<S: Simd>(&self, simd: S, x: &[Lanes], y: &mut [Lanes], events: usize) {
        let x = &x[..self.inputs];
        let y = &mut y[..self.neurons.outputs];
        self.neurons.run(simd, All(x), self.activation, y, events);
        passes::activate(simd, self.activation, y, events);
    }
}

/// The inputs that the sums of some neurons read.
pub(crate) trait Reads: Copy {
    /// The sums of `N` neurons, for [`REGISTERS`] registers of events from register `first` on.
    fn sums<S: Simd, const N: usize>(self, simd: S, packed: &[f32], first: usize) -> [[S::V; REGISTERS]; N];
}

/// All of these inputs, in order.
#[derive(Clone, Copy, Debug)]
struct All<'a>(&'a [Lanes]);

impl Reads for All<'_> {
    #[inline(always)]
    fn sums<S: Simd, const N: usize>(self, simd: S, packed: &[f32], first: usize) -> [[S::V; REGISTERS]; N] {
        let (mut sums, weights) = begin::<S, N>(simd, packed);
        add(simd, &mut sums, weights, self.0, first);
        sums
    }
}

/// The initial sums, which are the biases, and the weights that follow them.
#[inline(always)]
pub(crate) fn begin<S: Simd, const N: usize>(
    simd: S,
    packed: &[f32],
) -> ([[S::V; REGISTERS]; N], &[[f32; N]]) {
    let (bias, weights) = packed.as_chunks::<N>().0.split_first().expect("the biases stand first");
    let mut sums = [[simd.splat(0.0); REGISTERS]; N];
    for (sums, &bias) in sums.iter_mut().zip(bias) {
        *sums = [simd.splat(bias); REGISTERS];
    }
    (sums, weights)
}

/// Adds the products of some inputs with their weights.
#[inline(always)]
pub(crate) fn add<S: Simd, const N: usize>(
    simd: S,
    sums: &mut [[S::V; REGISTERS]; N],
    weights: &[[f32; N]],
    x: &[Lanes],
    first: usize,
) {
    for (weights, x) in weights.iter().zip(x) {
        let mut events = [simd.splat(0.0); REGISTERS];
        for (r, events) in events.iter_mut().enumerate() {
            *events = simd.load(x, first + r);
        }
        for n in 0..N {
            let weight = simd.splat(weights[n]);
            for r in 0..REGISTERS {
                sums[n][r] = simd.fma(weight, events[r], sums[n][r]);
            }
        }
    }
}

/// Neurons that read the same inputs.
#[derive(Clone, Debug)]
pub(crate) struct Neurons {
    outputs: usize,
    groups: Vec<Group>,
    /// Per group: the biases of its neurons, then the weights of each input to them.
    packed: Vec<f32>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    neurons: usize,
    /// Its range of `packed`.
    from: usize,
    to: usize,
}

impl Neurons {
    /// Packs `weight`, `[output][input]`, in groups of at most `most` neurons.
    pub fn pack(weight: &[f32], bias: &[f32], most: usize) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / bias.len();
        let count = outputs.div_ceil(most);
        let (mut groups, mut packed) = (Vec::new(), Vec::new());
        for group in 0..count {
            // Groups have nearly equal sizes: in a group of one or two neurons, the multiply-add units would wait for the previous sum.
            let neurons = group * outputs / count..(group + 1) * outputs / count;
            let from = packed.len();
            packed.extend_from_slice(&bias[neurons.clone()]);
            for input in 0..inputs {
                packed.extend(neurons.clone().map(|neuron| weight[neuron * inputs + input]));
            }
            groups.push(Group { neurons: neurons.len(), from, to: packed.len() });
        }
        Self { outputs, groups, packed }
    }

    /// Number of neurons.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Writes the activated sums, except for activations that need the whole layer: those are applied afterwards.
    #[inline(always)]
    pub fn run<S: Simd>(
        &self,
        simd: S,
        reads: impl Reads,
        activation: Activation,
        mut y: &mut [Lanes],
        events: usize,
    ) {
        for group in &self.groups {
            let (out, rest) = y.split_at_mut(group.neurons);
            y = rest;
            let group_of = Sums { packed: &self.packed[group.from..group.to], reads, activation };
            // Only groups that fit the registers are compiled.
            match group.neurons {
                1 => group_of.write::<S, 1>(simd, out, events),
                2 => group_of.write::<S, 2>(simd, out, events),
                3 => group_of.write::<S, 3>(simd, out, events),
                4 => group_of.write::<S, 4>(simd, out, events),
                5 if S::NEURONS >= 5 => group_of.write::<S, 5>(simd, out, events),
                6 if S::NEURONS >= 6 => group_of.write::<S, 6>(simd, out, events),
                7 if S::NEURONS >= 7 => group_of.write::<S, 7>(simd, out, events),
                GROUP_MAX if S::NEURONS >= GROUP_MAX => group_of.write::<S, GROUP_MAX>(simd, out, events),
                _ => unreachable!("groups are as large as the kernel was compiled for"),
            }
        }
    }
}

/// Computes the sums of one group.
#[derive(Clone, Copy, Debug)]
struct Sums<'a, R> {
    packed: &'a [f32],
    reads: R,
    activation: Activation,
}

impl<R: Reads> Sums<'_, R> {
    #[inline(always)]
    fn write<S: Simd, const N: usize>(self, simd: S, y: &mut [Lanes], events: usize) {
        for first in (0..events.div_ceil(S::LANES)).step_by(REGISTERS) {
            let sums = self.reads.sums::<S, N>(simd, self.packed, first);
            self.finish(simd, sums, y, first);
        }
    }

    /// Applies activations that need one operation, and stores.
    #[inline(always)]
    fn finish<S: Simd, const N: usize>(
        self,
        simd: S,
        mut sums: [[S::V; REGISTERS]; N],
        y: &mut [Lanes],
        first: usize,
    ) {
        passes::activate_registers(simd, self.activation, sums.as_flattened_mut());
        let y: &mut [Lanes; N] = y.first_chunk_mut().expect("as many as the group has neurons");
        for (y, sums) in y.iter_mut().zip(&sums) {
            for (r, &sum) in sums.iter().enumerate() {
                simd.store(y, first + r, sum);
            }
        }
    }
}
