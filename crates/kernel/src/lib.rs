//! Fused CPU kernels: chains of dense layers ([`Chain`], and [`IntChain`] in integers), optionally preceded by convolutions and poolings
//! ([`ImageLayer`]), and boosted trees or random forests ([`Forest`]), on many events at once; and cuts on the integers of event records
//! ([`Sieve`]).
//!
//! Promise: a score is a function of its event and the model alone. It is the same, bit for bit, for any number of events, any neighbours and any
//! place among them, and on every CPU: each lane of a register is a different event, and each event goes through the same operations, fused
//! multiply-adds included, in the same order. Running a kernel allocates nothing, takes no lock and makes no system call.
//!
//! Limits of the promise: the floating-point environment must be the one that Rust assumes (round to nearest, nothing flushed to zero); the
//! bits of a score differ from those of other libraries, which add in another order.
//!
//! ```text
//!   Chain::new, Forest::new              once: checks, and packs for the instruction set of this CPU
//!          |
//!        run(rows)                       any number of events, as rows
//!          |          32 events: a tile
//!   rows --turn--> lanes --layer--> lanes --layer--> ... --> scores --turn--> rows
//!                    ^    sums in registers,                    |
//!                    |    bias and activation before            |
//!                    |    anything is stored                    |
//!          Tile::inputs_mut ----------run_tile-----------> Tile::scores      for callers that write lanes themselves,
//!                    ^
//!   records --Gather-'                                                       or have them gathered from records
//!   records --Sieve--> a bit per event and cut, sums of integers
//! ```
//!
//! Terms. *Lane*: the place of an event in a register. *Lanes* ([`Lanes`]): the same number of the 32 events of a tile. *Tile* ([`Tile`]): the memory
//! that one thread needs to run a kernel on 32 events; for the dense networks of this field it stays in the L1 cache, for images in L2.
//!
//! * I1: every instruction set gives the same bits; [`Isa`] affects only speed.
//! * I2: a NaN among the inputs of a chain makes all its scores NaN, and every NaN that a kernel gives is [`f32::NAN`]. On images this holds for
//!   inputs that are read: strides may skip some. Infinities follow the usual arithmetic: `relu(-inf)` is 0. To a forest a NaN is a missing
//!   value, which each branch handles explicitly. Integers have neither.
//! * I3: kernels are immutable and can be shared by threads; a tile belongs to one thread.
//!
//! Cost (AMD EPYC, Zen 5, 2026-11-25; `examples/speed.rs` prints it for this machine). A chain does its multiply-adds at 87 to 98 % of what the
//! core can do ([`multiply_adds`] measures that), and in integers it is 1.6 to 2 times as fast; turning rows into lanes costs 0.06 ns per number
//! on top, which callers that write lanes avoid. A network with two convolutions reached 80 % in lanes (AVX2, 2026-11-27). A forest of 100 trees
//! of 64 leaves takes 150 ns. A single event takes as long as 16.
//!
//! `unsafe` is confined to `simd/` (intrinsics, loads and stores of arrays) and `isa.rs` (the call into code compiled for an instruction
//! set).

mod chain;
mod dense;
mod error;
mod forest;
mod gather;
mod image;
mod int;
mod isa;
mod lanes;
mod math;
mod passes;
mod probe;
mod sieve;
mod simd;

pub use chain::{Chain, LAYERS_MAX, Layer, Readout, WIDTH_MAX};
pub use dense::Activation;
pub use error::{ChainError, LayerFault};
pub use forest::{
    BranchTest, Combine, EQUALS_MAX, Forest, ForestError, ForestNode, ForestSpec, Missing, NODES_MAX,
    TREES_MAX, Tree, TreeFault, WEIGHTS_MAX,
};
pub use gather::{Column, Gather, Map, Number};
pub use image::{Conv, IMAGE_MAX, ImageAxis, ImageLayer, Pool, Pooling, READS_MAX};
pub use int::{
    ChainRanges, HiddenBits, IntChain, IntChainError, IntColumn, IntGather, IntInput, IntTile, Pairs,
};
pub use isa::{Isa, Loops, Vectors};
pub use lanes::{EVENTS, Lanes, Tile};
pub use probe::{multiply_adds, multiply_adds_i8, multiply_adds_i16};
pub use sieve::{Cut, Integer, Sieve, Sifted};
