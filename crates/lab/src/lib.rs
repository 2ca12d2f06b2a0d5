//! Offline training: a recipe and recorded events in, a model bundle and its figures of merit out.
//!
//! ```text
//!   recipe.toml --Recipe::parse--> Recipe --files()--> the caller loads them as Datasets
//!                                    \--> train(recipe, datasets, progress) --> Trained { bundle, AUC, cuts } --> TrainedBundle::write
//! ```
//!
//! This crate reads no files: the caller supplies the bytes of the events, from any source.
//!
//! Threads: data are prepared on all cores; the training itself runs on the calling thread, in a fixed order, so the seed determines the result.

mod augment;
mod bundle;
mod error;
mod learner;
mod metrics;
mod preprocessing;
mod random;
mod recipe;
mod samples;
mod train;

pub use bundle::TrainedBundle;
pub use error::TrainError;
pub use recipe::Recipe;
pub use samples::Dataset;
pub use train::{Auc, Trained, TrainingProgress, WorkingPoint, train};
