//! Bytes written from `SPEC.md` by `scripts/golden_frames.py`, read by the Rust code, and written again byte for byte.

use bytes::Bytes;
use tamis_event::record::{self, Record, RecordHeader};
use tamis_event::{
    Block, Event, FrameEvents, FrameMeta, Scanned, Scanner, Schema, Span, encode_frame, encode_schema, flags,
};
use toml::{Table, Value};

/// A stream, and what it means.
const STREAMS: [(&[u8], &str); 2] = [
    (include_bytes!("../../golden/stream.tmf"), include_str!("../../golden/stream.toml")),
    (include_bytes!("../../golden/raw.tmf"), include_str!("../../golden/raw.toml")),
];
const DEFECTS: [(&[u8], &str); 2] = [
    (include_bytes!("../../golden/defects.tmf"), include_str!("../../golden/defects.toml")),
    (include_bytes!("../../golden/raw_defects.tmf"), include_str!("../../golden/raw_defects.toml")),
];
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

fn numbers(table: &Table, key: &str) -> Vec<u64> {
    let parsed = |value: &Value| value.as_str().unwrap().parse().unwrap();
    table.get(key).map_or(Vec::new(), |value| list(value, parsed))
}

/// Bytes stand in hexadecimal.
fn bytes_of(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len() / 2).map(|k| u8::from_str_radix(&digits[2 * k..][..2], 16).unwrap()).collect()
}

/// The schema of a golden stream and the bytes of its schema frame.
fn read_schema(stream: &[u8]) -> (Schema, usize) {
    let Scanned::Schema { body, consumed, .. } = Scanner::for_unknown_schema().step(stream, true) else {
        panic!("the golden stream starts with a schema frame")
    };
    (Schema::parse(&stream[body]).unwrap(), consumed)
}

#[test]
fn the_streams_mean_what_the_spec_says() {
    STREAMS.into_iter().for_each(|(stream, meaning)| check_stream(stream, &meaning.parse().unwrap()));
}

fn check_stream(stream: &[u8], meaning: &Table) {
    let (schema, mut at) = read_schema(stream);
    assert_eq!(
        (schema.id(), schema.record_len() as u64),
        (number(meaning, "schema_id"), number(meaning, "stride"))
    );
    let mut again = Vec::new();
    encode_schema(&schema, FrameMeta::default(), &mut again);
    let mut scanner = Scanner::new(&schema);
    for wanted in meaning["frame"].as_array().unwrap() {
        let wanted = wanted.as_table().unwrap();
        let Scanned::Frame { header, body, consumed } = scanner.step(&stream[at..], true) else {
            panic!("no frame at byte {at}")
        };
        let mut block = Block::new(schema.record_len());
        block.push(Span::of_frame(&header, &Bytes::copy_from_slice(&stream[at..][body])));
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
        let payloads =
            wanted.get("payloads").map_or(vec![Vec::new(); block.len()], |value| list(value, bytes_of));
        let events: Vec<Event<'_>> = (0..block.len()).map(|event| block.event(event)).collect();
        check_events(&schema, &events, wanted);
        for (k, event) in events.iter().enumerate() {
            let or_first = |numbers: Vec<u64>, first: u64| numbers.get(k).copied().unwrap_or(first);
            assert_eq!(
                event.id,
                or_first(numbers(wanted, "ids"), meta.first_event_id.wrapping_add(k as u64))
            );
            assert_eq!(event.time_ns, or_first(numbers(wanted, "times"), meta.time_ns));
            assert_eq!((event.source, event.payload), (meta.source_id, &payloads[k][..]));
        }
        let records: Vec<u8> = events.iter().flat_map(|event| event.record.to_vec()).collect();
        let ends: Vec<u32> = (1..=payloads.len()).map(|n| payloads[..n].concat().len() as u32).collect();
        let has_payloads = schema.payload().is_some();
        let parts = FrameEvents {
            records: &records,
            ids: &numbers(wanted, "ids"),
            times: &numbers(wanted, "times"),
            ends: if has_payloads { &ends } else { &[] },
            payloads: &payloads.concat(),
        };
        encode_frame(&schema, meta, parts, &mut again);
    }
    assert_eq!(scanner.step(&stream[at..], true), Scanned::End);
    assert!(again == stream, "the encoder writes other bytes than the spec");
}

/// The numbers of the fields, and the counts of the lists.
fn check_events(schema: &Schema, events: &[Event<'_>], wanted: &Table) {
    let elements: Vec<_> =
        schema.fields().iter().flat_map(|field| (0..field.elements()).map(|k| field.element(k))).collect();
    let physical =
        |event: &Event<'_>| elements.iter().map(|one| one.physical(event.record)).collect::<Vec<f64>>();
    let integer = |event: &Event<'_>| {
        let of_each = elements.iter().filter_map(|one| one.dtype.read_integer(&event.record[one.at..]));
        of_each.map(|number| number.to_string()).collect::<Vec<_>>()
    };
    let counts = |event: &Event<'_>| {
        schema.lists().iter().map(|list| list.count(event.record).to_string()).collect::<Vec<_>>()
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let floats = |row: &Value| list(row, |value| value.as_float().unwrap());
    assert_eq!(events.iter().map(physical).collect::<Vec<_>>(), list(&wanted["events"], floats));
    let texts = |key: &str| list(&wanted[key], |row| list(row, text));
    assert_eq!(events.iter().map(integer).collect::<Vec<_>>(), texts("integers"));
    assert_eq!(events.iter().map(counts).collect::<Vec<_>>(), texts("counts"));
}

/// The bytes of every good event frame that a scanner finds.
fn frames_in(schema: &Schema, stream: &[u8]) -> Vec<Vec<u8>> {
    let mut scanner = Scanner::new(schema);
    let mut at = 0;
    let mut frames = Vec::new();
    loop {
        at += match scanner.step(&stream[at..], true) {
            Scanned::Frame { body, consumed, .. } => {
                frames.push(stream[at..][..body.end].to_vec());
                consumed
            }
            Scanned::Schema { consumed, .. }
            | Scanned::Defect { consumed, .. }
            | Scanned::Skip { consumed } => consumed,
            Scanned::End => return frames,
            Scanned::NeedMore { bytes } => panic!("{bytes} bytes wanted of a stream that ended"),
        };
        assert!(at <= stream.len());
    }
}

/// Whatever bit is wrong, its frame is lost and no other; wherever the stream is cut, the frames before that are whole.
#[test]
fn every_flipped_bit_and_every_cut_costs_one_frame() {
    for (stream, _) in STREAMS {
        let (schema, start) = read_schema(stream);
        let whole = frames_in(&schema, stream);
        let lens = whole.iter().map(|frame| frame.len().next_multiple_of(64));
        let starts: Vec<usize> = lens.scan(start, |at, len| Some(std::mem::replace(at, *at + len))).collect();
        for bit in 0..stream.len() * 8 {
            let mut damaged = stream.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let hit = starts
                .iter()
                .zip(&whole)
                .position(|(&at, frame)| (at..at + frame.len()).contains(&(bit / 8)));
            let wanted: Vec<_> =
                (0..whole.len()).filter(|&k| Some(k) != hit).map(|k| whole[k].clone()).collect();
            assert!(frames_in(&schema, &damaged) == wanted, "bit {bit}");
        }
        for cut in 0..stream.len() {
            let before = starts.iter().zip(&whole).filter(|&(at, frame)| at + frame.len() <= cut).count();
            assert!(frames_in(&schema, &stream[..cut]) == whole[..before], "cut at {cut}");
        }
    }
}

#[test]
fn every_cause_is_found_once_and_the_next_frame_survives() {
    DEFECTS.into_iter().for_each(|(stream, meaning)| check_defects(stream, &meaning.parse().unwrap()));
}

fn check_defects(stream: &[u8], meaning: &Table) {
    let (schema, start) = read_schema(stream);
    let mut scanner = Scanner::new(&schema);
    let mut at = start;
    let mut found = Vec::new();
    loop {
        match scanner.step(&stream[at..], true) {
            Scanned::Frame { header, consumed, .. } => {
                found.push(format!("frame {}", header.first_event_id));
                at += consumed;
            }
            Scanned::Defect { defect, events, consumed, .. } => {
                found.push(format!("{} {events}", defect.name()));
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
        payload_len: get("payload_len") as u32,
        crc: record.header().crc,
        ..RecordHeader::blank()
    };
    assert_eq!(*record.header(), wanted);
    let words = |key: &str| list(&meaning[key], |v| v.as_str().unwrap().parse::<u64>().unwrap());
    let scores = list(&meaning["scores"], |v| v.as_float().unwrap() as f32);
    assert_eq!(record.passed().collect::<Vec<_>>(), words("passed"));
    assert_eq!(record.kept().collect::<Vec<_>>(), words("kept"));
    assert_eq!(record.scores().collect::<Vec<_>>(), scores);

    assert_eq!(record.event().payload, bytes_of(&meaning["payload"]));
    let mut again = Vec::new();
    record::append(wanted, &words("passed"), &words("kept"), scores.into_iter(), record.event(), &mut again);
    assert!(again == bytes, "the record writer writes other bytes than the spec");
}
