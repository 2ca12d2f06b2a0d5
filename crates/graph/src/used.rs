//! Finds the numbers of an event that a graph uses.

use burn::tensor::Device;

use crate::forest::TreeNode;
use crate::graph::{Graph, Step};
use crate::operator::Inputs;
use crate::source::{Constant, Data};
use crate::value::{Value, each};

impl Graph {
    /// For every input number: does any step use it? Numbers that are moved and then dropped, and features that no tree tests, are
    /// not used; numbers with zero weights count as used.
    pub fn used_inputs(&self) -> Vec<bool> {
        let mut used = vec![false; self.input_numbers()];
        // For values that were only moved: the index in the event of every number.
        let mut origins: Vec<Option<Vec<i64>>> = vec![None; self.values.len()];
        let mut from = 0;
        for (slot, input) in self.inputs.iter().enumerate() {
            let numbers = input.dims.iter().product::<usize>() as i64;
            origins[slot] = Some((from..from + numbers).collect());
            from += numbers;
        }
        for step in &self.steps {
            match self.moved(step, &origins) {
                Some(moved) => {
                    for (slot, origin) in step.outputs.iter().zip(moved) {
                        slot.iter().for_each(|&slot| origins[slot] = Some(origin.clone()));
                    }
                }
                None => self.looks(step, &origins).for_each(|at| used[at as usize] = true),
            }
        }
        let given = self.outputs.iter().filter_map(|output| origins[output.slot].as_ref());
        given.flatten().for_each(|&at| used[at as usize] = true);
        used
    }

    /// Tracks numbers through a step that only moves them, by running it on their indices.
    fn moved(&self, step: &Step, origins: &[Option<Vec<i64>>]) -> Option<Vec<Vec<i64>>> {
        let origin =
            origins[step.inputs.first().copied().flatten()?].as_ref().filter(|_| step.operator.moves())?;
        let cpu = Device::flex();
        let places = Value::of(&Constant::ints([origin.len()], origin.clone()), &cpu);
        let rows = step.inputs[0].map_or(1, |slot| self.values[slot].kind.rows());
        let places = each!(places, x => x.reshape([rows, origin.len() / rows]));
        let rest = step.inputs[1..].iter().map(|slot| {
            slot.and_then(|slot| self.values[slot].constant.as_ref())
                .map(|constant| Value::of(constant, &cpu))
        });
        let values = std::iter::once(Some(places)).chain(rest).collect();
        let moved = step.operator.run(&mut Inputs::new(values, &cpu)).into_iter().map(|value| {
            let numbers = match &value {
                Value::Int(tensor) => tensor.dims().iter().product(),
                Value::Float(_) | Value::Bool(_) => 0,
            };
            match value.into_constant(&[numbers]) {
                Ok(Constant { data: Data::Ints(places), .. }) => Some(places),
                _ => None,
            }
        });
        moved.collect()
    }

    /// The numbers of the event that a step reads.
    fn looks(&self, step: &Step, origins: &[Option<Vec<i64>>]) -> impl Iterator<Item = i64> {
        let mut read: Vec<i64> = Vec::new();
        for origin in step.inputs.iter().flatten().filter_map(|&slot| origins[slot].as_ref()) {
            match step.operator.as_forest().filter(|_| self.rows(step) == 1) {
                None => read.extend(origin),
                Some(forest) => read.extend(forest.nodes().iter().filter_map(|node| match *node {
                    TreeNode::Split { feature, .. } => Some(origin[feature as usize]),
                    TreeNode::Leaf { .. } => None,
                })),
            }
        }
        read.into_iter()
    }
}
