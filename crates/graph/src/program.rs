//! A graph on a device.
//!
//! Threads: clones share the constants, without locks. A run belongs to its caller.
//!
//! Cost: one allocation per operator, inside burn; the last user of a value gets it without a copy.

use std::sync::Arc;

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::graph::Graph;
use crate::operator::Inputs;
use crate::packed::Unpack;
use crate::source::{Constant, Kind};
use crate::value::{Value, truncated, wrapped};

/// A graph whose constants are on a device, ready to run.
#[derive(Clone, Debug)]
pub struct Program {
    graph: Arc<Graph>,
    device: Device,
    /// The value of every constant slot.
    constants: Vec<Option<Value>>,
    /// The last step that needs each slot.
    last_use: Vec<usize>,
}

/// Outputs that a device is computing; [`Pending::wait`] waits for them.
#[derive(Debug)]
pub struct Pending {
    values: Vec<(Value, usize)>,
    /// The input rows, if reading them back costs nothing.
    table: Option<Tensor<2>>,
}

/// Masks `[events, 1]` of events that can have no score.
struct Lost {
    events: usize,
    found: Vec<Tensor<2, Bool>>,
}

impl Program {
    /// Copies the constants of a graph to a device.
    pub fn new(graph: Arc<Graph>, device: &Device) -> Self {
        let constant =
            |slot: &crate::graph::Slot| slot.constant.as_ref().map(|constant| Value::of(constant, device));
        let constants = graph.values.iter().map(constant).collect();
        let mut last_use = vec![0; graph.values.len()];
        for (index, step) in graph.steps.iter().enumerate() {
            step.inputs.iter().flatten().for_each(|&slot| last_use[slot] = index);
        }
        graph.outputs.iter().for_each(|output| last_use[output.slot] = usize::MAX);
        Self { graph, device: device.clone(), constants, last_use }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The graph.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// Starts a run over `rows` events; a row holds the numbers of all inputs, in order.
    ///
    /// # Panics
    /// If the length of `numbers` is not that of `rows` rows.
    pub fn start(&self, numbers: Vec<f32>, rows: usize) -> Pending {
        let width = self.graph.input_numbers();
        assert_eq!(numbers.len(), rows * width, "whole rows");
        let table = Tensor::<2>::from_data(TensorData::new(numbers, [rows, width]), &self.device);
        let keeps = self.device == Device::flex();
        Pending { table: keeps.then(|| table.clone()), ..self.start_table(&table) }
    }

    /// Like [`Program::start`], from rows of 16-bit integers, which `unpack` turns into floats on the device: half as much to transfer.
    ///
    /// # Panics
    /// If the number of integers is not that of `rows` rows of [`Unpack::stride`].
    pub fn start_packed(&self, unpack: &Unpack, integers: Vec<i16>, rows: usize) -> Pending {
        self.start_table(&unpack.run(integers, rows))
    }

    fn start_table(&self, table: &Tensor<2>) -> Pending {
        let mut values = self.constants.clone();
        let mut lost = Vec::new();
        let inputs = &self.graph.inputs;
        let mut from = 0;
        for (slot, input) in inputs.iter().enumerate() {
            let width: usize = input.dims.iter().product();
            let columns =
                if inputs.len() == 1 { table.clone() } else { table.clone().narrow(1, from, width) };
            from += width;
            if input.kind != Kind::Float && width > 0 {
                lost.push(columns.clone().is_nan().any_dim(1));
            }
            values[slot] = Some(match input.kind {
                Kind::Float => Value::Float(columns),
                Kind::Int => Value::Int(wrapped(truncated(columns, &self.device), input.int32)),
                Kind::Bool => Value::Bool(columns.not_equal_scalar(0)),
            });
        }
        self.run(values, Some(Lost { events: table.dims()[0], found: lost }))
    }

    /// Runs a graph without an axis of events over whole tensors, one per input in order.
    pub fn run_whole(&self, inputs: &[Constant]) -> Result<Vec<Constant>, String> {
        let mut values = self.constants.clone();
        for (slot, input) in inputs.iter().enumerate() {
            values[slot] = Some(Value::of(input, &self.device));
        }
        let done = self.run(values, None).values.into_iter().zip(&self.graph.outputs);
        done.map(|((value, _), output)| value.into_constant(&output.kind.dims)).collect()
    }

    /// Runs all steps; `lost` is `None` in a graph without events.
    fn run(&self, mut values: Vec<Option<Value>>, mut lost: Option<Lost>) -> Pending {
        for (index, step) in self.graph.steps.iter().enumerate() {
            let mut fetch = |slot: &Option<usize>| {
                slot.and_then(|slot| {
                    if self.last_use[slot] == index { values[slot].take() } else { values[slot].clone() }
                })
            };
            let mut inputs = Inputs::new(step.inputs.iter().map(&mut fetch).collect(), &self.device);
            // If an input is the same value as an earlier one, it was already taken.
            if step.inputs.iter().zip(&inputs.values).any(|(slot, value)| slot.is_some() && value.is_none()) {
                refill(&step.inputs, &mut inputs.values);
            }
            for (value, slot) in step.operator.run(&mut inputs).into_iter().zip(&step.outputs) {
                if let Some(slot) = slot {
                    values[*slot] = Some(value);
                }
            }
            if let Some(lost) = &mut lost {
                lost.extend(inputs.lost);
            }
        }
        let lost = lost.and_then(|lost| lost.found.into_iter().reduce(Tensor::bool_or));
        let outputs = self.graph.outputs.iter();
        let value = |slot: usize| values[slot].clone().expect("every output is made");
        let value = |slot: usize| match &lost {
            Some(lost) => without_score(value(slot), lost),
            None => value(slot),
        };
        let values = outputs.map(|output| (value(output.slot), output.kind.numbers())).collect();
        Pending { values, table: None }
    }
}

/// The numbers, with NaN for events that can have no score.
fn without_score(value: Value, lost: &Tensor<2, Bool>) -> Value {
    let numbers = match value {
        Value::Float(tensor) => tensor,
        Value::Int(tensor) => tensor.float(),
        Value::Bool(tensor) => tensor.float(),
    };
    let shape = numbers.dims();
    Value::Float(numbers.expand(shape).mask_fill(lost.clone().expand(shape), f32::NAN))
}

impl Lost {
    /// Adds the masks of [`Inputs::lost`], merging the rows of an event where it has several.
    fn extend(&mut self, found: Vec<Tensor<2, Bool>>) {
        let events = self.events;
        self.found.extend(found.into_iter().map(|lost| {
            let [rows, _] = lost.dims();
            if rows <= events { lost } else { lost.reshape([events, rows / events]).any_dim(1) }
        }));
    }
}

fn refill(slots: &[Option<usize>], values: &mut [Option<Value>]) {
    for index in 0..slots.len() {
        if slots[index].is_some() && values[index].is_none() {
            let first = slots[..index].iter().position(|slot| *slot == slots[index]);
            values[index] = first.and_then(|first| values[first].clone());
        }
    }
}

impl Pending {
    /// Waits for the outputs as `f32`, row-major, with the numbers of all outputs of an event side by side. On the CPU the memory of
    /// the inputs is returned, with the numbers in it.
    pub fn wait(self, rows: usize) -> Result<(Vec<f32>, Option<Vec<f32>>), String> {
        let numbers = join(self.values, rows)?;
        // This is now the only handle, so nothing is copied.
        let table = self.table.map(|table| table.try_into_vec_as().map_err(|error| error.to_string()));
        Ok((numbers, table.transpose()?))
    }
}

fn join(values: Vec<(Value, usize)>, rows: usize) -> Result<Vec<f32>, String> {
    let fail = |error: burn::tensor::TensorReadError| error.to_string();
    let mut parts = Vec::with_capacity(values.len());
    for (value, width) in values {
        let numbers: Vec<f32> = match value {
            Value::Float(tensor) => tensor.try_into_vec_as().map_err(fail)?,
            Value::Int(tensor) => tensor.float().try_into_vec_as().map_err(fail)?,
            Value::Bool(tensor) => tensor.float().try_into_vec_as().map_err(fail)?,
        };
        if numbers.len() != rows * width {
            return Err(format!("gave {} numbers for {rows} events of {width}", numbers.len()));
        }
        parts.push((numbers, width));
    }
    if let [_] = &parts[..] {
        return Ok(parts.swap_remove(0).0);
    }
    let rows = (0..rows)
        .flat_map(|row| parts.iter().flat_map(move |(numbers, width)| &numbers[row * width..][..*width]));
    Ok(rows.copied().collect())
}
