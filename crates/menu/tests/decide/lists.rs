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

#[test]
fn elements_of_64_bits_keep_all_digits() {
    let schema = "name = 's'
[[field]]
name = 'hits.t'
dtype = 'u64'
len = '0..3'
[[field]]
name = 'hits.d'
dtype = 'i64'
len = '0..3'
scale = 0.1
offset = -0.5
[[field]]
name = 'hits.x'
dtype = 'f64'
len = '0..3'
";
    let record = |hits: &[(u64, i64, f64)]| {
        let zeros = vec![0; 8 * (3 - hits.len())];
        let mut record = vec![hits.len() as u8];
        record.extend(hits.iter().flat_map(|hit| hit.0.to_le_bytes()).chain(zeros.clone()));
        record.extend(hits.iter().flat_map(|hit| hit.1.to_le_bytes()).chain(zeros.clone()));
        record.extend(hits.iter().flat_map(|hit| hit.2.to_le_bytes()).chain(zeros));
        record
    };
    let even = 1 << 53;
    let records = [
        record(&[]),
        record(&[(even, 90_071_992_547_409_935, 1.0)]),
        record(&[(even + 1, -5, 9_007_199_254_740_992.0), (even, 5, f64::INFINITY)]),
        record(&[(u64::MAX, i64::MAX, -1.0), (even + 2, i64::MIN, 0.0), (1, 0, 0.0)]),
        record(&[(even, 0, f64::NAN)]),
    ];
    let [yes, no, open] = [Some(true), Some(false), None];
    for (when, expected) in [
        ("count(hits.t > 9007199254740993) == 2", [no, no, no, yes, no]),
        ("count(hits.t >= 9007199254740993) >= 1", [no, no, yes, yes, no]),
        ("count(hits.t < 5) == 0", [yes, yes, yes, no, yes]),
        ("max(hits.t) == 9007199254740993", [no, no, yes, no, no]),
        ("max(hits.t) < 9007199254740993", [no, yes, no, no, yes]),
        ("min(hits.t) == 9007199254740992", [no, yes, yes, no, yes]),
        ("max(hits.t) - min(hits.t) == 1", [no, no, yes, no, no]),
        ("abs(-max(hits.t)) >= 9007199254740993", [no, no, yes, yes, no]),
        ("max(max(hits.t), 9007199254740993) == 9007199254740993", [yes, yes, yes, no, yes]),
        ("min(9007199254740993, max(hits.t), 9.5) == 9.5", [yes, yes, yes, yes, yes]),
        ("min(9007199254740993, max(hits.t)) == 9007199254740993", [yes, no, yes, yes, no]),
        ("sum(hits.t) == 0", [yes, no, no, no, no]),
        ("sum(hits.t) == 18014398509481985", [no, no, yes, no, no]),
        ("sum(hits.t) > 18455751272964292608", [no, no, no, yes, no]),
        ("sum(hits.t * 2) == 36028797018963970", [no, no, yes, no, no]),
        // Elements that are not there have -0.5, and take no part.
        ("sum(hits.d) == 9007199254740993", [no, yes, no, no, no]),
        ("max(hits.d) == 0", [no, no, yes, no, no]),
        ("min(hits.d) == -922337203685477581.3", [no, no, no, yes, no]),
        ("max(max(hits.d), 0) == 0", [yes, no, yes, no, yes]),
        ("count(hits.t == hits.x) == 0", [yes, yes, yes, yes, open]),
        ("count(hits.t > hits.x) >= 1", [no, yes, yes, yes, open]),
        ("max(hits.t) > max(hits.x)", [no, yes, no, yes, open]),
        ("max(hits.t) > max(max(hits.x), 0) && min(hits.x) < 0", [no, no, no, yes, open]),
        ("sum(hits.t - hits.x) < 0", [no, no, yes, no, open]),
    ] {
        assert_eq!(verdicts(schema, when, &records), expected, "{when}");
    }
}
