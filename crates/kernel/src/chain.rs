//! A chain of dense layers, optionally preceded by layers on images, compiled once and run on tiles of 32 events.

use crate::dense::{Activation, Dense};
use crate::error::{ChainError, LayerFault};
use crate::gather::{Column, Gather};
use crate::image::{self, ImageLayer, TileLayer};
use crate::isa::{Isa, Level, Work};
use crate::lanes::{EVENTS, Tile, from_rows, to_rows};
use crate::passes;
use crate::simd::Simd;

/// Most inputs or outputs of a layer.
pub const WIDTH_MAX: usize = 8192;
/// Most layers of a chain.
pub const LAYERS_MAX: usize = 256;

/// A dense layer: `activation(weight x + bias)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Number of inputs.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
    /// `[output][input]`, row-major.
    pub weight: Vec<f32>,
    /// One per output.
    pub bias: Vec<f32>,
    /// The activation applied to the sums.
    pub activation: Activation,
}

/// How scores are made from the last layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readout {
    /// Each output of the last layer is a score.
    Outputs,
    /// One score: the mean squared difference between the inputs of the chain and the outputs of the last layer. For autoencoders.
    ReconstructionError,
}

/// A compiled chain of layers, the first of which may be layers on images. Immutable and shared by threads; each brings its own [`Tile`].
#[derive(Clone, Debug)]
pub struct Chain {
    inputs: usize,
    steps: Vec<TileLayer>,
    readout: Readout,
    level: Level,
}

impl Chain {
    /// Compiles `layers` for the fastest instruction set of this CPU.
    ///
    /// # Errors
    /// If a layer does not fit the one before, is larger than a limit, or holds a number that is not finite.
    pub fn new(layers: &[Layer], readout: Readout) -> Result<Self, ChainError> {
        Self::with_isa(layers, readout, Isa::best())
    }

    /// Compiles `layers` for `isa`. The scores are bit-identical for every `isa`.
    ///
    /// # Errors
    /// As [`Chain::new`], and if this CPU lacks `isa`.
    pub fn with_isa(layers: &[Layer], readout: Readout, isa: Isa) -> Result<Self, ChainError> {
        Self::on_images(&[], layers, readout, isa)
    }

    /// Compiles layers on images and the dense layers after them, the first of which takes all numbers of the last image: channel by channel, each
    /// row by row. The inputs of the chain have that order too.
    ///
    /// # Errors
    /// As [`Chain::with_isa`].
    pub fn on_images(
        images: &[ImageLayer],
        layers: &[Layer],
        readout: Readout,
        isa: Isa,
    ) -> Result<Self, ChainError> {
        let level = Level::new(isa).ok_or(ChainError::Lacks(isa))?;
        check(images, layers, readout)?;
        let image = images.last().map(ImageLayer::image);
        let mut steps = image::compile(images, level);
        for (index, layer) in layers.iter().enumerate() {
            let &Layer { inputs, ref weight, ref bias, activation, .. } = layer;
            let turned = image.filter(|_| index == 0).map(|image| image::by_place(weight, image));
            let weight = turned.as_ref().unwrap_or(weight);
            steps.push(TileLayer::Dense(Dense::pack(inputs, weight, bias, activation, level)));
        }
        Ok(Self { inputs: inputs(images, layers), steps, readout, level })
    }

    /// Inputs per event.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Scores per event.
    pub fn outputs(&self) -> usize {
        match self.readout {
            Readout::Outputs => self.steps[self.steps.len() - 1].outputs(),
            Readout::ReconstructionError => 1,
        }
    }

    /// Multiply-adds per event in the layers. For a convolution, only those that are done: none beyond the edges of an image, and none for places
    /// that no window of a joined pooling reads.
    pub fn multiply_adds(&self) -> usize {
        self.steps.iter().map(TileLayer::multiply_adds).sum()
    }

    /// The instruction set that the chain was compiled for.
    pub fn isa(&self) -> Isa {
        self.level.isa()
    }

    /// The memory that one thread needs to run the chain.
    pub fn tile(&self) -> Tile {
        // Layers write to two buffers in turn; the last one writes the scores, unless scores are computed from its outputs.
        let count = match self.readout {
            Readout::Outputs => self.steps.len() - 1,
            Readout::ReconstructionError => self.steps.len(),
        };
        let mut between = [0; 2];
        for (i, step) in self.steps[..count].iter().enumerate() {
            between[i % 2] = between[i % 2].max(step.outputs());
        }
        Tile::new(self.inputs(), 0, between, self.outputs())
    }

    /// Plans how to gather the inputs from records of `record_len` bytes. The caller fills in inputs that no column names.
    ///
    /// # Panics
    /// If a column does not lie within the record.
    pub fn gather(&self, record_len: usize, columns: &[Column]) -> Gather {
        Gather::new(self.level, record_len, self.inputs(), columns)
    }

    /// Scores any number of events: `rows` are `[event][input]`, `scores` are `[event][score]`.
    ///
    /// # Panics
    /// If the lengths do not fit, or `tile` was made by another kernel.
    pub fn run(&self, tile: &mut Tile, rows: &[f32], scores: &mut [f32]) {
        tile.assert_fits(self.inputs(), self.outputs(), rows, scores);
        let (inputs, outputs) = (self.inputs(), self.outputs());
        for (rows, scores) in rows.chunks(EVENTS * inputs).zip(scores.chunks_mut(EVENTS * outputs)) {
            self.level.run(One { chain: self, tile, events: rows.len() / inputs, rows, scores });
        }
    }

    /// Scores the first `events` events of `tile`, whose inputs the caller has written. The scores are in [`Tile::scores`].
    ///
    /// # Panics
    /// If `tile` was made by another kernel.
    pub fn run_tile(&self, tile: &mut Tile, events: usize) {
        tile.assert_shape(self.inputs(), self.outputs());
        let rows = &[][..];
        let scores = &mut [][..];
        self.level.run(One { chain: self, tile, events: events.min(EVENTS), rows, scores });
    }

    #[inline(always)]
    fn tile_of<S: Simd>(&self, simd: S, tile: &mut Tile, events: usize) {
        let Tile { rows: inputs, between: [a, b], scores, .. } = tile;
        let (mut from, mut to) = (&mut **b, &mut **a);
        for (i, step) in self.steps.iter().enumerate() {
            let x = if i == 0 { &**inputs } else { &*from };
            let is_last = i + 1 == self.steps.len();
            let y = if is_last && self.readout == Readout::Outputs { &mut **scores } else { &mut *to };
            step.run(simd, x, y, events);
            (from, to) = (to, from);
        }
        if self.readout == Readout::ReconstructionError {
            passes::mean_squared_error(simd, inputs, &from[..inputs.len()], &mut scores[0], events);
        }
        passes::one_nan(simd, scores, events);
    }
}

/// The work on one tile. Both entry points come here, so the code is compiled once per instruction set.
struct One<'a> {
    chain: &'a Chain,
    tile: &'a mut Tile,
    events: usize,
    /// The inputs; empty if they are in the tile already.
    rows: &'a [f32],
    /// Where the scores go; empty if they stay in the tile.
    scores: &'a mut [f32],
}

impl Work for One<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { chain, tile, events, rows, scores } = self;
        from_rows(simd, rows, tile.inputs_mut());
        chain.tile_of(simd, tile, events);
        to_rows(&tile.scores, scores);
    }
}

/// Checks that the layers form a chain.
pub(crate) fn check(images: &[ImageLayer], layers: &[Layer], readout: Readout) -> Result<(), ChainError> {
    if images.len() > LAYERS_MAX {
        return Err(ChainError::Layers(images.len()));
    }
    if layers.is_empty() || layers.len() > LAYERS_MAX {
        return Err(ChainError::Layers(layers.len()));
    }
    let mut image = None;
    for (index, layer) in images.iter().enumerate() {
        image::check(layer, image).map_err(|fault| ChainError::Image { layer: index, fault })?;
        image = Some(layer.image());
    }
    let mut before = image.map(|image| image.iter().product());
    for (index, layer) in layers.iter().enumerate() {
        check_layer(layer, before, index + 1 == layers.len())
            .map_err(|fault| ChainError::Layer { layer: index, fault })?;
        before = Some(layer.outputs);
    }
    let inputs = inputs(images, layers);
    let outputs = layers[layers.len() - 1].outputs;
    if readout == Readout::ReconstructionError && inputs != outputs {
        return Err(ChainError::Reconstruction { inputs, outputs });
    }
    Ok(())
}

fn inputs(images: &[ImageLayer], layers: &[Layer]) -> usize {
    images.first().map_or(layers[0].inputs, ImageLayer::inputs)
}

fn check_layer(layer: &Layer, before: Option<usize>, is_last: bool) -> Result<(), LayerFault> {
    let &Layer { inputs, outputs, ref weight, ref bias, activation } = layer;
    for width in [inputs, outputs] {
        if width == 0 || width > WIDTH_MAX {
            return Err(LayerFault::Width(width));
        }
    }
    if let Some(before) = before.filter(|&before| before != inputs) {
        return Err(LayerFault::Inputs { before, inputs });
    }
    if weight.len() != inputs * outputs {
        return Err(LayerFault::Weights { found: weight.len(), wanted: inputs * outputs });
    }
    if bias.len() != outputs {
        return Err(LayerFault::Biases { found: bias.len(), wanted: outputs });
    }
    if activation == Activation::Softmax && !is_last {
        return Err(LayerFault::Softmax);
    }
    image::check_finite(weight.iter().chain(bias), activation)
}
