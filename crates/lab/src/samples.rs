//! Events as rows of numbers in physical units, selected by label and divided into training and held-out events.

use std::collections::HashMap;

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tamis_event::{Address, Element, Field, FieldReading, Role, Schema};

use crate::error::TrainError;
use crate::random::selected;
use crate::recipe::{Label, Recipe, RecipeInput};

/// The events of one recorded file.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The schema of the records.
    pub schema: Schema,
    /// The records, contiguous.
    pub events: Vec<u8>,
}

/// The identity of an event, whatever its file, name and label: a hash of all measured fields, and how many equal events precede it in
/// its file. There are many crossings without any object, and each is a separate event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    content: [u64; 2],
    earlier: u64,
}

impl Identity {
    /// The identity of every record of a data set, in order.
    pub fn of_all(dataset: &Dataset) -> Vec<Self> {
        let measured = dataset.schema.fields().iter().filter(|field| field.role == Role::Data);
        let measured: Vec<_> = measured.map(Field::bytes).collect();
        let content = |record: &[u8]| {
            let mut hash = Sha256::new();
            measured.iter().for_each(|bytes| hash.update(&record[bytes.clone()]));
            let hash = hash.finalize();
            let word = |k: usize| u64::from_le_bytes(hash[8 * k..][..8].try_into().expect("8 bytes"));
            [word(0), word(1)]
        };
        let contents: Vec<[u64; 2]> =
            dataset.events.par_chunks_exact(dataset.schema.record_len()).map(content).collect();
        let mut seen: HashMap<[u64; 2], u64> = HashMap::new();
        let number = |content| {
            let count = seen.entry(content).or_insert(0);
            *count += 1;
            Self { content, earlier: *count - 1 }
        };
        contents.into_iter().map(number).collect()
    }

    /// Is this event held out? This depends only on its identity, not on where it was found.
    pub fn is_held_out(self, recipe: &Recipe) -> bool {
        let [a, b] = self.content;
        selected(recipe.seed, a, b.wrapping_add(self.earlier), recipe.held_out)
    }
}

/// Rows of numbers, as wide as the first layer.
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

/// The events of a file that an entry of the recipe selects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'a> {
    pub file: &'a str,
    pub label: Option<&'a Label>,
    pub max_events: Option<usize>,
}

/// The schema elements of every input of the recipe: one list per `[[input]]`.
pub(crate) fn inputs(
    recipe: &Recipe,
    file: &str,
    schema: &Schema,
) -> Result<Vec<Vec<FieldReading>>, TrainError> {
    let inputs = recipe.input.iter().map(|input| input_readings(input, file, schema));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let elements = inputs.iter().map(Vec::len).sum();
    let width = recipe.layers[0];
    if elements != width {
        return Err(TrainError::Width { file: file.into(), elements, width });
    }
    Ok(inputs)
}

impl Recipe {
    /// Everything in the recipe that `schema` does not allow: its inputs, and the labels of the entries that read `file`.
    pub fn faults(&self, file: &str, schema: &Schema) -> Vec<TrainError> {
        let input = |input: &RecipeInput| input_readings(input, file, schema).err();
        let data = self.data.iter().map(|data| (&data.file, &data.label));
        let evaluate = self.evaluate.iter().map(|evaluate| (&evaluate.file, &evaluate.label));
        let labels = data.chain(evaluate).filter(|(read, _)| *read == file);
        let label = |label: &Label| label_element(file, schema, label).err();
        let labels = labels.filter_map(|(_, found)| found.as_ref().and_then(label));
        let mut faults = Vec::new();
        for fault in self.input.iter().filter_map(input).chain(labels) {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        faults
    }
}

/// The rows that an entry selects, and the index of each in its file, in file order. Reads on all cores.
pub(crate) fn select(
    recipe: &Recipe,
    what: Selection<'_>,
    dataset: &Dataset,
) -> Result<(Rows, Vec<usize>), TrainError> {
    let Selection { file, label, max_events } = what;
    let schema = &dataset.schema;
    let record = dataset.schema.record_len();
    if !dataset.events.len().is_multiple_of(record) {
        return Err(TrainError::Records { file: file.into(), bytes: dataset.events.len(), record });
    }
    let elements: Vec<FieldReading> = inputs(recipe, file, schema)?.concat();
    let truth = label.map(|label| label_element(file, schema, label)).transpose()?;
    let is_wanted = |record: &[u8]| match (label, truth) {
        (Some(label), Some(truth)) => {
            label.values.iter().any(|&value| truth.physical(record) == value as f64)
        }
        _ => true,
    };
    let all = dataset.events.chunks_exact(record).enumerate();
    let (places, records): (Vec<usize>, Vec<&[u8]>) =
        all.filter(|(_, record)| is_wanted(record)).take(max_events.unwrap_or(usize::MAX)).unzip();
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
            let event = places[at / elements.len()];
            let input = at % elements.len();
            Err(TrainError::NotFinite { file: file.into(), event, input })
        }
        None => Ok((rows, places)),
    }
}

fn input_readings(input: &RecipeInput, file: &str, schema: &Schema) -> Result<Vec<FieldReading>, TrainError> {
    let fault = |source| TrainError::Field { file: file.into(), source };
    let (readings, role) = schema.readings(&input.field).map_err(fault)?;
    if role == Role::Truth {
        return Err(TrainError::Truth { file: file.into(), field: input.field.clone() });
    }
    Ok(readings)
}

fn label_element(file: &str, schema: &Schema, label: &Label) -> Result<Element, TrainError> {
    match resolve(file, schema, &label.field)?.1[..] {
        [truth] => Ok(truth),
        _ => Err(TrainError::Label { file: file.into(), field: label.field.clone() }),
    }
}

fn resolve(file: &str, schema: &Schema, field: &str) -> Result<(Address, Vec<Element>), TrainError> {
    let fault = |source| TrainError::Field { file: file.into(), source };
    let address: Address = field.parse().map_err(fault)?;
    let elements = schema.resolve(&address).map_err(fault)?;
    Ok((address, elements))
}
