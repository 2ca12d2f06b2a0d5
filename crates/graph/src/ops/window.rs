//! Places windows on an image, for convolution and pooling.
//!
//! An image has one or two axes after that of channels; an image with one axis has height 1. Along an axis:
//!
//! ```text
//!    begin         size          end
//!   |-----|-------------------|-------|         numbers, with padding in front and behind
//!   [k . k . k]                                 window 0: kernel 3, dilation 2, so a span of 5
//!         [k . k . k]                           window 1: a stride of 3 further
//! ```
//!
//! Invariant: every number derived from the attributes of a file is computed here with overflow checks, and is below the caps of
//! `value.rs`; a step of a graph needs no more than [`WORK_MAX`] multiplications per event.

use burn::tensor::Tensor;
use burn::tensor::ops::PadMode;

use crate::error::{Fault, refuse};
use crate::operator::Site;
use crate::source::Kind;
use crate::value::{NUMBERS_MAX, Type};

/// Most multiplications of one step per event: seconds on a core, far beyond any trigger.
const WORK_MAX: usize = 1 << 32;

/// Windows along one axis of an image.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Size of the image along the axis.
    pub size: usize,
    /// Number of numbers that a window covers.
    pub kernel: usize,
    /// Distance between the beginnings of adjacent windows.
    pub stride: usize,
    /// Distance between adjacent numbers of a window.
    pub dilation: usize,
    /// Padding in front, as given by the model.
    pub begin: usize,
    /// Padding behind, as given by the model.
    pub end: usize,
    /// Number of windows.
    pub windows: usize,
}

/// Windows on images.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    /// Images per row of the value: 1 where rows are events, else the first axis.
    pub batch: usize,
    pub channels: usize,
    /// Height and width.
    pub axes: [Axis; 2],
    /// Number of axes that the images really have: 1 or 2.
    rank: usize,
    /// Are the rows events?
    events: bool,
}

/// The product of these factors, as multiplications per event; refused if too large.
pub(super) fn work(mut factors: impl Iterator<Item = usize>) -> Result<u64, Fault> {
    match factors.try_fold(1usize, usize::checked_mul) {
        Some(work) if work <= WORK_MAX => Ok(work as u64),
        _ => Err(format!(
            "needs more than {WORK_MAX} multiplications per event; use a smaller kernel or image"
        )),
    }
}

/// The bias of a convolution with `outputs` output channels: input 2, if present.
pub(super) fn bias(site: &Site<'_>, outputs: usize) -> Result<Option<usize>, Fault> {
    if !site.has(2) {
        return Ok(None);
    }
    site.input_of(2, Kind::Float)?;
    let bias = site.known(2, "B")?;
    if bias.dims != [outputs] {
        refuse!("adds a value of shape {:?} to {outputs} channels", bias.dims);
    }
    Ok(Some(2))
}

/// The images of a value: number per row, channels, and the axes of space.
pub(super) fn images(kind: &Type) -> Result<(usize, usize, &[usize]), Fault> {
    let (batch, image) = match &kind.dims[..] {
        image if kind.events.is_some() => (1, image),
        [batch, image @ ..] => (*batch, image),
        [] => refuse!("works on images; its input 0 has no axes"),
    };
    let [channels, space @ ..] = image else {
        refuse!("works on images with an axis of channels; its input 0 has {} axes", kind.rank());
    };
    if kind.numbers() == 0 {
        refuse!("works on images; its input 0 has shape {:?}, without a number", kind.dims);
    }
    Ok((batch, *channels, space))
}

impl Windows {
    /// Reads the attributes that place the windows. `kernel` is the shape of the kernel if an input gives it; else an attribute must.
    pub fn read(site: &Site<'_>, kind: &Type, kernel: Option<&[usize]>, ceil: bool) -> Result<Self, Fault> {
        let (batch, channels, space) = images(kind)?;
        let rank = space.len();
        if !(1..=2).contains(&rank) {
            refuse!("works on images with {rank} axes of space; only 1 and 2 are supported");
        }
        let kernel = match (kernel, numbers(site, "kernel_shape", rank, 1)?) {
            (Some(kernel), Some(stated)) if kernel != stated => {
                refuse!("its attribute 'kernel_shape' is {stated:?}, the weights have {kernel:?}")
            }
            (Some(kernel), _) => kernel.to_vec(),
            (None, Some(stated)) => stated,
            (None, None) => refuse!("its attribute 'kernel_shape' is missing"),
        };
        let ones = || vec![1; rank];
        let strides = numbers(site, "strides", rank, 1)?.unwrap_or_else(ones);
        let dilations = numbers(site, "dilations", rank, 1)?.unwrap_or_else(ones);
        let pads = numbers(site, "pads", 2 * rank, 0)?.unwrap_or_else(|| vec![0; 2 * rank]);
        let automatic = site.text("auto_pad", "NOTSET")?;
        if automatic != "NOTSET" && pads.iter().any(|&pad| pad != 0) {
            refuse!("has both 'auto_pad' and 'pads'; only one of them can say what is added at the borders");
        }
        let mut axes = [Axis::whole(1); 2];
        for axis in 0..rank {
            let given = Axis {
                size: space[axis],
                kernel: kernel[axis],
                stride: strides[axis],
                dilation: dilations[axis],
                begin: pads[axis],
                end: pads[rank + axis],
                windows: 0,
            };
            axes[2 - rank + axis] = given.place(automatic, ceil)?;
        }
        let windows = Self { batch, channels, axes, rank, events: kind.events.is_some() };
        windows.check()?;
        Ok(windows)
    }

    /// Refuses images that are too large with their padding.
    fn check(&self) -> Result<(), Fault> {
        let padded = self.axes.iter().try_fold(self.batch.checked_mul(self.channels), |size, axis| {
            Some(size?.checked_mul(axis.size + axis.begin + axis.behind()))
        });
        match padded.flatten() {
            Some(numbers) if numbers <= NUMBERS_MAX => {}
            _ => refuse!(
                "adds borders that make its input larger than {NUMBERS_MAX} numbers; check 'pads', 'strides' and 'dilations'"
            ),
        }
        let once = [self.batch, self.channels].into_iter();
        self.work(once)?;
        Ok(())
    }

    /// The product of `factors` and the numbers that the windows read of one channel of one image.
    pub fn work(&self, factors: impl Iterator<Item = usize>) -> Result<u64, Fault> {
        work(factors.chain(self.axes.iter().flat_map(|axis| [axis.kernel, axis.windows])))
    }

    /// The output type: one number per window and channel.
    pub fn output(&self, kind: &Type, channels: usize) -> Type {
        let batch = (!self.events).then_some(self.batch);
        let windows = self.axes[2 - self.rank..].iter().map(|axis| axis.windows);
        kind.with_dims(batch.into_iter().chain([channels]).chain(windows).collect::<Vec<_>>())
    }

    /// Converts rows of a value to images `[images, channels, height, width]`.
    pub fn to_images(&self, rows: Tensor<2>) -> Tensor<4> {
        let [height, width] = self.axes;
        let images = rows.dims()[0] * self.batch;
        rows.reshape([images, self.channels, height.size, width.size])
    }

    /// Converts images to rows of a value.
    pub fn to_rows(&self, images: Tensor<4>) -> Tensor<2> {
        let [count, channels, height, width] = images.dims();
        images.reshape([count / self.batch, self.batch * channels * height * width])
    }

    /// Adds the padding, filled with `filler`, unless burn can do that itself: it supports padding that is equal in front and behind, and drops
    /// windows that extend beyond it. Returns the padding that burn must add.
    pub fn with_borders(&self, images: Tensor<4>, filler: f32) -> (Tensor<4>, [usize; 2]) {
        if self.axes.iter().all(Axis::is_even) {
            return (images, self.axes.map(|axis| axis.begin));
        }
        let borders = self.axes.map(|axis| (axis.begin, axis.behind()));
        (images.pad(borders, PadMode::Constant(filler)), [0, 0])
    }

    /// For every window, how many of the numbers it reads belong to the image; with `borders`, to the image or the padding of the model.
    pub fn covered(&self, borders: bool) -> Vec<usize> {
        Axis::counts(&self.axes, borders)
    }

    /// Channels and axes, if every row is the image of an event.
    pub fn of_events(&self) -> Option<(usize, [Axis; 2])> {
        self.events.then_some((self.channels, self.axes))
    }

    /// Number of numbers that a window covers.
    pub fn kernel(&self) -> usize {
        self.axes.iter().map(|axis| axis.kernel).product()
    }
}

impl Axis {
    /// One window over a whole axis.
    pub(super) const fn whole(size: usize) -> Self {
        Self { size, kernel: size, stride: 1, dilation: 1, begin: 0, end: 0, windows: 1 }
    }

    /// For every window, row by row, how many of the numbers it reads belong to the image; with `borders`, to the image or the padding.
    pub fn counts([height, width]: &[Self; 2], borders: bool) -> Vec<usize> {
        let down = (0..height.windows).map(|window| height.covered(window, borders));
        let across: Vec<usize> = (0..width.windows).map(|window| width.covered(window, borders)).collect();
        down.flat_map(|down| across.iter().map(move |across| down * across)).collect()
    }

    /// Computes the number of windows, and the padding if the model leaves it open.
    fn place(mut self, automatic: &str, ceil: bool) -> Result<Self, Fault> {
        let Some(span) = self.dilation.checked_mul(self.kernel - 1).filter(|&span| span < NUMBERS_MAX) else {
            refuse!(
                "has a kernel of {} numbers with dilation {}, which is too wide",
                self.kernel,
                self.dilation
            );
        };
        let span = span + 1;
        match automatic {
            "NOTSET" | "VALID" => {}
            // As many windows as strides fit on the image, rounded up.
            "SAME_UPPER" | "SAME_LOWER" => {
                let last = (self.size.div_ceil(self.stride) - 1) * self.stride;
                let missing = (last + span).saturating_sub(self.size);
                let (less, more) = (missing / 2, missing.div_ceil(2));
                (self.begin, self.end) = if automatic == "SAME_UPPER" { (less, more) } else { (more, less) };
            }
            other => refuse!(
                "its attribute 'auto_pad' is '{other}', must be NOTSET, SAME_UPPER, SAME_LOWER or VALID"
            ),
        }
        let Some(room) = (self.begin + self.size + self.end).checked_sub(span) else {
            refuse!(
                "has a kernel that spans {span} numbers of an axis of {}, with {} and {} added at its ends",
                self.size,
                self.begin,
                self.end
            );
        };
        self.windows = (if ceil { room.div_ceil(self.stride) } else { room / self.stride }) + 1;
        // A last window that begins beyond the image does not count.
        if ceil && (self.windows - 1) * self.stride >= self.begin + self.size {
            self.windows -= 1;
        }
        Ok(self)
    }

    fn span(&self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }

    /// How much padding is needed behind to fill the last window.
    fn behind(&self) -> usize {
        ((self.windows - 1) * self.stride + self.span()).saturating_sub(self.begin + self.size)
    }

    /// Does equal padding in front and behind give the same windows?
    fn is_even(&self) -> bool {
        let room = (self.size + 2 * self.begin).checked_sub(self.span());
        room.is_some_and(|room| room / self.stride + 1 == self.windows)
    }

    /// How many of the numbers that a window reads belong to the image (with `borders`, or to its padding).
    fn covered(&self, window: usize, borders: bool) -> usize {
        let (low, high) = if borders {
            (0, self.begin + self.size + self.end)
        } else {
            (self.begin, self.begin + self.size)
        };
        let start = window * self.stride;
        // The number of kernel taps before a place.
        let before = |place: usize| place.saturating_sub(start).div_ceil(self.dilation).min(self.kernel);
        before(high) - before(low)
    }
}

/// Reads an attribute of `count` integers, each at least `least`.
pub(super) fn numbers(
    site: &Site<'_>,
    key: &'static str,
    count: usize,
    least: usize,
) -> Result<Option<Vec<usize>>, Fault> {
    let Some(values) = site.ints(key)? else { return Ok(None) };
    if values.len() != count {
        refuse!("its attribute '{key}' has {} numbers, must have {count}", values.len());
    }
    let number = |&value: &i64| match usize::try_from(value) {
        Ok(value) if (least..=NUMBERS_MAX).contains(&value) => Ok(value),
        _ => Err(format!("its attribute '{key}' holds {value}, must be between {least} and {NUMBERS_MAX}")),
    };
    values.iter().map(number).collect::<Result<_, _>>().map(Some)
}
