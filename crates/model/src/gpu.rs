//! GPUs: which there are, and how to enable them.
//!
//! With the cargo feature `gpu` burn's `wgpu` computes on any vendor's adapter (Vulkan, Metal, DX12), compiled from WGSL at run time. The
//! features `vulkan` (SPIR-V) and `cuda` replace the layer below. Without a feature there are no GPUs, and this file says how to enable them.

use burn::tensor::Device;

use crate::engine::{Engine, EngineStatus};

#[cfg(feature = "gpu")]
const NONE: &str = "no graphics processor was found; install its Vulkan driver";

/// Adapter number `index`: hardware comes first, software last.
#[cfg(feature = "gpu")]
pub(crate) fn device(index: usize) -> Result<Device, String> {
    let mut all = adapters();
    if index < all.len() {
        return Ok(all.swap_remove(index));
    }
    Err(match all.len() {
        0 => NONE.into(),
        found => format!("there is no gpu:{index}; {found} found (see `tamis doctor`)"),
    })
}

/// The adapters, in the order of their numbers.
#[cfg(feature = "gpu")]
pub(crate) fn engines() -> Vec<EngineStatus> {
    let name =
        |device: &Device| device.identity().map_or_else(|| format!("{device:?}"), |identity| identity.name);
    let status = |(index, device)| EngineStatus {
        name: Engine::Gpu(index).to_string(),
        compiled: true,
        found: Ok(name(device)),
    };
    let found: Vec<EngineStatus> = adapters().iter().enumerate().map(status).collect();
    if found.is_empty() { vec![absent(NONE)] } else { found }
}

#[cfg(feature = "gpu")]
fn adapters() -> Vec<Device> {
    use burn::tensor::DeviceType;
    #[cfg(feature = "cuda")]
    let kind = DeviceType::Cuda;
    #[cfg(all(feature = "vulkan", not(feature = "cuda")))]
    let kind = DeviceType::Vulkan;
    #[cfg(not(any(feature = "vulkan", feature = "cuda")))]
    let kind = DeviceType::Wgpu;
    // A broken driver may panic when queried; it then counts as absent.
    let found = std::panic::catch_unwind(|| Device::enumerate(kind).into_vec());
    found.unwrap_or_default()
}

/// What is missing, and how to get it.
#[cfg(not(feature = "gpu"))]
const MISSING: &str =
    "this program was built without GPU support; build it with `cargo build --release --features gpu`";

#[cfg(not(feature = "gpu"))]
pub(crate) fn device(_index: usize) -> Result<Device, String> {
    Err(MISSING.into())
}

#[cfg(not(feature = "gpu"))]
pub(crate) fn engines() -> Vec<EngineStatus> {
    vec![absent(MISSING)]
}

fn absent(why: &str) -> EngineStatus {
    EngineStatus { name: Engine::Gpu(0).to_string(), compiled: cfg!(feature = "gpu"), found: Err(why.into()) }
}
