//! Finds the numbers of an event that a graph uses.

use burn::tensor::Device;

#[cfg(doc)]
use crate::StepInfo;
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
        let origins = self.origins();
        for step in &self.steps {
            if !step.outputs.iter().flatten().all(|&slot| origins[slot].is_some()) {
                self.looks(step, &origins).for_each(|at| used[at as usize] = true);
            }
        }
        let given = self.outputs.iter().filter_map(|output| origins[output.slot].as_ref());
        given.flatten().for_each(|&at| used[at as usize] = true);
        used
    }

    /// Which number of the event every number of a value is, for values that were only moved. In the order of [`StepInfo::makes`].
    pub fn origins(&self) -> Vec<Option<Vec<i64>>> {
        let mut origins: Vec<Option<Vec<i64>>> = vec![None; self.values.len()];
        let mut from = 0;
        for (slot, input) in self.inputs.iter().enumerate() {
            let numbers = input.dims.iter().product::<usize>() as i64;
            origins[slot] = Some((from..from + numbers).collect());
            from += numbers;
        }
        for step in &self.steps {
            for (slot, origin) in step.outputs.iter().zip(self.moved(step, &origins).unwrap_or_default()) {
                slot.iter().for_each(|&slot| origins[slot] = Some(origin.clone()));
            }
        }
        origins
    }

    /// Tracks numbers through a step that only moves them, by running it on their indices.
    fn moved(&self, step: &Step, origins: &[Option<Vec<i64>>]) -> Option<Vec<Vec<i64>>> {
        step.inputs.first().copied().flatten().filter(|_| step.operator.moves())?;
        let cpu = Device::flex();
        let value = |&slot: &Option<usize>| {
            let Some(slot) = slot else { return Some(None) };
            if let Some(constant) = &self.values[slot].constant {
                return Some(Some(Value::of(constant, &cpu)));
            }
            let origin = origins[slot].as_ref()?;
            let rows = self.values[slot].kind.rows();
            let places = Value::of(&Constant::ints([origin.len()], origin.clone()), &cpu);
            Some(Some(each!(places, x => x.reshape([rows, origin.len() / rows]))))
        };
        let values = step.inputs.iter().map(value).collect::<Option<Vec<_>>>()?;
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
