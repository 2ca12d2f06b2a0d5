//! The layout that kernels work on: the same number of 32 events side by side.
//!
//! ```text
//!   rows, for callers                   lanes, for kernels
//!   event 0: a b c ...                  a: event 0, 1, 2, ... 31     one cache line or two per number
//!   event 1: a b c ...      <------>    b: event 0, 1, 2, ... 31
//!   ...                                 ...
//! ```
//!
//! Lanes do not influence each other. Lanes beyond the last event hold arbitrary values, and their results are never read.

use crate::simd::Simd;

/// Events per tile.
pub const EVENTS: usize = 32;

/// Registers of events that are processed at once. A tile has an even number of registers on every instruction set, so the second one may hold
/// lanes beyond the events.
pub(crate) const REGISTERS: usize = 2;

/// One number of each event of a tile.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct Lanes(pub [f32; EVENTS]);

impl Lanes {
    /// All zero.
    pub const ZERO: Self = Self([0.0; EVENTS]);
}

/// The memory that one thread needs to run a kernel: inputs, intermediate numbers and scores of a tile.
///
/// The kernel makes it. Nothing is allocated after that.
#[derive(Clone, Debug)]
pub struct Tile {
    /// The inputs, followed by the rows that a kernel derives from them.
    pub(crate) rows: Box<[Lanes]>,
    inputs: usize,
    pub(crate) between: [Box<[Lanes]>; 2],
    pub(crate) scores: Box<[Lanes]>,
}

impl Tile {
    /// Allocates memory for `inputs`, `derived` rows, two intermediate buffers and `scores`.
    pub(crate) fn new(inputs: usize, derived: usize, between: [usize; 2], scores: usize) -> Self {
        let room = |numbers| vec![Lanes::ZERO; numbers].into_boxed_slice();
        Self { rows: room(inputs + derived), inputs, between: between.map(room), scores: room(scores) }
    }

    /// The inputs of the events, to be written before the kernel runs: `[input].0[event]`.
    pub fn inputs_mut(&mut self) -> &mut [Lanes] {
        &mut self.rows[..self.inputs]
    }

    /// The scores of the events after the kernel ran: `[score].0[event]`.
    pub fn scores(&self) -> &[Lanes] {
        &self.scores
    }

    pub(crate) fn assert_shape(&self, inputs: usize, outputs: usize) {
        let shape = (self.inputs, self.scores.len());
        assert_eq!(shape, (inputs, outputs), "the tile was made by another kernel");
    }

    pub(crate) fn assert_fits(&self, inputs: usize, outputs: usize, rows: &[f32], scores: &[f32]) {
        self.assert_shape(inputs, outputs);
        let events = rows.len() / inputs;
        assert_eq!(rows.len(), events * inputs, "whole rows of {inputs} inputs");
        assert_eq!(scores.len(), events * outputs, "{outputs} scores for each of {events} events");
    }
}

/// Turns up to 32 rows into lanes.
#[inline(always)]
pub(crate) fn from_rows<S: Simd>(simd: S, rows: &[f32], lanes: &mut [Lanes]) {
    let inputs = lanes.len();
    let registers = rows.chunks_exact(S::LANES * inputs);
    let rest = registers.remainder();
    let mut first = 0;
    for (register, rows) in registers.enumerate() {
        simd.turn(rows, lanes, register);
        first += S::LANES;
    }
    for (event, row) in rest.chunks_exact(inputs).enumerate() {
        for (lanes, &value) in lanes.iter_mut().zip(row) {
            lanes.0[first + event] = value;
        }
    }
}

/// Turns lanes into rows, as many as `rows` can hold.
#[inline(always)]
pub(crate) fn to_rows(lanes: &[Lanes], rows: &mut [f32]) {
    // With a width known at compile time this becomes a few shuffles.
    match lanes.len() {
        1 => to_rows_of::<1>(lanes, rows),
        2 => to_rows_of::<2>(lanes, rows),
        3 => to_rows_of::<3>(lanes, rows),
        4 => to_rows_of::<4>(lanes, rows),
        5 => to_rows_of::<5>(lanes, rows),
        outputs => {
            for (event, row) in rows.chunks_exact_mut(outputs).enumerate() {
                for (value, lanes) in row.iter_mut().zip(lanes) {
                    *value = lanes.0[event];
                }
            }
        }
    }
}

#[inline(always)]
fn to_rows_of<const N: usize>(lanes: &[Lanes], rows: &mut [f32]) {
    let lanes: &[Lanes; N] = lanes.first_chunk().expect("the caller has looked");
    let rows = rows.as_chunks_mut::<N>().0;
    if let Some(rows) = rows.first_chunk_mut::<EVENTS>() {
        for (event, row) in rows.iter_mut().enumerate() {
            for (value, lanes) in row.iter_mut().zip(lanes) {
                *value = lanes.0[event];
            }
        }
        return;
    }
    for (event, row) in rows.iter_mut().enumerate() {
        for (value, lanes) in row.iter_mut().zip(lanes) {
            *value = lanes.0[event];
        }
    }
}
