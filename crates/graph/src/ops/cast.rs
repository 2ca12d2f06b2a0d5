//! Cast: numbers of another kind.
//!
//! To double precision: the numbers stay single. To integers: truncated toward zero; what does not fit is undefined in ONNX, and the nearest integer here; an event in which a NaN becomes an
//! integer has no score. Integers of 64 bits that become some of 32 bits wrap around. To truth values: whatever is not 0 is true, what is not a number included.

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

/// Cast.
pub(super) fn cast(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    // Both are about 8-bit floating point.
    site.ignore(&["round_mode", "saturate"]);
    let Some(to) = site.int("to")? else { refuse!("does not say to which data type") };
    let to = i32::try_from(to).unwrap_or(0);
    let x = site.anything(0)?.clone();
    // Exporters cast to double and ask whether the number is infinite.
    let double = to == onnx::DOUBLE && x.kind == Kind::Float;
    let (to, int32) = (if double { Kind::Float } else { onnx::kind(to)? }, to == onnx::INT32);
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
