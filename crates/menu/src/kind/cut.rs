//! `kind = "cut"`: passes an event if `when` holds.

use super::{Condition, Kind};
use crate::expression::{self, Expr};
use crate::graph::NodeId;
use crate::lowering::Lowering;
use tamis_form::Complaint;
use tamis_form::Table;

pub(super) const KIND: Kind = Kind { word: "cut", title: "a cut line", keys: &["when"], read };

fn read(table: &Table<'_>, text: &str) -> Result<Box<dyn Condition>, Complaint> {
    let when = table.required("when", "\"met.pt > 100\"")?;
    Ok(Box::new(Cut { when: expression::parse(text, &when)? }))
}

#[derive(Debug)]
struct Cut {
    when: Expr,
}

impl Condition for Cut {
    fn lower(&self, _name: &str, to: &mut Lowering<'_>) -> Result<(NodeId, Option<Complaint>), Complaint> {
        to.condition(&self.when)
    }
}
