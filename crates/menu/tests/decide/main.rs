//! Checks decisions against independent evaluators, for any expressions, any bytes and any division of the events into blocks and spans.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod any;
mod arrays;
mod blocks;
mod cuts;
mod large;
mod lists;
mod oracle;
mod support;
mod unknown;
