//! `dense`: a multi-layer classifier. Score `k` is number `k` of the last layer.

use tamis_graph::UncheckedGraph;

use super::chain;
use crate::error::BundleFault;
use crate::manifest::Manifest;
use crate::weights::Weights;

pub(super) fn check(manifest: &Manifest) -> Result<(), BundleFault> {
    chain::check(manifest)?;
    chain::check_outputs(manifest)
}

pub(super) fn source(manifest: &Manifest, file: &[u8]) -> Result<UncheckedGraph, BundleFault> {
    let mut weights = Weights::open(file)?;
    let mut source = UncheckedGraph::new();
    let x = source.input("x", [manifest.layers[0]]);
    let scores = chain::layers(&mut source, &mut weights, manifest, &x)?;
    weights.finish()?;
    source.outputs.push(scores);
    Ok(source)
}
