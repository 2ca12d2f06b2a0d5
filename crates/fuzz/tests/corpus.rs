//! Everything that a fuzzer ever found interesting, and damage to files that are good.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

#[test]
fn the_corpus_ends_no_process() {
    files("corpus/onnx").iter().for_each(|path| tamis_fuzz::onnx(&fs::read(path).unwrap()));
    files("corpus/bundle").iter().for_each(|path| tamis_fuzz::bundle(&fs::read(path).unwrap()));
}

#[test]
fn bundles_that_damage_begins_with_are_good() {
    for name in ["topo", "calibrated"] {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/bundle").join(name).with_extension("tar");
        let bundle = tamis_model::Bundle::load(&path).unwrap();
        assert_eq!(bundle.calibration().is_some(), name == "calibrated");
    }
}

#[test]
fn damaged_models_end_no_process() {
    let models = files("../graph/tests/models");
    for path in models.iter().filter(|path| path.extension().is_some_and(|end| end == "onnx")) {
        let good = fs::read(path).unwrap();
        for seed in 0..40usize {
            let mut bad = good.clone();
            // A few changed bytes, then the end cut off.
            for step in 0..1 + seed % 4 {
                let at = (seed * 7919 + step * 104_729 + good.len() / 3) % bad.len();
                bad[at] = bad[at].wrapping_mul(31).wrapping_add((seed + step) as u8);
            }
            bad.truncate(good.len() - seed % 3 * (good.len() / 7));
            tamis_fuzz::onnx(&bad);
        }
    }
}
