//! Fuzzing without libFuzzer: files of a corpus with random changes, for some seconds. Knows nothing of coverage.
//!
//! `fuzz_plain TARGET SECONDS SEED FILE...`; what ends the process is written to `target/fuzz/TARGET-crash` before it is tried.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs, process};

/// Longer inputs are cut: many tries are worth more.
const LEN_MAX: usize = 16 << 10;
/// Numbers that lengths, counts and ids break at.
const EDGES: [u64; 10] =
    [0, 1, 2, 0x7FFF_FFFF, 0xFFFF_FFFF, 65_536, 65 << 20, (65 << 20) + 1, u64::MAX, 1 << 63];

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((u128::from(z ^ (z >> 31))) * n as u128) >> 64) as usize
    }
}

/// One random change; `other` is another file of the corpus.
fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    if bytes.is_empty() {
        bytes.extend_from_slice(other);
        return;
    }
    let at = random.below(bytes.len());
    let len = 1 + random.below((bytes.len() - at).min(200));
    match random.below(10) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.below(256) as u8,
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..at + len)),
        4 => drop(bytes.splice(at..at, (0..len).map(|_| random.below(256) as u8))),
        5 => bytes.extend_from_within(at..at + len),
        6 => {
            let from = random.below(other.len().max(1));
            bytes.truncate(at / 64 * 64);
            bytes.extend_from_slice(other.get(from / 64 * 64..).unwrap_or_default());
        }
        7 => {
            let to = random.below(bytes.len() - len + 1);
            bytes.copy_within(at..at + len, to);
        }
        // A number where headers and columns have theirs.
        kind => {
            let width = if kind == 8 { 4 } else { 8 };
            let at = at / width * width;
            let near = EDGES[random.below(EDGES.len())].wrapping_add(random.below(3) as u64).wrapping_sub(1);
            let end = bytes.len().min(at + width);
            bytes[at..end].copy_from_slice(&near.to_le_bytes()[..end - at]);
        }
    }
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let (target, seconds, seed, files) = match &words[..] {
        [target, seconds, seed, files @ ..] if !files.is_empty() => {
            (target, seconds.parse(), seed.parse(), files)
        }
        _ => {
            eprintln!("usage: fuzz_plain TARGET SECONDS SEED FILE...");
            process::exit(2);
        }
    };
    let (Ok(seconds), Ok(seed)) = (seconds, seed) else {
        eprintln!("fuzz_plain: seconds and seed are whole numbers");
        process::exit(2);
    };
    let run: fn(&[u8]) = match target.as_str() {
        "frames" => tamis_fuzz::frames,
        "record" => tamis_fuzz::record,
        #[cfg(feature = "models")]
        "onnx" => tamis_fuzz::onnx,
        #[cfg(feature = "models")]
        "bundle" => tamis_fuzz::bundle,
        other => {
            eprintln!("fuzz_plain: '{other}' is no target");
            process::exit(2);
        }
    };
    let read = |file: &String| match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("fuzz_plain: {file}: {error}");
            process::exit(2);
        }
    };
    let corpus: Vec<Vec<u8>> = files.iter().map(read).collect();
    let (mut random, mut executions) = (Random(seed), 0u64);
    let ends = Instant::now() + Duration::from_secs(seconds);
    let mut bytes = Vec::new();
    while !executions.is_multiple_of(256) || Instant::now() < ends {
        bytes.clone_from(&corpus[random.below(corpus.len())]);
        for _ in 0..1 + random.below(8) {
            let other = random.below(corpus.len());
            change(&mut bytes, &corpus[other], &mut random);
        }
        bytes.truncate(LEN_MAX);
        if std::panic::catch_unwind(|| run(&bytes)).is_err() {
            let file = Path::new("target/fuzz").join(format!("{target}-crash"));
            let kept = fs::create_dir_all("target/fuzz").and_then(|()| fs::write(&file, &bytes));
            eprintln!("after {executions} executions: {} ({kept:?})", file.display());
            process::exit(1);
        }
        executions += 1;
    }
    println!("{target}: {executions} executions, seed {seed}");
}
