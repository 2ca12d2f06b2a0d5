//! `kind = "random"`: passes one event in `every`, by hash. Two random lines draw independently, and so does the prescale of a random line.

use super::{Condition, LineKind};
use crate::graph::NodeId;
use crate::limits::PRESCALE_MAX;
use crate::lottery::Lottery;
use crate::lowering::Lowering;
use tamis_form::Complaint;
use tamis_form::Table;

pub(super) const KIND: LineKind = LineKind { word: "random", title: "a random line", keys: &["every"], read };

fn read(table: &Table<'_>, _text: &str) -> Result<Box<dyn Condition>, Complaint> {
    let every = table.count("every", PRESCALE_MAX)?.ok_or_else(|| table.missing("every", "1000"))?;
    Ok(Box::new(Random { at: table.at(), every }))
}

#[derive(Debug)]
struct Random {
    at: usize,
    every: u64,
}

impl Condition for Random {
    fn lower(&self, name: &str, to: &mut Lowering<'_>) -> Result<(NodeId, Option<Complaint>), Complaint> {
        Ok((to.draw(self.at, Lottery::new(&format!("{name}#random"), self.every))?, None))
    }
}
