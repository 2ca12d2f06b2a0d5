//! No text causes a panic, and every error points into the text.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use proptest::prelude::*;
use tamis_event::Schema;
use tamis_menu::Menu;

const SCHEMA: &[u8] = include_bytes!("../../../data-samples/schemas/l1.toml");
const MENU: &str = include_str!("../../../data-samples/menus/l1.toml");
const SCORES: [&str; 4] = ["topo.background", "topo.leptons", "topo.taus", "anomaly.score"];

/// Parses and compiles; every error must point into the text.
fn digest(text: &str) {
    let schema = Schema::parse(SCHEMA).unwrap();
    let menu = Menu::parse(text, "m.toml").map_err(|errors| errors.with_schema(&schema));
    let Err(errors) = menu.and_then(|menu| menu.compile(&schema, &SCORES.map(String::from))) else { return };
    assert!(!errors.all().is_empty() && !errors.to_string().is_empty());
    for error in errors.all() {
        let line = text.split('\n').nth(error.line() - 1).unwrap_or_else(|| panic!("{error} in {text:?}"));
        assert!(error.column() <= line.chars().count() + 1, "{error} in {text:?}");
    }
}

fn tokens() -> impl Strategy<Value = String> {
    let pieces = "muons.pt[0] jets.pt jets.eta met.pt topo.taus truth.label count( abs( max( min( sum( ( ) [ ] , ! - + * / < <= == && || \
                  1 22.5 1e9 0 2. 1e 1e- . _ \\u0041 \\x4 \\t \\ ' \u{3a9} \n #";
    let pieces: Vec<&str> = pieces.split(' ').collect();
    let pieces = prop::collection::vec(prop::sample::select(pieces), 0..25);
    (pieces, prop::sample::select(vec!["", " "])).prop_map(|(pieces, between)| pieces.join(between))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_digested(text in "\\PC*") {
        digest(&text);
    }

    #[test]
    fn any_expression_is_digested(when in tokens(), quote in prop::sample::select(vec!["\"", "'", "\"\"\"", "'''"])) {
        digest(&format!("name = 'x'\n[[stream]]\nname = 's'\n[[line]]\nname = 'l'\nstreams = ['s']\nwhen = {quote}{when}{quote}"));
    }

    #[test]
    fn a_damaged_menu_is_digested(at in 0..MENU.len(), length in 0..40_usize, patch in "[ -~\n\u{3a9}]{0,6}") {
        let end = (at + length).min(MENU.len());
        if MENU.is_char_boundary(at) && MENU.is_char_boundary(end) {
            digest(&format!("{}{patch}{}", &MENU[..at], &MENU[end..]));
        }
    }
}
