//! Resizes images, axis by axis: Resize, and Upsample before it.
//!
//! The place of a new number among the old ones is known when the graph is built. The nearest is then an index (numbers only move); linear
//! interpolation is two indices and a weight per place of an axis, one axis after the other.
//!
//! Places are computed in single precision in the same order as in ONNX Runtime, because the nearest number can depend on it.

use burn::tensor::Tensor;

use crate::error::{Fault, refuse};
use crate::layout::EVENTS_AXIS;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::ops::part::{Part, around, parts};
use crate::source::{Constant, Data, Kind};
use crate::value::{EVENT_NUMBERS_MAX, Type, Value};

/// How a place on the new axis maps to one on the old axis.
#[derive(Clone, Copy, Debug)]
enum Places {
    AlignCorners,
    Asymmetric,
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
}

/// Which of two numbers counts as the nearest.
#[derive(Clone, Copy, Debug)]
enum Nearest {
    Ceil,
    Floor,
    PreferCeil,
    PreferFloor,
}

/// An axis that is resized.
#[derive(Clone, Copy, Debug)]
struct ResizedAxis {
    /// Index among the axes of the value.
    axis: usize,
    old: usize,
    new: usize,
    scale: f32,
}

impl ResizedAxis {
    /// The place of number `at` of the new axis on the old one.
    fn place(&self, at: usize, places: Places) -> f32 {
        let at = at as f32;
        let old = self.old as f32;
        let new = self.new as f32;
        match places {
            Places::Asymmetric => at / self.scale,
            Places::AlignCorners | Places::PytorchHalfPixel if self.new == 1 => 0.0,
            Places::AlignCorners => at * (old - 1.0) / (new - 1.0),
            Places::HalfPixel | Places::PytorchHalfPixel => (at + 0.5) / self.scale - 0.5,
            Places::HalfPixelSymmetric => {
                let offset = old / 2.0 * (1.0 - new / (self.scale * old));
                offset + (at + 0.5) / self.scale - 0.5
            }
        }
    }

    fn nearest(&self, places: Places, nearest: Nearest) -> Vec<usize> {
        let index = |at| {
            let place = self.place(at, places);
            let whole = match nearest {
                Nearest::Ceil => place.ceil(),
                Nearest::Floor => place.floor(),
                Nearest::PreferCeil => place.round(),
                Nearest::PreferFloor => (place - 0.5).ceil(),
            };
            // Below the axis `as` gives 0; above it the last number is used.
            (whole as usize).min(self.old - 1)
        };
        (0..self.new).map(index).collect()
    }
}

/// Builds `Resize`.
pub(super) fn resize(site: &mut Site<'_>) -> Result<Built, Fault> {
    // Both concern modes that are refused below.
    site.ignore(&["cubic_coeff_a", "extrapolation_value"]);
    // Outside an image, linear interpolation repeats the border, so excluding the outside changes nothing.
    site.ignore(&["exclude_outside"]);
    let axes = site.ints("axes")?.map(<[i64]>::to_vec);
    let policy = site.text("keep_aspect_ratio_policy", "stretch")?;
    if policy != "stretch" {
        refuse!("its attribute 'keep_aspect_ratio_policy' is '{policy}'; only stretch is supported");
    }
    let (at, places, nearest) = if site.opset < 11 {
        site.inputs_between(2, 2)?;
        (1, Places::Asymmetric, Nearest::Floor)
    } else {
        site.inputs_between(3, 4)?;
        (2, places(site)?, nearest(site)?)
    };
    let x = site.stored_in_front(0)?.clone();
    let axes = match (given(site, at), given(site, at + 1)) {
        (true, false) => by_scales(&x, axes, &scales(site, at)?)?,
        (false, true) => by_sizes(site, &x, axes, site.known_shape(at + 1)?)?,
        _ => refuse!("must have either scales or sizes"),
    };
    let is_whole = |axis: &ResizedAxis| axis.old as f32 * axis.scale == axis.new as f32;
    if given(site, at) && matches!(places, Places::AlignCorners) && !axes.iter().all(is_whole) {
        refuse!(
            "aligns corners by scales that make no whole sizes, which ONNX leaves open; export with sizes"
        );
    }
    if site.flag("antialias", false)? && axes.iter().any(|axis| axis.scale < 1.0) {
        refuse!("makes an image smaller with 'antialias', which is not supported");
    }
    if site.opset < 11 && axes.iter().any(|axis| axis.scale < 1.0) {
        refuse!(
            "makes an image smaller in opset {}, which leaves open how; export with opset 11 or newer",
            site.opset
        );
    }
    sample(site, x, &axes, places, nearest)
}

/// Builds Upsample: Resize before opset 10.
pub(super) fn upsample(site: &mut Site<'_>) -> Result<Built, Fault> {
    let scales = if site.opset < 9 {
        site.inputs_between(1, 1)?;
        site.floats("scales")?.unwrap_or_default().to_vec()
    } else {
        site.inputs_between(2, 2)?;
        scales(site, 1)?
    };
    let x = site.stored_in_front(0)?.clone();
    let axes = by_scales(&x, None, &scales)?;
    if axes.iter().any(|axis| axis.scale < 1.0) {
        refuse!("makes an image smaller; only larger is defined");
    }
    sample(site, x, &axes, Places::Asymmetric, Nearest::Floor)
}

fn places(site: &Site<'_>) -> Result<Places, Fault> {
    Ok(match site.text("coordinate_transformation_mode", "half_pixel")? {
        "align_corners" => Places::AlignCorners,
        "asymmetric" => Places::Asymmetric,
        "half_pixel" => Places::HalfPixel,
        "half_pixel_symmetric" => Places::HalfPixelSymmetric,
        "pytorch_half_pixel" => Places::PytorchHalfPixel,
        other => {
            refuse!("its attribute 'coordinate_transformation_mode' is '{other}', which is not supported")
        }
    })
}

fn nearest(site: &Site<'_>) -> Result<Nearest, Fault> {
    Ok(match site.text("nearest_mode", "round_prefer_floor")? {
        "ceil" => Nearest::Ceil,
        "floor" => Nearest::Floor,
        "round_prefer_ceil" => Nearest::PreferCeil,
        "round_prefer_floor" => Nearest::PreferFloor,
        other => refuse!("its attribute 'nearest_mode' is '{other}', which is not supported"),
    })
}

/// Is input `index` present and not empty? Exporters write an empty list for none.
fn given(site: &Site<'_>, index: usize) -> bool {
    site.has(index) && site.constant(index).is_none_or(|constant| !constant.is_empty())
}

fn scales(site: &Site<'_>, index: usize) -> Result<Vec<f32>, Fault> {
    match &site.known(index, "scales")?.data {
        Data::Floats(scales) => Ok(scales.clone()),
        _ => Err(format!("its input {index} (scales) must be floating-point numbers")),
    }
}

/// The axes to which a list refers: those named, or all; `None` is that of events.
fn named(x: &Type, axes: Option<Vec<i64>>, count: usize) -> Result<Vec<Option<usize>>, Fault> {
    let axes = axes.unwrap_or_else(|| (0..x.rank() as i64).collect());
    if axes.len() != count {
        refuse!("has {count} scales or sizes for {} axes", axes.len());
    }
    let named: Vec<_> = axes.iter().map(|&axis| x.axis_or_events(axis)).collect::<Result<_, _>>()?;
    if (1..named.len()).any(|at| named[..at].contains(&named[at])) {
        refuse!("names an axis twice: {axes:?}");
    }
    Ok(named)
}

fn by_scales(x: &Type, axes: Option<Vec<i64>>, scales: &[f32]) -> Result<Vec<ResizedAxis>, Fault> {
    let mut resized = Vec::new();
    for (axis, &scale) in named(x, axes, scales.len())?.into_iter().zip(scales) {
        let Some(axis) = axis else {
            if scale != 1.0 {
                refuse!("{EVENTS_AXIS}");
            }
            continue;
        };
        let (old, new) = (x.dims[axis], (x.dims[axis] as f32 * scale).floor());
        if !(new >= 1.0 && new <= EVENT_NUMBERS_MAX as f32) {
            refuse!("scales an axis of {old} by {scale}");
        }
        resized.push(ResizedAxis { axis, old, new: new as usize, scale });
    }
    resized.retain(|axis| axis.scale != 1.0);
    Ok(resized)
}

fn by_sizes(
    site: &Site<'_>,
    x: &Type,
    axes: Option<Vec<i64>>,
    sizes: &[i64],
) -> Result<Vec<ResizedAxis>, Fault> {
    let mut resized = Vec::new();
    for (axis, &size) in named(x, axes, sizes.len())?.into_iter().zip(sizes) {
        let Some(axis) = axis else {
            let is_batch = x.rows() == 1 && site.batch.is_some_and(|batch| batch as i64 == size);
            if !is_batch && x.shape()[0] != size {
                refuse!("{EVENTS_AXIS}");
            }
            continue;
        };
        let old = x.dims[axis];
        let new = usize::try_from(size).ok().filter(|size| (1..=EVENT_NUMBERS_MAX).contains(size));
        let (Some(new), 1..) = (new, old) else { refuse!("makes an axis of {size} of one of {old}") };
        resized.push(ResizedAxis { axis, old, new, scale: new as f32 / old as f32 });
    }
    resized.retain(|axis| axis.new != axis.old);
    Ok(resized)
}

/// Builds the operator that samples the old axes at the places of the new ones.
fn sample(
    site: &mut Site<'_>,
    x: Type,
    axes: &[ResizedAxis],
    places: Places,
    nearest: Nearest,
) -> Result<Built, Fault> {
    site.outputs_at_most(1)?;
    let linear = match site.text("mode", "nearest")? {
        "nearest" => false,
        "linear" | "bilinear" => true,
        other => refuse!("its attribute 'mode' is '{other}'; only nearest and linear are supported"),
    };
    let mut picked = Vec::new();
    let mut mixed = Vec::new();
    let mut output = x;
    for axis in axes {
        let mut dims = output.dims.clone();
        let around = around(&dims, axis.axis);
        dims[axis.axis] = axis.new;
        let made = output.with_dims(dims);
        made.check()?;
        if linear {
            site.input_of(0, Kind::Float)?;
            mixed.push(Mixed::new(site, axis, around, places));
        } else {
            picked.push(Part::of(site, &output.dims, axis.axis, &axis.nearest(places, nearest)));
        }
        output = made;
    }
    if mixed.is_empty() { parts(picked, output) } else { Built::one(Linear(mixed), output) }
}

/// Interpolates every number of a new axis between two of the old.
#[derive(Debug)]
struct Mixed {
    /// Numbers of the axes before, size of the old axis, numbers of the axes after.
    around: [usize; 3],
    new: usize,
    /// Indices among the inputs: the places of the first number, of the second, and the weight of the second.
    first: usize,
    second: usize,
    share: usize,
}

impl Mixed {
    fn new(site: &mut Site<'_>, axis: &ResizedAxis, around: [usize; 3], places: Places) -> Self {
        let last = axis.old - 1;
        let place = |at| axis.place(at, places).clamp(0.0, last as f32);
        let places: Vec<f32> = (0..axis.new).map(place).collect();
        let first: Vec<usize> = places.iter().map(|&place| (place as usize).min(last)).collect();
        let share: Vec<f32> =
            places.iter().zip(&first).map(|(&place, &first)| place - first as f32).collect();
        // If the second has weight 0, the first is used for both, since the second may be NaN.
        let second = |(&first, &share): (&usize, &f32)| (first + usize::from(share > 0.0)).min(last) as i64;
        let second = first.iter().zip(&share).map(second).collect();
        let first = first.into_iter().map(|first| first as i64).collect();
        Self {
            around,
            new: axis.new,
            first: site.add_constant(Constant::ints([axis.new], first)),
            second: site.add_constant(Constant::ints([axis.new], second)),
            share: site.add_constant(Constant::floats([axis.new], share)),
        }
    }

    fn run(&self, x: Tensor<2>, inputs: &mut Inputs<'_>) -> Tensor<2> {
        let ([rows, _], [outer, old, inner]) = (x.dims(), self.around);
        let x = x.reshape([rows * outer, old, inner]);
        let first = x.clone().select(1, inputs.int(self.first).reshape([self.new]));
        let second = x.select(1, inputs.int(self.second).reshape([self.new]));
        let share = inputs.float(self.share).reshape([1, self.new, 1]);
        let rest = share.clone().neg().add_scalar(1.0);
        (first * rest + second * share).reshape([rows, outer * self.new * inner])
    }
}

#[derive(Debug)]
struct Linear(Vec<Mixed>);

impl Operator for Linear {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.float(0);
        vec![Value::Float(self.0.iter().fold(x, |x, axis| axis.run(x, inputs)))]
    }

    fn multiply_adds(&self) -> u64 {
        let numbers = |axis: &Mixed| 2 * axis.around[0] as u64 * axis.new as u64 * axis.around[2] as u64;
        self.0.iter().map(numbers).sum()
    }
}
