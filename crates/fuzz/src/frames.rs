//! Streams of frames, and decision records.

use std::cell::RefCell;

use bytes::Bytes;
use tamis_event::record::{self, Record};
use tamis_event::{
    ALIGN, BODY_BYTES_MAX, Defect, FrameHeader, FrameMeta, HEADER_LEN, MAGIC, Scanned, Scanner, Schema,
    SegmentId, Span, crc32c, encode_span, flags,
};

/// For streams without a schema: lists, and payloads.
const SCHEMA: &str = "name = 'fuzz'\n[[field]]\nname = 'hits.x'\ndtype = 'u8'\nlen = '0..2'\n\
    [[field]]\nname = 'a'\ndtype = 'u64'\n[[field]]\nname = 'hits.y'\ndtype = 'f16'\nlen = '0..2'\n[payload]\n";
/// No look at a stream needs more than the longest frame, a header, and the columns behind that.
const LOOK_MAX: usize = 2 * BODY_BYTES_MAX + 4 * HEADER_LEN;

/// What a reader says of a stretch of bytes.
#[derive(Debug, PartialEq)]
enum Finding {
    Frame { len: usize },
    Schema { len: usize },
    Lost { defect: Defect, events: u64, segment: Option<SegmentId>, len: usize },
}

/// A stream as it stands, and once more with checksums that are right, which no fuzzer guesses.
///
/// # Panics
/// If findings depend on how the stream was cut, bytes are left over, or an event of a good frame is not what its frame says.
pub fn frames(bytes: &[u8]) {
    let window = 1 + crc32c(bytes) as usize % 1_000;
    for stream in [bytes.to_vec(), mended(bytes)] {
        let schema = schema_of(&stream)
            .unwrap_or_else(|| parsed(SCHEMA.as_bytes()).expect("it is one, as the tests say"));
        let found = read(&schema, &stream, usize::MAX);
        assert_eq!(found, read(&schema, &stream, window), "windows of {window} bytes");
    }
}

/// A record as it stands, with a right checksum, and with right lengths, too.
///
/// # Panics
/// If a record that was accepted is not what its parts make.
pub fn record(bytes: &[u8]) {
    check_record(bytes);
    let parts = |words: u8, scores: u8| record::len(words.into(), scores.into(), 0);
    let Some(&[words, scores]) = bytes.get(58..60) else { return };
    let (words, scores) = (words % 8, scores % 8);
    let Some(events) = bytes.len().checked_sub(parts(words, scores)) else { return };
    let mut bytes = bytes.to_vec();
    sum(&mut bytes);
    check_record(&bytes);
    // SPEC section 5.
    let event_len = u32::from_le_bytes([bytes[72], bytes[73], 0, 0]).min(events as u32);
    bytes[58..62].copy_from_slice(&[words, 0, scores, 0]);
    bytes[72..76].copy_from_slice(&event_len.to_le_bytes());
    bytes[76..80].copy_from_slice(&(events as u32 - event_len).to_le_bytes());
    sum(&mut bytes);
    check_record(&bytes);
}

/// Puts the checksum of a record in its place.
fn sum(record: &mut [u8]) {
    let end = record::HEADER_LEN;
    let crc = crc32c(&[&record[..end - 4], &record[end..]].concat());
    record[end - 4..end].copy_from_slice(&crc.to_le_bytes());
}

fn check_record(bytes: &[u8]) {
    let Ok(record) = Record::parse(bytes) else { return };
    let (passed, kept): (Vec<u64>, Vec<u64>) = (record.passed().collect(), record.kept().collect());
    let mut again = Vec::new();
    record::append(*record.header(), &passed, &kept, record.scores(), record.event(), &mut again);
    assert!(again == bytes, "the parts of a record make another one");
}

thread_local! {
    /// Texts that were parsed last, and what they gave.
    static PARSED: RefCell<Vec<(Vec<u8>, Option<Schema>)>> = const { RefCell::new(Vec::new()) };
}

/// The schema of a text. Most changes leave the text of a stream's schema alone, and parsing it takes longer than reading all of a short stream.
fn parsed(text: &[u8]) -> Option<Schema> {
    PARSED.with_borrow_mut(|parsed| {
        if let Some((_, schema)) = parsed.iter().find(|(known, _)| known == text) {
            return schema.clone();
        }
        let schema = Schema::parse(text).ok();
        parsed.truncate(15);
        parsed.insert(0, (text.to_vec(), schema.clone()));
        schema
    })
}

/// The schema of the first good schema frame.
fn schema_of(stream: &[u8]) -> Option<Schema> {
    let (mut scanner, mut at) = (Scanner::for_unknown_schema(), 0);
    loop {
        at += match scanner.step(&stream[at..], true) {
            Scanned::Schema { body, .. } => return parsed(&stream[at..][body]),
            Scanned::Frame { consumed, .. }
            | Scanned::Defect { consumed, .. }
            | Scanned::Skip { consumed } => consumed,
            Scanned::NeedMore { .. } | Scanned::End => return None,
        };
    }
}

/// Reads a stream that is shown in pieces of so many bytes.
fn read(schema: &Schema, stream: &[u8], window: usize) -> Vec<Finding> {
    let (mut scanner, mut at, mut found) = (Scanner::new(schema), 0, Vec::new());
    let mut shown = window.min(stream.len());
    loop {
        let bytes = &stream[at..at + shown];
        let consumed = match scanner.step(bytes, at + shown == stream.len()) {
            Scanned::Frame { header, body, consumed } => {
                check_frame(schema, &header, &bytes[body]);
                found.push(Finding::Frame { len: consumed });
                consumed
            }
            Scanned::Schema { consumed, .. } => {
                found.push(Finding::Schema { len: consumed });
                consumed
            }
            Scanned::Defect { defect, events, segment, consumed } => {
                found.push(Finding::Lost { defect, events, segment, len: consumed });
                consumed
            }
            Scanned::Skip { consumed } => {
                let Some(Finding::Lost { len, .. }) = found.last_mut() else {
                    panic!("more of a stretch that never began")
                };
                *len += consumed;
                consumed
            }
            Scanned::NeedMore { bytes } => {
                assert!((shown + 1..=LOOK_MAX).contains(&bytes), "{bytes} bytes are needed of {shown}");
                shown = bytes.max(shown.saturating_add(window)).min(stream.len() - at);
                continue;
            }
            Scanned::End => break,
        };
        assert!((1..=shown).contains(&consumed));
        at += consumed;
        shown = (shown - consumed).max(window).min(stream.len() - at);
    }
    assert_eq!(at, stream.len(), "bytes are left over");
    found
}

/// The events of a good frame, written again, are the frame, and they are the same in two halves.
fn check_frame(schema: &Schema, header: &FrameHeader, body: &[u8]) {
    let span = Span::of_frame(header, &Bytes::copy_from_slice(body));
    let (low, high) = span.id_range();
    for event in (0..span.len()).map(|event| span.event(event)) {
        assert!((low..=high).contains(&event.id));
        assert!(schema.lists().iter().all(|list| list.count(event.record) <= list.most()));
    }
    let middle = span.len() / 2;
    let halves = [span.slice(0, middle), span.slice(middle, span.len())];
    let in_halves = halves.iter().flat_map(|half| (0..half.len()).map(|event| half.event(event)));
    assert!(in_halves.eq((0..span.len()).map(|event| span.event(event))), "other events in two halves");
    let meta = FrameMeta {
        run: header.run,
        segment: header.segment,
        source_id: header.source_id,
        sparse_ids: header.flags & flags::SPARSE_IDS != 0,
        ..FrameMeta::default()
    };
    let mut again = Vec::new();
    encode_span(schema, meta, &span, &mut again);
    assert!(again.starts_with(&header.to_bytes()), "another header");
    assert!(again[HEADER_LEN..].starts_with(body), "another body");
}

/// The stream with right checksums wherever a frame may start, and with the id of its schema in them.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut stream = bytes.to_vec();
    let mut schema_id = None;
    for at in (0..stream.len()).step_by(ALIGN) {
        let Some(mut header) = FrameHeader::read(&stream[at..]).filter(|header| header.magic == MAGIC) else {
            continue;
        };
        let Some(body) = stream[at..].get(header.body()) else { continue };
        if header.is_schema() && schema_id.is_none() {
            schema_id = parsed(body).map(|schema| schema.id());
        }
        header.schema_id = schema_id.unwrap_or(header.schema_id);
        let header = header.sealed(body);
        stream[at..at + HEADER_LEN].copy_from_slice(&header.to_bytes());
    }
    stream
}
