//! Numbers as decimals in 128 bits, and as floats where they come from floats: what a menu should compute, without its graph and its columns.

use tamis_event::Dtype;

/// 2^53: up to here an f64 holds every whole number.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// 2^126, the limit of large numbers.
const LARGE: f64 = 85_070_591_730_234_615_865_843_651_857_942_052_864.0;

/// A number of an expression for one event.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// `digits / 10^places`. `reach` bounds `digits` in any event, by the types of the fields.
    Decimal {
        digits: i128,
        places: u32,
        reach: f64,
        is_constant: bool,
        /// Was a 64-bit integer, or a literal beyond 2^53, in it?
        is_large: bool,
        /// Of a literal: digits and places as they are written.
        written: Option<(i128, u32)>,
    },
    Float {
        value: f64,
        kind: Kind,
        is_vague: bool,
    },
    /// Is NaN, or became NaN; the kind that it would have.
    Nan(Kind),
    /// Does not exist in this event: it is made of the minimum or maximum of no elements.
    Absent(Form),
}

/// What a number is in any event.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Decimal { places: u32, reach: f64, is_large: bool },
    Float { kind: Kind, is_vague: bool },
}

impl Form {
    pub fn zero(self) -> Number {
        match self {
            Self::Decimal { places, reach, is_large } => {
                Number::Decimal { digits: 0, places, reach, is_constant: false, is_large, written: None }
            }
            Self::Float { kind, is_vague } => Number::Float { value: 0.0, kind, is_vague },
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Decimal { .. } => Kind::Double,
            Self::Float { kind, .. } => kind,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Half,
    Single,
    /// Computed in f64 from operands of which one was an f32 or f16.
    FromSingle,
    Double,
}

/// What `{}` prints for a finite f64, as digits and places.
pub fn digits_of(text: &str) -> (i128, u32) {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    (format!("{whole}{part}").parse().unwrap_or_else(|_| panic!("{text}")), part.len() as u32)
}

pub fn literal(value: f64) -> Number {
    written(&value.to_string())
}

/// A literal of at most 38 digits, without an exponent.
pub fn written(text: &str) -> Number {
    let (digits, places) = digits_of(text);
    if text.trim_end_matches('0').len() != text.len() && places > 0 {
        return written(text.trim_end_matches('0').trim_end_matches('.'));
    }
    let shortest = text.parse::<f64>().unwrap().to_string();
    let (digits, places) = if places > 0 { digits_of(&shortest) } else { (digits, places) };
    Number::Decimal {
        digits,
        places,
        reach: (digits as f64).abs(),
        is_constant: true,
        is_large: digits_of(text).1 == 0 && digits.abs() > 1 << 53,
        written: Some(digits_of(text)),
    }
}

/// The decimals of an integer field: raw integers times `scale` plus `offset`, both in units of `10^-places`.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    scale: i128,
    offset: i128,
    places: u32,
    reach: f64,
    is_large: bool,
}

impl Digits {
    /// Takes range, scale and offset from the schema.
    pub fn new((least, most): (i128, i128), scale: f64, offset: f64) -> Self {
        let ((scale, p), (offset, q)) = (digits_of(&scale.to_string()), digits_of(&offset.to_string()));
        let places = p.max(q);
        let (scale, offset) = (scale * 10_i128.pow(places - p), offset * 10_i128.pow(places - q));
        let most = least.abs().max(most);
        let reach = (most * scale.abs() + offset.abs()) as f64;
        Self { scale, offset, places, reach, is_large: most >= i64::MAX.into() }
    }

    pub fn number(self, raw: i128) -> Number {
        let digits = raw * self.scale + self.offset;
        let Self { places, reach, is_large, .. } = self;
        Number::Decimal { digits, places, reach, is_constant: false, is_large, written: None }
    }
}

pub fn payload_len(bytes: usize) -> Number {
    Number::Decimal {
        digits: bytes as i128,
        places: 0,
        reach: 67_108_864.0,
        is_constant: false,
        is_large: false,
        written: None,
    }
}

pub fn float(value: f64, kind: Kind) -> Number {
    computed(value, kind, false)
}

fn computed(value: f64, kind: Kind, is_vague: bool) -> Number {
    if value.is_nan() { Number::Nan(kind) } else { Number::Float { value, kind, is_vague } }
}

impl Number {
    fn is_decimal(self) -> bool {
        matches!(self, Self::Decimal { .. })
    }

    pub fn form(self) -> Form {
        match self {
            Self::Decimal { places, reach, is_large, .. } => Form::Decimal { places, reach, is_large },
            Self::Float { kind, is_vague, .. } => Form::Float { kind, is_vague },
            Self::Nan(kind) => Form::Float { kind, is_vague: false },
            Self::Absent(form) => form,
        }
    }

    fn is_single(self) -> bool {
        self.form().kind() != Kind::Double
    }

    /// The same value in another form.
    fn in_form(self, form: Form) -> Self {
        match (self, form) {
            (Self::Nan(_), form) => Self::Nan(form.kind()),
            (Self::Decimal { digits, places: own, .. }, Form::Decimal { places, reach, is_large }) => {
                let digits = digits * 10_i128.pow(places - own);
                Self::Decimal { digits, places, reach, is_constant: false, is_large, written: None }
            }
            (number, Form::Float { kind, is_vague }) => {
                let (value, was_vague) = number.plain();
                let is_grid = matches!(kind, Kind::Half | Kind::Single);
                let value = if is_grid { nearest(value, kind) } else { value };
                Self::Float { value, kind, is_vague: is_vague || was_vague }
            }
            (number, form) => panic!("{number:?} as {form:?}"),
        }
    }

    /// Arithmetic on numbers of which at least one does not exist. Minimum and maximum leave it out.
    fn without_absent(operator: &str, a: Self, b: Self) -> Self {
        let stand_in = |x: Self| if let Self::Absent(form) = x { form.zero() } else { x };
        let form = Self::calculated(operator, stand_in(a), stand_in(b)).form();
        match (operator, a, b) {
            (_, Self::Absent(_), Self::Absent(_)) => Self::Absent(form),
            ("min" | "max", Self::Absent(_), other) | ("min" | "max", other, Self::Absent(_)) => {
                other.in_form(form)
            }
            _ => Self::Absent(form),
        }
    }

    fn is_large(self) -> bool {
        matches!(self, Self::Decimal { is_large: true, .. })
    }

    /// Is it a literal that is neither whole nor large, as 9007199254740992.5?
    fn is_rounded_literal(self) -> bool {
        matches!(self, Self::Decimal { reach, is_constant: true, is_large: false, .. } if reach > EXACT)
    }

    fn is_constant(self) -> bool {
        matches!(self, Self::Decimal { is_constant: true, .. })
    }

    /// The number as an f64, and whether lost digits may make it differ.
    pub fn plain(self) -> (f64, bool) {
        match self {
            // A large number is rounded before it is divided, unless it is a literal.
            Self::Decimal { digits, places, is_constant: false, is_large: true, .. } => {
                let [digits, unit] =
                    [digits.to_string(), format!("1e{places}")].map(|text| text.parse::<f64>().unwrap());
                (digits / unit, false)
            }
            // Parsing the text of a decimal rounds once.
            Self::Decimal { digits, places, reach, is_constant, .. } => {
                (format!("{digits}e-{places}").parse().unwrap(), !is_constant && reach > EXACT)
            }
            Self::Float { value, is_vague, .. } => (value, is_vague),
            Self::Nan(_) | Self::Absent(_) => panic!("{self:?} has no value"),
        }
    }

    pub fn negated(self) -> Self {
        match self {
            Self::Decimal { digits, places, reach, is_constant, is_large, written } => {
                let written = written.map(|(digits, places)| (-digits, places));
                Self::Decimal { digits: -digits, places, reach, is_constant, is_large, written }
            }
            Self::Float { value, kind, is_vague } => Self::Float { value: -value, kind, is_vague },
            Self::Nan(_) | Self::Absent(_) => self,
        }
    }

    pub fn magnitude(self) -> Self {
        match self {
            Self::Decimal { digits, .. } if digits < 0 => self.negated(),
            Self::Float { value, .. } if value < 0.0 || value.to_bits() >> 63 == 1 => self.negated(),
            other => other,
        }
    }

    pub fn calculated(operator: &str, a: Self, b: Self) -> Self {
        if matches!(a, Self::Absent(_)) || matches!(b, Self::Absent(_)) {
            return Self::without_absent(operator, a, b);
        }
        if matches!(a, Self::Nan(_)) || matches!(b, Self::Nan(_)) {
            let is_single = a.is_single() || b.is_single();
            return Self::Nan(if is_single { Kind::FromSingle } else { Kind::Double });
        }
        if let Some(whole) = decimal(operator, a, b) {
            return whole;
        }
        if let ("min" | "max", Some((x, y, kind))) = (operator, on_one_grid(a, b)) {
            return computed(apply(operator, x, y), kind, false);
        }
        let kind = if a.is_single() || b.is_single() { Kind::FromSingle } else { Kind::Double };
        let has_large = a.is_large() || b.is_large();
        if let ("/", false, Some((x, y, reach, _))) = (operator, has_large, aligned(a, b)) {
            // The quotient of the digits is rounded once.
            return computed(x as f64 / y as f64, kind, most(reach) > EXACT);
        }
        let ((x, vague_x), (y, vague_y)) = (a.plain(), b.plain());
        // Bounds are known better to the menu, which may have an exact result.
        let is_exact = |x: Self| x.is_decimal() && !x.is_rounded_literal();
        let may_be_exact = has_large && operator != "/" && is_exact(a) && is_exact(b);
        let is_vague = vague_x || vague_y || may_be_exact || reach_of(a).max(reach_of(b)) > EXACT;
        computed(apply(operator, x, y), kind, is_vague)
    }

    /// A literal as it is written, if the other number is large.
    fn beside(self, other: Self) -> Self {
        match self {
            Self::Decimal { written: Some((digits, places)), reach, is_constant, is_large, .. }
                if other.is_large() =>
            {
                Self::Decimal { digits, places, reach, is_constant, is_large, written: None }
            }
            number => number,
        }
    }

    /// Does `a op b` hold? `None` if one is NaN. The second value says that lost digits may reverse the answer.
    #[expect(clippy::float_cmp, reason = "exact equality is what the menu asks for")]
    pub fn compared(operator: &str, a: Self, b: Self) -> (Option<bool>, bool) {
        if matches!(a, Self::Absent(_)) || matches!(b, Self::Absent(_)) {
            return (Some(false), false);
        }
        if matches!(a, Self::Nan(_)) || matches!(b, Self::Nan(_)) {
            return (None, false);
        }
        let (a, b) = (a.beside(b), b.beside(a));
        if let (Self::Decimal { digits: x, places: p, .. }, Self::Decimal { digits: y, places: q, .. }) =
            (a, b)
        {
            let is_vague = reach_of(a).max(reach_of(b)) > EXACT;
            let [left, right] =
                [(x, p), (y, q)].map(|(digits, places)| digits as f64 / 10_f64.powi(places as i32));
            let near = (left - right).abs() <= 1e-9 * (left.abs() + 1.0);
            return (Some(ordered(operator, ordering((x, p), (y, q)))), is_vague && near);
        }
        if let Some((ordering, is_vague)) = with_value(a, b) {
            return (Some(ordered(operator, ordering)), is_vague);
        }
        if let Some((ordering, is_vague)) = with_value(b, a) {
            return (Some(ordered(operator, ordering.reverse())), is_vague);
        }
        let ((mut x, vague_x), (mut y, vague_y)) = (a.plain(), b.plain());
        if let Some((on_x, on_y, _)) = on_one_grid(a, b) {
            (x, y) = (on_x, on_y);
        } else if a.is_single() || b.is_single() {
            (x, y) = (f64::from(x as f32), f64::from(y as f32));
        }
        let near = x == y || (x - y).abs() <= 1e-6 * (x.abs() + y.abs());
        let ordering = x.partial_cmp(&y).unwrap();
        (Some(ordered(operator, ordering)), (vague_x || vague_y) && near)
    }
}

/// Compares `x.0 / 10^x.1` with `y.0 / 10^y.1`: first what stands before the point, then what stands behind.
fn ordering(x: (i128, u32), y: (i128, u32)) -> std::cmp::Ordering {
    let places = x.1.max(y.1);
    let parts = |(digits, own): (i128, u32)| {
        let unit = 10_i128.pow(own);
        (digits.div_euclid(unit), digits.rem_euclid(unit) * 10_i128.pow(places - own))
    };
    parts(x).cmp(&parts(y))
}

/// A 64-bit integer with the value of a float, and whether lost digits of that may reverse the answer.
fn with_value(a: Number, b: Number) -> Option<(std::cmp::Ordering, bool)> {
    let Number::Decimal { digits, places: 0, is_constant: false, is_large: true, .. } = a else {
        return None;
    };
    let Number::Float { value, kind: Kind::Half | Kind::Single | Kind::Double, is_vague } = b else {
        return None;
    };
    // No large number is as far out as 2^127.
    if value.abs() >= 2.0 * LARGE {
        let side = if value > 0.0 { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater };
        return Some((side, false));
    }
    let behind_the_point = 0.0.partial_cmp(&value.fract()).unwrap();
    let near = (digits as f64 - value).abs() <= 1e-6 * (value.abs() + 1.0);
    Some((digits.cmp(&(value.trunc() as i128)).then(behind_the_point), is_vague && near))
}

fn ordered(operator: &str, ordering: std::cmp::Ordering) -> bool {
    match operator {
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        ">=" => ordering.is_ge(),
        "==" => ordering.is_eq(),
        "!=" => ordering.is_ne(),
        _ => panic!("{operator}"),
    }
}

fn apply(operator: &str, x: f64, y: f64) -> f64 {
    match operator {
        "+" => x + y,
        "-" => x - y,
        "*" => x * y,
        "/" => x / y,
        // Of a zero and a negative zero, the second.
        "min" => [y, x][usize::from(x < y)],
        "max" => [y, x][usize::from(x > y)],
        _ => panic!("{operator}"),
    }
}

/// The bound of a number that an f64 should hold.
fn reach_of(number: Number) -> f64 {
    match number {
        Number::Decimal { reach, is_constant: false, is_large: false, .. } => reach,
        _ => 0.0,
    }
}

/// Both with the same places: their digits, the bounds of these, and the places.
fn aligned(a: Number, b: Number) -> Option<(i128, i128, [f64; 2], u32)> {
    let (
        Number::Decimal { digits: x, places: p, reach: r, .. },
        Number::Decimal { digits: y, places: q, reach: s, .. },
    ) = (a, b)
    else {
        return None;
    };
    let places = p.max(q);
    let more = [10_i128.checked_pow(places - p)?, 10_i128.checked_pow(places - q)?];
    let reach = [r * more[0] as f64, s * more[1] as f64];
    Some((x.checked_mul(more[0])?, y.checked_mul(more[1])?, reach, places))
}

fn most([x, y]: [f64; 2]) -> f64 {
    x.max(y)
}

/// The exact result, where an f64 holds it in every event.
fn decimal(operator: &str, a: Number, b: Number) -> Option<Number> {
    let is_constant = a.is_constant() && b.is_constant();
    let is_large = a.is_large() || b.is_large();
    if is_large && (a.is_rounded_literal() || b.is_rounded_literal()) {
        return None;
    }
    let limit = if is_large { LARGE } else { EXACT };
    let (digits, places, reach) = if operator == "*" {
        let (
            Number::Decimal { digits: x, places: p, reach: r, .. },
            Number::Decimal { digits: y, places: q, reach: s, .. },
        ) = (a, b)
        else {
            return None;
        };
        (x.checked_mul(y)?, p + q, r * s)
    } else {
        let (x, y, reach, places) = aligned(a, b)?;
        match operator {
            "+" => (x.checked_add(y)?, places, reach[0] + reach[1]),
            "-" => (x.checked_sub(y)?, places, reach[0] + reach[1]),
            "min" => (x.min(y), places, most(reach)),
            "max" => (x.max(y), places, most(reach)),
            _ => return None,
        }
    };
    let number = Number::Decimal { digits, places, reach, is_constant, is_large, written: None };
    (reach <= limit && places <= 22).then_some(number)
}

/// Two values of one floating type, or one such value and a constant rounded to its type.
fn on_one_grid(a: Number, b: Number) -> Option<(f64, f64, Kind)> {
    let grid = |number| match number {
        Number::Float { value, kind: kind @ (Kind::Half | Kind::Single), .. } => Some((value, kind)),
        _ => None,
    };
    match (grid(a), grid(b)) {
        (Some((x, kind)), Some((y, other))) => (kind == other).then_some((x, y, kind)),
        (Some((x, kind)), None) if b.is_constant() => Some((x, nearest(b.plain().0, kind), kind)),
        (None, Some((y, kind))) if a.is_constant() => Some((nearest(a.plain().0, kind), y, kind)),
        _ => None,
    }
}

fn nearest(value: f64, kind: Kind) -> f64 {
    let dtype = if kind == Kind::Half { Dtype::F16 } else { Dtype::F32 };
    let mut bytes = Vec::new();
    dtype.write(value, &mut bytes);
    dtype.read(&bytes)
}
