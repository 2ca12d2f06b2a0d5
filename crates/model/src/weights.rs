//! The two safetensors files: weights and golden vectors.
//!
//! Tensors are little-endian f32. A weight of a dense layer has the shape `[out, in]`, as PyTorch stores it.

use safetensors::{Dtype, SafeTensors};
use tamis_graph::Constant;

use crate::error::BundleFault;

/// Most bytes of the JSON header of a safetensors file.
const HEADER_BYTES_MAX: u64 = 1 << 20;
/// Most golden vectors.
const GOLDEN_MAX: usize = 4096;

/// Reads the layers of a weights file in order.
pub(crate) struct Weights<'a> {
    file: SafeTensors<'a>,
    taken: usize,
}

impl<'a> Weights<'a> {
    /// Opens the file.
    pub fn open(bytes: &'a [u8]) -> Result<Self, BundleFault> {
        Ok(Self { file: open(bytes)?, taken: 0 })
    }

    /// Weight and bias of the next layer; the length of the bias is the first dimension of the weight.
    pub fn layer(&mut self, shape: &[usize]) -> Result<(Constant, Constant), BundleFault> {
        let name = format!("layers.{}", self.taken);
        self.taken += 1;
        let weight = read(&self.file, &format!("{name}.weight"), shape)?;
        let bias = read(&self.file, &format!("{name}.bias"), &shape[..1])?;
        Ok((Constant::floats(shape, weight), Constant::floats(&shape[..1], bias)))
    }

    /// Refuses tensors that belong to no layer.
    pub fn finish(self) -> Result<(), BundleFault> {
        let known = |name: &str| {
            let (layer, kind) = name.rsplit_once('.').unwrap_or_default();
            matches!(kind, "weight" | "bias")
                && (0..self.taken).any(|index| layer == format!("layers.{index}"))
        };
        refuse_others(&self.file, known)
    }
}

/// Golden vectors: inputs in physical units and their expected scores, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Golden {
    pub rows: usize,
    pub inputs: Vec<f32>,
    pub scores: Vec<f32>,
}

/// Reads `inputs` and `scores`; the file determines the number of rows, between 1 and 4096, and the number of inputs if `width` is `None`.
/// Inputs may be missing values (NaN) if the model accepts them.
pub(crate) fn read_golden(
    bytes: &[u8],
    width: Option<usize>,
    outputs: usize,
    takes_missing: bool,
) -> Result<Golden, BundleFault> {
    let file = open(bytes)?;
    refuse_others(&file, |name| matches!(name, "inputs" | "scores"))?;
    let shape = file.tensor("inputs").map(|view| view.shape().to_vec()).unwrap_or_default();
    let rows = shape.first().copied().unwrap_or(1);
    if rows == 0 || rows > GOLDEN_MAX {
        let wanted = format!("between 1 and {GOLDEN_MAX} rows");
        return Err(BundleFault::TensorShape { tensor: "inputs".into(), found: shape, wanted });
    }
    let width = width.or_else(|| shape.get(1).copied()).unwrap_or(1);
    let inputs = read_numbers(&file, "inputs", &[rows, width])?;
    refuse_infinite("inputs", &inputs, takes_missing)?;
    let scores = read(&file, "scores", &[rows, outputs])?;
    Ok(Golden { rows, inputs, scores })
}

fn open(bytes: &[u8]) -> Result<SafeTensors<'_>, BundleFault> {
    let fault = |message: String| BundleFault::Safetensors { message };
    let Some(front) = bytes.first_chunk() else {
        return Err(fault(format!("{} bytes are too few", bytes.len())));
    };
    if u64::from_le_bytes(*front) > HEADER_BYTES_MAX {
        return Err(fault(format!("its header is longer than {} MiB", HEADER_BYTES_MAX >> 20)));
    }
    SafeTensors::deserialize(bytes).map_err(|error| fault(error.to_string()))
}

fn refuse_others(file: &SafeTensors<'_>, known: impl Fn(&str) -> bool) -> Result<(), BundleFault> {
    let mut unknown: Vec<&str> = file.names().into_iter().filter(|name| !known(name)).collect();
    unknown.sort_unstable();
    match unknown.first() {
        Some(name) => Err(BundleFault::TensorUnknown { tensor: (*name).into() }),
        None => Ok(()),
    }
}

/// The numbers of one tensor, with its type, shape and numbers checked.
fn read(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>, BundleFault> {
    let values = read_numbers(file, name, shape)?;
    refuse_infinite(name, &values, false)?;
    Ok(values)
}

fn read_numbers(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>, BundleFault> {
    let tensor = name.to_owned();
    let Ok(view) = file.tensor(name) else {
        return Err(BundleFault::TensorMissing { tensor });
    };
    if view.dtype() != Dtype::F32 {
        return Err(BundleFault::TensorType { tensor, found: format!("{:?}", view.dtype()) });
    }
    if view.shape() != shape {
        return Err(BundleFault::TensorShape {
            tensor,
            found: view.shape().to_vec(),
            wanted: format!("{shape:?}"),
        });
    }
    Ok(view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

fn refuse_infinite(tensor: &str, values: &[f32], missing_allowed: bool) -> Result<(), BundleFault> {
    let bad = |value: &f32| !(value.is_finite() || missing_allowed && value.is_nan());
    match values.iter().position(bad) {
        Some(index) => Err(BundleFault::NotFinite { tensor: tensor.into(), index, value: values[index] }),
        None => Ok(()),
    }
}
