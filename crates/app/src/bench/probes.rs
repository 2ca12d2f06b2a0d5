//! The most that one core of this machine can do, which is the yardstick for every stage, and the most that all cores can do together.
//!
//! Work of one thread, here and in `stages.rs`, is timed in pieces of a fraction of a ms, shorter than the time slices of a busy system, and a turn
//! counts its median piece. So a program that takes the core away now and then has no influence, while one that shares the caches or lowers the
//! clock has. The time that others take is a probe of its own.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tamis_kernel::Isa;
use tamis_pipeline::Cpus;
use tamis_store::{CHUNK_BYTES, CompressionProbe};

use super::jitter;
use super::machine::cores;
use super::rows::{Section, Spread, Turns, Unit};
use super::sample::FrameStream;

/// Bytes of each buffer that is copied or read: more than the caches near a core hold.
const LARGE: usize = 64 << 20;
/// Bytes of a piece of it.
const PIECE: usize = 2 << 20;
/// Bytes that are checked: they are in cache, like frames that have just arrived.
const CHECKED: usize = 64 << 10;
/// How often they are checked in a piece.
const CHECKS: usize = 16;
/// Pieces of a probe that touches no memory.
const PIECES: usize = 100;
const PEAK_ROUNDS: usize = 20_000;
const CLOCK_READINGS: usize = 1000;
const NAPS: usize = 50;
const SPIN: Duration = Duration::from_millis(30);
/// How long all cores are kept busy: hosts of virtual machines share out time in periods of 100 ms.
const TOGETHER: Duration = Duration::from_millis(250);

pub(crate) const PEAK: &str = "multiply-add f32";
const PEAK_OF_ALL: &str = "multiply-add f32, all cores";
pub(crate) const COPY: &str = "memory copy";
pub(crate) const READ: &str = "memory read";
const READ_OF_ALL: &str = "memory read, all cores";
const CRC: &str = "CRC32C";
pub(crate) const CHECK: &str = "memory read and CRC32C";
pub(crate) const FILE: &str = "file write and sync";
pub(crate) const ZSTD: &str = "zstd of the events";

const GAP: &str = "gap while spinning, max";
const GAP_OF_ALL: &str = "gap on all cores, max";
/// The time that others take from one thread, and from a thread on each core.
const LOST: &str = "time lost in gaps";
pub(crate) const LOST_OF_ALL: &str = "time lost on all cores";

/// Does so many rounds of multiply-adds on registers, and says how many numbers were multiplied and added; none if the CPU lacks it.
type MultiplyAdds = fn(usize) -> Option<usize>;

/// One line for each type of number that this processor multiplies and adds. The kernels compute with all of them.
const PEAKS: [(&str, MultiplyAdds); 3] = [
    (PEAK, multiply_adds_f32),
    ("multiply-add i16", |rounds| tamis_kernel::multiply_adds_i16(Isa::best(), rounds)),
    ("multiply-add i8", |rounds| tamis_kernel::multiply_adds_i8(Isa::best(), rounds)),
];

fn multiply_adds_f32(rounds: usize) -> Option<usize> {
    tamis_kernel::multiply_adds(Isa::best(), rounds)
}

/// The memory of the probes.
#[derive(Debug)]
pub(crate) struct Probes {
    from: Vec<u8>,
    to: Vec<u8>,
    records: Vec<u8>,
    compression: CompressionProbe,
    /// A file that is written and removed again.
    file: PathBuf,
}

impl Probes {
    /// The compression is that of `stream`, whose events are stored if they are accepted. A file is written in `folder`.
    pub(crate) fn new(stream: &FrameStream, folder: &Path) -> Self {
        let numbers = (0..(LARGE / size_of::<u64>()) as u64).map(|k| k.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let from = numbers.flat_map(u64::to_le_bytes).collect();
        let records = some_chunks(stream).to_vec();
        let file = folder.join("probe");
        Self { from, to: vec![0; LARGE], records, compression: CompressionProbe::default(), file }
    }

    /// Measures each once.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn turn(&mut self, turns: &mut Turns) -> io::Result<()> {
        let mut add = |name: &str, unit, value| turns.add(Section::Probes, name, unit, value);
        for (name, multiply_adds) in PEAKS {
            if let Some(rate) = peak(multiply_adds) {
                add(name, Unit::MultiplyAddsPerSecond, rate);
            }
        }
        let done = multiply_adds_f32(PEAK_ROUNDS).unwrap_or_default() as f64;
        let rate = pieces_on_all_cores(|| _ = black_box(multiply_adds_f32(PEAK_ROUNDS)));
        add(PEAK_OF_ALL, Unit::MultiplyAddsPerSecond, done * rate);
        let pieces = self.to.chunks_exact_mut(PIECE).zip(self.from.chunks_exact(PIECE));
        let copy =
            |(to, from): (&mut [u8], &[u8])| timed(|| black_box(to).copy_from_slice(black_box(from))).0;
        add(COPY, Unit::BytesPerSecond, PIECE as f64 / median(pieces.map(copy)));
        let pieces = self.from.chunks_exact(PIECE).map(|piece| timed(|| black_box(sum(black_box(piece)))).0);
        add(READ, Unit::BytesPerSecond, PIECE as f64 / median(pieces));
        let rate = pieces_on_all_cores(|| _ = black_box(sum(black_box(&self.from))));
        add(READ_OF_ALL, Unit::BytesPerSecond, LARGE as f64 * rate);
        let checked = &self.records.repeat(CHECKED.div_ceil(self.records.len()))[..CHECKED];
        let check = || (0..CHECKS).fold(0, |crc, _| crc ^ tamis_event::crc32c(black_box(checked)));
        let seconds = median((0..PIECES).map(|_| timed(|| black_box(check())).0));
        add(CRC, Unit::BytesPerSecond, (CHECKS * CHECKED) as f64 / seconds);
        // The caches near a core, and those that cores share, have what a copy leaves in them, as before `READ`.
        self.to.copy_from_slice(&self.from);
        let crc = |piece| black_box(tamis_event::crc32c(black_box(piece)));
        let pieces = self.from.chunks_exact(PIECE).map(|piece| timed(|| crc(piece)).0);
        add(CHECK, Unit::BytesPerSecond, PIECE as f64 / median(pieces));
        add(ZSTD, Unit::BytesPerSecond, compression(&mut self.compression, &self.records));
        let (seconds, written) = timed(|| self.write());
        add(FILE, Unit::BytesPerSecond, written? as f64 / seconds);
        let read = || (0..CLOCK_READINGS).for_each(|_| _ = black_box(Instant::now()));
        let seconds = median((0..PIECES).map(|_| timed(read).0));
        add("clock reading", Unit::Ns, seconds * 1e9 / CLOCK_READINGS as f64);
        let late = jitter::naps(NAPS);
        add("wake-up late, p50", Unit::Ns, late.p50 as f64);
        add("wake-up late, max", Unit::Ns, late.max as f64);
        for (threads, gap, lost, time) in [(1, GAP, LOST, SPIN), (cores(), GAP_OF_ALL, LOST_OF_ALL, TOGETHER)]
        {
            let gaps = jitter::spin(threads, &Cpus::of_process(&[]), time);
            add(gap, Unit::Ns, gaps.max_ns as f64);
            add(lost, Unit::Share, gaps.lost);
        }
        Ok(())
    }

    /// Writes a file as accepted events are written, chunk by chunk, and says how long it is.
    fn write(&self) -> io::Result<usize> {
        let mut file = File::create(&self.file)?;
        for chunk in self.from.chunks(CHUNK_BYTES) {
            file.write_all(chunk)?;
        }
        file.sync_all()?;
        fs::remove_file(&self.file)?;
        Ok(LARGE)
    }
}

/// The beginning of a stream: enough to see how fast it is compressed.
pub(crate) fn some_chunks(stream: &FrameStream) -> &[u8] {
    &stream.bytes[..stream.bytes.len().min(8 * CHUNK_BYTES)]
}

/// Bytes per second that one thread compresses, in chunks as they are stored.
pub(crate) fn compression(probe: &mut CompressionProbe, bytes: &[u8]) -> f64 {
    let chunks = bytes.chunks(CHUNK_BYTES);
    let per_byte = chunks
        .map(|chunk| timed(|| black_box(probe.compressed_len(black_box(chunk)))).0 / chunk.len() as f64);
    1.0 / median(per_byte)
}

/// The sum of all numbers.
fn sum(bytes: &[u8]) -> u64 {
    let (numbers, _) = bytes.as_chunks();
    numbers.iter().fold(0, |sum: u64, number| sum.wrapping_add(u64::from_ne_bytes(*number)))
}

/// Multiply-adds per second of one thread, if the CPU has the instruction.
fn peak(multiply_adds: MultiplyAdds) -> Option<f64> {
    let done = multiply_adds(PEAK_ROUNDS)?;
    let seconds = median((0..PIECES).map(|_| timed(|| multiply_adds(PEAK_ROUNDS)).0));
    Some(done as f64 / seconds)
}

/// Pieces per second of all threads together, with a thread on each core: the most that more workers can bring. Time that is taken away from them
/// counts, unlike for one thread.
fn pieces_on_all_cores(piece: impl Fn() + Sync) -> f64 {
    let run = |start: Instant| {
        let mut pieces = 0;
        while start.elapsed() < TOGETHER {
            piece();
            pieces += 1;
        }
        (pieces, start.elapsed())
    };
    let ran = jitter::together(cores(), &Cpus::of_process(&[]), run);
    let longest = ran.iter().map(|(_, time)| *time).max().unwrap_or_default();
    f64::from(ran.iter().map(|(pieces, _)| pieces).sum::<u32>()) / longest.as_secs_f64().max(1e-9)
}

/// The seconds that `work` took, and its result.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64().max(1e-9), result)
}

/// The median of at least one piece.
pub(crate) fn median(pieces: impl Iterator<Item = f64>) -> f64 {
    Spread::of(&pieces.collect::<Vec<_>>()).median
}
