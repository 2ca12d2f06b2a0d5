//! A process that a signal ends: alone in its own process, for nothing can be written after it.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tamis_part::{Existing, Folder, PartFile, remove_unfinished};

#[test]
fn what_is_unfinished_goes_and_nothing_is_finished_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut whole = PartFile::create(&at("whole")).unwrap();
    whole.publish(Existing::Refuse, true).unwrap();
    let mut half = PartFile::create(&at("half")).unwrap();
    let kept = PartFile::begin(Arc::new(Folder::open(folder.path()).unwrap()), "kept").unwrap();
    assert_eq!(remove_unfinished(), [at("half.part")]);
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        half.append(b"more").unwrap();
        let published = half.publish(Existing::Refuse, true);
        let _ = done.send(published.is_ok());
    });
    // It fails because its file is gone, or waits for the end of the process.
    let published = is_done.recv_timeout(Duration::from_millis(50));
    assert!(published != Ok(true), "{published:?}");
    drop(kept);
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["kept.part", "whole"]);
}
