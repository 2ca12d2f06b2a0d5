//! Functions of one number: every row of a value is mapped, whatever its shape.

use burn::tensor::{Tensor, activation};

use crate::error::{Fault, refuse};
use crate::operator::{Built, Inputs, KernelOp, Operator, Site};
use crate::source::Kind;
use crate::value::Value;

/// The function, with what it is set to.
#[derive(Clone, Copy, Debug)]
enum Unary {
    Relu,
}

/// Builds a function of one number.
pub(super) fn unary(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let function = match site.operator() {
        "Relu" => Unary::Relu,
        other => refuse!("'{other}' is no function of one number"),
    };
    let output = site.input_of(0, Kind::Float)?.clone();
    Built::one(function, output)
}

impl Operator for Unary {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![Value::Float(self.apply(inputs.float(0)))]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        match self {
            Self::Relu => Some(KernelOp::Relu),
        }
    }
}

impl Unary {
    fn apply(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Relu => activation::relu(x),
        }
    }
}
