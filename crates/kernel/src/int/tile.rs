//! The layout that integer kernels work on: two numbers of an event side by side in a lane, 32 events side by side.
//!
//! ```text
//!   rows                                pairs
//!   event 0: a b c d e                  a b: event 0: a b, event 1: a b, ... event 31: a b      one cache line or two
//!   event 1: a b c d e      ------>     c d: event 0: c d, event 1: c d, ... event 31: c d
//!   ...                                 e -: an odd last number stands alone; its other half is ignored
//! ```
//!
//! On a little-endian CPU a pair has the same bytes as two little-endian 16-bit fields of a record, so a caller can copy both at once.
//!
//! Between layers each half of a pair may hold two 8-bit numbers; then the pair is a quad ([`super::packing`]).

use crate::lanes::{EVENTS, Lanes};

/// Two numbers of each event of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Pairs(pub [[i16; 2]; EVENTS]);

impl Pairs {
    /// All zero.
    pub const ZERO: Self = Self([[0; 2]; EVENTS]);
}

/// The memory that one thread needs to run an integer chain. The chain makes it; nothing is allocated after that.
#[derive(Clone, Debug)]
pub struct IntTile {
    pub(super) inputs: Box<[Pairs]>,
    pub(super) between: [Box<[Pairs]>; 2],
    /// Floats of a layer on their way to integers.
    pub(super) numbers: Box<[Lanes]>,
    /// Padded to an even number, since neurons come in pairs.
    pub(super) scores: Box<[Lanes]>,
    outputs: usize,
}

impl IntTile {
    /// Allocates memory for so many numbers of each kind; `between` counts lanes.
    pub(super) fn new(inputs: usize, between: [usize; 2], numbers: usize, outputs: usize) -> Self {
        let pairs = |lanes: usize| vec![Pairs::ZERO; lanes].into_boxed_slice();
        let floats = |numbers: usize| vec![Lanes::ZERO; numbers.next_multiple_of(2)].into_boxed_slice();
        Self {
            inputs: pairs(inputs.div_ceil(2)),
            between: between.map(pairs),
            numbers: floats(numbers),
            scores: floats(outputs),
            outputs,
        }
    }

    /// The inputs of the events, to be written before the kernel runs: inputs `2 k` and `2 k + 1` are `[k].0[event]`. The kernel clamps them in
    /// place.
    pub fn inputs_mut(&mut self) -> &mut [Pairs] {
        &mut self.inputs
    }

    /// The scores of the events after the kernel ran: `[score].0[event]`.
    pub fn scores(&self) -> &[Lanes] {
        &self.scores[..self.outputs]
    }

    pub(super) fn assert_shape(&self, inputs: usize, outputs: usize) {
        let shape = (self.inputs.len(), self.outputs);
        assert_eq!(shape, (inputs.div_ceil(2), outputs), "the tile was made by another kernel");
    }
}

/// Turns up to 32 rows into pairs.
pub(super) fn from_rows(rows: &[i16], inputs: usize, pairs: &mut [Pairs]) {
    for (event, row) in rows.chunks_exact(inputs).enumerate() {
        for (pairs, numbers) in pairs.iter_mut().zip(row.chunks(2)) {
            pairs.0[event] = [numbers[0], numbers.get(1).copied().unwrap_or(0)];
        }
    }
}
