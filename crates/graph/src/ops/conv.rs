//! Convolution over one or two axes. The weights are constant.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use crate::error::{Fault, refuse};
use crate::kernel_op::{KernelOp, Linear};
use crate::operator::{Built, Inputs, Operator, Site};
use crate::source::Kind;
use crate::value::{NUMBERS_MAX, Value};

use super::window::{Windows, bias};

/// Number of windows whose inputs burn gathers at once.
const TILE: usize = 512;

#[derive(Debug)]
struct Convolution {
    windows: Windows,
    groups: usize,
    /// Number of output channels.
    outputs: usize,
    /// Index of the kernel among the inputs: `[outputs, channels / groups, height, width]`.
    weight: usize,
    bias: Option<usize>,
    multiply_adds: u64,
}

/// Builds `Conv`.
pub(super) fn conv(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 3)?;
    site.outputs_at_most(1)?;
    let x = site.input_of(0, Kind::Float)?.clone();
    site.input_of(1, Kind::Float)?;
    let shape = &site.known(1, "W")?.dims;
    let [outputs, per_group, kernel @ ..] = &shape[..] else {
        refuse!("has weights of shape {shape:?}; [outputs, inputs per group, kernel] are expected");
    };
    let (outputs, per_group) = (*outputs, *per_group);
    if shape.len() != x.rank() || shape.contains(&0) {
        refuse!("has weights of shape {shape:?} for images with {} axes", x.rank());
    }
    let windows = Windows::read(site, &x, Some(kernel), false)?;
    let groups = match usize::try_from(site.int("group")?.unwrap_or(1)) {
        Ok(groups) if groups > 0 => groups,
        _ => refuse!("its attribute 'group' must be at least 1"),
    };
    let channels = windows.channels;
    if !channels.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
        refuse!(
            "divides {channels} channels into {outputs} by {groups} groups, which does not come out even"
        );
    }
    if channels / groups != per_group {
        refuse!(
            "has weights for {per_group} channels per group; its input has {channels} in {groups} groups"
        );
    }
    let bias = bias(site, outputs)?;
    let output = windows.output(&x, outputs);
    output.check()?;
    let multiply_adds = windows.work([windows.batch, outputs, per_group].into_iter())?;
    let tile = windows.axes[0].windows.saturating_mul(windows.axes[1].windows).min(TILE);
    if per_group * windows.kernel() > NUMBERS_MAX / tile {
        refuse!("has windows of {} numbers, which is too many", per_group * windows.kernel());
    }
    Built::one(Convolution { windows, groups, outputs, weight: 1, bias, multiply_adds }, output)
}

impl Operator for Convolution {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let [height, width] = self.windows.axes;
        let per_group = self.windows.channels / self.groups;
        let weight =
            inputs.float(self.weight).reshape([self.outputs, per_group, height.kernel, width.kernel]);
        let bias = self.bias.map(|bias| inputs.float(bias).reshape([self.outputs]));
        let (x, borders) = self.windows.with_borders(self.windows.to_images(inputs.float(0)), 0.0);
        let strides = [height.stride, width.stride];
        let options = ConvOptions::new(strides, borders, [height.dilation, width.dilation], self.groups);
        vec![Value::Float(self.windows.to_rows(conv2d(x, weight, bias, options)))]
    }

    fn multiply_adds(&self) -> u64 {
        self.multiply_adds
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        let &Self { groups, outputs, weight, bias, .. } = self;
        let of_windows = |(channels, axes)| KernelOp::Conv { channels, axes, groups, outputs, weight, bias };
        self.windows.of_events().map(of_windows)
    }

    fn as_linear(&mut self) -> Option<Linear<'_>> {
        let per_output = self.windows.channels / self.groups * self.windows.kernel();
        let Self { outputs, weight, ref mut bias, .. } = *self;
        Some(Linear { weight, bias, outputs, per_output })
    }
}
