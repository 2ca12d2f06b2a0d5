//! Bytes that mean harm, given to everything that reads frames, records and models.
//!
//! Each function is a fuzz target: it must return, whatever the bytes are, without a panic, without a hang, and without memory beyond the caps of
//! the crates. `scripts/fuzz.sh` runs them under libFuzzer, or with the changes of `fuzz_plain`; what it found is kept small in `corpus/` and runs as
//! a test everywhere.

mod frames;
#[cfg(feature = "models")]
mod models;

pub use frames::{frames, record};
#[cfg(feature = "models")]
pub use models::{bundle, onnx};
