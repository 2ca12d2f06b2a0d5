//! A checked graph: typed, in order, and with everything folded that does not depend on the event.
//!
//! Invariants:
//!
//! * I1: every value is made before it is used, and made once; types and sizes are known, so nothing needs checking at run time.
//! * I2: a step that does not depend on the event was run once, here, and removed.
//! * I3: every wanted output has an axis of events in front (unless the source has none at all).
//! * I4: values with events that meet in a step have the same rows of the same events.
//!
//! Cost: building runs the constant steps on the CPU; memory is bounded by the caps of `value.rs` times the number of steps.

use std::collections::{BTreeMap, HashMap, HashSet};

use burn::tensor::Device;

use crate::contain::contained;
use crate::error::{Fault, Refusal, refuse};
use crate::fold;
use crate::forest::TreeEnsemble;
use crate::kernel_op::KernelOp;
use crate::layout::{self, EVENTS, Layout};
use crate::operator::{Added, Inputs, Operand, Operator, Site};
use crate::ops;
use crate::source::{Constant, Data, Input, Node, UncheckedGraph};
use crate::value::{Type, Value};

/// Most numbers of all constants together: as many as the largest bundle can hold.
const CONSTANTS_MAX: usize = 1 << 26;

/// Most work of building, in numbers copied and multiplications of constant steps: seconds, not hours, for a malicious file.
const WORK_MAX: u64 = 1 << 30;
/// Most multiplications per event: beyond this an event takes tens of milliseconds on a core.
const MULTIPLY_ADDS_MAX: u64 = 1 << 28;

/// A checked graph, ready to be put on a device ([`crate::Program`]).
#[derive(Debug)]
pub struct Graph {
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) steps: Vec<Step>,
    pub(crate) values: Vec<Slot>,
}

/// An output of the graph.
#[derive(Clone, Debug)]
pub struct Output {
    /// Name in the source.
    pub name: String,
    /// Its type.
    pub kind: Type,
    pub(crate) slot: usize,
}

impl Output {
    /// Index of the value, as in [`StepInfo::outputs`].
    pub fn value(&self) -> usize {
        self.slot
    }
}

/// A value of the graph: made by a step, an input, or a constant.
#[derive(Debug)]
pub(crate) struct Slot {
    pub kind: Type,
    pub constant: Option<Constant>,
}

/// One operator with its place in the graph.
#[derive(Debug)]
pub(crate) struct Step {
    pub name: String,
    pub operator_name: String,
    pub operator: Box<dyn Operator>,
    pub inputs: Vec<Option<usize>>,
    /// `None` for an output that is not used.
    pub outputs: Vec<Option<usize>>,
}

/// One step of the graph, for reports and for other engines.
#[derive(Clone, Debug)]
pub struct StepInfo<'a> {
    /// Name of the node, or of its first output.
    pub name: &'a str,
    /// Name of the operator.
    pub operator: &'a str,
    /// Shape per event of the first output.
    pub output: &'a [usize],
    /// Shapes per event of all outputs that are used.
    pub shapes: Vec<&'a [usize]>,
    /// Number of parameters in its constants.
    pub parameters: usize,
    /// Multiply-adds per event.
    pub multiply_adds: u64,
    /// The operator in terms of the fused kernels, if they know it.
    pub kernel: Option<KernelOp>,
    /// Its inputs: index of the value, and the constant if it is one; `None` for an omitted input.
    pub inputs: Vec<Option<(usize, Option<&'a Constant>)>>,
    /// Index of the value that is its first output.
    pub makes: Option<usize>,
    /// Indices of the values that are its outputs, in order; `None` for one that is not used.
    pub outputs: &'a [Option<usize>],
    /// The trees of [`KernelOp::TreeEnsemble`].
    pub forest: Option<&'a TreeEnsemble>,
}

impl Graph {
    /// Checks a source and folds what is constant.
    pub fn new(source: &UncheckedGraph) -> Result<Self, Refusal> {
        let needed = source.needed();
        let is_needed = |node: &Node| node.outputs.iter().any(|name| needed.contains(name.as_str()));
        let nodes: Vec<(usize, &Node)> =
            source.nodes.iter().enumerate().filter(|(_, node)| is_needed(node)).collect();
        // Unsupported operators are reported first: an earlier node may fail for the same reason in other words.
        refuse_unsupported(source, &nodes)?;
        let mut builder = Builder::new(source, needed)?;
        for (index, node) in nodes {
            builder.add(node).map_err(|fault| Refusal::new(place(source, node, index), fault))?;
        }
        builder.finish(source)
    }

    /// The inputs, in order.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The outputs, in order.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Number of input numbers per event, over all inputs.
    pub fn input_numbers(&self) -> usize {
        self.inputs.iter().map(|input| input.dims.iter().product::<usize>()).sum()
    }

    /// Number of parameters in all constants.
    pub fn parameters(&self) -> usize {
        self.values.iter().filter_map(|slot| slot.constant.as_ref()).map(Constant::len).sum()
    }

    /// Multiply-adds per event.
    pub fn multiply_adds(&self) -> u64 {
        self.steps.iter().map(|step| self.multiply_adds_of(step)).sum()
    }

    /// Numbers per event that all steps make.
    pub fn numbers_made(&self) -> u64 {
        let made = |slot: &usize| self.values[*slot].kind.event_numbers() as u64;
        self.steps.iter().flat_map(|step| step.outputs.iter().flatten()).map(made).sum()
    }

    /// Does it say what becomes of an input that is missing (NaN)? Decision trees do, imputers, and whoever asks which numbers are NaN, by `IsNaN` or
    /// by comparing a value with itself. What nobody asks about stays NaN up to the score.
    pub fn takes_missing_values(&self) -> bool {
        self.steps.iter().any(|step| step.operator.takes_missing())
    }

    /// The largest number of numbers per event in the inputs and outputs of one step, without constants.
    pub fn widest_step(&self) -> usize {
        let numbers = |slot: &Option<usize>| {
            slot.map(|slot| &self.values[slot])
                .filter(|slot| slot.constant.is_none())
                .map_or(0, |slot| slot.kind.event_numbers())
        };
        let width = |step: &Step| step.inputs.iter().chain(&step.outputs).map(numbers).sum();
        self.steps.iter().map(width).max().unwrap_or(0)
    }

    /// The largest number of rows per event in any value of a step.
    pub(crate) fn rows(&self, step: &Step) -> usize {
        let slots = step.inputs.iter().chain(&step.outputs).flatten();
        slots.map(|&slot| self.values[slot].kind.rows()).max().unwrap_or(1)
    }

    fn multiply_adds_of(&self, step: &Step) -> u64 {
        step.operator.multiply_adds().saturating_mul(self.rows(step) as u64)
    }

    /// The steps, in execution order.
    pub fn steps(&self) -> impl Iterator<Item = StepInfo<'_>> {
        self.steps.iter().map(|step| {
            let inputs =
                step.inputs.iter().map(|slot| slot.map(|slot| (slot, self.values[slot].constant.as_ref())));
            let inputs: Vec<_> = inputs.collect();
            let dims = |slot: usize| &self.values[slot].kind.dims[..];
            let made = step.outputs.iter().flatten().next().copied();
            let alone = self.rows(step) == 1;
            StepInfo {
                name: &step.name,
                operator: &step.operator_name,
                output: made.map_or(&[], dims),
                shapes: step.outputs.iter().flatten().map(|&slot| dims(slot)).collect(),
                parameters: inputs.iter().flatten().filter_map(|input| input.1).map(Constant::len).sum(),
                multiply_adds: self.multiply_adds_of(step),
                kernel: step.operator.as_kernel().filter(|_| alone),
                inputs,
                makes: made,
                outputs: &step.outputs,
                forest: step.operator.as_forest().filter(|_| alone),
            }
        })
    }
}

/// Refuses the first node whose operator is not supported, and names the operators of all others, with how many nodes use them.
fn refuse_unsupported(source: &UncheckedGraph, nodes: &[(usize, &Node)]) -> Result<(), Refusal> {
    let fault = |node: &Node| ops::find(node, source.opsets.get(&node.domain).copied()).err();
    let mut refused = nodes.iter().filter_map(|&(index, node)| Some((index, node, fault(node)?)));
    let Some((index, first, mut reason)) = refused.next() else { return Ok(()) };
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    refused.for_each(|(_, node, _)| *others.entry(&node.operator).or_default() += 1);
    if let Some(more) = others.remove(first.operator.as_str()) {
        reason += &format!("; {} nodes use it", more + 1);
    }
    let counted = |(operator, nodes): (&str, usize)| match nodes {
        1 => operator.to_string(),
        _ => format!("{operator} ({nodes} nodes)"),
    };
    if !others.is_empty() {
        let others: Vec<String> = others.into_iter().map(counted).collect();
        reason += &format!("; not supported either: {}", others.join(", "));
    }
    Err(Refusal::new(place(source, first, index), reason))
}

/// `node 'dense/MatMul' (operator MatMul of ai.onnx, opset 13)`.
fn place(source: &UncheckedGraph, node: &Node, index: usize) -> String {
    let domain = if node.domain.is_empty() { "ai.onnx" } else { &node.domain };
    let opset =
        source.opsets.get(&node.domain).map_or("no opset".into(), |version| format!("opset {version}"));
    let name = if node.name.is_empty() { format!("number {index}") } else { format!("'{}'", node.name) };
    format!("node {name} (operator {} of {domain}, {opset})", node.operator)
}

/// Builds a graph.
struct Builder<'a> {
    values: Vec<Slot>,
    by_name: HashMap<&'a str, usize>,
    /// Names of the values that are needed.
    needed: HashSet<&'a str>,
    steps: Vec<Step>,
    source: &'a UncheckedGraph,
    cpu: Device,
    constants: usize,
    /// The work that building may still do.
    work: u64,
}

impl<'a> Builder<'a> {
    fn new(source: &'a UncheckedGraph, needed: HashSet<&'a str>) -> Result<Self, Refusal> {
        let mut builder = Self {
            values: Vec::new(),
            by_name: HashMap::new(),
            needed,
            steps: Vec::new(),
            source,
            cpu: Device::flex(),
            constants: 0,
            work: WORK_MAX,
        };
        let front = source.events.then_some(Layout::FRONT);
        for input in &source.inputs {
            let Input { kind, int32, narrow, ref dims, .. } = *input;
            let kind = Type { int32, narrow, ..Type::new(kind, front, dims.clone()) };
            let place = || format!("input '{}'", input.name);
            if source.events && input.dims.contains(&0) {
                let reason = "its shape is open beyond the first axis, that of events; at most one size may be, and the number of inputs must \
                              fit it: export the model with the shape of its inputs";
                return Err(Refusal::new(place(), reason));
            }
            kind.check().map_err(|fault| Refusal::new(place(), fault))?;
            builder
                .name(&input.name, Slot { kind, constant: None })
                .map_err(|fault| Refusal::new(place(), fault))?;
        }
        for (name, constant) in &source.constants {
            if !builder.needed.contains(name.as_str()) {
                continue;
            }
            let place = || format!("tensor '{name}'");
            let slot = builder.constant(constant.clone()).map_err(|fault| Refusal::new(place(), fault))?;
            builder.name(name, slot).map_err(|fault| Refusal::new(place(), fault))?;
        }
        Ok(builder)
    }

    fn constant(&mut self, constant: Constant) -> Result<Slot, Fault> {
        let kind = Type::of(&constant);
        kind.check()?;
        self.constants += constant.len();
        if self.constants > CONSTANTS_MAX {
            return Err(format!("the constants have more than {CONSTANTS_MAX} numbers together"));
        }
        Ok(Slot { kind, constant: Some(constant) })
    }

    fn push(&mut self, slot: Slot) -> usize {
        self.values.push(slot);
        self.values.len() - 1
    }

    fn name(&mut self, name: &'a str, slot: Slot) -> Result<usize, Fault> {
        let index = self.push(slot);
        match self.by_name.insert(name, index) {
            None => Ok(index),
            Some(_) => Err(format!("the value '{name}' is made twice")),
        }
    }

    fn add(&mut self, node: &'a Node) -> Result<(), Fault> {
        let opset = self.source.opsets.get(&node.domain).copied();
        let build = ops::find(node, opset)?;
        let slots = node.inputs.iter().map(|name| self.find(name)).collect::<Result<Vec<_>, _>>()?;
        let copied = slots.iter().flatten().filter_map(|&slot| self.values[slot].constant.as_ref());
        let copied = copied.map(|constant| constant.len() as u64).sum();
        self.spend(copied)?;
        let operand = |slot: &Option<usize>| {
            slot.map(|slot| &self.values[slot])
                .map(|slot| Operand { kind: slot.kind.clone(), constant: slot.constant.clone() })
        };
        layout::refuse_other_rows(slots.iter().flatten().map(|&slot| &self.values[slot].kind))?;
        let operands = slots.iter().map(operand).collect();
        let wanted = node.outputs.iter().map(|name| self.needed.contains(name.as_str())).collect();
        let mut site = Site::new(node, wanted, opset.unwrap_or_default(), self.source.batch, operands);
        let built = build(&mut site)?;
        built.outputs.iter().try_for_each(Type::check)?;
        if built.outputs.iter().any(|kind| kind.events.is_some() && kind.numbers() == 0) {
            refuse!("makes a value without numbers of every event");
        }
        if site.wanted_outputs() > built.outputs.len() {
            return Err(format!("its output number {} is not supported", site.wanted_outputs()));
        }
        let wanted =
            |(index, slot)| if site.is_types_only() || site.is_replaced(index) { None } else { slot };
        let mut inputs: Vec<Option<usize>> = slots.into_iter().enumerate().map(wanted).collect();
        for added in site.finish()? {
            inputs.push(Some(match added {
                Added::Constant(constant) => {
                    let slot = self.constant(constant)?;
                    self.push(slot)
                }
                // The first input of the graph is value 0.
                Added::Events if self.source.events && !self.source.inputs.is_empty() => 0,
                Added::Events => refuse!("makes a value for every event in a graph without events"),
            }));
        }
        if built.outputs.iter().all(|kind| kind.events.is_none())
            && inputs.iter().flatten().all(|&slot| self.values[slot].constant.is_some())
        {
            let made = built.outputs.iter().map(|kind| kind.numbers() as u64).sum::<u64>();
            self.spend(made.saturating_add(built.operator.multiply_adds()))?;
            return self.fold(node, &*built.operator, &inputs, built.outputs);
        }
        let mut outputs = Vec::new();
        for (kind, name) in
            built.outputs.into_iter().zip(node.outputs.iter().map(Some).chain(std::iter::repeat(None)))
        {
            let name = name.filter(|name| self.needed.contains(name.as_str()));
            outputs.push(name.map(|name| self.name(name, Slot { kind, constant: None })).transpose()?);
        }
        let first = node.outputs.iter().find(|name| !name.is_empty());
        let name = if node.name.is_empty() { first.cloned().unwrap_or_default() } else { node.name.clone() };
        self.steps.push(Step {
            name,
            operator_name: node.operator.clone(),
            operator: built.operator,
            inputs,
            outputs,
        });
        Ok(())
    }

    /// Counts work, and refuses a file that needs too much.
    fn spend(&mut self, work: u64) -> Result<(), Fault> {
        match self.work.checked_sub(work) {
            Some(left) => self.work = left,
            None => refuse!(
                "makes the constant part of the graph too large to compute at loading; export a simplified model"
            ),
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Result<Option<usize>, Fault> {
        if name.is_empty() {
            return Ok(None);
        }
        let found = self.by_name.get(name).copied();
        found.map(Some).ok_or_else(|| format!("the value '{name}' is used before it is made, or never made"))
    }

    /// Folds a step whose inputs are all known; runs it unless it makes no numbers at all.
    fn fold(
        &mut self,
        node: &'a Node,
        operator: &dyn Operator,
        inputs: &[Option<usize>],
        outputs: Vec<Type>,
    ) -> Result<(), Fault> {
        let constants = if outputs.iter().all(|kind| kind.numbers() == 0) {
            outputs.iter().map(|kind| Constant::empty(kind.kind, &kind.dims)).collect()
        } else {
            self.run(operator, inputs, &outputs)?
        };
        for ((mut constant, kind), name) in constants.into_iter().zip(outputs).zip(&node.outputs) {
            if !self.needed.contains(name.as_str()) {
                continue;
            }
            constant.int32 = kind.int32;
            constant.narrow = kind.narrow;
            constant.words.clone_from(&kind.labels);
            let shape = kind.shape
                && matches!(&constant.data, Data::Ints(values) if values.iter().any(|&value| value >= EVENTS));
            let slot = self.constant(constant)?;
            self.name(name, Slot { kind: Type { shape, ..kind }, ..slot })?;
        }
        Ok(())
    }

    fn run(
        &self,
        operator: &dyn Operator,
        inputs: &[Option<usize>],
        outputs: &[Type],
    ) -> Result<Vec<Constant>, Fault> {
        let value = |slot: &Option<usize>| {
            slot.and_then(|slot| self.values[slot].constant.as_ref())
                .map(|constant| Value::of(constant, &self.cpu))
        };
        let mut inputs = Inputs::new(inputs.iter().map(value).collect(), &self.cpu);
        // Integer overflow panics in a debug build of burn. It must not end this program, since the file is untrusted.
        let Some(values) = contained(|| operator.run(&mut inputs)) else {
            refuse!("cannot be computed from the constants that go in")
        };
        values.into_iter().zip(outputs).map(|(value, kind)| value.into_constant(&kind.dims)).collect()
    }

    /// Weights of products must be finite. Infinities are allowed only in masks.
    fn refuse_infinite_weights(&self) -> Result<(), Refusal> {
        for step in self.steps.iter().filter(|step| step.operator.multiply_adds() > 0) {
            let weights =
                step.inputs.iter().enumerate().filter(|(index, _)| step.operator.mask() != Some(*index));
            for constant in weights.filter_map(|(_, slot)| self.values[(*slot)?].constant.as_ref()) {
                let Data::Floats(numbers) = &constant.data else { continue };
                if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
                    let place = format!("node '{}' (operator {})", step.name, step.operator_name);
                    let reason = format!("its weight number {index} is {}, must be finite", numbers[index]);
                    return Err(Refusal::new(place, reason));
                }
            }
        }
        Ok(())
    }

    /// Drops the numbers of constants that no step or output uses any more.
    fn forget_unused(&mut self, outputs: &[Output]) {
        let mut used = vec![false; self.values.len()];
        let inputs = self.steps.iter().flat_map(|step| step.inputs.iter().flatten().copied());
        inputs.chain(outputs.iter().map(|output| output.slot)).for_each(|slot| used[slot] = true);
        let unused = self.values.iter_mut().zip(used).filter(|(_, used)| !used);
        unused.for_each(|(slot, _)| slot.constant = None);
    }

    fn finish(mut self, source: &UncheckedGraph) -> Result<Graph, Refusal> {
        let mut outputs = Vec::new();
        for name in &source.outputs {
            let refused = |reason: &str| Refusal::new(format!("output '{name}'"), reason);
            let slot = self.by_name.get(name.as_str()).ok_or_else(|| refused("is never made"))?;
            let kind = self.values[*slot].kind.clone();
            if source.events {
                layout::refuse_as_output(&kind).map_err(|reason| refused(&reason))?;
            }
            outputs.push(Output { name: name.clone(), kind, slot: *slot });
        }
        if outputs.is_empty() {
            return Err(Refusal::new("the graph", "has no outputs"));
        }
        self.refuse_infinite_weights()?;
        fold::scalings(&mut self.steps, &mut self.values, &outputs);
        self.forget_unused(&outputs);
        let graph = Graph { inputs: source.inputs.clone(), outputs, steps: self.steps, values: self.values };
        let work =
            graph.steps.iter().fold(0, |sum: u64, step| sum.saturating_add(graph.multiply_adds_of(step)));
        if work > MULTIPLY_ADDS_MAX {
            let reason =
                format!("costs {work} multiplications per event; at most {MULTIPLY_ADDS_MAX} are supported");
            return Err(Refusal::new("the graph", reason));
        }
        Ok(graph)
    }
}
