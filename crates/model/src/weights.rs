//! The two safetensors files: weights and golden vectors.
//!
//! Tensors are little-endian f32. A weight has the shape `[out, in]`, as PyTorch stores it, and is turned here into the `[in, out]` of the
//! matrix product.

use safetensors::{Dtype, SafeTensors};

use crate::error::BundleFault;

/// Most bytes of the JSON header of a safetensors file.
const HEADER_BYTES_MAX: u64 = 1 << 20;
/// Most golden vectors.
const GOLDEN_MAX: usize = 4096;

/// One dense layer.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub inputs: usize,
    pub outputs: usize,
    /// `inputs * outputs` numbers; the weights of one input stand together.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Inputs in physical units and the scores that they must give, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Golden {
    pub rows: usize,
    pub inputs: Vec<f32>,
    pub scores: Vec<f32>,
}

/// Reads `layers.K.weight` and `layers.K.bias` for a chain of these widths, and nothing else.
pub(crate) fn read_layers(bytes: &[u8], widths: &[usize]) -> Result<Vec<Layer>, BundleFault> {
    let file = open(bytes)?;
    let known = |name: &str| {
        let rest = name.strip_prefix("layers.").and_then(|rest| rest.split_once('.'));
        rest.is_some_and(|(index, kind)| {
            (0..widths.len() - 1).any(|k| k.to_string() == index) && matches!(kind, "weight" | "bias")
        })
    };
    refuse_others(&file, known)?;
    let mut layers = Vec::with_capacity(widths.len() - 1);
    for (k, pair) in widths.windows(2).enumerate() {
        let (inputs, outputs) = (pair[0], pair[1]);
        let stored = read(&file, &format!("layers.{k}.weight"), &[outputs, inputs])?;
        let weight = (0..inputs * outputs).map(|at| stored[at % outputs * inputs + at / outputs]).collect();
        let bias = read(&file, &format!("layers.{k}.bias"), &[outputs])?;
        layers.push(Layer { inputs, outputs, weight, bias });
    }
    Ok(layers)
}

/// Reads `inputs` and `scores`; the number of rows is the file's, between 1 and 4096.
pub(crate) fn read_golden(bytes: &[u8], width: usize, outputs: usize) -> Result<Golden, BundleFault> {
    let file = open(bytes)?;
    refuse_others(&file, |name| matches!(name, "inputs" | "scores"))?;
    let shape = file.tensor("inputs").map(|view| view.shape().to_vec()).unwrap_or_default();
    let rows = shape.first().copied().unwrap_or(1);
    if rows == 0 || rows > GOLDEN_MAX {
        let wanted = format!("between 1 and {GOLDEN_MAX} rows");
        return Err(BundleFault::TensorShape { tensor: "inputs".into(), found: shape, wanted });
    }
    let inputs = read(&file, "inputs", &[rows, width])?;
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

/// The numbers of one tensor, after its type, its shape and every number were checked.
fn read(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>, BundleFault> {
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
    let values: Vec<f32> = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(BundleFault::NotFinite { tensor, index, value: values[index] }),
        None => Ok(values),
    }
}
