//! The values that flow through a graph, and their types.
//!
//! Every value is a matrix on a device: one row per event, and in a row the numbers of the event's part of the tensor, row-major. A value
//! that does not depend on the event has one row. So reshaping costs nothing, the rows of a batch are the tensor, and an operator makes the
//! shape it needs from the [`Type`], which is known before anything runs. Where the model merges other axes with that of events, an event has
//! several rows (`layout.rs`).
//!
//! ```text
//!   ONNX value [N, 3, 18, 14]  ->  Type { events: in front, dims: [3, 18, 14] },  matrix [N, 756]
//!   ONNX value [16, 5] (const) ->  Type { events: none, dims: [16, 5] },          matrix [1, 80]
//! ```

use burn::tensor::kind::Basic;
use burn::tensor::{Bool, DType, Device, Int, IntDType, Tensor, TensorData};

use crate::error::{Fault, refuse};
use crate::layout::{EVENTS_AXIS, Layout, refuse_meeting};
use crate::source::{Constant, Data, Kind, Narrow};

/// Most axes of a value.
pub(crate) const RANK_MAX: usize = 6;
/// Most numbers of a value without events.
pub(crate) const NUMBERS_MAX: usize = 1 << 24;
/// Most numbers of a value per event: 16 MiB of f32.
pub(crate) const EVENT_NUMBERS_MAX: usize = 1 << 22;

/// What is known of a value before anything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// Kind of the numbers.
    pub kind: Kind,
    /// Where its axis of events is, if it has one; that of an output of a graph is in front of `dims`.
    pub(crate) events: Option<Layout>,
    /// Shape per event (per row, where other axes are merged with that of events).
    pub dims: Vec<usize>,
    /// What the integers stand for, if they count in a list of words (class labels that are text).
    pub labels: Option<Vec<String>>,
    /// Is it (part of) the shape of a value with events, where [`crate::layout::EVENTS`] stands for their number? Few operators take
    /// such a value.
    pub(crate) shape: bool,
    /// Have its integers 32 bits? Then arithmetic on them wraps around there ([`wrapped`]).
    pub(crate) int32: bool,
    /// Have its integers fewer bits yet? Few operators take such a value: arithmetic would wrap around there.
    pub(crate) narrow: Option<Narrow>,
    /// Does the file have it in double precision? Its numbers are single all the same, so only operators take it that do not round.
    pub(crate) double: bool,
}

impl Type {
    pub(crate) fn new(kind: Kind, events: Option<Layout>, dims: impl Into<Vec<usize>>) -> Self {
        Self {
            kind,
            events,
            dims: dims.into(),
            labels: None,
            shape: false,
            int32: false,
            narrow: None,
            double: false,
        }
    }

    /// The type of a constant.
    pub(crate) fn of(constant: &Constant) -> Self {
        let Constant { ref dims, int32, narrow, .. } = *constant;
        Self { int32, narrow, ..Self::new(constant.kind(), None, dims.clone()) }
    }

    /// The same with another shape per event.
    pub(crate) fn with_dims(&self, dims: impl Into<Vec<usize>>) -> Self {
        Self { dims: dims.into(), ..self.clone() }
    }

    /// Numbers of a row.
    pub fn numbers(&self) -> usize {
        self.dims.iter().product()
    }

    /// Is it small enough to compute with?
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.dims.len() > RANK_MAX {
            refuse!("makes a value with {} axes; at most {RANK_MAX} are supported", self.dims.len());
        }
        let numbers = self.dims.iter().try_fold(self.rows(), |size, &dim| size.checked_mul(dim.max(1)));
        let most = if self.events.is_some() { EVENT_NUMBERS_MAX } else { NUMBERS_MAX };
        match numbers {
            Some(numbers) if numbers <= most => Ok(()),
            _ => Err(format!("makes a value of shape {:?}; at most {most} numbers are supported", self.dims)),
        }
    }
}

/// A value on a device.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Float(Tensor<2>),
    Int(Tensor<2, Int>),
    Bool(Tensor<2, Bool>),
}

impl Value {
    /// Brings a constant to a device, as one row.
    pub fn of(constant: &Constant, device: &Device) -> Self {
        let shape = [1, constant.len()];
        match &constant.data {
            Data::Floats(values) => {
                Self::Float(Tensor::from_data(TensorData::new(values.clone(), shape), device))
            }
            Data::Ints(values) => Self::Int(ints(values.clone(), shape, device)),
            Data::Bools(values) => {
                Self::Bool(Tensor::from_data(TensorData::new(values.clone(), shape), device))
            }
        }
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        match self {
            Self::Float(tensor) => tensor.dims()[0],
            Self::Int(tensor) => tensor.dims()[0],
            Self::Bool(tensor) => tensor.dims()[0],
        }
    }

    /// Brings a value of one row back to the host.
    pub fn into_constant(self, dims: &[usize]) -> Result<Constant, String> {
        let data = match self {
            Self::Float(tensor) => Data::Floats(tensor.try_into_vec_as().map_err(|error| error.to_string())?),
            Self::Int(tensor) => Data::Ints(tensor.try_into_vec_as().map_err(|error| error.to_string())?),
            Self::Bool(tensor) => Data::Bools(tensor.try_into_vec_as().map_err(|error| error.to_string())?),
        };
        if data.len() != dims.iter().product::<usize>() {
            refuse!("gave {} numbers for shape {dims:?}", data.len());
        }
        Ok(Constant { dims: dims.to_vec(), data, int32: false, narrow: None })
    }
}

/// Does the same to a value of any kind.
macro_rules! each {
    ($value:expr, $tensor:ident => $then:expr) => {
        match $value {
            Value::Float($tensor) => Value::Float($then),
            Value::Int($tensor) => Value::Int($then),
            Value::Bool($tensor) => Value::Bool($then),
        }
    };
}
pub(crate) use each;

/// Integers on a device, in the width that the device computes in.
pub(crate) fn ints<const D: usize>(values: Vec<i64>, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    let data = TensorData::new(values, shape);
    if *device == Device::flex() {
        Tensor::from_data(data, (device, DType::I64))
    } else {
        Tensor::from_data(data.convert_dtype(DType::I32), (device, DType::I32))
    }
}

/// Integers that an operation made, in the same width as [`ints`].
pub(crate) fn as_ints<const D: usize>(tensor: Tensor<D, Int>, device: &Device) -> Tensor<D, Int> {
    tensor.cast(if *device == Device::flex() { DType::I64 } else { DType::I32 })
}

/// Integers from floating-point numbers, truncated toward zero, in the same width as [`ints`].
pub(crate) fn truncated<const D: usize>(tensor: Tensor<D>, device: &Device) -> Tensor<D, Int> {
    tensor.cast(if *device == Device::flex() { IntDType::I64 } else { IntDType::I32 })
}

/// The integers modulo 2^32, between -2^31 and 2^31 - 1, if that is what `int32` asks for: what arithmetic on 32-bit integers gives.
pub(crate) fn wrapped<const D: usize>(tensor: Tensor<D, Int>, int32: bool) -> Tensor<D, Int> {
    match (int32, tensor.dtype()) {
        (true, wide @ DType::I64) => tensor.cast(IntDType::I32).cast(IntDType::from(wide)),
        _ => tensor,
    }
}

/// The mean along an axis, with the digits that it has where all numbers are large and close to each other: what a first mean leaves is
/// averaged again. Infinities stay what they are.
pub(crate) fn mean<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    let numbers = x.dims()[axis] as f32;
    let first = x.clone().sum_dim(axis).div_scalar(numbers);
    let rest = (x - first.clone()).sum_dim(axis).div_scalar(numbers);
    let lost = first.clone().is_finite().bool_not();
    first + rest.mask_fill(lost, 0.0)
}

/// Axes of a value that is spread out: that of events (or 1), and `dims`, filled up with 1 in front.
pub(crate) const AXES: usize = RANK_MAX + 1;

impl Type {
    /// Shape of the value spread out; the first is to be replaced by the number of rows.
    pub(crate) fn axes(&self) -> [usize; AXES] {
        axes(&self.dims)
    }

    /// Where axis `axis` of `dims` is among the axes of the value spread out.
    pub(crate) fn spread_axis(&self, axis: usize) -> usize {
        AXES - self.dims.len() + axis
    }
}

/// `dims` at the end of the axes, 1 in front.
pub(crate) fn axes(dims: &[usize]) -> [usize; AXES] {
    let mut axes = [1; AXES];
    axes[AXES - dims.len()..].copy_from_slice(dims);
    axes
}

/// Spreads the rows of a value out to its axes.
pub(crate) fn spread<K: Basic>(tensor: Tensor<2, K>, mut axes: [usize; AXES]) -> Tensor<AXES, K> {
    axes[0] = tensor.dims()[0];
    tensor.reshape(axes)
}

/// Turns a value that is spread out back into rows.
pub(crate) fn rows<const D: usize, K: Basic>(tensor: Tensor<D, K>) -> Tensor<2, K> {
    let dims = tensor.dims();
    tensor.reshape([dims[0], dims[1..].iter().product()])
}

/// How two values are combined number by number.
#[derive(Clone, Debug)]
pub(crate) struct Broadcast {
    /// Axes of a row of the first and the second.
    pub operands: [[usize; AXES]; 2],
    /// Shape of a row of the result.
    pub dims: Vec<usize>,
    /// The axis of events of the result.
    pub events: Option<Layout>,
}

impl Broadcast {
    /// The rules of NumPy, with one more: axes of events meet each other, or an axis of size 1.
    pub fn new(first: &Type, second: &Type) -> Result<Self, Fault> {
        Self::but_last(first, second, 0)
    }

    /// The same for all but the last `kept` axes, which are not compared.
    pub fn but_last(first: &Type, second: &Type, kept: usize) -> Result<Self, Fault> {
        let behind = behind_events(first, second)?;
        if behind.is_some_and(|behind| behind < kept) {
            refuse!("{EVENTS_AXIS}");
        }
        let (mut operands, mut longest) = ([[1; AXES]; 2], 0);
        for (axes_of, operand) in operands.iter_mut().zip([first, second]) {
            let dims = match behind {
                Some(behind) if operand.events.is_none() => without_axis_of_events(&operand.dims, behind)?,
                _ => operand.dims.clone(),
            };
            longest = longest.max(dims.len());
            *axes_of = axes(&dims);
        }
        let mut joint = Vec::new();
        let compared = AXES - longest..AXES - kept;
        for (&a, &b) in operands[0][compared.clone()].iter().zip(&operands[1][compared]) {
            joint.push(match (a, b) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => refuse!("combines shapes {:?} and {:?}, which do not fit", first.dims, second.dims),
            });
        }
        let layout = first.events.or(second.events);
        let events = layout.zip(behind).map(|(layout, behind)| Layout { at: longest - behind, ..layout });
        Ok(Self { operands, dims: joint, events })
    }
}

/// How many axes stand behind that of events in the result; the same for both values that have one.
fn behind_events(first: &Type, second: &Type) -> Result<Option<usize>, Fault> {
    if let (Some(a), Some(b)) = (first.events, second.events)
        && (!a.matches(b) || first.behind_events() != second.behind_events())
    {
        return refuse_meeting(first, second);
    }
    Ok(first.behind_events().or(second.behind_events()))
}

/// The axes of a constant beside values with events: where those have their events, it has one number for all, or no axis.
pub(crate) fn without_axis_of_events(dims: &[usize], behind: usize) -> Result<Vec<usize>, Fault> {
    let Some(at) = dims.len().checked_sub(behind + 1) else { return Ok(dims.to_vec()) };
    if dims[at] != 1 {
        refuse!("combines the axis of events with an axis of fixed size {}", dims[at]);
    }
    Ok([&dims[..at], &dims[at + 1..]].concat())
}
