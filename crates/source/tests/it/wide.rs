//! Tables for fields of 64 bits: every digit arrives, and what does not is counted or refused.

use proptest::prelude::*;
use tamis_event::{Dtype, Schema};
use tamis_source::convert::{Changes, ConvertError, ConvertReport, Options};

use crate::convert::{npy_file, stored};

fn schema(field: &str) -> Schema {
    Schema::parse(format!("name = 'wide'\n[[field]]\nname = 'x'\n{field}\n").as_bytes()).unwrap()
}

/// What is stored for the last row, and the report.
fn one(field: &str, table: &[u8], saturate: bool) -> Result<([u8; 8], ConvertReport), ConvertError> {
    let options = Options { saturate, ..Options::default() };
    let (record, report) = stored(&schema(field), table, &options)?;
    Ok((record.try_into().unwrap(), report))
}

fn refused(field: &str, table: &[u8], saturate: bool) -> String {
    one(field, table, saturate).unwrap_err().to_string()
}

/// The highest u64.
const MOST: i128 = (1 << 64) - 1;

/// Value of the table, raw value that is stored, and whether digits are lost.
type Case<'a> = (&'a str, i128, bool);

#[test]
fn texts_are_stored_with_all_their_digits() {
    let plain: &[Case<'_>] = &[
        ("18446744073709551615", MOST, false),
        ("+9007199254740993", (1 << 53) + 1, false),
        ("1.8446744073709551615e19", MOST, false),
        ("9007199254740993.0", (1 << 53) + 1, false),
        ("9007199254740993.5", (1 << 53) + 2, true),
        ("9007199254740992.5", 1 << 53, true),
        ("18446744073709551614.5", MOST - 1, true),
        ("0.3", 0, true),
    ];
    let signed: &[Case<'_>] =
        &[("-9223372036854775808", i64::MIN.into(), false), ("-2.5", -2, true), ("-3.5", -4, true)];
    let time: &[Case<'_>] = &[
        ("1733056105.123456789", 1_733_056_105_123_456_789, false),
        ("18446744073.709551615", MOST, false),
        ("1733056105.1234567894", 1_733_056_105_123_456_789, true),
        ("0.30000000000000004", 300_000_000, false),
    ];
    let turned: &[Case<'_>] = &[
        ("-922337203685477578.2", i64::MAX.into(), false),
        ("2.5", 0, false),
        ("2.45", 0, true),
        ("2.35", 2, true),
    ];
    for (field, cases) in [
        ("dtype = 'u64'", plain),
        ("dtype = 'i64'", signed),
        ("dtype = 'u64'\nscale = 1e-9", time),
        ("dtype = 'i64'\nscale = -0.1\noffset = 2.5", turned),
    ] {
        for &(text, raw, loses) in cases {
            let (record, report) = one(field, format!("x\n{text}\n").as_bytes(), false).unwrap();
            assert_eq!(record, raw.to_le_bytes()[..8], "{text} for {field}");
            let lost = report.changes.iter().map(|change| change.rounded).sum::<u64>();
            assert_eq!(lost, u64::from(loses), "{text} for {field}: {:?}", report.changes);
        }
    }
    let changes = one("dtype = 'u64'", b"x\n1\n9007199254740993.25\n", false).unwrap().1.changes;
    let lost = Changes {
        column: "x".into(),
        rounded: 1,
        largest_change: 0.25,
        largest_row: 3,
        ..Changes::default()
    };
    assert_eq!(changes, [lost]);
}

#[test]
fn what_64_bits_do_not_hold_is_refused_or_clamped() {
    for (dtype, value, end) in [
        ("u64", "18446744073709551616", MOST),
        ("u64", "18446744073709551615.5", MOST),
        ("u64", "-1", 0),
        ("u64", "1e60", MOST),
        ("u64", "inf", MOST),
        ("i64", "9223372036854775808", i64::MAX.into()),
        ("i64", "-9223372036854775809", i64::MIN.into()),
    ] {
        let (field, table) = (format!("dtype = '{dtype}'"), format!("x\n{value}\n"));
        let (low, high) = Dtype::try_from(dtype.to_owned()).unwrap().integer_range().unwrap();
        assert_eq!(
            refused(&field, table.as_bytes(), false),
            format!(
                "t.csv, line 2, column 'x': {value} does not fit x ({dtype}), which holds {low} to {high}; clamp with --saturate"
            )
        );
        let (record, report) = one(&field, table.as_bytes(), true).unwrap();
        assert_eq!((&record[..], report.changes[0].clamped), (&end.to_le_bytes()[..8], 1), "{value}");
    }
    let told = refused("dtype = 'u64'", b"x\nnan\n", true);
    assert!(told.contains("a NaN cannot be stored as u64"), "{told}");
}

#[test]
fn floats_of_64_bits_keep_every_bit() {
    for text in [
        "0.1",
        "-0.0",
        "1e300",
        "5e-324",
        "inf",
        "nan",
        "0.30000000000000004",
        "123456.789012",
        "1.7976931348623157e308",
    ] {
        let value: f64 = text.parse().unwrap();
        let tables =
            [format!("x\n{text}\n").into_bytes(), npy_file("'<f8'", "(1,)", "False", &value.to_le_bytes())];
        for table in tables {
            let (record, report) = one("dtype = 'f64'", &table, false).unwrap();
            assert_eq!(record, value.to_le_bytes(), "{text}");
            let is_whole = |change: &Changes| change.rounded + change.clamped == 0;
            assert!(report.changes.iter().all(is_whole), "{text}: {:?}", report.changes);
        }
    }
    // What f64 itself does not hold.
    assert_eq!(one("dtype = 'f64'", b"x\n9007199254740993\n", false).unwrap().1.changes[0].rounded, 1);
    let told = refused("dtype = 'f64'", b"x\n1e309\n", false);
    assert!(told.contains("does not fit x (f64)"), "{told}");
}

proptest! {
    /// Arrays of any integer type and byte order.
    #[test]
    fn integers_of_arrays_are_stored_as_they_are(near in prop::sample::select(vec![0_u64, 1 << 53, 1 << 63, u64::MAX]), by in -3..=3_i64, turned: bool) {
        let value = near.wrapping_add_signed(by);
        for (dtype, kind) in [(Dtype::U64, 'u'), (Dtype::I64, 'i')] {
            let bytes = if turned { value.to_be_bytes() } else { value.to_le_bytes() };
            let array = npy_file(&format!("'{}{kind}8'", if turned { '>' } else { '<' }), "(1,)", "False", &bytes);
            let field = format!("dtype = '{}'", dtype.name());
            let (record, report) = one(&field, &array, false).unwrap();
            prop_assert_eq!((record, report.changes), (value.to_le_bytes(), vec![]));
            let float = value as f64;
            let array = npy_file("'<f8'", "(1,)", "False", &float.to_le_bytes());
            if float < 1.8e19 && dtype == Dtype::U64 {
                prop_assert_eq!(one(&field, &array, false).unwrap().0, (float as u64).to_le_bytes());
            }
        }
    }
}
