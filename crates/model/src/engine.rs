//! Engines, which run networks. Each has a name, by which an option selects it.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use tamis_event::record;
use tamis_graph::Graph;
use tamis_kernel::HiddenBits;

use crate::checks::sizes_agree;
use crate::error::UnknownEngine;
use crate::gpu;

/// The engines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Engine {
    /// burn's `flex` backend: the CPU, on the calling thread. The reference. The last bits of its scores depend on the CPU ([`VectorUnit`]).
    Flex,
    /// A GPU, by its number in the list of [`engines`].
    Gpu(usize),
    /// The fused kernels: the CPU, on the calling thread. Only for chains of dense layers, optionally preceded by convolutions and poolings, and for
    /// forests.
    Fused,
    /// The fused kernels in 16-bit integers: faster, but scores and thus decisions differ a little. Only for calibrated chains of dense layers.
    Int16,
    /// The fused kernels in 16-bit integers, and in 8-bit ones after the layers that allow it: for wide layers, and for networks trained for it.
    Int8,
    /// Chosen by trial for each model: the fused kernels if they pass every check with it and suit this CPU, else the reference. Never a
    /// device or reduced precision: the user must ask for those.
    #[default]
    Auto,
}

/// Rows of a tile on the CPU: one size for the bulk of a batch, where the cost per event is near its minimum, and one for short ranges.
const CPU_TILES: [usize; 2] = [512, 64];
/// Rows of a tile for networks with large values: the first size with which a step stays within [`STEP_NUMBERS`].
const WIDE_TILES: [usize; 4] = [512, 64, 8, 1];
/// Most numbers in the values of one step, for a whole tile: 64 MiB.
const STEP_NUMBERS: usize = 1 << 24;
/// Rows of a tile on a GPU: enough to hide the cost of some twenty launches, and few enough for several tiles per batch.
const GPU_TILES: [usize; 1] = [16_384];

/// The texts from which [`Engine`] can be parsed.
const KNOWN: &str = if cfg!(feature = "gpu") {
    "flex, fused, int16, int8, auto, gpu, gpu:N"
} else {
    "flex, fused, int16, int8, auto; and gpu, gpu:N if the program is built with the cargo feature `gpu`"
};

/// The status of an engine in this program on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineStatus {
    /// Its name in options.
    pub name: String,
    /// Was it compiled into this program?
    pub compiled: bool,
    /// What it computes with, or why it is unavailable and how to get it.
    pub found: Result<String, String>,
}

/// Every engine and every device of it, the reference first.
pub fn engines() -> Vec<EngineStatus> {
    let flex = EngineStatus {
        name: Engine::Flex.to_string(),
        compiled: true,
        found: Ok(format!("burn on the CPU, {}", VectorUnit::of_this_cpu().name())),
    };
    let fused = EngineStatus {
        name: Engine::Fused.to_string(),
        compiled: true,
        found: Ok(format!(
            "kernels for dense chains, small convolutions and trees on the CPU, {}",
            tamis_kernel::Isa::best().name()
        )),
    };
    let int16 = EngineStatus {
        name: Engine::Int16.to_string(),
        compiled: true,
        found: Ok("the same in integers of 16 bits, for dense chains that tamis model calibrate has prepared; scores differ a little".into()),
    };
    let int8 = EngineStatus {
        name: Engine::Int8.to_string(),
        compiled: true,
        found: Ok(
            "int16 with 8 bits behind layers that are never negative, for wide ones; scores differ most"
                .into(),
        ),
    };
    [flex, fused, int16, int8].into_iter().chain(gpu::engines()).collect()
}

/// The vector instructions that `flex` uses, as far as the bits of its scores depend on them: a fused multiply-add rounds once where a
/// product and a sum round twice, and wider registers may add in another order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorUnit {
    /// x86-64 without fused multiply-adds.
    Baseline,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512.
    Avx512,
    /// Arm's NEON.
    Neon,
    /// Another processor.
    Other,
}

impl VectorUnit {
    const ALL: [Self; 5] = [Self::Baseline, Self::Avx2, Self::Avx512, Self::Neon, Self::Other];

    /// The vector unit of this CPU.
    pub fn of_this_cpu() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            match (has_avx2, has_avx512) {
                (true, true) => Self::Avx512,
                (true, false) => Self::Avx2,
                (false, _) => Self::Baseline,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            if cfg!(target_arch = "aarch64") { Self::Neon } else { Self::Other }
        }
    }

    /// The name in tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "no fused multiply-adds",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
            Self::Neon => "NEON",
            Self::Other => "another processor",
        }
    }

    /// The number in a decision record (`SPEC.md` section 5 of the event crate); 0 stands for none.
    pub fn code(self) -> u8 {
        match self {
            Self::Baseline => 1,
            Self::Avx2 => 2,
            Self::Avx512 => 3,
            Self::Neon => 4,
            Self::Other => 5,
        }
    }

    /// The vector unit with this number in a decision record.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.code() == code)
    }
}

impl Engine {
    /// The name in options, tables and JSON, without a device number.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Gpu(_) => "gpu",
            Self::Fused => "fused",
            Self::Int16 => "int16",
            Self::Int8 => "int8",
            Self::Auto => "auto",
        }
    }

    /// The number in a decision record (`SPEC.md` section 5 of the event crate).
    pub const fn code(self) -> u8 {
        match self {
            Self::Flex | Self::Auto => record::FLEX,
            Self::Gpu(_) => 2,
            Self::Fused => 3,
            Self::Int16 => 4,
            Self::Int8 => 5,
        }
    }

    /// The name of the engine with this number in a decision record.
    pub fn name_of(code: u8) -> Option<&'static str> {
        let all = [Self::Flex, Self::Gpu(0), Self::Fused, Self::Int16, Self::Int8];
        all.into_iter().find(|engine| engine.code() == code).map(Self::name)
    }

    /// The engines that compute in integers, the most precise first. They run only calibrated models.
    pub const REDUCED: [Self; 2] = [Self::Int16, Self::Int8];

    /// Is it one of [`Engine::REDUCED`]?
    pub fn is_reduced(self) -> bool {
        Self::REDUCED.contains(&self)
    }

    /// The width of the numbers between layers, for an integer engine.
    pub fn hidden_bits(self) -> Option<HiddenBits> {
        match self {
            Self::Int16 => Some(HiddenBits::Sixteen),
            Self::Int8 => Some(HiddenBits::Eight),
            Self::Flex | Self::Gpu(_) | Self::Fused | Self::Auto => None,
        }
    }

    /// The burn device of the engine, or why there is none.
    pub(crate) fn device(self) -> Result<Device, String> {
        match self {
            Self::Flex | Self::Fused | Self::Int16 | Self::Int8 | Self::Auto => Ok(Device::flex()),
            Self::Gpu(index) => gpu::device(index),
        }
    }

    /// The tile sizes, descending, that this engine uses for a graph.
    pub(crate) fn tiles(self, graph: &Graph) -> &'static [usize] {
        match self {
            Self::Flex if sizes_agree(graph) && CPU_TILES[0] * graph.widest_step() <= STEP_NUMBERS => {
                &CPU_TILES
            }
            Self::Fused | Self::Int16 | Self::Int8 => &CPU_TILES,
            Self::Flex | Self::Auto => {
                let fits = |size: &usize| size * graph.widest_step() <= STEP_NUMBERS;
                let first = WIDE_TILES.iter().position(fits).unwrap_or(WIDE_TILES.len() - 1);
                &WIDE_TILES[first..=first]
            }
            Self::Gpu(_) => &GPU_TILES,
        }
    }

    /// The number of events per batch that suits the engine: enough to hide the cost of passing one on and of a padded last tile.
    pub fn batch_events(self) -> usize {
        match self {
            Self::Gpu(_) => 4 * GPU_TILES[0],
            Self::Flex | Self::Fused | Self::Int16 | Self::Int8 | Self::Auto => 4096,
        }
    }

    /// Does the engine give the same bits on every machine?
    pub fn is_exact(self) -> bool {
        match self {
            Self::Fused | Self::Int16 | Self::Int8 => true,
            Self::Flex | Self::Gpu(_) | Self::Auto => false,
        }
    }

    /// Does the engine compute on the calling thread, on a device that cannot be lost?
    pub fn is_cpu(self) -> bool {
        !matches!(self, Self::Gpu(_))
    }

    /// Number of tiles in flight: while a device computes one, the next is filled.
    pub(crate) fn in_flight(self) -> usize {
        match self {
            Self::Gpu(_) => 2,
            Self::Flex | Self::Fused | Self::Int16 | Self::Int8 | Self::Auto => 1,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpu(index) if *index > 0 => write!(f, "gpu:{index}"),
            engine => f.write_str(engine.name()),
        }
    }
}

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, UnknownEngine> {
        let unknown = || UnknownEngine { name: text.into(), known: KNOWN.into() };
        match text {
            "flex" => Ok(Self::Flex),
            "fused" => Ok(Self::Fused),
            "int16" => Ok(Self::Int16),
            "int8" => Ok(Self::Int8),
            "auto" => Ok(Self::Auto),
            "gpu" => Ok(Self::Gpu(0)),
            _ => text
                .strip_prefix("gpu:")
                .and_then(|index| index.parse().ok())
                .map(Self::Gpu)
                .ok_or_else(unknown),
        }
    }
}
