//! Operators: checked and typed once, when the graph is built ([`Site`]), and run for every batch ([`Operator`]).
//!
//! ```text
//!   node --Site: attributes, opset, types and constants of its inputs--> build() --> Built { operator, types of the outputs }
//!                                                                                       |
//!                                                       Inputs (values on a device) --> run() --> values
//! ```
//!
//! Invariants that every operator keeps:
//!
//! * I1: `build` refuses whatever could go wrong; `run` only computes.
//! * I2: every attribute of the node is read or refused ([`Site::finish`]); none is silently ignored.
//! * I3: no operation mixes events: rows of a value with events are computed independently, and an operator that merges or moves the axis of events
//!   says so in the type of its output ([`crate::layout`]).
//! * I4: constants that `run` needs on the device are inputs like any other ([`Site::add_constant`]), copied there once.

mod attributes;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use burn::tensor::{Bool, Device, Int, Tensor};

use crate::error::{Fault, refuse};
use crate::forest::TreeEnsemble;
use crate::kernel_op::{KernelOp, Linear, Scaling};
use crate::layout::written;
use crate::source::{Constant, Data, Kind, Node};
use crate::value::{Type, Value};

/// An operator, ready to run.
pub(crate) trait Operator: fmt::Debug + Send + Sync {
    /// Computes the outputs. Rows of a value with events are events, or equal parts of events; a value without has one row.
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value>;

    /// Multiply-adds per row (see [`Operator::run`]); 0 where there are none worth counting.
    fn multiply_adds(&self) -> u64 {
        0
    }

    /// The input that is a mask and may be infinite, although the operator multiplies the others.
    fn mask(&self) -> Option<usize> {
        None
    }

    /// Does it move numbers of the event and do nothing else? Constants among its inputs say where to.
    fn moves(&self) -> bool {
        false
    }

    /// Does it handle missing values (NaN) or infinities? Then events with one are not declared without a score before the graph
    /// has seen them.
    fn takes_missing(&self) -> bool {
        false
    }

    /// The operator in terms of the fused kernels, if they know it.
    fn as_kernel(&self) -> Option<KernelOp> {
        None
    }

    /// Its trees, if it is [`KernelOp::TreeEnsemble`].
    fn as_forest(&self) -> Option<&TreeEnsemble> {
        None
    }

    /// Its weights, if it is a layer into which a factor and a summand per output can be folded.
    fn as_linear(&mut self) -> Option<Linear<'_>> {
        None
    }

    /// The factors and summands, if that is all it does to its first input.
    fn as_scaling(&self) -> Option<Scaling> {
        None
    }
}

/// The product of these factors, saturating: the [`Operator::multiply_adds`] of nested loops.
pub(crate) fn product(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |product, &factor| product.saturating_mul(factor as u64))
}

/// The result of building a node.
pub(crate) struct Built {
    pub operator: Box<dyn Operator>,
    pub outputs: Vec<Type>,
}

impl Built {
    /// An operator with one output.
    pub fn one(operator: impl Operator + 'static, output: Type) -> Result<Self, Fault> {
        Ok(Self { operator: Box::new(operator), outputs: vec![output] })
    }
}

/// An input of a node: its type, and its numbers if they are known.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    pub kind: Type,
    pub constant: Option<Constant>,
}

/// An input that an operator adds to those of its node.
#[derive(Clone, Debug)]
pub(crate) enum Added {
    Constant(Constant),
    /// Any value with a row for every event.
    Events,
}

/// A node while its operator is built: types, constants and attributes.
pub(crate) struct Site<'a> {
    node: &'a Node,
    /// Which of its outputs are wanted.
    wanted: Vec<bool>,
    /// Version of the node's domain.
    pub opset: i64,
    /// The size of the axis of events in the file, if it states one.
    pub batch: Option<usize>,
    operands: Vec<Option<Operand>>,
    /// Does the operator need only the types of its inputs?
    types_only: bool,
    /// The inputs that the operator adds.
    added: Vec<Added>,
    /// Inputs that the operator does not need at run time, because it added them in another form.
    replaced: Vec<usize>,
    read: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Site<'a> {
    pub fn new(
        node: &'a Node,
        wanted: Vec<bool>,
        opset: i64,
        batch: Option<usize>,
        operands: Vec<Option<Operand>>,
    ) -> Self {
        Self {
            node,
            wanted,
            opset,
            batch,
            operands,
            types_only: false,
            added: Vec::new(),
            replaced: Vec::new(),
            read: RefCell::default(),
        }
    }

    /// The name of the operator, for operators that share a file.
    pub fn operator(&self) -> &'a str {
        &self.node.operator
    }

    /// The index of the last wanted output, plus 1.
    pub fn wanted_outputs(&self) -> usize {
        self.wanted.iter().rposition(|&wanted| wanted).map_or(0, |last| last + 1)
    }

    /// Number of outputs of the node, wanted or not.
    pub fn outputs(&self) -> usize {
        self.node.outputs.len()
    }

    /// Is output `index` wanted?
    pub fn wants(&self, index: usize) -> bool {
        self.wanted.get(index) == Some(&true)
    }

    /// Refuses a node of which more than `most` outputs are wanted.
    pub fn outputs_at_most(&self, most: usize) -> Result<(), Fault> {
        if self.wanted_outputs() > most {
            refuse!("its output number {} is not supported; only the first {most}", self.wanted_outputs());
        }
        Ok(())
    }

    /// Number of inputs, not counting omitted ones at the end.
    pub fn inputs(&self) -> usize {
        self.operands.iter().rposition(Option::is_some).map_or(0, |last| last + 1)
    }

    /// Refuses a node with fewer or more inputs.
    pub fn inputs_between(&self, fewest: usize, most: usize) -> Result<(), Fault> {
        let found = self.inputs();
        if found < fewest || found > most {
            refuse!("has {found} inputs; between {fewest} and {most} are expected");
        }
        Ok(())
    }

    /// Are the first two inputs the same value?
    pub fn is_twice(&self) -> bool {
        matches!(&self.node.inputs[..], [first, second, ..] if first == second)
    }

    /// Is input `index` there?
    pub fn has(&self, index: usize) -> bool {
        self.operands.get(index).is_some_and(Option::is_some)
    }

    /// Type of input `index`, which must have its events in front.
    pub fn input(&self, index: usize) -> Result<&Type, Fault> {
        in_front(index, self.anywhere(index)?)
    }

    /// Type of input `index`, for operators that accept the axis of events anywhere ([`crate::layout`]).
    pub fn anywhere(&self, index: usize) -> Result<&Type, Fault> {
        let found = self.stored(index)?;
        if let Some(narrow) = found.narrow {
            refuse!(
                "its input {index} has data type {narrow}, which only QuantizeLinear, DequantizeLinear, Cast and operators that move \
                 numbers take; export the model with DequantizeLinear and QuantizeLinear around every other operator, or in single precision"
            );
        }
        if found.double {
            refuse!(
                "its input {index} has data type double, which only Cast, IsInf, IsNaN and operators that move numbers take; export the \
                 model in single precision"
            );
        }
        Ok(found)
    }

    /// Type of input `index`, for operators that accept numbers in any storage type (with 8 or 16 bits, and in double precision) and the axis of
    /// events anywhere.
    pub fn stored(&self, index: usize) -> Result<&Type, Fault> {
        let found = self.anything(index)?;
        if found.shape {
            refuse!(
                "its input {index} is computed from the number of events in a batch; export the model with fixed shapes"
            );
        }
        Ok(found)
    }

    /// Type of input `index`, which must have its events in front, for operators that accept numbers in any storage type.
    pub fn stored_in_front(&self, index: usize) -> Result<&Type, Fault> {
        in_front(index, self.stored(index)?)
    }

    /// Type of input `index`, for operators that only move numbers: it may be the shape of a value with events ([`crate::layout::EVENTS`]).
    pub fn anything(&self, index: usize) -> Result<&Type, Fault> {
        let operand = self.operands.get(index).and_then(Option::as_ref);
        operand.map(|operand| &operand.kind).ok_or_else(|| format!("its input {index} is missing"))
    }

    /// Type of input `index`, which must hold numbers of `kind` and have its events in front.
    pub fn input_of(&self, index: usize, kind: Kind) -> Result<&Type, Fault> {
        of_kind(index, self.input(index)?, kind)
    }

    /// Type of input `index`, which must hold numbers of `kind`; its axis of events may be anywhere.
    pub fn anywhere_of(&self, index: usize, kind: Kind) -> Result<&Type, Fault> {
        of_kind(index, self.anywhere(index)?, kind)
    }

    /// Input `index`, if its numbers are known.
    pub fn constant(&self, index: usize) -> Option<&Constant> {
        self.operands.get(index)?.as_ref().filter(|operand| !operand.kind.shape)?.constant.as_ref()
    }

    /// The integers of input `index`, a shape, in which [`crate::layout::EVENTS`] stands for the number of events.
    pub fn known_shape(&self, index: usize) -> Result<&[i64], Fault> {
        let constant = match self.operands.get(index) {
            Some(Some(Operand { kind, constant: Some(constant) })) if kind.shape => constant,
            _ => self.known(index, "shape")?,
        };
        match &constant.data {
            Data::Ints(values) => Ok(values),
            _ => Err(format!("its input {index} (shape) must be integers")),
        }
    }

    /// Are the numbers of input `index` known?
    pub fn is_known(&self, index: usize) -> bool {
        matches!(self.operands.get(index), Some(Some(Operand { constant: Some(_), .. })))
    }

    /// Input `index`, whose numbers must be known.
    pub fn known(&self, index: usize, what: &str) -> Result<&Constant, Fault> {
        self.anywhere(index)?;
        let Some(constant) = self.constant(index) else {
            refuse!(
                "its input {index} ({what}) is computed from the event; it must be a constant: export the model with fixed shapes and \
                 trained weights"
            );
        };
        Ok(constant)
    }

    /// The integers of input `index`; `None` if it is omitted.
    pub fn known_ints(&self, index: usize, what: &str) -> Result<Option<Vec<i64>>, Fault> {
        if !self.has(index) {
            return Ok(None);
        }
        match &self.known(index, what)?.data {
            Data::Ints(values) => Ok(Some(values.clone())),
            _ => Err(format!("its input {index} ({what}) must be integers")),
        }
    }

    /// Declares that the operator needs only the types of its inputs, not their numbers: then it runs once, when the graph is built.
    pub fn types_only(&mut self) {
        self.types_only = true;
    }

    /// Does it need only the types of its inputs?
    pub fn is_types_only(&self) -> bool {
        self.types_only
    }

    /// Adds a constant to the inputs of the operator and returns its index there.
    pub fn add_constant(&mut self, constant: Constant) -> usize {
        self.add(Added::Constant(constant))
    }

    /// Adds any value with a row for every event, for an operator that makes rows from constants, and returns its index.
    pub fn add_events(&mut self) -> usize {
        self.add(Added::Events)
    }

    fn add(&mut self, added: Added) -> usize {
        self.added.push(added);
        self.operands.len() + self.added.len() - 1
    }

    /// Adds a constant in place of input `index`, which `run` will then not see, and returns its index.
    pub fn replace(&mut self, index: usize, constant: Constant) -> usize {
        self.replaced.push(index);
        self.add_constant(constant)
    }

    /// Was input `index` replaced, so that it is not needed at run time?
    pub fn is_replaced(&self, index: usize) -> bool {
        self.replaced.contains(&index)
    }

    /// Refuses attributes that were not read. Returns the added inputs.
    pub fn finish(self) -> Result<Vec<Added>, Fault> {
        let read = self.read.into_inner();
        match self.node.attributes.keys().find(|key| !read.contains(key.as_str())) {
            Some(key) => Err(format!("its attribute '{key}' is not supported")),
            None => Ok(self.added),
        }
    }
}

fn in_front(index: usize, found: &Type) -> Result<&Type, Fault> {
    if found.events.is_some_and(|layout| layout.at > 0) {
        refuse!(
            "its input {index} has the shape {}, and this operator is supported with the axis of events in front only; export the model \
             with the batch axis in front",
            written(&found.shape())
        );
    }
    Ok(found)
}

fn of_kind(index: usize, found: &Type, kind: Kind) -> Result<&Type, Fault> {
    if found.kind != kind {
        refuse!("its input {index} is of kind {:?}; only {kind:?} is supported", found.kind);
    }
    Ok(found)
}

/// The inputs of a running operator: those of the node, then those it added. Each is taken once.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub values: Vec<Option<Value>>,
    /// The device of the results.
    pub device: &'a Device,
    /// Masks `[rows, 1]` of rows whose events can have no score, because a NaN cannot be carried on.
    pub lost: Vec<Tensor<2, Bool>>,
}

impl<'a> Inputs<'a> {
    pub fn new(values: Vec<Option<Value>>, device: &'a Device) -> Self {
        Self { values, device, lost: Vec::new() }
    }

    /// Declares events with a true value in `[rows, numbers]` to be without a score. For operators that convert floats to integers, which
    /// cannot carry a NaN to the score.
    pub fn lose(&mut self, numbers: Tensor<2, Bool>) {
        if numbers.dims()[1] > 0 {
            self.lost.push(numbers.any_dim(1));
        }
    }

    /// Takes input `index`, which exists, as `build` checked.
    pub fn take(&mut self, index: usize) -> Value {
        self.values[index].take().expect("an input is there and taken once")
    }

    /// Takes an input of floating-point numbers.
    pub fn float(&mut self, index: usize) -> Tensor<2> {
        match self.take(index) {
            Value::Float(tensor) => tensor,
            other => unreachable!("input {index} was checked to be float, is {other:?}"),
        }
    }

    /// Takes an input of integers.
    pub fn int(&mut self, index: usize) -> Tensor<2, Int> {
        match self.take(index) {
            Value::Int(tensor) => tensor,
            other => unreachable!("input {index} was checked to be int, is {other:?}"),
        }
    }

    /// Takes an input of truth values.
    pub fn bool(&mut self, index: usize) -> Tensor<2, Bool> {
        match self.take(index) {
            Value::Bool(tensor) => tensor,
            other => unreachable!("input {index} was checked to be bool, is {other:?}"),
        }
    }
}
