//! Numbers as people read and write them: in decimals.
//!
//! A field of integers with `scale = 0.1` holds 0.3 and not 3 times the f64 nearest to 0.1, which is 0.30000000000000004. So a number of an
//! integer field is a whole number over a power of ten, and it is rounded to an f64 once, at the end, or not at all where it has 64 bits. A
//! field of floats holds the shortest decimal that its type reads back: of f32, 0.3 and not 0.30000001192092896.

use std::fmt;

use half::f16;

use crate::dtype::Dtype;
use crate::schema::{Element, Field};

/// Integers up to this are exact in f64.
pub const EXACT_MAX: i64 = 1 << 53;
/// Powers of ten up to this one are exact in f64.
pub const PLACES_MAX: i32 = 22;
/// Digits of a number made of 64-bit integers: half of what an i128 holds, so that two of them can be added.
pub const LARGE_MAX: i128 = 1 << 126;
/// An i128 holds every number of so many digits.
const DIGITS_MAX: usize = 38;

/// `digits` over ten to the power of `places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// At most 38 digits, with a sign.
    pub digits: i128,
    /// Digits behind the point; negative for zeros that are left out before it.
    pub places: i32,
}

impl Decimal {
    /// The decimal that `text` is, without zeros at its end; `None` if it has too many digits, or is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let numerals = format!("{whole}{part}");
        if numerals.is_empty() || !numerals.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let kept = numerals.trim_end_matches('0');
        let zeros = i32::try_from(numerals.len() - kept.len()).ok()?;
        let places =
            i32::try_from(part.len()).ok()?.checked_sub(exponent.parse().ok()?)?.checked_sub(zeros)?;
        match kept.trim_start_matches('0') {
            "" => Some(Self { digits: 0, places: 0 }),
            digits if digits.len() > DIGITS_MAX => None,
            digits => Some(Self { digits: sign * digits.parse::<i128>().ok()?, places }),
        }
    }

    /// The shortest decimal that reads back as `value`; `None` for a NaN and infinities.
    pub fn shortest(value: f64) -> Option<Self> {
        value.is_finite().then(|| Self::parse(&format!("{value:e}")).expect("at most 17 digits"))
    }

    /// `digits` with `places` digits behind the point, if it is a whole number of that kind and at most `most`.
    pub fn with_places(self, places: i32, most: i128) -> Option<i128> {
        if self.digits == 0 {
            return Some(0);
        }
        let more = u32::try_from(places - self.places).ok()?;
        let digits = self.digits.checked_mul(10_i128.checked_pow(more)?)?;
        (digits.abs() <= most).then_some(digits)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(places) = usize::try_from(self.places).ok().filter(|&places| places > 0) else {
            return write!(f, "{}{}", self.digits, "0".repeat(self.places.unsigned_abs() as usize));
        };
        let sign = if self.digits < 0 { "-" } else { "" };
        let numerals = format!("{:0>1$}", self.digits.unsigned_abs(), places + 1);
        let (whole, part) = numerals.split_at(numerals.len() - places);
        match part.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            part => write!(f, "{sign}{whole}.{part}"),
        }
    }
}

/// The decimal grid of an integer field: its number is `(raw * scale + offset)` over ten to the power of `places`. That is a whole number that f64
/// holds, or of a 64-bit field one up to [`LARGE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sentence above")]
pub struct Grid {
    pub scale: i64,
    pub offset: i64,
    pub places: i32,
}

impl Grid {
    /// The grid of an element; `None` for floats, and where its numbers have too many digits.
    pub fn of(element: Element) -> Option<Self> {
        let (least, most) = element.dtype.integer_range()?;
        let (scale, offset) = (Decimal::shortest(element.scale)?, Decimal::shortest(element.offset)?);
        let places = scale.places.max(offset.places).max(0);
        let exact = |number: Decimal| i64::try_from(number.with_places(places, EXACT_MAX.into())?).ok();
        let grid = Self { scale: exact(scale)?, offset: exact(offset)?, places };
        let reach = least.abs().max(most) * i128::from(grid.scale.abs()) + i128::from(grid.offset.abs());
        let limit = if element.dtype.is_large() { LARGE_MAX } else { EXACT_MAX.into() };
        (places <= PLACES_MAX && reach <= limit).then_some(grid)
    }

    /// The digits of a number, of which `places` stand behind the point.
    pub fn digits(self, raw: i128) -> i128 {
        raw * i128::from(self.scale) + i128::from(self.offset)
    }
}

/// The number of an element as people see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldNumber {
    /// Of u64 and i64, with all its digits.
    Decimal(Decimal),
    /// Of any other type.
    Float(f64),
}

impl FieldNumber {
    /// As an f64, which is not exact for large numbers of u64 and i64: the nearest one of the digits, over the power of ten.
    pub fn value(self) -> f64 {
        match self {
            Self::Decimal(Decimal { digits, places }) => digits as f64 / 10_f64.powi(places),
            Self::Float(value) => value,
        }
    }
}

impl fmt::Display for FieldNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(decimal) => decimal.fmt(f),
            Self::Float(value) => value.fmt(f),
        }
    }
}

impl Field {
    /// Element `index` in a record as people see it: the decimal with all its digits for u64 and i64, else rounded to an f64 once.
    ///
    /// Where a scale has so many digits that this cannot be exact (2 pi / 144), it is [`Element::physical`].
    pub fn number(&self, index: usize, record: &[u8]) -> FieldNumber {
        let element = self.element(index);
        if let (Some(grid), Some(raw)) = (self.grid, self.dtype.read_integer(&record[element.at..])) {
            let number = FieldNumber::Decimal(Decimal { digits: grid.digits(raw), places: grid.places });
            return if self.dtype.is_large() { number } else { FieldNumber::Float(number.value()) };
        }
        let physical = element.physical(record);
        FieldNumber::Float(match self.dtype {
            Dtype::F32 | Dtype::F16 if !physical.is_finite() => physical,
            Dtype::F16 if self.scale == 1.0 && self.offset == 0.0 => shortest_f16(physical),
            Dtype::F32 | Dtype::F16 => shown(&(physical as f32)),
            _ => physical,
        })
    }
}

/// The number that is printed for `value`.
fn shown(value: &impl ToString) -> f64 {
    value.to_string().parse().expect("a number that was printed")
}

/// The shortest decimal that reads back as this f16.
fn shortest_f16(value: f64) -> f64 {
    let candidates =
        (0..5).map(|places| format!("{value:.places$e}").parse::<f64>().expect("a number that was printed"));
    let wanted = f16::from_f64(value);
    candidates.into_iter().find(|&candidate| f16::from_f64(candidate) == wanted).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schema;

    fn number(dtype: Dtype, scale: f64, offset: f64, raw: f64) -> f64 {
        let mut record = Vec::new();
        dtype.write(raw, &mut record);
        let text = format!(
            "name = 's'\n[[field]]\nname = 'x'\ndtype = '{}'\nscale = {scale:e}\noffset = {offset:e}",
            dtype.name()
        );
        Schema::parse(text.as_bytes()).expect("a schema").fields()[0].number(0, &record).value()
    }

    #[test]
    fn shortest_decimals() {
        let cases =
            [(0.1, 1, 1), (-22.5, -225, 1), (1e20, 1, -20), (0.0435, 435, 4), (0.0, 0, 0), (1e-7, 1, 7)];
        for (value, digits, places) in cases {
            assert_eq!(Decimal::shortest(value), Some(Decimal { digits, places }), "{value}");
        }
        assert_eq!([f64::NAN, f64::INFINITY].map(Decimal::shortest), [None, None]);
    }

    #[test]
    fn decimals_are_read_and_shown_with_all_their_digits() {
        let most = "9".repeat(DIGITS_MAX);
        for text in [
            "18446744073709551615",
            "-9223372036854775808",
            "1733056105.123456789",
            "-0.05",
            "0",
            "900",
            &most,
        ] {
            assert_eq!(Decimal::parse(text).expect("a decimal").to_string(), text);
        }
        let zeros = format!("1{}", "0".repeat(300));
        for (text, digits, places) in
            [("12.50e-3", 125, 4), ("00.5E1", 5, 0), (&zeros, 1, -300), ("0e99", 0, 0)]
        {
            assert_eq!(Decimal::parse(text), Some(Decimal { digits, places }), "{text}");
        }
        for text in ["", ".", "1e", "1e9999999999", "x", "1_0", "--1", &format!("{most}1")] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn integers_of_64_bits_keep_their_digits() {
        let shown = |dtype: Dtype, more: &str, raw: i128| {
            let text = format!("name = 's'\n[[field]]\nname = 'x'\ndtype = '{}'\n{more}", dtype.name());
            let mut record = Vec::new();
            dtype.write_integer(raw, &mut record);
            let schema = Schema::parse(text.as_bytes()).expect("a schema");
            schema.fields()[0].number(0, &record).to_string()
        };
        assert_eq!(shown(Dtype::U64, "", u64::MAX.into()), "18446744073709551615");
        assert_eq!(shown(Dtype::I64, "", i64::MIN.into()), "-9223372036854775808");
        assert_eq!(shown(Dtype::U64, "scale = 1e-9", 1_733_056_105_123_456_789), "1733056105.123456789");
        assert_eq!(shown(Dtype::I64, "scale = -0.5\noffset = 0.25", 4), "-1.75");
        assert_eq!(shown(Dtype::U64, "scale = 1e3", u64::MAX.into()), "18446744073709551615000");
        // More digits than are kept: the product in f64.
        assert_eq!(shown(Dtype::U64, "scale = 1e-23", 3), (3.0 * 1e-23).to_string());
    }

    /// The text of the number is what the digits and the scale say.
    #[test]
    fn a_number_is_the_decimal_that_stands_there() {
        for raw in (i16::MIN..=i16::MAX).step_by(7) {
            let sign = if raw < 0 { "-" } else { "" };
            let size = raw.unsigned_abs();
            let one: f64 = format!("{sign}{}.{}", size / 10, size % 10).parse().expect("a number");
            assert_eq!(number(Dtype::I16, 0.1, 0.0, raw.into()), one);
            let milli = 5000 + i32::from(raw) * 3;
            let sign = if milli < 0 { "-" } else { "" };
            let size = milli.unsigned_abs();
            let three: f64 = format!("{sign}{}.{:03}", size / 1000, size % 1000).parse().expect("a number");
            assert_eq!(number(Dtype::I16, 0.003, 5.0, raw.into()), three);
        }
    }

    #[test]
    fn floats_are_the_shortest_decimals_of_their_type() {
        assert_eq!(number(Dtype::F32, 1.0, 0.0, 0.3), 0.3);
        assert_eq!(number(Dtype::F32, 2.0, 0.0, 0.3), 0.6);
        assert_eq!(number(Dtype::F16, 1.0, 0.0, 0.3), 0.3);
        assert_eq!(number(Dtype::F16, 1.0, 0.0, 65_504.0), 65_500.0);
        assert!(number(Dtype::F32, 1.0, 0.0, f64::NAN).is_nan());
        assert_eq!(number(Dtype::F16, 1.0, 0.0, f64::NEG_INFINITY), f64::NEG_INFINITY);
    }

    #[test]
    fn a_scale_of_many_digits_has_no_grid() {
        let step = std::f64::consts::TAU / 144.0;
        assert_eq!(number(Dtype::U16, step, 0.0, 40_000.0), 40_000.0 * step);
    }
}
