//! Layers on images against plain loops: the same bits where operations are exact, double precision for the rest; and the promises of the crate.

use proptest::prelude::*;
use tamis_kernel::{
    Activation, Chain, ChainError, Conv, EVENTS, ImageAxis, ImageLayer, Isa, Layer, LayerFault, Pool,
    Pooling, Readout,
};

use crate::support::{available, bits};

/// A sequence of pseudorandom numbers.
struct Numbers(u64);

impl Numbers {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 24
    }

    fn below(&mut self, end: usize) -> usize {
        self.bits() as usize % end
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn floats(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| ((self.bits() % (1 << 24)) as f32 / (1 << 23) as f32 - 1.0) * scale).collect()
    }
}

/// A network: layers on images first, then dense layers.
#[derive(Clone, Debug)]
struct Network {
    images: Vec<ImageLayer>,
    layers: Vec<Layer>,
}

impl Network {
    fn chain(&self, isa: Isa) -> Chain {
        Chain::on_images(&self.images, &self.layers, Readout::Outputs, isa).expect("a sound network")
    }
}

fn axis(numbers: &mut Numbers, size: usize, is_flat: bool) -> ImageAxis {
    if is_flat {
        return ImageAxis::FLAT;
    }
    let (kernel, dilation) = (1 + numbers.below(4), 1 + numbers.below(2));
    let span = (kernel - 1) * dilation + 1;
    let (before, behind) = (numbers.below(span), numbers.below(span));
    let stride = 1 + numbers.below(3);
    match (before + size + behind).checked_sub(span) {
        Some(room) => ImageAxis { size, kernel, stride, dilation, before, windows: room / stride + 1 },
        None => ImageAxis { size, windows: size, ..ImageAxis::FLAT },
    }
}

/// The places of an axis that a window reads, each with its index in the kernel.
fn reads(axis: &ImageAxis, window: usize) -> Vec<(usize, usize)> {
    let place = |k: usize| (window * axis.stride + k * axis.dilation) as i64 - axis.before as i64;
    let on_image = |&(_, at): &(usize, i64)| (0..axis.size as i64).contains(&at);
    let reads = (0..axis.kernel).map(|k| (k, place(k))).filter(on_image);
    reads.map(|(k, at)| (k, at as usize)).collect()
}

/// A network of random shape with these activations between its layers.
fn network(seed: u64, activations: &[Activation]) -> Network {
    let mut numbers = Numbers::new(seed);
    let rank = 1 + numbers.below(2);
    let mut channels = 1 + numbers.below(4);
    let mut size = [1, 1 + numbers.below(9)];
    if rank == 2 {
        size[0] = 1 + numbers.below(9);
    }
    let mut images = Vec::new();
    for _ in 0..1 + numbers.below(4) {
        let activation = numbers.one_of(activations);
        let mut axes = [axis(&mut numbers, size[0], rank == 1), axis(&mut numbers, size[1], false)];
        if numbers.below(2) == 0 {
            // The most common pooling.
            if numbers.below(2) == 0 {
                for axis in axes.iter_mut().skip(2 - rank) {
                    let kernel = axis.size.min(2);
                    let windows = axis.size / kernel;
                    *axis = ImageAxis { size: axis.size, kernel, stride: kernel, windows, ..ImageAxis::FLAT };
                }
            }
            if axes.iter().any(|axis| (0..axis.windows).any(|window| reads(axis, window).is_empty())) {
                continue;
            }
            let counts = (0..axes[0].windows * axes[1].windows).map(|_| 1 + numbers.below(6) as u32);
            let counts = counts.collect();
            let kind = if numbers.below(3) == 0 { Pooling::Average(counts) } else { Pooling::Max };
            images.push(ImageLayer::Pool(Pool { channels, axes, kind, activation }));
        } else {
            let groups = numbers.one_of(&[1, 1, channels]);
            let outputs = groups * (1 + numbers.below(if groups == 1 { 18 } else { 3 }));
            let reads = channels / groups * axes[0].kernel * axes[1].kernel;
            let weight = numbers.floats(outputs * reads, 1.5 / (reads as f32).sqrt());
            let bias = numbers.floats(outputs, 0.5);
            let conv = Conv { channels, axes, groups, outputs, weight, bias, activation };
            images.push(ImageLayer::Conv(conv));
            channels = outputs;
        }
        size = axes.map(|axis| axis.windows);
    }
    let mut inputs = channels * size[0] * size[1];
    let layers = (0..1 + numbers.below(2)).map(|_| {
        let outputs = 1 + numbers.below(9);
        let weight = numbers.floats(inputs * outputs, 1.5 / (inputs as f32).sqrt());
        let bias = numbers.floats(outputs, 0.5);
        let layer = Layer { inputs, outputs, weight, bias, activation: numbers.one_of(activations) };
        inputs = outputs;
        layer
    });
    let layers = layers.collect();
    Network { images, layers }
}

/// Arithmetic in a given precision.
trait Real: Copy + From<f32> + PartialOrd {
    fn mul_add(self, by: Self, more: Self) -> Self;
    fn plus(self, other: Self) -> Self;
    /// 1 over `count`, rounded in `f32` only.
    fn share(self, count: u32) -> Self;
    /// The larger of two. In `f32`, of two zeros the negative one, and NaN if either is NaN.
    fn larger(self, other: Self) -> Self;
    fn activated(self, activation: Activation) -> Self;
}

impl Real for f32 {
    fn mul_add(self, by: Self, more: Self) -> Self {
        self.mul_add(by, more)
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn share(self, count: u32) -> Self {
        self * (1.0 / count as Self)
    }

    fn larger(self, other: Self) -> Self {
        match self.partial_cmp(&other) {
            None => Self::NAN,
            Some(std::cmp::Ordering::Less) => other,
            Some(std::cmp::Ordering::Greater) => self,
            Some(std::cmp::Ordering::Equal) => Self::from_bits(self.to_bits() | other.to_bits()),
        }
    }

    fn activated(self, activation: Activation) -> Self {
        match activation {
            Activation::Relu if self < 0.0 => 0.0,
            Activation::LeakyRelu(alpha) if self < 0.0 => alpha * self,
            Activation::None | Activation::Relu | Activation::LeakyRelu(_) => self,
            _ => unreachable!("not exact"),
        }
    }
}

impl Real for f64 {
    fn mul_add(self, by: Self, more: Self) -> Self {
        self.mul_add(by, more)
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn share(self, count: u32) -> Self {
        self / Self::from(count)
    }

    fn larger(self, other: Self) -> Self {
        self.max(other)
    }

    fn activated(self, activation: Activation) -> Self {
        match activation {
            Activation::None => self,
            Activation::Relu => self.max(0.0),
            Activation::LeakyRelu(alpha) => {
                if self < 0.0 {
                    Self::from(alpha) * self
                } else {
                    self
                }
            }
            Activation::Tanh => self.tanh(),
            Activation::Sigmoid => 1.0 / (1.0 + (-self).exp()),
            Activation::Softmax => unreachable!("of a whole layer"),
        }
    }
}

const READS: &str = "a window of a pooling reads something";

/// One layer on an image `[channel][row][place]`. The sums add in the documented order: by channel, row, place for the inputs of a network, and
/// by row, place, channel for what layers give each other.
fn forward<T: Real>(layer: &ImageLayer, is_first: bool, x: &[T]) -> Vec<T> {
    let (axes, channels, outputs, groups) = match layer {
        ImageLayer::Conv(conv) => (&conv.axes, conv.channels, conv.outputs, conv.groups),
        ImageLayer::Pool(pool) => (&pool.axes, pool.channels, pool.channels, pool.channels),
    };
    let [height, width] = axes;
    let per_group = channels / groups;
    let mut y = Vec::new();
    for output in 0..outputs {
        let first_channel = output / (outputs / groups) * per_group;
        for window in 0..height.windows * width.windows {
            let mut taps = Vec::new();
            for channel in 0..per_group {
                for (ky, at_y) in reads(height, window / width.windows) {
                    for (kx, at_x) in reads(width, window % width.windows) {
                        let weight = (channel * height.kernel + ky) * width.kernel + kx;
                        let number = x[((first_channel + channel) * height.size + at_y) * width.size + at_x];
                        taps.push(((ky, kx, channel), weight, number));
                    }
                }
            }
            if !is_first {
                taps.sort_by_key(|tap| tap.0);
            }
            let numbers = taps.iter().map(|tap| tap.2);
            y.push(match layer {
                ImageLayer::Conv(conv) => {
                    let weights = &conv.weight[output * per_group * height.kernel * width.kernel..];
                    let add = |sum, &(_, weight, number): &(_, usize, T)| {
                        T::from(weights[weight]).mul_add(number, sum)
                    };
                    taps.iter().fold(T::from(conv.bias[output]), add).activated(conv.activation)
                }
                ImageLayer::Pool(pool) => match &pool.kind {
                    Pooling::Max => numbers.reduce(T::larger).expect(READS).activated(pool.activation),
                    Pooling::Average(counts) => {
                        numbers.reduce(T::plus).expect(READS).share(counts[window]).activated(pool.activation)
                    }
                },
            });
        }
    }
    y
}

/// The scores of one event.
fn scores<T: Real>(network: &Network, row: &[f32]) -> Vec<T> {
    let mut x: Vec<T> = row.iter().map(|&x| x.into()).collect();
    let mut channels = 1;
    for (index, layer) in network.images.iter().enumerate() {
        x = forward(layer, index == 0, &x);
        channels = if let ImageLayer::Conv(conv) = layer { conv.outputs } else { channels };
        channels = if let ImageLayer::Pool(pool) = layer { pool.channels } else { channels };
    }
    for (index, layer) in network.layers.iter().enumerate() {
        let places = x.len() / channels;
        // The first dense layer adds by place, then channel.
        let order: Vec<usize> = if index == 0 && !network.images.is_empty() {
            (0..x.len()).map(|at| at % channels * places + at / channels).collect()
        } else {
            (0..x.len()).collect()
        };
        let neuron = |(weight, &bias): (&[f32], &f32)| {
            let sum = order.iter().fold(T::from(bias), |sum, &at| T::from(weight[at]).mul_add(x[at], sum));
            sum.activated(layer.activation)
        };
        x = layer.weight.chunks(layer.inputs).zip(&layer.bias).map(neuron).collect();
    }
    x
}

fn run(chain: &Chain, rows: &[f32]) -> Vec<f32> {
    let mut scores = vec![f32::NAN; rows.len() / chain.inputs() * chain.outputs()];
    chain.run(&mut chain.tile(), rows, &mut scores);
    scores
}

const EXACT: [Activation; 4] =
    [Activation::None, Activation::Relu, Activation::LeakyRelu(0.25), Activation::LeakyRelu(-0.5)];
const ALL: [Activation; 5] =
    [Activation::None, Activation::Relu, Activation::LeakyRelu(0.1), Activation::Tanh, Activation::Sigmoid];

proptest! {
    #[test]
    fn the_bits_are_those_of_the_documented_order(
        seed in any::<u64>(),
        events in 1usize..40,
        special in prop_oneof![
            Just(0.0),
            prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::MAX, -3e38, 1e-45]),
        ],
    ) {
        let network = network(seed, &EXACT);
        let width = network.chain(Isa::Portable).inputs();
        let mut numbers = Numbers::new(!seed);
        let mut rows = numbers.floats(events * width, 3.0);
        for _ in 0..if special == 0.0 { 0 } else { 3 } {
            let at = numbers.below(rows.len());
            rows[at] = special;
        }
        let settled = |score: f32| if score.is_nan() { f32::NAN } else { score };
        let want: Vec<f32> = rows.chunks(width).flat_map(|row| scores(&network, row)).map(settled).collect();
        for isa in available() {
            prop_assert_eq!(bits(&run(&network.chain(isa), &rows)), bits(&want), "{:?} {:?}", isa, network);
        }
    }

    #[test]
    fn scores_are_near_an_oracle_in_double_precision(seed in any::<u64>()) {
        let network = network(seed, &ALL);
        let chain = network.chain(Isa::best());
        let rows = Numbers::new(!seed).floats(3 * chain.inputs(), 2.0);
        let found = run(&chain, &rows);
        for (row, found) in rows.chunks(chain.inputs()).zip(found.chunks(chain.outputs())) {
            for (found, want) in found.iter().zip(scores::<f64>(&network, row)) {
                let error = (f64::from(*found) - want).abs() / want.abs().max(1.0);
                prop_assert!(error <= 3e-5, "{} is not {}: {:?}", found, want, network);
            }
        }
    }

    #[test]
    fn scores_depend_neither_on_the_instruction_set_nor_on_batch_and_place(
        seed in any::<u64>(),
        events in 1usize..80,
    ) {
        let network = network(seed, &ALL);
        let whole = network.chain(Isa::Portable);
        let width = whole.inputs();
        let rows = Numbers::new(!seed).floats(events * width, 2.0);
        let whole = run(&whole, &rows);
        for isa in available() {
            let chain = network.chain(isa);
            prop_assert_eq!(bits(&run(&chain, &rows)), bits(&whole), "{:?}", isa);
            let alone: Vec<f32> = rows.chunks(width).flat_map(|row| run(&chain, row)).collect();
            prop_assert_eq!(bits(&alone), bits(&whole), "{:?}", isa);
            let before = Numbers::new(seed ^ 1).floats((seed % 40) as usize * width, 1e30);
            let shifted = run(&chain, &[before.as_slice(), &rows].concat());
            prop_assert_eq!(bits(&shifted[shifted.len() - whole.len()..]), bits(&whole), "{:?}", isa);
        }
    }
}

fn conv(axes: [ImageAxis; 2], [channels, outputs]: [usize; 2], activation: Activation) -> ImageLayer {
    let reads = channels * axes[0].kernel * axes[1].kernel;
    let mut numbers = Numbers::new(reads as u64);
    let weight = numbers.floats(outputs * reads, 0.5);
    let bias = numbers.floats(outputs, 0.5);
    ImageLayer::Conv(Conv { channels, axes, groups: 1, outputs, weight, bias, activation })
}

fn halved(size: [usize; 2], channels: usize, kind: Pooling) -> ImageLayer {
    let axes =
        size.map(|size| ImageAxis { size, kernel: 2, stride: 2, windows: size / 2, ..ImageAxis::FLAT });
    ImageLayer::Pool(Pool { channels, axes, kind, activation: Activation::None })
}

fn kept(size: usize) -> ImageAxis {
    ImageAxis { size, kernel: 3, before: 1, windows: size, ..ImageAxis::FLAT }
}

fn dense(inputs: usize, outputs: usize) -> Layer {
    let mut numbers = Numbers::new(5);
    let weight = numbers.floats(inputs * outputs, 0.5);
    Layer { inputs, outputs, weight, bias: vec![0.1; outputs], activation: Activation::Softmax }
}

/// Two convolutions and a pooling of each kind on a 6-by-4 image.
fn small(activation: Activation) -> Network {
    let images = vec![
        conv([kept(6), kept(4)], [1, 3], activation),
        halved([6, 4], 3, Pooling::Max),
        conv([kept(3), kept(2)], [3, 5], activation),
        halved([3, 2], 5, Pooling::Average(vec![4])),
    ];
    // The last of three rows is in no window of two.
    Network { images, layers: vec![dense(5, 2)] }
}

#[test]
fn a_nan_that_is_read_never_becomes_a_number() {
    for isa in available() {
        for activation in ALL {
            let chain = small(activation).chain(isa);
            let clean = Numbers::new(3).floats(EVENTS * 24, 2.0);
            let before = run(&chain, &clean);
            for at in 0..24 {
                let event = at * 5 % EVENTS;
                let nan = if at % 2 == 0 { f32::NAN } else { -f32::NAN };
                let mut rows = clean.clone();
                rows[event * 24 + at] = nan;
                for (i, (clean, got)) in before.iter().zip(run(&chain, &rows)).enumerate() {
                    let want = if i / 2 == event { f32::NAN } else { *clean };
                    assert_eq!(
                        got.to_bits(),
                        want.to_bits(),
                        "{isa:?} {activation:?}, number {at}, score {i}"
                    );
                }
            }
        }
    }
}

#[test]
fn only_what_is_read_is_computed() {
    let chain = small(Activation::Relu).chain(Isa::best());
    // The windows of a 6-by-4 image without what lies beyond its edges, all those of a 3-by-2 image, and a dense layer of 5 by 2.
    let first = (6 * 3 - 2) * (4 * 3 - 2) * 3;
    let second = (3 * 3 - 2) * (2 * 3 - 2) * 3 * 5;
    assert_eq!(chain.multiply_adds(), first + second + 10);
    // Where a maximum follows, the last of three rows is not needed.
    let mut network = small(Activation::Relu);
    network.images[3] = halved([3, 2], 5, Pooling::Max);
    assert_eq!(network.chain(Isa::best()).multiply_adds(), first + (2 * 3 - 1) * (2 * 3 - 2) * 3 * 5 + 10);
    // Where windows share numbers, the sums are stored once.
    let ImageLayer::Pool(pool) = &mut network.images[3] else { unreachable!("it was put there") };
    (pool.axes[0].stride, pool.axes[0].windows) = (1, 2);
    network.layers = vec![dense(10, 2)];
    assert_eq!(network.chain(Isa::best()).multiply_adds(), first + second + 20);
}

#[test]
fn what_does_not_fit_is_refused() {
    let good = small(Activation::Relu);
    let refused = |layer: usize, change: &dyn Fn(&mut Conv, &mut Pool)| {
        let mut network = good.clone();
        let [ImageLayer::Conv(conv), ImageLayer::Pool(pool), ..] = &mut network.images[layer / 2 * 2..]
        else {
            unreachable!("a convolution and a pooling")
        };
        change(conv, pool);
        match Chain::on_images(&network.images, &network.layers, Readout::Outputs, Isa::best()).unwrap_err() {
            ChainError::Image { layer: at, fault } if at == layer => fault,
            other => panic!("{other}"),
        }
    };
    assert_eq!(refused(0, &|conv, _| conv.axes[0].stride = 0), LayerFault::ImageAxis);
    assert_eq!(refused(0, &|conv, _| conv.channels = 0), LayerFault::ImageAxis);
    assert_eq!(refused(0, &|conv, _| conv.axes[1].before = 1 << 16), LayerFault::ImageAxis);
    assert_eq!(refused(0, &|conv, _| conv.axes[0].size = 1 << 16), LayerFault::Image(1 << 18));
    assert_eq!(refused(0, &|conv, _| conv.axes[0].windows = 1 << 16), LayerFault::Image(3 << 18));
    assert_eq!(refused(0, &|conv, _| conv.activation = Activation::Softmax), LayerFault::Softmax);
    assert_eq!(
        refused(0, &|conv, _| conv.groups = 2),
        LayerFault::Groups { channels: 1, outputs: 3, groups: 2 }
    );
    assert_eq!(
        refused(0, &|conv, _| conv.groups = 0),
        LayerFault::Groups { channels: 1, outputs: 3, groups: 0 }
    );
    assert_eq!(refused(0, &|conv, _| conv.axes[0].kernel = 4096), LayerFault::Width(3 * 4096));
    assert_eq!(
        refused(0, &|conv, _| conv.weight.truncate(26)),
        LayerFault::Weights { found: 26, wanted: 27 }
    );
    assert_eq!(refused(0, &|conv, _| conv.bias.push(0.0)), LayerFault::Biases { found: 4, wanted: 3 });
    assert_eq!(refused(2, &|conv, _| conv.weight[7] = f32::NAN), LayerFault::NotFinite);
    assert_eq!(
        refused(1, &|_, pool| pool.activation = Activation::LeakyRelu(f32::NAN)),
        LayerFault::NotFinite
    );
    let wide = ImageAxis { size: 1, kernel: 2048, before: 2047, windows: 2048, ..ImageAxis::FLAT };
    let line = ImageLayer::Pool(Pool {
        channels: 1,
        axes: [ImageAxis::FLAT, ImageAxis { windows: 2049, ..wide }],
        kind: Pooling::Max,
        activation: Activation::None,
    });
    let alone = |images: &[ImageLayer]| {
        Chain::on_images(images, &[dense(10, 2)], Readout::Outputs, Isa::best()).unwrap_err()
    };
    assert_eq!(alone(&[line]), ChainError::Image { layer: 0, fault: LayerFault::Reads(2048 * 2049) });
    assert_eq!(
        refused(1, &|_, pool| pool.channels = 2),
        LayerFault::Shape { before: [3, 24], image: [2, 24] }
    );
    assert_eq!(refused(1, &|_, pool| pool.axes[0].windows = 4), LayerFault::EmptyWindow);
    assert_eq!(refused(3, &|_, pool| pool.kind = Pooling::Average(vec![])), LayerFault::Counts { wanted: 1 });
    assert_eq!(
        refused(3, &|_, pool| pool.kind = Pooling::Average(vec![0])),
        LayerFault::Counts { wanted: 1 }
    );
    let wrong = ChainError::Layer { layer: 0, fault: LayerFault::Inputs { before: 5, inputs: 10 } };
    assert_eq!(alone(&good.images), wrong);
    let none = Chain::on_images(&good.images, &[], Readout::Outputs, Isa::best());
    assert_eq!(none.unwrap_err(), ChainError::Layers(0));
    let error = Chain::on_images(&good.images, &good.layers, Readout::ReconstructionError, Isa::best());
    assert_eq!(error.unwrap_err(), ChainError::Reconstruction { inputs: 24, outputs: 2 });
}
