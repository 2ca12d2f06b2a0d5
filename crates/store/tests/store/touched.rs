//! Other programs that change the folder of a run.

use std::fs;
use std::path::Path;

use tamis_port::Sink as _;
use tamis_store::{Durable, McapSink, Reader, RecoverError, recover};

use crate::sample::{plan, record, stored};

/// A sink of two finished files with four records each, and one that is being written with two.
fn third_file(folder: &Path) -> McapSink {
    let length = record(0, 116).len() as u64;
    let mut sink = McapSink::new(plan(folder, Durable::Close, 4 * length)).unwrap();
    (0..10).for_each(|id| sink.write(stored(id, &record(id, 116))).unwrap());
    assert_eq!((sink.report().events, sink.report().closed, sink.report().durable), (8, 8, 8));
    sink
}

#[test]
fn a_file_that_is_being_written_is_not_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = third_file(folder.path());
    let part = folder.path().join("l1-mixed-physics-0003.mcap.part");
    for output in [None, Some(folder.path().join("other.mcap"))] {
        let error = recover(&part, output.as_deref()).unwrap_err();
        assert!(matches!(error, RecoverError::Busy { .. }), "{error}");
        assert!(error.to_string().contains("still writing"), "{error}");
    }
    let report = sink.close().unwrap();
    assert_eq!((report.events, report.closed, report.files.len()), (10, 10, 3), "the run was not disturbed");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn records_in_a_file_that_was_taken_away_are_not_called_stored() {
    let touches: [fn(&Path); 2] = [
        |part| fs::remove_file(part).unwrap(),
        |part| fs::File::options().write(true).open(part).unwrap().set_len(90).unwrap(),
    ];
    for touch in touches {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = third_file(folder.path());
        touch(&folder.path().join("l1-mixed-physics-0003.mcap.part"));
        let error = sink.close().unwrap_err();
        assert!(error.place.ends_with("l1-mixed-physics-0003.mcap.part"), "{error}");
        assert!(error.message.contains("while it was written"), "{error}");
        let report = sink.report();
        assert_eq!((report.events, report.closed, report.durable, report.files.len()), (8, 8, 8, 2));
        report.files.iter().for_each(|file| assert!(file.exists(), "{}", file.display()));
    }
}

#[test]
fn files_of_a_folder_that_moved_are_listed_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    fs::create_dir(&here).unwrap();
    let mut sink = third_file(&here);
    fs::rename(&here, &there).unwrap();
    let error = sink.close().unwrap_err();
    assert!(error.to_string().contains("moved to"), "{error}");
    let report = sink.report();
    assert_eq!(
        (report.events, report.closed, report.files.len()),
        (10, 10, 3),
        "all that was stored is there"
    );
    for file in &report.files {
        assert!(file.starts_with(there.canonicalize().unwrap()), "{}", file.display());
        assert!(Reader::open(file).unwrap().next_record().unwrap().is_some());
    }
}
