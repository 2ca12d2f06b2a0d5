//! The kernels as callers see them: against plain loops, bit for bit, on every instruction set of this CPU.

mod allocation;
mod chain;
mod dense;
mod forest;
mod gather;
mod image;
mod int;
mod sieve;
mod support;
