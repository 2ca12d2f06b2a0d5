//! Records and sinks for the tests.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tamis_event::{Event, Schema, record};
use tamis_port::{Sink, Stored};
use tamis_store::{Compression, Durable, McapSink, ModelArchive, Press, Provenance, Reader, StreamPlan};

pub const SCHEMA: &str = "name = \"l1\"\n[[field]]\nname = \"a\"\ndtype = \"i16\"\nlen = 58\n";
pub const MENU: &str = "# a menu\n";

pub fn record(id: u64, event_len: usize) -> Vec<u8> {
    // Small numbers with a slowly changing upper byte, like those of detectors.
    let event: Vec<u8> = (0..event_len as u64)
        .map(|at| (if at % 2 == 0 { id.wrapping_mul(at + 77) >> 3 } else { at >> 4 }) as u8)
        .collect();
    let header = record::RecordHeader {
        event_id: id,
        time_ns: id * 25,
        run: 3,
        segment: (id / 100) as u32,
        ..record::RecordHeader::blank()
    };
    let mut bytes = Vec::new();
    record::append(
        header,
        &[3],
        &[id & 1 | 2],
        [id as f32, 0.5].into_iter(),
        Event { record: &event, ..Event::default() },
        &mut bytes,
    );
    bytes
}

pub fn stored(id: u64, record: &[u8]) -> Stored<'_> {
    Stored { event_id: id, time_ns: id * 25, record }
}

pub fn plan(folder: &Path, durable: Durable, rotate_bytes: u64) -> StreamPlan {
    let provenance = Provenance {
        schema: Schema::parse(SCHEMA.as_bytes()).unwrap(),
        menu: MENU.into(),
        models: vec![
            ModelArchive {
                name: "mlp".into(),
                choice: 0,
                tar: (0..300_u32).map(|i| ((i * i) >> 4) as u8).collect(),
            },
            ModelArchive { name: "mlp".into(), choice: 1, tar: vec![1, 2, 3] },
        ],
        metadata: BTreeMap::from([("version".into(), "1.2.3".into())]),
    };
    StreamPlan {
        folder: folder.into(),
        run_name: "l1-mixed".into(),
        stream: "physics".into(),
        durable,
        rotate_bytes,
        press: Press::new(Compression::default(), Some(2)),
        provenance: Arc::new(provenance),
    }
}

/// Writes the records `0..count` into one file and closes it.
pub fn write_file(folder: &Path, count: u64, event_len: usize) -> std::path::PathBuf {
    let mut sink = McapSink::new(plan(folder, Durable::Never, u64::MAX)).unwrap();
    for id in 0..count {
        sink.write(stored(id, &record(id, event_len))).unwrap();
    }
    sink.close().unwrap().files.remove(0)
}

/// Event ids in a file; checks that every record is the one that was written.
pub fn ids(path: &Path, event_len: usize) -> Vec<u64> {
    let mut reader = Reader::open(path).unwrap();
    let mut ids = Vec::new();
    while let Some(entry) = reader.next_record().unwrap() {
        let id = record::Record::parse(entry.record).unwrap().header().event_id;
        assert_eq!(entry.record, record(id, event_len));
        ids.push(id);
    }
    ids
}
