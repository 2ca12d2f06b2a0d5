//! Prescales and random lines: a verdict by hash (`SPEC.md` section 6 of `tamis-event`).
//!
//! The verdict depends only on the name of the line, the run and the event id: never on a counter, a clock or a floating-point number. So a
//! replay, another number of workers and another order of arrival give the same verdict.

/// 2^64 divided by the golden ratio: the step of the `SplitMix64` generator.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Draws one event in `n` by hash, independently for every name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lottery {
    name_hash: u64,
    /// An event is drawn if its hash is at most this.
    limit: u64,
}

impl Lottery {
    /// Draws one event in `n` for the line called `name`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub(crate) fn new(name: &str, n: u64) -> Self {
        Self { name_hash: fnv1a64(name.as_bytes()), limit: u64::MAX / n }
    }

    /// The seed of the hash for one run.
    pub(crate) fn seed(self, run: u32) -> u64 {
        self.name_hash ^ u64::from(run).wrapping_mul(STEP)
    }

    /// Is the event at this position drawn?
    #[inline(always)]
    pub(crate) fn draws(self, seed: u64, position: u64) -> bool {
        finish(seed.wrapping_add(position)) <= self.limit
    }

    /// The events in `among` that are drawn (bit `i` is the event at `positions[i]`).
    pub(crate) fn draw(self, seed: u64, positions: &[u64; 64], among: u64) -> u64 {
        let mut drawn = 0;
        let mut left = among;
        while left != 0 {
            let bit = left.trailing_zeros();
            drawn |= u64::from(self.draws(seed, positions[bit as usize])) << bit;
            left &= left - 1;
        }
        drawn
    }
}

/// Position of an event in the generator's sequence: the part of the hash that all lines share.
pub(crate) fn position(event_id: u64) -> u64 {
    event_id.wrapping_add(1).wrapping_mul(STEP)
}

#[inline(always)]
fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
