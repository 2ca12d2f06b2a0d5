//! Events as rows of numbers: chosen by label, in physical units, divided into those to train with and those held out.

use rayon::prelude::*;
use tamis_event::{Address, Element, Role, Schema};

use crate::error::TrainError;
use crate::random::selected;
use crate::recipe::{Label, Recipe};

/// The events of one recorded file.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// What the records are.
    pub schema: Schema,
    /// The records, one after the other.
    pub events: Vec<u8>,
}

/// Rows of one entry of a recipe, in physical units, as wide as the first layer.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub width: usize,
    pub values: Vec<f32>,
}

impl Rows {
    pub fn new(width: usize) -> Self {
        Self { width, values: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    pub fn push(&mut self, row: &[f32]) {
        self.values.extend_from_slice(row);
    }
}

/// Which events of a file an entry takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'a> {
    pub file: &'a str,
    pub label: Option<&'a Label>,
    pub max_events: Option<usize>,
}

/// Elements of every input of the recipe in this schema: one list per `[[input]]`.
pub(crate) fn inputs(recipe: &Recipe, file: &str, schema: &Schema) -> Result<Vec<Vec<Element>>, TrainError> {
    let mut inputs = Vec::with_capacity(recipe.input.len());
    for input in &recipe.input {
        let (address, elements) = resolve(file, schema, &input.field)?;
        if schema.field(&address.field).is_ok_and(|field| field.role == Role::Truth) {
            return Err(TrainError::Truth { file: file.into(), field: input.field.clone() });
        }
        inputs.push(elements);
    }
    let (elements, width) = (inputs.iter().map(Vec::len).sum(), recipe.layers[0]);
    if elements != width {
        return Err(TrainError::Width { file: file.into(), elements, width });
    }
    Ok(inputs)
}

/// The rows that an entry selects, in the order of the file. Numbers are read on all cores.
pub(crate) fn select(recipe: &Recipe, what: Selection<'_>, dataset: &Dataset) -> Result<Rows, TrainError> {
    let Selection { file, label, max_events } = what;
    let (schema, record) = (&dataset.schema, dataset.schema.record_len());
    if !dataset.events.len().is_multiple_of(record) {
        return Err(TrainError::Records { file: file.into(), bytes: dataset.events.len(), record });
    }
    let elements: Vec<Element> = inputs(recipe, file, schema)?.concat();
    let records: Vec<&[u8]> = match label {
        None => dataset.events.chunks_exact(record).take(max_events.unwrap_or(usize::MAX)).collect(),
        Some(label) => {
            let (_, truth) = resolve(file, schema, &label.field)?;
            let [truth] = truth[..] else {
                return Err(TrainError::Label { file: file.into(), field: label.field.clone() });
            };
            let wanted =
                |record: &&[u8]| label.values.iter().any(|&value| truth.physical(record) == value as f64);
            dataset
                .events
                .chunks_exact(record)
                .filter(wanted)
                .take(max_events.unwrap_or(usize::MAX))
                .collect()
        }
    };
    if records.is_empty() {
        return Err(TrainError::NoEvents { file: file.into() });
    }
    let mut rows = Rows { width: elements.len(), values: vec![0.0; records.len() * elements.len()] };
    rows.values.par_chunks_mut(elements.len()).zip(&records).for_each(|(row, record)| {
        for (value, element) in row.iter_mut().zip(&elements) {
            *value = element.physical(record) as f32;
        }
    });
    match rows.values.iter().position(|value| !value.is_finite()) {
        Some(at) => {
            let (event, input) = (at / elements.len(), at % elements.len());
            Err(TrainError::NotFinite { file: file.into(), event, input })
        }
        None => Ok(rows),
    }
}

/// Divides rows into those to train with and those held out: by a hash of seed, entry and place, so that neither depends on the other.
pub(crate) fn split(rows: &Rows, recipe: &Recipe, entry: u64) -> (Rows, Rows) {
    let (mut train, mut held_out) = (Rows::new(rows.width), Rows::new(rows.width));
    for (index, row) in rows.iter().enumerate() {
        let held = selected(recipe.seed, entry, index as u64, recipe.held_out);
        if held { &mut held_out } else { &mut train }.push(row);
    }
    (train, held_out)
}

fn resolve(file: &str, schema: &Schema, field: &str) -> Result<(Address, Vec<Element>), TrainError> {
    let fault = |source| TrainError::Field { file: file.into(), source };
    let address: Address = field.parse().map_err(fault)?;
    let elements = schema.resolve(&address).map_err(fault)?;
    Ok((address, elements))
}
