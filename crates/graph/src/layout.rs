//! Tracks where the axis of events is among the axes of a value.
//!
//! In most values it is in front. Models also move it behind another axis for a while (attention that wants the particles first), and merge
//! it with others (dense layers on all particles of all events, the heads of attention as so many more events):
//!
//! ```text
//!   ONNX value            dims      layout                        rows per event, numbers in each
//!   [N, 8, 4]             [8, 4]    at 0                          1, 32
//!   [8, N, 4]             [8, 4]    at 1                          1, 32
//!   [N * 8, 4]            [4]       at 0, after 8                 8, 4
//!   [8 * N, 4]            [4]       at 0, before 8                8, 4
//!   [8, N * 2, 4]         [8, 4]    at 1, after 2                 2, 32
//! ```
//!
//! Whatever the layout, the rows of an event are contiguous in memory, and an operator that computes row by row computes event by event: it need
//! not know that a row is only part of an event. So every operator accepts events in front, merged or not; an operator accepts the events
//! elsewhere if it declares so ([`crate::operator::Site::anywhere`]).

use crate::error::{Fault, refuse};
use crate::value::Type;

/// The axis of events of a value: `before * events * after` rows, row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Number of axes in front of it.
    pub at: usize,
    /// Size of the merged axes that vary slower.
    pub before: usize,
    /// Size of the merged axes that vary faster.
    pub after: usize,
}

/// In a value whose type says `shape`, this stands for the number of events, and its multiples for rows of merged axes. No file can mean a size by
/// such an integer, and all multiples up to the largest value fit in 64 bits.
pub(crate) const EVENTS: i64 = 1 << 40;

/// Why an operation on the axis of events is refused.
pub(crate) const EVENTS_AXIS: &str = "works along the axis of events: the score of an event would depend on its neighbours; export the model with \
     the batch axis in front and operations on the other axes";

/// The factor of a size that is a multiple of the number of events.
pub(crate) fn times_events(size: i64) -> Option<usize> {
    (size >= EVENTS && size % EVENTS == 0).then_some((size / EVENTS) as usize)
}

impl Layout {
    /// Events in front and not merged.
    pub const FRONT: Self = Self { at: 0, before: 1, after: 1 };

    /// Number of rows per event.
    pub fn rows(self) -> usize {
        self.before * self.after
    }

    /// Do the rows of two values stand for the same parts of events?
    pub fn matches(self, other: Self) -> bool {
        (self.before, self.after) == (other.before, other.after)
    }

    /// The size of the axis, as a multiple of [`EVENTS`].
    fn size(self) -> i64 {
        EVENTS * self.rows() as i64
    }
}

impl Type {
    /// Number of rows per event in the matrix of the value; 1 for a value without events.
    pub(crate) fn rows(&self) -> usize {
        self.events.map_or(1, Layout::rows)
    }

    /// Number of numbers per event.
    pub(crate) fn event_numbers(&self) -> usize {
        self.numbers() * self.rows()
    }

    /// Number of axes as ONNX counts them, including that of events.
    pub(crate) fn rank(&self) -> usize {
        self.dims.len() + usize::from(self.events.is_some())
    }

    /// The sizes of all axes as ONNX counts them; `None` is that of events.
    pub(crate) fn all_axes(&self) -> Vec<Option<usize>> {
        let mut all: Vec<_> = self.dims.iter().copied().map(Some).collect();
        if let Some(layout) = self.events {
            all.insert(layout.at, None);
        }
        all
    }

    /// This type with these axes; `None` stands for the axis of events.
    pub(crate) fn with_all_axes(&self, all: &[Option<usize>]) -> Self {
        let at = all.iter().position(Option::is_none).unwrap_or(0);
        let events = self.events.map(|layout| Layout { at, ..layout });
        Self { events, ..self.with_dims(all.iter().copied().flatten().collect::<Vec<_>>()) }
    }

    /// This type without the axes `gone` of its `dims`.
    pub(crate) fn without(&self, gone: &[usize]) -> Self {
        let left = self.dims.iter().enumerate().filter(|(axis, _)| !gone.contains(axis));
        let left: Vec<usize> = left.map(|(_, &dim)| dim).collect();
        let in_front = |at: usize| gone.iter().filter(|&&axis| axis < at).count();
        let events = self.events.map(|layout| Layout { at: layout.at - in_front(layout.at), ..layout });
        Self { events, ..self.with_dims(left) }
    }

    /// The shape in ONNX, with a multiple of [`EVENTS`] for the axis of events.
    pub(crate) fn shape(&self) -> Vec<i64> {
        let size = |axis: Option<usize>| match axis {
            Some(dim) => dim as i64,
            None => self.events.map_or(0, Layout::size),
        };
        self.all_axes().into_iter().map(size).collect()
    }

    /// Number of axes behind that of events; `None` without events.
    pub(crate) fn behind_events(&self) -> Option<usize> {
        Some(self.dims.len() - self.events?.at)
    }

    /// Converts an ONNX axis (negative ones count from the end, including that of events) to an axis of `dims`.
    pub(crate) fn axis(&self, axis: i64) -> Result<usize, Fault> {
        match self.axis_or_events(axis)? {
            Some(axis) => Ok(axis),
            None => Err(EVENTS_AXIS.into()),
        }
    }

    /// Converts an ONNX axis to an axis of `dims`; `None` is the axis of events.
    pub(crate) fn axis_or_events(&self, axis: i64) -> Result<Option<usize>, Fault> {
        let counted = counted(axis, self.rank())?;
        Ok(match self.events.map(|layout| layout.at) {
            Some(at) if counted == at => None,
            Some(at) if counted > at => Some(counted - 1),
            _ => Some(counted),
        })
    }
}

/// Axis `axis` of `rank`; negative ones count from the end.
pub(crate) fn counted(axis: i64, rank: usize) -> Result<usize, Fault> {
    let from_front = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    match usize::try_from(from_front) {
        Ok(counted) if counted < rank => Ok(counted),
        _ => refuse!("axis {axis} does not exist; the value has {rank}"),
    }
}

/// A shape for messages, with the number of events as a word.
pub(crate) fn written(shape: &[i64]) -> String {
    let size = |&size: &i64| match times_events(size) {
        Some(1) => "batch".to_owned(),
        Some(times) => format!("batch * {times}"),
        None => size.to_string(),
    };
    format!("[{}]", shape.iter().map(size).collect::<Vec<_>>().join(", "))
}

/// Refuses values in one node whose rows stand for different parts of events.
pub(crate) fn refuse_other_rows<'a>(kinds: impl Iterator<Item = &'a Type>) -> Result<(), Fault> {
    let mut with_events = kinds.filter_map(|kind| Some((kind.events?, kind)));
    let Some((layout, first)) = with_events.next() else { return Ok(()) };
    match with_events.find(|(other, _)| !other.matches(layout)) {
        None => Ok(()),
        Some((_, other)) => refuse_meeting(first, other),
    }
}

/// Refuses two values whose axes of events differ.
pub(crate) fn refuse_meeting<T>(a: &Type, b: &Type) -> Result<T, Fault> {
    let [a, b] = [a, b].map(|kind| written(&kind.shape()));
    if a == b {
        refuse!("combines values of shape {a} whose rows are parts of the events in different orders");
    }
    refuse!("combines values whose axes of events do not meet: {a} and {b}");
}

/// Refuses an output without an axis of events in front, or with other axes merged into it.
pub(crate) fn refuse_as_output(kind: &Type) -> Result<(), Fault> {
    match kind.events {
        Some(Layout::FRONT) => Ok(()),
        None => refuse!("does not depend on the event"),
        Some(_) => refuse!(
            "has the shape {}: it must begin with an axis of events and nothing else; export the model with a Reshape or Transpose at its end \
             that brings the batch to the front",
            written(&kind.shape())
        ),
    }
}
