//! NaN operands: whether a line is decided all the same.

use crate::support::verdicts;

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
        // No line reads x[0].
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
