//! Decisions against an independent evaluator, for any expressions, any bytes and any way to cut the events into blocks and spans.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod oracle;

use std::sync::Arc;

use oracle::{Event, Names, Tree, Value};
use proptest::prelude::*;
use tamis_event::{Block, Schema, ScoreTable, Span};
use tamis_menu::{CompiledMenu, Decider, Menu};

/// Every type, scales of both signs, offsets; all arrays have 3 elements, so that they can be combined.
const SCHEMA: &str = r#"
name = "all"
field = [
    { name = "a.u8", dtype = "u8", scale = 0.5 },
    { name = "b.i8", dtype = "i8", len = 3, scale = -0.25, offset = 1.0 },
    { name = "c.u16", dtype = "u16", len = 3 },
    { name = "d.i16", dtype = "i16", len = 3, scale = 0.0435 },
    { name = "e.u32", dtype = "u32", scale = 0.1 },
    { name = "f.i32", dtype = "i32", scale = 1e-3, offset = -7.5 },
    { name = "g.f16", dtype = "f16", len = 3 },
    { name = "h.f32", dtype = "f32", scale = 2.0 },
]
"#;
const SCORES: [&str; 2] = ["m.one", "m.two"];
const RUN: u32 = 321_123;

fn schema() -> Schema {
    Schema::parse(SCHEMA.as_bytes()).unwrap()
}

fn names() -> Names {
    let schema = schema();
    let (arrays, scalars): (Vec<_>, Vec<_>) = schema.fields().iter().partition(|field| field.len.is_some());
    let scores = SCORES.map(String::from);
    Names {
        scalars: scalars.into_iter().map(|field| field.name.clone()).chain(scores).collect(),
        arrays: arrays.into_iter().map(|field| (field.name.clone(), field.elements())).collect(),
    }
}

fn compile(conditions: &[(String, u64)]) -> Arc<CompiledMenu> {
    let mut text = String::from("name = 'test'\n[[stream]]\nname = 'even'\n[[stream]]\nname = 'third'\n");
    for (line, (when, prescale)) in conditions.iter().enumerate() {
        let streams = if line % 3 == 0 { "['third', 'even']" } else { "['even']" };
        text += &format!(
            "[[line]]\nname = 'line-{line}'\nwhen = '{when}'\nprescale = {prescale}\nstreams = {streams}\n"
        );
    }
    let menu = Menu::parse(&text, "test.toml").unwrap_or_else(|error| panic!("{error}"));
    let compiled =
        menu.compile(&schema(), &SCORES.map(String::from)).unwrap_or_else(|error| panic!("{error}"));
    Arc::new(compiled)
}

/// Section 6 of `SPEC.md`, in arithmetic of 128 bits.
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
    scores: Vec<[f32; 2]>,
    skip: Vec<bool>,
    /// Events per span, events per block (in spans), and the id that each span leaves out.
    spans: Vec<usize>,
    blocks: Vec<usize>,
}

fn events() -> impl Strategy<Value = Events> {
    let stride = schema().record_len();
    let scores = prop_oneof![8 => -10.0_f32..10.0, 1 => Just(f32::NAN), 1 => prop::num::f32::ANY];
    let event = (
        // Few different bytes, so that equality and edges happen.
        prop::collection::vec(prop_oneof![Just(0), Just(1), Just(2), Just(255), any::<u8>()], stride),
        [scores.clone(), scores],
        prop::bool::weighted(0.1),
    );
    let spans = prop::collection::vec(prop_oneof![4 => 0..6_usize, 1 => 0..300_usize], 1..8);
    (spans, prop::collection::vec(1..4_usize, 8)).prop_flat_map(move |(spans, blocks)| {
        let total = spans.iter().sum::<usize>();
        let (spans, blocks) = (spans.clone(), blocks.clone());
        prop::collection::vec(event.clone(), total).prop_map(move |all| Events {
            records: all.iter().flat_map(|(bytes, ..)| bytes.clone()).collect(),
            scores: all.iter().map(|(_, scores, _)| *scores).collect(),
            skip: all.iter().map(|(.., skip)| *skip).collect(),
            spans: spans.clone(),
            blocks: blocks.clone(),
        })
    })
}

fn bit(bits: &[u64], index: usize) -> bool {
    bits[index / 64] >> (index % 64) & 1 == 1
}

/// Decides the events block by block, and compares every bit with the oracle.
fn check(trees: &[(Tree, u64)], events: &Events) {
    let (schema, stride) = (schema(), schema().record_len());
    let printed: Vec<_> = trees.iter().map(|(tree, prescale)| (tree.print(), *prescale)).collect();
    let menu = compile(&printed);
    let capacity = events.skip.len().max(1);
    let mut decider = Decider::new(Arc::clone(&menu), capacity);
    let mut scores = ScoreTable::new(SCORES.len(), capacity);
    let (mut spans, mut at, mut next_id) = (events.spans.iter(), 0, 1_000_000_u64);
    for &spans_in_block in &events.blocks {
        let first = at;
        let mut block = Block::new(stride);
        block.reset(RUN, 5);
        let mut ids = Vec::new();
        for &events_in_span in spans.by_ref().take(spans_in_block) {
            let bytes = events.records[at * stride..(at + events_in_span) * stride].to_vec();
            block.push(Span {
                source: 0,
                first_id: next_id,
                time_ns: 0,
                events: events_in_span,
                bytes: bytes.into(),
            });
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
            let values = |name: &str| match SCORES.iter().position(|score| *score == name) {
                Some(k) => vec![f64::from(events.scores[first + index][k])],
                None => {
                    let field = schema.field(name).unwrap();
                    (0..field.elements()).map(|k| field.element(k).physical(record)).collect()
                }
            };
            let is_array = |name: &str| schema.field(name).is_ok_and(|field| field.len.is_some());
            let event = Event { values: &values, is_array: &is_array };
            check_event(trees, &printed, &event, (index, id, events.skip[first + index]), &decider);
        }
        check_tails(&decider, trees.len(), block.len());
    }
}

fn check_event(
    trees: &[(Tree, u64)],
    printed: &[(String, u64)],
    event: &Event<'_>,
    (index, id, skipped): (usize, u64, bool),
    decider: &Decider,
) {
    let (mut any, mut words, mut streams) = (false, [0_u64; 2], 0_u64);
    for (line, (tree, prescale)) in trees.iter().enumerate() {
        let Value::Flag(holds) = tree.value(event) else { panic!("{} is no condition", printed[line].0) };
        let passed = holds && !skipped;
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

/// No bit beyond the last event, in sets of just the right length.
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

/// Decides `records`, one event each, with one cut.
fn passes(schema: &str, when: &str, records: &[Vec<u8>]) -> Vec<bool> {
    let schema = Schema::parse(schema.as_bytes()).unwrap();
    let text =
        format!("name = 't'\n[[stream]]\nname = 's'\n[[line]]\nname = 'l'\nstreams = ['s']\nwhen = '{when}'");
    let menu = Menu::parse(&text, "t.toml").unwrap_or_else(|error| panic!("{error}"));
    let menu = menu.compile(&schema, &[]).unwrap_or_else(|error| panic!("{error}"));
    let mut block = Block::new(schema.record_len());
    block.reset(1, 1);
    let (events, bytes) = (records.len(), records.concat().into());
    block.push(Span { source: 0, first_id: 0, time_ns: 0, events, bytes });
    let mut decider = Decider::new(Arc::new(menu), events);
    decider.decide(&block, &ScoreTable::new(0, 0), &vec![0; events.div_ceil(64)]);
    (0..events).map(|event| bit(decider.passed(0), event)).collect()
}

#[test]
fn a_nan_meets_no_comparison_but_not_equal() {
    let schema = "name = 's'\n[[field]]\nname = 'x'\ndtype = 'f32'\nlen = 2";
    let record = [f32::NAN.to_le_bytes(), 3.0_f32.to_le_bytes()].concat();
    for (when, expected) in [
        ("x[0] < 1", false),
        ("x[0] >= 1", false),
        ("x[0] == x[0]", false),
        ("x[0] != x[0]", true),
        ("!(x[0] < 1)", true),
        ("max(x) == 3 && min(x) == 3", true),
        ("max(x[1], x[0]) == 3 && min(x[0], x[1]) == 3", true),
        ("sum(x) > 0 || sum(x) <= 0", false),
        ("count(x > 1) == 1", true),
        ("0 / 0 == 0 / 0", false),
        ("x[1] > 0 / 0 || abs(x[1]) > 0 / 0", false),
    ] {
        assert_eq!(passes(schema, when, std::slice::from_ref(&record)), [expected], "{when}");
    }
    let integer = "name = 's'\n[[field]]\nname = 'x'\ndtype = 'i16'";
    assert_eq!(passes(integer, "abs(x) > 0 / 0 || x >= 0 / 0 || !(x != 0 / 0)", &[vec![5, 0]]), [false]);
}

/// Operator, the operator with its sides exchanged, meaning.
type Comparison = (&'static str, &'static str, fn(&f64, &f64) -> bool);

const COMPARISONS: [Comparison; 6] = [
    ("<", ">", f64::lt),
    ("<=", ">=", f64::le),
    (">", "<", f64::gt),
    (">=", "<=", f64::ge),
    ("==", "==", f64::eq),
    ("!=", "!=", f64::ne),
];

#[test]
fn cuts_on_integers_are_exact_at_every_raw_value() {
    let raws = i16::MIN..=i16::MAX;
    let records: Vec<Vec<u8>> = raws.clone().map(|raw| raw.to_le_bytes().to_vec()).collect();
    let calibrations =
        [(0.5, 0.0), (0.0435, 0.0), (-0.010_908_307_824_964_561, 3.0), (1e300, 1e300), (1e-320, 1.0)];
    for (scale, offset) in calibrations {
        let schema = format!(
            "name = 's'\n[[field]]\nname = 'x'\ndtype = 'i16'\nscale = {scale:e}\noffset = {offset:e}"
        );
        let physical = |raw: i16| f64::from(raw) * scale + offset;
        let edges = [physical(44), physical(-1), physical(i16::MIN), physical(i16::MAX)];
        for limit in edges.into_iter().chain([0.0, 2.1, -1e9, 1e9]) {
            for (operator, mirrored, reference) in COMPARISONS {
                let plain = |x: f64| reference(&x, &limit);
                for (when, expected) in [
                    (
                        format!("x {operator} {limit:e}"),
                        raws.clone().map(|raw| plain(physical(raw))).collect(),
                    ),
                    (
                        format!("{limit:e} {mirrored} x"),
                        raws.clone().map(|raw| plain(physical(raw))).collect(),
                    ),
                    (
                        format!("abs(x) {operator} {limit:e}"),
                        raws.clone().map(|raw| plain(physical(raw).abs())).collect(),
                    ),
                ] {
                    let expected: Vec<bool> = expected;
                    assert!(
                        passes(&schema, &when, &records) == expected,
                        "{when} with scale {scale}, offset {offset}"
                    );
                }
            }
        }
    }
}

#[test]
fn long_arrays_count_and_sum_every_element() {
    let schema = "name = 's'\n[[field]]\nname = 'cells'\ndtype = 'u8'\nlen = 700";
    // Event k has k cells above 7.
    let records: Vec<Vec<u8>> =
        (0..=700).map(|k| (0..700).map(|cell| if cell < k { 9 } else { 7 }).collect()).collect();
    for (when, holds) in [
        ("count(cells > 7) == 256", 256..=256),
        ("count(cells > 7) >= 511", 511..=700),
        ("sum(cells) >= 5602", 351..=700),
    ] {
        let expected: Vec<bool> = (0..=700).map(|k| holds.contains(&k)).collect();
        assert_eq!(passes(schema, when, &records), expected, "{when}");
    }
}

#[test]
fn sums_are_those_from_left_to_right() {
    // Exact ones, some that are nearly, and those that are not; more elements than are taken along before the steps.
    let short = f64::from(f32::from_bits(0x3eff_ffff));
    let calibrations = [
        (0.5, 0.0),
        (0.5, 3.0),
        (-0.25, 0.0),
        (-0.25, -0.0),
        (short, 0.0),
        (short.next_up(), 0.0),
        (0.0435, 0.0),
        (0.1, 7.3),
    ];
    let zero = |_: usize| 0_u8;
    let edges = |k: usize| [0x00, 0xff, 0x7f, 0x80, 0x3f][(k * 7 + k / 5 + k / 300) % 5];
    let mixed = |k: usize| ((k as u32).wrapping_mul(2_654_435_761) >> 13) as u8;
    for dtype in ["u8", "i8", "u16", "i16", "i32", "u32"] {
        for (scale, offset) in calibrations {
            let text = format!(
                "name = 's'\n[[field]]\nname = 'x'\ndtype = '{dtype}'\nlen = 70\nscale = {scale:e}\noffset = {offset:e}"
            );
            let schema = Schema::parse(text.as_bytes()).unwrap();
            let len = schema.record_len();
            let bytes = (0..len).map(zero).chain((0..100 * len).map(edges)).chain((0..100 * len).map(mixed));
            let records: Vec<Vec<u8>> = bytes.collect::<Vec<_>>().chunks(len).map(Vec::from).collect();
            let field = schema.field("x").unwrap();
            let physical = |record: &Vec<u8>| (0..70).map(|k| field.element(k).physical(record)).collect();
            let all: Vec<Vec<f64>> = records.iter().map(physical).collect();
            let sums: Vec<f64> =
                all.iter().map(|values| values[1..].iter().fold(values[0], |sum, x| sum + x)).collect();
            let extremes: Vec<f64> =
                all.iter().map(|values| values.iter().copied().fold(values[0], f64::max)).collect();
            for limit in [sums[0], sums[50], sums[130], sums[177]] {
                let want: Vec<bool> = sums.iter().map(|&sum| sum >= limit).collect();
                assert_eq!(passes(&text, &format!("sum(x) >= {limit:e}"), &records), want, "{dtype} {scale}");
                let want: Vec<bool> = sums.iter().map(|&sum| sum <= limit).collect();
                assert_eq!(passes(&text, &format!("sum(x) <= {limit:e}"), &records), want, "{dtype} {scale}");
            }
            let want: Vec<bool> = sums.iter().map(|&sum| 1.0 / sum > 0.0).collect();
            assert_eq!(passes(&text, "1 / sum(x) > 0", &records), want, "{dtype} {scale}");
            let want: Vec<bool> = extremes.iter().map(|&x| x >= extremes[140]).collect();
            assert_eq!(
                passes(&text, &format!("max(x) >= {:e}", extremes[140]), &records),
                want,
                "{dtype} {scale}"
            );
        }
    }
}

#[test]
fn counts_are_compared_as_numbers() {
    let schema = "name = 's'\n[[field]]\nname = 'x'\ndtype = 'i8'\nlen = 5";
    let records: Vec<Vec<u8>> = (0..=5).map(|k| (0..5).map(|i| u8::from(i < k)).collect()).collect();
    for limit in ["-1", "0", "0.5", "3", "4.25", "5", "6", "1e20", "0 / 0"] {
        let value = match limit {
            "0 / 0" => f64::NAN,
            number => number.parse().unwrap(),
        };
        for (operator, mirrored, reference) in COMPARISONS {
            let want: Vec<bool> = (0..=5).map(|k| reference(&f64::from(k), &value)).collect();
            let when = format!("count(x > 0) {operator} {limit}");
            assert_eq!(passes(schema, &when, &records), want, "{when}");
            let when = format!("{limit} {mirrored} count(x > 0)");
            assert_eq!(passes(schema, &when, &records), want, "{when}");
        }
    }
}

#[test]
fn more_lines_than_a_word_has_bits() {
    let conditions: Vec<_> = (0..130).map(|line| (format!("c.u16[0] == {line}"), 1)).collect();
    let menu = compile(&conditions);
    assert_eq!(menu.words(), 3);
    let stride = schema().record_len();
    let at = schema().field("c.u16").unwrap().at;
    let mut bytes = vec![0; 200 * stride];
    for event in 0..200 {
        bytes[event * stride + at] = event as u8;
    }
    let mut block = Block::new(stride);
    block.reset(1, 1);
    block.push(Span { source: 0, first_id: 0, time_ns: 0, events: 200, bytes: bytes.into() });
    let mut decider = Decider::new(menu, 200);
    decider.decide(&block, &ScoreTable::new(2, 200), &[0; 4]);
    for event in 0..200 {
        let (mut passed, mut kept) = ([7; 3], [7; 3]);
        decider.event_words(event, &mut passed, &mut kept);
        let mut expected = [0; 3];
        if event < 130 {
            expected[event / 64] = 1 << (event % 64);
        }
        assert_eq!((passed, kept), (expected, expected), "event {event}");
    }
}

#[test]
fn an_empty_block_clears_what_was_there() {
    let menu = compile(&[("c.u16[0] >= 0".into(), 1)]);
    let stride = schema().record_len();
    let mut decider = Decider::new(menu, 64);
    let mut block = Block::new(stride);
    block.push(Span { source: 0, first_id: 0, time_ns: 0, events: 3, bytes: vec![0; 3 * stride].into() });
    let scores = ScoreTable::new(2, 64);
    decider.decide(&block, &scores, &[0b010]);
    assert_eq!((decider.passed(0), decider.kept_any()), (&[0b101_u64][..], &[0b101_u64][..]));
    block.reset(1, 2);
    decider.decide(&block, &scores, &[]);
    assert!(decider.passed(0).is_empty() && decider.kept(0).is_empty() && decider.kept_any().is_empty());
}
