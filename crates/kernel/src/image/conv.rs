//! A convolution on a tile: the sums of `crate::dense` in many windows, with the same weights.

use super::Conv;
use super::window::{Layout, Order, Piece, Place};
use crate::dense::{Activation, Neurons, Reads, add, begin};
use crate::isa::Level;
use crate::lanes::{Lanes, REGISTERS};
use crate::passes;
use crate::simd::Simd;

/// A convolution, optionally joined with the max pooling that follows it.
#[derive(Clone, Debug)]
pub(crate) struct ConvSums {
    /// For each place of the output image, the places whose sums it is the maximum of.
    windows: Vec<Box<[Place]>>,
    /// The neurons of each group of channels; the outputs of all groups lie side by side.
    groups: Vec<Neurons>,
    /// Distance between the first rows of adjacent groups.
    apart: usize,
    activation: Activation,
}

impl ConvSums {
    /// Compiles a convolution whose output is, for each of `windows`, the maximum over those of its places.
    pub fn new(
        conv: &Conv,
        windows: &[Vec<usize>],
        activation: Activation,
        order: Order,
        level: Level,
    ) -> Self {
        let &Conv { channels, axes, groups, outputs, ref weight, ref bias, .. } = conv;
        let per_group = channels / groups;
        let layout = Layout { channels, axes, order };
        let place = |&place: &usize| layout.pieces(per_group, place);
        let windows = windows.iter().map(|places| places.iter().map(place).collect()).collect();
        let weight = layout.turned(per_group, weight);
        let neurons = weight.chunks_exact(weight.len() / groups).zip(bias.chunks_exact(outputs / groups));
        let groups =
            neurons.map(|(weight, bias)| Neurons::pack(weight, bias, level.tuning().neurons)).collect();
        Self { windows, groups, apart: layout.row(per_group, 0), activation }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.windows.len() * self.channels()
    }

    fn channels(&self) -> usize {
        self.groups.len() * self.groups[0].outputs()
    }

    /// Multiply-adds per event.
    pub fn multiply_adds(&self) -> usize {
        let pieces = self.windows.iter().flatten().flatten();
        pieces.map(|piece| piece.len as usize).sum::<usize>() * self.channels()
    }

    /// Writes to `y` the outputs of the first `events` lanes of `x`, and of some lanes beyond.
    #[inline(always)]
    pub fn run<S: Simd>(&self, simd: S, x: &[Lanes], y: &mut [Lanes], events: usize) {
        let all = &mut y[..self.outputs()];
        let mut y = all.chunks_exact_mut(self.groups[0].outputs());
        for places in &self.windows {
            for (group, neurons) in self.groups.iter().enumerate() {
                let y = y.next().expect("room for every window");
                let window = Patch { x: &x[group * self.apart..], places };
                neurons.run(simd, window, self.activation, y, events);
            }
        }
        passes::activate(simd, self.activation, all, events);
    }
}

/// The inputs and places that one output place is computed from.
#[derive(Clone, Copy, Debug)]
struct Patch<'a> {
    x: &'a [Lanes],
    places: &'a [Place],
}

impl Reads for Patch<'_> {
    /// The maximum of the sums over all places.
    #[inline(always)]
    fn sums<S: Simd, const N: usize>(self, simd: S, packed: &[f32], first: usize) -> [[S::V; REGISTERS]; N] {
        let (place, others) = self.places.split_first().expect("a window has a place");
        let mut largest = self.at::<S, N>(simd, packed, place, first);
        for place in others {
            let sums = self.at::<S, N>(simd, packed, place, first);
            for (largest, &sum) in largest.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                *largest = passes::larger(simd, *largest, sum);
            }
        }
        largest
    }
}

impl Patch<'_> {
    /// The sums at one place.
    #[inline(always)]
    fn at<S: Simd, const N: usize>(
        self,
        simd: S,
        packed: &[f32],
        place: &Place,
        first: usize,
    ) -> [[S::V; REGISTERS]; N] {
        let (mut sums, weights) = begin::<S, N>(simd, packed);
        for &Piece { input, weight, len } in place {
            let [input, weight, len] = [input, weight, len].map(|number| number as usize);
            add(simd, &mut sums, &weights[weight..][..len], &self.x[input..][..len], first);
        }
        sums
    }
}
