//! Kinds of lines. A kind is one file here and one entry in [`KINDS`].

mod cut;
mod pass_through;
mod random;

use std::fmt::Debug;

use crate::graph::NodeId;
use crate::lowering::Lowering;
use tamis_form::Complaint;
use tamis_form::Table;

/// Describes a kind of line.
pub(crate) struct LineKind {
    /// `kind = "..."` in a menu.
    pub(crate) word: &'static str,
    /// What messages call such a line.
    pub(crate) title: &'static str,
    /// The keys of such a line besides those that every line has.
    pub(crate) keys: &'static [&'static str],
    /// Reads these keys.
    pub(crate) read: Read,
}

/// Makes the condition of a line from its table and the text of the menu.
type Read = fn(&Table<'_>, &str) -> Result<Box<dyn Condition>, Complaint>;

/// Every kind; the first is the default.
pub(crate) const KINDS: [LineKind; 3] = [cut::KIND, random::KIND, pass_through::KIND];

/// When a line passes an event, before its prescale.
pub(crate) trait Condition: Debug + Send + Sync {
    /// Adds the operations that decide the line called `name` to the graph. Returns its truth value, and a warning if that is the same for every
    /// event though it should not be.
    fn lower(&self, name: &str, to: &mut Lowering<'_>) -> Result<(NodeId, Option<Complaint>), Complaint>;
}
