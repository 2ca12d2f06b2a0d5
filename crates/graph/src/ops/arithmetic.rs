//! Functions of two numbers: Add, Sub, Mul, Div, Pow, PRelu, with broadcasting.
//!
//! Most of them combine rows with rows or rows with one constant row; those work on the rows as they are. The others are spread out.

use burn::tensor::kind::Numeric;
use burn::tensor::{Int, Tensor};

use crate::error::{Fault, refuse};
use crate::operator::{Built, Inputs, KernelOp, Operator, Site};
use crate::source::{Constant, Data, Kind};
use crate::value::{AXES, Broadcast, Type, Value, as_ints, rows, spread};

/// A function of two numbers of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    Add,
    Sub,
    Mul,
    Div,
}

/// How the operands are brought together.
#[derive(Debug)]
pub(super) enum Meeting {
    /// Rows of the same length, or of one number.
    Rows,
    /// Spread out to these axes.
    Spread([[usize; AXES]; 2]),
}

/// Types two operands; `kind` is that of the result.
pub(super) fn meet(site: &Site<'_>, kind: Kind) -> Result<(Meeting, Type), Fault> {
    let (a, b) = (site.input(0)?, site.input(1)?);
    let joint = Broadcast::new(a, b)?;
    let as_rows =
        |axes: &[usize; AXES]| *axes == crate::value::axes(&joint.dims) || axes.iter().all(|&axis| axis == 1);
    let output = Type::new(kind, joint.events, joint.dims.clone());
    let meeting =
        if joint.operands.iter().all(as_rows) { Meeting::Rows } else { Meeting::Spread(joint.operands) };
    Ok((meeting, output))
}

#[derive(Debug)]
struct Arithmetic {
    function: Binary,
    meeting: Meeting,
    /// Which input is a constant row as long as the result, if one is.
    row: Option<usize>,
}

/// Add, Sub, Mul, Div. Integers are divided toward zero; something divided by 0 is 0.
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
    let kind = site.input(0)?.kind;
    site.input_of(1, kind)?;
    if kind == Kind::Bool {
        refuse!("works on truth values; only numbers are supported");
    }
    let (meeting, output) = meet(site, kind)?;
    let is_row = |index: &usize| {
        kind == Kind::Float
            && site.constant(*index).is_some_and(|constant| constant.len() == output.numbers())
    };
    let row = (0..2).find(is_row);
    Built::one(Arithmetic { function, meeting, row }, output)
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
                Value::Int(match self.meeting {
                    Meeting::Rows => self.function.apply(a, b),
                    Meeting::Spread([x, y]) => rows(self.function.apply(spread(a, x), spread(b, y))),
                })
            }
            (a, b) => unreachable!("kinds were checked: {a:?}, {b:?}"),
        };
        vec![value]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        match (self.function, &self.meeting, self.row) {
            (Binary::Add, Meeting::Rows, Some(row)) => Some(KernelOp::AddRow { row }),
            _ => None,
        }
    }
}

/// A divisor that ends no process: what is divided by 0 is divided by the largest number instead, which gives 0.
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
    /// An exponent that is the same for all, if it is known.
    exponent: Option<f32>,
}

/// Pow.
pub(super) fn pow(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    let kind = site.input(0)?.kind;
    if kind == Kind::Bool || site.input(1)?.kind == Kind::Bool {
        refuse!("works on truth values; only numbers are supported");
    }
    let exponent = match site.constant(1) {
        Some(Constant { data: Data::Floats(values), .. }) if values.len() == 1 => Some(values[0]),
        Some(Constant { data: Data::Ints(values), .. }) if values.len() == 1 => Some(values[0] as f32),
        _ => None,
    };
    let (meeting, output) = meet(site, kind)?;
    Built::one(Power { meeting, exponent }, output)
}

impl Operator for Power {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let float = |value| match value {
            Value::Float(tensor) => tensor,
            Value::Int(tensor) => tensor.float(),
            Value::Bool(_) => unreachable!("kinds were checked"),
        };
        match (inputs.take(0), inputs.take(1)) {
            (Value::Int(a), Value::Int(b)) => vec![Value::Int(match self.meeting {
                Meeting::Rows => a.powi(b),
                Meeting::Spread([x, y]) => rows(spread(a, x).powi(spread(b, y))),
            })],
            (base, exponent) => {
                let whole = matches!(base, Value::Int(_));
                let (a, b) = (float(base), float(exponent));
                // Products and roots instead of the general power: exact, and right for negative bases on every device.
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

/// The value, times a slope where it is negative.
#[derive(Debug)]
struct PRelu {
    meeting: Meeting,
}

/// `PRelu`.
pub(super) fn prelu(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    site.input_of(0, Kind::Float)?;
    site.input_of(1, Kind::Float)?;
    let (meeting, output) = meet(site, Kind::Float)?;
    if output.dims != site.input(0)?.dims {
        refuse!(
            "has slopes of shape {:?} for values of shape {:?}",
            site.input(1)?.dims,
            site.input(0)?.dims
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
