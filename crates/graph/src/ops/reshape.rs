//! Adds and removes axes of size 1, or changes nothing: Squeeze, Unsqueeze, Identity, Dropout.

use burn::tensor::{Int, Tensor};

use crate::error::{Fault, refuse};
use crate::kernel_op::KernelOp;
use crate::layout::counted;
use crate::operator::{Built, Inputs, Operator, Site};
use crate::source::{Constant, Data, Kind};
use crate::value::{RANK_MAX, Type, Value};

/// Returns the first input unchanged.
#[derive(Debug)]
pub(super) struct Same;

impl Operator for Same {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        vec![inputs.take(0)]
    }

    fn moves(&self) -> bool {
        true
    }

    fn as_kernel(&self) -> Option<KernelOp> {
        Some(KernelOp::Identity)
    }
}

/// Builds `Identity`.
pub(super) fn identity(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 1)?;
    Built::one(Same, site.anything(0)?.clone())
}

/// Dropout with its mask: everything is kept.
#[derive(Debug)]
struct AllKept;

impl Operator for AllKept {
    fn run(&self, inputs: &mut Inputs<'_>) -> Vec<Value> {
        let x = inputs.float(0);
        let mask = Tensor::<2, Int>::ones(x.dims(), inputs.device).equal_scalar(1);
        vec![Value::Float(x), Value::Bool(mask)]
    }
}

/// Builds Dropout, which drops nothing in inference.
pub(super) fn dropout(site: &mut Site<'_>) -> Result<Built, Fault> {
    site.inputs_between(1, 3)?;
    site.ignore(&["is_test", "ratio", "seed"]);
    let on = |index: usize, what| -> Result<bool, Fault> {
        Ok(match site.has(index).then(|| site.known(index, what)).transpose()? {
            None => false,
            Some(Constant { data: Data::Bools(values), .. }) => values.contains(&true),
            Some(Constant { data: Data::Floats(values), .. }) => values.iter().any(|&value| value != 0.0),
            Some(_) => refuse!("its input {index} ({what}) is of the wrong kind"),
        })
    };
    // Without a ratio, training drops one half.
    if on(2, "training_mode")? && (!site.has(1) || on(1, "ratio")?) {
        refuse!("is in training mode, where scores are random; export the model in evaluation mode");
    }
    let x = site.anywhere_of(0, Kind::Float)?.clone();
    if !site.wants(1) {
        return Built::one(Same, x);
    }
    if site.opset < 10 {
        refuse!("its mask is wanted, which opset {} leaves undefined in evaluation mode", site.opset);
    }
    let mask = Type::new(Kind::Bool, x.events, x.dims.clone());
    Ok(Built { operator: Box::new(AllKept), outputs: vec![x, mask] })
}

/// The axes of Squeeze and Unsqueeze: an attribute before opset 13, an input since.
fn named_axes(site: &Site<'_>) -> Result<Option<Vec<i64>>, Fault> {
    if site.opset < 13 {
        site.inputs_between(1, 1)?;
        return Ok(site.ints("axes")?.map(<[i64]>::to_vec));
    }
    site.inputs_between(1, 2)?;
    site.known_ints(1, "axes")
}

/// Builds Squeeze: removes axes of size 1.
pub(super) fn squeeze(site: &mut Site<'_>) -> Result<Built, Fault> {
    let x = site.anything(0)?.clone();
    let gone: Vec<usize> = match named_axes(site)? {
        Some(axes) => axes.iter().map(|&axis| x.axis(axis)).collect::<Result<_, _>>()?,
        None if x.events.is_some() && site.batch == Some(1) => refuse!(
            "takes away every axis of size 1, among them that of events; export the model with the axes of Squeeze named"
        ),
        None => (0..x.dims.len()).filter(|&axis| x.dims[axis] == 1).collect(),
    };
    if let Some(&axis) = gone.iter().find(|&&axis| x.dims[axis] != 1) {
        refuse!("takes away an axis of size {}; only axes of size 1 can go", x.dims[axis]);
    }
    Built::one(Same, x.without(&gone))
}

/// Builds Unsqueeze: adds axes of size 1; their indices refer to the result.
pub(super) fn unsqueeze(site: &mut Site<'_>) -> Result<Built, Fault> {
    let x = site.anything(0)?.clone();
    let Some(axes) = named_axes(site)? else { refuse!("does not say which axes it adds") };
    let rank = x.rank() + axes.len();
    if rank > RANK_MAX + 1 {
        refuse!("makes a value with {rank} axes; at most {} are supported", RANK_MAX + 1);
    }
    let mut added: Vec<usize> = axes.iter().map(|&axis| counted(axis, rank)).collect::<Result<_, _>>()?;
    added.sort_unstable();
    if added.windows(2).any(|pair| pair[0] == pair[1]) {
        refuse!("adds the same axis twice: {axes:?}");
    }
    let mut all = x.all_axes();
    added.into_iter().for_each(|axis| all.insert(axis, Some(1)));
    Built::one(Same, x.with_all_axes(&all))
}
