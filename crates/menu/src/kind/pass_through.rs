//! `kind = "pass-through"`: passes every event; its prescale determines how many are kept.

use super::{Condition, Kind};
use crate::graph::NodeId;
use crate::lowering::Lowering;
use tamis_form::Complaint;
use tamis_form::Table;

pub(super) const KIND: Kind = Kind { word: "pass-through", title: "a pass-through line", keys: &[], read };

fn read(table: &Table<'_>, _text: &str) -> Result<Box<dyn Condition>, Complaint> {
    Ok(Box::new(PassThrough { at: table.at() }))
}

#[derive(Debug)]
struct PassThrough {
    at: usize,
}

impl Condition for PassThrough {
    fn lower(&self, _name: &str, to: &mut Lowering<'_>) -> Result<(NodeId, Option<Complaint>), Complaint> {
        Ok((to.always(self.at)?, None))
    }
}
