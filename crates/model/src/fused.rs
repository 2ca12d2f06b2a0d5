//! The graphs that the fused kernels can run: a chain of dense layers, perhaps behind layers on images (`fused_chain.rs`), or a forest
//! (`fused_forest.rs`), perhaps with the label of a class (`finish.rs`).
//!
//! ```text
//!   steps of a graph --read--> Chain or Forest of crate `kernel` --compared with burn on 4,096 rows--> Fused
//!                       `----> dense layers --calibrated--> IntChain ----------------------------------^
//! ```
//!
//! Everything else is left to burn: the error of [`Fused::new`] names what the kernels do not support.

use std::sync::Arc;

use tamis_graph::{Graph, KernelOp, Kind};
use tamis_kernel::{Chain, Column, EVENTS, Gather, IntTile, Isa, Lanes, Tile};

use crate::finish::Finish;
use crate::fused_chain::Network;
use crate::fused_forest::FusedForest;
use crate::integers::IntKernel;

/// A graph compiled for the fused kernels.
#[derive(Clone, Debug)]
pub(crate) enum Fused {
    Chain(Arc<FusedChain>),
    Forest(Arc<FusedForest>),
    /// A chain in integers.
    Integers(Arc<IntKernel>),
}

/// A graph that is one chain.
#[derive(Debug)]
pub(crate) struct FusedChain {
    kernel: Chain,
    finish: Finish,
}

impl Fused {
    /// Compiles a graph, or names the first part of it that the kernels do not support.
    pub fn new(graph: &Graph) -> Result<Self, String> {
        if graph.steps().any(|step| matches!(step.kernel, Some(KernelOp::TreeEnsemble))) {
            return Self::Forest(Arc::new(FusedForest::new(graph)?)).check_outputs(graph);
        }
        let Network { images, layers, readout, finish } = Network::read(graph)?;
        let kernel =
            Chain::on_images(&images, &layers, readout, Isa::best()).map_err(|error| error.to_string())?;
        Self::Chain(Arc::new(FusedChain { kernel, finish })).check_outputs(graph)
    }

    /// Refuses a kernel whose outputs differ from those of the graph.
    pub fn check_outputs(self, graph: &Graph) -> Result<Self, String> {
        let given = self.outputs();
        let wanted = graph.outputs().iter().map(|output| (output.kind.kind, output.kind.numbers()));
        if wanted.clone().eq(given.iter().copied()) {
            return Ok(self);
        }
        let wanted: Vec<_> = wanted.collect();
        Err(format!("the fused kernel would give {given:?} for the outputs, the network gives {wanted:?}"))
    }

    /// Kind and count of the numbers per event that come out for each output of the graph.
    fn outputs(&self) -> Vec<(Kind, usize)> {
        match self {
            Self::Chain(chain) => chain.finish.outputs(),
            Self::Forest(forest) => forest.finish.outputs(),
            Self::Integers(kernel) => vec![(Kind::Float, kernel.chain().outputs())],
        }
    }

    /// Numbers per event that come out.
    pub fn numbers(&self) -> usize {
        self.outputs().iter().map(|&(_, count)| count).sum()
    }

    /// Computes the numbers of `count` rows.
    pub fn run(&self, rows: &[f32], count: usize) -> Vec<f32> {
        let mut numbers = vec![0.0; count * self.numbers()];
        match self {
            Self::Chain(chain) => chain.run(rows, count, &mut numbers),
            Self::Forest(forest) => forest.run(rows, &mut numbers),
            Self::Integers(kernel) => kernel.run(rows, &mut numbers),
        }
        numbers
    }

    /// The memory that one worker needs to run the kernel on lanes.
    pub fn room(&self) -> Room {
        match self {
            Self::Chain(chain) => Room::Floats(chain.finish.room(chain.kernel.tile())),
            Self::Forest(forest) => Room::Floats(forest.room()),
            Self::Integers(kernel) => Room::Integers(kernel.chain().tile()),
        }
    }

    /// Plans how to gather the inputs of a float kernel from records.
    pub fn gather(&self, record_len: usize, columns: &[Column]) -> Gather {
        match self {
            Self::Chain(chain) => chain.kernel.gather(record_len, columns),
            Self::Forest(forest) => forest.gather(record_len, columns),
            Self::Integers(_) => panic!("integers are gathered as they are"),
        }
    }

    /// Runs on the first `events` events of a tile.
    pub fn run_tile(&self, room: &mut Room, events: usize) {
        match self {
            Self::Chain(chain) => chain.kernel.run_tile(&mut room.floats().tile, events),
            Self::Forest(forest) => forest.run_tile(&mut room.floats().tile, events),
            Self::Integers(kernel) => kernel.chain().run_tile(room.integers(), events),
        }
    }

    /// Copies the numbers of the last tile that are scores (`picks`, one per column) into `events` places from `at` on.
    pub fn read_scores(
        &self,
        room: &mut Room,
        picks: &[usize],
        at: usize,
        events: usize,
        columns: &mut [&mut [f32]],
    ) {
        let finish = match self {
            Self::Chain(chain) => Some(&chain.finish),
            Self::Forest(forest) => Some(&forest.finish),
            Self::Integers(_) => None,
        };
        let scores = match finish {
            None => room.integers().scores(),
            Some(finish) if finish.is_plain() => room.floats().tile.scores(),
            Some(finish) => return finish.read_scores(room.floats(), picks, at, events, columns),
        };
        for (column, &pick) in columns.iter_mut().zip(picks) {
            column[at..at + events].copy_from_slice(&scores[pick].0[..events]);
        }
    }
}

/// The memory that one worker needs to run a kernel on lanes; nothing is allocated after that. It fits the kernel that made it.
#[derive(Debug)]
pub(crate) enum Room {
    Floats(FloatRoom),
    Integers(IntTile),
}

/// The memory for a float kernel.
#[derive(Debug)]
pub(crate) struct FloatRoom {
    pub tile: Tile,
    /// Of one event: what the kernel gave, the scores that are made of it, and what the graph gives.
    pub raw: Vec<f32>,
    pub scores: Vec<f32>,
    pub numbers: Vec<f32>,
}

impl FusedChain {
    /// The numbers of whole rows.
    fn run(&self, rows: &[f32], count: usize, numbers: &mut [f32]) {
        let mut tile = self.kernel.tile();
        if self.finish.is_plain() {
            return self.kernel.run(&mut tile, rows, numbers);
        }
        let mut raw = vec![0.0; count * self.kernel.outputs()];
        self.kernel.run(&mut tile, rows, &mut raw);
        self.finish.run(&raw, numbers);
    }
}

impl Room {
    /// The memory of a float kernel.
    pub fn floats(&mut self) -> &mut FloatRoom {
        match self {
            Self::Floats(room) => room,
            Self::Integers(_) => panic!("{OTHER_ROOM}"),
        }
    }

    /// The memory of an integer kernel.
    pub fn integers(&mut self) -> &mut IntTile {
        match self {
            Self::Integers(tile) => tile,
            Self::Floats(_) => panic!("{OTHER_ROOM}"),
        }
    }

    /// Which events of the tile have an infinite or NaN input.
    pub fn not_finite(&mut self) -> [bool; EVENTS] {
        match self {
            Self::Floats(room) => not_finite(room.tile.inputs_mut()),
            Self::Integers(_) => [false; EVENTS],
        }
    }
}

const OTHER_ROOM: &str = "a room belongs to the kernel that made it";

fn not_finite(inputs: &[Lanes]) -> [bool; EVENTS] {
    // Zero times a finite number is zero, and times anything else is NaN.
    let mut sums = [0.0f32; EVENTS];
    for lanes in inputs {
        for (sum, x) in sums.iter_mut().zip(&lanes.0) {
            *sum += x * 0.0;
        }
    }
    sums.map(f32::is_nan)
}
