//! One dense layer on one tile: the inner loop of the crate.
//!
//! ```text
//!                 group of 8 neurons                  sums: 8 neurons x 2 registers of events = 16 registers
//!   input 0   w w w w w w w w   x  [ 16 events ][ 16 events ]
//!   input 1   w w w w w w w w   x  [ 16 events ][ 16 events ]      sum[n][r] = fma(w[n], x[r], sum[n][r])
//!   ...       packed side by side    from the first-level cache
//! ```
//!
//! Each step reads two registers of events and eight weights for sixteen multiply-adds, so the multiply-adds are the limit, not the loads.
//!
//! * I1: a sum starts with the bias and adds inputs in ascending order, one fused multiply-add each. So it is the same for every group size,
//!   every number of events and every instruction set.
//!
//! There are no closures in these loops: one that is not inlined is not compiled for the instruction set, and costs a factor of a hundred.

use crate::isa::Level;
use crate::lanes::Lanes;
use crate::passes;
use crate::simd::Simd;

/// Neurons of the largest group of any instruction set.
const GROUP_MAX: usize = 8;

/// What happens to the sums of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `x < 0 ? 0 : x`.
    Relu,
    /// `x < 0 ? alpha * x : x`, with this alpha.
    LeakyRelu(f32),
    /// `tanh x`.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `e^x` over the sum of `e^x` of all outputs; for the last layer only.
    Softmax,
}

/// A layer as the inner loop wants it.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    pub inputs: usize,
    pub outputs: usize,
    pub activation: Activation,
    groups: Vec<Group>,
    /// By group: the biases of its neurons, then for each input its weights to them.
    packed: Vec<f32>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    neurons: usize,
    /// Where it begins in `packed`.
    at: usize,
}

impl Dense {
    /// Packs `weight`, `[output][input]`, for the register file of `level`.
    pub fn pack(inputs: usize, weight: &[f32], bias: &[f32], activation: Activation, level: Level) -> Self {
        let outputs = bias.len();
        let count = outputs.div_ceil(level.tuning().neurons);
        let (mut groups, mut packed) = (Vec::new(), Vec::new());
        for group in 0..count {
            // Of nearly equal size: a group of one or two would leave the multiply-add units waiting for the sum before.
            let neurons = group * outputs / count..(group + 1) * outputs / count;
            groups.push(Group { neurons: neurons.len(), at: packed.len() });
            packed.extend_from_slice(&bias[neurons.clone()]);
            for input in 0..inputs {
                packed.extend(neurons.clone().map(|neuron| weight[neuron * inputs + input]));
            }
        }
        Self { inputs, outputs, activation, groups, packed }
    }

    /// The outputs of the first `events` lanes of `x`, and of some lanes beyond.
    #[inline(always)]
    pub fn run<S: Simd>(&self, simd: S, x: &[Lanes], y: &mut [Lanes], events: usize) {
        let (x, all) = (&x[..self.inputs], &mut y[..self.outputs]);
        let mut y = &mut *all;
        for group in &self.groups {
            let (out, rest) = y.split_at_mut(group.neurons);
            y = rest;
            let packed = &self.packed[group.at..][..group.neurons * (1 + self.inputs)];
            match group.neurons {
                1 => self.group::<S, 1>(simd, packed, x, out, events),
                2 => self.group::<S, 2>(simd, packed, x, out, events),
                3 => self.group::<S, 3>(simd, packed, x, out, events),
                4 => self.group::<S, 4>(simd, packed, x, out, events),
                5 => self.group::<S, 5>(simd, packed, x, out, events),
                6 => self.group::<S, 6>(simd, packed, x, out, events),
                7 => self.group::<S, 7>(simd, packed, x, out, events),
                GROUP_MAX => self.group::<S, GROUP_MAX>(simd, packed, x, out, events),
                _ => unreachable!("groups are as large as the kernel was compiled for"),
            }
        }
        passes::activate(simd, self.activation, all, events);
    }

    #[inline(always)]
    fn group<S: Simd, const N: usize>(
        &self,
        simd: S,
        packed: &[f32],
        x: &[Lanes],
        y: &mut [Lanes],
        events: usize,
    ) {
        let registers = events.div_ceil(S::LANES);
        for pair in 0..registers / 2 {
            let sums = sums::<S, N, 2>(simd, packed, x, pair * 2);
            self.finish(simd, sums, y, pair * 2);
        }
        if registers % 2 == 1 {
            let sums = sums::<S, N, 1>(simd, packed, x, registers - 1);
            self.finish(simd, sums, y, registers - 1);
        }
    }

    /// Activates what needs one operation, and stores. The other activations go over the whole layer once it is there.
    #[inline(always)]
    fn finish<S: Simd, const N: usize, const R: usize>(
        &self,
        simd: S,
        mut sums: [[S::V; R]; N],
        y: &mut [Lanes],
        first: usize,
    ) {
        match self.activation {
            Activation::Relu => {
                let zero = simd.splat(0.0);
                for sum in sums.as_flattened_mut() {
                    *sum = simd.max(zero, *sum);
                }
            }
            Activation::LeakyRelu(alpha) => {
                let alpha = simd.splat(alpha);
                for sum in sums.as_flattened_mut() {
                    *sum = simd.replace_negative(*sum, simd.mul(alpha, *sum));
                }
            }
            Activation::None | Activation::Softmax | Activation::Tanh | Activation::Sigmoid => {}
        }
        let y: &mut [Lanes; N] = y.first_chunk_mut().expect("as many as the group has neurons");
        for (y, sums) in y.iter_mut().zip(&sums) {
            for (r, &sum) in sums.iter().enumerate() {
                simd.store(y, first + r, sum);
            }
        }
    }
}

/// Sums of `N` neurons for `R` registers of events from register `first` on.
#[inline(always)]
fn sums<S: Simd, const N: usize, const R: usize>(
    simd: S,
    packed: &[f32],
    x: &[Lanes],
    first: usize,
) -> [[S::V; R]; N] {
    let (bias, weights) = packed.as_chunks::<N>().0.split_first().expect("the biases stand first");
    let mut sums = [[simd.splat(0.0); R]; N];
    for (sums, &bias) in sums.iter_mut().zip(bias) {
        *sums = [simd.splat(bias); R];
    }
    for (weights, x) in weights.iter().zip(x) {
        let mut events = [simd.splat(0.0); R];
        for (r, events) in events.iter_mut().enumerate() {
            *events = simd.load(x, first + r);
        }
        for n in 0..N {
            let weight = simd.splat(weights[n]);
            for r in 0..R {
                sums[n][r] = simd.fma(weight, events[r], sums[n][r]);
            }
        }
    }
    sums
}
