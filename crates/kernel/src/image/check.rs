//! Checks layers on images, and that they fit each other.

use super::{Conv, IMAGE_MAX, ImageAxis, ImageLayer, Pool, Pooling, READS_MAX, places};
use crate::chain::WIDTH_MAX;
use crate::dense::Activation;
use crate::error::LayerFault;

/// Checks a layer; `before` are channels and places of the image before it, if there is one.
pub(crate) fn check(layer: &ImageLayer, before: Option<[usize; 2]>) -> Result<(), LayerFault> {
    let mut numbers = layer.axes().iter().flat_map(|axis| {
        let &ImageAxis { size, kernel, stride, dilation, before, windows } = axis;
        // `before` may be 0.
        [size, kernel, stride, dilation, before + 1, windows]
    });
    let channels = layer.channels();
    if !numbers.all(in_range) || !in_range(channels) || !in_range(layer.image()[0]) {
        return Err(LayerFault::ImageAxis);
    }
    for numbers in [layer.inputs(), layer.image().iter().product()] {
        if numbers > IMAGE_MAX {
            return Err(LayerFault::Image(numbers));
        }
    }
    let image = [channels, layer.inputs() / channels];
    if let Some(before) = before.filter(|before| *before != image) {
        return Err(LayerFault::Shape { before, image });
    }
    if layer.activation() == Activation::Softmax {
        return Err(LayerFault::Softmax);
    }
    match layer {
        ImageLayer::Conv(conv) => check_conv(conv, layer.image()[1]),
        ImageLayer::Pool(pool) => check_pool(pool, layer.image()[1]),
    }
}

fn in_range(number: usize) -> bool {
    (1..=IMAGE_MAX).contains(&number)
}

fn check_conv(conv: &Conv, windows: usize) -> Result<(), LayerFault> {
    let &Conv { channels, axes, groups, outputs, ref weight, ref bias, activation } = conv;
    if groups == 0 || !channels.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
        return Err(LayerFault::Groups { channels, outputs, groups });
    }
    let reads = channels / groups * axes[0].kernel * axes[1].kernel;
    for width in [reads, outputs] {
        if width > WIDTH_MAX {
            return Err(LayerFault::Width(width));
        }
    }
    check_reads(reads * windows)?;
    if weight.len() != outputs * reads {
        return Err(LayerFault::Weights { found: weight.len(), wanted: outputs * reads });
    }
    if bias.len() != outputs {
        return Err(LayerFault::Biases { found: bias.len(), wanted: outputs });
    }
    check_finite(weight.iter().chain(bias), activation)
}

fn check_pool(pool: &Pool, windows: usize) -> Result<(), LayerFault> {
    check_reads(pool.axes[0].kernel.saturating_mul(pool.axes[1].kernel).saturating_mul(windows))?;
    if places(&pool.axes).iter().any(Vec::is_empty) {
        return Err(LayerFault::EmptyWindow);
    }
    if let Pooling::Average(counts) = &pool.kind
        && (counts.len() != windows || counts.contains(&0))
    {
        return Err(LayerFault::Counts { wanted: windows });
    }
    check_finite(&[], pool.activation)
}

fn check_reads(reads: usize) -> Result<(), LayerFault> {
    if reads > READS_MAX { Err(LayerFault::Reads(reads)) } else { Ok(()) }
}

/// Are all numbers finite?
pub(crate) fn check_finite<'a>(
    numbers: impl IntoIterator<Item = &'a f32>,
    activation: Activation,
) -> Result<(), LayerFault> {
    let alpha = if let Activation::LeakyRelu(alpha) = activation { alpha } else { 0.0 };
    let finite = alpha.is_finite() && numbers.into_iter().all(|number| number.is_finite());
    if finite { Ok(()) } else { Err(LayerFault::NotFinite) }
}
