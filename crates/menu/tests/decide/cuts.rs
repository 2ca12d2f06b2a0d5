//! Comparisons of single values: exact, as the values are displayed.

use tamis_event::Schema;

use crate::support::{COMPARISONS, passes};

/// Every seventh tenth from -40 to 40 and the half step above it as literals, against every value with one decimal.
#[test]
fn values_of_one_decimal_are_cut_as_they_are_shown() {
    let raws = -400..400_i16;
    let integers: Vec<Vec<u8>> = raws.clone().map(|raw| raw.to_le_bytes().to_vec()).collect();
    let floats: Vec<Vec<u8>> =
        raws.clone().map(|raw| format!("{raw}e-1").parse::<f32>().unwrap().to_le_bytes().to_vec()).collect();
    let schemas = [("i16", "scale = 0.1", &integers), ("f32", "", &floats)];
    for (dtype, scale, records) in schemas {
        let schema = format!("name = 's'\n[[field]]\nname = 'x'\ndtype = '{dtype}'\n{scale}");
        // Computed in hundredths: the displayed value has one decimal.
        for limit in (-400..400_i32).step_by(7).flat_map(|tenth| [10 * tenth, 10 * tenth + 5]) {
            let text =
                format!("{}{}.{:02}", if limit < 0 { "-" } else { "" }, limit.abs() / 100, limit.abs() % 100);
            for (operator, mirrored, reference) in COMPARISONS {
                let holds = |raw: i16| reference(&f64::from(i32::from(raw) * 10), &limit.into());
                let expected: Vec<bool> = raws.clone().map(holds).collect();
                // Decided by the sieve, in either order of the sides, and by the steps.
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
        let physical = |raw: i16| parsed.fields()[0].number(0, &raw.to_le_bytes()).value();
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
fn a_product_that_is_always_zero_has_no_sign() {
    let schema = "name = 's'\n[[field]]\nname = 'x'\ndtype = 'i8'";
    let records: Vec<Vec<u8>> = vec![vec![5], vec![0xfb]];
    for when in ["3 / (x * 0) > 20", "3 / (0 * x) > 20", "3 / (x * 0) > 0 && 3 / (x - x) > 0"] {
        assert_eq!(passes(schema, when, &records), [true, true], "{when}");
    }
}
