//! Scores alone: what the models say about a block, without a menu.
//!
//! This is the code that runs before a verdict, so the bits are those of a live run, and a model that fails costs only the guilty events their scores.

use tamis_event::{Block, ScoreTable};
use tamis_ledger::Errored;
use tamis_port::Classifier;

use crate::ladder::Choice;
use crate::scoring::Scoring;

/// Models side by side, and the scratch memory to apply them to blocks of up to `batch` events. One per thread.
pub struct Scorer {
    scoring: Scoring,
}

impl std::fmt::Debug for Scorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scorer").finish_non_exhaustive()
    }
}

impl Scorer {
    /// The scores of these classifiers, in their order.
    pub fn new(classifiers: Vec<Box<dyn Classifier>>, batch: usize) -> Self {
        // Without a ladder: one choice each, and nothing stands in.
        let alone = |classifier| vec![Choice { classifier, engine: 0, stand_in: None }];
        Self { scoring: Scoring::new(classifiers.into_iter().map(alone).collect(), batch) }
    }

    /// Scores every event of a block. An error says how a device was lost; after it there are no more scores.
    pub fn score(&mut self, block: &Block) -> Result<(), String> {
        self.scoring.score(block, None);
        self.scoring.losses.first().map_or(Ok(()), |loss| Err(loss.message.clone()))
    }

    /// The scores of the last block. A score that could not be computed is NaN.
    pub fn scores(&self) -> &ScoreTable {
        &self.scoring.scores
    }

    /// One bit per event of the last block: it is set if a score is missing or not finite, so that there can be no verdict.
    pub fn faulty(&self) -> &[u64] {
        &self.scoring.faulty
    }

    /// The events whose bit is set in [`Self::faulty`], in order, with their causes.
    pub fn faults(&self) -> impl Iterator<Item = (usize, Errored)> + '_ {
        self.scoring.faults.iter().map(|failed| (failed.event, failed.cause))
    }
}
