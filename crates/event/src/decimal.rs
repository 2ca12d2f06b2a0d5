//! Numbers as people read and write them: in decimals.
//!
//! A field of integers with `scale = 0.1` holds 0.3 and not 3 times the f64 nearest to 0.1, which is 0.30000000000000004. So a number of an
//! integer field is a whole number over a power of ten, and it is rounded to an f64 once, at the end. A field of f32 or f16 holds the shortest
//! decimal that its type reads back: 0.3 and not 0.30000001192092896.

use half::f16;

use crate::dtype::Dtype;
use crate::schema::{Element, Field};

/// Integers up to this are exact in f64.
pub const EXACT_MAX: i64 = 1 << 53;
/// Powers of ten up to this one are exact in f64.
pub const PLACES_MAX: i32 = 22;

/// `digits` over ten to the power of `places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// At most 17 digits, with a sign.
    pub digits: i64,
    /// Digits behind the point; negative for zeros that are left out before it.
    pub places: i32,
}

impl Decimal {
    /// The shortest decimal that reads back as `value`; `None` for a NaN and infinities.
    pub fn shortest(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').expect("the form of {:e}");
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{part}").parse().expect("at most 17 digits");
        let exponent: i32 = exponent.parse().expect("the form of {:e}");
        Some(Self { digits, places: part.len() as i32 - exponent })
    }

    /// `digits` with `places` digits behind the point, if it is a whole number of that kind and exact in f64.
    pub fn with_places(self, places: i32) -> Option<i64> {
        if self.digits == 0 {
            return Some(0);
        }
        let more = u32::try_from(places - self.places).ok()?;
        let digits = self.digits.checked_mul(10_i64.checked_pow(more)?)?;
        (digits.abs() <= EXACT_MAX).then_some(digits)
    }
}

/// The decimal grid of an integer field: its number is `(raw * scale + offset)` over ten to the power of `places`, in whole numbers that f64 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sentence above")]
pub struct Grid {
    pub scale: i64,
    pub offset: i64,
    pub places: i32,
}

impl Grid {
    /// The grid of an element; `None` for floats, and where its numbers have more digits than an f64.
    pub fn of(element: Element) -> Option<Self> {
        let (least, most) = element.dtype.integer_range()?;
        let (scale, offset) = (Decimal::shortest(element.scale)?, Decimal::shortest(element.offset)?);
        let places = scale.places.max(offset.places).max(0);
        let grid = Self { scale: scale.with_places(places)?, offset: offset.with_places(places)?, places };
        let reach = least.abs().max(most) * i128::from(grid.scale.abs()) + i128::from(grid.offset.abs());
        (places <= PLACES_MAX && reach <= i128::from(EXACT_MAX)).then_some(grid)
    }
}

impl Field {
    /// Element `index` in a record as people see it: the decimal, rounded to an f64 once.
    ///
    /// Where a scale has so many digits that this cannot be exact (2 pi / 144), it is [`Element::physical`].
    pub fn number(&self, index: usize, record: &[u8]) -> f64 {
        let element = self.element(index);
        if let Some(Grid { scale, offset, places }) = self.grid {
            let raw = self.dtype.read(&record[element.at..]);
            return (raw * scale as f64 + offset as f64) / 10_f64.powi(places);
        }
        let physical = element.physical(record);
        match self.dtype {
            Dtype::F32 | Dtype::F16 if !physical.is_finite() => physical,
            Dtype::F16 if self.scale == 1.0 && self.offset == 0.0 => shortest_f16(physical),
            Dtype::F32 | Dtype::F16 => shown(&(physical as f32)),
            _ => physical,
        }
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
        Schema::parse(text.as_bytes()).expect("a schema").fields()[0].number(0, &record)
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
