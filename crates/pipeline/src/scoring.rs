//! The scores of a block: every event climbs the ladder until the models of a rung give it finite scores.
//!
//! ```text
//!   block  | slice | slice | ... |        a tile of the models; without a deadline the block is one slice
//!   rung 0   every event of the slice
//!   rung 1   those on which a model failed at rung 0
//!   ...      those that failed at rung 1; an event that fails at every rung has a fault
//! ```
//!
//! * I1: when a model panics, errs or gives a score that is not finite, only the guilty events suffer: a failed range is split in two until
//!   each guilty event stands alone. So rung and scores of an event do not depend on how events were grouped into blocks.
//! * I2: when a device is lost, nothing is split: its stand-in takes over from this block on, and scores all of it again.
//! * I3: whether it is too late is asked between slices and between rungs, never within a call of a model. What was begun in time is decided; so a
//!   verdict is at most one slice late. Late events get no scores.

use std::ops::Range;

use smallvec::SmallVec;
use tamis_event::record::NO_MODEL;
use tamis_event::{Block, ScoreTable};
use tamis_ledger::Errored;
use tamis_port::{Classifier, ClassifierError};

use crate::guard::guarded;
use crate::ladder::{Choice, DeviceLoss, Ladder, LadderModel, LadderRung};

/// A model with at most this many scores costs no allocation per block.
const COLUMNS_ON_STACK: usize = 16;

/// Is it too late for the events that have no scores yet?
pub(crate) type IsLate<'a> = Option<&'a mut dyn FnMut() -> bool>;

/// An event that failed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Index in its block.
    pub(crate) event: usize,
    pub(crate) cause: Errored,
    /// Index in the menu of the first model that failed, or [`NO_MODEL`].
    pub(crate) model: u8,
}

/// Why an event could not be decided. Only the first such event of each model and rung is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// Index in the menu of the model that failed; `None` if the menu's decision failed instead.
    pub model: Option<usize>,
    /// Rung of the ladder that the model was asked at.
    pub rung: usize,
    /// What happened.
    pub cause: Errored,
    /// Run of the event.
    pub run: u32,
    /// Its segment.
    pub segment: u32,
    /// The event, or the first event of its block if no model failed.
    pub event_id: u64,
    /// The text of the error or the panic.
    pub message: String,
}

/// The models of one worker and what they said of the current block.
pub(crate) struct Scoring {
    ladder: Ladder,
    pub(crate) scores: ScoreTable,
    /// Rung of every event: the last one that it reached.
    rungs: Vec<u8>,
    /// Events that got their scores at each rung.
    scored: Vec<u64>,
    /// One bit per event, set if no rung could score it.
    pub(crate) faulty: Vec<u64>,
    /// The events whose bit is set in `faulty`, in order.
    pub(crate) faults: Vec<Failed>,
    pub(crate) losses: Vec<DeviceLoss>,
    /// One for each model and rung, at most.
    pub(crate) failures: Vec<Undecided>,
    /// Events to score at the current rung: ranges, ascending, not adjacent.
    pending: Vec<Range<usize>>,
    /// Those of them that failed at it.
    failed: Vec<Failed>,
}

/// The device of a model was lost at a rung.
struct Lost {
    model: usize,
    rung: usize,
    message: String,
}

impl Scoring {
    pub(crate) fn new(models: Vec<Vec<Choice>>, batch: usize) -> Self {
        let ladder = Ladder::new(models);
        Self {
            scores: ScoreTable::new(ladder.columns(), batch),
            rungs: vec![0; batch],
            scored: vec![0; ladder.rungs().len()],
            faulty: vec![0; batch.div_ceil(64)],
            faults: Vec::new(),
            losses: Vec::new(),
            failures: Vec::new(),
            pending: Vec::new(),
            failed: Vec::new(),
            ladder,
        }
    }

    /// Scores every event of a block.
    pub(crate) fn score(&mut self, block: &Block, mut is_late: IsLate<'_>) {
        // Ends: a choice is lost at most twice, itself and its stand-in.
        while let Err(lost) = self.climb(block, &mut is_late) {
            self.lose(block, lost);
        }
        debug_assert!(
            self.faults.is_sorted_by_key(|failed| failed.event),
            "slice by slice, and from one rung of each"
        );
        for failed in &self.faults {
            self.faulty[failed.event / 64] |= 1 << (failed.event % 64);
        }
    }

    /// Events of the last block that got their scores at each rung.
    pub(crate) fn scored(&self) -> &[u64] {
        &self.scored
    }

    /// The last rung that an event of the last block reached, and what computed its scores there.
    pub(crate) fn rung(&self, event: usize) -> (u8, LadderRung) {
        let rung = self.rungs[event];
        (rung, self.ladder.rungs()[usize::from(rung)])
    }

    /// Events of the last block with a score from a stand-in.
    pub(crate) fn degraded(&self) -> u64 {
        let rungs = self.ladder.rungs().iter().zip(&self.scored);
        let scored: u64 = rungs.filter(|(rung, _)| rung.degraded).map(|(_, events)| events).sum();
        let tried =
            |failed: &&Failed| failed.cause != Errored::Deadline && self.rung(failed.event).1.degraded;
        scored + self.faults.iter().filter(tried).count() as u64
    }

    fn climb(&mut self, block: &Block, is_late: &mut IsLate<'_>) -> Result<(), Lost> {
        let events = block.len();
        self.rungs[..events].fill(0);
        self.scored.fill(0);
        self.faulty.fill(0);
        self.faults.clear();
        let slice = if is_late.is_some() { self.ladder.tile() } else { events.max(1) };
        for start in (0..events).step_by(slice) {
            if ask(is_late) {
                self.give_up(start..events);
                break;
            }
            self.pending.clear();
            self.pending.push(start..events.min(start + slice));
            self.climb_slice(block, is_late)?;
        }
        Ok(())
    }

    /// Lets the pending events climb.
    fn climb_slice(&mut self, block: &Block, is_late: &mut IsLate<'_>) -> Result<(), Lost> {
        for rung in 0..self.ladder.rungs().len() {
            if rung > 0 && ask(is_late) {
                std::mem::take(&mut self.pending).into_iter().for_each(|range| self.give_up(range));
                return Ok(());
            }
            self.score_rung(block, rung)?;
            let tried: usize = self.pending.iter().map(ExactSizeIterator::len).sum();
            self.scored[rung] += (tried - self.failed.len()) as u64;
            for range in self.pending.drain(..) {
                self.rungs[range].fill(rung as u8);
            }
            if self.failed.is_empty() {
                return Ok(());
            }
            for &Failed { event, .. } in &self.failed {
                match self.pending.last_mut() {
                    Some(range) if range.end == event => range.end += 1,
                    _ => self.pending.push(event..event + 1),
                }
            }
        }
        self.faults.append(&mut self.failed);
        Ok(())
    }

    /// Scores the pending events with the models of a rung, and leaves those that failed in `failed`, with the first model that did.
    fn score_rung(&mut self, block: &Block, rung: usize) -> Result<(), Lost> {
        let Self { ladder, scores, pending, failed, failures, .. } = self;
        failed.clear();
        for (index, model) in ladder.models().enumerate() {
            let mut fail = |event, cause, message: Option<String>| {
                failed.push(Failed { event, cause, model: index as u8 });
                if let Some(message) = message {
                    tell(
                        failures,
                        block,
                        event,
                        Undecided { model: Some(index), rung, cause, message, ..Undecided::blank() },
                    );
                }
            };
            for range in &*pending {
                let result = score_model(model, rung, block, range.clone(), scores, &mut fail);
                result.map_err(|message| Lost { model: index, rung, message })?;
            }
        }
        // Stable: the first model, and a panic before the NaN that it left behind.
        failed.sort_by_key(|failed| failed.event);
        failed.dedup_by_key(|failed| failed.event);
        Ok(())
    }

    /// Leaves these events without scores, because it is too late for them.
    fn give_up(&mut self, range: Range<usize>) {
        for column in self.scores.columns_mut(0, self.ladder.columns()) {
            column[range.clone()].fill(f32::NAN);
        }
        self.rungs[range.clone()].fill((self.ladder.rungs().len() - 1) as u8);
        self.faults.extend(range.map(|event| Failed { event, cause: Errored::Deadline, model: NO_MODEL }));
    }

    /// The decision on a block panicked: none of its events has a verdict.
    pub(crate) fn undecided(&mut self, block: &Block, message: String) {
        let failure = Undecided { message, ..Undecided::blank() };
        tell(&mut self.failures, block, 0, failure);
    }

    fn lose(&mut self, block: &Block, Lost { model, rung, message }: Lost) {
        let (engine, stand_in) = self.ladder.lose(model, rung);
        let run = block.run();
        let segment = block.segment();
        let event_id = block.id(0);
        self.losses.push(DeviceLoss { model, engine, stand_in, run, segment, event_id, message });
    }
}

impl Undecided {
    fn blank() -> Self {
        let cause = Errored::Panic;
        Self { model: None, rung: 0, cause, run: 0, segment: 0, event_id: 0, message: String::new() }
    }
}

/// Keeps a failure if it is the first of its model and rung.
fn tell(failures: &mut Vec<Undecided>, block: &Block, event: usize, failure: Undecided) {
    if failures.iter().all(|known| (known.model, known.rung) != (failure.model, failure.rung)) {
        let run = block.run();
        let segment = block.segment();
        let event_id = block.id(event);
        failures.push(Undecided { run, segment, event_id, ..failure });
    }
}

fn ask(is_late: &mut IsLate<'_>) -> bool {
    is_late.as_mut().is_some_and(|is_late| is_late())
}

/// Scores a range with what a model is at a rung; calls `fail` for every event that has no score, or one that is not finite. An error: the
/// device is lost, and no event of the range has a score.
fn score_model(
    model: &mut LadderModel,
    rung: usize,
    block: &Block,
    range: Range<usize>,
    scores: &mut ScoreTable,
    fail: &mut Fail<'_>,
) -> Result<(), String> {
    let (first, outputs) = (model.first, model.outputs);
    let Some(classifier) = model.classifier(rung) else {
        scores.columns_mut(first, outputs).for_each(|column| column[range.clone()].fill(f32::NAN));
        range.for_each(|event| fail(event, Errored::Device, None));
        return Ok(());
    };
    score_range(classifier, first, block, range.clone(), scores, fail)?;
    for column in first..first + outputs {
        for (event, score) in range.clone().zip(&scores.column(column)[range.clone()]) {
            if !score.is_finite() {
                fail(event, Errored::NotFinite, None);
            }
        }
    }
    Ok(())
}

/// Scores a range; splits it as long as it fails.
fn score_range(
    classifier: &mut dyn Classifier,
    first: usize,
    block: &Block,
    range: Range<usize>,
    scores: &mut ScoreTable,
    fail: &mut Fail<'_>,
) -> Result<(), String> {
    if range.is_empty() {
        return Ok(());
    }
    let outputs = classifier.outputs().len();
    let result = {
        let mut columns: SmallVec<[&mut [f32]; COLUMNS_ON_STACK]> =
            scores.columns_mut(first, outputs).map(|column| &mut column[range.clone()]).collect();
        guarded(|| classifier.score(block, range.clone(), &mut columns))
    };
    let (cause, message) = match result {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(ClassifierError::Device { message })) => return Err(message),
        Ok(Err(ClassifierError::Events { message })) => (Errored::Refused, message),
        Err(message) => (Errored::Panic, message),
    };
    if range.len() == 1 {
        scores.columns_mut(first, outputs).for_each(|column| column[range.start] = f32::NAN);
        fail(range.start, cause, Some(message));
        return Ok(());
    }
    let middle = range.start + range.len() / 2;
    score_range(classifier, first, block, range.start..middle, scores, fail)?;
    score_range(classifier, first, block, middle..range.end, scores, fail)
}

/// Called with an event that failed, the cause, and the text of the error if there is one.
type Fail<'a> = dyn FnMut(usize, Errored, Option<String>) + 'a;
