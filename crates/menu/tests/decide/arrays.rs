//! Counts, sums and extremes of arrays.

use tamis_event::{Grid, Schema};

use crate::oracle::number::{self, Digits, Kind, Number};
use crate::support::{COMPARISONS, passes};

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
    // Exact calibrations, nearly exact ones, and inexact ones; more elements than the sieve takes.
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
                let bytes = &record[k * field.dtype.size()..];
                match (field.dtype.integer_range(), field.dtype.read_integer(bytes)) {
                    (Some(range), Some(raw)) if has_grid => Digits::new(range, scale, offset).number(raw),
                    _ => number::float(field.dtype.read(bytes) * scale + offset, Kind::Double),
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
