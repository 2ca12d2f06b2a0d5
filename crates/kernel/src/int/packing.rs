//! How integers share a 32-bit lane, and how many bits that leaves them.
//!
//! ```text
//!   bits    0        8        16       24
//!   pair    a                 b                  two signed 16-bit integers
//!   quad    a        c        b        d         a b and c d were pairs: the second is shifted by 8 bits and joined to the first
//! ```
//!
//! * I1: the inputs in a quad lie in `0..=127`, its weights in `-127..=127`. So two products add up to less than 2^15, and
//!   an instruction that adds them up in 16 bits loses nothing.

use crate::dense::Activation;

/// Width of the integers between layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenBits {
    /// 16 bits each, as for the inputs.
    Sixteen,
    /// 8 bits for each that is never negative (after relu, sigmoid or softmax) and for the weights that multiply it; 16 for all others.
    Eight,
}

impl HiddenBits {
    /// The width of the integers of a hidden layer with this activation.
    pub fn of(self, activation: Activation) -> Self {
        if is_never_negative(activation) { self } else { Self::Sixteen }
    }

    /// How the integers of a hidden layer share their lanes.
    pub(super) fn packing(self, activation: Activation) -> Packing {
        match self.of(activation) {
            Self::Sixteen => Packing::Pairs,
            Self::Eight => Packing::Quads,
        }
    }
}

/// Are all outputs of the activation at least 0?
pub(super) fn is_never_negative(activation: Activation) -> bool {
    matches!(activation, Activation::Relu | Activation::Sigmoid | Activation::Softmax)
}

/// How integers share a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// Two 16-bit integers.
    Pairs,
    /// Four 8-bit integers.
    Quads,
}

impl Packing {
    /// Integers per lane.
    pub fn per_lane(self) -> usize {
        match self {
            Self::Pairs => 2,
            Self::Quads => 4,
        }
    }

    /// Number of lanes for `numbers` integers.
    pub fn lanes(self, numbers: usize) -> usize {
        numbers.div_ceil(self.per_lane())
    }

    /// The largest integer between layers, and the largest weight that multiplies one.
    pub fn largest(self) -> i16 {
        match self {
            Self::Pairs => i16::MAX,
            Self::Quads => i8::MAX.into(),
        }
    }

    /// The bits of the weights that multiply lane `lane` of the inputs.
    pub fn weights(self, lane: usize, weight: impl Fn(usize) -> i16) -> u32 {
        let first = lane * self.per_lane();
        match self {
            Self::Pairs => pair([weight(first), weight(first + 1)]),
            Self::Quads => {
                let byte = |i: usize| weight(first + i) as u8;
                u32::from_le_bytes([byte(0), byte(2), byte(1), byte(3)])
            }
        }
    }

    /// The lane that holds pair `pair` of a layer's integers, and whether the pair joins one already there.
    #[inline(always)]
    pub fn place(self, pair: usize) -> (usize, bool) {
        match self {
            Self::Pairs => (pair, false),
            Self::Quads => (pair / 2, pair % 2 == 1),
        }
    }
}

/// A pair as the bits of a lane.
pub(super) fn pair([first, second]: [i16; 2]) -> u32 {
    u32::from(first.cast_unsigned()) | u32::from(second.cast_unsigned()) << 16
}
