//! Engines that compute with fewer bits than a network was trained with: what they must know of it, and what it costs.
//!
//! ```text
//!   tamis model calibrate:  events --f32 kernel--> largest numbers of the hidden layers --> [calibration] of the manifest   (`calibrator.rs`)
//!   bind:                   layers, [calibration] --> kernel, compared with burn within the section's tolerance for the engine
//! ```
//!
//! * I1: nothing is guessed when a model is loaded: its scores are a function of the bundle, the schema and the event.
//!
//! What such an engine cannot run is refused by name, with what to do.

mod calibrator;
mod section;

use tamis_graph::Graph;

pub use calibrator::Calibrator;
pub use section::{Calibration, Tolerance};
pub(crate) use section::{TOLERANCE_MAX, write};

use crate::engine::Engine;
use crate::fused_chain::dense;
use crate::integers::check_inputs;
use crate::manifest::Manifest;

/// What to do about a model that these engines do not run.
pub(crate) const REMEDY: &str = "use --device fused, or flex";

/// What an engine of fewer bits cannot do for a model, whatever the schema.
pub(crate) fn unfit(graph: &Graph, manifest: &Manifest, engine: Engine) -> Option<String> {
    check(graph, manifest, engine).err()
}

/// The section of a model that an engine of fewer bits can run, as far as the bundle says.
pub(crate) fn check<'a>(
    graph: &Graph,
    manifest: &'a Manifest,
    engine: Engine,
) -> Result<&'a Calibration, String> {
    check_dense(graph)?;
    if engine.hidden_bits().is_some() {
        check_inputs(manifest)?;
    }
    let section = manifest.calibration.as_ref().ok_or(
        "it is not calibrated; do that with tamis model calibrate BUNDLE EVENTS --out DIR, or use --device fused",
    )?;
    if section.tolerance.of(engine).is_none() {
        let other = if section.tolerance.int16.is_some() { Engine::Int16 } else { Engine::Fused };
        return Err(format!(
            "it was too coarse for it when it was calibrated: [calibration] of its manifest has no tolerance for {engine}; use --device {other}"
        ));
    }
    Ok(section)
}

/// Is it a chain of dense layers?
fn check_dense(graph: &Graph) -> Result<(), String> {
    let refused = |unknown| format!("{unknown}; engines of fewer bits run chains of dense layers: {REMEDY}");
    dense(graph).map(drop).map_err(refused)
}
