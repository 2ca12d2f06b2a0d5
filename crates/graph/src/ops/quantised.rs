//! `DequantizeLinear`: integers of few bits with a scale, as quantised weights are stored. They are floats before any event comes.

use burn::tensor::Tensor;

use crate::error::{Fault, refuse};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::source::Kind;
use crate::value::{Type, Value};

/// `(x - zero point) * scale`, with one of each, or one for every entry of an axis.
#[derive(Debug)]
struct Dequantise {
    /// The value as `[outer, entries, inner]`; one entry where there is one scale.
    around: [usize; 3],
    has_zero: bool,
}

/// `DequantizeLinear`.
pub(super) fn dequantise(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 3)?;
    site.outputs_at_most(1)?;
    let (axis, block) = (site.int("axis")?.unwrap_or(1), site.int("block_size")?.unwrap_or(0));
    site.ignore(&["output_dtype"]);
    if block != 0 {
        refuse!(
            "has scales for blocks of an axis ('block_size'); only one for all or for every entry is supported"
        );
    }
    let x = site.input_of(0, Kind::Int)?.clone();
    let scales = site.input_of(1, Kind::Float)?.clone();
    let has_zero = site.has(2);
    if !site.is_known(0) || !site.is_known(1) || has_zero && !site.is_known(2) {
        refuse!(
            "quantises numbers of the event; only constant weights are supported: export the model in single precision"
        );
    }
    let around = match scales.numbers() {
        1 => [1, 1, x.numbers()],
        entries => {
            let axis = x.axis(axis)?;
            if x.dims[axis] != entries {
                refuse!("has {entries} scales for an axis of {}", x.dims[axis]);
            }
            [x.dims[..axis].iter().product(), entries, x.dims[axis + 1..].iter().product()]
        }
    };
    if has_zero && site.input_of(2, Kind::Int)?.numbers() != scales.numbers() {
        refuse!("has {} scales and another number of zero points", scales.numbers());
    }
    let output = Type { kind: Kind::Float, int32: false, ..x };
    Built::one(Dequantise { around, has_zero }, output)
}

impl Operator for Dequantise {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let across = [1, self.around[1], 1];
        let x: Tensor<3> = inputs.int(0).float().reshape(self.around);
        let scale = inputs.float(1).reshape(across);
        let x = if self.has_zero { x - inputs.int(2).float().reshape(across) } else { x };
        let [outer, entries, inner] = self.around;
        vec![Value::Float((x * scale).reshape([1, outer * entries * inner]))]
    }
}
