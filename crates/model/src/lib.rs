//! Models: loaded and verified as bundles, run by burn or the fused kernels, bit for bit the same for every batch.
//!
//! ```text
//!   folder or .tar --Bundle::load--> Bundle --bind(schema, engine)--> Model --clone--> one Classifier per worker
//!                    (no device)              golden vectors,
//!                    checksums, shapes        positions, warm-up
//! ```
//!
//! A bundle is refused with one sentence that names the file and the reason. A [`Model`] that exists has reproduced the golden vectors of its
//! bundle on the engine that will run it. Burn is not part of the interface of this crate. `BUNDLE.md` specifies the files.

mod architecture;
mod bundle;
mod calibration;
mod checks;
mod classifier;
mod describe;
mod engine;
mod error;
mod features;
mod finish;
mod front;
mod fused;
mod fused_chain;
mod fused_forest;
mod gpu;
mod import;
mod integers;
mod lanes;
mod manifest;
mod network;
mod own_schema;
mod weights;

pub use bundle::Bundle;
pub use calibration::{Calibration, Calibrator, Tolerance};
pub use checks::GoldenCheck;
pub use classifier::Model;
pub use describe::{Description, GoldenInfo, InputInfo, LayerInfo, MemoryUse};
pub use engine::{Engine, EngineStatus, VectorUnit, engines};
pub use error::{BindError, BundleError, BundleFault, UnknownEngine};
pub use import::{BundleFiles, GoldenInputs, Import, ImportError};
pub use manifest::{MANIFEST_FILE, Training, TrainingData};
