//! The menu that ships with the samples, and what a menu says of itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use tamis_event::Schema;
use tamis_menu::{Menu, ModelRef, StreamInfo};

const TEXT: &str = include_str!("../../../data-samples/menus/l1-anomaly.toml");

#[test]
fn the_sample_menu_compiles_and_describes_itself() {
    let schema = Schema::parse(include_bytes!("../../../data-samples/schemas/l1.toml")).unwrap();
    let menu = Menu::parse(TEXT, "l1-anomaly.toml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((menu.name(), menu.rate_hz(), menu.text()), ("l1-anomaly", Some(31.04e6), TEXT));
    let models = ["topo", "anomaly"].map(|name| ModelRef {
        name: name.into(),
        bundle: format!("../models/{name}"),
        fallback: Vec::new(),
    });
    assert_eq!(menu.models(), models);
    let scores = ["topo.background", "topo.leptons", "topo.taus", "anomaly.score"].map(String::from);
    let compiled = menu.compile(&schema, &scores).unwrap_or_else(|error| panic!("{error}"));
    let streams: Vec<&str> = compiled.streams().iter().map(|StreamInfo { name, .. }| name.as_str()).collect();
    assert_eq!(streams, ["physics", "monitor"]);
    for line in compiled.lines() {
        assert!(!line.doc.is_empty() && line.prescale >= 1, "{line:?}");
        assert_eq!(line.streams, [usize::from(line.kind != "cut")], "{line:?}");
    }
    assert_eq!((compiled.lines().len(), compiled.words()), (14, 1));
}

#[test]
fn the_hash_is_that_of_the_text() {
    // From Python's hashlib.sha256, and int.from_bytes(digest[:8], 'little').
    let text =
        "name = 'x'\n[[stream]]\nname = 's'\n[[line]]\nname = 'l'\nkind = 'pass-through'\nstreams = ['s']";
    let menu = Menu::parse(text, "x.toml").unwrap();
    let hex: String = menu.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "3c450e383375dcee7faec155d19789ccf3276f79228ed0bddf538c749ee3b956");
    let schema = Schema::parse(b"name = 's'\n[[field]]\nname = 'x'\ndtype = 'u8'").unwrap();
    assert_eq!(menu.compile(&schema, &[]).unwrap().hash_prefix(), 0xEEDC_7533_380E_453C);
}

#[test]
fn rates_have_units() {
    let rate_of = |rate: &str| {
        let text = format!("name = 'x'\nrate = '{rate}'\n[[stream]]\nname = 's'\n");
        let line = "[[line]]\nname = 'l'\nkind = 'pass-through'\nstreams = ['s']";
        Menu::parse(&(text + line), "x.toml").unwrap().rate_hz()
    };
    for (text, hz) in [("40MHz", 40e6), ("2.5 kHz", 2500.0), ("1GHz", 1e9), ("7Hz", 7.0)] {
        assert_eq!(rate_of(text), Some(hz), "{text}");
    }
}

#[test]
fn streams_of_a_line_are_indices_in_ascending_order() {
    let text = "name = 'x'\n[[stream]]\nname = 'a'\n[[stream]]\nname = 'b'\n[[stream]]\nname = 'c'\n\
                [[line]]\nname = 'l'\nkind = 'pass-through'\nstreams = ['c', 'a']";
    let schema = Schema::parse(b"name = 's'\n[[field]]\nname = 'x'\ndtype = 'u8'").unwrap();
    let menu = Menu::parse(text, "x.toml").unwrap().compile(&schema, &[]).unwrap();
    assert_eq!(menu.lines()[0].streams, [0, 2]);
}
