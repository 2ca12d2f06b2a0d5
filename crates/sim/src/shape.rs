//! Chooses the distribution of a field from its name and unit.
//!
//! ```text
//!   pt, et, energy ...   falling exponentially, zero-suppressed, ordered within an array
//!   eta                  Gaussian          phi   flat over the circle
//!   truth                0 or the signal class           anything else   Gaussian noise within the type's range
//! ```
//!
//! Fields of one object (`jets.pt`, `jets.eta`, `jets.phi`) share a prefix and a length; where the ordered one is 0 there is no object, and
//! all of them are 0, and a list has no element. A list without an ordered field has any number of elements. Signals act on the random number behind a falling quantity, so they lie in its tail whatever its scale.

use std::f64::consts::TAU;

use tamis_event::{Dtype, Field, List, Role, Schema};

use crate::random::Random;

/// Number of signal classes: 1 is a pair of hard objects, 2 many objects, 3 hard scalar quantities (missing energy and sums).
pub const SIGNAL_CLASSES: u8 = 3;

const FALLING: [&str; 9] = ["pt", "et", "e", "energy", "ht", "mass", "m", "adc", "amplitude"];
/// Objects below this fraction of the mean are absent, as after zero suppression.
const THRESHOLD: f64 = 0.5;
/// Points of the tabulated Gaussian.
const CELLS: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    /// Exponential with this physical mean.
    Falling { mean: f64 },
    /// Flat from 0 to this physical value.
    Flat { width: f64 },
    /// Gaussian in physical units.
    Gaussian { centre: f64, sigma: f64 },
    /// The signal class.
    Label,
    /// Always 0.
    Zero,
}

/// How one field is filled.
#[derive(Clone, Debug)]
struct Filling {
    dtype: Dtype,
    elements: usize,
    scale: f64,
    offset: f64,
    shape: Shape,
    is_array: bool,
    /// Index of the presence pattern that the field writes (falling arrays) or follows (their companions).
    object: Option<usize>,
}

/// A list and the presence pattern that is its count.
#[derive(Clone, Debug)]
struct Listed {
    list: List,
    object: usize,
    /// Does no field decide how many elements there are?
    is_free: bool,
}

/// Fills event records of one schema.
#[derive(Clone, Debug)]
pub(crate) struct Shapes {
    fillings: Vec<Filling>,
    /// Fields in filling order: those that decide which objects exist come first.
    order: Vec<usize>,
    offsets: Vec<usize>,
    /// Quantiles of the standard Gaussian at `(k + 0.5) / CELLS`.
    gaussian: Vec<f64>,
    objects: usize,
    lists: Vec<Listed>,
}

/// Scratch memory, reused from event to event.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    values: Vec<f64>,
    /// Number of elements present, per object.
    present: Vec<usize>,
    raw: Vec<u8>,
}

impl Shapes {
    pub(crate) fn new(schema: &Schema) -> Self {
        let fields = schema.fields();
        let shapes: Vec<Shape> = fields.iter().map(shape_of).collect();
        let leaders: Vec<usize> = (0..fields.len())
            .filter(|&k| matches!(shapes[k], Shape::Falling { .. }) && fields[k].len.is_some())
            .collect();
        let same_object = |a: &Field, b: &Field| match (a.list, b.list) {
            (None, None) => a.len == b.len && front(&a.name) == front(&b.name),
            (one, other) => one == other,
        };
        let leader_of =
            |field: &Field| leaders.iter().position(|&leader| same_object(&fields[leader], field));
        // Lists that no field leads have objects of their own, behind those of the leaders.
        let mut objects = leaders.len();
        let listed = |(k, list): (usize, &List)| {
            let leader = fields.iter().find(|field| field.list == Some(k)).and_then(leader_of);
            objects += usize::from(leader.is_none());
            Listed { list: list.clone(), object: leader.unwrap_or(objects - 1), is_free: leader.is_none() }
        };
        let lists: Vec<Listed> = schema.lists().iter().enumerate().map(listed).collect();
        let filling = |(field, &shape): (&Field, &Shape)| Filling {
            dtype: field.dtype,
            elements: field.elements(),
            scale: field.scale,
            offset: field.offset,
            shape,
            is_array: field.len.is_some(),
            object: field.list.map(|list| lists[list].object).or_else(|| leader_of(field)),
        };
        let fillings: Vec<Filling> = fields.iter().zip(&shapes).map(filling).collect();
        let mut order: Vec<usize> = (0..fillings.len()).collect();
        order.sort_by_key(|k| !leaders.contains(k));
        let gaussian = (0..CELLS).map(|k| gaussian_quantile((k as f64 + 0.5) / CELLS as f64)).collect();
        Self { fillings, order, offsets: fields.iter().map(|f| f.at).collect(), gaussian, objects, lists }
    }

    /// Writes one record of the schema's length to `record`. `class` 0 is noise.
    pub(crate) fn fill(&self, random: &mut Random, class: u8, scratch: &mut Scratch, record: &mut [u8]) {
        scratch.present.clear();
        scratch.present.resize(self.objects, usize::MAX);
        for listed in self.lists.iter().filter(|listed| listed.is_free) {
            scratch.present[listed.object] = random.below(listed.list.most() + 1);
        }
        for &k in &self.order {
            let filling = &self.fillings[k];
            scratch.values.clear();
            self.draw(filling, random, class, &mut scratch.values);
            if let Some(object) = filling.object {
                if let Shape::Falling { .. } = filling.shape {
                    scratch.values.sort_by(|a, b| b.total_cmp(a));
                    let present = scratch.values.iter().take_while(|&&value| value > 0.0).count();
                    scratch.present[object] = scratch.present[object].min(present);
                }
                let present = scratch.present[object].min(filling.elements);
                scratch.values[present..].fill(f64::NAN);
            }
            scratch.raw.clear();
            for &value in &scratch.values {
                // An absent object is all zero bits, whatever the offset.
                let raw = if value.is_nan() { 0.0 } else { filling.raw(value) };
                if filling.dtype.is_large() {
                    filling.dtype.write_integer(filling.large(raw, random), &mut scratch.raw);
                } else {
                    filling.dtype.write(raw, &mut scratch.raw);
                }
            }
            record[self.offsets[k]..][..scratch.raw.len()].copy_from_slice(&scratch.raw);
        }
        for Listed { list, object, .. } in &self.lists {
            list.cut(scratch.present[*object].min(list.most()), record);
        }
    }

    /// Interpolates between two tabulated quantiles; the tails end at 3.7 standard deviations.
    fn unit_gaussian(&self, u: f64) -> f64 {
        let cell = u * (CELLS - 1) as f64;
        let k = cell as usize;
        let part = cell.fract();
        self.gaussian[k] + part * (self.gaussian[k + 1] - self.gaussian[k])
    }

    /// Physical values of one field.
    fn draw(&self, filling: &Filling, random: &mut Random, class: u8, values: &mut Vec<f64>) {
        for index in 0..filling.elements {
            values.push(match filling.shape {
                Shape::Falling { mean } => {
                    let tail = (1.0 - random.unit()) * tail_factor(class, filling.is_array, index);
                    let value = -tail.ln() * mean;
                    if value < mean * THRESHOLD { 0.0 } else { value }
                }
                Shape::Flat { width } => random.unit() * width,
                Shape::Gaussian { centre, sigma } => centre + sigma * self.unit_gaussian(random.unit()),
                Shape::Label => f64::from(class),
                Shape::Zero => f64::NAN,
            });
        }
    }
}

impl Filling {
    /// The stored number for a physical value, clamped to the type's range.
    fn raw(&self, physical: f64) -> f64 {
        let raw = (physical - self.offset) / self.scale;
        match self.dtype.integer_range() {
            // An angle is binned: rounding would add a bin and make the first and last half as wide.
            Some((low, high)) if matches!(self.shape, Shape::Flat { .. }) => {
                raw.floor().clamp(low as f64, high as f64)
            }
            Some((low, high)) => raw.round_ties_even().clamp(low as f64, high as f64),
            None if self.dtype == Dtype::F16 => raw.clamp(-65504.0, 65504.0),
            None if self.dtype == Dtype::F64 => raw,
            None => raw.clamp(f32::MIN.into(), f32::MAX.into()),
        }
    }

    /// A 64-bit integer. An f64 beyond 2^53 has no digits below its last bit; these are random, as in a counter.
    fn large(&self, raw: f64, random: &mut Random) -> i128 {
        let digits = raw.abs().next_up() - raw.abs();
        let more = if digits > 1.0 { random.below(digits as usize) } else { 0 };
        let (low, high) = self.dtype.integer_range().expect("an integer");
        (raw as i128 + more as i128).clamp(low, high)
    }
}

/// The factor by which a signal reduces the tail probability; 1 changes nothing.
fn tail_factor(class: u8, is_array: bool, index: usize) -> f64 {
    match (class, is_array) {
        (1, true) if index < 2 => 1e-4,
        (2, true) => 0.2,
        (3, false) => 1e-4,
        _ => 1.0,
    }
}

fn front(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(front, _)| front)
}

fn shape_of(field: &Field) -> Shape {
    let word = field.name.rsplit('.').next().unwrap_or(&field.name);
    let range = field.dtype.integer_range().map(|(low, high)| {
        let ends = [low as f64 * field.scale + field.offset, high as f64 * field.scale + field.offset];
        (ends[0].min(ends[1]), ends[0].max(ends[1]))
    });
    if field.role == Role::Truth {
        return if field.elements() == 1 { Shape::Label } else { Shape::Zero };
    }
    if FALLING.contains(&word) {
        let unit = match field.unit.as_str() {
            "MeV" => 1e3,
            "TeV" => 1e-3,
            _ => 1.0,
        };
        let mean = if field.len.is_some() { 5.0 } else { 12.0 } * unit;
        // Without a known unit (counts of a digitiser) the values must not pile up in the last bin.
        return Shape::Falling { mean: range.map_or(mean, |(_, high)| mean.min(high / 50.0)) };
    }
    match (word, range) {
        ("phi", _) => Shape::Flat { width: if field.unit == "deg" { 360.0 } else { TAU } },
        ("eta", _) => Shape::Gaussian { centre: 0.0, sigma: 1.3 },
        (_, Some((low, high))) => Shape::Gaussian { centre: (low + high) / 2.0, sigma: (high - low) / 10.0 },
        (_, None) => Shape::Gaussian { centre: 0.0, sigma: 1.0 },
    }
}

/// Acklam's rational approximation of the inverse normal distribution; relative error below 1.2e-9.
fn gaussian_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] =
        [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    let poly = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    if p > 0.5 {
        return -gaussian_quantile(1.0 - p);
    }
    if p < 0.02425 {
        let q = (-2.0 * p.ln()).sqrt();
        return poly(&C, q) / poly(&D, q);
    }
    let q = p - 0.5;
    poly(&A, q * q) * q / poly(&B, q * q)
}
