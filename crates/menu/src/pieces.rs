//! Passes the records of a tile, which lie wherever their frames are, through the sieve.
//!
//! ```text
//!   tile      | 64 events | 64 events | 64 events | 64 events |
//!   pieces    |--- end of one frame ---|--- beginning of the next ---|
//!   sifted    |        in place        | gathered |    in place     |
//! ```

use std::ops::Range;

use tamis_event::Block;
use tamis_kernel::{Sieve, Sifted};

use crate::kernels::{Bits, LANES, TILE_WORDS};
use crate::program::MenuProgram;

/// The events `at..at + events` of a tile are the records of `span` from record `from` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    at: usize,
    events: usize,
    span: usize,
    from: usize,
}

impl Piece {
    /// The range of its events in the tile.
    pub(crate) fn tile(self) -> Range<usize> {
        self.at..self.at + self.events
    }

    /// The bytes from its first record to the end of the span.
    pub(crate) fn records(self, block: &Block) -> &[u8] {
        self.records_from(block, self.at)
    }

    /// The ids of its events.
    pub(crate) fn ids(self, block: &Block) -> impl Iterator<Item = u64> {
        let span = &block.spans()[self.span];
        (self.from..self.from + self.events).map(|event| span.id(event))
    }

    /// The lengths of the payloads from its first event to the end of the span.
    pub(crate) fn payload_lens(self, block: &Block) -> impl Iterator<Item = u32> {
        block.spans()[self.span].payload_lens(self.from)
    }

    /// The bytes from event `at` of the tile to the end of the span.
    fn records_from(self, block: &Block, at: usize) -> &[u8] {
        &block.spans()[self.span].records()[(self.from + at - self.at) * block.stride()..]
    }
}

/// Walks the spans of a block from tile to tile.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    span: usize,
    from: usize,
}

impl Cursor {
    /// Replaces `pieces` by those of the next `events` events, in order; each holds at least one event.
    pub(crate) fn cut(&mut self, block: &Block, events: usize, pieces: &mut Vec<Piece>) {
        pieces.clear();
        let mut at = 0;
        while at < events {
            let left = block.spans()[self.span].len() - self.from;
            let mine = left.min(events - at);
            if mine > 0 {
                pieces.push(Piece { at, events: mine, span: self.span, from: self.from });
            }
            at += mine;
            self.from += mine;
            if mine == left {
                self.span += 1;
                self.from = 0;
            }
        }
    }
}

// The sieve tests one mask word of events at a time.
const _: () = assert!(LANES == Sieve::EVENTS);

/// The results of the sieve for a tile: a mask per cut and a column per sum.
#[derive(Debug)]
pub(crate) struct SieveResults {
    bits: Vec<u64>,
    sums: Vec<[i32; LANES]>,
}

impl SieveResults {
    pub(crate) fn new(program: &MenuProgram) -> Self {
        Self { bits: vec![0; TILE_WORDS * program.cuts], sums: vec![[0; LANES]; TILE_WORDS * program.sums] }
    }

    /// The events that pass a cut.
    #[inline(always)]
    pub(crate) fn passing(&self, cut: usize) -> Bits {
        self.bits.as_chunks().0[cut]
    }

    /// A sum of raw values, or a single raw value, per event.
    #[inline(always)]
    pub(crate) fn sum(&self, sum: usize) -> &[[i32; LANES]; TILE_WORDS] {
        &self.sums.as_chunks().0[sum]
    }

    /// Sifts the events of `pieces`: in place within a piece, gathered into one word where pieces meet.
    pub(crate) fn sift(&mut self, program: &MenuProgram, block: &Block, pieces: &[Piece]) {
        let Some(end) = pieces.last().map(|piece| piece.tile().end) else { return };
        let (mut at, mut first) = (0, 0);
        while at < end {
            while pieces[first].tile().end <= at {
                first += 1;
            }
            let (bits, sums) = (&mut self.bits, &mut self.sums);
            let into = Sifted { bits, sums, groups: TILE_WORDS, first: at / LANES };
            let left = pieces[first].tile().end - at;
            let events = if at + left == end { left } else { left - left % LANES };
            if events > 0 {
                program.sieve.sift_run(pieces[first].records_from(block, at), events, into);
                at += events;
                continue;
            }
            let mut records: [&[u8]; LANES] = [&[]; LANES];
            let mut count = 0;
            for piece in &pieces[first..] {
                let events = piece.tile().start.max(at)..piece.tile().end;
                for (record, event) in records[count..].iter_mut().zip(events) {
                    *record = piece.records_from(block, event);
                    count += 1;
                }
            }
            program.sieve.sift(&records[..count], into);
            at += count;
        }
    }
}
