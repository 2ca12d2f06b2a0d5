//! The files: other MCAP readers can read them, and their bytes depend only on the records.

use std::{collections::BTreeMap, path::Path};

use proptest::prelude::*;
use tamis_port::{Sink, conformance};
use tamis_store::{Durable, Ending, McapSink, Reader, check, recover, summary};

use crate::sample::{MENU, SCHEMA, plan, record, stored, write_file};

#[test]
fn keeps_the_promises_of_a_sink() {
    for (durable, rotate) in
        [("close", u64::MAX), ("every=10ms", 1), ("every=30ms", 3_000_000), ("never", 100_000)]
    {
        let mut folders = Vec::new();
        let mut make = || -> Box<dyn Sink> {
            folders.push(tempfile::tempdir().unwrap());
            let folder = folders.last().unwrap().path();
            Box::new(McapSink::new(plan(folder, durable.parse().unwrap(), rotate)).unwrap())
        };
        conformance::sink(&mut make, &|report| {
            let mut records = Vec::new();
            for file in &report.files {
                let mut reader = Reader::open(file).unwrap();
                while let Some(entry) = reader.next_record().unwrap() {
                    records.push((entry.time_ns, entry.record.to_vec()));
                }
                assert_eq!(reader.ending(), Some(&Ending::Closed));
                assert!(check(file).unwrap().is_clean());
            }
            records
        });
        for folder in folders {
            let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
            assert!(names.into_iter().all(|name| name.to_str().unwrap().ends_with(".mcap")));
        }
    }
}

/// The mcap crate's own readers, which share no code with this one, must find the same.
#[test]
fn other_readers_find_everything() {
    let folder = tempfile::tempdir().unwrap();
    let count = 9_000;
    let path = write_file(folder.path(), count, 116);
    let bytes = std::fs::read(&path).unwrap();

    let read = mcap::Summary::read(&bytes).unwrap().expect("a summary");
    let stats = read.stats.as_ref().unwrap();
    assert_eq!((stats.message_count, stats.channel_count, stats.schema_count), (count, 1, 1));
    assert_eq!((stats.message_start_time, stats.message_end_time), (0, (count - 1) * 25));
    assert!(read.chunk_indexes.len() > 3, "several chunks: {}", read.chunk_indexes.len());
    let channel = read.channels.values().next().unwrap();
    assert_eq!((channel.topic.as_str(), channel.message_encoding.as_str()), ("physics", "x-tamis-record"));
    assert_eq!(channel.schema.as_ref().unwrap().data.as_ref(), SCHEMA.as_bytes());

    let check_message = |id: u64, message: &mcap::Message<'_>| {
        assert_eq!((u64::from(message.sequence), message.log_time), (id, id * 25));
        assert_eq!(message.data.as_ref(), record(id, 116));
    };
    let streamed = mcap::MessageStream::new(&bytes).unwrap().zip(0..).map(|(message, id)| {
        check_message(id, &message.unwrap());
    });
    assert_eq!(streamed.count() as u64, count);
    let mut id = 0;
    for index in &read.chunk_indexes {
        for message in read.stream_chunk(&bytes, index).unwrap() {
            check_message(id, &message.unwrap());
            id += 1;
        }
    }
    assert_eq!(id, count, "through the index");

    let attached: Vec<_> = read.attachment_indexes.iter().map(|index| index.name.as_str()).collect();
    assert_eq!(attached, ["schema.toml", "menu.toml", "model-mlp.tar", "model-mlp.1.tar"]);
    let first_chunk = read.chunk_indexes[0].chunk_start_offset;
    assert!(read.attachment_indexes.iter().all(|index| index.offset < first_chunk), "attachments come first");
}

#[test]
fn a_file_explains_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), 1000, 116);
    let info = summary(&path).unwrap();
    assert_eq!((info.records, info.record_bytes), (1000, 1000 * (88 + 16 + 8 + 116)));
    assert_eq!((info.stream.as_deref(), info.run_name.as_deref()), (Some("physics"), Some("l1-mixed")));
    assert_eq!(info.runs.keys().collect::<Vec<_>>(), [&3]);
    let run = info.runs[&3];
    assert_eq!((run.events, run.first_segment, run.last_segment), (1000, 0, 9));
    assert_eq!((run.first_event, run.last_event), (0, 999));
    assert_eq!(info.kept, [500, 1000]);
    assert_eq!((info.bytes, &info.ending), (path.metadata().unwrap().len(), &Ending::Closed));
    let names: Vec<_> = info.attachments.iter().map(|found| (found.name.as_str(), found.bytes)).collect();
    let expected = [
        ("schema.toml", SCHEMA.len()),
        ("menu.toml", MENU.len()),
        ("model-mlp.tar", 300),
        ("model-mlp.1.tar", 3),
    ];
    assert_eq!(names, expected.map(|(name, len)| (name, len as u64)));
    // sha256sum of "# a menu\n"
    assert_eq!(
        info.attachments[1].sha256,
        "82cd48a32c81c56d2633d00f97d9f9dc3e78b4fe4074d933127e7b39e6f2c70d"
    );

    let reader = Reader::open(&path).unwrap();
    assert_eq!((reader.menu_text(), reader.schema_text()), (Some(MENU), Some(SCHEMA)));
    let metadata: BTreeMap<_, _> = reader.metadata().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!((metadata["version"], metadata["file"], metadata["format"]), ("1.2.3", "1", "1"));
    // Recovering a closed file makes a copy.
    let copy = recover(&path, Some(&folder.path().join("copy.mcap"))).unwrap();
    assert_eq!((copy.records, copy.lost_bytes, copy.ending), (1000, 0, Ending::Closed));
    assert_eq!(std::fs::read(&copy.file).unwrap(), std::fs::read(&path).unwrap());
}

/// Writes 700 records with the given pauses between ticks; returns the files by name.
fn files(folder: &Path, durable: Durable, ticks: &[u64]) -> BTreeMap<String, Vec<u8>> {
    let mut sink = McapSink::new(plan(folder, durable, 400_000)).unwrap();
    let mut now = 0;
    for id in 0..700 {
        sink.write(stored(id, &record(id, 1500))).unwrap();
        let pause = ticks[id as usize % ticks.len()];
        if pause > 0 {
            now += pause;
            sink.tick(now).unwrap();
        }
    }
    let named = |path: &std::path::PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().into(), std::fs::read(path).unwrap())
    };
    sink.close().unwrap().files.iter().map(named).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn time_decides_nothing(ticks in prop::collection::vec(0..400_000_000_u64, 1..40)) {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let calm = files(folders[0].path(), Durable::Close, &[0]);
        prop_assert_eq!(calm.len(), 3);
        prop_assert!(files(folders[1].path(), Durable::Close, &ticks) == calm);
        prop_assert!(files(folders[2].path(), Durable::Never, &ticks) == calm);
    }
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), 10, 116);
    let before = std::fs::read(&path).unwrap();
    // The final name is taken, so the rename must fail.
    let mut sink = McapSink::new(plan(folder.path(), Durable::Close, u64::MAX)).unwrap();
    sink.write(stored(0, &record(0, 116))).unwrap();
    let error = sink.close().unwrap_err();
    assert!(error.place.ends_with("l1-mixed-physics-0001.mcap.part"), "{error}");
    // Now the .part name is taken as well: by a file, then by a symbolic link to a place outside.
    for _ in 0..2 {
        let mut sink = McapSink::new(plan(folder.path(), Durable::Close, u64::MAX)).unwrap();
        let error = sink.write(stored(0, &record(0, 116))).unwrap_err();
        assert!(error.message.contains("in the way"), "{error}");
        let part = folder.path().join("l1-mixed-physics-0001.mcap.part");
        std::fs::remove_file(&part).unwrap();
        std::os::unix::fs::symlink(folder.path().join("outside"), &part).unwrap();
    }
    assert!(!folder.path().join("outside").exists());
    assert!(recover(&path, Some(&path)).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
