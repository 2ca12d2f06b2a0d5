//! The messages for wrong uses of lists and payloads: exact words and exact place.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use tamis_event::Schema;
use tamis_menu::{CompiledMenu, Menu, MenuErrors};

const SCHEMA: &str = r#"
name = "l1"
field = [
    { name = "jets.pt", dtype = "i16", len = "0..10" },
    { name = "jets.eta", dtype = "i8", len = "0..10" },
    { name = "muons.pt", dtype = "i16", len = "0..10" },
    { name = "cells", dtype = "u8", len = 10 },
    { name = "hits", dtype = "u16", len = "0..3" },
    { name = "truth.jets.pt", dtype = "u8", len = "0..3", role = "truth" },
]
payload = { doc = "raw" }
"#;

/// Expression, column in it from 1, message.
#[rustfmt::skip]
const EXPRESSIONS: &[(&str, usize, &str)] = &[
    ("jets.pt > 22", 1, "'jets.pt' is a list of up to 10 elements where one condition is needed; use jets.pt[0], max(jets.pt) or count(jets.pt > ...)"),
    ("count(jets.pt) > 1", 1, "count takes the name of a list, as in count(jets), or a condition on its elements, as in count(jets.pt > 30)"),
    ("jets > 1", 1, "'jets' is a list; write count(jets) for the number of its elements, or name a field: jets.pt"),
    ("jets[0] > 1", 1, "'jets' is a list; write count(jets) for the number of its elements, or name a field: jets.pt"),
    ("max(jets) > 1", 5, "'jets' is a list; write count(jets) for the number of its elements, or name a field: jets.pt"),
    ("count(jest) > 1", 7, "no field 'jest' in schema 'l1'; did you mean 'jets'?"),
    ("sum(jets.pt > 1) > 0", 1, "sum takes an array of numbers, this is a list of up to 10 conditions"),
    ("count(jets.pt > muons.pt) > 0", 15, "'jets.pt' belongs to the list 'jets' and 'muons.pt' to the list 'muons', which have their own numbers of elements; reduce one of them, as in max(muons.pt)"),
    ("count(jets.pt > cells) > 0", 15, "'jets.pt' belongs to the list 'jets', whose number of elements differs from event to event, and 'cells' always has 10; reduce one of them, or take one element of 'cells'"),
    ("count(cells > jets.pt) > 0", 13, "'jets.pt' belongs to the list 'jets', whose number of elements differs from event to event, and 'cells' always has 10; reduce one of them, or take one element of 'cells'"),
    ("jets.pt[10] > 1", 1, "'jets.pt' has 10 elements, 0 to 9"),
    ("count(truth.jets) > 1", 7, "'truth.jets' is simulation truth; a menu that reads it would cheat"),
    ("payload > 1", 1, "a payload is not read; a menu may only use its length in bytes, payload.len"),
    ("payload[3] > 1", 1, "a payload is not read; a menu may only use its length in bytes, payload.len"),
    ("payload.size > 1", 1, "a payload is not read; a menu may only use its length in bytes, payload.len"),
    ("payload.len[0] > 1", 1, "'payload.len' is one number; leave the index out"),
    ("count(payload) > 1", 7, "a payload is not read; a menu may only use its length in bytes, payload.len"),
];

fn compiled(schema: &str, when: &str) -> Result<CompiledMenu, MenuErrors> {
    compiled_with(schema, when, &[])
}

fn compiled_with(schema: &str, when: &str, scores: &[&str]) -> Result<CompiledMenu, MenuErrors> {
    let models: String = scores
        .iter()
        .map(|score| format!("[[model]]\nname = '{}'\nbundle = 'b'\n", score.split_once('.').unwrap().0))
        .collect();
    let text = format!(
        "name = 't'\n{models}[[stream]]\nname = 's'\n[[line]]\nname = 'l'\nstreams = ['s']\nwhen = '{when}'"
    );
    let scores: Vec<String> = scores.iter().map(|score| (*score).to_owned()).collect();
    Menu::parse(&text, "t.toml")?.compile(&Schema::parse(schema.as_bytes()).unwrap(), &scores)
}

#[test]
fn wrong_uses_are_told() {
    for &(when, column, message) in EXPRESSIONS {
        let errors = compiled(SCHEMA, when).unwrap_err();
        let [error] = errors.all() else { panic!("{when}: {errors}") };
        assert_eq!((error.message(), error.column()), (message, column + 8), "{when}");
    }
    let none = compiled(&SCHEMA.replace("payload = ", "# "), "payload.len > 1").unwrap_err();
    assert_eq!(none.all()[0].message(), "the events of schema 'l1' have no payload");
    // The output 'len' of a model 'payload'.
    let score = compiled_with(SCHEMA, "payload.len > 1", &["payload.len"]).unwrap_err();
    let message = "'payload.len' is the length of the payload, and also a score; rename that";
    assert_eq!(score.all()[0].message(), message);
    // Without payloads it is a field like any other.
    let field = SCHEMA.replace("cells\"", "payload.len\"").replace("payload = ", "# ");
    compiled(&field, "count(payload.len > 1) > 1").unwrap();
}

#[test]
fn the_bounds_of_counts_and_lengths_are_known() {
    for (when, warning) in [
        ("count(jets) > 10", "the line can never pass: what is compared here is from 0 to 10 in every event"),
        (
            "count(jets.pt > 20) <= 10",
            "the line passes every event: what is compared here is from 0 to 10 in every event",
        ),
        (
            "payload.len >= 0",
            "the line passes every event: what is compared here is from 0 to 67108864 in every event",
        ),
        (
            "count(jets.pt > 40000) > 0",
            "the line can never pass: what is compared here is from -32768 to 32767 in every event",
        ),
    ] {
        let menu = compiled(SCHEMA, when).unwrap();
        let warnings: Vec<_> = menu.warnings().iter().map(tamis_menu::Mistake::message).collect();
        assert_eq!(warnings, [warning], "{when}");
    }
    for when in ["max(jets.pt) <= 32767", "count(hits) > 2", "max(hits) >= 0"] {
        assert!(compiled(SCHEMA, when).unwrap().warnings().is_empty(), "{when}");
    }
}
