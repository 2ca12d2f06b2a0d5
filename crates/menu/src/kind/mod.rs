//! Kinds of lines. One file per kind, and one word in [`KINDS`].

mod cut;
mod pass_through;
mod random;

use std::fmt::Debug;

use crate::graph::NodeId;
use crate::lowering::Lowering;
use tamis_form::Complaint;
use tamis_form::Table;

/// What a kind says of itself.
pub(crate) struct Kind {
    /// `kind = "..."` in a menu.
    pub(crate) word: &'static str,
    /// What messages call such a line.
    pub(crate) title: &'static str,
    /// Keys of a line besides those that every line has.
    pub(crate) keys: &'static [&'static str],
    /// Reads these keys.
    pub(crate) read: Read,
}

/// Table of a line and text of the menu to the condition of the line.
type Read = fn(&Table<'_>, &str) -> Result<Box<dyn Condition>, Complaint>;

/// Every kind; the first is the default.
pub(crate) const KINDS: [Kind; 3] = [cut::KIND, random::KIND, pass_through::KIND];

/// When a line passes an event, before its prescale.
pub(crate) trait Condition: Debug + Send + Sync {
    /// Adds what is needed to decide the line called `name`, and gives the truth value, and a warning if that is the same for every event though
    /// it should not be.
    fn lower(&self, name: &str, to: &mut Lowering<'_>) -> Result<(NodeId, Option<Complaint>), Complaint>;
}
