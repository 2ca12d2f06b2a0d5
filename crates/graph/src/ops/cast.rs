//! Cast: converts numbers to another kind.
//!
//! To double precision: the numbers stay single. To integers: truncated toward zero; numbers that do not fit are undefined in ONNX and become the
//! nearest integer here; an event in which a NaN becomes an integer has no score. 64-bit integers wrap around when converted to 32 bits. To truth
//! values: everything except 0 is true, including NaN.

use crate::error::{Fault, refuse};
use crate::onnx;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::reshape::Same;
use crate::source::Kind;
use crate::value::{Type, Value, as_ints, truncated, wrapped};

#[derive(Debug)]
struct Cast {
    to: Kind,
    int32: bool,
}

/// Builds `Cast`.
pub(super) fn cast(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    // Both concern only 8-bit floating point.
    site.ignore(&["round_mode", "saturate"]);
    let Some(to) = site.int("to")? else { refuse!("does not say to which data type") };
    let to = i32::try_from(to).unwrap_or(0);
    let x = site.anything(0)?.clone();
    // Exporters cast to double and test for infinity.
    let double = to == onnx::DOUBLE && x.kind == Kind::Float;
    let int32 = to == onnx::INT32;
    let to = if double { Kind::Float } else { onnx::kind(to)? };
    if x.labels.is_some() {
        refuse!("makes numbers of text; export the model with integer labels");
    }
    if x.kind == to && (x.int32 || !int32) {
        return Built::one(Same, Type { int32, narrow: None, double, ..x });
    }
    let output = Type { kind: to, int32, narrow: None, double, ..site.stored(0)?.clone() };
    Built::one(Cast { to, int32 }, output)
}

impl Operator for Cast {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![match (inputs.take(0), self.to) {
            (Value::Int(x), Kind::Float) => Value::Float(x.float()),
            (Value::Bool(x), Kind::Float) => Value::Float(x.float()),
            (Value::Float(x), Kind::Int) => {
                inputs.lose(x.clone().is_nan());
                let x = truncated(x, inputs.device);
                Value::Int(if self.int32 { x.clamp(i32::MIN, i32::MAX) } else { x })
            }
            (Value::Int(x), Kind::Int) => Value::Int(wrapped(x, self.int32)),
            (Value::Bool(x), Kind::Int) => Value::Int(as_ints(x.int(), inputs.device)),
            (Value::Float(x), Kind::Bool) => Value::Bool(x.not_equal_scalar(0.0)),
            (Value::Int(x), Kind::Bool) => Value::Bool(x.not_equal_scalar(0)),
            (same, _) => same,
        }]
    }
}
