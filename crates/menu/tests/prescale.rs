//! Prescales and random lines give the verdicts of `SPEC.md` section 6, forever.
//!
//! The expected ids come from a Python program written from that section alone (integers, `& (2**64 - 1)`, `//`):
//!
//! ```python
//! M = 2**64 - 1
//! def fnv(b):
//!     h = 0xCBF29CE484222325
//!     for c in b: h = ((h ^ c) * 0x100000001B3) & M
//!     return h
//! def mix(s, e):
//!     z = (s + (e + 1) * 0x9E3779B97F4A7C15) & M
//!     z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M
//!     z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M
//!     return z ^ (z >> 31)
//! def kept(name, run, n, ids):
//!     return [e for e in ids if mix(fnv(name.encode()) ^ (run * 0x9E3779B97F4A7C15 & M), e) <= M // n]
//! ```
//!
//! `mix(0, 0)` is 0xe220a8397b1dcdaf, the published first output of `SplitMix64` with seed 0.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::sync::Arc;

use tamis_event::{Block, Schema, ScoreTable, Span};
use tamis_menu::{Decider, Menu};

/// Ids among `first_id..first_id + events` that the only line of a menu passes, and those that it keeps.
fn verdicts(line: &str, run: u32, first_id: u64, events: usize) -> (Vec<u64>, Vec<u64>) {
    let text = format!("name = 't'\n[[stream]]\nname = 's'\n[[line]]\nstreams = ['s']\n{line}");
    let schema = Schema::parse(b"name = 's'\n[[field]]\nname = 'x'\ndtype = 'u8'").unwrap();
    let menu = Menu::parse(&text, "t.toml").unwrap().compile(&schema, &[]).unwrap();
    let mut block = Block::new(1);
    block.reset(run, 1);
    block.push(Span::of_records(0, first_id, 0, 1, vec![0; events].into()));
    let mut decider = Decider::new(Arc::new(menu), events);
    decider.decide(&block, &ScoreTable::new(0, events), &vec![0; events.div_ceil(64)]);
    let ids = |bits: &[u64]| {
        let set = (0..events).filter(|event| bits[event / 64] >> (event % 64) & 1 == 1);
        set.map(|event| first_id + event as u64).collect()
    };
    (ids(decider.passed(0)), ids(decider.kept(0)))
}

#[test]
fn prescales_are_those_of_the_specification() {
    let line = "name = 'pass-through'\nkind = 'pass-through'\nprescale = 50";
    let (passed, kept) = verdicts(line, 1, 0, 1000);
    assert_eq!(passed.len(), 1000);
    assert_eq!(kept, [73, 94, 98, 141, 176, 222, 352, 516, 557, 632, 665, 763, 804, 998]);
    let of_run_2 = [
        48, 71, 187, 200, 219, 258, 310, 320, 327, 363, 383, 400, 492, 493, 496, 552, 571, 584, 702, 733,
        798, 808, 837, 862,
    ];
    assert_eq!(verdicts(line, 2, 0, 1000).1, of_run_2);
}

#[test]
fn the_last_ids_and_the_last_run_wrap_as_specified() {
    let line = "name = 'zero-bias'\nkind = 'pass-through'\nprescale = 7";
    let (_, kept) = verdicts(line, u32::MAX, u64::MAX - 40, 40);
    assert_eq!(kept, [18_446_744_073_709_551_580, 18_446_744_073_709_551_596, 18_446_744_073_709_551_613]);
}

#[test]
fn random_lines_draw_under_a_name_of_their_own() {
    let (passed, kept) = verdicts("name = 'zero-bias'\nkind = 'random'\nevery = 100", 1, 0, 1000);
    assert_eq!(passed, [5, 14, 103, 344, 386, 393, 452, 722, 857]);
    assert_eq!(kept, passed);
    let (_, kept) = verdicts("name = 'zero-bias'\nkind = 'random'\nevery = 20\nprescale = 3", 7, 0, 1000);
    assert_eq!(kept, [68, 204, 294, 372, 410, 428, 524, 540, 548, 552, 608, 637, 900, 994]);
}

#[test]
fn fractions_are_exact_and_plausible() {
    for (prescale, expected) in [(1, 100_000), (2, 49_995), (3, 33_442), (10, 9856), (1000, 106)] {
        let line = format!("name = 'pass-through'\nkind = 'pass-through'\nprescale = {prescale}");
        let (_, kept) = verdicts(&line, 7, 0, 100_000);
        assert_eq!(kept.len(), expected, "prescale {prescale}");
        let mean = 100_000.0 / f64::from(prescale);
        assert!(
            (kept.len() as f64 - mean).abs() <= 4.0 * mean.sqrt(),
            "{} kept, {mean} expected",
            kept.len()
        );
    }
}

#[test]
fn the_last_rung_keeps_events_under_a_name_of_its_own() {
    let schema = Schema::parse(b"name = 's'\n[[field]]\nname = 'x'\ndtype = 'u8'").unwrap();
    let compiled = |every: u64| {
        let line = "[[line]]\nname = 'a'\nkind = 'pass-through'\nstreams = ['s']";
        let models =
            "[[model]]\nname = 'm'\nbundle = 'x'\nfallback = ['y', 'z']\n[[model]]\nname = 'n'\nbundle = 'x'";
        let text = format!(
            "name = 't'\n{models}\n[[stream]]\nname = 's'\n[[stream]]\nname = 'u'\n{line}\n[fallback]\npass_through = {every}\nstreams = ['u']"
        );
        Menu::parse(&text, "t.toml").unwrap().compile(&schema, &[]).unwrap()
    };
    let kept = |every: u64, run: u32, ids: std::ops::Range<u64>| -> Vec<u64> {
        let menu = compiled(every);
        ids.filter(|&id| menu.pass_through().unwrap().keeps(run, id)).collect()
    };
    let expected = [
        16, 37, 96, 97, 101, 155, 195, 325, 366, 412, 442, 460, 490, 503, 517, 571, 596, 660, 671, 786, 875,
        903,
    ];
    assert_eq!(kept(50, 7, 0..1000), expected);
    assert_eq!(kept(1, 7, 0..1000).len(), 1000);
    let last: Vec<u64> = [597, 598, 600, 601, 605, 614].map(|id| 18_446_744_073_709_551_000 + id).to_vec();
    assert_eq!(kept(7, u32::MAX, u64::MAX - 40..u64::MAX), last);
    let menu = compiled(3);
    let rung = menu.pass_through().unwrap();
    assert_eq!((menu.model_rungs(), menu.rungs(), rung.every(), rung.stream_bits()), (3, 4, 3, 0b10));
}
