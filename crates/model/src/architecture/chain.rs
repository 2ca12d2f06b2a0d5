//! Chains of dense layers as operators, shared by `dense` and `autoencoder`.

use tamis_graph::{Attribute, UncheckedGraph};

use crate::error::BundleFault;
use crate::manifest::{HiddenActivation, Manifest, OutputActivation, bad, check_widths};
use crate::weights::Weights;

/// Checks the manifest keys of a chain: widths and activations.
pub(super) fn check(manifest: &Manifest) -> Result<(), BundleFault> {
    check_widths("layers", &manifest.layers, 2)?;
    if manifest.activation.is_none() {
        return bad("activation", "is missing: relu, tanh or sigmoid");
    }
    match manifest.output_activation {
        None => bad("output_activation", "is missing: softmax, sigmoid or none"),
        Some(OutputActivation::Softmax) if manifest.layers.last() == Some(&1) => {
            bad("output_activation", "softmax over one number is always 1; use sigmoid")
        }
        Some(_) => Ok(()),
    }
}

/// Checks that every number of the last layer is a score.
pub(super) fn check_outputs(manifest: &Manifest) -> Result<(), BundleFault> {
    if manifest.layers.last() != Some(&manifest.outputs.len()) {
        return bad("outputs", "give one name for every number of the last layer");
    }
    Ok(())
}

/// Adds the activation between layers to value `x`.
pub(super) fn activation(source: &mut UncheckedGraph, manifest: &Manifest, name: &str, x: &str) -> String {
    let operator = match manifest.activation {
        Some(HiddenActivation::Tanh) => "Tanh",
        Some(HiddenActivation::Sigmoid) => "Sigmoid",
        Some(HiddenActivation::Relu) | None => "Relu",
    };
    source.node(operator, &format!("{name}.{}", operator.to_lowercase()), &[x], &[])
}

/// Adds one layer, `x W + b`, to value `x` with one row per event; the weight is stored `[out, in]`.
pub(super) fn layer(
    source: &mut UncheckedGraph,
    weights: &mut Weights<'_>,
    name: &str,
    x: &str,
    [inputs, outputs]: [usize; 2],
) -> Result<String, BundleFault> {
    let (weight, bias) = weights.layer(&[outputs, inputs])?;
    let weight = source.constant(&format!("{name}.weight"), weight);
    let bias = source.constant(&format!("{name}.bias"), bias);
    Ok(source.node("Gemm", name, &[x, &weight, &bias], &[("transB", Attribute::Int(1))]))
}

/// Adds the layers of the manifest to value `x`; the activation between them, and the output activation after the last.
pub(super) fn layers(
    source: &mut UncheckedGraph,
    weights: &mut Weights<'_>,
    manifest: &Manifest,
    x: &str,
) -> Result<String, BundleFault> {
    let mut x = x.to_owned();
    let last = manifest.layers.len() - 2;
    for (index, pair) in manifest.layers.windows(2).enumerate() {
        let name = format!("layers.{index}");
        x = layer(source, weights, &name, &x, [pair[0], pair[1]])?;
        if index < last {
            x = activation(source, manifest, &name, &x);
        }
    }
    Ok(match manifest.output_activation {
        Some(OutputActivation::Softmax) => {
            source.node("Softmax", "softmax", &[&x], &[("axis", Attribute::Int(-1))])
        }
        Some(OutputActivation::Sigmoid) => source.node("Sigmoid", "sigmoid", &[&x], &[]),
        Some(OutputActivation::None) | None => x,
    })
}
