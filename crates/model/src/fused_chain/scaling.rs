//! Folds factors and summands before or after dense layers into their weights: frameworks write the normalisation of inputs and batches this way.
//!
//! ```text
//!   x * f + s  ->  W x + b         =>   (W f) x + (b + W s)
//!   W x + b    ->  y * f + s       =>   (f W) x + (b f + s)
//! ```
//!
//! This is done in f64 and rounded once. A summand that is large compared with the layer's inputs would cancel in its sums, so it is refused.

use tamis_kernel::Layer;

/// Largest summand that is folded into a layer: how far from 0, in widths of its distribution, the middle of an input may lie.
const SUMMAND_MAX: f64 = 64.0;

/// `x * factor + summand`, number by number.
#[derive(Clone, Debug)]
pub(super) struct Scaling(Vec<[f64; 2]>);

impl Scaling {
    /// `(x - means) * factors / divisors + summands` on `numbers` numbers; each list has one entry per number, or one for all.
    pub fn new(
        numbers: usize,
        means: Option<&[f32]>,
        factors: Option<&[f32]>,
        divisors: Option<&[f32]>,
        summands: Option<&[f32]>,
    ) -> Self {
        let get = |list: Option<&[f32]>, at: usize, none: f64| {
            list.map_or(none, |list| f64::from(if list.len() == 1 { list[0] } else { list[at] }))
        };
        let of = |at| {
            let factor = get(factors, at, 1.0) / get(divisors, at, 1.0);
            [factor, get(summands, at, 0.0) - get(means, at, 0.0) * factor]
        };
        Self((0..numbers).map(of).collect())
    }

    /// This scaling followed by another one.
    pub fn then(&self, next: &Self) -> Self {
        let both = |([factor, summand], [more, further]): (&[f64; 2], &[f64; 2])| {
            [factor * more, summand.mul_add(*more, *further)]
        };
        Self(self.0.iter().zip(&next.0).map(both).collect())
    }

    /// Folds the scaling into the outputs of a layer.
    pub fn fold_into_last(&self, layer: &mut Layer) {
        let inputs = layer.inputs;
        for ((row, bias), [factor, summand]) in
            layer.weight.chunks_mut(inputs).zip(&mut layer.bias).zip(&self.0)
        {
            row.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * factor) as f32);
            *bias = f64::from(*bias).mul_add(*factor, *summand) as f32;
        }
    }

    /// Folds the scaling into the inputs of a layer.
    pub fn fold_into_next(&self, layer: &mut Layer) -> Result<(), String> {
        if let Some([_, summand]) =
            self.0.iter().find(|[_, summand]| summand.is_nan() || summand.abs() > SUMMAND_MAX)
        {
            return Err(format!(
                "a scaling adds {summand} to an input; folded into a layer, at most {SUMMAND_MAX} keep their digits"
            ));
        }
        for (row, bias) in layer.weight.chunks_mut(layer.inputs).zip(&mut layer.bias) {
            let mut sum = f64::from(*bias);
            for (weight, [factor, summand]) in row.iter_mut().zip(&self.0) {
                sum += f64::from(*weight) * summand;
                *weight = (f64::from(*weight) * factor) as f32;
            }
            *bias = sum as f32;
        }
        Ok(())
    }
}
