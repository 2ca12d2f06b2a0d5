//! The graph of a menu as straight-line lists of steps over tiles of events, one list per line.
//!
//! A step reads and writes registers: a **column** holds an f64 (or an i128, for 64-bit integers) per event of the tile, a **mask** a bit. Steps come in the order in which the
//! lines need them, so registers are freed early and the scratch memory stays in the cache.
//!
//! Before the steps of a tile, its records go through a **sieve**, once for all lines: it turns every cut on an integer into a bit per event, and
//! puts sums of integers, and single integers that steps compute with, into columns of their own.
//!
//! * I1: a register is written before it is read.
//! * I2: a step never writes a register that it reads.
//! * I3: a register is reused only after the last step that reads it.

use tamis_event::{Dtype, Element};
use tamis_kernel::{Cut, Integer, Number, Sieve};

use crate::expression::{Arithmetic, Comparison};
use crate::graph::{MenuGraph, MenuNode, NodeId, Sort};
use crate::integers::IntegerStep;
use crate::lottery::Lottery;

/// Index of a column register.
pub(crate) type Column = usize;
/// Index of a mask register.
pub(crate) type Mask = usize;

/// While there are fewer sums than this, single integers that steps compute with go through the sieve too. Further ones are loaded by the steps that
/// need them, each in a pass of its own: columns that stay unread for long would fill the cache.
const SUMS_MAX: usize = 64;

/// A number per event, or the same number for all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand<T = f64> {
    Column(usize),
    Constant(T),
}

/// One operation on a whole tile. Cuts and sums are indices into the results of the sieve. Steps on integers are in a box, so that the others are no
/// longer for them.
#[derive(Clone, Debug)]
pub(crate) enum Instruction {
    Load { into: Column, element: Element },
    Physical { into: Column, sum: usize, scale: f64, offset: f64 },
    Score { into: Column, score: usize },
    PayloadLen { into: Column },
    Absolute { into: Column, of: Column },
    Negate { into: Column, of: Column },
    Single { into: Column, of: Column },
    Combine { into: Column, arithmetic: Arithmetic, a: Operand, b: Operand },
    Select { into: Column, condition: Mask, a: Operand, b: Operand },
    Count { into: Column, of: Box<[Mask]> },
    Truth { into: Mask, value: bool },
    Within { into: Mask, cut: usize },
    Compare { into: Mask, comparison: Comparison, a: Operand, b: Operand },
    Counted { into: Mask, of: Box<[Mask]>, low: u32, high: u32 },
    And { into: Mask, a: Mask, b: Mask },
    Or { into: Mask, a: Mask, b: Mask },
    Not { into: Mask, of: Mask },
    Draw { into: Mask, lottery: Lottery },
    Integers(Box<IntegerStep>),
}

/// The steps of a line that the lines before it have not done already.
#[derive(Debug)]
pub(crate) struct LineSteps {
    pub(crate) steps: Vec<Instruction>,
    /// The mask that holds the line's condition after these steps, until the next section runs.
    pub(crate) condition: Mask,
}

/// The steps of a menu, and the sieve that runs before them.
#[derive(Debug)]
pub(crate) struct MenuProgram {
    /// Finds the events that no line may decide because of a NaN; `None` if there can be none.
    pub(crate) undecided: Option<LineSteps>,
    /// One per line.
    pub(crate) sections: Vec<LineSteps>,
    pub(crate) sieve: Sieve,
    pub(crate) cuts: usize,
    pub(crate) sums: usize,
    pub(crate) columns: usize,
    pub(crate) integers: usize,
    pub(crate) masks: usize,
    /// Does any step draw events by hash?
    pub(crate) draws: bool,
}

impl MenuProgram {
    /// The program that computes first `undecided`, then `conditions[k]` of every line `k`, from records of `record_len` bytes.
    pub(crate) fn new(
        graph: &MenuGraph,
        undecided: Option<NodeId>,
        conditions: &[NodeId],
        record_len: usize,
    ) -> Self {
        let roots: Vec<NodeId> = undecided.into_iter().chain(conditions.iter().copied()).collect();
        let mut scheduler = Scheduler {
            graph,
            steps: Vec::new(),
            registers: vec![None; graph.nodes().len()],
            readers: readers(graph, &roots),
            cuts: Vec::new(),
            sums: Vec::new(),
            columns: Registers::default(),
            integers: Registers::default(),
            masks: Registers::default(),
        };
        let section = |&root| {
            scheduler.need(root);
            let condition = scheduler.register(root);
            scheduler.release(root);
            LineSteps { steps: std::mem::take(&mut scheduler.steps), condition }
        };
        let mut sections: Vec<LineSteps> = roots.iter().map(section).collect();
        let undecided = undecided.map(|_| sections.remove(0));
        let draws = graph.nodes().iter().any(|node| matches!(node, MenuNode::Draw(_)));
        let Scheduler { cuts, sums, columns, integers, masks, .. } = scheduler;
        Self {
            undecided,
            sections,
            sieve: Sieve::new(record_len, &cuts, &sums),
            cuts: cuts.len(),
            sums: sums.len(),
            columns: columns.made,
            integers: integers.made,
            masks: masks.made,
            draws,
        }
    }
}

/// How many steps read each node. A node that no root needs has no readers, although other unneeded nodes may name it.
fn readers(graph: &MenuGraph, roots: &[NodeId]) -> Vec<usize> {
    let mut readers = vec![0; graph.nodes().len()];
    for root in roots {
        readers[root.index()] += 1;
    }
    // An operand has a smaller id than its operation (graph I2), so one sweep downwards sees all readers of a node before the node.
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        if readers[index] > 0 {
            node.for_each_operand(|operand| readers[operand.index()] += 1);
        }
    }
    readers
}

/// Allocates the registers of one sort.
#[derive(Default)]
struct Registers {
    made: usize,
    free: Vec<usize>,
}

impl Registers {
    fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.made += 1;
            self.made - 1
        })
    }
}

struct Scheduler<'a> {
    graph: &'a MenuGraph,
    steps: Vec<Instruction>,
    /// The register of each node, once its value is computed.
    registers: Vec<Option<usize>>,
    /// How many later steps read each node.
    readers: Vec<usize>,
    cuts: Vec<Cut>,
    sums: Vec<Vec<Integer>>,
    columns: Registers,
    integers: Registers,
    masks: Registers,
}

impl Scheduler<'_> {
    /// Emits the steps for `root` that were not emitted yet, operands first. It does not recurse, since a sum is as deep as its array is long.
    fn need(&mut self, root: NodeId) {
        let mut stack = vec![(root, false)];
        while let Some((id, operands_done)) = stack.pop() {
            let node = &self.graph.nodes()[id.index()];
            let is_constant = matches!(node, MenuNode::Number(_) | MenuNode::Integer(_));
            if is_constant || self.registers[id.index()].is_some() {
                continue;
            }
            if operands_done {
                self.emit(id, node);
                continue;
            }
            stack.push((id, true));
            let first = stack.len();
            node.for_each_operand(|operand| stack.push((operand, false)));
            stack[first..].reverse();
        }
    }

    fn emit(&mut self, id: NodeId, node: &MenuNode) {
        let into = self.registers_of(node).take();
        let at = |id| self.register(id);
        let step = match node {
            MenuNode::Number(_) | MenuNode::Integer(_) => {
                unreachable!("a constant is an operand and has no register")
            }
            MenuNode::Load(place) => self.load(into, self.graph.element(*place)),
            MenuNode::Total(places) => self.total(into, places),
            MenuNode::Score(score) => Instruction::Score { into, score: *score },
            MenuNode::PayloadLen => Instruction::PayloadLen { into },
            MenuNode::Absolute(of) => Instruction::Absolute { into, of: at(*of) },
            MenuNode::Negate(of) => Instruction::Negate { into, of: at(*of) },
            MenuNode::Single(of) => Instruction::Single { into, of: at(*of) },
            MenuNode::Combine(arithmetic, a, b) => Instruction::Combine {
                into,
                arithmetic: *arithmetic,
                a: self.operand(*a),
                b: self.operand(*b),
            },
            MenuNode::Select(condition, a, b) => Instruction::Select {
                into,
                condition: at(*condition),
                a: self.operand(*a),
                b: self.operand(*b),
            },
            MenuNode::Count(of) => Instruction::Count { into, of: of.iter().map(|&id| at(id)).collect() },
            MenuNode::Truth(value) => Instruction::Truth { into, value: *value },
            MenuNode::Within(place, low, high) => self.within(into, self.graph.element(*place), *low, *high),
            MenuNode::Compare(comparison, a, b) => Instruction::Compare {
                into,
                comparison: *comparison,
                a: self.operand(*a),
                b: self.operand(*b),
            },
            MenuNode::Counted(of, low, high) => {
                let of = of.iter().map(|&id| at(id)).collect();
                Instruction::Counted { into, of, low: *low, high: *high }
            }
            MenuNode::And(a, b) => Instruction::And { into, a: at(*a), b: at(*b) },
            MenuNode::Or(a, b) => Instruction::Or { into, a: at(*a), b: at(*b) },
            MenuNode::Not(of) => Instruction::Not { into, of: at(*of) },
            MenuNode::Draw(lottery) => Instruction::Draw { into, lottery: *lottery },
            MenuNode::LoadInteger(_)
            | MenuNode::ToInteger(_)
            | MenuNode::CombineIntegers(..)
            | MenuNode::SelectIntegers(..)
            | MenuNode::ToNumber(_)
            | MenuNode::CompareIntegers(..)
            | MenuNode::CompareMixed(..) => Instruction::Integers(Box::new(self.integers(into, node))),
        };
        self.steps.push(step);
        self.registers[id.index()] = Some(into);
        node.for_each_operand(|operand| self.release(operand));
    }

    fn integers(&self, into: usize, node: &MenuNode) -> IntegerStep {
        let at = |id| self.register(id);
        let operand = |id| match self.graph.as_integer(id) {
            Some(value) => Operand::Constant(value),
            None => Operand::Column(self.register(id)),
        };
        match *node {
            MenuNode::LoadInteger(place) => IntegerStep::Load { into, element: self.graph.element(place) },
            MenuNode::ToInteger(of) => IntegerStep::Of { into, of: at(of) },
            MenuNode::ToNumber(of) => IntegerStep::Number { into, of: at(of) },
            MenuNode::CombineIntegers(arithmetic, a, b) => {
                IntegerStep::Combine { into, arithmetic, a: operand(a), b: operand(b) }
            }
            MenuNode::SelectIntegers(condition, a, b) => {
                IntegerStep::Select { into, condition: at(condition), a: operand(a), b: operand(b) }
            }
            MenuNode::CompareIntegers(comparison, a, b) => {
                IntegerStep::Compare { into, comparison, a: operand(a), b: operand(b) }
            }
            MenuNode::CompareMixed(comparison, a, b) => {
                IntegerStep::CompareMixed { into, comparison, a: at(a), b: at(b) }
            }
            _ => unreachable!("only operations on integers come here"),
        }
    }

    fn load(&mut self, into: Column, element: Element) -> Instruction {
        match integer(element) {
            Some(integer) if self.sums.len() < SUMS_MAX => self.physical(into, vec![integer], element),
            _ => Instruction::Load { into, element },
        }
    }

    fn total(&mut self, into: Column, places: &[usize]) -> Instruction {
        let elements = places.iter().map(|&place| self.graph.element(place));
        let terms = elements.filter_map(integer).collect();
        self.physical(into, terms, self.graph.element(places[0]))
    }

    /// Sums `terms` in the sieve and scales the result as `element`.
    fn physical(&mut self, into: Column, terms: Vec<Integer>, element: Element) -> Instruction {
        self.sums.push(terms);
        let Element { scale, offset, .. } = element;
        Instruction::Physical { into, sum: self.sums.len() - 1, scale, offset }
    }

    fn within(&mut self, into: Mask, element: Element, low: i32, high: i32) -> Instruction {
        let of = integer(element).expect("only integers are cut by their raw values");
        self.cuts.push(Cut { of, low, high });
        Instruction::Within { into, cut: self.cuts.len() - 1 }
    }

    fn registers_of(&mut self, node: &MenuNode) -> &mut Registers {
        match node.sort() {
            Sort::Number => &mut self.columns,
            Sort::Integer => &mut self.integers,
            Sort::Truth => &mut self.masks,
        }
    }

    fn register(&self, id: NodeId) -> usize {
        self.registers[id.index()].expect("operands are emitted before what reads them")
    }

    fn operand(&self, id: NodeId) -> Operand {
        match self.graph.nodes()[id.index()] {
            MenuNode::Number(bits) => Operand::Constant(f64::from_bits(bits)),
            _ => Operand::Column(self.register(id)),
        }
    }

    /// Counts one reader of a node as done; after the last one its register is free. The entry may stay, since nothing reads the node again.
    fn release(&mut self, id: NodeId) {
        let left = &mut self.readers[id.index()];
        *left -= 1;
        let Some(register) = self.registers[id.index()] else { return };
        if *left == 0 {
            self.registers_of(&self.graph.nodes()[id.index()]).free.push(register);
        }
    }
}

/// The element as an input of the sieve, which takes every type that [`crate::interval::raw_range`] accepts.
fn integer(Element { at, dtype, .. }: Element) -> Option<Integer> {
    let number = match dtype {
        Dtype::U8 => Number::U8,
        Dtype::I8 => Number::I8,
        Dtype::U16 => Number::U16,
        Dtype::I16 => Number::I16,
        Dtype::I32 => Number::I32,
        Dtype::U32 | Dtype::U64 | Dtype::I64 | Dtype::F16 | Dtype::F32 | Dtype::F64 => return None,
    };
    Some(Integer { at, number })
}
