//! Numbers made of 64-bit integers: exact decimals in 128 bits.
//!
//! ```text
//!   id > 9007199254740993              u64                   raw > 9007199254740993
//!   time > 1733056105.1234567885       u64, scale 1e-9       raw > 1733056105123456788     between two numbers of the field
//!   abs(a.time - b.time) < 50          u64                   max(a - b, b - a) < 50        in i128
//!   id == x                            u64, f64              exact: neither is rounded to the type of the other
//! ```
//!
//! * I1: a large number is `digits / 10^places`, and its bounds in any event are at most [`LARGE_MAX`], so no operation on it overflows.
//! * I2: what brings two numbers to the same places for a comparison may leave these bounds: it saturates, and then the number is farther out than
//!   any that it is compared with.
//! * I3: a menu without 64-bit integers, or literals as large, has none of this.

use tamis_event::{Decimal, Element, Grid, LARGE_MAX, PLACES_MAX};

use crate::expression::{Arithmetic, Comparison};
use crate::graph::{MenuGraph, MenuNode, NodeId};
use crate::integers::calculated;
use crate::number::{Form, Made, MenuNumber, settled};

/// A number as an integer, at some number of places.
#[derive(Clone, Copy)]
struct Digits {
    id: NodeId,
    bounds: (i128, i128),
    places: i32,
}

impl Digits {
    fn is_large(self) -> bool {
        self.bounds.0 >= -LARGE_MAX && self.bounds.1 <= LARGE_MAX && self.places <= PLACES_MAX
    }

    fn number(self) -> MenuNumber {
        let Self { id, bounds: (low, high), places } = self;
        let form = Form::Large { places, low, high };
        MenuNumber::new(id, form, (low as f64, high as f64))
    }
}

impl MenuGraph {
    /// The value of an element of a 64-bit type.
    pub(crate) fn large_field(&mut self, element: Element, grid: Grid) -> Made<MenuNumber> {
        let (least, most) = element.dtype.integer_range().expect("only integers have a grid");
        let ends = (grid.digits(least), grid.digits(most));
        let place = self.place(element);
        let raw = self.add(MenuNode::LoadInteger(place))?;
        let (scale, offset) = (self.integer(grid.scale.into())?, self.integer(grid.offset.into())?);
        let scaled = if grid.scale == 1 { raw } else { self.combine_integers(Arithmetic::Mul, raw, scale)? };
        let id =
            if grid.offset == 0 { scaled } else { self.combine_integers(Arithmetic::Add, scaled, offset)? };
        Ok(Digits { id, bounds: (ends.0.min(ends.1), ends.0.max(ends.1)), places: grid.places }.number())
    }

    pub(crate) fn large_literal(&mut self, value: i128) -> Made<MenuNumber> {
        Ok(Digits { id: self.integer(value)?, bounds: (value, value), places: 0 }.number())
    }

    pub(crate) fn large_negated(&mut self, a: MenuNumber) -> Made<MenuNumber> {
        let zero = self.large_literal(0)?;
        let negated = self.large(Arithmetic::Sub, zero, a)?.expect("the bounds are as wide");
        Ok(MenuNumber { nan: a.nan, absent: a.absent, ..negated })
    }

    /// Sum, difference, product, minimum or maximum of large and whole numbers, if the result is a large number.
    pub(crate) fn large(
        &mut self,
        arithmetic: Arithmetic,
        a: MenuNumber,
        b: MenuNumber,
    ) -> Made<Option<MenuNumber>> {
        let (Some(mut x), Some(mut y)) = (self.digits(a)?, self.digits(b)?) else { return Ok(None) };
        let places = match arithmetic {
            Arithmetic::Div => return Ok(None),
            Arithmetic::Mul => x.places + y.places,
            _ => {
                let places = x.places.max(y.places);
                (x, y) = (self.at_places(x, places)?, self.at_places(y, places)?);
                places
            }
        };
        if arithmetic != Arithmetic::Mul && !(x.is_large() && y.is_large()) {
            return Ok(None);
        }
        let ends = [
            (x.bounds.0, y.bounds.0),
            (x.bounds.0, y.bounds.1),
            (x.bounds.1, y.bounds.0),
            (x.bounds.1, y.bounds.1),
        ];
        let ends = ends.map(|(x, y)| calculated(arithmetic, x, y));
        let [mut low, mut high] = [ends[0]; 2];
        for end in ends {
            (low, high) = (low.min(end), high.max(end));
        }
        let result = Digits { id: x.id, bounds: (low, high), places };
        if !result.is_large() {
            return Ok(None);
        }
        let id = self.combine_integers(arithmetic, x.id, y.id)?;
        Ok(Some(Digits { id, ..result }.number()))
    }

    /// Whether `a op b` holds, if one of them is large and the comparison is exact; `None` if it is made in a floating type.
    pub(crate) fn large_holds(
        &mut self,
        comparison: Comparison,
        a: MenuNumber,
        b: MenuNumber,
    ) -> Made<Option<NodeId>> {
        // To the right stands the number that is not large, or the literal.
        let is_mirrored = if a.is_large() {
            b.is_large() && a.written.is_some() && b.written.is_none()
        } else {
            b.is_large()
        };
        if is_mirrored {
            return self.large_holds(comparison.mirrored(), b, a);
        }
        let Form::Large { places, low, high } = a.form else { return Ok(None) };
        if b.is_whole() && b.written.is_none() {
            return self.integers_hold(comparison, a, b).map(Some);
        }
        if let Some(limit) = b.written.or_else(|| self.decimal(b)) {
            let (comparison, limit) = match cut(comparison, limit, places) {
                LargeCut::Settled(holds) => return self.truth(holds).map(Some),
                LargeCut::At(comparison, limit) => (comparison, limit),
            };
            if let Some(holds) = settled(comparison, (low, high), (limit, limit)) {
                return self.truth(holds).map(Some);
            }
            let limit = self.integer(limit)?;
            return self.compare_integers(comparison, a.id, limit).map(Some);
        }
        let is_value = matches!(b.form, Form::Half | Form::Single | Form::Rounded { single: false });
        if places == 0 && is_value && self.constant(a).is_none() {
            return self.compare_mixed(comparison, a.id, b.id).map(Some);
        }
        Ok(None)
    }

    /// Whether `a op b` holds for whole or large numbers, exactly.
    pub(crate) fn integers_hold(
        &mut self,
        comparison: Comparison,
        a: MenuNumber,
        b: MenuNumber,
    ) -> Made<NodeId> {
        let (x, y) = (self.digits(a)?, self.digits(b)?);
        let (x, y) = x.zip(y).expect("both are whole or large");
        let places = x.places.max(y.places);
        let (x, y) = (self.at_places(x, places)?, self.at_places(y, places)?);
        match settled(comparison, x.bounds, y.bounds) {
            Some(holds) => self.truth(holds),
            None => self.compare_integers(comparison, x.id, y.id),
        }
    }

    /// A whole or large number as an integer.
    fn digits(&mut self, a: MenuNumber) -> Made<Option<Digits>> {
        Ok(match a.form {
            Form::Large { places, low, high } => Some(Digits { id: a.id, bounds: (low, high), places }),
            Form::Whole { places } => {
                let bounds = (a.low as i128, a.high as i128);
                Some(Digits { id: self.integer_of(a.id)?, bounds, places })
            }
            _ => None,
        })
    }

    fn at_places(&mut self, a: Digits, places: i32) -> Made<Digits> {
        if a.places == places {
            return Ok(a);
        }
        let factor = power(places - a.places);
        let by = self.integer(factor)?;
        let id = self.combine_integers(Arithmetic::Mul, a.id, by)?;
        let scaled = |digits| calculated(Arithmetic::Mul, digits, factor);
        Ok(Digits { id, bounds: (scaled(a.bounds.0), scaled(a.bounds.1)), places })
    }
}

/// Ten to the power of `places`; saturates.
fn power(places: i32) -> i128 {
    10_i128.checked_pow(places.unsigned_abs()).unwrap_or(i128::MAX)
}

/// A comparison with a literal in whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LargeCut {
    /// It is the same for all.
    Settled(bool),
    /// It is this one.
    At(Comparison, i128),
}

/// The comparison of a whole number with `literal` times ten to the power of `places`: most literals lie between two whole numbers then.
pub(crate) fn cut(comparison: Comparison, literal: Decimal, places: i32) -> LargeCut {
    let shift = places - literal.places;
    if shift >= 0 {
        return LargeCut::At(comparison, calculated(Arithmetic::Mul, literal.digits, power(shift)));
    }
    let unit = power(shift);
    let (below, rest) = (literal.digits.div_euclid(unit), literal.digits.rem_euclid(unit));
    match comparison {
        _ if rest == 0 => LargeCut::At(comparison, below),
        Comparison::Less | Comparison::LessEqual => LargeCut::At(Comparison::LessEqual, below),
        Comparison::Greater | Comparison::GreaterEqual => LargeCut::At(Comparison::Greater, below),
        Comparison::Equal => LargeCut::Settled(false),
        Comparison::NotEqual => LargeCut::Settled(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_between_two_whole_numbers() {
        let cases = [
            ("0.3", 1, 3, true),
            ("0.35", 1, 3, false),
            ("-0.35", 1, -4, false),
            ("0.300000000001", 1, 3, false),
            ("0.299999999999", 1, 2, false),
            ("1e-300", 3, 0, false),
            ("-1e-300", 3, -1, false),
            ("0.0", 22, 0, true),
            ("12.0", 2, 1200, true),
            ("9007199254740992.01", 0, 1 << 53, false),
            ("9007199254740993", 0, (1 << 53) + 1, true),
            ("1e300", 2, i128::MAX, true),
            ("-1e300", 2, -i128::MAX, true),
        ];
        for (text, places, below, is_whole) in cases {
            let literal = Decimal::parse(text).expect("a decimal");
            let (less, equal) = if is_whole {
                (LargeCut::At(Comparison::Less, below), LargeCut::At(Comparison::Equal, below))
            } else {
                (LargeCut::At(Comparison::LessEqual, below), LargeCut::Settled(false))
            };
            assert_eq!(cut(Comparison::Less, literal, places), less, "{text} with {places} places");
            assert_eq!(cut(Comparison::Equal, literal, places), equal, "{text} with {places} places");
        }
    }
}
