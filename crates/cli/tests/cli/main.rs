//! The real binary, driven as a user would.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bench;
mod damage;
mod documents;
mod ends;
mod files;
mod journeys;
mod ladder;
mod ledger;
mod lists;
mod models;
mod payloads;
mod reduced;
mod refusals;
mod storage;
mod support;
