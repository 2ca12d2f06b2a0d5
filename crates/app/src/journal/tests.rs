//! What stands in the ledger, and when.

use serde_json::Value;
use tamis_ledger::Tally;
use tamis_pipeline::Share;
use tamis_store::{Durable, McapSink, Provenance, StreamPlan};

use super::*;

const SCHEMA: &str = "name = \"t\"\n[[field]]\nname = \"a\"\ndtype = \"u8\"\n";
const MENU: &str =
    "name = \"m\"\n[[stream]]\nname = \"s\"\n[[line]]\nname = \"l\"\nwhen = \"a > 0\"\nstreams = [\"s\"]\n";

struct Desk {
    folder: tempfile::TempDir,
    journal: Journal,
    sink: McapSink,
}

impl Desk {
    fn new(durable: Durable) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let schema = tamis_event::Schema::parse(SCHEMA.as_bytes()).unwrap();
        let menu = tamis_menu::Menu::parse(MENU, "menu").unwrap();
        let compiled = Arc::new(menu.compile(&schema, &[]).unwrap());
        let provenance =
            Provenance { schema, menu: MENU.into(), models: vec![], metadata: Default::default() };
        let claim = tamis_store::claim_run_name(folder.path(), "r").unwrap();
        let plan = StreamPlan {
            folder: folder.path().into(),
            run_name: "r".into(),
            stream: "s".into(),
            durable,
            rotate_bytes: u64::MAX,
            provenance: Arc::new(provenance),
        };
        let sink = McapSink::new(plan).unwrap();
        let streams = vec![("s".into(), sink.progress()), ("error".into(), Arc::default())];
        let journal = Journal::new(folder.path(), claim, compiled, streams);
        Self { folder, journal, sink }
    }

    /// Stores so many records.
    fn store(&mut self, records: u64) {
        use tamis_event::record;
        use tamis_port::{Sink as _, Stored};
        for event_id in 0..records {
            let mut bytes = Vec::new();
            let header = record::RecordHeader { event_id, ..record::RecordHeader::blank() };
            record::append(header, &[1], &[1], [].into_iter(), &[1], &mut bytes);
            self.sink.write(Stored { event_id, time_ns: 0, record: &bytes }).unwrap();
        }
    }

    fn tick(&mut self, now_ns: u64) {
        tamis_port::Sink::tick(&mut self.sink, now_ns).unwrap();
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("r.ledger.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn books(segment: u32, events: u64, end: u64) -> SegmentBooks {
    let tally = Tally { received: events, accepted: events, ..Tally::new(1, 1) };
    SegmentBooks { run: 1, segment, tally, streams: vec![Share { events, end }, Share::default()] }
}

fn segments(lines: &[Value]) -> Vec<u64> {
    lines.iter().filter_map(|line| line["segment"].as_u64()).collect()
}

#[test]
fn a_segment_has_its_line_when_it_is_stored() {
    let mut desk = Desk::new("every=1ms".parse().unwrap());
    desk.tick(0);
    desk.store(5);
    desk.journal.news(Some(books(0, 3, 3)));
    desk.journal.news(Some(books(1, 0, 0)));
    desk.journal.news(Some(books(2, 2, 5)));
    assert_eq!(segments(&desk.lines()), [1], "nothing of the others has left the memory of the process");
    desk.tick(2_000_000);
    desk.journal.news(None);
    let lines = desk.lines();
    assert_eq!(segments(&lines), [1, 0, 2]);
    let share = serde_json::json!([{"name": "s", "events": 3, "end": 3, "stored": 5, "durable": 5}]);
    assert_eq!((&lines[1]["streams"], &lines[1]["ledger"]["accepted"]), (&share, &3.into()));
    assert_eq!(lines[0]["streams"], Value::Array(vec![]));
    // What becomes durable is told now and then.
    desk.journal.told.1 -= STORAGE_EVERY;
    desk.journal.news(None);
    let storage = serde_json::json!([{"name": "s", "stored": 5, "durable": 5}, {"name": "error", "stored": 0, "durable": 0}]);
    assert_eq!(desk.lines()[3]["storage"], storage);
    desk.journal.told.1 -= STORAGE_EVERY;
    desk.journal.news(None);
    assert_eq!(desk.lines().len(), 4, "once");
}

#[test]
fn what_waits_is_bounded_and_says_that_it_is_ahead() {
    let mut desk = Desk::new(Durable::Never);
    desk.store(1);
    (0..WAITING_MAX as u32)
        .for_each(|segment| desk.journal.news(Some(books(segment, 1, u64::from(segment) + 1))));
    assert!(desk.lines().is_empty());
    desk.journal.news(Some(books(9999, 1, 5000)));
    let lines = desk.lines();
    assert_eq!((segments(&lines), &lines[0]["streams"][0]["stored"]), (vec![0], &0.into()));
}
