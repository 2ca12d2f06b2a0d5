//! Cuts on the integers of records: from the records straight to one bit per event and cut, and to sums of integers where numbers are needed.
//!
//! ```text
//!   records of 64 events --windows, turned--> words of 64 events
//!                                               | the first or second halves of a word, packed: one 16-bit number of 64 events
//!                                               v
//!                                             number - low <= high - low ?      64 bits, bit e is event e
//! ```
//!
//! * I1: the bits are those of the comparison, on every instruction set. One comparison tests both bounds: `number - low`, as an unsigned integer,
//!   wraps to a large value for a number below `low`.
//! * I2: no byte outside the caller's slices is read.
//! * I3: bits and sums of events that do not exist are arbitrary.
//!
//! Cost: half of the menu's decide loop; see there. A record is read once, and the next ones are prefetched.

use std::ops::Range;

use crate::gather::{self, Number, Place, Records, Run, Scattered, WORDS};
use crate::int::Pairs;
use crate::isa::{IntWork, Isa, Level};
use crate::lanes::EVENTS;
use crate::simd::IntSimd;

/// An integer of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integer {
    /// Byte offset in the record.
    pub at: usize,
    /// Its type; not [`Number::F32`].
    pub number: Number,
}

/// A cut that passes integers from `low` to `high`, both included and both in the range of the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sentence above")]
pub struct Cut {
    pub of: Integer,
    pub low: i32,
    pub high: i32,
}

/// Cuts on the integers of records of one layout, and sums of them. Immutable and shared by threads.
#[derive(Clone, Debug)]
pub struct Sieve {
    level: Level,
    windows: Vec<RecordPart>,
    /// In the order of the windows.
    tests: Vec<CutTest>,
    record_len: usize,
    cuts: usize,
    sums: usize,
}

/// Where a sieve writes: columns of the same length, in groups of 64 events.
#[derive(Debug)]
pub struct Sifted<'a> {
    /// One column per cut: bit `e` of a word says whether event `e` of the group passes.
    pub bits: &'a mut [u64],
    /// One column per sum.
    pub sums: &'a mut [[i32; Sieve::EVENTS]],
    /// Groups per column.
    pub groups: usize,
    /// The first group to write.
    pub first: usize,
}

/// One word of a record for each event of a group: the one at the same place.
type Words = [Pairs; GROUP];
/// Tiles per group.
const GROUP: usize = Sieve::EVENTS / EVENTS;

/// 32 bytes of a record, and the tests and terms that read them.
#[derive(Clone, Debug, Default)]
struct RecordPart {
    at: usize,
    shorts: Vec<Short>,
    others: Vec<Other>,
    terms: Vec<Term>,
}

/// A number that goes into a sum.
#[derive(Clone, Copy, Debug)]
struct Term {
    place: Place,
    sum: usize,
    /// Was a term of the sum written already?
    joins: bool,
}

/// The tests of a 16-bit number that is one half of a word.
#[derive(Clone, Debug)]
struct Short {
    word: usize,
    is_second: bool,
    tests: Range<usize>,
}

/// The tests of any other number.
#[derive(Clone, Debug)]
struct Other {
    place: Place,
    tests: Range<usize>,
}

/// A cut as one comparison ([module](self), I1): `number - low <= span`.
#[derive(Clone, Copy, Debug)]
struct CutTest {
    low: i32,
    span: u32,
    /// Index of the cut.
    cut: usize,
}

impl Sieve {
    /// Events per group, which are tested together.
    pub const EVENTS: usize = 64;

    /// Plans cuts and sums for records of `record_len` bytes; each sum is given by its terms.
    ///
    /// # Panics
    /// If an integer does not lie within the record or is an `f32`, or bounds are not in order or beyond its type: the caller takes them from
    /// the schema of the records.
    pub fn new(record_len: usize, cuts: &[Cut], sums: &[Vec<Integer>]) -> Self {
        Self::with_isa(record_len, cuts, sums, Isa::best())
    }

    /// Like [`Sieve::new`], for `isa`. The results are the same, bit for bit.
    ///
    /// # Panics
    /// As [`Sieve::new`], and if this CPU lacks `isa`.
    pub fn with_isa(record_len: usize, cuts: &[Cut], sums: &[Vec<Integer>], isa: Isa) -> Self {
        let level = Level::new(isa).expect("an instruction set that is available").for_integers();
        let terms = sums.iter().enumerate().flat_map(|(sum, terms)| terms.iter().map(move |of| (sum, *of)));
        let mut asked: Vec<Integer> =
            cuts.iter().map(|cut| cut.of).chain(terms.clone().map(|(_, of)| of)).collect();
        asked.iter().for_each(|of| assert!(of.number != Number::F32, "{of:?} is no integer"));
        asked.sort_by_key(|of| (of.at, of.number as u8));
        asked.dedup();
        let mut builder = SieveBuilder { tests: Vec::new(), begun: vec![false; sums.len()] };
        let windows = gather::windows(record_len, &asked, |of| (of.at, of.number.size()));
        let windows = windows.into_iter().map(|(at, asked)| {
            let mut window = RecordPart { at, ..RecordPart::default() };
            for of in asked {
                let cuts = cuts.iter().enumerate().filter(|(_, cut)| cut.of == of);
                let sums = terms.clone().filter(|&(_, term)| term == of).map(|(sum, _)| sum);
                builder.add(&mut window, of, cuts, sums);
            }
            window
        });
        let windows = windows.collect();
        Self { level, windows, tests: builder.tests, record_len, cuts: cuts.len(), sums: sums.len() }
    }

    /// Tests up to 64 events, event `e` by the record at the start of `records[e]`. A slice may be longer than its record; the rest has no
    /// effect.
    ///
    /// # Panics
    /// If there are more than 64 events, a slice is shorter than a record, or there is no room for the results.
    pub fn sift(&self, records: &[&[u8]], into: Sifted<'_>) {
        assert!(records.len() <= Self::EVENTS, "{} events at once", records.len());
        assert!(records.iter().all(|record| record.len() >= self.record_len), "records are whole");
        self.run(Scattered(records), records.len(), into);
    }

    /// Like [`Sieve::sift`], for any number of events with contiguous records. `bytes` may go on after the last one, which is faster.
    ///
    /// # Panics
    /// As [`Sieve::sift`].
    pub fn sift_run(&self, bytes: &[u8], events: usize, into: Sifted<'_>) {
        assert!(bytes.len() >= events * self.record_len, "records are whole");
        self.run(Run { bytes, stride: self.record_len }, events, into);
    }

    fn run(&self, records: impl Records, events: usize, into: Sifted<'_>) {
        let columns = [(into.bits.len(), self.cuts), (into.sums.len(), self.sums)];
        let fits = columns.iter().all(|&(len, columns)| len == columns * into.groups);
        assert!(fits && into.first + events.div_ceil(Self::EVENTS) <= into.groups, "room for the results");
        self.level.run_int(Sift { sieve: self, records, events, into });
    }
}

/// A sieve that is being built.
struct SieveBuilder {
    tests: Vec<CutTest>,
    /// Which sums have a term already.
    begun: Vec<bool>,
}

impl SieveBuilder {
    /// Adds the tests and terms of one integer to its window.
    fn add<'a>(
        &mut self,
        window: &mut RecordPart,
        Integer { at, number }: Integer,
        cuts: impl Iterator<Item = (usize, &'a Cut)>,
        sums: impl Iterator<Item = usize>,
    ) {
        let from = at - window.at;
        let place = Place::new(from, number);
        for sum in sums {
            let joins = std::mem::replace(&mut self.begun[sum], true);
            window.terms.push(Term { place, sum, joins });
        }
        let first = self.tests.len();
        self.tests.extend(cuts.map(|(index, cut)| CutTest::new(index, cut)));
        let tests = first..self.tests.len();
        if tests.is_empty() {
            return;
        }
        if number.size() == 2 && from.is_multiple_of(2) {
            window.shorts.push(Short { word: from / 4, is_second: from % 4 == 2, tests });
        } else {
            window.others.push(Other { place, tests });
        }
    }
}

impl CutTest {
    fn new(cut: usize, &Cut { of, low, high }: &Cut) -> Self {
        let (least, most) = match of.number {
            Number::U8 => (0, u8::MAX.into()),
            Number::I8 => (i8::MIN.into(), i8::MAX.into()),
            Number::U16 => (0, u16::MAX.into()),
            Number::I16 => (i16::MIN.into(), i16::MAX.into()),
            Number::I32 | Number::F32 => (i32::MIN, i32::MAX),
        };
        assert!(least <= low && low <= high && high <= most, "no cut on {of:?}: {low} to {high}");
        Self { low, span: high.wrapping_sub(low).cast_unsigned(), cut }
    }
}

struct Sift<'a, R> {
    sieve: &'a Sieve,
    records: R,
    events: usize,
    into: Sifted<'a>,
}

impl<R: Records> IntWork for Sift<'_, R> {
    #[inline(always)]
    fn run<S: IntSimd>(self, simd: S) {
        let Self { sieve, records, events, mut into } = self;
        let mut words = [[Pairs::ZERO; GROUP]; WORDS];
        for first in (0..events).step_by(Sieve::EVENTS) {
            let last = events.min(first + Sieve::EVENTS);
            records.ask(last, last + Sieve::EVENTS);
            for window in &sieve.windows {
                for (register, first) in (first..last).step_by(S::LANES).enumerate() {
                    let tile = register * S::LANES / EVENTS;
                    let register = register % (EVENTS / S::LANES);
                    let turned = records.words(simd, window.at, first, last);
                    for (words, turned) in words.iter_mut().zip(turned) {
                        simd.store_pairs(&mut words[tile], register, turned);
                    }
                }
                window.test(simd, &words, &sieve.tests, &mut into);
                window.add(simd, &words, &mut into);
            }
            into.first += 1;
        }
    }
}

impl RecordPart {
    #[inline(always)]
    fn test<S: IntSimd>(&self, simd: S, words: &[Words; WORDS], tests: &[CutTest], into: &mut Sifted<'_>) {
        for short in &self.shorts {
            let [first, second] = &words[short.word % WORDS];
            let numbers = [simd.shorts(first, short.is_second), simd.shorts(second, short.is_second)];
            for test in &tests[short.tests.clone()] {
                let (low, span) = (test.low as u16, test.span as u16);
                let first = simd.shorts_within(numbers[0], low, span);
                let second = simd.shorts_within(numbers[1], low, span);
                into.bits[test.cut * into.groups + into.first] =
                    u64::from(first) | u64::from(second) << EVENTS;
            }
        }
        for Other { place, tests: range } in &self.others {
            for test in &tests[range.clone()] {
                let mut bits = 0;
                for event in (0..Sieve::EVENTS).step_by(S::LANES) {
                    let pairs = &words[place.word % WORDS][event / EVENTS];
                    let number = place.integer(simd, simd.load_pairs(pairs, event % EVENTS / S::LANES));
                    bits |= u64::from(simd.within(number, test.low, test.span)) << event;
                }
                into.bits[test.cut * into.groups + into.first] = bits;
            }
        }
    }

    #[inline(always)]
    fn add<S: IntSimd>(&self, simd: S, words: &[Words; WORDS], into: &mut Sifted<'_>) {
        for &Term { place, sum, joins } in &self.terms {
            let sums = into.sums[sum * into.groups + into.first].as_chunks_mut::<EVENTS>().0;
            for (pairs, sums) in words[place.word % WORDS].iter().zip(sums) {
                for register in 0..EVENTS / S::LANES {
                    let mut number = place.integer(simd, simd.load_pairs(pairs, register));
                    if joins {
                        number = simd.add_int(number, simd.load_integers(sums, register));
                    }
                    simd.store_integers(sums, register, number);
                }
            }
        }
    }
}
