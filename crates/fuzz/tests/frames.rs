//! Frames and records that a fuzzer found interesting, and damage to golden ones.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

/// What is given to a target, by the names of files.
fn inputs() -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for folder in ["corpus/frames", "../event/golden"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            inputs.push((path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()));
        }
    }
    assert!(inputs.len() > 15);
    inputs
}

#[test]
fn the_corpus_ends_no_process() {
    for (_, bytes) in inputs() {
        tamis_fuzz::frames(&bytes);
        tamis_fuzz::record(&bytes);
    }
}

/// Bytes all over every stream and record are changed, and now and then the end is cut off or one is added.
#[test]
fn damaged_frames_and_records_end_no_process() {
    for (name, good) in inputs().into_iter().filter(|(name, _)| !name.ends_with(".toml")) {
        let target = if name.ends_with(".bin") { tamis_fuzz::record } else { tamis_fuzz::frames };
        for at in (0..good.len()).step_by(1 + good.len() / 1_000) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            if at % 3 == 0 {
                bad.truncate(at + 1 + at % 200);
            }
            if at % 5 == 1 {
                bad.push(7);
            }
            target(&bad);
        }
    }
}
