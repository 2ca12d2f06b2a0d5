//! Random menus on random events, checked event by event and bit by bit.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tamis_event::{Block, Dtype, Field, FrameEvents, FrameHeader, FrameMeta, ScoreTable, Span, encode_frame};
use tamis_menu::Decider;

use crate::large;
use crate::oracle::number::{self, Digits, Kind, Number};
use crate::oracle::{self, Event, Names, Tree, Value};
use crate::support::{RUN, SCORES, bit, compiled, schema};

fn names() -> Names {
    let schema = schema();
    let (arrays, scalars): (Vec<_>, Vec<_>) = schema.fields().iter().partition(|field| field.len.is_some());
    let scores = SCORES.map(String::from);
    let group = |list: Option<usize>| {
        let fields = arrays.iter().filter(|field| field.list == list);
        fields.map(|field| (field.name.clone(), field.elements())).collect()
    };
    let others = scores.into_iter().chain(["payload.len".into()]);
    Names {
        scalars: scalars.into_iter().map(|field| field.name.clone()).chain(others).collect(),
        arrays: (0..schema.lists().len()).map(Some).chain([None]).map(group).collect(),
        lists: schema.lists().iter().map(|list| list.name().into()).collect(),
    }
}

/// Section 6 of `SPEC.md`, in 128-bit arithmetic.
fn keeps(name: &str, event_id: u64, n: u64) -> bool {
    let times = |x: u64, y: u64| (u128::from(x) * u128::from(y)) as u64;
    let fnv = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| times(hash ^ u64::from(byte), 0x0100_0000_01B3));
    let golden = 0x9E37_79B9_7F4A_7C15;
    let seed = fnv ^ times(u64::from(RUN), golden);
    let z = (u128::from(seed) + u128::from(times((u128::from(event_id) + 1) as u64, golden))) as u64;
    let z = times(z ^ (z >> 30), 0xBF58_476D_1CE4_E5B9);
    let z = times(z ^ (z >> 27), 0x94D0_49BB_1331_11EB);
    z ^ (z >> 31) <= u64::MAX / n
}

/// Events with everything that a decision may depend on.
#[derive(Debug)]
struct Events {
    records: Vec<u8>,
    payloads: Vec<Vec<u8>>,
    scores: Vec<[f32; 2]>,
    skip: Vec<bool>,
    /// Events per span.
    spans: Vec<usize>,
    /// Spans per block.
    blocks: Vec<usize>,
}

/// Often a byte at an edge of a type. Takes one draw, since most of the time goes into drawing bytes.
fn byte(drawn: u16) -> u8 {
    [0, 1, 2, 128, 255, (drawn >> 8) as u8][usize::from(drawn % 6)]
}

/// Makes a record one of the schema: counts in bounds, and nothing behind the elements of a list. Counts them by section 4 of `SPEC.md`.
fn with_lists(mut record: Vec<u8>) -> Vec<u8> {
    let schema = schema();
    for (k, list) in schema.lists().iter().enumerate() {
        let first = schema.fields().iter().find(|field| field.list == Some(k)).unwrap();
        let count = usize::from(record[first.at - 1]) % (list.most() + 1);
        record[first.at - 1] = count as u8;
        for field in schema.fields().iter().filter(|field| field.list == Some(k)) {
            record[field.bytes()][count * field.dtype.size()..].fill(0);
        }
    }
    record
}

/// A span of some of the events, as it comes out of a frame.
fn span(first_id: u64, records: &[u8], payloads: &[Vec<u8>]) -> Span {
    let schema = schema();
    let ends: Vec<u32> = payloads
        .iter()
        .scan(0, |end, payload| {
            *end += payload.len() as u32;
            Some(*end)
        })
        .collect();
    let payloads = payloads.concat();
    let meta = FrameMeta { first_event_id: first_id, ..FrameMeta::default() };
    let events = FrameEvents { records, ends: &ends, payloads: &payloads, ..FrameEvents::default() };
    let mut frame = Vec::new();
    encode_frame(schema, meta, events, &mut frame);
    let frame = Bytes::from(frame);
    let header = FrameHeader::read(&frame).unwrap();
    Span::of_frame(&header, &frame.slice(header.body()))
}

fn events() -> impl Strategy<Value = Events> {
    let stride = schema().record_len();
    let wide: Vec<(usize, Dtype)> = schema()
        .fields()
        .iter()
        .filter(|field| field.dtype.size() == 8)
        .flat_map(|field| (0..field.elements()).map(|index| (field.element(index).at, field.dtype)))
        .collect();
    let finite = prop::num::f32::NORMAL | prop::num::f32::ZERO | prop::num::f32::SUBNORMAL;
    let scores = prop_oneof![8 => -10.0_f32..10.0, 2 => (0..30_u8).prop_map(|tenth| f32::from(tenth) / 10.0), 1 => finite];
    let event = (
        // Few distinct bytes, so that equalities and edge values occur, negative zeros of an f16 among them.
        prop::collection::vec(any::<u16>().prop_map(byte), stride),
        [scores.clone(), scores],
        prop::bool::weighted(0.1),
        prop::sample::select(vec![0, 1, 2, 22, 300]),
        prop::collection::vec(any::<u16>(), wide.len()),
    )
        .prop_map(move |(mut bytes, scores, skip, len, drawn): (Vec<u8>, _, _, usize, Vec<u16>)| {
            for (&(at, dtype), drawn) in wide.iter().zip(drawn) {
                large::edge(dtype, drawn)
                    .into_iter()
                    .for_each(|edge| bytes[at..at + 8].copy_from_slice(&edge));
            }
            (with_lists(bytes), scores, skip, len)
        });
    let spans = prop::collection::vec(prop_oneof![4 => 0..6_usize, 1 => 0..300_usize], 1..8);
    (spans, prop::collection::vec(1..4_usize, 8)).prop_flat_map(move |(spans, blocks)| {
        let total = spans.iter().sum::<usize>();
        let (spans, blocks) = (spans.clone(), blocks.clone());
        prop::collection::vec(event.clone(), total).prop_map(move |all| Events {
            records: all.iter().flat_map(|(bytes, ..)| bytes.clone()).collect(),
            payloads: all.iter().map(|&(.., len)| vec![7; len]).collect(),
            scores: all.iter().map(|(_, scores, ..)| *scores).collect(),
            skip: all.iter().map(|&(.., skip, _)| skip).collect(),
            spans: spans.clone(),
            blocks: blocks.clone(),
        })
    })
}

/// Decides the events block by block, and compares every bit with the oracle.
fn check(trees: &[(Tree, u64)], events: &Events) {
    let schema = schema();
    let stride = schema.record_len();
    let printed: Vec<_> = trees.iter().map(|(tree, prescale)| (tree.print(), *prescale)).collect();
    let menu = match compiled(&printed) {
        Ok(menu) => Arc::new(menu),
        Err(errors) => {
            // Expressions of literals alone are refused if they have no finite value.
            let refused = |message: &str| {
                ["this divides by zero", "the result is too large a number"].contains(&message)
            };
            assert!(errors.all().iter().all(|error| refused(error.message())), "{errors}");
            return;
        }
    };
    let columns: HashMap<&str, Column> =
        schema.fields().iter().map(|field| (field.name.as_str(), Column::new(field))).collect();
    let capacity = events.skip.len().max(1);
    let mut decider = Decider::new(Arc::clone(&menu), capacity);
    let mut scores = ScoreTable::new(SCORES.len(), capacity);
    let mut spans = events.spans.iter();
    let mut at = 0;
    let mut next_id = 1_000_000_u64;
    for &spans_in_block in &events.blocks {
        let first = at;
        let mut block = Block::new(stride);
        block.reset(RUN, 5);
        let mut ids = Vec::new();
        for &events_in_span in spans.by_ref().take(spans_in_block) {
            let here = at..at + events_in_span;
            if !here.is_empty() {
                let records = &events.records[at * stride..here.end * stride];
                block.push(span(next_id, records, &events.payloads[here]));
            }
            ids.extend(next_id..next_id + events_in_span as u64);
            next_id += events_in_span as u64 + 17;
            at += events_in_span;
        }
        for (k, column) in scores.columns_mut(0, SCORES.len()).enumerate() {
            column.iter_mut().zip(&events.scores[first..at]).for_each(|(to, from)| *to = from[k]);
        }
        let mut skip = vec![0_u64; block.len().div_ceil(64)];
        (first..at)
            .filter(|&k| events.skip[k])
            .for_each(|k| skip[(k - first) / 64] |= 1 << ((k - first) % 64));
        decider.decide(&block, &scores, &skip);
        for (index, &id) in ids.iter().enumerate() {
            let record = &events.records[(first + index) * stride..][..stride];
            let scores = events.scores[first + index];
            let values = |name: &str| match SCORES.iter().position(|score| *score == name) {
                Some(k) => vec![number::float(scores[k].into(), Kind::Single)],
                None if name == "payload.len" => {
                    vec![number::payload_len(events.payloads[first + index].len())]
                }
                None => columns[name].numbers(record),
            };
            let is_array = |name: &str| columns.get(name).is_some_and(|column| column.field.len.is_some());
            let members = |name: &str| members(name, record);
            let is_vague = Cell::new(false);
            let event =
                Event { values: &values, members: &members, is_array: &is_array, is_vague: &is_vague };
            check_event(trees, &printed, &event, (index, id, events.skip[first + index]), &decider);
        }
        check_tails(&decider, trees.len(), block.len());
    }
}

/// The number of elements of the list that a field belongs to, or that has this name.
fn members(name: &str, record: &[u8]) -> Option<usize> {
    let schema = schema();
    let list = name.split('.').next().unwrap();
    let mut fields = schema.fields().iter();
    let first = fields.find(|field| field.list.is_some() && field.name.split('.').next() == Some(list))?;
    Some(record[first.at - 1].into())
}

/// A field of the schema, and how its numbers come out of a record.
pub struct Column {
    pub field: Field,
    /// For an integer field, unless its scale has too many digits.
    digits: Option<Digits>,
}

impl Column {
    pub fn new(field: &Field) -> Self {
        let is_exact = field.name != "l.i16";
        let range = field.dtype.integer_range().filter(|_| is_exact);
        Self {
            field: field.clone(),
            digits: range.map(|range| Digits::new(range, field.scale, field.offset)),
        }
    }

    fn numbers(&self, record: &[u8]) -> Vec<Number> {
        (0..self.field.elements()).map(|index| self.number(index, record)).collect()
    }

    pub fn number(&self, index: usize, record: &[u8]) -> Number {
        let Field { dtype, scale, offset, at, .. } = self.field;
        let bytes = &record[at + index * dtype.size()..];
        let raw = dtype.read(bytes);
        let is_plain = scale == 1.0 && offset == 0.0;
        match self.digits {
            Some(digits) => digits.number(dtype.read_integer(bytes).unwrap()),
            None if dtype == Dtype::F64 => number::float(raw * scale, Kind::Double),
            None if dtype.integer_range().is_some() => number::float(raw * scale, Kind::Double),
            None if is_plain => {
                number::float(raw, if dtype == Dtype::F16 { Kind::Half } else { Kind::Single })
            }
            // Without an offset a negative zero stays one.
            None if offset == 0.0 => number::float(raw * scale, Kind::FromSingle),
            None => number::float(raw * scale + offset, Kind::FromSingle),
        }
    }
}

/// Does the condition read a field that is NaN?
fn reads_nan(tree: &Tree, event: &Event<'_>) -> bool {
    let mut found = false;
    tree.for_each_name(&mut |name, index| {
        let is_nan = |number: &Number| matches!(number, Number::Nan(_));
        let numbers = (event.values)(name);
        found |= index.map_or_else(|| numbers.iter().any(is_nan), |index| is_nan(&numbers[index]));
    });
    found
}

fn check_event(
    trees: &[(Tree, u64)],
    printed: &[(String, u64)],
    event: &Event<'_>,
    (index, id, skipped): (usize, u64, bool),
    decider: &Decider,
) {
    let mut any = false;
    let mut words = [0_u64; 2];
    let mut streams = 0_u64;
    let conditions = trees.iter().map(|(tree, _)| match tree.value(event) {
        Value::Flag(holds) => holds,
        other => panic!("{other:?} is no condition"),
    });
    let conditions: Vec<Option<bool>> = conditions.collect();
    let has_nan = trees.iter().any(|(tree, _)| reads_nan(tree, event));
    if event.is_vague.get() && !has_nan {
        return;
    }
    let undecided = !skipped && (has_nan || conditions.contains(&None));
    assert_eq!(bit(decider.undecided(), index), undecided, "event {index}: {printed:?}");
    for (line, (_, prescale)) in trees.iter().enumerate() {
        let passed = conditions[line] == Some(true) && !skipped && !undecided;
        let kept = passed && keeps(&format!("line-{line}"), id, *prescale);
        assert_eq!(bit(decider.passed(line), index), passed, "event {index}: {}", printed[line].0);
        assert_eq!(bit(decider.kept(line), index), kept, "event {index}, id {id}, prescale {prescale}");
        any |= kept;
        words[0] |= u64::from(passed) << line;
        words[1] |= u64::from(kept) << line;
        if kept {
            streams |= if line % 3 == 0 { 0b11 } else { 0b01 };
        }
    }
    assert_eq!(bit(decider.kept_any(), index), any);
    let (mut passed, mut kept) = ([u64::MAX], [u64::MAX]);
    decider.event_words(index, &mut passed, &mut kept);
    assert_eq!([passed[0], kept[0]], words);
    assert_eq!(decider.event_streams(index), streams);
}

/// Checks that the sets have the right length and no bit beyond the last event.
fn check_tails(decider: &Decider, lines: usize, events: usize) {
    for line in 0..lines {
        for set in [decider.passed(line), decider.kept(line), decider.kept_any()] {
            assert_eq!(set.len(), events.div_ceil(64));
            assert!((events..set.len() * 64).all(|index| !bit(set, index)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_those_of_the_oracle(
        trees in prop::collection::vec((oracle::condition(&names()), prop_oneof![Just(1), 1..5_u64]), 1..5),
        events in events(),
    ) {
        check(&trees, &events);
    }
}
