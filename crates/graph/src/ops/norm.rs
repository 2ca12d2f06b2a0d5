//! Normalisation, with statistics from training or with those of the event itself.
//!
//! The mean is subtracted before the factor is applied: this keeps the digits of large numbers that are close to each other. Batch
//! normalisation has constant means and factors, computed here once; where its input comes from a layer with weights, they are folded into those
//! (`fold.rs`) and the step is removed.

use burn::tensor::Tensor;

use crate::error::{Fault, refuse};
use crate::kernel_op::{KernelOp, Scaling};
use crate::layout::EVENTS_AXIS;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::source::{Constant, Data, Kind};
use crate::value::{Type, Value};

use super::window::images;

/// `(x - mean) * factor + summand` with constants for every channel.
#[derive(Debug)]
struct Channels {
    /// A row of the value as `[outer, channels, inner]`.
    outer: usize,
    channels: usize,
    inner: usize,
    /// Indices among the inputs; no means count as zeros.
    means: Option<usize>,
    factors: usize,
    summands: usize,
}

impl Channels {
    /// Adds the constants to the inputs.
    fn new(
        site: &mut Site<'_>,
        [outer, channels, inner]: [usize; 3],
        means: Option<Vec<f32>>,
        factors: Vec<f32>,
        summands: Vec<f32>,
    ) -> Self {
        let mut constant = |numbers| site.add_constant(Constant::floats([channels], numbers));
        let means = means.map(&mut constant);
        Self { outer, channels, inner, means, factors: constant(factors), summands: constant(summands) }
    }

    fn apply(&self, x: Tensor<2>, inputs: &mut Inputs<'_>) -> Tensor<2> {
        let (factors, summands) = (inputs.float(self.factors), inputs.float(self.summands));
        let means = self.means.map(|means| inputs.float(means));
        if self.outer == 1 && self.inner == 1 {
            let x = match means {
                Some(means) => x - means,
                None => x,
            };
            return x * factors + summands;
        }
        let shape = x.dims();
        let x = x.reshape([shape[0] * self.outer, self.channels, self.inner]);
        let across = [1, self.channels, 1];
        let x = match means {
            Some(means) => x - means.reshape(across),
            None => x,
        };
        (x * factors.reshape(across) + summands.reshape(across)).reshape(shape)
    }
}

impl Operator for Channels {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.float(0);
        vec![Value::Float(self.apply(x, inputs))]
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        let Self { outer, inner, means, factors, summands, .. } = *self;
        let scale =
            KernelOp::Scale { means, factors: Some(factors), divisors: None, summands: Some(summands) };
        (outer == 1 && inner == 1).then_some(scale)
    }

    fn as_scaling(&self) -> Option<Scaling> {
        let Self { channels, means, factors, summands, .. } = *self;
        Some(Scaling { channels, means, factors, summands })
    }
}

/// The numbers of constant input `index`, of which there must be `count`.
fn list(site: &Site<'_>, index: usize, what: &str, count: usize) -> Result<Vec<f32>, Fault> {
    match site.known(index, what)? {
        Constant { data: Data::Floats(values), .. } if values.len() == count => {
            match values.iter().find(|value| !value.is_finite()) {
                Some(value) => Err(format!("its input {index} ({what}) holds {value}, must be finite")),
                None => Ok(values.clone()),
            }
        }
        other => Err(format!(
            "its input {index} ({what}) has shape {:?}; {count} numbers are expected",
            other.dims
        )),
    }
}

/// The number that is added to a variance before taking its root.
fn epsilon(site: &Site<'_>) -> Result<f32, Fault> {
    let epsilon = site.float("epsilon", 1e-5)?;
    if !(epsilon >= 0.0 && epsilon.is_finite()) {
        refuse!("its attribute 'epsilon' is {epsilon}, must be 0 or more");
    }
    Ok(epsilon)
}

/// Builds `BatchNormalization` in inference mode.
pub(super) fn batch_normalization(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(5, 5)?;
    if site.flag("training_mode", false)? || site.opset < 7 && !site.flag("is_test", false)? {
        refuse!("is written for training, where events of a batch mix; export the model in inference mode");
    }
    if !site.flag("spatial", true)? {
        refuse!(
            "has statistics for every number of an image ('spatial' is 0); only one per channel is supported"
        );
    }
    site.outputs_at_most(1)?;
    site.ignore(&["momentum", "consumed_inputs", "is_test"]);
    let x = site.input_of(0, Kind::Float)?.clone();
    let (batch, channels, space) = images(&x)?;
    let inner = space.iter().product();
    let epsilon = f64::from(epsilon(site)?);
    let (scale, shift) = (list(site, 1, "scale", channels)?, list(site, 2, "B", channels)?);
    let (mean, variance) = (list(site, 3, "mean", channels)?, list(site, 4, "var", channels)?);
    let mut factors = Vec::with_capacity(channels);
    for channel in 0..channels {
        let factor = f64::from(scale[channel]) / (f64::from(variance[channel]) + epsilon).sqrt();
        if !(factor as f32).is_finite() || !mean[channel].is_finite() || !shift[channel].is_finite() {
            refuse!("cannot normalise channel {channel}, whose variance is {}", variance[channel]);
        }
        factors.push(factor as f32);
    }
    let channels = Channels::new(site, [batch, channels, inner], Some(mean), factors, shift);
    Built::one(channels, x)
}

/// Subtracts the mean from stretches of a row, divides by their spread, and scales.
#[derive(Debug)]
struct Stretches {
    /// Number of stretches per row, and numbers in each.
    count: usize,
    numbers: usize,
    epsilon: f32,
    scaling: Channels,
}

impl Operator for Stretches {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.float(0);
        let shape = x.dims();
        let x = x.reshape([shape[0] * self.count, self.numbers]);
        // A sum of large numbers rounds; a second pass subtracts what is left of the mean in the differences.
        let first = x.clone().mean_dim(1);
        let centred = x - first.clone();
        let rest = centred.clone().mean_dim(1);
        let centred = centred - rest.clone();
        let mean = first + rest;
        let variance = (centred.clone() * centred.clone()).mean_dim(1);
        let spread = variance.add_scalar(self.epsilon).sqrt().recip();
        let y = (centred * spread.clone()).reshape(shape);
        let of_rows = |statistic: Tensor<2>| Value::Float(statistic.reshape([shape[0], self.count]));
        vec![Value::Float(self.scaling.apply(y, inputs)), of_rows(mean), of_rows(spread)]
    }
}

/// Where the stretches of `LayerNormalization` and `RMSNormalization` begin: the value, and the first axis of a stretch.
fn stretches(site: &Site<'_>) -> Result<(Type, usize), Fault> {
    if !site.flag("stash_type", true)? {
        refuse!("has an attribute 'stash_type' of 0; only 1 (32-bit statistics) is supported");
    }
    let x = site.anywhere_of(0, Kind::Float)?.clone();
    let axis = x.axis(site.int("axis")?.unwrap_or(-1))?;
    if x.events.is_some_and(|layout| axis < layout.at) {
        refuse!("{EVENTS_AXIS}");
    }
    if x.dims[axis..].contains(&0) {
        refuse!("its input 0 has shape {:?}, without a number", x.dims);
    }
    Ok((x, axis))
}

/// Builds `LayerNormalization`, with mean and inverse spread as optional outputs.
pub(super) fn layer_normalization(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 3)?;
    let (x, axis) = stretches(site)?;
    let [count, numbers] = [&x.dims[..axis], &x.dims[axis..]].map(|dims| dims.iter().product());
    let factors = list(site, 1, "Scale", numbers)?;
    let summands = if site.has(2) { list(site, 2, "B", numbers)? } else { vec![0.0; numbers] };
    let mut dims = x.dims.clone();
    dims[axis..].fill(1);
    let statistic = x.with_dims(dims);
    let epsilon = epsilon(site)?;
    let scaling = Channels::new(site, [count, numbers, 1], None, factors, summands);
    let operator = Box::new(Stretches { count, numbers, epsilon, scaling });
    Ok(Built { operator, outputs: vec![x, statistic.clone(), statistic] })
}

/// Divides stretches of a row by the root of their mean square, then scales.
#[derive(Debug)]
struct RootMeanSquare {
    /// Number of stretches per row, and numbers in each.
    count: usize,
    numbers: usize,
    epsilon: f32,
    factors: usize,
}

impl Operator for RootMeanSquare {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.float(0);
        let shape = x.dims();
        let x = x.reshape([shape[0] * self.count, self.numbers]);
        let size = (x.clone() * x.clone()).mean_dim(1).add_scalar(self.epsilon).sqrt();
        vec![Value::Float((x / size * inputs.float(self.factors)).reshape(shape))]
    }
}

/// Builds `RMSNormalization`, which does not subtract the mean.
pub(super) fn rms_normalization(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(2, 2)?;
    site.outputs_at_most(1)?;
    let (x, axis) = stretches(site)?;
    let [count, numbers] = [&x.dims[..axis], &x.dims[axis..]].map(|dims| dims.iter().product());
    let scale = site.known(1, "scale")?;
    let factors = if scale.len() == 1 {
        vec![list(site, 1, "scale", 1)?[0]; numbers]
    } else {
        let long = |dims: &[usize]| dims.iter().copied().skip_while(|&dim| dim == 1).collect::<Vec<_>>();
        if long(&scale.dims) != long(&x.dims[axis..]) {
            refuse!("has factors of shape {:?} for numbers of shape {:?}", scale.dims, &x.dims[axis..]);
        }
        list(site, 1, "scale", numbers)?
    };
    let epsilon = epsilon(site)?;
    let factors = site.replace(1, Constant::floats([numbers], factors));
    Built::one(RootMeanSquare { count, numbers, epsilon, factors }, x)
}

/// Builds `InstanceNormalization`: normalises every channel of every image separately.
pub(super) fn instance_normalization(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.ignore(&["consumed_inputs"]);
    grouped(site, |_, channels| Ok(channels), true)
}

/// Builds `GroupNormalization`: normalises the channels of an image in groups. Before opset 21 the factors are per group.
pub(super) fn group_normalization(site: &mut Site<'_>) -> Result<Built, Fault> {
    if !site.flag("stash_type", true)? {
        refuse!("has an attribute 'stash_type' of 0; only 1 (32-bit statistics) is supported");
    }
    let by_channel = site.opset >= 21;
    let groups =
        |site: &Site<'_>, channels: usize| match usize::try_from(site.int("num_groups")?.unwrap_or(0)) {
            Ok(groups) if groups > 0 && channels.is_multiple_of(groups) => Ok(groups),
            _ => Err(format!("its attribute 'num_groups' must divide {channels} channels")),
        };
    grouped(site, groups, by_channel)
}

fn grouped(
    site: &mut Site<'_>,
    groups: impl FnOnce(&Site<'_>, usize) -> Result<usize, Fault>,
    by_channel: bool,
) -> Result<Built, Fault> {
    site.inputs_between(3, 3)?;
    site.outputs_at_most(1)?;
    let x: Type = site.input_of(0, Kind::Float)?.clone();
    let (batch, channels, space) = images(&x)?;
    let groups = groups(site, channels)?;
    let image = channels * space.iter().product::<usize>();
    let scaled = if by_channel { channels } else { groups };
    let factors = list(site, 1, "scale", scaled)?;
    let summands = list(site, 2, "bias", scaled)?;
    let epsilon = epsilon(site)?;
    let scaling = Channels::new(site, [batch, scaled, image / scaled], None, factors, summands);
    Built::one(Stretches { count: batch * groups, numbers: image / groups, epsilon, scaling }, x)
}
