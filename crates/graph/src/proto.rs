//! The protobuf messages of an ONNX file, with only the fields that this crate reads.
//!
//! Field numbers are those of `onnx.proto` (ONNX IR version 13). Sub-graphs, training information and descriptions are not
//! declared: prost skips them. A node that needs them is refused by name.
//!
//! An empty message takes two bytes in a file and a few hundred in memory, so messages and strings are counted ([`count`]) before any is decoded.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// The whole file.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Model {
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<Opset>,
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<Function>,
}

/// A function defined by the file, as nodes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Function {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, repeated, tag = "4")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub output: Vec<String>,
    /// Names of attributes without a default.
    #[prost(string, repeated, tag = "6")]
    pub attribute: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    pub node: Vec<Node>,
    #[prost(message, repeated, tag = "9")]
    pub opset_import: Vec<Opset>,
    #[prost(string, tag = "10")]
    pub domain: String,
    /// Attributes with their defaults.
    #[prost(message, repeated, tag = "11")]
    pub attribute_proto: Vec<Attribute>,
    #[prost(string, tag = "13")]
    pub overload: String,
}

/// Version of one domain of operators.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Opset {
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
    /// Sparse initializers, which are only detected, to be refused.
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<Nothing>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Node {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    #[prost(string, tag = "7")]
    pub domain: String,
    /// Selects one of several functions with the same name.
    #[prost(string, tag = "8")]
    pub overload: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    #[prost(message, optional, boxed, tag = "5")]
    pub t: Option<Box<Tensor>>,
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
    /// `AttributeProto.AttributeType`; 0 in very old files.
    #[prost(int32, tag = "20")]
    pub r#type: i32,
    /// In a function: the attribute of the call that replaces this one.
    #[prost(string, tag = "21")]
    pub ref_attr_name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    /// 1 means that the numbers are in another file.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ValueInfo {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<Type>,
}

/// A tensor type, or another type, which is refused.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Type {
    #[prost(message, optional, tag = "1")]
    pub tensor: Option<TensorType>,
    #[prost(message, optional, tag = "4")]
    pub sequence: Option<Nothing>,
    #[prost(message, optional, tag = "5")]
    pub map: Option<Nothing>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorType {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dim>,
}

/// A number, a name, or neither; without a number the size is open.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Dim {
    #[prost(int64, optional, tag = "1")]
    pub value: Option<i64>,
}

/// A message of which only its presence matters.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Nothing {}

/// Which fields of a message are messages themselves, or lists of strings.
enum Nested {
    /// Field number and contents.
    Message(&'static [(u32, &'static Nested)]),
    String,
}

const STRING: Nested = Nested::String;
const EMPTY: Nested = Nested::Message(&[]);
const TENSOR: Nested = Nested::Message(&[(6, &STRING)]);
const ATTRIBUTE: Nested = Nested::Message(&[(5, &TENSOR), (9, &STRING)]);
const NODE: Nested = Nested::Message(&[(1, &STRING), (2, &STRING), (5, &ATTRIBUTE)]);
const SHAPE: Nested = Nested::Message(&[(1, &EMPTY)]);
const TENSOR_TYPE: Nested = Nested::Message(&[(2, &SHAPE)]);
const TYPE: Nested = Nested::Message(&[(1, &TENSOR_TYPE), (4, &EMPTY), (5, &EMPTY)]);
const VALUE_INFO: Nested = Nested::Message(&[(2, &TYPE)]);
const GRAPH: Nested =
    Nested::Message(&[(1, &NODE), (5, &TENSOR), (11, &VALUE_INFO), (12, &VALUE_INFO), (15, &EMPTY)]);
const FUNCTION: Nested =
    Nested::Message(&[(4, &STRING), (5, &STRING), (6, &STRING), (7, &NODE), (9, &EMPTY), (11, &ATTRIBUTE)]);
const MODEL: Nested = Nested::Message(&[(7, &GRAPH), (8, &EMPTY), (25, &FUNCTION)]);

/// The numbers of objects that decoding a model would make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub messages: usize,
    /// Number of strings in lists.
    pub strings: usize,
}

/// Counts the objects that decoding a model would make; stops above these numbers.
pub(crate) fn count(model: &[u8], messages: usize, strings: usize) -> Result<Count, prost::DecodeError> {
    let mut found = Count::default();
    count_in(model, &MODEL, Count { messages, strings }, &mut found)?;
    Ok(found)
}

fn count_in(
    mut bytes: &[u8],
    level: &Nested,
    most: Count,
    found: &mut Count,
) -> Result<(), prost::DecodeError> {
    let Nested::Message(fields) = level else {
        found.strings += 1;
        return Ok(());
    };
    found.messages += 1;
    while !bytes.is_empty() && found.messages <= most.messages && found.strings <= most.strings {
        let (tag, wire) = decode_key(&mut bytes)?;
        match fields.iter().find(|&&(field, _)| field == tag) {
            Some((_, inner)) if wire == WireType::LengthDelimited => {
                let length = decode_varint(&mut bytes)?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let Some((content, rest)) = bytes.split_at_checked(length) else {
                    // The decoder reports the problem in its own words.
                    return Ok(());
                };
                count_in(content, inner, most, found)?;
                bytes = rest;
            }
            _ => skip_field(wire, tag, &mut bytes, DecodeContext::default())?,
        }
    }
    Ok(())
}
