//! A bundle bound to a schema and an engine: the [`Classifier`] of the pipeline.
//!
//! ```text
//!   event bytes --features--> tile (fixed number of rows) --network--> numbers --those with a name--> score columns
//!          |------ devices: 16-bit integers, if that is what the inputs are --------^
//!          `-------- fused kernels: lanes of 32 events, without rows (`lanes.rs`) --------------------------^
//! ```
//!
//! Invariants:
//!
//! * I1: the network only ever sees tiles of the engine's sizes, padded with rows of zeros.
//! * I2: the bits of a score do not depend on the row, on the other rows, or on which of the sizes in use the tile has (`checks.rs`).
//! * I3: the golden vectors of the bundle are reproduced within its tolerance.
//! * I4: an event with a non-finite input has no score (NaN), on every engine, except in models that accept missing values.
//!
//! Threads: clone a model for every worker; the clones share the weights, without locks.
//!
//! Cost: on burn, allocations per tile, inside the engine; on the fused kernels none.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tamis_event::{Block, Schema};
use tamis_graph::{Graph, Unpack};
use tamis_port::{Classifier, ClassifierError};

use crate::checks::GoldenCheck;
use crate::engine::Engine;
use crate::error::BindError;
use crate::features::{Features, LaneFeatures};
use crate::fused::{Fused, Room};
use crate::lanes::LaneScorer;
use crate::manifest::{Manifest, NO_SCORE};
use crate::network::{Done, Network, PendingTile};
use crate::weights::Golden;

/// A model that scores the events of one schema.
#[derive(Debug)]
pub struct Model {
    bound: Arc<Bound>,
    golden: GoldenCheck,
    why_not_fused: Option<Arc<str>>,
    /// Returned tiles, kept to reuse their memory.
    spare: Vec<Vec<f32>>,
    /// Tiles in flight, oldest first.
    started: VecDeque<Started>,
    /// The scratch memory of a fused kernel, which needs no tiles.
    room: Option<Room>,
}

/// A tile in flight.
#[derive(Debug)]
struct Started {
    pending: PendingTile,
    /// Number of rows that are events.
    rows: usize,
    /// Number of rows including padding.
    size: usize,
    /// Index of the first event in the range that is scored.
    at: usize,
    /// Rows that must not have a score.
    unusable: Vec<usize>,
}

/// The part of a model that its clones share.
#[derive(Debug)]
pub(crate) struct Bound {
    pub name: String,
    /// Names of the scores.
    pub outputs: Vec<String>,
    /// Indices of the network's numbers that are scores, in order.
    pub picks: Vec<usize>,
    pub engine: Engine,
    pub features: Features,
    pub network: Network,
    /// The tile sizes in use, descending.
    pub tiles: &'static [usize],
    /// How to fill the lanes of a fused kernel, if that is the engine.
    pub lanes: Option<LaneFeatures>,
    /// The conversion of packed integers on the device, if the inputs are transferred that way.
    pub unpack: Option<Unpack>,
    /// Must non-finite inputs be searched for?
    pub looks_for_missing: bool,
}

impl Clone for Model {
    fn clone(&self) -> Self {
        Self { why_not_fused: self.why_not_fused.clone(), ..Self::new(self.bound.clone(), self.golden) }
    }
}

impl Model {
    fn new(bound: Arc<Bound>, golden: GoldenCheck) -> Self {
        let room = bound.network.fused().map(Fused::room);
        let (spare, started) = (Vec::new(), VecDeque::new());
        Self { bound, golden, why_not_fused: None, spare, started, room }
    }

    pub(crate) fn bind(
        manifest: &Manifest,
        outputs: &[String],
        graph: &Arc<Graph>,
        golden: &Golden,
        schema: &Schema,
        engine: Engine,
    ) -> Result<Self, BindError> {
        let name = manifest.name.clone();
        let features = Features::new(manifest, schema, graph.input_numbers())?;
        if golden.inputs.len() != golden.rows * features.elements() {
            let elements = features.elements();
            let width = golden.inputs.len() / golden.rows;
            return Err(BindError::GoldenWidth { model: name, elements, width });
        }
        let fail = |engine: Engine| {
            let model = manifest.name.clone();
            let engine = engine.to_string();
            |message| BindError::Engine { model, engine, message }
        };
        let network = Network::new(graph, engine, manifest, &features).map_err(fail(engine))?;
        // The reference is not compared with itself.
        let reference = (engine != Engine::Flex).then(|| Network::reference(graph));
        let reference = reference.transpose().map_err(fail(Engine::Flex))?;
        let picked = manifest.outputs.iter().enumerate().filter(|(_, output)| *output != NO_SCORE);
        let bound = Bound {
            name,
            outputs: outputs.to_vec(),
            picks: picked.map(|(index, _)| index).collect(),
            engine,
            looks_for_missing: features.may_be_missing() && !graph.takes_missing_values(),
            lanes: network.fused().map(|fused| LaneFeatures::new(&features, fused)),
            unpack: features.packed().and_then(|columns| network.unpack(engine, &columns)),
            features,
            network,
            tiles: engine.tiles(graph),
        };
        bound.check_gather(golden)?;
        let tolerance = manifest.tolerance(engine);
        let mut check = bound.check_golden(golden, tolerance)?;
        if let Some(reference) = reference {
            check.noise = bound.check_reference(&reference, graph, manifest.tolerance_of_noise(engine))?;
        }
        bound.check_places(golden, graph)?;
        Ok(Self::new(Arc::new(bound), check))
    }

    /// The engine that runs the model.
    pub fn engine(&self) -> Engine {
        self.bound.engine
    }

    pub(crate) fn instead_of_fused(self, why: String) -> Self {
        Self { why_not_fused: Some(why.into()), ..self }
    }

    /// Why the model runs on the reference and not on the fused kernels, if [`Engine::Auto`] tried those first.
    pub fn why_not_fused(&self) -> Option<&str> {
        self.why_not_fused.as_deref()
    }

    /// The result of checking its golden vectors on that engine.
    pub fn golden(&self) -> GoldenCheck {
        self.golden
    }

    /// Fills a tile with the rows of `range` and hands it to the engine.
    fn start(&mut self, block: &Block, range: Range<usize>, size: usize, at: usize) {
        let rows = range.len();
        let mut unusable = Vec::new();
        let pending = match &self.bound.unpack {
            Some(unpack) => {
                let integers = self.bound.packed_tile(block, range, size);
                self.bound.network.start_packed(unpack, integers, size)
            }
            None => {
                let tile = self.tile(block, range, size);
                if self.bound.looks_for_missing {
                    let row_is_bad = |row: &[f32]| !row.iter().all(|x| x.is_finite());
                    let tiles = tile.chunks_exact(self.bound.features.width()).take(rows).enumerate();
                    unusable.extend(tiles.filter(|(_, row)| row_is_bad(row)).map(|(row, _)| row));
                }
                self.bound.network.start(tile, size)
            }
        };
        self.started.push_back(Started { pending, rows, size, at, unusable });
    }

    /// Rows of floats, padded with zeros.
    fn tile(&mut self, block: &Block, range: Range<usize>, size: usize) -> Vec<f32> {
        let bound = &self.bound;
        let width = self.bound.features.width();
        let mut tile = self.spare.pop().unwrap_or_default();
        tile.resize(size * width, 0.0);
        block.for_each_run(range.clone(), |index, records| {
            bound.features.fill(records, &mut tile[(index - range.start) * width..]);
        });
        tile[range.len() * width..].fill(0.0);
        tile
    }

    /// Waits for the oldest tile and writes its scores.
    fn finish(&mut self, scores: &mut [&mut [f32]]) -> Result<(), ClassifierError> {
        let Some(Started { pending, rows, size, at, unusable }) = self.started.pop_front() else {
            return Ok(());
        };
        let bound = &self.bound;
        let Done { numbers, inputs } = pending.wait(size).map_err(|message| ClassifierError::Events {
            message: format!("model '{}': {message}", bound.name),
        })?;
        let width = numbers.len() / size;
        for (column, &pick) in scores.iter_mut().zip(&bound.picks) {
            let of_rows = numbers.iter().skip(pick).step_by(width);
            column[at..at + rows].iter_mut().zip(of_rows).for_each(|(score, &number)| *score = number);
            unusable.iter().for_each(|row| column[at + row] = f32::NAN);
        }
        self.spare.extend(inputs);
        Ok(())
    }

    fn score_range(
        &mut self,
        block: &Block,
        range: Range<usize>,
        scores: &mut [&mut [f32]],
    ) -> Result<(), ClassifierError> {
        let Self { bound, room, .. } = self;
        if let (Some(fused), Some(features), Some(room)) = (bound.network.fused(), &bound.lanes, room) {
            LaneScorer { bound, fused, features, room }.score(block, range, scores);
            return Ok(());
        }
        let mut start = range.start;
        while start < range.end {
            let size = self.bound.tile_for(range.end - start);
            let end = range.end.min(start + size);
            self.start(block, start..end, size, start - range.start);
            start = end;
            if self.started.len() == self.bound.engine.in_flight() {
                self.finish(scores)?;
            }
        }
        while !self.started.is_empty() {
            self.finish(scores)?;
        }
        Ok(())
    }
}

impl Classifier for Model {
    fn outputs(&self) -> &[String] {
        &self.bound.outputs
    }

    fn tile(&self) -> usize {
        self.bound.tiles[0]
    }

    fn score(
        &mut self,
        block: &Block,
        range: Range<usize>,
        scores: &mut [&mut [f32]],
    ) -> Result<(), ClassifierError> {
        // Tiles that a failed earlier call left behind.
        self.started.clear();
        let found = block.stride();
        let wanted = self.bound.features.stride();
        if found != wanted {
            let name = &self.bound.name;
            let message = format!("model '{name}' was bound to events of {wanted} bytes, these have {found}");
            return Err(ClassifierError::Events { message });
        }
        if self.bound.engine.is_cpu() {
            return self.score_range(block, range, scores);
        }
        // A driver reports a lost device as an error or a panic, and some events may cause the same: one more tile tells these cases apart.
        let result = catch_unwind(AssertUnwindSafe(|| self.score_range(block, range, scores)));
        let message = match result {
            Ok(Err(ClassifierError::Events { message })) => message,
            Ok(done) => return done,
            Err(_) => format!("model '{}': engine {} panicked", self.bound.name, self.bound.engine),
        };
        self.started.clear();
        let answers =
            || self.bound.run(vec![0.0; self.bound.tiles[0] * self.bound.features.width()], 1, |_, _, _| ());
        match catch_unwind(AssertUnwindSafe(answers)) {
            Ok(Ok(())) => Err(ClassifierError::Events { message }),
            _ => Err(ClassifierError::Device { message }),
        }
    }
}

impl Bound {
    /// The smallest tile that holds this many events, or the largest.
    fn tile_for(&self, events: usize) -> usize {
        let fitting = self.tiles.iter().rev().find(|&&size| events <= size);
        fitting.copied().unwrap_or(self.tiles[0])
    }

    /// Rows of packed integers, padded with zeros.
    fn packed_tile(&self, block: &Block, range: Range<usize>, size: usize) -> Vec<i16> {
        let numbers = size * self.features.packed_stride();
        let mut integers = Vec::with_capacity(numbers);
        block.for_each_run(range, |_, records| self.features.pack(records, &mut integers));
        integers.resize(numbers, 0);
        integers
    }

    /// Scores the first `rows` rows of a tile and calls `each(row, output, score)`.
    pub fn run(
        &self,
        tile: Vec<f32>,
        rows: usize,
        mut each: impl FnMut(usize, usize, f32),
    ) -> Result<(), String> {
        let size = tile.len() / self.features.width();
        let numbers = self.network.start(tile, size).wait(size)?.numbers;
        for (row, numbers) in numbers.chunks_exact(numbers.len() / size).take(rows).enumerate() {
            self.picks.iter().enumerate().for_each(|(output, &pick)| each(row, output, numbers[pick]));
        }
        Ok(())
    }
}
