//! 64-bit fields at their limits and at those of f64: every comparison with literals and with each other, against exact rationals.

use tamis_event::{Dtype, Schema};

use crate::any::Column;
use crate::oracle::EDGES;
use crate::oracle::number::{self, Number};
use crate::support::{COMPARISONS, passes, verdicts};

const INTEGERS: [i128; 14] = [
    0,
    1,
    -1,
    3,
    (1 << 53) - 1,
    1 << 53,
    (1 << 53) + 1,
    (1 << 53) + 2,
    -(1 << 53) - 1,
    (1 << 63) - 1,
    1 << 63,
    -(1 << 63),
    (1 << 64) - 1,
    (1 << 64) - 2,
];
const TWO_63: f64 = 9_223_372_036_854_775_808.0;
const FLOATS: [f64; 18] = [
    0.0,
    -0.0,
    1.0,
    0.3,
    -0.5,
    9_007_199_254_740_991.0,
    9_007_199_254_740_992.0,
    9_007_199_254_740_994.0,
    TWO_63,
    -TWO_63,
    2.0 * TWO_63,
    TWO_63 - 1024.0,
    1e300,
    5e-324,
    -1e-310,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

/// Often the bytes of a number at an edge; takes one draw.
pub fn edge(dtype: Dtype, drawn: u16) -> Option<[u8; 8]> {
    let at = usize::from(drawn / 4);
    match dtype {
        _ if drawn.is_multiple_of(4) => None,
        // NaN, the last one, is rare, since it leaves nothing else to be seen of its event.
        Dtype::F64 => Some(FLOATS[at % if drawn % 64 == 1 { 18 } else { 17 }].to_le_bytes()),
        _ => Some((INTEGERS[at % INTEGERS.len()] as u64).to_le_bytes()),
    }
}

fn all(dtype: Dtype) -> Vec<Vec<u8>> {
    let integers = INTEGERS.iter().map(|raw| raw.to_le_bytes()[..dtype.size()].to_vec());
    match dtype {
        Dtype::F64 => FLOATS.iter().filter(|x| !x.is_nan()).map(|x| x.to_le_bytes().to_vec()).collect(),
        Dtype::F32 => {
            FLOATS.iter().filter(|x| !x.is_nan()).map(|x| (*x as f32).to_le_bytes().to_vec()).collect()
        }
        _ => integers.collect(),
    }
}

fn expected(operator: &str, a: Number, b: Number) -> bool {
    let (holds, is_vague) = Number::compared(operator, a, b);
    assert!(!is_vague, "the oracle knows");
    holds.unwrap()
}

#[test]
fn a_cut_is_exact_at_every_edge() {
    let kinds = [
        "'u64'",
        "'i64'",
        "'i64'\nscale = -0.1\noffset = 2.5",
        "'u64'\nscale = 1e-9",
        "'i64'\nscale = 3.0",
        "'f64'",
    ];
    for kind in kinds {
        let text = format!("name = 's'\n[[field]]\nname = 'x'\ndtype = {kind}");
        let schema = Schema::parse(text.as_bytes()).unwrap();
        let column = Column::new(&schema.fields()[0]);
        let records = all(column.field.dtype);
        let numbers: Vec<Number> = records.iter().map(|record| column.number(0, record)).collect();
        for literal in
            EDGES.into_iter().chain(["0", "1.5", "0.3"]).flat_map(|edge| [edge.into(), format!("-{edge}")])
        {
            let limit = number::written(&literal);
            for (operator, mirrored, _) in COMPARISONS {
                let check = |when: String, of: &dyn Fn(Number) -> Number| {
                    let want: Vec<bool> = numbers.iter().map(|&x| expected(operator, of(x), limit)).collect();
                    assert_eq!(passes(&text, &when, &records), want, "{when} for {kind}");
                };
                check(format!("x {operator} {literal}"), &|x| x);
                check(format!("{literal} {mirrored} x"), &|x| x);
                check(format!("abs(x) {operator} {literal}"), &Number::magnitude);
                check(format!("-x {operator} {literal}"), &Number::negated);
                check(format!("max(x, x) {operator} {literal}"), &|x| x);
                check(format!("x - 1 {operator} {literal}"), &|x| {
                    Number::calculated("-", x, number::literal(1.0))
                });
            }
        }
    }
}

/// Fields of all kinds with each other, at all pairs of edges.
#[test]
fn two_fields_are_compared_exactly() {
    let kinds = [
        "dtype = 'u64'",
        "dtype = 'i64'",
        "dtype = 'i64', scale = 0.1",
        "dtype = 'u64', scale = 1e-9",
        "dtype = 'u64', scale = 1e-22",
        "dtype = 'i32'",
        "dtype = 'i16', scale = 0.1",
        "dtype = 'f64'",
        "dtype = 'f32'",
    ];
    for (a, b) in kinds.iter().flat_map(|a| kinds.map(|b| (a, b))) {
        let text = format!("name = 's'\nfield = [{{ name = 'a', {a} }}, {{ name = 'b', {b} }}]");
        let schema = Schema::parse(text.as_bytes()).unwrap();
        let [x, y] = [0, 1].map(|k| Column::new(&schema.fields()[k]));
        let pairs = all(x.field.dtype)
            .into_iter()
            .flat_map(|x| all(y.field.dtype).into_iter().map(move |y| [x.clone(), y]));
        let records: Vec<Vec<u8>> = pairs.map(|pair| pair.concat()).collect();
        for (operator, ..) in COMPARISONS {
            let want: Vec<bool> = records
                .iter()
                .map(|record| expected(operator, x.number(0, record), y.number(0, record)))
                .collect();
            assert_eq!(passes(&text, &format!("a {operator} b"), &records), want, "{a} {operator} {b}");
        }
    }
}

/// What every physicist knows, without an oracle.
#[test]
fn exact_where_f64_is_not() {
    let schema = "name = 's'\nfield = [{ name = 'id', dtype = 'u64' }, { name = 't', dtype = 'i64', len = 2 }, { name = 'ns', dtype = 'u64', scale = 1e-9 }, { name = 'x', dtype = 'f64' }]";
    let record = |id: u64, t: [i64; 2], ns: u64, x: f64| {
        [id.to_le_bytes(), t[0].to_le_bytes(), t[1].to_le_bytes(), ns.to_le_bytes(), x.to_le_bytes()].concat()
    };
    let now = 1_733_056_105_123_456_789;
    let records = [
        record(u64::MAX, [now, now - 50], now as u64, 0.3),
        record((1 << 53) + 1, [i64::MIN, i64::MAX], 0, 9_007_199_254_740_992.0),
        record(1 << 53, [-1, 1], u64::MAX, f64::NAN),
    ];
    let [yes, no, open] = [Some(true), Some(false), None];
    for (when, want) in [
        ("id > 9007199254740992", [yes, yes, no]),
        ("id > 9007199254740992.5", [yes, yes, no]),
        ("id == 18446744073709551615", [yes, no, no]),
        ("id == 1.8446744073709551615e19", [yes, no, no]),
        ("id >= 1e19", [yes, no, no]),
        ("abs(t[0] - t[1]) == 50", [yes, no, no]),
        ("t[1] - t[0] == 18446744073709551615", [no, yes, no]),
        ("max(t) - min(t) > 18446744073709551614", [no, yes, no]),
        ("sum(t) == -1", [no, yes, no]),
        ("sum(t) == 0", [no, no, yes]),
        ("count(t > 1733056105123456788) == 1", [yes, yes, no]),
        ("ns == 1733056105.123456789", [yes, no, no]),
        ("ns > 1733056105.1234567885", [yes, no, yes]),
        // As it is written, with 16 and 17 digits, too: the f64 of these is that of other times.
        ("ns == 1733056105.1234568", [no, no, no]),
        ("ns > 1733056105.1234567", [yes, no, yes]),
        ("ns < 1733056105.1234568", [yes, yes, no]),
        ("1733056105.123457 > ns", [yes, yes, no]),
        ("-ns < -1733056105.1234567", [yes, no, yes]),
        ("-t[0] == 9223372036854775808", [no, yes, no]),
        ("id * id > 1e38", [yes, no, no]),
        // A quotient is one of f64.
        ("id / 2 == 4503599627370496", [no, yes, yes]),
        ("x == 0.3", [yes, no, open]),
        ("x == 0.29999999999999998", [yes, no, open]),
        ("x == 0.3000000000000001", [no, no, open]),
        ("id == x", [no, no, open]),
        ("id > x", [yes, yes, open]),
    ] {
        assert_eq!(verdicts(schema, when, &records), want, "{when}");
    }
}
