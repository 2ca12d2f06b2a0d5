//! `autoencoder`: a chain that is as wide at the end as at the beginning. Its one score is the mean squared difference between the
//! preprocessed inputs and what the chain makes of them.

use super::Rows;
use crate::error::BundleFault;
use crate::manifest::{Manifest, OutputActivation, bad};

/// Partial sums of the squared error: as many as a 128-bit register pair holds, fixed, so that the order of the additions is too.
const LANES: usize = 8;

pub(super) fn check(manifest: &Manifest) -> Result<(), BundleFault> {
    if manifest.layers.first() != manifest.layers.last() {
        return bad("layers", "an autoencoder is as wide at the end as at the beginning");
    }
    if manifest.outputs.len() != 1 {
        return bad("outputs", "an autoencoder has one score, the reconstruction error");
    }
    if manifest.output_activation != OutputActivation::None {
        return bad("output_activation", "an autoencoder reconstructs numbers of any size; use none");
    }
    Ok(())
}

pub(super) fn scores(rows: usize, inputs: Rows<'_>, last: Rows<'_>, mut each: impl FnMut(usize, usize, f32)) {
    for (row, (x, y)) in inputs.iter().zip(last.iter()).take(rows).enumerate() {
        each(row, 0, mean_squared_error(x, y));
    }
}

/// Adds in an order that depends on the width alone.
fn mean_squared_error(x: &[f32], y: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (x_blocks, x_rest) = x.as_chunks::<LANES>();
    let (y_blocks, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in x_blocks.iter().zip(y_blocks) {
        for lane in 0..LANES {
            let difference = x[lane] - y[lane];
            sums[lane] += difference * difference;
        }
    }
    for (sum, (x, y)) in sums.iter_mut().zip(x_rest.iter().zip(y_rest)) {
        *sum += (x - y) * (x - y);
    }
    sums.iter().sum::<f32>() / x.len() as f32
}
