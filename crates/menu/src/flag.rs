//! Conditions that may be unknown, because a number in them became NaN.
//!
//! They follow Kleene's three-valued logic: `false && unknown` is false, `true || unknown` is true, and anything else with an unknown condition is
//! unknown. So `b > 0 && a / b > 2` is false where both are 0, and not unknown.
//!
//! * I1: a flag never both holds and is unknown.
//! * I2: a condition that cannot be unknown costs nothing extra.

use crate::graph::{MenuGraph, NodeId, TooLarge};

/// A condition of an expression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// True where the condition holds.
    pub(crate) id: NodeId,
    /// True where the condition is unknown; `None` if it never is.
    pub(crate) unknown: Option<NodeId>,
}

type Made<T> = Result<T, TooLarge>;

impl Flag {
    pub(crate) fn sure(id: NodeId) -> Self {
        Self { id, unknown: None }
    }
}

impl MenuGraph {
    /// The union of two optional conditions; `None` if both are absent.
    pub(crate) fn either(&mut self, a: Option<NodeId>, b: Option<NodeId>) -> Made<Option<NodeId>> {
        let both = match (a, b) {
            (Some(a), Some(b)) => Some(self.or(a, b)?),
            (one, other) => one.or(other),
        };
        Ok(both.filter(|&id| self.as_truth(id) != Some(false)))
    }

    pub(crate) fn both_hold(&mut self, a: Flag, b: Flag) -> Made<Flag> {
        let id = self.and(a.id, b.id)?;
        let Some(unknown) = self.either(a.unknown, b.unknown)? else { return Ok(Flag::sure(id)) };
        let (a, b) = (self.possible(a)?, self.possible(b)?);
        let possible = self.and(a, b)?;
        let unknown = self.and(unknown, possible)?;
        Ok(Flag { id, unknown: self.either(Some(unknown), None)? })
    }

    pub(crate) fn one_holds(&mut self, a: Flag, b: Flag) -> Made<Flag> {
        let id = self.or(a.id, b.id)?;
        let Some(unknown) = self.either(a.unknown, b.unknown)? else { return Ok(Flag::sure(id)) };
        let fails = self.not(id)?;
        let unknown = self.and(unknown, fails)?;
        Ok(Flag { id, unknown: self.either(Some(unknown), None)? })
    }

    pub(crate) fn fails(&mut self, a: Flag) -> Made<Flag> {
        let possible = self.possible(a)?;
        Ok(Flag { id: self.not(possible)?, ..a })
    }

    /// True where the condition holds or is unknown.
    fn possible(&mut self, a: Flag) -> Made<NodeId> {
        match a.unknown {
            Some(unknown) => self.or(a.id, unknown),
            None => Ok(a.id),
        }
    }
}
