//! `kind = "pass-through"`: passes every event; its prescale determines how many are kept.

use super::{Condition, LineKind};
use crate::graph::NodeId;
use crate::lowering::Lowering;
use tamis_form::Complaint;
use tamis_form::Table;

pub(super) const KIND: LineKind =
    LineKind { word: "pass-through", title: "a pass-through line", keys: &[], read };

fn read(table: &Table<'_>, _text: &str) -> Result<Box<dyn Condition>, Complaint> {
    Ok(Box::new(PassThroughLine { at: table.at() }))
}

#[derive(Debug)]
struct PassThroughLine {
    at: usize,
}

impl Condition for PassThroughLine {
    fn lower(&self, _name: &str, to: &mut Lowering<'_>) -> Result<(NodeId, Option<Complaint>), Complaint> {
        Ok((to.always(self.at)?, None))
    }
}
