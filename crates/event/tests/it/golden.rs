//! Bytes written from `SPEC.md` by `scripts/golden_frames.py`, read by the Rust code, and written again byte for byte.

use tamis_event::record::{self, Record, RecordHeader};
use tamis_event::{Defect, FrameMeta, Scanned, Scanner, Schema, encode_events, encode_schema, flags};
use toml::{Table, Value};

const STREAM: &[u8] = include_bytes!("../../golden/stream.tmf");
const STREAM_MEANING: &str = include_str!("../../golden/stream.toml");
const DEFECTS: &[u8] = include_bytes!("../../golden/defects.tmf");
const DEFECTS_MEANING: &str = include_str!("../../golden/defects.toml");
const RECORDS: [(&[u8], &str); 2] = [
    (include_bytes!("../../golden/record.bin"), include_str!("../../golden/record.toml")),
    (include_bytes!("../../golden/error.bin"), include_str!("../../golden/error.toml")),
];

/// Unsigned 64-bit numbers stand as text: a TOML integer is signed.
fn number(table: &Table, key: &str) -> u64 {
    table[key].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{key} of {table}"))
}

fn list<T>(value: &Value, each: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(each).collect()
}

/// The schema of a golden stream and the bytes of its schema frame.
fn read_schema(stream: &[u8]) -> (Schema, usize) {
    let Scanned::Schema { payload, consumed, .. } = Scanner::for_unknown_schema().step(stream, true) else {
        panic!("the golden stream starts with a schema frame")
    };
    (Schema::parse(&stream[payload]).unwrap(), consumed)
}

#[test]
fn the_stream_means_what_the_spec_says() {
    let meaning: Table = STREAM_MEANING.parse().unwrap();
    let (schema, mut at) = read_schema(STREAM);
    assert_eq!(
        (schema.id(), schema.record_len() as u64),
        (number(&meaning, "schema_id"), number(&meaning, "stride"))
    );
    let elements: Vec<_> =
        schema.fields().iter().flat_map(|field| (0..field.elements()).map(|k| field.element(k))).collect();

    let mut again = Vec::new();
    encode_schema(&schema, FrameMeta::default(), &mut again);
    let mut scanner = Scanner::new(&schema);
    for wanted in meaning["frame"].as_array().unwrap() {
        let wanted = wanted.as_table().unwrap();
        let Scanned::Frame { header, payload, consumed } = scanner.step(&STREAM[at..], true) else {
            panic!("no frame at byte {at}")
        };
        let payload = &STREAM[at..][payload];
        at += consumed;
        let meta = FrameMeta {
            run: number(wanted, "run") as u32,
            segment: number(wanted, "segment") as u32,
            source_id: number(wanted, "source_id") as u16,
            first_event_id: number(wanted, "first"),
            time_ns: number(wanted, "time_ns"),
            sparse_ids: number(wanted, "flags") == u64::from(flags::SPARSE_IDS),
        };
        let found = (header.run, header.segment, header.source_id, header.first_event_id, header.time_ns);
        assert_eq!(found, (meta.run, meta.segment, meta.source_id, meta.first_event_id, meta.time_ns));
        let physical = |record| elements.iter().map(|element| element.physical(record)).collect::<Vec<f64>>();
        let events: Vec<_> = payload.chunks_exact(schema.record_len()).map(physical).collect();
        assert_eq!(events, list(&wanted["events"], |row| list(row, |v| v.as_float().unwrap())));
        encode_events(&schema, meta, payload, &mut again);
    }
    assert_eq!(scanner.step(&STREAM[at..], true), Scanned::End);
    assert!(again == STREAM, "the encoder writes other bytes than the spec");
}

#[test]
fn every_cause_is_found_once_and_the_next_frame_survives() {
    let meaning: Table = DEFECTS_MEANING.parse().unwrap();
    let (schema, start) = read_schema(DEFECTS);
    let mut scanner = Scanner::new(&schema);
    let mut at = start;
    let mut found = Vec::new();
    loop {
        match scanner.step(&DEFECTS[at..], true) {
            Scanned::Frame { header, consumed, .. } => {
                found.push(format!("frame {}", header.first_event_id));
                at += consumed;
            }
            Scanned::Defect { defect, events, consumed, .. } => {
                found.push(format!("{} {events}", cause(defect)));
                at += consumed;
            }
            Scanned::Skip { consumed } => at += consumed,
            Scanned::End => break,
            other => panic!("{other:?} at byte {at}"),
        }
    }
    let mut wanted = Vec::new();
    for part in meaning["part"].as_array().unwrap() {
        wanted.push(format!("{} {}", part["cause"].as_str().unwrap(), part["events"]));
        wanted.extend(part.get("then_id").map(|id| format!("frame {id}")));
    }
    assert_eq!(found, wanted);
}

/// The names of `SPEC.md` section 3.
fn cause(defect: Defect) -> &'static str {
    match defect {
        Defect::Magic => "magic",
        Defect::Version => "version",
        Defect::Header => "header",
        Defect::Oversize => "oversize",
        Defect::Zero => "zero",
        Defect::Length => "length",
        Defect::Torn => "torn",
        Defect::Crc => "crc",
        Defect::Schema => "schema",
    }
}

#[test]
fn records_mean_what_the_spec_says() {
    RECORDS.into_iter().for_each(|(bytes, meaning)| check_record(bytes, &meaning.parse().unwrap()));
}

fn check_record(bytes: &[u8], meaning: &Table) {
    let get = |key| number(meaning, key);
    let record = Record::parse(bytes).unwrap();
    let wanted = RecordHeader {
        event_id: get("event_id"),
        time_ns: get("time_ns"),
        menu_hash: get("menu_hash"),
        model_hash: get("model_hash"),
        schema_id: get("schema_id"),
        run: get("run") as u32,
        segment: get("segment") as u32,
        source_id: get("source_id") as u16,
        n_words: get("n_words") as u16,
        n_scores: get("n_scores") as u16,
        engine: get("engine") as u8,
        rung: get("rung") as u8,
        fault: get("fault") as u8,
        guilty_model: get("guilty_model") as u8,
        block_index: get("block_index") as u16,
        block_last: get("block_last") as u16,
        flags: get("flags") as u8,
        event_len: get("event_len") as u32,
        crc: record.header().crc,
        ..RecordHeader::blank()
    };
    assert_eq!(*record.header(), wanted);
    let words = |key: &str| list(&meaning[key], |v| v.as_str().unwrap().parse::<u64>().unwrap());
    let scores = list(&meaning["scores"], |v| v.as_float().unwrap() as f32);
    assert_eq!(record.passed().collect::<Vec<_>>(), words("passed"));
    assert_eq!(record.kept().collect::<Vec<_>>(), words("kept"));
    assert_eq!(record.scores().collect::<Vec<_>>(), scores);

    let mut again = Vec::new();
    record::append(wanted, &words("passed"), &words("kept"), scores.into_iter(), record.event(), &mut again);
    assert!(again == bytes, "the record writer writes other bytes than the spec");
}
