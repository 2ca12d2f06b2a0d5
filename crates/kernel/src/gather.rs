//! Gathers lanes for kernels straight from the records of events, without rows in between.
//!
//! ```text
//!   record of event 0   | i16 i16 | i16 i16 | ... 32 bytes: a window of 8 words |        words of 16 events, turned:
//!   record of event 1   | i16 i16 | ...                                         |  -->   word 0: | e0 | e1 | ... | e15 |
//!   ...                                                                                  ...
//!                                                                                           | shifts take a number out of its word
//!                                                                                           v
//!                                                        lanes of column c:  clip(number * mul + add)
//! ```
//!
//! * I1: as everywhere in this crate, the bits of a column are a function of the event's bytes alone on every instruction set.
//! * I2: a NaN stays a NaN: it is neither clipped nor lost.
//! * I3: no byte outside the caller's slices is read.
//!
//! Cost: 57 16-bit numbers, a third of them with bounds, take 4.6 ns per event with AVX-512 (Zen 5, 2026-11-25; `examples/speed.rs`) from
//! contiguous records, and twice as much from scattered ones. Most of it is vector work: shifts, a conversion and a
//! multiply-add per number.

use crate::isa::{Level, Work};
use crate::lanes::{EVENTS, Lanes};
use crate::simd::{Simd, WINDOW, prefetch};

/// Longest record for which the whole next tile is prefetched. Of longer records little is read, and they would fill the cache.
const AHEAD_RECORD_MAX: usize = 512;
/// Words of a window.
pub(crate) const WORDS: usize = WINDOW / 4;

/// The type of a number in a record: little-endian, at any offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types of Rust")]
pub enum Number {
    U8,
    I8,
    U16,
    I16,
    I32,
    F32,
}

impl Number {
    /// Size in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
        }
    }
}

/// How a number is converted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Map {
    /// `number * mul + add`, rounded once, then clipped to `low..=high`.
    Affine {
        /// Factor.
        mul: f32,
        /// Summand.
        add: f32,
        /// `[low, high]`; infinite where there is no bound.
        clip: [f32; 2],
    },
    /// `number * scale + offset` in double precision, rounded to single at the end: the value that a framework was trained with that never saw the
    /// integers.
    Physical {
        /// Factor.
        scale: f64,
        /// Summand.
        offset: f64,
    },
}

/// One input of a tile: where its number is in the record and how it is converted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// Index of the tile's input.
    pub input: usize,
    /// Byte offset in the record.
    pub at: usize,
    /// Its type.
    pub number: Number,
    /// Its conversion.
    pub map: Map,
}

const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

/// Columns, ready to be gathered from records of one layout. Immutable and shared by threads.
#[derive(Clone, Debug)]
pub struct Gather {
    level: Level,
    windows: Vec<RecordPart>,
    record_len: usize,
    inputs: usize,
}

/// 32 bytes of a record, and the columns whose numbers lie in them.
#[derive(Clone, Debug)]
struct RecordPart {
    at: usize,
    /// The usual case, with loops of its own: two signed 16-bit numbers that share a word and are adjacent inputs.
    free: Vec<ColumnPair>,
    /// Such pairs of which at least one number has bounds.
    clipped: Vec<ColumnPair>,
    /// All other columns.
    others: Vec<Other>,
}

/// Two adjacent inputs, one in the low half of a word and the other in the high half.
#[derive(Clone, Copy, Debug)]
struct ColumnPair {
    word: usize,
    /// The first of the two inputs.
    input: usize,
    picks: [Pick; 2],
}

/// A column that is [`Map::Affine`].
#[derive(Clone, Copy, Debug)]
struct Pick {
    mul: f32,
    add: f32,
    low: f32,
    high: f32,
}

/// Any other column.
#[derive(Clone, Copy, Debug)]
struct Other {
    place: Place,
    column: Column,
}

/// Where an integer is in a window. A shift to the left and one to the right extract it from its word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Index of the word in the window.
    pub word: usize,
    left: i32,
    right: i32,
    is_signed: bool,
}

impl Place {
    /// The place of a number `from` bytes from the start of its window.
    pub(crate) fn new(from: usize, number: Number) -> Self {
        let size = number.size();
        let [left, right] = [4 - from % 4 - size, 4 - size].map(|bytes| bytes as i32 * 8);
        let is_signed = !matches!(number, Number::U8 | Number::U16);
        Self { word: from / 4, left, right, is_signed }
    }

    /// Extracts the integer from its word.
    #[inline(always)]
    pub(crate) fn integer<S: Simd>(&self, simd: S, word: S::V) -> S::V {
        let moved = simd.shift_left(word, self.left);
        if self.is_signed {
            simd.shift_right(moved, self.right)
        } else {
            simd.shift_right_unsigned(moved, self.right)
        }
    }
}

impl Gather {
    /// Plans columns of records of `record_len` bytes for the instruction set of a kernel.
    ///
    /// # Panics
    /// If a column does not lie within the record: the caller takes it from the schema of the records.
    pub(crate) fn new(level: Level, record_len: usize, inputs: usize, columns: &[Column]) -> Self {
        let windows = windows(record_len, columns, |column| (column.at, column.number.size()));
        let windows = windows.into_iter().map(|(at, columns)| RecordPart::new(at, &columns)).collect();
        Self { level, windows, record_len, inputs }
    }

    /// Writes the columns of up to 32 events into `lanes`, event `e` from the record at the start of `records[e]`. A slice may be longer than
    /// its record; the rest has no effect. Lanes beyond the last event get arbitrary values.
    ///
    /// # Panics
    /// If there are more than 32 events, a slice is shorter than a record, or `lanes` are those of another kernel.
    pub fn fill(&self, records: &[&[u8]], lanes: &mut [Lanes]) {
        self.assert_fits(records.len(), lanes);
        assert!(records.iter().all(|record| record.len() >= self.record_len), "records are whole");
        self.level.run(Fill { gather: self, records: Scattered(records), events: records.len(), lanes });
    }

    /// Like [`Gather::fill`], for contiguous records. `bytes` may go on after the last one, which is faster: the records that follow are
    /// prefetched while a kernel computes.
    ///
    /// # Panics
    /// As [`Gather::fill`].
    pub fn fill_run(&self, bytes: &[u8], events: usize, lanes: &mut [Lanes]) {
        self.assert_fits(events, lanes);
        assert!(bytes.len() >= events * self.record_len, "records are whole");
        let records = Run { bytes, stride: self.record_len };
        self.level.run(Fill { gather: self, records, events, lanes });
        ask_ahead(bytes, events, self.record_len);
    }

    fn assert_fits(&self, events: usize, lanes: &[Lanes]) {
        assert!(events <= EVENTS, "{events} events in a tile");
        assert_eq!(lanes.len(), self.inputs, "the tile was made by another kernel");
    }
}

/// Distributes the columns over windows of the record; `place` gives a column's offset and size. The columns of a window are in order of offset.
///
/// # Panics
/// If a column does not lie within the record.
pub(crate) fn windows<C: Copy>(
    record_len: usize,
    columns: &[C],
    place: impl Fn(&C) -> (usize, usize),
) -> Vec<(usize, Vec<C>)> {
    // Does the column lie within one word of the window that begins at `at`?
    let fits = |column: &C, at: usize| {
        let (from, size) = place(column);
        from >= at && from - at + size <= WINDOW && (from - at) % 4 + size <= 4
    };
    let mut rest = columns.to_vec();
    rest.sort_by_key(|column| place(column).0);
    let mut windows = Vec::new();
    while let Some((first, size)) = rest.first().map(&place) {
        assert!(first + size <= record_len, "a number of {size} bytes at {first} in {record_len} bytes");
        let (mine, others): (Vec<C>, Vec<C>) = rest.iter().partition(|column| fits(column, first));
        // The window begins early if its columns allow: one that ends with the record needs no bytes after it.
        let back = record_len.saturating_sub(WINDOW);
        let at = if back < first && mine.iter().all(|column| fits(column, back)) { back } else { first };
        windows.push((at, mine));
        rest = others;
    }
    windows
}

/// Prefetches the records of the next tile while a kernel computes on this one.
pub(crate) fn ask_ahead(bytes: &[u8], events: usize, record_len: usize) {
    if record_len <= AHEAD_RECORD_MAX {
        let next = &bytes[events * record_len..];
        prefetch(&next[..next.len().min(events * record_len)]);
    }
}

impl RecordPart {
    fn new(at: usize, columns: &[Column]) -> Self {
        let mut window = Self { at, free: Vec::new(), clipped: Vec::new(), others: Vec::new() };
        let mut columns = columns.iter().peekable();
        while let Some(&column) = columns.next() {
            if let Some(pair) = columns.peek().and_then(|next| pair(at, &column, next)) {
                columns.next();
                let has_bounds = |pick: &Pick| [pick.low, pick.high] != UNBOUNDED;
                let is_clipped = pair.picks.iter().any(has_bounds);
                let pairs = if is_clipped { &mut window.clipped } else { &mut window.free };
                pairs.push(pair);
                continue;
            }
            window.others.push(Other { place: Place::new(column.at - at, column.number), column });
        }
        window
    }

    /// Writes the columns of the window from its words.
    #[inline(always)]
    fn write<S: Simd>(&self, simd: S, words: &[S::V; WORDS], lanes: &mut [Lanes], register: usize) {
        for pair in &self.free {
            pair.write::<S, false>(simd, words[pair.word % WORDS], lanes, register);
        }
        for pair in &self.clipped {
            pair.write::<S, true>(simd, words[pair.word % WORDS], lanes, register);
        }
        for other in &self.others {
            other.write(simd, words, lanes, register);
        }
    }
}

/// Two columns of the window at `at` as a pair, if they form one.
fn pair(at: usize, first: &Column, second: &Column) -> Option<ColumnPair> {
    let (
        Map::Affine { mul, add, clip: [low, high] },
        Map::Affine { mul: mul2, add: add2, clip: [low2, high2] },
    ) = (first.map, second.map)
    else {
        return None;
    };
    let share_a_word = (first.at - at).is_multiple_of(4) && second.at == first.at + 2;
    let are_halves = [first, second].iter().all(|column| column.number == Number::I16);
    let picks = [Pick { mul, add, low, high }, Pick { mul: mul2, add: add2, low: low2, high: high2 }];
    (share_a_word && are_halves && second.input == first.input + 1).then_some(ColumnPair {
        word: (first.at - at) / 4,
        input: first.input,
        picks,
    })
}

impl ColumnPair {
    #[inline(always)]
    fn write<S: Simd, const CLIPPED: bool>(&self, simd: S, word: S::V, lanes: &mut [Lanes], register: usize) {
        let lanes: &mut [Lanes; 2] = lanes[self.input..].first_chunk_mut().expect("inputs of this kernel");
        let numbers = [simd.first(word), simd.second(word)];
        for half in 0..2 {
            let x = self.picks[half].value::<S, CLIPPED>(simd, simd.to_float(numbers[half]));
            simd.store(&mut lanes[half], register, x);
        }
    }
}

impl Pick {
    #[inline(always)]
    fn value<S: Simd, const CLIPPED: bool>(&self, simd: S, number: S::V) -> S::V {
        let x = simd.fma(number, simd.splat(self.mul), simd.splat(self.add));
        if !CLIPPED {
            return x;
        }
        // The operands have this order because both operations then keep a NaN (I2).
        simd.min(simd.splat(self.high), simd.max(simd.splat(self.low), x))
    }
}

impl Other {
    #[inline(always)]
    fn write<S: Simd>(&self, simd: S, words: &[S::V; WORDS], lanes: &mut [Lanes], register: usize) {
        let Self { place, column: Column { input, number, map, .. } } = *self;
        let word = words[place.word % WORDS];
        let value = match (map, number) {
            (Map::Affine { mul, add, clip: [low, high] }, _) => {
                let x = match number {
                    Number::F32 => word,
                    _ => simd.to_float(place.integer(simd, word)),
                };
                Pick { mul, add, low, high }.value::<S, true>(simd, x)
            }
            (Map::Physical { scale, offset }, Number::F32) => simd.physical_float(word, scale, offset),
            (Map::Physical { scale, offset }, _) => simd.physical(place.integer(simd, word), scale, offset),
        };
        simd.store(&mut lanes[input], register, value);
    }
}

/// Access to the records of a tile.
pub(crate) trait Records: Copy {
    /// Words of the windows at `at` in the records from event `first` on, up to event `events`; lanes beyond have arbitrary values.
    fn words<S: Simd>(self, simd: S, at: usize, first: usize, events: usize) -> [S::V; WORDS];

    /// Prefetches the records from event `first` on, up to event `events`.
    fn ask(self, first: usize, events: usize);
}

/// The words of windows that are first copied side by side.
#[inline(always)]
fn copied<'a, S: Simd>(simd: S, windows: impl Iterator<Item = &'a [u8]>) -> [S::V; WORDS] {
    let mut copy = [[0; WINDOW]; EVENTS];
    for (copy, window) in copy.iter_mut().zip(windows) {
        match window.first_chunk() {
            Some(whole) => *copy = *whole,
            None => copy[..window.len()].copy_from_slice(window),
        }
    }
    simd.turn_words(copy.as_flattened(), WINDOW)
}

/// Records anywhere in memory.
#[derive(Clone, Copy)]
pub(crate) struct Scattered<'a>(pub &'a [&'a [u8]]);

impl Records for Scattered<'_> {
    #[inline(always)]
    fn words<S: Simd>(self, simd: S, at: usize, first: usize, events: usize) -> [S::V; WORDS] {
        copied(simd, self.0[first..events].iter().map(|record| &record[at..]).take(S::LANES))
    }

    /// Scattered records are not prefetched.
    #[inline(always)]
    fn ask(self, _: usize, _: usize) {}
}

/// Contiguous records.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub bytes: &'a [u8],
    pub stride: usize,
}

impl Records for Run<'_> {
    #[inline(always)]
    fn words<S: Simd>(self, simd: S, at: usize, first: usize, events: usize) -> [S::V; WORDS] {
        let Self { bytes, stride } = self;
        let from = &bytes[first * stride + at..];
        if from.len() >= (S::LANES - 1) * stride + WINDOW {
            return simd.turn_words(from, stride);
        }
        copied(simd, from.chunks(stride).take(S::LANES.min(events - first)))
    }

    #[inline(always)]
    fn ask(self, first: usize, events: usize) {
        let Self { bytes, stride } = self;
        if stride <= AHEAD_RECORD_MAX {
            let bytes = &bytes[bytes.len().min(first * stride)..];
            prefetch(&bytes[..bytes.len().min((events - first) * stride)]);
        }
    }
}

struct Fill<'a, R> {
    gather: &'a Gather,
    records: R,
    events: usize,
    lanes: &'a mut [Lanes],
}

impl<R: Records> Work for Fill<'_, R> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { gather, records, events, lanes } = self;
        for window in &gather.windows {
            for first in (0..events).step_by(S::LANES) {
                let words = records.words(simd, window.at, first, events);
                window.write(simd, &words, lanes, first / S::LANES);
            }
        }
    }
}
