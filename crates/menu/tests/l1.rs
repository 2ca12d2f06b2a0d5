//! The menu that ships with the samples, and what a menu reports about itself.

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

#[test]
fn lines_say_where_they_cut_on_scores() {
    let schema = Schema::parse(b"name = 's'\n[[field]]\nname = 'x'\ndtype = 'u8'\nlen = 2").unwrap();
    let scores = ["m.a", "m.b"].map(String::from);
    let thresholds = |when: &str| -> Vec<String> {
        let text = "name = 'x'\n[[stream]]\nname = 's'\n[[line]]\nname = 'l'\nstreams = ['s']\nwhen = ";
        let menu = Menu::parse(&format!("{text}'{when}'"), "x.toml").unwrap();
        let compiled = menu.compile(&schema, &scores).unwrap_or_else(|error| panic!("{error}"));
        let show = |t: &tamis_menu::Threshold| format!("{} {} {}", scores[t.score], t.symbol(), t.value);
        compiled.thresholds(0).iter().map(show).collect()
    };
    assert_eq!(thresholds("m.a > 0.9"), ["m.a > 0.9"]);
    assert_eq!(thresholds("0.9 <= m.a"), ["m.a >= 0.9"]);
    assert_eq!(thresholds("x[0] > 3 && !(m.b < 1/4) || m.a != 2"), ["m.b < 0.25", "m.a != 2"]);
    assert_eq!(thresholds("count(x > 3 && m.a >= 0.5) >= 1 && m.a >= 0.5"), ["m.a >= 0.5"]);
    assert_eq!(thresholds("m.a > 0.25 && m.a < 0.75"), ["m.a > 0.25", "m.a < 0.75"]);
    for none in ["x[0] > 3", "m.a + m.b > 1", "abs(m.a) > 1", "m.a > m.b", "m.a > x[0]", "m.a > 1 && 1 > 2"] {
        assert_eq!(thresholds(none), Vec::<String>::new(), "{none}");
    }
}

#[test]
fn a_threshold_holds_as_the_menu_decides() {
    let schema = Schema::parse(b"name = 's'\n[[field]]\nname = 'x'\ndtype = 'u8'").unwrap();
    let text =
        "name = 'x'\n[[stream]]\nname = 's'\n[[line]]\nname = 'l'\nstreams = ['s']\nwhen = '0.1 < m.a'";
    let menu = Menu::parse(text, "x.toml").unwrap().compile(&schema, &["m.a".into()]).unwrap();
    let threshold = menu.thresholds(0)[0];
    // The f32 nearest to 0.1 is 0.1, though the f64 nearest to 0.1 is below it.
    assert_eq!(threshold.value, 0.1);
    assert!(threshold.holds(0.1_f32.next_up()) && !threshold.holds(0.1) && !threshold.holds(f32::NAN));
}
