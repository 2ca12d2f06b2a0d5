//! Decisions against an independent evaluator, for any expressions, any bytes and any way to cut the events into blocks and spans.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod oracle;

use std::cell::Cell;
use std::sync::Arc;

use oracle::number::{self, Kind, Number};
use oracle::{Event, Names, Tree, Value};
use proptest::prelude::*;
use tamis_event::{Block, Dtype, Field, Grid, Schema, ScoreTable, Span};
use tamis_menu::{CompiledMenu, Decider, Menu, MenuErrors};

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
    { name = "i.f32", dtype = "f32", len = 3 },
    { name = "j.i16", dtype = "i16", len = 3, scale = 0.1 },
    { name = "k.u8", dtype = "u8", scale = 0.01, offset = 0.5 },
    { name = "l.i16", dtype = "i16", scale = 0.04363323129985824 },
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
    Arc::new(compiled(conditions).unwrap_or_else(|error| panic!("{error}")))
}

fn compiled(conditions: &[(String, u64)]) -> Result<CompiledMenu, MenuErrors> {
    let mut text = String::from("name = 'test'\n[[stream]]\nname = 'even'\n[[stream]]\nname = 'third'\n");
    for (line, (when, prescale)) in conditions.iter().enumerate() {
        let streams = if line % 3 == 0 { "['third', 'even']" } else { "['even']" };
        text += &format!(
            "[[line]]\nname = 'line-{line}'\nwhen = '{when}'\nprescale = {prescale}\nstreams = {streams}\n"
        );
    }
    Menu::parse(&text, "test.toml")?.compile(&schema(), &SCORES.map(String::from))
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
    let finite = prop::num::f32::NORMAL | prop::num::f32::ZERO | prop::num::f32::SUBNORMAL;
    let scores = prop_oneof![8 => -10.0_f32..10.0, 2 => (0..30_u8).prop_map(|tenth| f32::from(tenth) / 10.0), 1 => finite];
    let event = (
        // Few different bytes, so that equality and edges happen, negative zeros of an f16 among them.
        prop::collection::vec(
            prop_oneof![Just(0), Just(1), Just(2), Just(128), Just(255), any::<u8>()],
            stride,
        ),
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
    let menu = match compiled(&printed) {
        Ok(menu) => Arc::new(menu),
        Err(errors) => {
            // What is made of literals alone has no numbers for these.
            let refused = |message: &str| {
                ["this divides by zero", "the result is too large a number"].contains(&message)
            };
            assert!(errors.all().iter().all(|error| refused(error.message())), "{errors}");
            return;
        }
    };
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
            let scores = events.scores[first + index];
            let values = |name: &str| match SCORES.iter().position(|score| *score == name) {
                Some(k) => vec![number::float(scores[k].into(), Kind::Single)],
                None => {
                    let field = schema.field(name).unwrap();
                    (0..field.elements()).map(|k| number_of(field, k, record)).collect()
                }
            };
            let is_array = |name: &str| schema.field(name).is_ok_and(|field| field.len.is_some());
            let is_vague = Cell::new(false);
            let event = Event { values: &values, is_array: &is_array, is_vague: &is_vague };
            check_event(trees, &printed, &event, (index, id, events.skip[first + index]), &decider);
        }
        check_tails(&decider, trees.len(), block.len());
    }
}

/// What a field holds, by its dtype and the digits of its scale.
fn number_of(field: &Field, index: usize, record: &[u8]) -> Number {
    let Field { dtype, scale, offset, .. } = *field;
    let raw = dtype.read(&record[field.at + index * dtype.size()..]);
    let is_plain = scale == 1.0 && offset == 0.0;
    match dtype.integer_range() {
        // A scale of 16 digits.
        Some(_) if field.name == "l.i16" => number::float(raw * scale, Kind::Double),
        Some(range) => number::field(raw, range, scale, offset),
        None if is_plain => number::float(raw, if dtype == Dtype::F16 { Kind::Half } else { Kind::Single }),
        None => number::float(raw * scale + offset, Kind::FromSingle),
    }
}

/// Does a line read a field that is a NaN?
fn reads_nan(tree: &Tree, event: &Event<'_>) -> bool {
    let mut found = false;
    tree.for_each_name(&mut |name, index| {
        let is_nan = |number: &Number| matches!(number, Number::Nan);
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
    let (mut any, mut words, mut streams) = (false, [0_u64; 2], 0_u64);
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
    let events = records.len();
    let decider = decided(schema, when, records);
    assert!(decider.undecided().iter().all(|&word| word == 0), "{when} is not decided");
    (0..events).map(|event| bit(decider.passed(0), event)).collect()
}

/// The same; `None` for an event that is not decided.
fn verdicts(schema: &str, when: &str, records: &[Vec<u8>]) -> Vec<Option<bool>> {
    let decider = decided(schema, when, records);
    let verdict = |event| (!bit(decider.undecided(), event)).then(|| bit(decider.passed(0), event));
    (0..records.len()).map(verdict).collect()
}

fn decided(schema: &str, when: &str, records: &[Vec<u8>]) -> Decider {
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
    decider
}

#[test]
fn a_nan_in_a_field_that_a_line_reads_is_no_verdict() {
    let schema =
        "name = 's'\n[[field]]\nname = 'x'\ndtype = 'f32'\nlen = 2\n[[field]]\nname = 'y'\ndtype = 'f16'";
    let record = |x: f32| [&x.to_le_bytes()[..], &3.0_f32.to_le_bytes()[..], &[0, 0x7e]].concat();
    let records = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.5].map(record);
    let [yes, no, open] = [Some(true), Some(false), None];
    for (when, expected) in [
        ("x[0] > 1", [open, yes, no, no]),
        ("!(x[0] <= 1)", [open, yes, no, no]),
        ("x[0] != x[0]", [open, no, no, no]),
        ("max(x) == 3", [open, no, yes, yes]),
        ("count(x > 1) == 1", [open, no, yes, yes]),
        ("x[1] > 1 || x[0] > 1", [open, yes, yes, yes]),
        // Nobody reads x[0].
        ("x[1] > 1", [yes, yes, yes, yes]),
        // Infinities that cancel, and zero times infinity.
        ("x[0] - x[0] == 0", [open, open, open, yes]),
        ("x[0] * 0 == 0", [open, open, open, yes]),
        ("x[1] > 1 && x[0] - x[0] == 0", [open, open, open, yes]),
        ("x[1] > 5 && x[0] - x[0] == 0", [open, no, no, no]),
        ("x[1] > 1 || x[0] - x[0] == 0", [open, yes, yes, yes]),
        ("y > 0", [open, open, open, open]),
    ] {
        assert_eq!(verdicts(schema, when, &records), expected, "{when}");
    }
}

#[test]
fn zero_over_zero_is_unknown_unless_the_rest_of_the_line_decides() {
    let schema =
        "name = 's'\n[[field]]\nname = 'a'\ndtype = 'u8'\n[[field]]\nname = 'b'\ndtype = 'u8'\nlen = 2";
    let records = [vec![0, 0, 1], vec![1, 0, 1], vec![4, 2, 1]];
    let [yes, no, open] = [Some(true), Some(false), None];
    for (when, expected) in [
        ("a / b[0] > 1", [open, yes, yes]),
        ("!(a / b[0] > 1)", [open, no, no]),
        ("a / b[0] != 2", [open, yes, no]),
        ("b[0] > 0 && a / b[0] > 1", [no, no, yes]),
        ("b[0] == 0 || a / b[0] > 1", [yes, yes, yes]),
        ("count(a / b > 1) == 1", [open, yes, no]),
        ("max(a / b[0], 3) > 5", [open, yes, no]),
        ("abs(-(a / b[0])) + 1 > 2", [open, yes, yes]),
        ("1 / (a - a) > 5", [yes, yes, yes]),
    ] {
        assert_eq!(verdicts(schema, when, &records), expected, "{when}");
    }
}

/// Twenty million comparisons would be no better: every value of one decimal that fits, against every literal beside it.
#[test]
fn values_of_one_decimal_are_cut_as_they_are_shown() {
    let raws = -400..400_i16;
    let integers: Vec<Vec<u8>> = raws.clone().map(|raw| raw.to_le_bytes().to_vec()).collect();
    let floats: Vec<Vec<u8>> =
        raws.clone().map(|raw| format!("{raw}e-1").parse::<f32>().unwrap().to_le_bytes().to_vec()).collect();
    let schemas = [("i16", "scale = 0.1", &integers), ("f32", "", &floats)];
    for (dtype, scale, records) in schemas {
        let schema = format!("name = 's'\n[[field]]\nname = 'x'\ndtype = '{dtype}'\n{scale}");
        // In hundredths, as awk has them: the shown text is a number with one decimal.
        for limit in (-400..400_i32).step_by(7).flat_map(|tenth| [10 * tenth, 10 * tenth + 5]) {
            let text =
                format!("{}{}.{:02}", if limit < 0 { "-" } else { "" }, limit.abs() / 100, limit.abs() % 100);
            for (operator, mirrored, reference) in COMPARISONS {
                let holds = |raw: i16| reference(&f64::from(i32::from(raw) * 10), &limit.into());
                let expected: Vec<bool> = raws.clone().map(holds).collect();
                // By the sieve, in either order, and by the steps.
                for when in [
                    format!("x {operator} {text}"),
                    format!("{text} {mirrored} x"),
                    format!("x + x {operator} 2 * {text}"),
                    format!("-x {mirrored} -({text})"),
                    format!("max(x, x) {operator} {text}"),
                ] {
                    assert!(passes(&schema, &when, records) == expected, "{dtype}: {when}");
                }
            }
        }
    }
}

#[test]
fn fields_of_different_scales_are_equal_where_they_show_the_same() {
    let schema = "name = 's'\nfield = [{ name = 'a', dtype = 'i16', scale = 0.1 }, { name = 'b', dtype = 'i16', scale = 0.01 }, { name = 'c', dtype = 'f32' }]";
    let record =
        |a: i16, b: i16, c: f32| [&a.to_le_bytes()[..], &b.to_le_bytes()[..], &c.to_le_bytes()[..]].concat();
    let records: Vec<Vec<u8>> =
        (-300..300).map(|a| record(a, 10 * a, format!("{a}e-1").parse().unwrap())).collect();
    for when in [
        "a == b",
        "a == c",
        "b == c",
        "a >= b && a <= b",
        "a + b == 2 * a",
        "a + a - b == a",
        "2 * c == a + b",
        "!(a < c) && !(a > c)",
        "a * a == b * b",
        "3 * a / 3 == a",
        "abs(a) == abs(b)",
        "max(a, b) == min(a, b)",
        "a * 0.1 == b / 10",
    ] {
        assert!(passes(schema, when, &records).into_iter().all(|holds| holds), "{when}");
    }
    assert_eq!(passes(schema, "a / b == 1", &[record(3, 30, 0.3)]), [true]);
    assert_eq!(
        passes(schema, "a + a + a == 0.9 && 0.1 + 0.2 == 0.3 && a / 0.1 == 3", &[record(3, 30, 0.3)]),
        [true]
    );
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
        let parsed = Schema::parse(schema.as_bytes()).unwrap();
        let physical = |raw: i16| parsed.fields()[0].number(0, &raw.to_le_bytes());
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
            let has_grid = Grid::of(field.element(0)).is_some();
            let number = |record: &Vec<u8>, k: usize| {
                let raw = field.dtype.read(&record[k * field.dtype.size()..]);
                match field.dtype.integer_range() {
                    Some(range) if has_grid => number::field(raw, range, scale, offset),
                    _ => number::float(raw * scale + offset, Kind::Double),
                }
            };
            let folded = |operator| {
                let all = records.iter().map(|record| (0..70).map(|k| number(record, k)));
                let fold = |numbers: &mut dyn Iterator<Item = Number>| {
                    numbers.reduce(|x, y| Number::calculated(operator, x, y)).unwrap()
                };
                all.map(|mut numbers| fold(&mut numbers)).collect::<Vec<_>>()
            };
            let check = |when: &str, numbers: &[Number], operator, limit| {
                let compare = |&number| Number::compared(operator, number, limit).0.unwrap();
                let want: Vec<bool> = numbers.iter().map(compare).collect();
                assert_eq!(passes(&text, when, &records), want, "{when}: {dtype} {scale}");
            };
            let (sums, extremes) = (folded("+"), folded("max"));
            for limit in [sums[0], sums[50], sums[130], sums[177]] {
                let limit = limit.plain().0;
                check(&format!("sum(x) >= {limit:e}"), &sums, ">=", number::literal(limit));
                check(&format!("sum(x) <= {limit:e}"), &sums, "<=", number::literal(limit));
            }
            let inverse = |&sum| Number::calculated("/", number::literal(1.0), sum);
            let inverses: Vec<Number> = sums.iter().map(inverse).collect();
            check("1 / sum(x) > 0", &inverses, ">", number::literal(0.0));
            let limit = extremes[140].plain().0;
            check(&format!("max(x) >= {limit:e}"), &extremes, ">=", number::literal(limit));
        }
    }
}

#[test]
fn counts_are_compared_as_numbers() {
    let schema = "name = 's'\n[[field]]\nname = 'x'\ndtype = 'i8'\nlen = 5";
    let records: Vec<Vec<u8>> = (0..=5).map(|k| (0..5).map(|i| u8::from(i < k)).collect()).collect();
    for limit in ["-1", "0", "0.5", "3", "4.25", "5", "6", "1e20"] {
        let value = limit.parse().unwrap();
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
