//! An unchecked graph: nodes with names, attributes, constant tensors. Only the types themselves constrain it.
//!
//! It comes from the reader of ONNX files (`onnx.rs`), or is built by hand with [`UncheckedGraph::node`].

use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// A constant tensor on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its shape; empty for a single number.
    pub dims: Vec<usize>,
    /// Its numbers, as many as `dims` require.
    pub data: Data,
    /// Are its integers 32-bit? Then arithmetic on them wraps around at 32 bits.
    pub int32: bool,
    /// The type of its integers, if it has 8 or 16 bits.
    pub narrow: Option<Narrow>,
    /// What the integers stand for, if they count in a list of words.
    pub words: Option<Vec<String>>,
}

/// An 8- or 16-bit integer type, in which quantised numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Narrow {
    Uint8,
    Int8,
    Uint16,
    Int16,
}

impl fmt::Display for Narrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Uint16 => "uint16",
            Self::Int16 => "int16",
        })
    }
}

impl Narrow {
    /// The smallest and the largest value.
    pub fn bounds(self) -> [i32; 2] {
        match self {
            Self::Uint8 => [0, 255],
            Self::Int8 => [-128, 127],
            Self::Uint16 => [0, 65_535],
            Self::Int16 => [-32_768, 32_767],
        }
    }
}

/// Numbers of one kind.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Data {
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    Bools(Vec<bool>),
}

impl Constant {
    /// A tensor of floating-point numbers.
    ///
    /// # Panics
    /// If the number of values does not match the shape.
    pub fn floats(dims: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        Self::new(dims.into(), Data::Floats(values))
    }

    /// A tensor of integers.
    ///
    /// # Panics
    /// If the number of values does not match the shape.
    pub fn ints(dims: impl Into<Vec<usize>>, values: Vec<i64>) -> Self {
        Self::new(dims.into(), Data::Ints(values))
    }

    /// A tensor of words: integers that count in their list.
    pub(crate) fn words(dims: Vec<usize>, words: Vec<String>) -> Self {
        let count = words.len() as i64;
        Self { words: Some(words), ..Self::new(dims, Data::Ints((0..count).collect())) }
    }

    fn new(dims: Vec<usize>, data: Data) -> Self {
        assert_eq!(dims.iter().product::<usize>(), data.len(), "as many numbers as the shape says");
        Self { dims, data, int32: false, narrow: None, words: None }
    }

    /// A tensor without numbers.
    pub(crate) fn empty(kind: Kind, dims: &[usize]) -> Self {
        let data = match kind {
            Kind::Float => Data::Floats(Vec::new()),
            Kind::Int => Data::Ints(Vec::new()),
            Kind::Bool => Data::Bools(Vec::new()),
        };
        Self { dims: dims.to_vec(), data, int32: false, narrow: None, words: None }
    }

    /// Kind of the numbers.
    pub fn kind(&self) -> Kind {
        match &self.data {
            Data::Floats(_) => Kind::Float,
            Data::Ints(_) => Kind::Int,
            Data::Bools(_) => Kind::Bool,
        }
    }

    /// Number of numbers.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Is it a tensor without numbers?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Data {
    /// Number of numbers.
    pub fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Ints(values) => values.len(),
            Self::Bools(values) => values.len(),
        }
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An attribute of a node.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Attribute {
    Float(f32),
    Int(i64),
    Text(String),
    Tensor(Constant),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    Texts(Vec<String>),
    /// An attribute that no supported operator has; the text describes it.
    Other(String),
}

/// One use of an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Domain of the operator: empty for the ONNX ones, or `ai.onnx.ml`.
    pub domain: String,
    /// Name of the operator, such as `Gemm`.
    pub operator: String,
    /// Name of the node; may be empty.
    pub name: String,
    /// Names of the input values; an empty name is an omitted input.
    pub inputs: Vec<String>,
    /// Names of the output values; an empty name is an unused output.
    pub outputs: Vec<String>,
    /// Attributes by name.
    pub attributes: BTreeMap<String, Attribute>,
}

/// Kind of the numbers of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 32-bit floating point.
    Float,
    /// 64-bit integer (32-bit on devices without).
    Int,
    /// Truth value.
    Bool,
}

/// An input of the graph: its name, kind and shape, without the leading axis of events (if it has one).
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Name in the graph.
    pub name: String,
    /// Kind of its numbers.
    pub kind: Kind,
    /// Are its integers 32-bit?
    pub int32: bool,
    /// The type of its integers, if it has 8 or 16 bits. Only in tests of single operators.
    pub narrow: Option<Narrow>,
    /// Shape per event.
    pub dims: Vec<usize>,
}

/// A graph before it is checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UncheckedGraph {
    /// The inputs, given for every event.
    pub inputs: Vec<Input>,
    /// Names of the output values, in order.
    pub outputs: Vec<String>,
    /// Constant values by name.
    pub constants: BTreeMap<String, Constant>,
    /// The nodes, in an order in which every value is made before it is used.
    pub nodes: Vec<Node>,
    /// Version of each domain of operators.
    pub opsets: BTreeMap<String, i64>,
    /// Do the inputs have an axis of events in front?
    pub events: bool,
    /// The size of that axis in the file, if stated: exporters record the batch that they were given.
    pub batch: Option<usize>,
}

impl UncheckedGraph {
    /// Names of all values that the outputs need, including the outputs; the rest of a file is ignored.
    pub(crate) fn needed(&self) -> HashSet<&str> {
        needed(&self.nodes, &self.outputs)
    }

    /// Is the size of any input axis open, besides that of events?
    pub fn is_open(&self) -> bool {
        self.events && self.inputs.iter().any(|input| input.dims.contains(&0))
    }

    /// Closes the only open axis so that all inputs together have `numbers` numbers per event. If that is impossible, it stays open.
    pub fn close_axis(&mut self, numbers: usize) {
        let open = |input: &Input| input.dims.iter().filter(|&&dim| dim == 0).count();
        if !self.is_open() || self.inputs.iter().map(open).sum::<usize>() != 1 {
            return;
        }
        let of = |input: &Input| {
            input.dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim.max(1)))
        };
        let closed = self.inputs.iter().filter(|input| open(input) == 0);
        let others = closed.map(of).try_fold(0usize, |sum, size| sum.checked_add(size?));
        let Some(input) = self.inputs.iter_mut().find(|input| open(input) == 1) else { return };
        let (Some(rest), Some(others)) = (of(input), others) else { return };
        let size = numbers.saturating_sub(others) / rest;
        if size > 0 && size * rest + others == numbers {
            input.dims.iter_mut().filter(|dim| **dim == 0).for_each(|dim| *dim = size);
        }
    }
}

/// Names of all values that lead to `outputs`; nodes must be in an order in which every value is made before it is used.
pub(crate) fn needed<'a>(nodes: &'a [Node], outputs: &'a [String]) -> HashSet<&'a str> {
    let mut needed: HashSet<&str> = outputs.iter().map(String::as_str).collect();
    for node in nodes.iter().rev() {
        if node.outputs.iter().any(|name| needed.contains(name.as_str())) {
            needed.extend(node.inputs.iter().map(String::as_str));
        }
    }
    needed.remove("");
    needed
}

/// The ONNX opset of networks built by hand.
pub const OPSET: i64 = 21;

impl UncheckedGraph {
    /// An empty graph for ONNX opset [`OPSET`].
    pub fn new() -> Self {
        Self { opsets: BTreeMap::from([(String::new(), OPSET)]), events: true, ..Self::default() }
    }

    /// Adds an input of floating-point numbers and returns its name.
    pub fn input(&mut self, name: &str, dims: impl Into<Vec<usize>>) -> String {
        let dims = dims.into();
        self.inputs.push(Input { name: name.into(), kind: Kind::Float, int32: false, narrow: None, dims });
        name.into()
    }

    /// Adds a constant and returns its name.
    pub fn constant(&mut self, name: &str, constant: Constant) -> String {
        self.constants.insert(name.into(), constant);
        name.into()
    }

    /// Adds a node with one output and returns the output's name, which is that of the node.
    pub fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> String {
        self.nodes.push(Node {
            domain: String::new(),
            operator: operator.into(),
            name: name.into(),
            inputs: inputs.iter().map(|&input| input.into()).collect(),
            outputs: vec![name.into()],
            attributes: attributes.iter().map(|(key, value)| ((*key).into(), value.clone())).collect(),
        });
        name.into()
    }
}
