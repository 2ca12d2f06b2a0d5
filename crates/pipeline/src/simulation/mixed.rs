//! Frames of every kind side by side: with and without columns of ids and times, dense and sparse, with payloads and lists.

use tamis_event::{EVENT_BYTES_MAX, FrameEvents, FrameMeta, encode_frame, encode_schema};
use tamis_sim::Mixture;

use super::*;
use crate::ids::{IdBook, IdFault};

const MIXED: &str = r#"
name = "mixed"
[[field]]
name = "energy"
dtype = "f32"
unit = "GeV"
[[field]]
name = "hits"
dtype = "i16"
len = 3
[[field]]
name = "tracks.pt"
dtype = "u16"
len = "0..5"
[[field]]
name = "clock"
dtype = "u64"
[[field]]
name = "tracks.q"
dtype = "i8"
len = "0..5"
[payload]
doc = "Raw data."
"#;

/// Records of the same length: a list is its count and an array.
fn plain_schema() -> Schema {
    let count = "[[field]]\nname = \"count\"\ndtype = \"u8\"\n[[field]]\nname = \"tracks.pt\"";
    let text = MIXED.replace("[[field]]\nname = \"tracks.pt\"", count).replace("\"0..5\"", "5");
    Schema::parse(text.split("[payload]").next().unwrap().as_bytes()).unwrap()
}

fn mixed_case(seed: u64) -> Case {
    Case { schema: MIXED, ..Case::of(seed) }
}

fn schema_frame(schema: &Schema) -> Vec<u8> {
    let mut out = Vec::new();
    encode_schema(schema, FrameMeta::default(), &mut out);
    out
}

/// Frames of up to 50 events, about every tenth of them damaged.
fn mixed(seed: u64, rate: f64, payload_bytes_max: usize) -> Faulted {
    mixed_with(seed, rate, payload_bytes_max, 0)
}

/// The same with one payload of so many bytes.
fn mixed_with(seed: u64, rate: f64, payload_bytes_max: usize, long_payload_bytes: usize) -> Faulted {
    let options = GenOptions {
        seed,
        frame_events: 1 + seed as usize % 50,
        segment_events: 400,
        ..GenOptions::default()
    };
    let (_, plain) = frames_of(&plain_schema(), options, 500 + 10 * (seed % 40));
    let schema = Schema::parse(MIXED.as_bytes()).unwrap();
    let frames = Mixture { seed, payload_bytes_max, long_payload_bytes }.mix(&schema, &plain);
    FaultPlan::new(seed, FaultRates::all(rate)).apply(&schema, &schema_frame(&schema), &frames)
}

#[test]
fn the_ledger_balances_to_the_event_and_the_byte_with_frames_of_every_kind() {
    panics_quietly();
    let mut found = BTreeSet::new();
    for seed in 0..200 {
        let faulted = mixed(seed, 0.02, [0, 5, 300, 20_000][seed as usize % 4]);
        found.extend(faulted.truth.defects.iter().map(|(defect, _)| defect.name()));
        check_balance(seed, &faulted, &mixed_case(seed));
    }
    assert!(found.contains("columns") && found.contains("count"), "{found:?}");
}

/// Faults, duplicates and tight memory beside an event of up to 64 MiB.
#[test]
fn the_ledger_balances_with_events_of_many_megabytes() {
    panics_quietly();
    let record_len = Schema::parse(MIXED.as_bytes()).unwrap().record_len();
    let mut kept = 0;
    for (seed, bytes) in
        [1 << 20, (3 << 20) + 1, 9 << 20, 33 << 20, EVENT_BYTES_MAX - record_len].into_iter().enumerate()
    {
        let seed = 1_000 + seed as u64;
        let faulted = mixed_with(seed, 0.02, 300, bytes);
        let case = Case { windows: vec![1 << 20, usize::MAX], ..mixed_case(seed) };
        check_balance(seed, &faulted, &case);
        let (_, _, streams) = bench(&faulted.bytes, &case).seeded(seed);
        let payload_len = |(_, record): &(u64, Vec<u8>)| Record::parse(record).unwrap().event().payload.len();
        kept += streams.iter().flatten().filter(|record| payload_len(record) == bytes).count();
    }
    assert!(kept > 0, "no long event was stored");
}

/// The longest event that there is, between short ones.
#[test]
fn an_event_of_64_mib_is_stored_as_it_came() {
    let schema = Schema::parse(MIXED.as_bytes()).unwrap();
    let stride = schema.record_len();
    let mut bytes = schema_frame(&schema);
    let lens = [3, EVENT_BYTES_MAX - stride, 0];
    let payloads: Vec<u8> = (0..lens.iter().sum()).map(|k: usize| (k / 251 + k) as u8).collect();
    let mut records = vec![0; 3 * stride];
    records.chunks_exact_mut(stride).for_each(|record| record[4] = 1);
    let ends = [3, lens[1] as u32 + 3, lens[1] as u32 + 3];
    let events =
        FrameEvents { records: &records, ids: &[9, 7, 8], times: &[], ends: &ends, payloads: &payloads };
    encode_frame(&schema, FrameMeta::default(), events, &mut bytes);
    let case = Case { windows: vec![1 << 20, 1 << 24], ..mixed_case(1) };
    let (outcome, _, streams) = bench(&bytes, &case).seeded(1);
    assert_eq!((outcome.balance, outcome.tally.accepted), (Ok(()), 3));
    assert_eq!(streams[0].iter().map(|(id, _)| *id).collect::<Vec<u64>>(), [9, 7, 8]);
    let stored = |k: usize| Record::parse(&streams[0][k].1).unwrap().event().payload;
    assert!([stored(0), stored(1), stored(2)].concat() == payloads, "other payloads");
    assert_eq!(stored(1).len() + stride, EVENT_BYTES_MAX);
}

/// A test of the test: a column that nobody reads is noticed, and so is a record with another byte of payload, another time, or the next id.
#[test]
fn canary_columns_and_payloads() {
    panics_quietly();
    let is_noticed = |seed| {
        let Faulted { bytes, truth } = mixed(seed, 0.0, 300);
        let mut bench = bench(&bytes, &mixed_case(seed));
        bench.pipeline.admission.0.ids = IdBook::default();
        bench.pipeline.admission.0.ids.fault = Some(IdFault::ReadsNoColumn);
        let (outcome, ..) = bench.seeded(seed);
        outcome.tally.missing != truth.missing_events().into()
            || outcome.tally.corrupt.get(Corrupt::Dup) != truth.duplicates.events
    };
    assert!((0..20).any(is_noticed), "a column that nobody reads");
    let Faulted { bytes, truth } = mixed(7, 0.0, 300);
    let (_, _, streams) = bench(&bytes, &mixed_case(7)).seeded(7);
    let long = |(_, bytes): &&(u64, Vec<u8>)| Record::parse(bytes).unwrap().event().payload.len() > 1;
    let (id, bytes) = streams[0].iter().find(long).unwrap();
    let record = Record::parse(bytes).unwrap();
    let Event { record: fields, payload, .. } = record.event();
    let header = *record.header();
    let (passed, kept): (Vec<u64>, Vec<u64>) = (record.passed().collect(), record.kept().collect());
    let stored = |header, payload| {
        let mut out = Vec::new();
        let event = Event { record: fields, payload, ..Event::default() };
        record::append(header, &passed, &kept, record.scores(), event, &mut out);
        out
    };
    assert!(is_as_sent(&truth, *id, &stored(header, payload)), "nothing is wrong");
    let spoiled: Vec<u8> = [&[payload[0] ^ 1], &payload[1..]].concat();
    let later = record::RecordHeader { time_ns: header.time_ns + 1, ..header };
    let next = record::RecordHeader { event_id: header.event_id + 1, ..header };
    for other in [
        stored(header, &spoiled),
        stored(header, &payload[1..]),
        stored(later, payload),
        stored(next, payload),
    ] {
        assert!(!is_as_sent(&truth, *id, &other));
    }
}
