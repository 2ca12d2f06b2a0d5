//! The values that flow through a graph, and their types.
//!
//! Every value is a matrix on a device: one row per event, which holds the event's part of the tensor, row-major. A value
//! that does not depend on the event has one row. So reshaping costs nothing, the rows of a batch are the tensor, and an operator derives the
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

/// The type of a value, known before anything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// Kind of the numbers.
    pub kind: Kind,
    /// The position of its axis of events, if it has one; in an output of a graph it is in front of `dims`.
    pub(crate) events: Option<Layout>,
    /// Shape per event (per row, where other axes are merged with that of events).
    pub dims: Vec<usize>,
    /// The words for which its integers stand, if they are indices into a list (class labels that are text).
    pub labels: Option<Vec<String>>,
    /// Is it (part of) the shape of a value with events, where [`crate::layout::EVENTS`] stands for their number? Few operators accept
    /// such a value.
    pub(crate) shape: bool,
    /// Are its integers 32-bit? Then arithmetic on them wraps around at 32 bits ([`wrapped`]).
    pub(crate) int32: bool,
    /// The type of its integers, if it has 8 or 16 bits. Few operators accept such a value, since arithmetic would wrap around.
    pub(crate) narrow: Option<Narrow>,
    /// Is it in double precision in the file? Its numbers are single here, so only operators that do not round accept it.
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
        let labels = constant.words.clone();
        Self { int32, narrow, labels, ..Self::new(constant.kind(), None, dims.clone()) }
    }

    /// This type with another shape per event.
    pub(crate) fn with_dims(&self, dims: impl Into<Vec<usize>>) -> Self {
        Self { dims: dims.into(), ..self.clone() }
    }

    /// Number of numbers per row.
    pub fn numbers(&self) -> usize {
        self.dims.iter().product()
    }

    /// Refuses a type that is too large to compute with.
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
    /// Copies a constant to a device, as one row.
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

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Float(tensor) => tensor.dims()[0],
            Self::Int(tensor) => tensor.dims()[0],
            Self::Bool(tensor) => tensor.dims()[0],
        }
    }

    /// Copies a value of one row back to the host.
    pub fn into_constant(self, dims: &[usize]) -> Result<Constant, String> {
        let data = match self {
            Self::Float(tensor) => Data::Floats(tensor.try_into_vec_as().map_err(|error| error.to_string())?),
            Self::Int(tensor) => Data::Ints(tensor.try_into_vec_as().map_err(|error| error.to_string())?),
            Self::Bool(tensor) => Data::Bools(tensor.try_into_vec_as().map_err(|error| error.to_string())?),
        };
        if data.len() != dims.iter().product::<usize>() {
            refuse!("gave {} numbers for shape {dims:?}", data.len());
        }
        Ok(Constant { dims: dims.to_vec(), data, int32: false, narrow: None, words: None })
    }
}

/// Applies an expression to the tensor of a value of any kind.
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

/// Makes integers on a device, in the width in which the device computes.
pub(crate) fn ints<const D: usize>(values: Vec<i64>, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    let data = TensorData::new(values, shape);
    if *device == Device::flex() {
        Tensor::from_data(data, (device, DType::I64))
    } else {
        Tensor::from_data(data.convert_dtype(DType::I32), (device, DType::I32))
    }
}

/// Converts the integers of an operation to the same width as [`ints`].
pub(crate) fn as_ints<const D: usize>(tensor: Tensor<D, Int>, device: &Device) -> Tensor<D, Int> {
    tensor.cast(if *device == Device::flex() { DType::I64 } else { DType::I32 })
}

/// Integers from floating-point numbers, truncated toward zero, in the same width as [`ints`].
pub(crate) fn truncated<const D: usize>(tensor: Tensor<D>, device: &Device) -> Tensor<D, Int> {
    tensor.cast(if *device == Device::flex() { IntDType::I64 } else { IntDType::I32 })
}

/// The integers modulo 2^32, between -2^31 and 2^31 - 1, if `int32`: the results of 32-bit arithmetic.
pub(crate) fn wrapped<const D: usize>(tensor: Tensor<D, Int>, int32: bool) -> Tensor<D, Int> {
    match (int32, tensor.dtype()) {
        (true, wide @ DType::I64) => tensor.cast(IntDType::I32).cast(IntDType::from(wide)),
        _ => tensor,
    }
}

/// The mean along an axis, accurate even if all numbers are large and close to each other: the differences from a first mean are
/// averaged again. Infinities stay unchanged.
pub(crate) fn mean<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    let numbers = x.dims()[axis] as f32;
    let first = x.clone().sum_dim(axis).div_scalar(numbers);
    let rest = (x - first.clone()).sum_dim(axis).div_scalar(numbers);
    let lost = first.clone().is_finite().bool_not();
    first + rest.mask_fill(lost, 0.0)
}

/// Number of axes of a value that is spread out: that of events (or 1), and `dims`, padded with 1 in front.
pub(crate) const AXES: usize = RANK_MAX + 1;

impl Type {
    /// The shape of the value spread out; the first axis is to be replaced by the number of rows.
    pub(crate) fn axes(&self) -> [usize; AXES] {
        axes(&self.dims)
    }

    /// The index of axis `axis` of `dims` in the value spread out.
    pub(crate) fn spread_axis(&self, axis: usize) -> usize {
        AXES - self.dims.len() + axis
    }
}

/// `dims` padded with 1 in front.
pub(crate) fn axes(dims: &[usize]) -> [usize; AXES] {
    let mut axes = [1; AXES];
    axes[AXES - dims.len()..].copy_from_slice(dims);
    axes
}

/// Spreads out the rows of a value to its axes.
pub(crate) fn spread<K: Basic>(tensor: Tensor<2, K>, mut axes: [usize; AXES]) -> Tensor<AXES, K> {
    axes[0] = tensor.dims()[0];
    tensor.reshape(axes)
}

/// Turns a value that is spread out back into rows.
pub(crate) fn rows<const D: usize, K: Basic>(tensor: Tensor<D, K>) -> Tensor<2, K> {
    let dims = tensor.dims();
    tensor.reshape([dims[0], dims[1..].iter().product()])
}

/// How two values are broadcast.
#[derive(Clone, Debug)]
pub(crate) struct Broadcast {
    /// Axes of a row of the first and of the second.
    pub operands: [[usize; AXES]; 2],
    /// Shape of a row of the result.
    pub dims: Vec<usize>,
    /// The axis of events of the result.
    pub events: Option<Layout>,
}

impl Broadcast {
    /// Broadcasts by the rules of NumPy, with one more: an axis of events matches another one, or an axis of size 1.
    pub fn new(first: &Type, second: &Type) -> Result<Self, Fault> {
        Self::but_last(first, second, 0)
    }

    /// Broadcasts all but the last `kept` axes.
    pub fn but_last(first: &Type, second: &Type, kept: usize) -> Result<Self, Fault> {
        let behind = behind_events(first, second)?;
        if behind.is_some_and(|behind| behind < kept) {
            refuse!("{EVENTS_AXIS}");
        }
        let mut operands = [[1; AXES]; 2];
        let mut longest = 0;
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

/// Number of axes behind that of events in the result; must agree if both values have one.
fn behind_events(first: &Type, second: &Type) -> Result<Option<usize>, Fault> {
    if let (Some(a), Some(b)) = (first.events, second.events)
        && (!a.matches(b) || first.behind_events() != second.behind_events())
    {
        return refuse_meeting(first, second);
    }
    Ok(first.behind_events().or(second.behind_events()))
}

/// The axes of a constant that is broadcast with values with events, without its axis at the place of the events, which must have size 1.
pub(crate) fn without_axis_of_events(dims: &[usize], behind: usize) -> Result<Vec<usize>, Fault> {
    let Some(at) = dims.len().checked_sub(behind + 1) else { return Ok(dims.to_vec()) };
    if dims[at] != 1 {
        refuse!("combines the axis of events with an axis of fixed size {}", dims[at]);
    }
    Ok([&dims[..at], &dims[at + 1..]].concat())
}
