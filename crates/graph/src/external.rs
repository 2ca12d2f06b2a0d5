//! Writes weights that an ONNX file keeps in other files (the default of PyTorch's exporter) into the file.
//!
//! ```text
//!   model.onnx       tensor: location "model.onnx.data", offset 4096, length 1024 --.
//!   model.onnx.data  ................................[ 1024 bytes ]-----------------+--> one file, the tensor with its numbers
//! ```
//!
//! The file is copied field by field, so that nothing in it gets lost; only tensors whose numbers are elsewhere change.

use prost::Message;
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};

use crate::error::Refusal;
use crate::onnx::ONNX_BYTES_MAX;

/// Where the numbers of a tensor are, as stated by the file; untrusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// A path, relative to the folder of the ONNX file.
    pub location: String,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: usize,
}

/// Most entries that describe where a tensor is: location, offset, length, checksum.
const ENTRIES_MAX: usize = 16;

/// Which fields of a message lead to tensors.
#[derive(Clone, Copy)]
enum Level {
    Message(&'static [(u32, Level)]),
    Tensor,
}

const ATTRIBUTE: Level = Level::Message(&[(5, Level::Tensor)]);
const NODE: Level = Level::Message(&[(5, ATTRIBUTE)]);
const GRAPH: Level = Level::Message(&[(1, NODE), (5, Level::Tensor)]);
const MODEL: Level = Level::Message(&[(7, GRAPH), (25, Level::Message(&[(7, NODE), (11, ATTRIBUTE)]))]);

/// The fields of a tensor that locate its numbers.
#[derive(Clone, PartialEq, Message)]
struct Place {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(int32, tag = "14")]
    data_location: i32,
}

/// Key and value.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// Field `raw_data`: the numbers of a tensor.
const RAW_DATA: u32 = 9;
/// Fields `external_data` and `data_location`: where the numbers are, if elsewhere.
const EXTERNAL_DATA: u32 = 13;
const DATA_LOCATION: u32 = 14;

/// Returns the ONNX file with all of its numbers in it; `fetch` reads those that are elsewhere. A file that is no ONNX file is returned unchanged.
pub fn with_external_data(
    file: &[u8],
    fetch: impl FnMut(&Elsewhere) -> Result<Vec<u8>, String>,
) -> Result<Vec<u8>, Refusal> {
    let mut writer = Writer { fetch, left: ONNX_BYTES_MAX.saturating_sub(file.len()), fetched: false };
    let mut out = Vec::with_capacity(file.len());
    match writer.message(file, MODEL, &mut out) {
        Ok(()) if writer.fetched => Ok(out),
        // The reader of the file reports the problem in its own words.
        Ok(()) | Err(Stop::Unreadable) => Ok(file.to_vec()),
        Err(Stop::Refused(refusal)) => Err(refusal),
    }
}

enum Stop {
    Unreadable,
    Refused(Refusal),
}

impl From<prost::DecodeError> for Stop {
    fn from(_: prost::DecodeError) -> Self {
        Self::Unreadable
    }
}

struct Writer<F> {
    fetch: F,
    /// Number of bytes that may still be fetched.
    left: usize,
    fetched: bool,
}

/// One field of a message.
struct WireField<'a> {
    tag: u32,
    /// The bytes of the field, including its key.
    whole: &'a [u8],
    /// Its content, if it is length-delimited.
    content: Option<&'a [u8]>,
}

fn next<'a>(bytes: &mut &'a [u8]) -> Result<WireField<'a>, Stop> {
    let start = *bytes;
    let (tag, wire) = decode_key(bytes)?;
    let content = if wire == WireType::LengthDelimited {
        let length = usize::try_from(decode_varint(bytes)?).unwrap_or(usize::MAX);
        let Some((content, rest)) = bytes.split_at_checked(length) else {
            return Err(Stop::Unreadable);
        };
        *bytes = rest;
        Some(content)
    } else {
        skip_field(wire, tag, bytes, DecodeContext::default())?;
        None
    };
    Ok(WireField { tag, whole: &start[..start.len() - bytes.len()], content })
}

impl<F: FnMut(&Elsewhere) -> Result<Vec<u8>, String>> Writer<F> {
    fn message(&mut self, mut bytes: &[u8], level: Level, out: &mut Vec<u8>) -> Result<(), Stop> {
        let Level::Message(fields) = level else { return self.tensor(bytes, out) };
        while !bytes.is_empty() {
            let field = next(&mut bytes)?;
            let inner = fields.iter().find(|&&(tag, _)| tag == field.tag);
            match (inner, field.content) {
                (Some(&(tag, inner)), Some(content)) => {
                    let mut written = Vec::with_capacity(content.len());
                    self.message(content, inner, &mut written)?;
                    put(tag, &written, out);
                }
                _ => out.extend_from_slice(field.whole),
            }
        }
        Ok(())
    }

    fn tensor(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Stop> {
        let place = Place::decode(bytes)?;
        if place.data_location != 1 {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let refused =
            |reason: String| Stop::Refused(Refusal::new(format!("tensor '{}'", place.name), reason));
        let mut rest = bytes;
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let field = next(&mut rest)?;
            match (field.tag, field.content) {
                (EXTERNAL_DATA, Some(content)) if entries.len() < ENTRIES_MAX => {
                    entries.push(Entry::decode(content)?);
                }
                (EXTERNAL_DATA | DATA_LOCATION | RAW_DATA, _) => {}
                _ => out.extend_from_slice(field.whole),
            }
        }
        let elsewhere = elsewhere(&place, &entries).map_err(refused)?;
        self.left = self.left.checked_sub(elsewhere.length).ok_or_else(|| {
            let most = ONNX_BYTES_MAX >> 20;
            refused(format!(
                "its numbers are in '{}'; with them the model exceeds {most} MiB",
                elsewhere.location
            ))
        })?;
        let numbers = (self.fetch)(&elsewhere)
            .map_err(|fault| refused(format!("its numbers are in '{}', {fault}", elsewhere.location)))?;
        self.fetched = true;
        put(RAW_DATA, &numbers, out);
        Ok(())
    }
}

fn put(tag: u32, content: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// Bytes per number of an ONNX data type, if that is a whole number.
fn size_of_type(data_type: i32) -> Option<usize> {
    match data_type {
        2 | 3 | 9 => Some(1),
        4 | 5 | 10 | 16 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 => Some(8),
        _ => None,
    }
}

fn elsewhere(place: &Place, entries: &[Entry]) -> Result<Elsewhere, String> {
    let entry = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => {
            text.parse::<u64>().map(Some).map_err(|_| format!("its {key} in another file is '{text}'"))
        }
    };
    let location = entry("location").ok_or("its numbers are in another file, and it does not say which")?;
    let numbers =
        place.dims.iter().try_fold(1usize, |size, &dim| size.checked_mul(usize::try_from(dim).ok()?));
    let bytes = size_of_type(place.data_type).and_then(|size| numbers?.checked_mul(size));
    let Some(bytes) = bytes else {
        return Err(format!(
            "its numbers are in another file, and its shape {:?} does not say how many they are",
            place.dims
        ));
    };
    let offset = number("offset")?.unwrap_or(0);
    match number("length")? {
        Some(length) if length != bytes as u64 => {
            Err(format!("has {length} bytes in '{location}'; its shape {:?} says {bytes}", place.dims))
        }
        _ => Ok(Elsewhere { location: location.into(), offset, length: bytes }),
    }
}
