//! Bundles as callers see them: what they say of themselves, what is refused, and their scores on every engine of this processor.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod bundle;
mod committed;
mod describe;
mod reduced;
mod scores;
mod support;
mod zoo;
