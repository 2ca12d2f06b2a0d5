//! Calibration for engines that compute in lower precision than a network was trained in.
//!
//! ```text
//!   tamis model calibrate:  events --f32 kernel--> largest numbers of the hidden layers --> [calibration] of the manifest   (`calibrator.rs`)
//!   bind:                   layers, [calibration] --> kernel, compared with burn within the section's tolerance for the engine
//! ```
//!
//! * I1: loading a model guesses nothing: its scores are a function of the bundle, the schema and the event.
//!
//! A model that such an engine cannot run is refused with the reason and a remedy.

mod calibrator;
mod section;

use tamis_graph::Graph;
use tamis_kernel::Layer;

pub use calibrator::Calibrator;
pub use section::{Calibration, Tolerance};
pub(crate) use section::{TOLERANCE_MAX, write};

use crate::engine::Engine;
use crate::fused::Fused;
use crate::fused_chain::dense;
use crate::integers::check_inputs;
use crate::manifest::Manifest;

/// What to do with a model that these engines cannot run.
pub(crate) const REMEDY: &str = "use --device fused, or flex";

/// Why a reduced-precision engine cannot run a model, whatever the schema.
pub(crate) fn unfit(graph: &Graph, manifest: &Manifest, engine: Engine) -> Option<String> {
    check(graph, manifest, engine).err()
}

/// The layers and calibration of a model that a reduced-precision engine can run, judging by the bundle alone.
pub(crate) fn check<'a>(
    graph: &Graph,
    manifest: &'a Manifest,
    engine: Engine,
) -> Result<&'a Calibration, String> {
    let layers = check_dense(graph)?;
    check_inputs(manifest)?;
    let section = manifest.calibration.as_ref().ok_or(
        "it is not calibrated; do that with tamis model calibrate BUNDLE EVENTS --out DIR, or use --device fused",
    )?;
    if section.tolerance.of(engine).is_none() {
        let others = Engine::REDUCED.into_iter().filter(|&other| section.tolerance.of(other).is_some());
        let others: Vec<_> = others.chain([Engine::Fused]).map(Engine::name).collect();
        return Err(format!(
            "[calibration] of its manifest has no tolerance for {engine}, which was too coarse for it or could not run it when it was calibrated; \
             use --device {}",
            others.join(", or ")
        ));
    }
    if section.hidden.len() != layers.len() - 1 {
        return Err(format!(
            "[calibration] of its manifest is about {} hidden layers, the network has {}; calibrate it again",
            section.hidden.len(),
            layers.len() - 1
        ));
    }
    Ok(section)
}

/// The layers of a chain of dense layers.
fn check_dense(graph: &Graph) -> Result<Vec<Layer>, String> {
    let refused = |unknown| {
        let remedy = if Fused::new(graph).is_ok() { REMEDY } else { "use --device flex" };
        format!("{unknown}; engines of fewer bits run chains of dense layers: {remedy}")
    };
    dense(graph).map(|(layers, _)| layers).map_err(refused)
}
