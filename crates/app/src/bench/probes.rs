//! What one core of this machine can do at most: the yardsticks for every stage.
//!
//! Every turn takes some tens of ms, so that all probes of a turn see the same clock and the same neighbours as the stages beside them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tamis_kernel::Isa;

use super::jitter;
use super::rows::{Section, Turns, Unit};
use crate::bench::sample::Stream;

/// Bytes of each buffer that is copied or read: more than the caches near a core hold.
const LARGE: usize = 64 << 20;
/// Bytes that are checked at a time: in cache, as frames are that have just arrived.
const CHECKED: usize = 64 << 10;
const CHECKS: usize = 256;
/// Bytes of records that are compressed.
const COMPRESSED: usize = 2 << 20;
const PEAK_ROUNDS: usize = 400_000;
const CLOCK_READINGS: usize = 100_000;
const NAPS: usize = 50;
const SPIN: Duration = Duration::from_millis(30);

pub(crate) const PEAK: &str = "multiply-add f32";
pub(crate) const COPY: &str = "memory copy";
pub(crate) const READ: &str = "memory read";
pub(crate) const CRC: &str = "CRC32C";
pub(crate) const ZSTD: &str = "zstd of the events";

/// Does so many rounds of multiply-adds on registers, and says how many numbers were multiplied and added; none if the CPU lacks it.
type MultiplyAdds = fn(usize) -> Option<usize>;

/// One line for each type of number that the kernels compute with.
const PEAKS: [(&str, MultiplyAdds); 1] = [(PEAK, |rounds| tamis_kernel::multiply_adds(Isa::best(), rounds))];

/// The memory of the probes.
#[derive(Debug)]
pub(crate) struct Probes {
    from: Vec<u64>,
    to: Vec<u64>,
    records: Vec<u8>,
}

impl Probes {
    /// The compression is that of `stream`, whose events are stored if they are accepted.
    pub(crate) fn new(stream: &Stream) -> Self {
        let numbers = LARGE / size_of::<u64>();
        let from = (0..numbers as u64).map(|k| k.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let records = stream.bytes[..stream.bytes.len().min(COMPRESSED)].to_vec();
        Self { from, to: vec![0; numbers], records }
    }

    /// Measures each once.
    pub(crate) fn turn(&mut self, turns: &mut Turns) {
        let mut add = |name: &str, unit, value| turns.add(Section::Probes, name, unit, value);
        for (name, multiply_adds) in PEAKS {
            let (seconds, done) = timed(|| multiply_adds(PEAK_ROUNDS));
            if let Some(done) = done {
                add(name, Unit::MultiplyAddsPerSecond, done as f64 / seconds);
            }
        }
        let (seconds, ()) = timed(|| self.to.copy_from_slice(black_box(&self.from)));
        black_box(&self.to);
        add(COPY, Unit::BytesPerSecond, LARGE as f64 / seconds);
        let (seconds, _) =
            timed(|| black_box(black_box(&self.from).iter().fold(0u64, |a, b| a.wrapping_add(*b))));
        add(READ, Unit::BytesPerSecond, LARGE as f64 / seconds);
        let checked = &self.records.repeat(CHECKED.div_ceil(self.records.len()))[..CHECKED];
        let check = || (0..CHECKS).fold(0, |crc, _| crc ^ crc32c::crc32c(black_box(checked)));
        let (seconds, _) = timed(|| black_box(check()));
        add(CRC, Unit::BytesPerSecond, (CHECKS * CHECKED) as f64 / seconds);
        let (seconds, _) = timed(|| black_box(tamis_store::compressed_len(black_box(&self.records))));
        add(ZSTD, Unit::BytesPerSecond, self.records.len() as f64 / seconds);
        let (seconds, _) = timed(|| (0..CLOCK_READINGS).for_each(|_| _ = black_box(Instant::now())));
        add("clock reading", Unit::Ns, seconds * 1e9 / CLOCK_READINGS as f64);
        let late = jitter::naps(NAPS);
        add("wake-up late, p50", Unit::Ns, late.p50 as f64);
        add("wake-up late, max", Unit::Ns, late.max as f64);
        let gaps = jitter::spin(SPIN);
        add("gap while spinning, max", Unit::Ns, gaps.max_ns as f64);
        add("time lost in gaps", Unit::Share, gaps.lost);
    }
}

/// Seconds that it took, and what came out.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64().max(1e-9), result)
}
