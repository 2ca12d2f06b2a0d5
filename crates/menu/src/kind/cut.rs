//! `kind = "cut"`: passes an event if `when` holds.

use super::{Condition, LineKind};
use crate::expression::{self, Expr};
use crate::graph::NodeId;
use crate::lowering::Lowering;
use tamis_form::Complaint;
use tamis_form::Table;

pub(super) const KIND: LineKind = LineKind { word: "cut", title: "a cut line", keys: &["when"], read };

fn read(table: &Table<'_>, text: &str) -> Result<Box<dyn Condition>, Complaint> {
    let when = table.required("when", "\"met.pt > 100\"")?;
    Ok(Box::new(CutLine { when: expression::parse(text, &when)? }))
}

#[derive(Debug)]
struct CutLine {
    when: Expr,
}

impl Condition for CutLine {
    fn lower(&self, _name: &str, to: &mut Lowering<'_>) -> Result<(NodeId, Option<Complaint>), Complaint> {
        to.condition(&self.when)
    }
}
