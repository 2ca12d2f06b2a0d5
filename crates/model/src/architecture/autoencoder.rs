//! `autoencoder`: a chain of layers whose output is as wide as its input. Its one score is the mean squared difference between the
//! preprocessed inputs and the output of the chain.

use tamis_graph::{Attribute, Constant, UncheckedGraph};

use super::chain;
use crate::error::BundleFault;
use crate::manifest::{Manifest, OutputActivation, bad};
use crate::weights::Weights;

pub(super) fn check(manifest: &Manifest) -> Result<(), BundleFault> {
    chain::check(manifest)?;
    if manifest.layers.first() != manifest.layers.last() {
        return bad("layers", "an autoencoder is as wide at the end as at the beginning");
    }
    if manifest.outputs.len() != 1 {
        return bad("outputs", "an autoencoder has one score, the reconstruction error");
    }
    if manifest.output_activation != Some(OutputActivation::None) {
        return bad("output_activation", "an autoencoder reconstructs numbers of any size; use none");
    }
    Ok(())
}

pub(super) fn source(manifest: &Manifest, file: &[u8]) -> Result<UncheckedGraph, BundleFault> {
    let mut weights = Weights::open(file)?;
    let mut source = UncheckedGraph::new();
    let x = source.input("x", [manifest.layers[0]]);
    let y = chain::layers(&mut source, &mut weights, manifest, &x)?;
    weights.finish()?;
    let difference = source.node("Sub", "difference", &[&x, &y], &[]);
    let square = source.node("Mul", "square", &[&difference, &difference], &[]);
    let axis = source.constant("axis", Constant::ints([1], vec![1]));
    let error = source.node("ReduceMean", "error", &[&square, &axis], &[("keepdims", Attribute::Int(1))]);
    source.outputs.push(error);
    Ok(source)
}
