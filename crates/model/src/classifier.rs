//! A bundle bound to a schema and an engine: the [`Classifier`] of the pipeline.
//!
//! ```text
//!   event bytes --features--> tile (512 or 64 rows) --network--> last layer --architecture--> score columns
//! ```
//!
//! Invariants:
//!
//! * I1: the network only ever sees tiles of the sizes in [`TILES`], filled up with rows of zeros.
//! * I2: the bits of a score do not depend on the row, on the other rows, or on which of the sizes in use the tile has (`checks.rs`).
//! * I3: the golden vectors of the bundle come out within its tolerance.
//!
//! Threads: clone a model for every worker; the clones share the weights. No lock on the way.
//!
//! Cost: allocations per tile, inside the engine; none per event.

use std::ops::Range;
use std::sync::Arc;

use tamis_event::{Block, Schema};
use tamis_port::{Classifier, ClassifierError};

use crate::architecture::{Architecture, Rows};
use crate::checks::sizes_that_agree;
use crate::engine::Engine;
use crate::error::BindError;
use crate::features::Features;
use crate::manifest::Manifest;
use crate::network::Network;
use crate::weights::{Golden, Layer};

/// Rows of a tile: the size for the bulk of a batch, where the cost per event is near its minimum, and one for short ranges.
pub(crate) const TILES: [usize; 2] = [512, 64];

/// A model that scores the events of one schema.
#[derive(Clone, Debug)]
pub struct Model {
    bound: Arc<Bound>,
    /// Rows of the current tile; kept to reuse its memory.
    tile: Vec<f32>,
}

/// What the clones share.
#[derive(Debug)]
pub(crate) struct Bound {
    pub name: String,
    pub outputs: Vec<String>,
    pub architecture: Architecture,
    pub engine: Engine,
    pub features: Features,
    pub network: Network,
    /// The tile sizes in use, falling: all or the first of [`TILES`].
    pub tiles: &'static [usize],
}

impl Model {
    pub(crate) fn bind(
        manifest: &Manifest,
        layers: &[Layer],
        golden: &Golden,
        schema: &Schema,
        engine: Engine,
    ) -> Result<Self, BindError> {
        let bound = Bound {
            name: manifest.name.clone(),
            outputs: manifest.outputs.clone(),
            architecture: manifest.architecture,
            engine,
            features: Features::new(manifest, schema)?,
            network: Network::new(manifest, layers, engine),
            tiles: sizes_that_agree(&manifest.layers),
        };
        bound.check_gather(golden)?;
        bound.check_golden(golden, manifest.golden.tolerance)?;
        bound.check_places(golden, manifest.multiply_adds())?;
        Ok(Self { bound: Arc::new(bound), tile: Vec::new() })
    }

    /// The engine that runs it.
    pub fn engine(&self) -> Engine {
        self.bound.engine
    }
}

impl Classifier for Model {
    fn outputs(&self) -> &[String] {
        &self.bound.outputs
    }

    fn score(
        &mut self,
        block: &Block,
        range: Range<usize>,
        scores: &mut [&mut [f32]],
    ) -> Result<(), ClassifierError> {
        let (bound, width) = (&self.bound, self.bound.features.width());
        if block.stride() != bound.features.stride() {
            let (found, wanted) = (block.stride(), bound.features.stride());
            let message =
                format!("model '{}' was bound to events of {wanted} bytes, these have {found}", bound.name);
            return Err(ClassifierError { message });
        }
        let mut start = range.start;
        while start < range.end {
            let size = bound.tile_for(range.end - start);
            let rows = size.min(range.end - start);
            self.tile.resize(size * width, 0.0);
            block.for_each_run(start..start + rows, |index, _, records| {
                bound.features.fill(records, &mut self.tile[(index - start) * width..]);
            });
            self.tile[rows * width..].fill(0.0);
            let done = start - range.start;
            bound
                .run(&mut self.tile, rows, |row, output, score| scores[output][done + row] = score)
                .map_err(|message| ClassifierError {
                    message: format!("model '{}': {message}", bound.name),
                })?;
            start += rows;
        }
        Ok(())
    }
}

impl Bound {
    /// The smallest tile that holds this many events, or the largest there is.
    fn tile_for(&self, events: usize) -> usize {
        let fitting = self.tiles.iter().rev().find(|&&size| events <= size);
        fitting.copied().unwrap_or(self.tiles[0])
    }

    /// Scores the first `rows` rows of a tile: calls `each(row, output, score)`. The tile is unchanged, or empty after an error.
    pub fn run(
        &self,
        tile: &mut Vec<f32>,
        rows: usize,
        each: impl FnMut(usize, usize, f32),
    ) -> Result<(), String> {
        let width = self.features.width();
        let last = self.network.run(tile)?;
        let last_width = last.len() / (tile.len() / width);
        let inputs = Rows { values: tile, width };
        self.architecture.scores(rows, inputs, Rows { values: &last, width: last_width }, each);
        Ok(())
    }
}
