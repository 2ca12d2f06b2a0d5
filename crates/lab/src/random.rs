//! Random numbers from a seed, the same on every machine and with every version of any library.

/// `SplitMix64` (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// Stream `stream` of a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(mix(seed ^ mix(stream.wrapping_add(STEP))))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Uniform in -1 to 1.
    pub fn symmetric(&mut self) -> f32 {
        ((self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0) as f32
    }

    /// Shuffles `items` into a random order.
    pub fn shuffle(&mut self, items: &mut [u32]) {
        for last in (1..items.len()).rev() {
            // The bias of this multiplication is below 2^-32.
            let other = (u128::from(self.bits()) * (last as u128 + 1)) >> 64;
            items.swap(last, other as usize);
        }
    }
}

/// Is item `index` of `stream` in a random selection of this fraction?
pub(crate) fn selected(seed: u64, stream: u64, index: u64, fraction: f64) -> bool {
    let bits = Random::new(seed ^ mix(index.wrapping_add(STEP)), stream).bits();
    ((bits >> 11) as f64 / (1u64 << 53) as f64) < fraction
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
