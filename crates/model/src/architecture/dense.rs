//! `dense`: a multi-layer classifier. Score `k` is number `k` of the last layer.

use super::Rows;
use crate::error::BundleFault;
use crate::manifest::{Manifest, bad};

pub(super) fn check(manifest: &Manifest) -> Result<(), BundleFault> {
    if manifest.layers.last() != Some(&manifest.outputs.len()) {
        return bad("outputs", "give one name for every number of the last layer");
    }
    Ok(())
}

pub(super) fn scores(rows: usize, last: Rows<'_>, mut each: impl FnMut(usize, usize, f32)) {
    for (row, values) in last.iter().take(rows).enumerate() {
        for (output, &value) in values.iter().enumerate() {
            each(row, output, value);
        }
    }
}
