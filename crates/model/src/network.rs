//! A network on an engine: maps numbers to numbers, a batch at a time.
//!
//! Threads: clones share the weights and hold no lock while they compute. A batch belongs to one thread.

use std::sync::Arc;

use tamis_graph::{Affine, Graph, Program, Unpack};

use crate::engine::Engine;
use crate::features::Features;
use crate::fused::Fused;
use crate::integers::IntKernel;
use crate::manifest::Manifest;

/// A network that is ready to run.
#[derive(Clone, Debug)]
pub(crate) enum Network {
    /// On a device of burn.
    Burn(Box<Program>),
    /// By the fused kernels.
    Fused(Fused),
}

/// A batch that was started.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives for one tile, and a box would be an allocation")]
pub(crate) enum PendingTile {
    /// Running on a burn device.
    Burn(tamis_graph::Pending),
    /// Already done.
    Fused(Done),
}

/// The numbers of a batch, and the memory of its inputs if the engine returns it.
#[derive(Debug)]
pub(crate) struct Done {
    /// Row-major, the numbers of all outputs of an event side by side.
    pub numbers: Vec<f32>,
    /// The inputs, unchanged.
    pub inputs: Option<Vec<f32>>,
}

impl Network {
    /// Puts a graph on an engine. The reduced-precision engines also need manifest and features.
    pub fn new(
        graph: &Arc<Graph>,
        engine: Engine,
        manifest: &Manifest,
        features: &Features,
    ) -> Result<Self, String> {
        keep_freed_memory();
        match (engine, engine.hidden_bits()) {
            (Engine::Fused, _) => Fused::new(graph).map(Self::Fused),
            (_, Some(bits)) => {
                let kernel = IntKernel::new(graph, manifest, features, engine, bits)?;
                Fused::Integers(Arc::new(kernel)).check_outputs(graph).map(Self::Fused)
            }
            _ => Ok(Self::Burn(Box::new(Program::new(graph.clone(), &engine.device()?)))),
        }
    }

    /// The network on burn's CPU backend, the reference.
    pub fn reference(graph: &Arc<Graph>) -> Result<Self, String> {
        Ok(Self::Burn(Box::new(Program::new(graph.clone(), &Engine::Flex.device()?))))
    }

    /// The fused kernel, if the engine has one.
    pub fn fused(&self) -> Option<&Fused> {
        match self {
            Self::Burn(_) => None,
            Self::Fused(fused) => Some(fused),
        }
    }

    /// The unpacking of integers on the burn device, if there is one other than the CPU.
    pub fn unpack(&self, engine: Engine, columns: &[Affine]) -> Option<Unpack> {
        match self {
            Self::Burn(program) if !engine.is_cpu() => Some(Unpack::new(columns, program.device())),
            _ => None,
        }
    }

    /// Starts a batch of `rows` rows of packed integers.
    ///
    /// # Panics
    /// On a fused kernel, for which there is no [`Network::unpack`].
    pub fn start_packed(&self, unpack: &Unpack, integers: Vec<i16>, rows: usize) -> PendingTile {
        match self {
            Self::Burn(program) => PendingTile::Burn(program.start_packed(unpack, integers, rows)),
            Self::Fused(_) => panic!("fused kernels take lanes"),
        }
    }

    /// Starts a batch of `rows` rows, row-major.
    pub fn start(&self, inputs: Vec<f32>, rows: usize) -> PendingTile {
        match self {
            Self::Burn(program) => PendingTile::Burn(program.start(inputs, rows)),
            Self::Fused(fused) => {
                PendingTile::Fused(Done { numbers: fused.run(&inputs, rows), inputs: Some(inputs) })
            }
        }
    }
}

impl PendingTile {
    /// Waits for the numbers of a batch of `rows` rows.
    pub fn wait(self, rows: usize) -> Result<Done, String> {
        match self {
            Self::Burn(pending) => pending.wait(rows).map(|(numbers, inputs)| Done { numbers, inputs }),
            Self::Fused(done) => Ok(done),
        }
    }
}

/// Makes the C library's allocator keep memory instead of returning it to the system after every tile.
///
/// An engine allocates the result of every operation. Blocks of this size at the end of the heap are returned when freed, and must
/// be fetched again, page by page, for the next tile, which was measured to more than double the cost of an event. Freeing one large block raises the
/// allocator's threshold (dynamic in glibc) for the whole process; on other systems it has no effect. The block is never touched.
fn keep_freed_memory() {
    const LARGE: usize = 16 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
}
