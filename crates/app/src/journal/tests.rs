//! What stands in the ledger, and when.

use serde_json::Value;
use tamis_event::SegmentId;
use tamis_ledger::Tally;
use tamis_pipeline::Share;
use tamis_store::{Compression, Durable, McapSink, Press, Provenance, StreamPlan};

use super::*;

const SCHEMA: &str = "name = \"t\"\n[[field]]\nname = \"a\"\ndtype = \"u8\"\n";
const MENU: &str = r#"
name = "m"
[[stream]]
name = "s"
[[line]]
name = "some"
when = "a > 0"
streams = ["s"]
[[line]]
name = "none"
when = "a > 300"
streams = ["s"]
"#;

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
            press: Press::new(Compression::default(), Some(1)),
            provenance: Arc::new(provenance),
        };
        let sink = McapSink::new(plan).unwrap();
        let streams = vec![("s".into(), sink.progress()), ("error".into(), Arc::default())];
        let journal = Journal::new(folder.path(), claim, compiled, streams);
        Self { folder, journal, sink }
    }

    /// Stores so many records.
    fn store(&mut self, records: u64) {
        use tamis_event::{Event, record};
        use tamis_port::{Sink as _, Stored};
        for event_id in 0..records {
            let mut bytes = Vec::new();
            let header = record::RecordHeader { event_id, ..record::RecordHeader::blank() };
            record::append(
                header,
                &[1],
                &[1],
                [].into_iter(),
                Event { record: &[1], ..Event::default() },
                &mut bytes,
            );
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

/// Books of a segment that received 100 bytes.
fn books(segment: u32, events: u64, end: u64) -> SegmentBooks {
    let mut tally = Tally { received: events, accepted: events, ..Tally::new(2, 1) };
    tally.lines[0].passed = events;
    tally.frames.bytes = 100;
    SegmentBooks {
        id: SegmentId { run: 1, segment },
        tally,
        streams: vec![Share { events, end }, Share::default()],
    }
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
fn what_waits_is_bounded_and_never_ahead() {
    let mut desk = Desk::new("every=1ms".parse().unwrap());
    desk.tick(0);
    let events = 3 * WAITING_MAX as u64;
    for segment in 0..events {
        desk.journal.news(Some(books(segment as u32, 1, segment + 1)));
        assert!(desk.journal.waiting.len() <= WAITING_MAX && desk.lines().is_empty());
    }
    desk.store(events);
    desk.tick(2_000_000);
    desk.journal.close();
    let mut lines = desk.lines();
    lines.retain(|line| line["storage"].is_null());
    assert!(lines.len() > WAITING_MAX / 4, "{}", lines.len());
    let mut next = 0;
    for line in &lines {
        let (from, to) = if line["from"].is_null() { (line, line) } else { (&line["from"], &line["to"]) };
        let count = line["segments"].as_u64().unwrap_or(1);
        let share = &line["streams"][0];
        let expected = (next, next + count - 1, count, next + count, true);
        let number = |value: &Value| value.as_u64().unwrap();
        let found = (
            number(&from["segment"]),
            number(&to["segment"]),
            number(&share["events"]),
            number(&share["end"]),
        );
        let is_stored = number(&share["stored"]) >= number(&share["end"]);
        assert_eq!((found.0, found.1, found.2, found.3, is_stored), expected, "{line}");
        next += count;
    }
    assert_eq!(next, events);
}

#[test]
fn the_file_has_room_for_a_share_of_what_arrived_and_all_lines_together_are_the_run() {
    let mut desk = Desk::new(Durable::Never);
    let segments: u32 = 20_000;
    // Every tenth segment gives an event, which is never stored.
    for segment in 0..segments {
        let events = u64::from(segment % 10 == 9);
        desk.journal.news(Some(books(segment, events, u64::from(segment) / 10 + 1)));
    }
    let room = ROOM_MIN + u64::from(segments) * 100 / ROOM_SHARE;
    let size = desk.journal.written;
    assert!((room..room + 2000).contains(&size), "{size} bytes, room for {room}");
    let lines = desk.lines();
    assert!(lines.iter().all(|line| line["streams"] == Value::Array(vec![])), "nothing is stored");
    assert_eq!((&lines[0]["segment"], &lines[0]["lines"]), (&0.into(), &Value::Array(vec![])));
    let last = lines.last().unwrap();
    assert!(last["segments"].as_u64().unwrap() > 50 && last["segment"].is_null(), "{last}");
    desk.journal.close();
    let lines = desk.lines();
    let sum = |of: &dyn Fn(&Value) -> Option<u64>| lines.iter().filter_map(of).sum::<u64>();
    assert_eq!(sum(&|line| Some(line["segments"].as_u64().unwrap_or(1))), u64::from(segments));
    assert_eq!(sum(&|line| line["ledger"]["frames"]["bytes"].as_u64()), u64::from(segments) * 100);
    assert_eq!(sum(&|line| line["ledger"]["accepted"].as_u64()), u64::from(segments) / 10);
    // What is not stored is apart, and says so.
    let (lost, stored) = lines.split_last().unwrap();
    assert!(stored.iter().all(|line| line["streams"] == Value::Array(vec![])));
    let share = serde_json::json!([{"name": "s", "events": 2000, "end": 2000, "stored": 0, "durable": 0}]);
    assert_eq!(
        (&lost["streams"], &lost["lines"]),
        (&share, &serde_json::json!([{"name": "some", "passed": 2000, "kept": 0}]))
    );
}
