//! Scores events with the fused kernels, without rows in between.
//!
//! ```text
//!   records --gather--> lanes of 32 events --kernel--> lanes of scores --> score columns
//!              `------> pairs of integers ----^
//! ```
//!
//! * I1: which events share a tile does not affect their scores (crate `kernel`), so tiles are filled across the frames of a block.
//!
//! Cost: no allocation; gathering the inputs and the kernel, and nothing else that is measurable.

use std::ops::Range;

use tamis_event::Block;
use tamis_kernel::EVENTS;

use crate::classifier::Bound;
use crate::features::LaneFeatures;
use crate::fused::{Fused, Room};

/// The parts that one worker needs to score events with a fused kernel.
#[derive(Debug)]
pub(crate) struct LaneScorer<'a> {
    pub bound: &'a Bound,
    pub fused: &'a Fused,
    pub features: &'a LaneFeatures,
    pub room: &'a mut Room,
}

impl LaneScorer<'_> {
    /// Writes the scores of the events of `range`, from index 0 of every column on.
    pub fn score(mut self, block: &Block, range: Range<usize>, scores: &mut [&mut [f32]]) {
        let stride = block.stride();
        // Records of frames that do not fill a tile, their number, and the index of the first of them.
        let mut waiting: [&[u8]; EVENTS] = [&[]; EVENTS];
        let (mut count, mut at) = (0, 0);
        block.for_each_run(range, |_, mut bytes| {
            while !bytes.is_empty() {
                if count == 0 && bytes.len() >= EVENTS * stride {
                    self.features.fill_run(&self.bound.features, bytes, EVENTS, self.room);
                    self.run(EVENTS, at, scores);
                    at += EVENTS;
                    bytes = &bytes[EVENTS * stride..];
                    continue;
                }
                waiting[count] = bytes;
                count += 1;
                bytes = &bytes[stride..];
                if count == EVENTS {
                    self.run_scattered(&waiting, at, scores);
                    (count, at) = (0, at + EVENTS);
                }
            }
        });
        if count > 0 {
            self.run_scattered(&waiting[..count], at, scores);
        }
    }

    fn run_scattered(&mut self, records: &[&[u8]], at: usize, scores: &mut [&mut [f32]]) {
        self.features.fill(&self.bound.features, records, self.room);
        self.run(records.len(), at, scores);
    }

    /// Runs the kernel on a filled tile.
    fn run(&mut self, events: usize, at: usize, scores: &mut [&mut [f32]]) {
        let unusable = self.bound.looks_for_missing.then(|| self.room.not_finite());
        self.fused.run_tile(self.room, events);
        self.fused.read_scores(self.room, &self.bound.picks, at, events, scores);
        let Some(unusable) = unusable.filter(|lanes| lanes[..events].contains(&true)) else { return };
        for column in scores {
            for (score, &unusable) in column[at..].iter_mut().zip(&unusable[..events]) {
                *score = if unusable { f32::NAN } else { *score };
            }
        }
    }
}
