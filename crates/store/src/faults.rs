//! Tests on an in-memory disk on which every operation can fail.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tamis_event::{Event, Schema, record};
use tamis_part::memory::{Content, DiskFault, Lost, MemoryDisk};
use tamis_port::{Sink, SinkError, Stored};

use crate::{
    Compression, Durable, McapSink, ModelArchive, Press, Provenance, Reader, RecoverError, StreamPlan,
    recover,
};

/// Records of a run: per file, two are written by a tick, four more fill a chunk, and then the file is full.
const EVENTS: u64 = 13;
const TICK_NS: u64 = 10_000_000;

fn record_of(id: u64) -> Vec<u8> {
    // Incompressible records of 135 kB, so that chunks also fill up between ticks.
    let event: Vec<u8> = (0..33_750_u32)
        .flat_map(|at| {
            (u64::from(at) + (id << 20)).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()[4..].to_vec()
        })
        .collect();
    let header = record::RecordHeader { event_id: id, time_ns: id * 25, ..record::RecordHeader::blank() };
    let mut bytes = Vec::new();
    record::append(
        header,
        &[1],
        &[1],
        [].into_iter(),
        Event { record: &event, ..Event::default() },
        &mut bytes,
    );
    bytes
}

fn sink_on(memory: &MemoryDisk, durable: Durable, threads: usize) -> McapSink {
    let schema =
        Schema::parse(b"name = \"t\"\n[[field]]\nname = \"a\"\ndtype = \"u32\"\nlen = 33750\n").unwrap();
    let models = vec![ModelArchive { name: "m".into(), choice: 0, tar: vec![7; 5000] }];
    let provenance =
        Arc::new(Provenance { schema, menu: "# menu".into(), models, metadata: BTreeMap::new() });
    let plan = StreamPlan {
        folder: "memory".into(),
        run_name: "r".into(),
        stream: "s".into(),
        durable,
        rotate_bytes: 900_000,
        press: Press::new(Compression::default(), Some(threads)),
        provenance,
    };
    McapSink::with_disk(plan, Arc::new(memory.clone())).unwrap()
}

/// A run of three files. Returns how it ended and how many records were acknowledged as written and as durable.
fn run(
    memory: &MemoryDisk,
    durable: Durable,
    threads: usize,
    records: &[Vec<u8>],
) -> (Result<(), SinkError>, u64, u64) {
    let mut sink = sink_on(memory, durable, threads);
    let mut result = Ok(());
    for (id, record) in (0..).zip(records) {
        let stored = Stored { event_id: id, time_ns: id * 25, record };
        result = sink.write(stored).and_then(|()| if id % 6 == 1 { sink.tick(id * TICK_NS) } else { Ok(()) });
        if result.is_err() {
            break;
        }
    }
    let result = result.and_then(|()| sink.close().map(|_| ()));
    if let Err(error) = &result {
        assert_eq!(sink.close().as_ref(), Err(error), "the error is final");
        assert_eq!(sink.tick(u64::MAX), Err(error.clone()));
    }
    let (written, durable) = (sink.progress().stored(), sink.progress().durable());
    drop(sink);
    (result, written, durable)
}

/// Cache of read event ids by disk contents: many faults leave the same contents, and recovery waits for a real disk.
type Seen = HashMap<u64, Vec<u64>>;

/// Event ids of everything readable that is left on the disk, after recovery of unfinished files.
fn ids_left(memory: &MemoryDisk, lost: Lost, records: &[Vec<u8>], seen: &mut Seen) -> Vec<u64> {
    let left = memory.left_after(lost);
    let mut hasher = DefaultHasher::new();
    left.hash(&mut hasher);
    let read = || {
        let folder = tempfile::tempdir().unwrap();
        left.iter().for_each(|(name, data)| std::fs::write(folder.path().join(name), data).unwrap());
        ids_in(folder.path(), records)
    };
    seen.entry(hasher.finish()).or_insert_with(read).clone()
}

/// Event ids of everything readable in a folder, after recovery of unfinished files.
fn ids_in(folder: &Path, records: &[Vec<u8>]) -> Vec<u64> {
    let list = || {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    };
    for part in list().iter().filter(|path| path.extension().is_some_and(|extension| extension == "part")) {
        match recover(part, None) {
            Ok(_) | Err(RecoverError::Nothing { .. } | RecoverError::Read(_)) => {}
            Err(error) => panic!("{}: {error}", part.display()),
        }
    }
    let mut ids = Vec::new();
    for path in list().iter().filter(|path| path.extension().is_some_and(|extension| extension == "mcap")) {
        let mut reader = Reader::open(path).unwrap();
        while let Some(entry) = reader.next_record().unwrap() {
            let id = u64::from(entry.sequence);
            assert_eq!(entry.record, records[id as usize], "record {id} came back as another");
            ids.push(id);
        }
    }
    ids
}

#[test]
fn every_operation_fails_once() {
    let records: Vec<_> = (0..EVENTS).map(record_of).collect();
    let durable = Durable::Every(Duration::from_millis(1));
    let calm = MemoryDisk::default();
    let (result, written, synced) = run(&calm, durable, 1, &records);
    assert_eq!((result, written, synced), (Ok(()), EVENTS, EVENTS));
    let names: Vec<_> = calm.left_after(Lost::Process).into_keys().collect();
    assert_eq!(names, ["r-s-0001.mcap", "r-s-0002.mcap", "r-s-0003.mcap"]);

    let mut seen = Seen::new();
    let faults = (0..calm.operations()).flat_map(|k| DiskFault::ALL.map(|fault| (k, fault)));
    // The sink alone, and with two threads that compress ahead of it: the disk sees the same operations.
    for ((k, fault), threads) in faults.flat_map(|fault| [1, 3].map(|threads| (fault, threads))) {
        let memory = MemoryDisk::failing(k, fault);
        let (result, written, synced) = run(&memory, durable, threads, &records);
        if fault.is_harmless() {
            assert_eq!(result, Ok(()), "{fault:?} at operation {k}");
            assert!(calm.files() == memory.files(), "{fault:?} at operation {k} changed the files");
            continue;
        }
        let error = result.expect_err("a failed operation is reported");
        assert!(error.place.starts_with("memory/r-s-000"), "{error}");
        assert_eq!(memory.operations_after_fault(), 0, "the disk is left alone after operation {k} failed");
        for lost in Lost::ALL {
            let promised = if lost == Lost::Process { written } else { synced };
            let ids = ids_left(&memory, lost, &records, &mut seen);
            let context = format!("{fault:?} at operation {k}, {threads} threads, lost: {lost:?}");
            assert!(ids.iter().copied().eq(0..ids.len() as u64), "{context}: {ids:?}");
            assert!(ids.len() as u64 >= promised, "{context}: {} of {promised} promised", ids.len());
        }
    }
}

#[test]
fn never_means_no_sync_and_close_means_one_per_file() {
    let records: Vec<_> = (0..EVENTS).map(record_of).collect();
    for (durable, promised) in [(Durable::Never, 0), (Durable::Close, EVENTS)] {
        let memory = MemoryDisk::default();
        let (result, written, synced) = run(&memory, durable, 2, &records);
        assert_eq!((result, written, synced), (Ok(()), EVENTS, promised), "{durable}");
        let names = memory.left_after(Lost::Power).len();
        assert_eq!(names, if promised == 0 { 0 } else { 3 }, "{durable}");
        let is_synced = |file: &Content| file.synced == if promised == 0 { &[][..] } else { &file.data };
        assert!(memory.files().iter().all(is_synced), "{durable}");
    }
}
