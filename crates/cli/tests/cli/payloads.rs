//! Events with raw data beside their features, times and ids of their own: from a recording through a run to what people see of the stored file.

use serde_json::{Value, json};
use tamis_event::{FrameEvents, FrameMeta, Schema, encode_frame, encode_schema};

use crate::support::Lab;

const SCHEMA: &str = "name = 'raw'\n[[field]]\nname = 'x'\ndtype = 'f32'\n[payload]\ndoc = 'All samples.'\n";

/// Events of a frame: id, time, `x`, payload.
type Events<'a> = &'a [(u64, u64, f32, &'a [u8])];

/// A recording of frames that have every column.
fn recording(frames: &[Events<'_>]) -> Vec<u8> {
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    encode_schema(&schema, FrameMeta::default(), &mut bytes);
    for events in frames {
        let ids: Vec<u64> = events.iter().map(|event| event.0).collect();
        let times: Vec<u64> = events.iter().map(|event| event.1).collect();
        let records: Vec<u8> = events.iter().flat_map(|event| event.2.to_le_bytes()).collect();
        let payloads: Vec<Vec<u8>> = events.iter().map(|event| event.3.to_vec()).collect();
        let ends: Vec<u32> = (1..=payloads.len()).map(|n| payloads[..n].concat().len() as u32).collect();
        let meta = FrameMeta { run: 1, segment: 2, sparse_ids: true, ..FrameMeta::default() };
        let payloads = payloads.concat();
        let parts =
            FrameEvents { records: &records, ids: &ids, times: &times, ends: &ends, payloads: &payloads };
        encode_frame(&schema, meta, parts, &mut bytes);
    }
    bytes
}

#[test]
fn a_payload_is_stored_with_its_event_and_read_back_verbatim() {
    // Longer than a read buffer, and than what a batch may have of payloads.
    let long: Vec<u8> = (0..20_000_000_u32).map(|k| (k.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let lab = Lab::new();
    lab.write(
        "in.tmf",
        recording(&[
            &[(70, 5, 500.0, b"kept"), (7, 6, 1.0, b"rejected"), (700, 7, 300.0, b"")],
            &[(8, 9, 200.0, &long), (7, 9, 900.0, b"came before")],
            &[(9, 10, 100.0, b"kept, too")],
        ]),
    );
    let (code, report) = lab.replay("in.tmf", "");
    let ledger = &report["ledger"];
    assert_eq!((code, &ledger["accepted"], &ledger["rejected"]), (75, &json!(4), &json!(1)), "{report}");
    assert_eq!(ledger["corrupt"]["dup"], 1, "an id that came before, in a column");
    let stored = "out/in-physics-0001.mcap";
    let shown = lab.tamis(&format!("cat {stored} --jsonl"));
    let events: Vec<Value> = shown.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> =
        events.iter().map(|event| (&event["event"], &event["time_ns"], &event["payload_bytes"])).collect();
    let wanted = [(70, 5, 4), (700, 7, 0), (8, 9, 20_000_000), (9, 10, 9)];
    assert_eq!(json!(found), json!(wanted), "in the order of arrival, each with its own time");
    let bytes = |line: &str| lab.command(line.split_whitespace()).output().unwrap().stdout;
    let payload = |event: u64| bytes(&format!("cat {stored} --event {event} --payload"));
    assert_eq!(
        (payload(70), payload(700), payload(9)),
        (b"kept".to_vec(), Vec::new(), b"kept, too".to_vec())
    );
    assert!(payload(8) == long, "the long payload differs");
    assert_eq!(bytes("cat in.tmf --event 9 --payload"), b"kept, too");

    let verified = lab.tamis(&format!("verify {stored} out/in.ledger.jsonl"));
    assert_eq!(verified.code, Some(0), "{verified:?}");
    for (file, payloads) in [("in.tmf", 20_000_032), (stored, 20_000_013)] {
        let info: Value = serde_json::from_str(&lab.tamis(&format!("info {file} --json")).out).unwrap();
        let sizes = json!({"doc": "All samples.", "bytes": payloads, "shortest": 0, "longest": 20_000_000});
        assert_eq!(
            (&info["payloads"], &info["first_id"], &info["last_id"]),
            (&sizes, &json!(if file == stored { 8 } else { 7 }), &json!(700))
        );
    }
}

#[test]
fn an_id_of_two_runs_is_said_to_be_two_events() {
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    encode_schema(&schema, FrameMeta::default(), &mut bytes);
    for (run, payload) in [(1, b"one"), (2, b"two")] {
        let meta = FrameMeta { run, first_event_id: 5, ..FrameMeta::default() };
        let records = 1_f32.to_le_bytes();
        let parts =
            FrameEvents { records: &records, ends: &[3], payloads: payload, ..FrameEvents::default() };
        encode_frame(&schema, meta, parts, &mut bytes);
    }
    let lab = Lab::new();
    lab.write("in.tmf", bytes);
    let both = lab.tamis("cat in.tmf --event 5 --payload");
    assert!(both.out == "onetwo" && both.err.contains("more than once"), "{both:?}");
    let one = lab.tamis("cat in.tmf --event 5 --run 2 --payload");
    assert_eq!((one.code, one.out.as_str(), one.err.as_str()), (Some(0), "two", ""));
    let none = lab.tamis("cat in.tmf --event 5 --segment 9 --payload");
    assert_eq!((none.code, none.out.as_str()), (Some(65), ""), "{none:?}");
}

/// `gen` makes events without payload bytes, too, and says of a length what is wrong with it.
#[test]
fn payloads_are_made_of_any_length() {
    let lab = Lab::new();
    lab.write("raw.toml", SCHEMA);
    let made = lab.tamis("gen --schema raw.toml --events 200 --payload 0B..3B --event-times --out g.tmf");
    assert_eq!(made.code, Some(0), "{made:?}");
    let info: Value = serde_json::from_str(&lab.tamis("info g.tmf --json").out).unwrap();
    assert_eq!((&info["payloads"]["shortest"], &info["payloads"]["longest"]), (&json!(0), &json!(3)));
    // At 40 MHz; the time of event 0 is 0, which is unknown.
    let times = (&info["first_time_ns"], &info["last_time_ns"], &info["event_times"]);
    assert_eq!(times, (&json!(25), &json!(199 * 25), &json!(true)));
    for (sizes, wrong) in [("2B..1B", "write the shorter one first"), ("64MiB", "at most 67108864")] {
        let ran = lab.tamis(&format!("gen --schema raw.toml --events 2 --payload {sizes} --out h.tmf"));
        assert!(ran.code == Some(64) && ran.err.contains(wrong), "{sizes}: {ran:?}");
    }
}

#[test]
fn where_there_are_no_payloads_it_is_said() {
    let lab = Lab::new();
    lab.write("raw.toml", SCHEMA);
    lab.write("t.csv", "x\n1\n");
    let table = lab.tamis("convert t.csv --schema raw.toml --out t.tmf");
    assert_eq!(table.code, Some(65));
    assert!(table.err.contains("a table has none; leave [payload] out"), "{}", table.err);
    lab.write("plain.toml", "name = 'p'\n[[field]]\nname = 'x'\ndtype = 'f32'\n");
    assert_eq!(lab.tamis("convert t.csv --schema plain.toml --out t.tmf").code, Some(0));
    let shown = lab.tamis("cat t.tmf --payload");
    assert_eq!(
        (shown.code, shown.err.contains("the events of this file have no payload")),
        (Some(64), true),
        "{shown:?}"
    );
}
