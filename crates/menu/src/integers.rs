//! Operations on columns of 128-bit integers, which only menus have that read 64-bit integers ([`crate::large`]).
//!
//! They are as slow as loops over single events, and called once per tile: so nothing of them is in the loops of other menus.

use tamis_event::{Block, Dtype, Element};

use crate::decider::Scratch;
use crate::expression::{Arithmetic, Comparison};
use crate::graph::{MenuGraph, MenuNode, NodeId, TooLarge};
use crate::kernels::{self, LANES, StepInput, TILE_WORDS};
use crate::program::{Column, Mask, Operand};

/// One integer per event of a mask word.
pub(crate) type IntegerLanes = [i128; LANES];
/// Index of an integer register.
pub(crate) type IntegerColumn = usize;

/// One operation on a whole tile.
#[derive(Clone, Debug)]
pub(crate) enum IntegerStep {
    Load { into: IntegerColumn, element: Element },
    Of { into: IntegerColumn, of: Column },
    Combine { into: IntegerColumn, arithmetic: Arithmetic, a: Operand<i128>, b: Operand<i128> },
    Select { into: IntegerColumn, condition: Mask, a: Operand<i128>, b: Operand<i128> },
    Number { into: Column, of: IntegerColumn },
    Compare { into: Mask, comparison: Comparison, a: Operand<i128>, b: Operand<i128> },
    CompareMixed { into: Mask, comparison: Comparison, a: IntegerColumn, b: Column },
}

/// `a op b`; sums and products saturate.
pub(crate) fn calculated(arithmetic: Arithmetic, x: i128, y: i128) -> i128 {
    match arithmetic {
        Arithmetic::Add => x.saturating_add(y),
        Arithmetic::Sub => x.saturating_sub(y),
        Arithmetic::Mul => x.saturating_mul(y),
        Arithmetic::Min => x.min(y),
        Arithmetic::Max => x.max(y),
        Arithmetic::Div => unreachable!("a quotient is no integer"),
    }
}

/// `x op y`, where neither is rounded to the type of the other.
fn holds_mixed(comparison: Comparison, x: i128, y: f64) -> bool {
    // What is beyond an i128 becomes its end, which no large number is.
    let below = y.floor();
    comparison.holds((x, false), (below as i128, y > below))
}

impl MenuGraph {
    pub(crate) fn as_integer(&self, id: NodeId) -> Option<i128> {
        match self.nodes()[id.index()] {
            MenuNode::Integer(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn integer(&mut self, value: i128) -> Result<NodeId, TooLarge> {
        self.add(MenuNode::Integer(value))
    }

    /// A whole number of f64 as an integer.
    pub(crate) fn integer_of(&mut self, a: NodeId) -> Result<NodeId, TooLarge> {
        match self.as_number(a) {
            Some(value) => self.integer(value as i128),
            None => self.add(MenuNode::ToInteger(a)),
        }
    }

    /// The f64 that is nearest to an integer.
    pub(crate) fn number_of(&mut self, a: NodeId) -> Result<NodeId, TooLarge> {
        match self.as_integer(a) {
            Some(value) => self.number(value as f64),
            None => self.add(MenuNode::ToNumber(a)),
        }
    }

    pub(crate) fn combine_integers(
        &mut self,
        arithmetic: Arithmetic,
        a: NodeId,
        b: NodeId,
    ) -> Result<NodeId, TooLarge> {
        match (self.as_integer(a), self.as_integer(b)) {
            (Some(x), Some(y)) => self.integer(calculated(arithmetic, x, y)),
            _ => self.add(MenuNode::CombineIntegers(arithmetic, a, b)),
        }
    }

    pub(crate) fn compare_integers(
        &mut self,
        comparison: Comparison,
        a: NodeId,
        b: NodeId,
    ) -> Result<NodeId, TooLarge> {
        match (self.as_integer(a), self.as_integer(b)) {
            (Some(x), Some(y)) => self.truth(comparison.holds(x, y)),
            _ => self.add(MenuNode::CompareIntegers(comparison, a, b)),
        }
    }

    /// An integer with an f64; neither is the same for all events.
    pub(crate) fn compare_mixed(
        &mut self,
        comparison: Comparison,
        a: NodeId,
        b: NodeId,
    ) -> Result<NodeId, TooLarge> {
        self.add(MenuNode::CompareMixed(comparison, a, b))
    }
}

impl Scratch {
    #[inline(never)]
    pub(crate) fn run_integers(&mut self, step: &IntegerStep, block: &Block) {
        match *step {
            IntegerStep::Load { into, element: Element { at, dtype, .. } } => {
                let out = self.integers[into].as_flattened_mut();
                for piece in &self.pieces {
                    let (out, records) = (&mut out[piece.tile()], piece.records(block));
                    if dtype == Dtype::U64 {
                        kernels::strided(out, records, block.stride(), at, |raw| {
                            u64::from_le_bytes(raw).into()
                        });
                    } else {
                        kernels::strided(out, records, block.stride(), at, |raw| {
                            i64::from_le_bytes(raw).into()
                        });
                    }
                }
            }
            IntegerStep::Of { into, of } => {
                let (out, of) = (self.integers[into].as_flattened_mut(), self.columns[of].as_flattened());
                out.iter_mut().zip(of).for_each(|(out, &x)| *out = x as i128);
            }
            IntegerStep::Combine { into, arithmetic, a, b } => {
                // A step never writes what it reads (program I2).
                let mut out = std::mem::take(&mut self.integers[into]);
                let tile = out.first_chunk_mut().expect("as long as a tile");
                kernels::zip(tile, self.integers_of(a), self.integers_of(b), |x, y| {
                    calculated(arithmetic, x, y)
                });
                self.integers[into] = out;
            }
            IntegerStep::Select { into, condition, a, b } => {
                let mut out = std::mem::take(&mut self.integers[into]);
                let tile = out.first_chunk_mut().expect("as long as a tile");
                kernels::select(tile, self.masks[condition], self.integers_of(a), self.integers_of(b));
                self.integers[into] = out;
            }
            IntegerStep::Number { into, of } => {
                let (out, of) = (self.columns[into].as_flattened_mut(), self.integers[of].as_flattened());
                out.iter_mut().zip(of).for_each(|(out, &x)| *out = x as f64);
            }
            IntegerStep::Compare { into, comparison, a, b } => {
                let holds = |x, y| comparison.holds(x, y);
                self.masks[into] = kernels::test(self.integers_of(a), self.integers_of(b), holds);
            }
            IntegerStep::CompareMixed { into, comparison, a, b } => {
                let (a, b) = (&self.integers[a], &self.columns[b]);
                let holds = |word: usize, lane: usize| holds_mixed(comparison, a[word][lane], b[word][lane]);
                self.masks[into] = kernels::gather(holds);
            }
        }
    }

    fn integers_of(&self, operand: Operand<i128>) -> StepInput<'_, i128> {
        match operand {
            Operand::Column(column) => StepInput::Column(
                self.integers[column].first_chunk::<TILE_WORDS>().expect("as long as a tile"),
            ),
            Operand::Constant(value) => StepInput::Constant(value),
        }
    }
}
