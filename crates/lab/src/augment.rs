//! Augmentation: makes equally likely events by rotation about the beam and by reflection along it, under which the physics is symmetric.
//!
//! Every time an event is used for training, all its angles marked `rotate` turn by one random angle, and all its coordinates marked `reflect`
//! change sign together or not at all. This reduces overfitting to a small sample. An exact 0 stays: it marks an absent object.
//!
//! A turned angle stays in the range of its input: from -pi to pi if a training event has a negative angle, else from 0 to 2 pi; in degrees
//! from -180 to 180, or from 0 to 360. An angle is in degrees if its unit in the schema begins with `deg`, or if it has no unit and training
//! events have angles above 2 pi.

use std::f64::consts::TAU;

use tamis_event::FieldReading;

use crate::error::TrainError;
use crate::random::Random;
use crate::recipe::{Augment, RecipeInput};
use crate::samples::Rows;

/// The columns of a row that change under the symmetries.
#[derive(Clone, Debug)]
pub(crate) struct Symmetries {
    rotate: Vec<Angle>,
    reflect: Vec<usize>,
}

/// A column that holds an angle.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Angle {
    column: usize,
    /// The lower end of its range.
    low: f64,
    /// A full turn in its unit.
    turn: f64,
}

impl Angle {
    fn turned(self, value: f32, turns: f64) -> f32 {
        let Self { low, turn, .. } = self;
        let turned = low + (f64::from(value) + turns * turn - low).rem_euclid(turn);
        // Rounding to f32 may give the upper end of the range, which is the same angle as the lower end.
        if (turned as f32) < (low + turn) as f32 { turned as f32 } else { low as f32 }
    }
}

impl Symmetries {
    /// The symmetries of the inputs; units and training rows determine the range of an angle.
    pub fn new(
        inputs: &[RecipeInput],
        elements: &[Vec<FieldReading>],
        units: &[String],
        train: &[Rows],
    ) -> Result<Self, TrainError> {
        let mut found = Self { rotate: Vec::new(), reflect: Vec::new() };
        let mut column = 0;
        for ((input, elements), unit) in inputs.iter().zip(elements).zip(units) {
            let columns = column..column + elements.len();
            column = columns.end;
            match input.augment {
                Some(Augment::Rotate) => {
                    let values = train.iter().flat_map(Rows::iter).flat_map(|row| &row[columns.clone()]);
                    let (low, high) =
                        values.fold((0.0_f32, 0.0_f32), |(low, high), &x| (low.min(x), high.max(x)));
                    let range = range(unit, low.into(), high.into());
                    let range =
                        range.ok_or_else(|| TrainError::Angle { field: input.field.clone(), low, high })?;
                    found.rotate.extend(columns.map(|column| Angle { column, low: range.0, turn: range.1 }));
                }
                Some(Augment::Reflect) => found.reflect.extend(columns),
                None => {}
            }
        }
        Ok(found)
    }

    /// Augments a row of physical values in place.
    pub fn apply(&self, random: &mut Random, row: &mut [f32]) {
        let turns = f64::from(random.symmetric()) / 2.0;
        for &angle in &self.rotate {
            let value = &mut row[angle.column];
            if *value != 0.0 {
                *value = angle.turned(*value, turns);
            }
        }
        if random.symmetric() < 0.0 {
            self.reflect.iter().for_each(|&column| row[column] = -row[column]);
        }
    }
}

/// Smallest angle and full turn of an input whose values range from `low` (0 or less) to `high` (0 or more); `None` if it is no angle.
fn range(unit: &str, low: f64, high: f64) -> Option<(f64, f64)> {
    // Detectors round angles, some to slightly beyond a full turn.
    const SLACK: f64 = 1.01;
    let in_degrees = unit.starts_with("deg") || unit.is_empty() && high.max(-low) > SLACK * TAU;
    let turn = if in_degrees { 360.0 } else { TAU };
    let start = if low < 0.0 { -turn / 2.0 } else { 0.0 };
    let fits = low >= SLACK * start && high <= start + SLACK * turn;
    fits.then_some((start, turn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_angle_stays_in_its_range_and_fills_it() {
        let pi = TAU / 2.0;
        for (unit, low, high, expected) in [
            ("rad", -3.1, 3.1, Some((-pi, TAU))),
            ("", 0.0, 6.25, Some((0.0, TAU))),
            ("deg", -20.0, 100.0, Some((-180.0, 360.0))),
            ("degrees", 0.0, 3.0, Some((0.0, 360.0))),
            ("", 0.0, 359.0, Some((0.0, 360.0))),
            ("", -179.0, 180.0, Some((-180.0, 360.0))),
            ("rad", 0.0, 7.0, None),
            ("", -1.0, 300.0, None),
            ("GeV", -5.0, 900.0, None),
        ] {
            assert_eq!(range(unit, low, high), expected, "{unit} {low} {high}");
            let Some((low, turn)) = expected else { continue };
            let angle = Angle { column: 0, low, turn };
            let mut random = Random::new(1, 2);
            let turned = (0..10_000).map(|_| angle.turned(high as f32, f64::from(random.symmetric()) / 2.0));
            let turned: Vec<f64> = turned.map(f64::from).collect();
            assert!(turned.iter().all(|&x| x >= f64::from(low as f32) && x < low + turn), "{unit}");
            let below = turned.iter().filter(|&&x| x < low + turn / 4.0).count();
            assert!((2200..2800).contains(&below), "{below} of 10,000 in the first quarter");
        }
    }

    /// Angles in different units turn together: differences between objects stay.
    #[test]
    fn differences_stay() {
        let a = Angle { column: 0, low: -180.0, turn: 360.0 };
        let b = Angle { column: 1, low: 0.0, turn: TAU };
        for step in -10..10 {
            let turns = f64::from(step) / 20.0;
            let (x, y) = (a.turned(50.0, turns), b.turned(1.0, turns));
            let between = (f64::from(x).to_radians() - f64::from(y)).rem_euclid(TAU);
            assert!((between - (50_f64.to_radians() - 1.0).rem_euclid(TAU)).abs() < 1e-4, "{step}");
        }
    }
}
