//! What an operator is: checked and typed once, when the graph is built ([`Site`]); run for every batch ([`Operator`]).
//!
//! ```text
//!   node --Site: attributes, opset, types and constants of its inputs--> build() --> Built { operator, types of the outputs }
//!                                                                                       |
//!                                                       Inputs (values on a device) --> run() --> values
//! ```
//!
//! Invariants that every operator keeps:
//!
//! * I1: whatever could go wrong is refused by `build`; `run` computes and nothing else.
//! * I2: every attribute of the node is read or refused ([`Site::finish`]), none is ignored in silence.
//! * I3: no operation mixes events: rows of a value with events are computed one by one, and what merges or moves the axis of events says so in
//!   the type of its output ([`crate::layout`]).
//! * I4: constants that `run` needs on the device are inputs like others ([`Site::add_constant`]): they are brought there once.

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

/// A part of a graph that computes.
pub(crate) trait Operator: fmt::Debug + Send + Sync {
    /// Computes the outputs. Rows of a value with events are events, or equal parts of events; a value without has one row.
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value>;

    /// Multiplications, each with an addition, that one event costs; 0 where there are none worth counting.
    fn multiply_adds(&self) -> u64 {
        0
    }

    /// Which input masks others and may be infinite, though it multiplies the rest?
    fn mask(&self) -> Option<usize> {
        None
    }

    /// Does it move numbers of its first input and do nothing else?
    fn moves(&self) -> bool {
        false
    }

    /// Does it say what becomes of a missing value (NaN) or an infinity? Then events with one are not left without a score before the graph
    /// has seen them.
    fn takes_missing(&self) -> bool {
        false
    }

    /// What it is in the language of the fused kernels, if they know it.
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

/// The product of these factors, as far as 64 bits go: what [`Operator::multiply_adds`] says of loops in loops.
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

/// What goes into a node: its type, and its numbers if they are known already.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    pub kind: Type,
    pub constant: Option<Constant>,
}

/// What an operator adds to the inputs of its node.
#[derive(Clone, Debug)]
pub(crate) enum Added {
    Constant(Constant),
    /// Some value with a row for every event.
    Events,
}

/// A node as it is built: what its operator may ask.
pub(crate) struct Site<'a> {
    node: &'a Node,
    /// Which of its outputs somebody wants.
    wanted: Vec<bool>,
    /// Version of the node's domain.
    pub opset: i64,
    /// The size that the file gives the axis of events, if it gives one.
    pub batch: Option<usize>,
    operands: Vec<Option<Operand>>,
    /// Does the operator look at types only?
    types_only: bool,
    /// What the operator adds to its inputs.
    added: Vec<Added>,
    /// Inputs that the operator does not want at run time: it has added them in another form.
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

    /// The node, for messages and for operators that share a file.
    pub fn operator(&self) -> &'a str {
        &self.node.operator
    }

    /// How many outputs of the node somebody wants: the index of the last of them, plus 1.
    pub fn wanted_outputs(&self) -> usize {
        self.wanted.iter().rposition(|&wanted| wanted).map_or(0, |last| last + 1)
    }

    /// Number of outputs that the node names, wanted or not.
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

    /// Number of inputs, those left out at the end not counted.
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

    /// Is input `index` there?
    pub fn has(&self, index: usize) -> bool {
        self.operands.get(index).is_some_and(Option::is_some)
    }

    /// Type of input `index`; its events stand in front.
    pub fn input(&self, index: usize) -> Result<&Type, Fault> {
        in_front(index, self.anywhere(index)?)
    }

    /// The same for operators that follow the axis of events wherever it stands ([`crate::layout`]).
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

    /// The same for operators that take numbers however the file stores them: with 8 or 16 bits, and in double precision.
    pub fn stored(&self, index: usize) -> Result<&Type, Fault> {
        let found = self.anything(index)?;
        if found.shape {
            refuse!(
                "its input {index} is computed from the number of events in a batch; export the model with fixed shapes"
            );
        }
        Ok(found)
    }

    /// The same with the events in front.
    pub fn stored_in_front(&self, index: usize) -> Result<&Type, Fault> {
        in_front(index, self.stored(index)?)
    }

    /// The same for operators that only move numbers: it may be the shape of a value with events ([`crate::layout::EVENTS`]).
    pub fn anything(&self, index: usize) -> Result<&Type, Fault> {
        let operand = self.operands.get(index).and_then(Option::as_ref);
        operand.map(|operand| &operand.kind).ok_or_else(|| format!("its input {index} is missing"))
    }

    /// Type of input `index`, which must hold numbers of `kind`; its events stand in front.
    pub fn input_of(&self, index: usize, kind: Kind) -> Result<&Type, Fault> {
        of_kind(index, self.input(index)?, kind)
    }

    /// The same with the events anywhere.
    pub fn anywhere_of(&self, index: usize, kind: Kind) -> Result<&Type, Fault> {
        of_kind(index, self.anywhere(index)?, kind)
    }

    /// Input `index`, if its numbers are known.
    pub fn constant(&self, index: usize) -> Option<&Constant> {
        self.operands.get(index)?.as_ref().filter(|operand| !operand.kind.shape)?.constant.as_ref()
    }

    /// The integers of input `index`, a shape: [`crate::layout::EVENTS`] among them is the number of events.
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

    /// The integers of input `index`; `None` if it is left out.
    pub fn known_ints(&self, index: usize, what: &str) -> Result<Option<Vec<i64>>, Fault> {
        if !self.has(index) {
            return Ok(None);
        }
        match &self.known(index, what)?.data {
            Data::Ints(values) => Ok(Some(values.clone())),
            _ => Err(format!("its input {index} ({what}) must be integers")),
        }
    }

    /// Declares that the operator needs no numbers of its inputs, only their types: then it runs once, when the graph is built.
    pub fn types_only(&mut self) {
        self.types_only = true;
    }

    /// Does it need no numbers of its inputs?
    pub fn is_types_only(&self) -> bool {
        self.types_only
    }

    /// Adds a constant to the inputs of the operator; its index there.
    pub fn add_constant(&mut self, constant: Constant) -> usize {
        self.add(Added::Constant(constant))
    }

    /// Adds some value that has a row for every event, for an operator that makes rows of nothing; its index.
    pub fn add_events(&mut self) -> usize {
        self.add(Added::Events)
    }

    fn add(&mut self, added: Added) -> usize {
        self.added.push(added);
        self.operands.len() + self.added.len() - 1
    }

    /// Adds a constant in place of input `index`, which `run` will not find any more; its index.
    pub fn replace(&mut self, index: usize, constant: Constant) -> usize {
        self.replaced.push(index);
        self.add_constant(constant)
    }

    /// Is input `index` wanted at run time?
    pub fn is_replaced(&self, index: usize) -> bool {
        self.replaced.contains(&index)
    }

    /// Refuses attributes that nobody has read. Gives what was added.
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

/// The values that go into a running operator: those of the node, then the constants it added. Each is taken once.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub values: Vec<Option<Value>>,
    /// Where results live.
    pub device: &'a Device,
    /// Rows whose events can have no score, `[rows, 1]` each time: a NaN went where none can be kept.
    pub lost: Vec<Tensor<2, Bool>>,
}

impl<'a> Inputs<'a> {
    pub fn new(values: Vec<Option<Value>>, device: &'a Device) -> Self {
        Self { values, device, lost: Vec::new() }
    }

    /// Leaves the events without a score that have a true value in `[rows, numbers]`. For operators that make integers of floats: those
    /// cannot carry a NaN to the score.
    pub fn lose(&mut self, numbers: Tensor<2, Bool>) {
        if numbers.dims()[1] > 0 {
            self.lost.push(numbers.any_dim(1));
        }
    }

    /// Takes input `index`. It exists: `build` has looked.
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
