//! Elementwise functions of one number.
//!
//! A NaN stays a NaN through all of them, on every device: an event that cannot be scored must not get a score. Where a
//! device's own function may lose it (maximum, clamp), comparisons are used instead.

use burn::tensor::{Tensor, activation};

use crate::error::{Fault, refuse};
use crate::kernel_op::KernelOp;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::source::{Data, Kind};
use crate::value::{Value, wrapped};

/// The function, with its parameters.
#[derive(Clone, Copy, Debug)]
enum Unary {
    Abs,
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    Ceil,
    Celu { alpha: f32 },
    Clip { low: f32, high: f32 },
    Cos,
    Cosh,
    Elu { alpha: f32 },
    Erf,
    Exp,
    Floor,
    Gelu { tanh: bool },
    HardSigmoid { alpha: f32, beta: f32 },
    HardSwish,
    LeakyRelu { alpha: f32 },
    Log,
    Neg,
    Reciprocal,
    Relu,
    Round,
    Selu { alpha: f32, gamma: f32 },
    Sigmoid,
    Sign,
    Sin,
    Sinh,
    Softplus,
    Softsign,
    Sqrt,
    Tan,
    Tanh,
}

/// Builds a function of one floating-point number.
pub(super) fn unary(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    // Memory hints of opset 5 and before, which some converters still write.
    site.ignore(&["consumed_inputs"]);
    let function = match site.operator() {
        "Acos" => Unary::Acos,
        "Acosh" => Unary::Acosh,
        "Asin" => Unary::Asin,
        "Asinh" => Unary::Asinh,
        "Atan" => Unary::Atan,
        "Atanh" => Unary::Atanh,
        "Ceil" => Unary::Ceil,
        "Cos" => Unary::Cos,
        "Cosh" => Unary::Cosh,
        "Floor" => Unary::Floor,
        "Round" => Unary::Round,
        "Sign" => Unary::Sign,
        "Sin" => Unary::Sin,
        "Sinh" => Unary::Sinh,
        "Tan" => Unary::Tan,
        "Celu" => Unary::Celu { alpha: site.float("alpha", 1.0)? },
        "Elu" => Unary::Elu { alpha: site.float("alpha", 1.0)? },
        "Erf" => Unary::Erf,
        "Exp" => Unary::Exp,
        "Gelu" => match site.text("approximate", "none")? {
            "none" => Unary::Gelu { tanh: false },
            "tanh" => Unary::Gelu { tanh: true },
            other => refuse!("its attribute 'approximate' is '{other}', must be none or tanh"),
        },
        "HardSigmoid" => {
            Unary::HardSigmoid { alpha: site.float("alpha", 0.2)?, beta: site.float("beta", 0.5)? }
        }
        "HardSwish" => Unary::HardSwish,
        "LeakyRelu" => Unary::LeakyRelu { alpha: site.float("alpha", 0.01)? },
        "Log" => Unary::Log,
        "Reciprocal" => Unary::Reciprocal,
        "Relu" => Unary::Relu,
        "Selu" => {
            let (alpha, gamma) = (1.673_263_2, 1.050_701);
            Unary::Selu { alpha: site.float("alpha", alpha)?, gamma: site.float("gamma", gamma)? }
        }
        "Sigmoid" => Unary::Sigmoid,
        "Softplus" => Unary::Softplus,
        "Softsign" => Unary::Softsign,
        "Sqrt" => Unary::Sqrt,
        "Tanh" => Unary::Tanh,
        other => refuse!("'{other}' is no function of one number"),
    };
    let output = site.anywhere_of(0, Kind::Float)?.clone();
    Built::one(function, output)
}

/// Builds a function of one number that also exists for integers.
pub(super) fn unary_numeric(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let negate = site.operator() == "Neg";
    let output = site.anywhere(0)?.clone();
    match output.kind {
        Kind::Float => Built::one(if negate { Unary::Neg } else { Unary::Abs }, output),
        Kind::Int => Built::one(IntUnary { negate, int32: output.int32 }, output),
        Kind::Bool => Err("works on truth values; only numbers are supported".into()),
    }
}

/// `Clip`: bounds are attributes before opset 11, constant inputs since.
pub(super) fn clip(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, if site.opset < 11 { 1 } else { 3 })?;
    let output = site.anywhere(0)?.clone();
    if output.kind == Kind::Int {
        let bound = |index, what, open| match site.known_ints(index, what)?.as_deref() {
            None => Ok(open),
            Some(&[bound]) => Ok(bound),
            Some(_) => Err(format!("its input {index} ({what}) must be one number")),
        };
        return Built::one(
            IntClip { low: bound(1, "min", i64::MIN)?, high: bound(2, "max", i64::MAX)? },
            output,
        );
    }
    site.anywhere_of(0, Kind::Float)?;
    let bound = |key, index, open| {
        if site.opset < 11 {
            return site.float(key, open);
        }
        if !site.has(index) {
            return Ok(open);
        }
        match &site.known(index, key)?.data {
            Data::Floats(bound) if bound.len() == 1 => Ok(bound[0]),
            _ => Err(format!("its input {index} ({key}) must be one number")),
        }
    };
    let (low, high) = (bound("min", 1, f32::NEG_INFINITY)?, bound("max", 2, f32::INFINITY)?);
    Built::one(Unary::Clip { low, high }, output)
}

impl Operator for Unary {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![Value::Float(self.apply(inputs.float(0)))]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        match *self {
            Self::Relu => Some(KernelOp::Relu),
            Self::LeakyRelu { alpha } => Some(KernelOp::LeakyRelu { alpha }),
            Self::Tanh => Some(KernelOp::Tanh),
            Self::Sigmoid => Some(KernelOp::Sigmoid),
            Self::Clip { low, high } => Some(KernelOp::Clip { low, high }),
            _ => None,
        }
    }
}

impl Unary {
    fn apply(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Abs => x.abs(),
            Self::Acos => x.acos(),
            Self::Acosh => x.acosh(),
            Self::Asin => x.asin(),
            Self::Asinh => x.asinh(),
            Self::Atan => x.atan(),
            Self::Atanh => x.atanh(),
            Self::Ceil => x.ceil(),
            Self::Cos => x.cos(),
            Self::Cosh => x.cosh(),
            Self::Floor => x.floor(),
            Self::Round => x.round(),
            Self::Sign => {
                let nan = x.clone().is_nan();
                x.sign().mask_fill(nan, f32::NAN)
            }
            Self::Sin => x.sin(),
            Self::Sinh => x.sinh(),
            Self::Tan => x.tan(),
            Self::Celu { alpha } => {
                below_zero(x, |x| x.div_scalar(alpha).exp().sub_scalar(1.0).mul_scalar(alpha))
            }
            Self::Clip { low, high } => between(x, low, high),
            Self::Elu { alpha } => below_zero(x, |x| x.exp().sub_scalar(1.0).mul_scalar(alpha)),
            Self::Erf => x.erf(),
            Self::Exp => x.exp(),
            Self::Gelu { tanh: false } => activation::gelu(x),
            Self::Gelu { tanh: true } => activation::gelu_approximate(x),
            Self::HardSigmoid { alpha, beta } => between(x.mul_scalar(alpha).add_scalar(beta), 0.0, 1.0),
            Self::HardSwish => {
                let gate = between(x.clone().div_scalar(6.0).add_scalar(0.5), 0.0, 1.0);
                x * gate
            }
            Self::LeakyRelu { alpha } => activation::leaky_relu(x, alpha.into()),
            Self::Log => x.log(),
            Self::Neg => x.neg(),
            Self::Reciprocal => x.recip(),
            Self::Relu => activation::relu(x),
            Self::Selu { alpha, gamma } => {
                below_zero(x, |x| x.exp().sub_scalar(1.0).mul_scalar(alpha)).mul_scalar(gamma)
            }
            Self::Sigmoid => activation::sigmoid(x),
            // log(1 + exp(x)) without overflow.
            Self::Softplus => activation::relu(x.clone()) + x.abs().neg().exp().log1p(),
            Self::Softsign => x.clone() / x.abs().add_scalar(1.0),
            Self::Sqrt => x.sqrt(),
            Self::Tanh => x.tanh(),
        }
    }
}

/// `f(x)` where `x` is below 0, and `x` elsewhere.
fn below_zero(x: Tensor<2>, f: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
    let below = x.clone().lower_scalar(0.0);
    let mapped = f(x.clone());
    x.mask_where(below, mapped)
}

fn between(x: Tensor<2>, low: f32, high: f32) -> Tensor<2> {
    let x = if low > f32::NEG_INFINITY { x.clone().mask_fill(x.lower_scalar(low), low) } else { x };
    if high < f32::INFINITY { x.clone().mask_fill(x.greater_scalar(high), high) } else { x }
}

#[derive(Debug)]
struct IntUnary {
    negate: bool,
    int32: bool,
}

impl Operator for IntUnary {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.int(0);
        let y = if self.negate { x.neg() } else { x.abs() };
        vec![Value::Int(wrapped(y, self.int32))]
    }
}

#[derive(Debug)]
struct IntClip {
    low: i64,
    high: i64,
}

impl Operator for IntClip {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.int(0);
        let x = if self.low > i64::MIN { x.clone().mask_fill(x.lower_scalar(self.low), self.low) } else { x };
        let x = if self.high < i64::MAX {
            x.clone().mask_fill(x.greater_scalar(self.high), self.high)
        } else {
            x
        };
        vec![Value::Int(x)]
    }
}
