//! Converts physical values to the inputs of the first layer: `x = clip((value - shift) * scale)`.

use tamis_event::{Dtype, FieldReading};

use crate::recipe::RecipeInput;
use crate::samples::Rows;

/// The preprocessing of the elements of one `[[input]]`. Numbers are rounded to f32, so that the manifest can state them briefly and exactly.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Preprocessing {
    pub field: String,
    pub shift: Vec<f32>,
    pub scale: Vec<f32>,
    pub clip: Option<[f64; 2]>,
}

/// Computes shift and scale from the training rows.
pub(crate) fn learn(
    inputs: &[RecipeInput],
    elements: &[Vec<FieldReading>],
    train: &[&Rows],
) -> Vec<Preprocessing> {
    let mut column = 0;
    let mut learned = Vec::with_capacity(inputs.len());
    for (input, elements) in inputs.iter().zip(elements) {
        let mut one =
            Preprocessing { field: input.field.clone(), shift: vec![], scale: vec![], clip: input.clip };
        for FieldReading { element, .. } in elements {
            let (mean, sigma) = if input.standardize { moments(train, column) } else { (0.0, 1.0) };
            // A constant has no spread to divide by. One step of an integer field is the smallest difference that a detector resolves.
            let floor = if element.dtype.integer_range().is_some() {
                element.scale.abs()
            } else {
                least(element.dtype)
            };
            let sigma = if input.standardize { sigma.max(floor) } else { 1.0 };
            one.shift.push(mean as f32);
            one.scale.push((input.weight / sigma) as f32);
            column += 1;
        }
        learned.push(one);
    }
    learned
}

/// The smallest spread of a floating field that does not count as rounding.
fn least(dtype: Dtype) -> f64 {
    if dtype == Dtype::F16 { 1e-3 } else { 1e-6 }
}

/// Mean and standard deviation of one column, summed in event order.
fn moments(train: &[&Rows], column: usize) -> (f64, f64) {
    let values = || train.iter().flat_map(|rows| rows.iter()).map(|row| f64::from(row[column]));
    let count = values().count().max(1) as f64;
    let mean = values().sum::<f64>() / count;
    let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// The preprocessing of a whole row: shift, scale and clip of each number.
#[derive(Clone, Debug)]
pub(crate) struct Steps(Vec<(f64, f64, Option<[f64; 2]>)>);

impl Steps {
    pub fn new(inputs: &[Preprocessing]) -> Self {
        let steps = inputs.iter().flat_map(|input| {
            let numbers = input.shift.iter().zip(&input.scale);
            numbers.map(|(&shift, &scale)| (f64::from(shift), f64::from(scale), input.clip))
        });
        Self(steps.collect())
    }

    /// Turns physical values into inputs of the network, in place.
    pub fn apply(&self, row: &mut [f32]) {
        for (x, &(shift, scale, clip)) in row.iter_mut().zip(&self.0) {
            let value = (f64::from(*x) - shift) * scale;
            *x = clip.map_or(value, |[low, high]| value.clamp(low, high)) as f32;
        }
    }

    /// A preprocessed copy of rows.
    pub fn apply_all(&self, rows: &Rows) -> Rows {
        let mut out = rows.clone();
        out.values.chunks_exact_mut(rows.width).for_each(|row| self.apply(row));
        out
    }
}
