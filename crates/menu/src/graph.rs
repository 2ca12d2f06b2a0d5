//! The operations of a menu as a graph without repetition.
//!
//! ```text
//!   a: muons.pt[0] >= 22 && met.pt > 50        Within(muons.pt[0], 44..) ------------ And
//!   b: met.pt > 50 || muons.pt[0] >= 30        Within(muons.pt[0], 60..) -- Or         |
//!                                              Within(met.pt, 101..) -------^----------^
//! ```
//!
//! * I1: equal operations on equal operands are one node, so what several lines need is computed once.
//! * I2: an operand has a smaller id than the operation that uses it.
//! * I3: an operation on constants is a constant. It is computed by the function that the kernels use, so folding changes no bit.

use std::collections::HashMap;

use tamis_event::Element;

use crate::expression::{Arithmetic, Comparison};
use crate::interval::{interval, raw_range};
use crate::limits::OPERATIONS_MAX;
use crate::lottery::Lottery;

/// A node of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

impl NodeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an operation yields for every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// An f64.
    Number,
    /// An i128.
    Integer,
    /// A truth value.
    Truth,
}

/// One operation; in the order of [`Sort`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MenuNode {
    /// The bits of an f64.
    Number(u64),
    /// The element at this index of [`MenuGraph::element`]: raw value * scale + offset. [`crate::number`] keeps track of its unit.
    Load(usize),
    /// The sum of elements of at most 16 bits with the same scale and no offset; their indices.
    Total(Box<[usize]>),
    /// A score column.
    Score(usize),
    /// Bytes of the payload.
    PayloadLen,
    Absolute(NodeId),
    Negate(NodeId),
    /// The number rounded to f32.
    Single(NodeId),
    Combine(Arithmetic, NodeId, NodeId),
    /// The first number where the condition holds, else the second.
    Select(NodeId, NodeId, NodeId),
    /// How many of these conditions hold.
    Count(Box<[NodeId]>),
    /// The f64 that is nearest to an integer.
    ToNumber(NodeId),

    Integer(i128),
    /// The raw value of the 64-bit element at this index.
    LoadInteger(usize),
    /// A whole number of f64 as an integer.
    ToInteger(NodeId),
    CombineIntegers(Arithmetic, NodeId, NodeId),
    /// The first integer where the condition holds, else the second.
    SelectIntegers(NodeId, NodeId, NodeId),

    Truth(bool),
    /// Is the raw value of the element at this index in the interval, ends included?
    Within(usize, i32, i32),
    Compare(Comparison, NodeId, NodeId),
    CompareIntegers(Comparison, NodeId, NodeId),
    /// An integer with an f64, exactly.
    CompareMixed(Comparison, NodeId, NodeId),
    /// Is the number of these conditions that hold in the interval, ends included?
    Counted(Box<[NodeId]>, u32, u32),
    And(NodeId, NodeId),
    Or(NodeId, NodeId),
    Not(NodeId),
    Draw(Lottery),
}

impl MenuNode {
    pub(crate) fn sort(&self) -> Sort {
        match self {
            Self::Number(_)
            | Self::Load(_)
            | Self::Total(_)
            | Self::Score(_)
            | Self::PayloadLen
            | Self::Absolute(_)
            | Self::Negate(_)
            | Self::Single(_)
            | Self::Combine(..)
            | Self::Select(..)
            | Self::Count(_)
            | Self::ToNumber(_) => Sort::Number,
            Self::Integer(_)
            | Self::LoadInteger(_)
            | Self::ToInteger(_)
            | Self::CombineIntegers(..)
            | Self::SelectIntegers(..) => Sort::Integer,
            Self::Truth(_)
            | Self::Within(..)
            | Self::Compare(..)
            | Self::CompareIntegers(..)
            | Self::CompareMixed(..)
            | Self::Counted(..)
            | Self::And(..)
            | Self::Or(..)
            | Self::Not(_)
            | Self::Draw(_) => Sort::Truth,
        }
    }

    /// Calls `each` for every operand, in order.
    pub(crate) fn for_each_operand(&self, mut each: impl FnMut(NodeId)) {
        match self {
            Self::Number(_)
            | Self::Load(_)
            | Self::Total(_)
            | Self::Score(_)
            | Self::PayloadLen
            | Self::Integer(_)
            | Self::LoadInteger(_)
            | Self::Truth(_)
            | Self::Within(..)
            | Self::Draw(_) => {}
            Self::Absolute(a)
            | Self::Negate(a)
            | Self::Single(a)
            | Self::ToNumber(a)
            | Self::ToInteger(a)
            | Self::Not(a) => each(*a),
            Self::Combine(_, a, b)
            | Self::CombineIntegers(_, a, b)
            | Self::Compare(_, a, b)
            | Self::CompareIntegers(_, a, b)
            | Self::CompareMixed(_, a, b)
            | Self::And(a, b)
            | Self::Or(a, b) => {
                each(*a);
                each(*b);
            }
            Self::Select(condition, a, b) | Self::SelectIntegers(condition, a, b) => {
                [condition, a, b].into_iter().copied().for_each(each);
            }
            Self::Count(operands) | Self::Counted(operands, ..) => operands.iter().copied().for_each(each),
        }
    }
}

/// Most terms of a [`MenuNode::Total`]: the sum of this many 16-bit numbers fits an i32.
const TERMS_MAX: usize = 1 << 13;

/// The menu needs more than [`OPERATIONS_MAX`] operations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooLarge;

type Made = Result<NodeId, TooLarge>;

/// The operations of a menu, each stored once.
#[derive(Debug, Default)]
pub(crate) struct MenuGraph {
    nodes: Vec<MenuNode>,
    ids: HashMap<MenuNode, NodeId>,
    elements: Vec<Element>,
    /// Byte offset in a record to index in `elements`.
    element_at: HashMap<usize, usize>,
}

impl MenuGraph {
    /// All nodes; the index is the id.
    pub(crate) fn nodes(&self) -> &[MenuNode] {
        &self.nodes
    }

    /// The element at an index that a node holds.
    pub(crate) fn element(&self, place: usize) -> Element {
        self.elements[place]
    }

    pub(crate) fn add(&mut self, node: MenuNode) -> Made {
        if let Some(&id) = self.ids.get(&node) {
            return Ok(id);
        }
        if self.nodes.len() == OPERATIONS_MAX {
            return Err(TooLarge);
        }
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node.clone());
        self.ids.insert(node, id);
        Ok(id)
    }

    pub(crate) fn as_number(&self, id: NodeId) -> Option<f64> {
        match self.nodes[id.index()] {
            MenuNode::Number(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    pub(crate) fn as_truth(&self, id: NodeId) -> Option<bool> {
        match self.nodes[id.index()] {
            MenuNode::Truth(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn number(&mut self, value: f64) -> Made {
        self.add(MenuNode::Number(value.to_bits()))
    }

    pub(crate) fn truth(&mut self, value: bool) -> Made {
        self.add(MenuNode::Truth(value))
    }

    /// The physical value of an element.
    pub(crate) fn load(&mut self, element: Element) -> Made {
        let place = self.place(element);
        self.add(MenuNode::Load(place))
    }

    /// The index of an element.
    pub(crate) fn place(&mut self, element: Element) -> usize {
        let next = self.elements.len();
        let place = *self.element_at.entry(element.at).or_insert(next);
        if place == next {
            self.elements.push(element);
        }
        place
    }

    pub(crate) fn score(&mut self, column: usize) -> Made {
        self.add(MenuNode::Score(column))
    }

    pub(crate) fn payload_len(&mut self) -> Made {
        self.add(MenuNode::PayloadLen)
    }

    pub(crate) fn draw(&mut self, lottery: Lottery) -> Made {
        self.add(MenuNode::Draw(lottery))
    }

    pub(crate) fn absolute(&mut self, a: NodeId) -> Made {
        match self.as_number(a) {
            Some(value) => self.number(value.abs()),
            None => self.add(MenuNode::Absolute(a)),
        }
    }

    pub(crate) fn negate(&mut self, a: NodeId) -> Made {
        match self.as_number(a) {
            Some(value) => self.number(-value),
            None => self.add(MenuNode::Negate(a)),
        }
    }

    pub(crate) fn single(&mut self, a: NodeId) -> Made {
        match self.as_number(a) {
            Some(value) => self.number(f64::from(value as f32)),
            None => self.add(MenuNode::Single(a)),
        }
    }

    pub(crate) fn combine(&mut self, arithmetic: Arithmetic, a: NodeId, b: NodeId) -> Made {
        match (self.as_number(a), self.as_number(b)) {
            (Some(x), Some(y)) => self.number(arithmetic.apply(x, y)),
            _ => self.add(MenuNode::Combine(arithmetic, a, b)),
        }
    }

    /// `a` where the condition holds, else `b`, which is of the same sort.
    pub(crate) fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> Made {
        match self.as_truth(condition) {
            Some(holds) => Ok(if holds { a } else { b }),
            None if a == b => Ok(a),
            None if self.nodes[a.index()].sort() == Sort::Integer => {
                self.add(MenuNode::SelectIntegers(condition, a, b))
            }
            None => self.add(MenuNode::Select(condition, a, b)),
        }
    }

    /// Is the number 0 in a record that has only zeros in its place?
    pub(crate) fn is_zero_in_zeros(&self, id: NodeId) -> bool {
        match self.nodes[id.index()] {
            MenuNode::Load(place) => self.elements[place].offset == 0.0,
            MenuNode::LoadInteger(_) => true,
            _ => false,
        }
    }

    /// The indices of the elements that `items` load, if the sum of their raw values fits an i32: at most 16 bits, the same scale and no offset.
    pub(crate) fn exact(&self, items: &[NodeId]) -> Option<Box<[usize]>> {
        let place = |id: &NodeId| match self.nodes[id.index()] {
            MenuNode::Load(place) => Some(place),
            _ => None,
        };
        let places: Box<[usize]> = items.iter().map(place).collect::<Option<_>>()?;
        let Element { scale, .. } = self.elements[*places.first()?];
        let is_like_it = |&place: &usize| {
            let element = self.elements[place];
            let is_short = element.dtype.size() <= 2 && raw_range(element).is_some();
            is_short && element.scale.to_bits() == scale.to_bits() && element.offset == 0.0
        };
        ((2..=TERMS_MAX).contains(&places.len()) && places.iter().all(is_like_it)).then_some(places)
    }

    pub(crate) fn compare(&mut self, comparison: Comparison, a: NodeId, b: NodeId) -> Made {
        match (self.as_number(a), self.as_number(b)) {
            (Some(x), Some(y)) => self.truth(comparison.holds(x, y)),
            (None, Some(limit)) => self.cut(comparison, a, limit, MenuNode::Compare(comparison, a, b)),
            (Some(limit), None) => {
                self.cut(comparison.mirrored(), b, limit, MenuNode::Compare(comparison, a, b))
            }
            (None, None) => self.add(MenuNode::Compare(comparison, a, b)),
        }
    }

    /// `a op limit`: an interval of a raw value or of a count where possible, else the `plain` comparison.
    fn cut(&mut self, comparison: Comparison, a: NodeId, limit: f64, plain: MenuNode) -> Made {
        if let MenuNode::Count(of) = &self.nodes[a.index()] {
            return self.counted(comparison, of.clone(), limit);
        }
        let (absolute, inner) = match self.nodes[a.index()] {
            MenuNode::Absolute(inner) => (true, inner),
            _ => (false, a),
        };
        let MenuNode::Load(place) = self.nodes[inner.index()] else { return self.add(plain) };
        let Some(found) = interval(self.elements[place], absolute, comparison, limit) else {
            return self.add(plain);
        };
        let within = if found.low > found.high {
            self.truth(false)?
        } else {
            self.add(MenuNode::Within(place, found.low, found.high))?
        };
        if found.outside { self.not(within) } else { Ok(within) }
    }

    fn counted(&mut self, comparison: Comparison, of: Box<[NodeId]>, limit: f64) -> Made {
        let outside = comparison == Comparison::NotEqual;
        let inner = if outside { Comparison::Equal } else { comparison };
        let mut counts = (0..=of.len() as u32).filter(|&count| inner.holds(count.into(), limit));
        let within = match counts.next() {
            Some(low) => {
                let high = counts.next_back().unwrap_or(low);
                self.add(MenuNode::Counted(of, low, high))?
            }
            None => self.truth(false)?,
        };
        if outside { self.not(within) } else { Ok(within) }
    }

    pub(crate) fn and(&mut self, a: NodeId, b: NodeId) -> Made {
        match (self.as_truth(a), self.as_truth(b)) {
            (Some(false), _) | (_, Some(false)) => self.truth(false),
            (Some(true), _) => Ok(b),
            (_, Some(true)) => Ok(a),
            _ => self.add(MenuNode::And(a, b)),
        }
    }

    pub(crate) fn or(&mut self, a: NodeId, b: NodeId) -> Made {
        match (self.as_truth(a), self.as_truth(b)) {
            (Some(true), _) | (_, Some(true)) => self.truth(true),
            (Some(false), _) => Ok(b),
            (_, Some(false)) => Ok(a),
            _ => self.add(MenuNode::Or(a, b)),
        }
    }

    pub(crate) fn not(&mut self, a: NodeId) -> Made {
        match self.nodes[a.index()] {
            MenuNode::Truth(value) => self.truth(!value),
            MenuNode::Not(inner) => Ok(inner),
            _ => self.add(MenuNode::Not(a)),
        }
    }

    pub(crate) fn count(&mut self, conditions: &[NodeId]) -> Made {
        let truths: Option<Vec<bool>> = conditions.iter().map(|&id| self.as_truth(id)).collect();
        match truths {
            Some(truths) => self.number(truths.into_iter().filter(|&holds| holds).count() as f64),
            None => self.add(MenuNode::Count(conditions.into())),
        }
    }
}
