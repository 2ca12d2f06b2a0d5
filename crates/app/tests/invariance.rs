//! The same input gives the same files, byte for byte, with real models, on real threads.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tamis_app::{Exit, Plan, Report, Settings, Verifier};
use tamis_pipeline::Pace;
use tamis_store::Durable;

fn sample(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data-samples")).join(path)
}

/// Runs a sample of 5,000 events, in several files per stream; what the folder holds then, but for the ledger, which has times in it.
fn run(change: impl FnOnce(&mut Settings)) -> (Report, BTreeMap<String, Vec<u8>>) {
    let out = tempfile::tempdir().unwrap();
    let mut settings = Settings {
        durable: Durable::Close,
        rotate_bytes: 200_000,
        ..Settings::new(sample("menus/l1-anomaly.toml"), out.path())
    };
    change(&mut settings);
    let report = Plan::new(&sample("l1-lqbtau.tmf.zst"), settings).unwrap().run().unwrap();
    assert_eq!(report.exit(), Exit::Done, "{:?}", report.problems);
    let files = fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap());
    let files = files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()));
    (report, files.filter(|(name, _)| name.ends_with(".mcap")).collect())
}

#[test]
fn files_do_not_depend_on_workers_batches_or_pace() {
    let (reference, expected) = run(|settings| (settings.workers, settings.batch) = (Some(1), Some(4096)));
    assert!(expected.len() >= 4, "the test needs several files: {:?}", expected.keys());
    assert!(reference.ledger.accepted > 100 && reference.ledger.rejected > 100);
    for workers in [1, 2, 4] {
        for batch in [1, 7, 256, 4096] {
            let (report, files) =
                run(|settings| (settings.workers, settings.batch) = (Some(workers), Some(batch)));
            assert!(files == expected, "{workers} workers, batch {batch}: the files differ");
            assert_eq!(report.ledger.accepted, reference.ledger.accepted);
        }
    }
    for pace in [Pace::Rate(200_000.0), Pace::Recorded] {
        let (_, files) = run(|settings| settings.pace = pace);
        assert!(files == expected, "{pace:?}: the files differ");
    }
    // Timed syncs cut chunks elsewhere, but change no record.
    let (timed, _) = run(|settings| settings.durable = Durable::Every(std::time::Duration::from_millis(1)));
    assert_eq!(timed.ledger.accepted, reference.ledger.accepted);
}

#[test]
fn stored_decisions_come_out_the_same_and_a_change_is_noticed() {
    let out = tempfile::tempdir().unwrap();
    let settings = Settings::new(sample("menus/l1-anomaly.toml"), out.path());
    let report = Plan::new(&sample("l1-ato4l.tmf.zst"), settings).unwrap().run().unwrap();
    let stored: u64 = report.streams.iter().map(|stream| stream.events).sum();
    let files: Vec<&String> = report.streams.iter().flat_map(|stream| &stream.files).collect();
    let verified: Vec<_> =
        files.iter().map(|file| Verifier::default().verify(Path::new(file)).unwrap()).collect();
    assert_eq!(verified.iter().map(|found| found.reproduced).sum::<u64>(), stored);
    assert!(verified.iter().all(|found| found.exit() == Exit::Done));
    // A flipped byte in the middle of a file must be found.
    let mut bytes = fs::read(files[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(files[0], bytes).unwrap();
    assert_eq!(Verifier::default().verify(Path::new(files[0])).unwrap().exit(), Exit::Gate);
}
