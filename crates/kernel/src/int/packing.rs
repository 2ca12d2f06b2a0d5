//! How integers share a lane of 32 bits, and how many bits that leaves them.
//!
//! ```text
//!   bits    0        8        16       24
//!   pair    a                 b                  two of 16 bits, with a sign
//!   quad    a        c        b        d         a b and c d were pairs: the second is moved by 8 bits, and both are joined
//! ```
//!
//! * I1: numbers of a quad that are inputs lie in `0..=127`, its weights in `-127..=127`. So two products add up to less than 2^15, and
//!   an instruction that adds them up in 16 bits cuts nothing off.

use crate::dense::Activation;

/// Bits of the numbers between layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenBits {
    /// 16 for each, as for the inputs.
    Sixteen,
    /// 8 for each that is never negative, and for the weights that meet it: those of relu, sigmoid and softmax. 16 for all others.
    Eight,
}

impl HiddenBits {
    /// What the numbers of a hidden layer with this activation get.
    pub fn of(self, activation: Activation) -> Self {
        if is_never_negative(activation) { self } else { Self::Sixteen }
    }

    /// How the numbers of a hidden layer share their lanes.
    pub(super) fn packing(self, activation: Activation) -> Packing {
        match self.of(activation) {
            Self::Sixteen => Packing::Pairs,
            Self::Eight => Packing::Quads,
        }
    }
}

/// Are all numbers that an activation gives at least 0?
pub(super) fn is_never_negative(activation: Activation) -> bool {
    matches!(activation, Activation::Relu | Activation::Sigmoid | Activation::Softmax)
}

/// How integers share a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// Two of 16 bits.
    Pairs,
    /// Four of 8 bits.
    Quads,
}

impl Packing {
    /// Numbers in a lane.
    pub fn per_lane(self) -> usize {
        match self {
            Self::Pairs => 2,
            Self::Quads => 4,
        }
    }

    /// Lanes of so many numbers.
    pub fn lanes(self, numbers: usize) -> usize {
        numbers.div_ceil(self.per_lane())
    }

    /// The largest number between layers, and the largest weight that meets one.
    pub fn largest(self) -> i16 {
        match self {
            Self::Pairs => i16::MAX,
            Self::Quads => i8::MAX.into(),
        }
    }

    /// The bits of the weights that meet lane `lane` of the inputs.
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

    /// The lane that holds pair `pair` of the numbers of a layer, and whether it joins one there.
    #[inline(always)]
    pub fn place(self, pair: usize) -> (usize, bool) {
        match self {
            Self::Pairs => (pair, false),
            Self::Quads => (pair / 2, pair % 2 == 1),
        }
    }
}

/// A pair as a lane holds it.
pub(super) fn pair([first, second]: [i16; 2]) -> u32 {
    u32::from(first.cast_unsigned()) | u32::from(second.cast_unsigned()) << 16
}
