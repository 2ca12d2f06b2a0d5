//! Numbers of an expression and their comparison: exact decimals if made of integers and literals, f32 if they come from an f32.
//!
//! ```text
//!   a.pt[0] + a.pt[1] >= 0.3       i16 with scale 0.1      raw + raw >= 3             whole numbers of tenths, exact
//!   a.pt[0] / b.pt > 0.3           the same                raw / raw > 0.3            rounded to an f64 once
//!   x >= 0.3                       f32                     x >= f32(0.3)              as stored in the record
//!   2 * x >= 0.6                   f32                     f32(2 * x) >= f32(0.6)     computed in f64, compared in f32
//! ```
//!
//! * I1: a number made of fields of up to 32 bits of integers and literals with `+ - * abs min max sum count` is a whole number over a power of ten, as long as
//!   that is exact in f64. Such numbers compare as the decimals that people see, with any literal and with each other.
//! * I2: an f32 or a score is compared in f32, so a literal equals the number it would be stored as. An f16 is compared with a literal in f16.
//! * I3: a whole number has no negative zero: a quotient has the sign that its decimals have.
//! * I4: [`MenuNumber::nan`] is true for events in which arithmetic made the number NaN: 0 / 0, or infinities that cancel. Fields
//!   that are NaN are found elsewhere ([`crate::lowering`]).
//! * I5: [`MenuNumber::absent`] is true for events in which the number does not exist ([`list`]).

mod list;

use tamis_event::{Decimal, Dtype, EXACT_MAX, Element, Grid, LARGE_MAX, PLACES_MAX};

use crate::expression::{Arithmetic, Comparison, Literal};
use crate::flag::Flag;
use crate::graph::{MenuGraph, MenuNode, NodeId, TooLarge};
use crate::large::{LargeCut, cut};

/// The form in which a node holds a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The number times ten to the power of `places`: a whole number, exact.
    Whole { places: i32 },
    /// The same as an integer of 128 bits, with its bounds.
    Large { places: i32, low: i128, high: i128 },
    /// The value of an f16.
    Half,
    /// The value of an f32.
    Single,
    /// The result of arithmetic in f64; `single` if an f32 or f16 went into it.
    Rounded { single: bool },
}

/// A number of an expression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MenuNumber {
    pub(crate) id: NodeId,
    pub(crate) form: Form,
    /// Bounds of what the node holds, rounded if it holds an integer of 128 bits.
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// True where arithmetic made it NaN; `None` if that cannot happen.
    pub(crate) nan: Option<NodeId>,
    /// The decimal of a literal.
    pub(crate) written: Option<Decimal>,
    /// True where it does not exist, as the maximum of no elements; `None` if it always does.
    pub(crate) absent: Option<NodeId>,
}

pub(crate) type Made<T> = Result<T, TooLarge>;

impl MenuNumber {
    /// A number that exists and is not NaN in any event, and is no literal.
    pub(crate) fn new(id: NodeId, form: Form, (low, high): (f64, f64)) -> Self {
        Self { id, form, low, high, nan: None, written: None, absent: None }
    }

    /// Smallest and largest value; infinite if nothing is known.
    pub(crate) fn range(self) -> (f64, f64) {
        let unit = match self.form {
            Form::Whole { places } | Form::Large { places, .. } => power(places),
            _ => 1.0,
        };
        (self.low / unit, self.high / unit)
    }

    /// Is it made of literals alone? (A count too can be the same for every event, because of the ranges of fields.)
    pub(crate) fn is_literal(self) -> bool {
        match self.form {
            Form::Large { low, high, .. } => low == high,
            _ => self.low.to_bits() == self.high.to_bits(),
        }
    }

    pub(crate) fn is_single(self) -> bool {
        matches!(self.form, Form::Half | Form::Single | Form::Rounded { single: true })
    }

    /// Is it computed in integers of 64 or 128 bits?
    pub(crate) fn is_large(self) -> bool {
        matches!(self.form, Form::Large { .. })
    }

    /// Is it whole in units of its grid?
    pub(crate) fn is_whole(self) -> bool {
        matches!(self.form, Form::Whole { .. } | Form::Large { .. })
    }

    fn bounds(self) -> (f64, f64) {
        (self.low, self.high)
    }

    fn whole(id: NodeId, places: i32, (low, high): (f64, f64)) -> Option<Self> {
        let is_exact = low.abs().max(high.abs()) <= EXACT_MAX as f64 && places <= PLACES_MAX;
        is_exact.then_some(Self::new(id, Form::Whole { places }, (low, high)))
    }
}

/// Ten to the power of `places`; exact.
pub(crate) fn power(places: i32) -> f64 {
    10_f64.powi(places)
}

impl MenuGraph {
    /// The value of an element.
    pub(crate) fn field(&mut self, element: Element) -> Made<MenuNumber> {
        if let (true, Some(grid)) = (element.dtype.is_large(), Grid::of(element)) {
            return self.large_field(element, grid);
        }
        let raw = element.dtype.integer_range().map(|(least, most)| (least as f64, most as f64));
        if let (Some((least, most)), Some(Grid { scale, offset, places })) = (raw, Grid::of(element)) {
            let element = Element { scale: scale as f64, offset: offset as f64, ..element };
            let (a, b) = (least * element.scale + element.offset, most * element.scale + element.offset);
            let id = self.load(element)?;
            return Ok(MenuNumber::whole(id, places, (a.min(b), a.max(b))).expect("a grid is exact"));
        }
        let id = self.load(element)?;
        let (low, high) = raw.map_or((f64::NEG_INFINITY, f64::INFINITY), |(least, most)| {
            let (a, b) = (least * element.scale + element.offset, most * element.scale + element.offset);
            (a.min(b), a.max(b))
        });
        let is_plain = element.scale == 1.0 && element.offset == 0.0;
        let form = match element.dtype {
            Dtype::F16 if is_plain => Form::Half,
            Dtype::F32 if is_plain => Form::Single,
            Dtype::F16 | Dtype::F32 => Form::Rounded { single: true },
            _ => Form::Rounded { single: false },
        };
        Ok(MenuNumber::new(id, form, (low, high)))
    }

    /// A score. It is finite: an event without a finite score is not decided by lines.
    pub(crate) fn score_number(&mut self, column: usize) -> Made<MenuNumber> {
        let most = f64::from(f32::MAX);
        Ok(MenuNumber::new(self.score(column)?, Form::Single, (-most, most)))
    }

    /// A number as it is written. An integer is that; any other is the shortest decimal of its f64, as in programs that compare in f64. Beside a
    /// large number it is what is written all the same ([`Self::large_holds`]).
    pub(crate) fn literal(&mut self, Literal { value, written }: Literal) -> Made<MenuNumber> {
        let decimal = Decimal::shortest(value).filter(|_| written.places > 0).unwrap_or(written);
        let integer = written.with_places(0, LARGE_MAX);
        let written = Some(written);
        let places = decimal.places.max(0);
        if let Some(digits) = decimal.with_places(places, EXACT_MAX.into()) {
            let digits = digits as f64;
            let id = self.number(digits)?;
            if let Some(number) = MenuNumber::whole(id, places, (digits, digits)) {
                return Ok(MenuNumber { written, ..number });
            }
        }
        if let Some(integer) = integer {
            return Ok(MenuNumber { written, ..self.large_literal(integer)? });
        }
        let id = self.number(value)?;
        let form = Form::Rounded { single: false };
        Ok(MenuNumber { written, ..MenuNumber::new(id, form, (value, value)) })
    }

    /// The value of a number that is the same for every event.
    pub(crate) fn constant(&self, number: MenuNumber) -> Option<f64> {
        let value = self.as_number(number.id).or_else(|| Some(self.as_integer(number.id)? as f64))?;
        Some(match number.form {
            Form::Whole { places } | Form::Large { places, .. } => value / power(places),
            _ => value,
        })
    }

    /// The decimal of a number that is the same for every event: all digits of a large one, else the shortest decimal of its f64.
    pub(crate) fn decimal(&self, number: MenuNumber) -> Option<Decimal> {
        let value = self.constant(number)?;
        match (number.form, self.as_integer(number.id)) {
            (Form::Large { places, .. }, Some(digits)) => Some(Decimal { digits, places }),
            _ => Decimal::shortest(value),
        }
    }

    pub(crate) fn negated(&mut self, a: MenuNumber) -> Made<MenuNumber> {
        let written = a.written.map(|Decimal { digits, places }| Decimal { digits: -digits, places });
        let id = match a.form {
            Form::Large { .. } => return Ok(MenuNumber { written, ..self.large_negated(a)? }),
            Form::Whole { .. } => {
                let zero = self.number(0.0)?;
                self.combine(Arithmetic::Sub, zero, a.id)?
            }
            _ => self.negate(a.id)?,
        };
        Ok(MenuNumber { id, low: -a.high, high: -a.low, written, ..a })
    }

    pub(crate) fn magnitude(&mut self, a: MenuNumber) -> Made<MenuNumber> {
        let written = a.written.map(|Decimal { digits, places }| Decimal { digits: digits.abs(), places });
        if let Form::Large { .. } = a.form {
            let negated = self.large_negated(a)?;
            let larger = self.large(Arithmetic::Max, a, negated)?.expect("its bounds are no wider");
            return Ok(MenuNumber { nan: a.nan, written, absent: a.absent, ..larger });
        }
        let id = self.absolute(a.id)?;
        let low = if a.low <= 0.0 && a.high >= 0.0 { 0.0 } else { a.low.abs().min(a.high.abs()) };
        Ok(MenuNumber { id, low, high: a.low.abs().max(a.high.abs()), written, ..a })
    }

    pub(crate) fn calculate(
        &mut self,
        arithmetic: Arithmetic,
        a: MenuNumber,
        b: MenuNumber,
    ) -> Made<MenuNumber> {
        if a.absent.or(b.absent).is_some() {
            return self.calculate_existing(arithmetic, a, b);
        }
        let nan = self.either(a.nan, b.nan)?;
        if let Some(whole) = self.whole(arithmetic, a, b)? {
            return Ok(MenuNumber { nan, ..whole });
        }
        if (a.is_large() || b.is_large())
            && let Some(large) = self.large(arithmetic, a, b)?
        {
            return Ok(MenuNumber { nan, ..large });
        }
        let is_choice = matches!(arithmetic, Arithmetic::Min | Arithmetic::Max);
        if is_choice && let Some((x, y)) = self.on_one_grid(a, b)? {
            let id = self.combine(arithmetic, x.id, y.id)?;
            let bounds = spread(arithmetic, x.bounds(), y.bounds());
            return Ok(MenuNumber { nan, ..MenuNumber::new(id, x.form, bounds) });
        }
        let single = a.is_single() || b.is_single();
        // A quotient of whole numbers is the quotient of their digits, rounded once.
        let aligned = if arithmetic == Arithmetic::Div { self.aligned(a, b)? } else { None };
        let (x, y) = match aligned {
            Some(pair) => pair,
            None => (self.plain(a)?, self.plain(b)?),
        };
        let id = self.combine(arithmetic, x.id, y.id)?;
        let bounds = spread(arithmetic, x.bounds(), y.bounds());
        let fresh = if may_make_nan(arithmetic, x, y) {
            Some(self.compare(Comparison::NotEqual, id, id)?)
        } else {
            None
        };
        let nan = self.either(nan, fresh)?;
        Ok(MenuNumber { nan, ..MenuNumber::new(id, Form::Rounded { single }, bounds) })
    }

    /// The sum of numbers: in one operation where that is exact, else from left to right.
    pub(crate) fn sum(&mut self, items: &[MenuNumber]) -> Made<MenuNumber> {
        let (&first, rest) = items.split_first().expect("an array of a schema has an element");
        if let Form::Whole { places } = first.form
            && items.iter().all(|item| item.form == first.form)
            && let Some(id) = self.total(&items.iter().map(|item| item.id).collect::<Vec<_>>())?
        {
            let bounds = (items.iter().map(|item| item.low).sum(), items.iter().map(|item| item.high).sum());
            if let Some(number) = MenuNumber::whole(id, places, bounds) {
                return Ok(number);
            }
        }
        rest.iter().try_fold(first, |so_far, &item| self.calculate(Arithmetic::Add, so_far, item))
    }

    /// The number of conditions that hold.
    pub(crate) fn count_of(&mut self, flags: &[Flag]) -> Made<MenuNumber> {
        let id = self.count(&flags.iter().map(|flag| flag.id).collect::<Vec<_>>())?;
        let mut nan = None;
        for flag in flags {
            nan = self.either(nan, flag.unknown)?;
        }
        let bounds = (0.0, flags.len() as f64);
        Ok(MenuNumber { nan, ..MenuNumber::new(id, Form::Whole { places: 0 }, bounds) })
    }

    /// The condition `a op b`.
    pub(crate) fn compared(&mut self, comparison: Comparison, a: MenuNumber, b: MenuNumber) -> Made<Flag> {
        let holds = self.holds(comparison, a, b)?;
        let flag = match self.either(a.nan, b.nan)? {
            None => Flag::sure(holds),
            Some(unknown) => {
                let known = self.not(unknown)?;
                Flag { id: self.and(holds, known)?, unknown: Some(unknown) }
            }
        };
        self.where_both_exist(flag, a, b)
    }

    fn holds(&mut self, comparison: Comparison, a: MenuNumber, b: MenuNumber) -> Made<NodeId> {
        if let Some(holds) = self.large_holds(comparison, a, b)? {
            return Ok(holds);
        }
        match (a.form, b.form, self.constant(a), self.constant(b)) {
            (Form::Whole { places }, _, _, Some(limit)) => {
                let (comparison, limit) = match self.decimal(b).map(|limit| cut(comparison, limit, places)) {
                    Some(LargeCut::Settled(holds)) => return self.truth(holds),
                    Some(LargeCut::At(comparison, limit)) => (comparison, beyond_or_exact(limit)),
                    None => (comparison, limit),
                };
                let id = self.number(limit)?;
                return self.settled_or(comparison, a, MenuNumber { id, low: limit, high: limit, ..b });
            }
            (_, Form::Whole { .. }, Some(_), _) => return self.holds(comparison.mirrored(), b, a),
            (Form::Half | Form::Single, _, _, Some(limit)) => {
                let limit = self.number(nearest(a.form, limit))?;
                return self.compare(comparison, a.id, limit);
            }
            (_, Form::Half | Form::Single, Some(_), _) => return self.holds(comparison.mirrored(), b, a),
            _ => {}
        }
        if let Some((x, y)) = self.aligned(a, b)? {
            return self.settled_or(comparison, x, y);
        }
        if let (Form::Whole { .. }, Form::Whole { .. }) = (a.form, b.form) {
            return self.integers_hold(comparison, a, b);
        }
        let (x, y) = (self.plain(a)?, self.plain(b)?);
        if a.is_single() || b.is_single() {
            let (x, y) = (self.in_single(x)?, self.in_single(y)?);
            return self.compare(comparison, x, y);
        }
        self.settled_or(comparison, x, y)
    }

    /// The comparison of two nodes in the same unit; a constant if their ranges settle it.
    fn settled_or(&mut self, comparison: Comparison, a: MenuNumber, b: MenuNumber) -> Made<NodeId> {
        match settled(comparison, a.bounds(), b.bounds()) {
            Some(value) => self.truth(value),
            None => self.compare(comparison, a.id, b.id),
        }
    }

    /// Sum, difference, product, minimum or maximum of whole numbers, if the result is a whole number too.
    fn whole(&mut self, arithmetic: Arithmetic, a: MenuNumber, b: MenuNumber) -> Made<Option<MenuNumber>> {
        let (Form::Whole { places: p }, Form::Whole { places: q }) = (a.form, b.form) else {
            return Ok(None);
        };
        let (x, y, places) = match arithmetic {
            Arithmetic::Div => return Ok(None),
            Arithmetic::Mul => (a, b, p + q),
            _ => match self.aligned(a, b)? {
                Some((x, y)) => (x, y, p.max(q)),
                None => return Ok(None),
            },
        };
        let bounds = spread(arithmetic, x.bounds(), y.bounds());
        let id = x.id;
        if MenuNumber::whole(id, places, bounds).is_none() {
            return Ok(None);
        }
        let mut id = self.combine(arithmetic, x.id, y.id)?;
        // A negative number times zero is a negative zero, also where zero is all that can come out.
        if arithmetic == Arithmetic::Mul && (a.low < 0.0 || b.low < 0.0) {
            let zero = self.number(0.0)?;
            id = self.combine(Arithmetic::Add, id, zero)?;
        }
        Ok(MenuNumber::whole(id, places, bounds))
    }

    /// Two whole numbers with the same number of places, if both stay exact.
    fn aligned(&mut self, a: MenuNumber, b: MenuNumber) -> Made<Option<(MenuNumber, MenuNumber)>> {
        let (Form::Whole { places: p }, Form::Whole { places: q }) = (a.form, b.form) else {
            return Ok(None);
        };
        let places = p.max(q);
        let (Some(a), Some(b)) = (self.with_places(a, p, places)?, self.with_places(b, q, places)?) else {
            return Ok(None);
        };
        Ok(Some((a, b)))
    }

    fn with_places(&mut self, a: MenuNumber, from: i32, to: i32) -> Made<Option<MenuNumber>> {
        if from == to {
            return Ok(Some(a));
        }
        let factor = power(to - from);
        let bounds = (a.low * factor, a.high * factor);
        if MenuNumber::whole(a.id, to, bounds).is_none() {
            return Ok(None);
        }
        let factor = self.number(factor)?;
        let id = self.combine(Arithmetic::Mul, a.id, factor)?;
        Ok(MenuNumber::whole(id, to, bounds))
    }

    /// The number in its own unit, as an f64.
    fn plain(&mut self, a: MenuNumber) -> Made<MenuNumber> {
        let (places, id) = match a.form {
            Form::Whole { places } => (places, a.id),
            Form::Large { places, .. } => (places, self.number_of(a.id)?),
            _ => return Ok(a),
        };
        let unit = self.number(power(places))?;
        let id = if places == 0 { id } else { self.combine(Arithmetic::Div, id, unit)? };
        let (low, high) = a.range();
        Ok(MenuNumber { id, form: Form::Rounded { single: false }, low, high, ..a })
    }

    /// The two numbers as values of one floating type, if both are of it, or one is and the other is a literal.
    fn on_one_grid(&mut self, a: MenuNumber, b: MenuNumber) -> Made<Option<(MenuNumber, MenuNumber)>> {
        let is_grid = |number: MenuNumber| matches!(number.form, Form::Half | Form::Single);
        if is_grid(a) && a.form == b.form {
            return Ok(Some((a, b)));
        }
        let (on, other) = if is_grid(a) { (a, b) } else { (b, a) };
        let (true, Some(value)) = (is_grid(on), self.constant(other)) else { return Ok(None) };
        let value = nearest(on.form, value);
        let other = MenuNumber { id: self.number(value)?, form: on.form, low: value, high: value, ..other };
        Ok(Some(if is_grid(a) { (a, other) } else { (other, b) }))
    }

    /// The node of a number, rounded to f32.
    fn in_single(&mut self, a: MenuNumber) -> Made<NodeId> {
        match a.form {
            Form::Half | Form::Single => Ok(a.id),
            _ => self.single(a.id),
        }
    }
}

/// An integer as an f64, where it is one that a whole number can be; else any that is as far out.
fn beyond_or_exact(limit: i128) -> f64 {
    let most = i128::from(EXACT_MAX);
    limit.clamp(-2 * most, 2 * most) as f64
        * if limit.unsigned_abs() > most.unsigned_abs() { 2.0 } else { 1.0 }
}

/// Whether `a op b` holds, if the bounds of both tell.
pub(crate) fn settled<T: PartialOrd + Copy>(comparison: Comparison, a: (T, T), b: (T, T)) -> Option<bool> {
    let choice = |holds: bool, fails: bool| (holds || fails).then_some(holds);
    match comparison {
        Comparison::Less => choice(a.1 < b.0, a.0 >= b.1),
        Comparison::LessEqual => choice(a.1 <= b.0, a.0 > b.1),
        Comparison::Greater => choice(a.0 > b.1, a.1 <= b.0),
        Comparison::GreaterEqual => choice(a.0 >= b.1, a.1 < b.0),
        Comparison::Equal => choice(false, a.1 < b.0 || a.0 > b.1),
        Comparison::NotEqual => choice(a.1 < b.0 || a.0 > b.1, false),
    }
}

/// The value of a floating type that is nearest to `value`.
fn nearest(form: Form, value: f64) -> f64 {
    match form {
        Form::Half => {
            let mut bytes = Vec::new();
            Dtype::F16.write(value, &mut bytes);
            Dtype::F16.read(&bytes)
        }
        _ => f64::from(value as f32),
    }
}

/// Can the result be NaN if neither operand is? That takes 0 / 0, 0 times an infinity, or infinities that cancel.
fn may_make_nan(arithmetic: Arithmetic, a: MenuNumber, b: MenuNumber) -> bool {
    let is_unbounded = |x: MenuNumber| x.low.is_infinite() || x.high.is_infinite();
    let has_zero = |x: MenuNumber| x.low <= 0.0 && x.high >= 0.0;
    match arithmetic {
        Arithmetic::Add | Arithmetic::Sub => is_unbounded(a) && is_unbounded(b),
        Arithmetic::Mul => (is_unbounded(a) && has_zero(b)) || (has_zero(a) && is_unbounded(b)),
        Arithmetic::Div => (has_zero(a) && has_zero(b)) || (is_unbounded(a) && is_unbounded(b)),
        Arithmetic::Min | Arithmetic::Max => false,
    }
}

/// Bounds of the result.
fn spread(arithmetic: Arithmetic, a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let is_open = arithmetic == Arithmetic::Div && b.0 <= 0.0 && b.1 >= 0.0;
    let ends = [(a.0, b.0), (a.0, b.1), (a.1, b.0), (a.1, b.1)].map(|(x, y)| arithmetic.apply(x, y));
    if is_open || ends.iter().any(|end| end.is_nan()) {
        return (f64::NEG_INFINITY, f64::INFINITY);
    }
    (
        ends.iter().copied().fold(f64::INFINITY, f64::min),
        ends.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    )
}

impl MenuGraph {
    /// A node for the sum of loaded elements, where one exists.
    fn total(&mut self, items: &[NodeId]) -> Made<Option<NodeId>> {
        self.exact(items).map(|places| self.add(MenuNode::Total(places))).transpose()
    }
}
