//! Cast: numbers of another kind.
//!
//! To integers: truncated toward zero; what does not fit is undefined in ONNX, and the nearest integer (0 for what is not a number) here. To
//! truth values: whatever is not 0 is true, what is not a number included.

use crate::error::{Fault, refuse};
use crate::onnx;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::reshape::Same;
use crate::source::Kind;
use crate::value::{Value, as_ints, truncated};

#[derive(Debug)]
struct Cast {
    to: Kind,
}

/// Cast.
pub(super) fn cast(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    // Both are about 8-bit floating point.
    site.ignore(&["round_mode", "saturate"]);
    let Some(to) = site.int("to")? else { refuse!("does not say to which data type") };
    let to = onnx::kind(i32::try_from(to).unwrap_or(0))?;
    let x = site.input_or_shape(0)?.clone();
    if x.labels.is_some() {
        refuse!("makes numbers of text; export the model with integer labels");
    }
    if x.kind == to {
        return Built::one(Same, x);
    }
    let mut output = site.input(0)?.clone();
    output.kind = to;
    Built::one(Cast { to }, output)
}

impl Operator for Cast {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![match (inputs.take(0), self.to) {
            (Value::Int(x), Kind::Float) => Value::Float(x.float()),
            (Value::Bool(x), Kind::Float) => Value::Float(x.float()),
            (Value::Float(x), Kind::Int) => Value::Int(truncated(x, inputs.device)),
            (Value::Bool(x), Kind::Int) => Value::Int(as_ints(x.int(), inputs.device)),
            (Value::Float(x), Kind::Bool) => Value::Bool(x.not_equal_scalar(0.0)),
            (Value::Int(x), Kind::Bool) => Value::Bool(x.not_equal_scalar(0)),
            (same, _) => same,
        }]
    }
}
