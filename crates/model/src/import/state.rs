//! Tensors by name, out of the files that frameworks save weights in.

use std::collections::BTreeMap;
use std::io::Write;

use burn_pack::{Bytes, Reader};
use pytorch_reader::PytorchReader;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tamis_graph::contained;

/// Shape and numbers of every tensor, by name.
pub(super) type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

/// Most bytes that a file may unpack to.
const STATE_BYTES_MAX: usize = 64 << 20;

/// The tensors of a file of weights, as little-endian f32; `None` if it is none, which leaves ONNX.
pub(super) fn tensors(file: &[u8]) -> Result<Option<Tensors>, String> {
    let read: fn(&[u8]) -> Result<Tensors, String> = match file {
        [b'P', b'K', 3, 4, ..] => pytorch,
        _ if file.starts_with(&burn_pack::MAGIC_NUMBER.to_le_bytes()) => burnpack,
        [_, _, _, _, _, _, 0, 0, b'{', ..] => safetensors,
        _ => return Ok(None),
    };
    // The readers are not ours: should one of them panic on a damaged file, that is a file that cannot be read.
    contained(|| read(file))
        .unwrap_or_else(|| Err("the file is damaged: its reader gave up".into()))
        .map(Some)
}

fn pytorch(file: &[u8]) -> Result<Tensors, String> {
    let fail = |error: &dyn std::fmt::Display| format!("is no PyTorch state dict that can be read: {error}");
    // The reader wants a file of its own, from which it takes one tensor after the other.
    let mut copy = tempfile::NamedTempFile::new().map_err(|error| fail(&error))?;
    copy.write_all(file).and_then(|()| copy.flush()).map_err(|error| fail(&error))?;
    let mut reader = PytorchReader::new(copy.path()).map_err(|error| fail(&error))?;
    // A checkpoint that holds the state dict under a key, as training loops save it.
    if reader.keys().iter().any(|key| key.starts_with("state_dict.")) {
        reader =
            PytorchReader::with_top_level_key(copy.path(), "state_dict").map_err(|error| fail(&error))?;
    }
    let mut found = Tensors::new();
    let mut bytes = 0;
    for (name, tensor) in reader.into_tensors() {
        // Counters of batch normalisation and the like are no weights.
        if tensor.dtype() != pytorch_reader::DType::F32 {
            if tensor.shape().is_empty() {
                continue;
            }
            return Err(wrong_type(&name, &format!("{:?}", tensor.dtype())));
        }
        bytes += tensor.byte_len();
        refuse_large(bytes)?;
        let numbers = tensor.read().map_err(|error| fail(&error))?;
        let little =
            numbers.as_chunks().0.iter().flat_map(|&number| f32::from_ne_bytes(number).to_le_bytes());
        found.insert(name, (tensor.shape().to_vec(), little.collect()));
    }
    Ok(found)
}

fn burnpack(file: &[u8]) -> Result<Tensors, String> {
    let fail = |error: burn_pack::Error| format!("is no burnpack file that can be read: {error}");
    let reader = Reader::from_bytes(Bytes::from_bytes_vec(file.to_vec())).map_err(fail)?;
    let mut found = Tensors::new();
    let mut bytes = 0;
    for tensor in reader.into_tensors().map_err(fail)? {
        if tensor.dtype != burn_pack::DType::F32 {
            return Err(wrong_type(&tensor.name, &format!("{:?}", tensor.dtype)));
        }
        bytes += tensor.byte_len();
        refuse_large(bytes)?;
        let (name, shape) = (tensor.name.clone(), tensor.shape.iter().copied().collect());
        found.insert(name, (shape, tensor.into_bytes().map_err(fail)?.to_vec()));
    }
    Ok(found)
}

fn safetensors(file: &[u8]) -> Result<Tensors, String> {
    let file = SafeTensors::deserialize(file)
        .map_err(|error| format!("is no safetensors file that can be read: {error}"))?;
    let mut found = Tensors::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(wrong_type(name, &format!("{:?}", view.dtype())));
        }
        found.insert(name.into(), (view.shape().to_vec(), view.data().to_vec()));
    }
    Ok(found)
}

fn wrong_type(name: &str, found: &str) -> String {
    format!("tensor '{name}' is {found}, must be F32; save the model in single precision")
}

fn refuse_large(bytes: usize) -> Result<(), String> {
    if bytes > STATE_BYTES_MAX {
        return Err(format!("holds more than {} MiB of weights", STATE_BYTES_MAX >> 20));
    }
    Ok(())
}

/// What the names of the layers begin with, in the order of a person: `features.2` before `features.10`.
pub(super) fn layer_names(tensors: &Tensors) -> Vec<String> {
    let mut names: Vec<String> =
        tensors.keys().filter_map(|name| name.strip_suffix(".weight")).map(Into::into).collect();
    let key = |name: &String| -> Vec<(u64, String)> {
        name.split('.')
            .map(|part| part.parse().map_or((u64::MAX, part.into()), |number| (number, String::new())))
            .collect()
    };
    names.sort_by_key(key);
    names
}

/// The tensors as a safetensors file.
pub(super) fn to_safetensors(tensors: &Tensors) -> Vec<u8> {
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name.clone(), view.expect("as many numbers as the shape says"))
    });
    safetensors::serialize(views, None).expect("tensors with as many numbers as their shapes say")
}
