//! Bundles as callers see them: their descriptions, refusals, and scores on every CPU engine.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod bundle;
mod committed;
mod describe;
mod lists;
mod reduced;
mod scores;
mod support;
mod zoo;
