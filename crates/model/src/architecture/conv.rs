//! `conv`: convolutions over an image (one or two axes), each with activation and perhaps a pooling; then the dense layers over all numbers
//! that are left, row-major. Score `k` is number `k` of the last layer.

use tamis_graph::{Attribute, Source};

use super::chain;
use crate::error::BundleFault;
use crate::manifest::{ConvLayer, Manifest, Pooling, bad};
use crate::weights::Weights;

/// Most convolutions.
const LAYERS_MAX: usize = 32;
/// Largest size, filter count and step.
const SIZE_MAX: usize = 8192;

pub(super) fn check(manifest: &Manifest) -> Result<(), BundleFault> {
    chain::check(manifest)?;
    chain::check_outputs(manifest)?;
    let Some(image) = &manifest.image else {
        return bad("image", "is missing: its shape (channels first) and its layers");
    };
    if !matches!(image.shape.len(), 2 | 3) || !image.shape.iter().all(in_range) {
        return bad("image.shape", "give channels and one or two sizes, each between 1 and 8192");
    }
    if image.layers.is_empty() || image.layers.len() > LAYERS_MAX {
        return bad("image.layer", "give 1 to 32 convolutions");
    }
    let axes = image.shape.len() - 1;
    for layer in &image.layers {
        let lists = [Some(&layer.kernel), layer.stride.as_ref(), layer.dilation.as_ref()];
        let pool = layer.pool.as_ref().map(|pool| &pool.size);
        if lists
            .into_iter()
            .chain([pool])
            .flatten()
            .any(|list| list.len() != axes || !list.iter().all(in_range))
            || layer
                .padding
                .as_ref()
                .is_some_and(|list| list.len() != axes || list.iter().any(|&size| size > SIZE_MAX))
        {
            return bad(
                "image.layer",
                "kernel, stride, padding, dilation and pool.size have one number per axis, at most 8192",
            );
        }
        if !in_range(&layer.filters) || layer.groups.is_some_and(|groups| !in_range(&groups)) {
            return bad("image.layer", "filters and groups are between 1 and 8192");
        }
        if layer.pool.as_ref().is_some_and(|pool| pool.kind == Pooling::Sum) {
            return bad("image.layer", "pool.kind is max or mean");
        }
    }
    Ok(())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "for iterators of references")]
fn in_range(size: &usize) -> bool {
    (1..=SIZE_MAX).contains(size)
}

pub(super) fn source(manifest: &Manifest, file: &[u8]) -> Result<Source, BundleFault> {
    let mut weights = Weights::open(file, manifest)?;
    let mut source = Source::new();
    let image = manifest.image.as_ref().expect("checked");
    let mut x = source.input("x", image.shape.clone());
    let mut channels = image.shape[0];
    for (index, layer) in image.layers.iter().enumerate() {
        x = convolution(&mut source, &mut weights, manifest, &format!("image.{index}"), &x, channels, layer)?;
        channels = layer.filters;
    }
    let flat = source.node("Flatten", "flatten", &[&x], &[("axis", Attribute::Int(1))]);
    let scores = chain::layers(&mut source, &mut weights, manifest, &flat)?;
    weights.finish()?;
    source.outputs.push(scores);
    Ok(source)
}

/// Adds one convolution with what follows it.
fn convolution(
    source: &mut Source,
    weights: &mut Weights<'_>,
    manifest: &Manifest,
    name: &str,
    x: &str,
    channels: usize,
    layer: &ConvLayer,
) -> Result<String, BundleFault> {
    let groups = layer.groups.unwrap_or(1);
    let mut shape = vec![layer.filters, channels / groups];
    shape.extend(&layer.kernel);
    let (weight, bias) = weights.layer(&shape)?;
    let weight = source.constant(&format!("{name}.weight"), weight);
    let bias = source.constant(&format!("{name}.bias"), bias);
    let ints = |list: &[usize]| Attribute::Ints(list.iter().map(|&number| number as i64).collect());
    let mut attributes =
        vec![("kernel_shape", ints(&layer.kernel)), ("group", Attribute::Int(groups as i64))];
    attributes.extend(layer.stride.as_ref().map(|list| ("strides", ints(list))));
    attributes.extend(layer.dilation.as_ref().map(|list| ("dilations", ints(list))));
    // ONNX lists the beginnings of all axes, then the ends.
    attributes.extend(layer.padding.as_ref().map(|list| ("pads", ints(&list.repeat(2)))));
    let y = source.node("Conv", name, &[x, &weight, &bias], &attributes);
    let y = chain::activation(source, manifest, name, &y);
    let Some(pool) = &layer.pool else { return Ok(y) };
    let operator = if pool.kind == Pooling::Max { "MaxPool" } else { "AveragePool" };
    let attributes = [("kernel_shape", ints(&pool.size)), ("strides", ints(&pool.size))];
    Ok(source.node(operator, &format!("{name}.pool"), &[&y], &attributes))
}
