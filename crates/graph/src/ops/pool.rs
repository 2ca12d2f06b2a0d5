//! Pooling: the maximum or the mean of every window, or of every channel.
//!
//! A window with a NaN gives NaN. The CPU's own pooling does that; on other devices the NaN is restored.

use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor};

use crate::error::{Fault, refuse};
use crate::kernel_op::KernelOp;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::source::{Constant, Kind};
use crate::value::{Type, Value, mean};

use super::window::{Axis, Windows, images};

/// Reads what all pooling operators with windows share.
fn windows(site: &Site<'_>) -> Result<(Windows, Type), Fault> {
    site.inputs_between(1, 1)?;
    site.outputs_at_most(1)?;
    let x = site.input_of(0, Kind::Float)?;
    let ceil = site.flag("ceil_mode", false)?;
    let windows = Windows::read(site, x, None, ceil)?;
    let output = windows.output(x, windows.channels);
    output.check()?;
    if windows.covered(false).contains(&0) {
        refuse!("has windows that hold nothing but padding; use less padding");
    }
    Ok((windows, output))
}

#[derive(Debug)]
struct MaxPool(Windows);

/// Builds `MaxPool`, without the indices of the maxima.
pub(super) fn max_pool(site: &mut Site<'_>) -> Result<Built, Fault> {
    // Concerns only the indices of the maxima.
    site.ignore(&["storage_order"]);
    let (windows, output) = windows(site)?;
    Built::one(MaxPool(windows), output)
}

impl Operator for MaxPool {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let [height, width] = self.0.axes;
        let pool = |x: Tensor<4>, filler: f32| {
            let (x, borders) = self.0.with_borders(x, filler);
            let options = MaxPoolOptions::new([height.kernel, width.kernel])
                .with_stride([height.stride, width.stride])
                .with_padding(borders)
                .with_dilation([height.dilation, width.dilation]);
            max_pool2d(x, options)
        };
        let x = self.0.to_images(inputs.float(0));
        let y = if *inputs.device == Device::flex() {
            pool(x, f32::NEG_INFINITY)
        } else {
            // On other devices the maximum starts from the smallest finite number and skips NaN.
            let lost = pool(x.clone().is_nan().float(), 0.0).greater_scalar(0.5);
            let y = pool(x, f32::NEG_INFINITY);
            let bottom = y.clone().lower_equal_scalar(f32::MIN);
            y.mask_fill(bottom, f32::NEG_INFINITY).mask_fill(lost, f32::NAN)
        };
        vec![Value::Float(self.0.to_rows(y))]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        self.0.of_events().map(|(channels, axes)| KernelOp::MaxPool { channels, axes })
    }
}

#[derive(Debug)]
struct AveragePool {
    windows: Windows,
    /// Does the padding of the model count?
    borders: bool,
    /// Index of a kernel of equal numbers, for dilated windows, which burn's own pooling does not support.
    kernel: Option<usize>,
    /// Index of one factor per window, if some are not full: size of the window divided by the numbers that count.
    factors: Option<usize>,
}

/// Builds `AveragePool`.
pub(super) fn average_pool(site: &mut Site<'_>) -> Result<Built, Fault> {
    let (windows, output) = windows(site)?;
    let borders = site.flag("count_include_pad", false)?;
    let [height, width] = windows.axes;
    let all = windows.kernel();
    let counted = windows.covered(borders);
    let factors = counted.iter().any(|&count| count != all).then(|| {
        let factors = counted.iter().map(|&count| all as f32 / count as f32).collect();
        site.add_constant(Constant::floats([height.windows, width.windows], factors))
    });
    let kernel = (height.dilation > 1 || width.dilation > 1).then(|| {
        let kernel = vec![1.0 / all as f32; all];
        site.add_constant(Constant::floats([height.kernel, width.kernel], kernel))
    });
    Built::one(AveragePool { windows, borders, kernel, factors }, output)
}

impl Operator for AveragePool {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let Windows { axes: [height, width], channels, .. } = self.windows;
        let strides = [height.stride, width.stride];
        let (x, borders) = self.windows.with_borders(self.windows.to_images(inputs.float(0)), 0.0);
        let y = match self.kernel {
            None => {
                let options = AvgPoolOptions::new([height.kernel, width.kernel]).with_stride(strides);
                avg_pool2d(x, options.with_padding(borders).with_count_include_pad(true))
            }
            Some(kernel) => {
                let kernel = inputs.float(kernel).reshape([1, 1, height.kernel, width.kernel]);
                let [images, _, rows, columns] = x.dims();
                let x = x.reshape([images * channels, 1, rows, columns]);
                let gaps = [height.dilation, width.dilation];
                let y = conv2d(x, kernel, None, ConvOptions::new(strides, borders, gaps, 1));
                y.reshape([images, channels, height.windows, width.windows])
            }
        };
        let y = match self.factors {
            None => y,
            Some(factors) => y * inputs.float(factors).reshape([1, 1, height.windows, width.windows]),
        };
        vec![Value::Float(self.windows.to_rows(y))]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        let borders = self.borders;
        self.windows.of_events().map(|(channels, axes)| KernelOp::AveragePool { channels, axes, borders })
    }
}

/// The mean or the maximum of every channel.
#[derive(Debug)]
struct Global {
    largest: bool,
    /// Number of channels per row of the value, and numbers in each.
    channels: usize,
    numbers: usize,
    /// Are the rows events?
    events: bool,
}

/// `GlobalAveragePool` and `GlobalMaxPool`, over any number of axes.
pub(super) fn global_pool(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    let largest = match site.operator() {
        "GlobalAveragePool" => false,
        "GlobalMaxPool" => true,
        other => refuse!("'{other}' is no pooling"),
    };
    let x = site.input_of(0, Kind::Float)?;
    let (batch, channels, space) = images(x)?;
    if space.is_empty() {
        refuse!("works on images; its input 0 has {} axes", x.rank());
    }
    let mut dims = x.dims.clone();
    dims[x.dims.len() - space.len()..].fill(1);
    let numbers = space.iter().product();
    let events = x.events.is_some();
    let pool = Global { largest, channels: batch * channels, numbers, events };
    Built::one(pool, x.with_dims(dims))
}

impl Operator for Global {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.float(0);
        let [rows, _] = x.dims();
        let x = x.reshape([rows * self.channels, self.numbers]);
        let y = if self.largest { x.max_dim(1) } else { mean(x, 1) };
        vec![Value::Float(y.reshape([rows, self.channels]))]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        let channels = self.channels;
        let axes = [Axis::whole(1), Axis::whole(self.numbers)];
        let pool = if self.largest {
            KernelOp::MaxPool { channels, axes }
        } else {
            KernelOp::AveragePool { channels, axes, borders: false }
        };
        self.events.then_some(pool)
    }
}
