//! Elementwise functions of two numbers with broadcasting: Add, Sub, Mul, Div, Mod, Pow, PRelu.
//!
//! Most uses combine rows with rows, or rows with one constant row, and work on rows directly. For the others, values are spread out to their axes.

use burn::tensor::kind::{Numeric, Ordered};
use burn::tensor::{Int, Tensor};

use crate::error::{Fault, refuse};
use crate::kernel_op::KernelOp;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::sizes;
use crate::source::{Constant, Data, Kind};
use crate::value::{AXES, Broadcast, Type, Value, as_ints, rows, spread, wrapped};

/// A function of two numbers of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    Add,
    Sub,
    Mul,
    Div,
}

/// How the operands are broadcast.
#[derive(Debug)]
pub(super) enum Meeting {
    /// As rows of the same length, or of one number.
    Rows,
    /// As values spread out to these axes.
    Spread([[usize; AXES]; 2]),
}

/// Types the first two operands of a node; `kind` is that of the result.
pub(super) fn meet(site: &Site<'_>, kind: Kind) -> Result<(Meeting, Type), Fault> {
    meeting(site.anywhere(0)?, site.anywhere(1)?, kind)
}

/// Types any two operands; `kind` is that of the result.
pub(super) fn meeting(a: &Type, b: &Type, kind: Kind) -> Result<(Meeting, Type), Fault> {
    if a.labels.is_some() || b.labels.is_some() {
        refuse!("computes with text; export the model with integer labels");
    }
    let joint = Broadcast::new(a, b)?;
    let as_rows =
        |axes: &[usize; AXES]| *axes == crate::value::axes(&joint.dims) || axes.iter().all(|&axis| axis == 1);
    let int32 = kind == Kind::Int && a.int32;
    let output = Type { int32, ..Type::new(kind, joint.events, joint.dims.clone()) };
    let meeting =
        if joint.operands.iter().all(as_rows) { Meeting::Rows } else { Meeting::Spread(joint.operands) };
    Ok((meeting, output))
}

#[derive(Debug)]
struct Arithmetic {
    function: Binary,
    meeting: Meeting,
    /// The input that is a constant number, or a constant row as long as the other input and the result, if there is one.
    row: Option<usize>,
    int32: bool,
}

/// Builds Add, Sub, Mul, Div. Integers wrap around at the width stated by the file; division truncates toward zero, and division by 0 gives 0.
pub(super) fn arithmetic(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    if site.opset < 7 && (site.int("axis")?.is_some() || site.flag("broadcast", false)?) {
        refuse!("aligns its inputs by 'axis' and 'broadcast' (opset 6); export with opset 7 or newer");
    }
    site.ignore(&["broadcast"]);
    let function = match site.operator() {
        "Add" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        other => refuse!("'{other}' is no function of two numbers"),
    };
    if sizes::are_in(site) {
        return sizes::of(site);
    }
    let kind = site.anywhere(0)?.kind;
    site.anywhere_of(1, kind)?;
    if kind == Kind::Bool {
        refuse!("works on truth values; only numbers are supported");
    }
    let (meeting, output) = meet(site, kind)?;
    let is_row = |index: &usize| {
        let as_long = |operand: &Type| operand.numbers() == output.numbers();
        kind == Kind::Float
            && site.constant(*index).is_some_and(|constant| [1, output.numbers()].contains(&constant.len()))
            && site.anywhere(1 - index).is_ok_and(as_long)
    };
    let row = (0..2).find(is_row);
    if let Some(value) = kept(site, function, &output) {
        return Built::one(OneKept { value }, output);
    }
    let int32 = output.int32;
    Built::one(Arithmetic { function, meeting, row, int32 }, output)
}

/// Returns one of the two inputs, because the other is neutral. LightGBM's classifiers end with a product with 1.
#[derive(Debug)]
struct OneKept {
    value: usize,
}

impl Operator for OneKept {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![inputs.take(self.value)]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        Some(KernelOp::Identity)
    }
}

/// The input that is returned unchanged, because the other one is a neutral constant.
fn kept(site: &Site<'_>, function: Binary, output: &Type) -> Option<usize> {
    let neutral = match function {
        // Adding 0 turns -0 into 0.
        Binary::Add => return None,
        Binary::Sub => 0.0,
        Binary::Mul | Binary::Div => 1.0,
    };
    let is_neutral = |index: &usize| match site.constant(*index).map(|constant| &constant.data) {
        Some(Data::Floats(numbers)) => numbers.iter().all(|&number| number == neutral),
        Some(Data::Ints(numbers)) => numbers.iter().all(|&number| number as f32 == neutral),
        Some(Data::Bools(_)) | None => false,
    };
    let stays = |index: &usize| site.anywhere(1 - index).is_ok_and(|value| value == output);
    let from = usize::from(function != Binary::Mul);
    (from..2).rev().find(|index| is_neutral(index) && stays(index)).map(|index| 1 - index)
}

impl Operator for Arithmetic {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let value = match (inputs.take(0), inputs.take(1)) {
            (Value::Float(a), Value::Float(b)) => Value::Float(match self.meeting {
                Meeting::Rows => self.function.apply(a, b),
                Meeting::Spread([x, y]) => rows(self.function.apply(spread(a, x), spread(b, y))),
            }),
            (Value::Int(a), Value::Int(b)) => {
                let b = if self.function == Binary::Div { without_zeros(b) } else { b };
                let result = match self.meeting {
                    Meeting::Rows => self.function.apply(a, b),
                    Meeting::Spread([x, y]) => rows(self.function.apply(spread(a, x), spread(b, y))),
                };
                Value::Int(wrapped(result, self.int32))
            }
            (a, b) => unreachable!("kinds were checked: {a:?}, {b:?}"),
        };
        vec![value]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        let (Meeting::Rows, row @ Some(at)) = (&self.meeting, self.row) else { return None };
        let [mut means, mut factors, mut divisors, mut summands] = [None; 4];
        match self.function {
            Binary::Add => summands = row,
            Binary::Mul => factors = row,
            Binary::Sub if at == 1 => means = row,
            Binary::Div if at == 1 => divisors = row,
            Binary::Sub | Binary::Div => return None,
        }
        Some(KernelOp::Scale { means, factors, divisors, summands })
    }
}

/// The remainder of a division.
#[derive(Debug)]
struct Modulo {
    meeting: Meeting,
    /// Does it have the sign of the dividend, as in C, instead of that of the divisor, as in Python?
    as_in_c: bool,
}

/// Builds `Mod`. An integer modulo 0 is 0; a floating-point number modulo 0 is NaN. For floats ONNX defines only the sign of C.
pub(super) fn modulo(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let as_in_c = site.flag("fmod", false)?;
    let kind = site.anywhere(0)?.kind;
    site.anywhere_of(1, kind)?;
    if kind == Kind::Bool || kind == Kind::Float && !as_in_c {
        refuse!(
            "works on {kind:?} with 'fmod' of {}; integers, or floats with 'fmod' of 1, are supported",
            u8::from(as_in_c)
        );
    }
    let (meeting, output) = meet(site, kind)?;
    Built::one(Modulo { meeting, as_in_c }, output)
}

impl Operator for Modulo {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![match (inputs.take(0), inputs.take(1)) {
            (Value::Float(a), Value::Float(b)) => Value::Float(match self.meeting {
                Meeting::Rows => left_as_in_c(a, b),
                Meeting::Spread([x, y]) => rows(left_as_in_c(spread(a, x), spread(b, y))),
            }),
            (Value::Int(a), Value::Int(b)) => Value::Int(match self.meeting {
                Meeting::Rows => self.of_integers(a, b),
                Meeting::Spread([x, y]) => rows(self.of_integers(spread(a, x), spread(b, y))),
            }),
            (a, b) => unreachable!("kinds were checked: {a:?}, {b:?}"),
        }]
    }
}

impl Modulo {
    fn of_integers<const D: usize>(&self, a: Tensor<D, Int>, b: Tensor<D, Int>) -> Tensor<D, Int> {
        // Everything is a multiple of 1.
        let b = b.clone().mask_fill(b.equal_scalar(0), 1);
        if self.as_in_c { left_as_in_c(a, b) } else { a.remainder(b) }
    }
}

/// The remainder with the sign of the dividend.
fn left_as_in_c<const D: usize, K: Numeric + Ordered>(a: Tensor<D, K>, b: Tensor<D, K>) -> Tensor<D, K> {
    let left = a.clone().abs().remainder(b.abs());
    let shape: [usize; D] = left.dims();
    let below = a.lower_scalar(0).expand(shape);
    left.clone().mask_where(below, left.neg())
}

/// Makes a divisor safe: 0 becomes the largest integer, so that the quotient is 0 instead of a panic.
fn without_zeros(divisor: Tensor<2, Int>) -> Tensor<2, Int> {
    let zeros = divisor.clone().equal_scalar(0);
    divisor.mask_fill(zeros, i32::MAX)
}

impl Binary {
    fn apply<const D: usize, K: Numeric>(self, a: Tensor<D, K>, b: Tensor<D, K>) -> Tensor<D, K> {
        match self {
            Self::Add => a.add(b),
            Self::Sub => a.sub(b),
            Self::Mul => a.mul(b),
            Self::Div => a.div(b),
        }
    }
}

/// A power; the result has the kind of the base.
#[derive(Debug)]
struct Power {
    meeting: Meeting,
    int32: bool,
    /// The exponent, if it is one known number.
    exponent: Option<f32>,
}

/// Builds `Pow`.
pub(super) fn pow(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let kind = site.anywhere(0)?.kind;
    if kind == Kind::Bool || site.anywhere(1)?.kind == Kind::Bool {
        refuse!("works on truth values; only numbers are supported");
    }
    let exponent = match site.constant(1) {
        Some(Constant { data: Data::Floats(values), .. }) if values.len() == 1 => Some(values[0]),
        Some(Constant { data: Data::Ints(values), .. }) if values.len() == 1 => Some(values[0] as f32),
        _ => None,
    };
    let (meeting, output) = meet(site, kind)?;
    let int32 = output.int32;
    Built::one(Power { meeting, exponent, int32 }, output)
}

impl Operator for Power {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let float = |value| match value {
            Value::Float(tensor) => tensor,
            Value::Int(tensor) => tensor.float(),
            Value::Bool(_) => unreachable!("kinds were checked"),
        };
        match (inputs.take(0), inputs.take(1)) {
            (Value::Int(a), Value::Int(b)) => {
                let power = match self.meeting {
                    Meeting::Rows => integer_power(a, b),
                    Meeting::Spread([x, y]) => rows(integer_power(spread(a, x), spread(b, y))),
                };
                vec![Value::Int(wrapped(power, self.int32))]
            }
            (base, exponent) => {
                let whole = matches!(base, Value::Int(_));
                let (a, b) = (float(base), float(exponent));
                // Products and roots instead of the general power: they are exact, and correct for negative bases on every device.
                let power = match (&self.meeting, self.exponent) {
                    (Meeting::Rows, Some(1.0)) => a,
                    (Meeting::Rows, Some(2.0)) => a.clone() * a,
                    (Meeting::Rows, Some(3.0)) => a.clone() * a.clone() * a,
                    (Meeting::Rows, Some(0.5)) => a.sqrt(),
                    (Meeting::Rows, _) => a.powf(b),
                    (Meeting::Spread([x, y]), _) => rows(spread(a, *x).powf(spread(b, *y))),
                };
                vec![if whole {
                    Value::Int(as_ints(power.int(), inputs.device))
                } else {
                    Value::Float(power)
                }]
            }
        }
    }
}

/// An integer power: `1 / base^n` is truncated, so it is 0 except for bases 1 and -1. (0 to a negative power is undefined in ONNX and 0 here.)
fn integer_power<const D: usize>(base: Tensor<D, Int>, exponent: Tensor<D, Int>) -> Tensor<D, Int> {
    let power = base.clone().powi(exponent.clone().abs());
    let fraction = exponent.lower_scalar(0);
    let vanishes = base.abs().not_equal_scalar(1);
    let shape: [usize; D] = power.dims();
    power.mask_fill(fraction.expand(shape).bool_and(vanishes.expand(shape)), 0)
}

/// The value, multiplied by a slope where it is negative.
#[derive(Debug)]
struct PRelu {
    meeting: Meeting,
}

/// Builds `PRelu`.
pub(super) fn prelu(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    site.anywhere_of(0, Kind::Float)?;
    site.anywhere_of(1, Kind::Float)?;
    let (meeting, output) = meet(site, Kind::Float)?;
    if output.dims != site.anywhere(0)?.dims {
        refuse!(
            "has slopes of shape {:?} for values of shape {:?}",
            site.anywhere(1)?.dims,
            site.anywhere(0)?.dims
        );
    }
    Built::one(PRelu { meeting }, output)
}

impl Operator for PRelu {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        fn apply<const D: usize>(x: Tensor<D>, slope: Tensor<D>) -> Tensor<D> {
            let below = x.clone().lower_scalar(0.0);
            let scaled = x.clone() * slope;
            x.mask_where(below, scaled)
        }
        let (x, slope) = (inputs.float(0), inputs.float(1));
        vec![Value::Float(match self.meeting {
            Meeting::Rows => apply(x, slope),
            Meeting::Spread([a, b]) => rows(apply(spread(x, a), spread(slope, b))),
        })]
    }
}
