//! Helpers for the tests of all kernels.

use tamis_kernel::Isa;

/// The instruction sets of this CPU.
pub fn available() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| isa.is_available())
}

/// Scores, to be compared bit by bit.
pub fn bits(scores: &[f32]) -> Vec<u32> {
    scores.iter().map(|score| score.to_bits()).collect()
}
