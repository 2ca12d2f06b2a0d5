//! The promises of the store, tested from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod damage;
mod disk_full;
mod format;
mod killed;
mod large;
mod lost;
mod sample;
mod touched;
