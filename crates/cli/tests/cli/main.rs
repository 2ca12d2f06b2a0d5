//! The real binary, driven as a user would.

mod damage;
mod documents;
mod ends;
mod journeys;
mod refusals;
mod storage;
mod support;
