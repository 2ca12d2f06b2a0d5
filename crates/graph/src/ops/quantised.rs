//! `QuantizeLinear`, `DequantizeLinear`: 8- or 16-bit integers with a scale, as quantised networks use for weights and activations.
//!
//! ```text
//!   x  --QuantizeLinear-->  round(x / scale) + zero, within the type  --DequantizeLinear-->  (q - zero) * scale
//! ```
//!
//! Ties round to even. Everything between the two is computed in floating point, on the quantised numbers; weights become
//! floats when the graph is built. An event in which a number to be quantised is NaN has no score: integers cannot carry it.

use burn::tensor::{Int, Tensor};

use crate::error::{Fault, refuse};
use crate::onnx;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::part::around;
use crate::source::{Kind, Narrow};
use crate::value::{Type, Value, truncated};

/// One scale (and zero point) for a whole value, or one per entry of an axis.
#[derive(Debug)]
struct Scales {
    /// A row of the value as `[outer, entries, inner]`; one entry if there is one scale.
    around: [usize; 3],
    has_zero: bool,
}

impl Scales {
    /// Reads inputs 1 and 2; `own` is the type that the zero point must have.
    fn read(site: &Site<'_>, x: &Type, own: Option<Narrow>) -> Result<Self, Fault> {
        site.inputs_between(2, 3)?;
        site.outputs_at_most(1)?;
        let axis = site.int("axis")?.unwrap_or(1);
        if site.int("block_size")?.unwrap_or(0) != 0 {
            refuse!(
                "has scales for blocks of an axis ('block_size'); only one for all or for every entry of an axis is supported"
            );
        }
        let scales = site.input_of(1, Kind::Float)?.clone();
        let has_zero = site.has(2);
        if !site.is_known(1) || has_zero && !site.is_known(2) {
            refuse!("has a scale or a zero point that is computed from the event; it must be a constant");
        }
        if scales.dims.len() > 1 {
            refuse!(
                "has scales of shape {:?}; one number, or one for every entry of an axis, is expected",
                scales.dims
            );
        }
        let around = match scales.numbers() {
            1 => [1, 1, x.numbers()],
            entries => {
                let axis = x.axis(axis)?;
                if x.dims[axis] != entries {
                    refuse!("has {entries} scales for an axis of {}", x.dims[axis]);
                }
                around(&x.dims, axis)
            }
        };
        if has_zero {
            let zero = site.stored(2)?;
            if zero.kind != Kind::Int || zero.narrow != own || zero.numbers() != scales.numbers() {
                refuse!(
                    "has {} zero points of type {}; {} of type {} are expected",
                    zero.numbers(),
                    name(zero.narrow),
                    scales.numbers(),
                    name(own)
                );
            }
        }
        Ok(Self { around, has_zero })
    }

    fn scale(&self, inputs: &mut Inputs<'_>) -> Tensor<3> {
        inputs.float(1).reshape([1, self.around[1], 1])
    }

    fn zero(&self, inputs: &mut Inputs<'_>) -> Option<Tensor<3, Int>> {
        self.has_zero.then(|| inputs.int(2).reshape([1, self.around[1], 1]))
    }

    /// The shape of `rows` rows.
    fn axes(&self, rows: usize) -> [usize; 3] {
        let [outer, entries, inner] = self.around;
        [rows * outer, entries, inner]
    }
}

fn name(narrow: Option<Narrow>) -> String {
    narrow.map_or_else(|| "int32".into(), |narrow| narrow.to_string())
}

/// Refuses an attribute with a data type other than single precision.
fn single_precision(site: &Site<'_>, key: &'static str) -> Result<(), Fault> {
    match site.int(key)?.unwrap_or(0) {
        0 | 1 => Ok(()),
        other => Err(format!("its attribute '{key}' is data type number {other}; only float is supported")),
    }
}

#[derive(Debug)]
struct Quantise {
    scales: Scales,
    to: Narrow,
}

/// Builds `QuantizeLinear`: the type is that of the zero point, or given by an attribute, or `uint8`.
pub(super) fn quantise(site: &mut Site<'_>) -> Result<Built, Fault> {
    // It concerns only 8-bit floating point.
    site.ignore(&["saturate"]);
    single_precision(site, "precision")?;
    let said = match site.int("output_dtype")?.unwrap_or(0) {
        0 => None,
        other => match i32::try_from(other).ok().and_then(onnx::narrow) {
            None => {
                refuse!("makes data type number {other}; only uint8, int8, uint16 and int16 are supported")
            }
            said => said,
        },
    };
    let x = site.anywhere_of(0, Kind::Float)?.clone();
    let of_zero = if site.has(2) { site.stored(2)?.narrow } else { None };
    let to = said.or(of_zero).unwrap_or(Narrow::Uint8);
    let scales = Scales::read(site, &x, Some(to))?;
    Built::one(Quantise { scales, to }, Type { kind: Kind::Int, int32: true, narrow: Some(to), ..x })
}

impl Operator for Quantise {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.float(0);
        let shape = x.dims();
        let x = x.reshape(self.scales.axes(shape[0])) / self.scales.scale(inputs);
        inputs.lose(x.clone().is_nan().reshape(shape));
        let x = match self.scales.zero(inputs) {
            Some(zero) => x.round() + zero.float(),
            None => x.round(),
        };
        let [low, high] = self.to.bounds();
        vec![Value::Int(truncated(x.clamp(low, high).reshape(shape), inputs.device))]
    }
}

#[derive(Debug)]
struct Dequantise(Scales);

/// Builds `DequantizeLinear`.
pub(super) fn dequantise(site: &mut Site<'_>) -> Result<Built, Fault> {
    single_precision(site, "output_dtype")?;
    let x = site.stored(0)?.clone();
    if x.kind != Kind::Int || !x.int32 {
        refuse!("its input 0 must be integers of 8, 16 or 32 bits");
    }
    let scales = Scales::read(site, &x, x.narrow)?;
    Built::one(Dequantise(scales), Type { kind: Kind::Float, int32: false, narrow: None, ..x })
}

impl Operator for Dequantise {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.int(0);
        let shape = x.dims();
        let x = x.reshape(self.0.axes(shape[0]));
        let x = match self.0.zero(inputs) {
            Some(zero) => x - zero,
            None => x,
        };
        vec![Value::Float((x.float() * self.0.scale(inputs)).reshape(shape))]
    }
}
