//! Where the pipeline meets the world: three traits, no implementation.
//!
//! ```text
//!   Source --windows of bytes--> pipeline --blocks--> Classifier        pipeline --records--> Sink
//! ```
//!
//! Each is called once per window, batch or block, never once per event, so `dyn` costs nothing that can be measured. Every implementation
//! passes the suite of [`conformance`] for its trait.
//!
//! Threads: an implementation is owned by one thread at a time (`Send`, not `Sync`).

mod classifier;
pub mod conformance;
mod sink;
mod source;

pub use classifier::{Classifier, ClassifierError};
pub use sink::{Sink, SinkError, SinkReport, Stored};
pub use source::{Source, SourceError, Window};
