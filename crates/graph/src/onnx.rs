//! Reads an ONNX file into an [`UncheckedGraph`].
//!
//! Invariants:
//!
//! * I1: no length inside the file decides an allocation; messages are counted before they are decoded.
//! * I2: the first axis of every input is the axis of events, whatever size the file gives it: exporters often record the batch that
//!   they were given.
//! * I3: 8- and 16-bit integers are marked as such ([`Narrow`]) and checked: values beyond the range of the type are refused.
//! * I4: initializers that are also listed as inputs (files before IR version 4) are constants.

use std::collections::{BTreeMap, HashSet};

use prost::Message;

use crate::error::{Fault, Refusal, refuse};
use crate::forest::NODES_MAX;
use crate::functions;
use crate::proto;
use crate::source::{Attribute, Constant, Data, Input, Kind, Narrow, Node, UncheckedGraph, needed};

/// The place of a refusal that concerns the file as a whole.
pub const ONNX_FILE: &str = "the ONNX file";
/// Most bytes of a file.
pub const ONNX_BYTES_MAX: usize = 64 << 20;
/// Most messages in a file: nodes, tensors, attributes. A typical network has a few hundred; each takes a few hundred bytes of memory.
pub(crate) const MESSAGES_MAX: usize = 200_000;
/// Most strings in lists, 50 bytes of memory each. Every node of a forest has one.
pub(crate) const STRINGS_MAX: usize = 2 * NODES_MAX;

/// `TensorProto.DataType` of 32-bit integers.
pub(crate) const INT32: i32 = 6;
const STRING: i32 = 8;
/// `TensorProto.DataType` of double precision.
pub(crate) const DOUBLE: i32 = 11;
/// `TensorProto.DataType` by name, for messages; the index is the number in the file.
const DATA_TYPES: [&str; 24] = [
    "undefined",
    "float",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "int32",
    "int64",
    "string",
    "bool",
    "float16",
    "double",
    "uint32",
    "uint64",
    "complex64",
    "complex128",
    "bfloat16",
    "float8e4m3fn",
    "float8e4m3fnuz",
    "float8e5m2",
    "float8e5m2fnuz",
    "uint4",
    "int4",
    "float4e2m1",
];

impl UncheckedGraph {
    /// Reads an ONNX file. The first axis of every input is that of events.
    pub fn from_onnx(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::read(bytes, true)
    }

    /// Reads an ONNX file whose inputs have no axis of events: every axis belongs to the value. For tests of single operators.
    pub fn from_onnx_without_events(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::read(bytes, false)
    }

    fn read(bytes: &[u8], events: bool) -> Result<Self, Refusal> {
        let whole = |reason: String| Refusal::new(ONNX_FILE, reason);
        if bytes.len() > ONNX_BYTES_MAX {
            return Err(whole(format!("{} bytes; at most {} MiB", bytes.len(), ONNX_BYTES_MAX >> 20)));
        }
        let unreadable = |error: prost::DecodeError| whole(format!("cannot be decoded: {error}"));
        let count = proto::count(bytes, MESSAGES_MAX, STRINGS_MAX).map_err(unreadable)?;
        if count.messages > MESSAGES_MAX {
            return Err(whole(format!("more than {MESSAGES_MAX} nodes, tensors and attributes")));
        }
        if count.strings > STRINGS_MAX {
            return Err(whole(format!("more than {STRINGS_MAX} names and words")));
        }
        let model = proto::Model::decode(bytes).map_err(unreadable)?;
        let graph = model.graph.ok_or_else(|| whole("has no graph; is it an ONNX model?".into()))?;
        if !graph.sparse_initializer.is_empty() {
            return Err(whole("has sparse weights; export them dense".into()));
        }
        let opsets = model.opset_import.into_iter().map(|opset| (domain(opset.domain), opset.version));
        let mut opsets = opsets.collect();
        let nodes = functions::write_out(graph.node, model.functions, &mut opsets)?;
        let nodes: Vec<Node> = nodes.into_iter().map(node).collect();
        let mut outputs = Vec::new();
        for output in graph.output {
            let tensors = tensors(&nodes, &output)
                .map_err(|fault| Refusal::new(format!("output '{}'", output.name), fault))?;
            outputs.extend(tensors);
        }
        let needed = needed(&nodes, &outputs);
        let listed: HashSet<String> = graph.initializer.iter().map(|tensor| tensor.name.clone()).collect();
        let mut constants = BTreeMap::new();
        for tensor in graph.initializer.into_iter().filter(|tensor| needed.contains(tensor.name.as_str())) {
            let name = tensor.name.clone();
            let read = constant(tensor).map_err(|fault| Refusal::new(format!("tensor '{name}'"), fault))?;
            constants.insert(name, read);
        }
        let given = graph.input.into_iter().filter(|input| !listed.contains(&input.name));
        let given: Vec<_> = given.collect();
        let batch = if events { batch(&given) } else { None };
        let inputs = given.into_iter().map(|info| input(info, events)).collect::<Result<_, _>>()?;
        Ok(Self { inputs, outputs, constants, nodes, opsets, events, batch })
    }
}

impl Constant {
    /// Reads a single saved tensor (`TensorProto`, the `.pb` files of test suites).
    pub fn from_onnx(bytes: &[u8]) -> Result<Self, Refusal> {
        let refusal = |reason: String| Refusal::new("the ONNX tensor", reason);
        let tensor = proto::Tensor::decode(bytes).map_err(|error| refusal(error.to_string()))?;
        constant(tensor).map_err(refusal)
    }
}

/// Normalises a domain: that of the ONNX operators has two names.
pub(crate) fn domain(name: String) -> String {
    if name == "ai.onnx" { String::new() } else { name }
}

fn node(node: proto::Node) -> Node {
    Node {
        domain: domain(node.domain),
        operator: node.op_type,
        name: node.name,
        inputs: node.input,
        outputs: node.output,
        attributes: node.attribute.into_iter().map(|it| (it.name.clone(), attribute(it))).collect(),
    }
}

fn attribute(attribute: proto::Attribute) -> Attribute {
    let texts = |list: Vec<Vec<u8>>| list.iter().map(|text| String::from_utf8_lossy(text).into()).collect();
    let proto::Attribute { f, i, s, t, floats, ints, strings, r#type: kind, ref_attr_name, .. } = attribute;
    if !ref_attr_name.is_empty() {
        return Attribute::Other(format!("'{ref_attr_name}' of a function, outside of one"));
    }
    match kind {
        1 => Attribute::Float(f.unwrap_or_default()),
        2 => Attribute::Int(i.unwrap_or_default()),
        3 => Attribute::Text(String::from_utf8_lossy(&s.unwrap_or_default()).into()),
        4 => match constant(*t.unwrap_or_default()) {
            Ok(tensor) => Attribute::Tensor(tensor),
            Err(fault) => Attribute::Other(fault),
        },
        5 | 10 => Attribute::Other("a sub-graph (control flow)".into()),
        6 => Attribute::Floats(floats),
        7 => Attribute::Ints(ints),
        8 => Attribute::Texts(texts(strings)),
        0 => match (f, i, s) {
            (Some(value), ..) => Attribute::Float(value),
            (_, Some(value), _) => Attribute::Int(value),
            (_, _, Some(text)) => Attribute::Text(String::from_utf8_lossy(&text).into()),
            _ if !floats.is_empty() => Attribute::Floats(floats),
            _ if !strings.is_empty() => Attribute::Texts(texts(strings)),
            _ => Attribute::Ints(ints),
        },
        other => Attribute::Other(format!("an attribute of type {other}")),
    }
}

/// The tensors of an output. A map from names to scores, made at the end of a classifier, is none, but the scores themselves are read instead;
/// so are the tensors of a list, made at the end of several classifiers.
fn tensors(nodes: &[Node], output: &proto::ValueInfo) -> Result<Vec<String>, Fault> {
    let makes = |node: &&Node| node.outputs.contains(&output.name);
    match nodes.iter().rev().find(makes) {
        Some(node) if node.operator == "SequenceConstruct" => Ok(node.inputs.clone()),
        Some(node) if node.operator == "ZipMap" => Ok(vec![output.name.clone()]),
        _ => tensor_type(output).map(|_| vec![output.name.clone()]),
    }
}

/// The size of the first axis, if all inputs state the same.
fn batch(inputs: &[proto::ValueInfo]) -> Option<usize> {
    let first = |info: &proto::ValueInfo| tensor_type(info).ok()?.shape.as_ref()?.dim.first()?.value;
    let (one, others) = inputs.split_first()?;
    let size = first(one).filter(|&size| size > 0)?;
    others.iter().all(|other| first(other) == Some(size)).then(|| usize::try_from(size).ok()).flatten()
}

fn input(info: proto::ValueInfo, events: bool) -> Result<Input, Refusal> {
    let refused = |fault: Fault| Refusal::new(format!("input '{}'", info.name), fault);
    let tensor = tensor_type(&info).map_err(refused)?;
    let narrow = narrow(tensor.elem_type).filter(|_| !events);
    let kind = if narrow.is_some() { Kind::Int } else { kind(tensor.elem_type).map_err(refused)? };
    let int32 = tensor.elem_type == INT32 || narrow.is_some();
    let open = "its shape is open; export the model with the shape of its inputs";
    let shape = tensor.shape.as_ref().ok_or_else(|| refused(open.into()))?;
    let first = usize::from(events);
    if shape.dim.len() < first {
        return Err(refused("a single number without an axis for events".into()));
    }
    if let [only] = &shape.dim[..]
        && events
        && only.value.is_some_and(|size| size > 1)
    {
        let message =
            "has one axis, of fixed size: there is none for events; export with a batch axis in front";
        return Err(refused(message.into()));
    }
    let mut dims = Vec::new();
    for dim in &shape.dim[first..] {
        // 0 is an open size, which must be settled before a graph is built.
        dims.push(dim.value.and_then(|size| usize::try_from(size).ok()).unwrap_or(0));
    }
    Ok(Input { name: info.name, kind, int32, narrow, dims })
}

fn tensor_type(info: &proto::ValueInfo) -> Result<&proto::TensorType, Fault> {
    let Some(kind) = &info.r#type else { refuse!("has no type; export the model with types") };
    if kind.sequence.is_some() || kind.map.is_some() {
        refuse!(
            "is a sequence or a map, not a tensor; a classifier exports its scores as a tensor with zipmap off (skl2onnx, onnxmltools: \
             zipmap=False)"
        );
    }
    kind.tensor.as_ref().ok_or_else(|| "is not a tensor".into())
}

/// The narrow integer type of an ONNX data type, if it has 8 or 16 bits.
pub(crate) fn narrow(data_type: i32) -> Option<Narrow> {
    match data_type {
        2 => Some(Narrow::Uint8),
        3 => Some(Narrow::Int8),
        4 => Some(Narrow::Uint16),
        5 => Some(Narrow::Int16),
        _ => None,
    }
}

/// The kind of an ONNX data type; the fault names the type.
pub(crate) fn kind(data_type: i32) -> Result<Kind, Fault> {
    match data_type {
        1 => Ok(Kind::Float),
        6 | 7 => Ok(Kind::Int),
        9 => Ok(Kind::Bool),
        other => {
            let name = usize::try_from(other).ok().and_then(|index| DATA_TYPES.get(index));
            let name = name.map_or_else(|| format!("number {other}"), ToString::to_string);
            let remedy = match other {
                10 | 11 | 16 => "; export the model in single precision (float32)",
                _ => "",
            };
            Err(format!("data type {name} is not supported (float, int32, int64 and bool are){remedy}"))
        }
    }
}

fn constant(tensor: proto::Tensor) -> Result<Constant, Fault> {
    if tensor.data_type == STRING {
        return words(tensor);
    }
    let narrow = narrow(tensor.data_type);
    let kind = if narrow.is_some() { Kind::Int } else { kind(tensor.data_type)? };
    let int32 = tensor.data_type == INT32 || narrow.is_some();
    if tensor.data_location == 1 {
        refuse!(
            "its numbers are in another file, which was not read; import the model with that file beside it"
        );
    }
    let (dims, size) = shape(&tensor.dims)?;
    let data = match (kind, tensor.raw_data) {
        (Kind::Float, None) => Data::Floats(tensor.float_data),
        (Kind::Float, Some(raw)) => Data::Floats(numbers(&raw, f32::from_le_bytes)?),
        (Kind::Int, None) if int32 => Data::Ints(tensor.int32_data.into_iter().map(i64::from).collect()),
        (Kind::Int, None) => Data::Ints(tensor.int64_data),
        (Kind::Int, Some(raw)) => Data::Ints(match narrow {
            Some(Narrow::Uint8) => raw.into_iter().map(i64::from).collect(),
            Some(Narrow::Int8) => raw.into_iter().map(|byte| i64::from(byte as i8)).collect(),
            Some(Narrow::Uint16) => numbers(&raw, |bytes| i64::from(u16::from_le_bytes(bytes)))?,
            Some(Narrow::Int16) => numbers(&raw, |bytes| i64::from(i16::from_le_bytes(bytes)))?,
            None if int32 => numbers(&raw, |bytes| i64::from(i32::from_le_bytes(bytes)))?,
            None => numbers(&raw, i64::from_le_bytes)?,
        }),
        (Kind::Bool, None) => Data::Bools(tensor.int32_data.into_iter().map(|number| number != 0).collect()),
        (Kind::Bool, Some(raw)) => Data::Bools(raw.into_iter().map(|byte| byte != 0).collect()),
    };
    if data.len() != size {
        refuse!("has {} numbers, its shape {dims:?} says {size}", data.len());
    }
    if let (Some(narrow), Data::Ints(values)) = (narrow, &data) {
        let [low, high] = narrow.bounds().map(i64::from);
        if let Some(value) = values.iter().find(|value| !(low..=high).contains(value)) {
            refuse!("holds {value}, which is no {narrow}");
        }
    }
    Ok(Constant { dims, data, int32, narrow, words: None })
}

/// Sizes, and how many numbers that are.
fn shape(sizes: &[i64]) -> Result<(Vec<usize>, usize), Fault> {
    let size = |&size: &i64| usize::try_from(size).map_err(|_| format!("has a negative size, {size}"));
    let dims: Vec<usize> = sizes.iter().map(size).collect::<Result<_, _>>()?;
    let numbers = dims.iter().try_fold(1usize, |numbers, &dim| numbers.checked_mul(dim));
    Ok((dims, numbers.ok_or("is too large")?))
}

/// A tensor of words, class labels for example.
fn words(tensor: proto::Tensor) -> Result<Constant, Fault> {
    let (dims, size) = shape(&tensor.dims)?;
    if tensor.string_data.len() != size {
        refuse!("has {} words, its shape {dims:?} says {size}", tensor.string_data.len());
    }
    let word = |bytes| String::from_utf8(bytes).map_err(|_| "holds text that is not UTF-8".to_owned());
    let words = tensor.string_data.into_iter().map(word).collect::<Result<_, _>>()?;
    Ok(Constant::words(dims, words))
}

fn numbers<T, const SIZE: usize>(raw: &[u8], number: impl Fn([u8; SIZE]) -> T) -> Result<Vec<T>, Fault> {
    let (whole, rest) = raw.as_chunks::<SIZE>();
    if !rest.is_empty() {
        refuse!("{} bytes are not a whole number of {SIZE}-byte numbers", raw.len());
    }
    Ok(whole.iter().map(|&bytes| number(bytes)).collect())
}
