//! Transposed convolution over one or two axes: every number of an image adds a window to a larger one. The weights are constant.
//!
//! ```text
//!    size 3, kernel 3, stride 2                        |k k k|
//!    every number adds a kernel                            |k k k|
//!                                                              |k k k|
//!                                                      |-|-----------|     the result: 'begin' and 'end' are cut off,
//!                                                     begin       end      or zeros are added behind
//! ```

use burn::tensor::module::conv_transpose2d;
use burn::tensor::ops::ConvTransposeOptions;

use crate::error::{Fault, refuse};
use crate::kernel_op::Linear;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::source::Kind;
use crate::value::{EVENT_NUMBERS_MAX, NUMBERS_MAX, Value};

use super::window::{bias, images, numbers, work};

/// One axis of a transposed convolution.
#[derive(Clone, Copy, Debug)]
struct TransposedAxis {
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    /// Length that all windows together cover, and zeros added behind them.
    whole: usize,
    behind: usize,
    /// Number of numbers cut off in front.
    begin: usize,
    /// Number of numbers that remain.
    made: usize,
}

impl TransposedAxis {
    const FLAT: Self =
        Self { size: 1, kernel: 1, stride: 1, dilation: 1, whole: 1, behind: 0, begin: 0, made: 1 };
}

#[derive(Debug)]
struct ConvTranspose {
    /// Images per row of the value.
    batch: usize,
    channels: usize,
    groups: usize,
    /// Number of output channels.
    outputs: usize,
    /// Height and width; an image of one axis has height 1.
    axes: [TransposedAxis; 2],
    /// Index of the weights among the inputs: `[channels, outputs / groups, height, width]`.
    weight: usize,
    bias: Option<usize>,
    multiply_adds: u64,
}

/// The length of an axis before it is cut.
#[derive(Clone, Copy)]
struct Whole {
    numbers: usize,
    /// Attribute `output_padding`.
    added: usize,
}

/// Reads the attributes that place the windows.
fn axes(site: &Site<'_>, space: &[usize], kernel: &[usize]) -> Result<[TransposedAxis; 2], Fault> {
    let rank = space.len();
    if let Some(stated) = numbers(site, "kernel_shape", rank, 1)?
        && stated != kernel
    {
        refuse!("its attribute 'kernel_shape' is {stated:?}, the weights have {kernel:?}");
    }
    let strides = numbers(site, "strides", rank, 1)?.unwrap_or_else(|| vec![1; rank]);
    let dilations = numbers(site, "dilations", rank, 1)?.unwrap_or_else(|| vec![1; rank]);
    let added = numbers(site, "output_padding", rank, 0)?.unwrap_or_else(|| vec![0; rank]);
    let pads = numbers(site, "pads", 2 * rank, 0)?.unwrap_or_else(|| vec![0; 2 * rank]);
    let shape = numbers(site, "output_shape", rank, 1)?;
    let automatic = site.text("auto_pad", "NOTSET")?;
    let mut axes = [TransposedAxis::FLAT; 2];
    for axis in 0..rank {
        let [size, kernel, stride, dilation] = [space[axis], kernel[axis], strides[axis], dilations[axis]];
        let span = dilation.checked_mul(kernel - 1);
        let whole = (size - 1).checked_mul(stride).and_then(|last| last.checked_add(span?)?.checked_add(1));
        let Some(numbers) = whole.filter(|&whole| whole <= EVENT_NUMBERS_MAX) else {
            refuse!(
                "makes an axis of {size} too long with a kernel of {kernel}, stride {stride} and dilation {dilation}"
            );
        };
        let whole = Whole { numbers, added: added[axis] };
        let wanted = shape.as_ref().map(|shape| shape[axis]);
        let wanted = match automatic {
            "NOTSET" | "VALID" => wanted,
            "SAME_UPPER" | "SAME_LOWER" => wanted.or(size.checked_mul(stride)),
            other => refuse!(
                "its attribute 'auto_pad' is '{other}', must be NOTSET, SAME_UPPER, SAME_LOWER or VALID"
            ),
        };
        let given = [pads[axis], pads[rank + axis]];
        let [begin, end] = match wanted {
            None if automatic == "VALID" && given != [0, 0] => refuse!("has both 'auto_pad' and 'pads'"),
            None => given,
            Some(_) if given != [0, 0] => {
                refuse!(
                    "has 'pads' and says how large its output is; only one of them can say what is cut off"
                )
            }
            Some(wanted) => shared(whole, wanted, automatic == "SAME_UPPER")?,
        };
        let Some(made) = (numbers + whole.added).checked_sub(begin + end).filter(|&made| made > 0) else {
            refuse!("cuts {begin} and {end} off an axis of {}", numbers + whole.added);
        };
        let behind = (begin + made).saturating_sub(numbers);
        axes[2 - rank + axis] =
            TransposedAxis { size, kernel, stride, dilation, whole: numbers, behind, begin, made };
    }
    Ok(axes)
}

/// How much to cut off in front and behind so that `wanted` numbers remain.
fn shared(whole: Whole, wanted: usize, more_behind: bool) -> Result<[usize; 2], Fault> {
    let Some(surplus) = (whole.numbers + whole.added).checked_sub(wanted) else {
        refuse!("makes {} numbers along an axis, where {wanted} are wanted", whole.numbers + whole.added);
    };
    let (less, more) = (surplus / 2, surplus.div_ceil(2));
    Ok(if more_behind { [less, more] } else { [more, less] })
}

/// Builds `ConvTranspose`.
pub(super) fn conv_transpose(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 3)?;
    site.outputs_at_most(1)?;
    let x = site.input_of(0, Kind::Float)?.clone();
    site.input_of(1, Kind::Float)?;
    let (batch, channels, space) = images(&x)?;
    let shape = &site.known(1, "W")?.dims;
    let &[inputs, per_group, ref kernel @ ..] = &shape[..] else {
        refuse!("has weights of shape {shape:?}; [inputs, outputs per group, kernel] are expected");
    };
    if !(1..=2).contains(&space.len()) || kernel.len() != space.len() || shape.contains(&0) {
        refuse!(
            "has weights of shape {shape:?} for images with {} axes of space; 1 or 2 are supported",
            space.len()
        );
    }
    let groups = match usize::try_from(site.int("group")?.unwrap_or(1)) {
        Ok(groups) if groups > 0 && channels.is_multiple_of(groups) => groups,
        _ => refuse!("its attribute 'group' must divide {channels} channels"),
    };
    if inputs != channels {
        refuse!("has weights for {inputs} channels; its input has {channels}");
    }
    let axes = axes(site, space, kernel)?;
    let Some(outputs) = per_group.checked_mul(groups) else { refuse!("makes too many channels") };
    let bias = bias(site, outputs)?;
    let windows = axes.iter().flat_map(|axis| [axis.size, axis.kernel]);
    let multiply_adds = work([batch, channels, per_group].into_iter().chain(windows))?;
    // The size in memory before cutting.
    let whole = axes
        .iter()
        .try_fold(batch.saturating_mul(outputs), |size, axis| size.checked_mul(axis.whole + axis.behind));
    if whole.is_none_or(|whole| whole > NUMBERS_MAX) {
        refuse!("makes images of more than {NUMBERS_MAX} numbers");
    }
    let front = x.dims.len() - space.len() - 1;
    let made = axes[2 - space.len()..].iter().map(|axis| axis.made);
    let dims: Vec<usize> = x.dims[..front].iter().copied().chain([outputs]).chain(made).collect();
    let output = x.with_dims(dims);
    output.check()?;
    Built::one(
        ConvTranspose { batch, channels, groups, outputs, axes, weight: 1, bias, multiply_adds },
        output,
    )
}

impl Operator for ConvTranspose {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let [height, width] = self.axes;
        let per_group = self.outputs / self.groups;
        let weight =
            inputs.float(self.weight).reshape([self.channels, per_group, height.kernel, width.kernel]);
        let bias = self.bias.map(|bias| inputs.float(bias).reshape([self.outputs]));
        let x = inputs.float(0);
        let [rows, _] = x.dims();
        let x = x.reshape([rows * self.batch, self.channels, height.size, width.size]);
        let options = ConvTransposeOptions::new(
            [height.stride, width.stride],
            [0, 0],
            [height.behind, width.behind],
            [height.dilation, width.dilation],
            self.groups,
        );
        let y = conv_transpose2d(x, weight, bias, options);
        let y = y.narrow(2, height.begin, height.made).narrow(3, width.begin, width.made);
        vec![Value::Float(y.reshape([rows, self.batch * self.outputs * height.made * width.made]))]
    }

    fn multiply_adds(&self) -> u64 {
        self.multiply_adds
    }

    fn as_linear(&mut self) -> Option<Linear<'_>> {
        let [height, width] = self.axes;
        let Self { outputs, groups, weight, ref mut bias, .. } = *self;
        (groups == 1).then_some(Linear { weight, bias, outputs, per_output: height.kernel * width.kernel })
    }
}
