//! Events that did not happen but might have: the physics does not know where x points, nor which end of the beam is which.
//!
//! Every time an event is learned from, all its angles marked `rotate` turn by one random angle, and all its coordinates marked `reflect`
//! change sign together or not at all. This keeps a small sample from being learned by heart. An exact 0 stays: it marks an absent object.

use std::f64::consts::TAU;

use tamis_event::Element;

use crate::random::Random;
use crate::recipe::{Augment, Input};

/// Columns of a row that change under the symmetries.
#[derive(Clone, Debug)]
pub(crate) struct Symmetries {
    rotate: Vec<usize>,
    reflect: Vec<usize>,
}

impl Symmetries {
    pub fn new(inputs: &[Input], elements: &[Vec<Element>]) -> Self {
        let mut found = Self { rotate: Vec::new(), reflect: Vec::new() };
        let mut column = 0;
        for (input, elements) in inputs.iter().zip(elements) {
            let columns = column..column + elements.len();
            column = columns.end;
            match input.augment {
                Some(Augment::Rotate) => found.rotate.extend(columns),
                Some(Augment::Reflect) => found.reflect.extend(columns),
                None => {}
            }
        }
        found
    }

    /// Changes a row of physical values.
    pub fn apply(&self, random: &mut Random, row: &mut [f32]) {
        let angle = f64::from(random.symmetric()) * TAU / 2.0;
        for &column in &self.rotate {
            if row[column] != 0.0 {
                row[column] = (f64::from(row[column]) + angle).rem_euclid(TAU) as f32;
            }
        }
        if random.symmetric() < 0.0 {
            self.reflect.iter().for_each(|&column| row[column] = -row[column]);
        }
    }
}
