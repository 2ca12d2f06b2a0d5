//! Lists and payloads: what section 7 of `SPEC.md` says of them, case by case.

use crate::support::{passes, verdicts};

const SCHEMA: &str = "name = 's'
[[field]]
name = 'jets.pt'
dtype = 'u8'
len = '0..3'
[[field]]
name = 'jets.x'
dtype = 'f32'
len = '0..3'
[[field]]
name = 'muons.pt'
dtype = 'i16'
len = '0..1'
scale = -0.5
offset = 3.0
";

/// An event with these jets and, if there is one, this raw pt of a muon.
fn event(jets: &[(u8, f32)], muon: Option<i16>) -> Vec<u8> {
    let mut record = vec![jets.len() as u8];
    record.extend((0..3).map(|k| jets.get(k).map_or(0, |jet| jet.0)));
    record.extend((0..3).flat_map(|k| jets.get(k).map_or(0.0, |jet| jet.1).to_le_bytes()));
    record.push(u8::from(muon.is_some()));
    record.extend(muon.unwrap_or(0).to_le_bytes());
    record
}

#[test]
fn elements_that_an_event_does_not_have_take_no_part() {
    let (nan, infinity) = (f32::NAN, f32::INFINITY);
    let records = [
        event(&[], None),
        event(&[], Some(2)),
        event(&[(0, -1.0)], None),
        event(&[(9, 2.0), (4, -0.0)], Some(-4)),
        event(&[(30, infinity), (20, 1.0), (10, -3.0)], None),
        event(&[(1, 1.0), (2, nan)], None),
    ];
    let [yes, no, open] = [Some(true), Some(false), None];
    for (when, expected) in [
        ("count(jets) == 0", [yes, yes, no, no, no, no]),
        ("count(jets) >= 2 && count(muons) == 1", [no, no, no, yes, no, no]),
        ("count(jets.pt < 5) == 1", [no, no, yes, yes, no, no]),
        ("count(!(jets.pt >= 5)) == 0", [yes, yes, no, no, yes, no]),
        ("count(jets.pt > 5 && abs(jets.x) < 2.5) >= 1", [no, no, no, yes, yes, open]),
        ("min(jets.pt) >= 4", [no, no, no, yes, yes, no]),
        ("min(jets.pt) < 255", [no, no, yes, yes, yes, yes]),
        ("max(jets.pt) < 255", [no, no, yes, yes, yes, yes]),
        ("max(jets.pt) != 9", [no, no, yes, no, yes, yes]),
        ("!(max(jets.pt) > 20)", [yes, yes, yes, yes, no, yes]),
        ("max(jets.x) > -2", [no, no, yes, yes, yes, open]),
        // The muons have 2 and 5; the absent one stands for nothing.
        ("sum(muons.pt) == 0", [yes, no, yes, no, yes, yes]),
        ("max(muons.pt) == 2 || max(muons.pt) == 5", [no, yes, no, yes, no, no]),
        ("muons.pt[0] == 3", [yes, no, yes, no, yes, yes]),
        ("max(max(jets.pt), max(muons.pt)) >= 2", [no, yes, no, yes, yes, yes]),
        ("min(max(jets.pt), min(muons.pt), 100) <= 2", [no, yes, yes, no, no, yes]),
        ("max(jets.pt) - max(muons.pt) > -300", [no, no, no, yes, no, no]),
        ("count(jets.pt > max(muons.pt)) == 0", [yes, yes, yes, no, yes, yes]),
        ("sum(jets.pt + 1) == 15", [no, no, no, yes, no, no]),
        ("sum(jets.pt * jets.x) < 1e9", [yes, yes, yes, yes, no, open]),
        // 0 / 0 of elements that are not there.
        ("count(jets.pt / jets.pt > 0) == count(jets)", [yes, yes, open, yes, yes, yes]),
        ("max(jets.pt / jets.pt) > 0", [no, no, open, yes, yes, yes]),
        ("sum(1 / jets.pt) < 1", [yes, yes, no, yes, yes, no]),
        ("max(jets.pt) / (count(jets) - count(jets)) > 1", [no, no, open, yes, yes, yes]),
    ] {
        assert_eq!(verdicts(SCHEMA, when, &records), expected, "{when}");
    }
}

#[test]
fn a_sum_begins_with_zero() {
    let full = event(&[(0, -0.0), (0, -0.0), (0, -0.0)], None);
    for when in ["1 / sum(jets.x) > 0", "1 / sum(-abs(jets.x)) > 0"] {
        assert_eq!(passes(SCHEMA, when, std::slice::from_ref(&full)), [true], "{when}");
    }
}

#[test]
fn long_lists_have_a_count_of_two_bytes() {
    let schema = "name = 's'\n[[field]]\nname = 'hits'\ndtype = 'i8'\nlen = '0..700'";
    let record = |count: u16| {
        let elements = (0..700).map(|k| if k < count { 255 } else { 0_u8 });
        count.to_le_bytes().into_iter().chain(elements).collect::<Vec<u8>>()
    };
    let records: Vec<_> = (0..=700).map(record).collect();
    for (when, holds) in [
        ("count(hits) == 256", 256..=256),
        ("count(hits < 5) >= 511", 511..=700),
        ("sum(hits) <= -300", 300..=700),
        ("sum(hits - 1) > -20", 0..=9),
        ("max(hits) < 0", 1..=700),
    ] {
        let expected: Vec<bool> = (0..=700).map(|k| holds.contains(&k)).collect();
        assert_eq!(passes(schema, when, &records), expected, "{when}");
    }
}
