//! The verdict on a block of events: scores, lines, and the records of what is kept. Pure: no queue, no clock.
//!
//! When a model panics, errs or gives a score that is not finite, only the guilty events suffer: a failed range is split in two until each
//! guilty event stands alone, and those go to the error stream with whatever scores they have. So the set of undecided events does not depend
//! on how events were grouped into blocks.

use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tamis_event::record::{self, RecordHeader};
use tamis_event::{Block, ScoreTable};
use tamis_ledger::{Errored, Tally};
use tamis_menu::{CompiledMenu, Decider};
use tamis_port::Classifier;

/// Which decision this is, for every record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Schema of the events.
    pub schema_id: u64,
    /// First 8 bytes of the SHA-256 over the models in use, 0 without a model.
    pub model_hash: u64,
    /// Engine code of the decision record.
    pub engine: u8,
}

/// Where one record stands among the records of a block, and who gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Index of the event in its block.
    pub event: usize,
    /// First byte in the buffer of records.
    pub start: usize,
    /// Bytes of the record.
    pub len: usize,
    /// Event id.
    pub event_id: u64,
    /// Time of the frame in ns.
    pub time_ns: u64,
    /// Bit per stream of the menu; the bit after the last is the error stream.
    pub streams: u64,
}

/// Models, menu and the scratch memory to apply them to blocks of up to `batch` events. One per thread.
///
/// The live pipeline and the check of stored decisions use the same judge.
pub struct Judge {
    scoring: Scoring,
    decider: Decider,
    menu: Arc<CompiledMenu>,
    provenance: Provenance,
    /// Scratch for one event's line words.
    words: (Vec<u64>, Vec<u64>),
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("provenance", &self.provenance).finish_non_exhaustive()
    }
}

impl Judge {
    /// A judge whose classifiers give the scores that the menu was compiled for, in that order.
    pub fn new(
        classifiers: Vec<Box<dyn Classifier>>,
        menu: Arc<CompiledMenu>,
        provenance: Provenance,
        batch: usize,
    ) -> Self {
        let words = (vec![0; menu.words()], vec![0; menu.words()]);
        Self {
            scoring: Scoring::new(classifiers, batch),
            decider: Decider::new(menu.clone(), batch),
            menu,
            provenance,
            words,
        }
    }

    /// Decides every event of a block.
    pub fn decide(&mut self, block: &Block) {
        self.scoring.score(block);
        self.decider.decide(block, &self.scoring.scores, &self.scoring.faulty);
    }

    /// Adds the verdict on the last block, of `events` events, to the books.
    pub fn count(&self, events: usize, tally: &mut Tally) {
        for (line, counts) in tally.lines.iter_mut().enumerate() {
            counts.passed += ones(self.decider.passed(line));
            counts.kept += ones(self.decider.kept(line));
        }
        let (accepted, errored) = (ones(self.decider.kept_any()), self.scoring.faults.len() as u64);
        tally.accepted += accepted;
        tally.rejected += events as u64 - accepted - errored;
        self.scoring.faults.iter().for_each(|&(_, cause)| tally.errored.add(cause, 1));
    }

    /// Appends a record for every event of the last block that a line kept or that could not be decided, in the order of the block.
    pub fn keep(&mut self, block: &Block, records: &mut Vec<u8>, entries: &mut Vec<Entry>) {
        let mut faults = self.scoring.faults.iter().copied().peekable();
        for word in 0..block.len().div_ceil(64) {
            let mut bits = self.decider.kept_any()[word] | self.scoring.faulty[word];
            while bits != 0 {
                let event = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let fault = faults.next_if(|&(guilty, _)| guilty == event).map(|(_, cause)| cause);
                let (passed, kept) = (&mut self.words.0, &mut self.words.1);
                self.decider.event_words(event, passed, kept);
                let (span, event_id, bytes) = block.event(event);
                let header = RecordHeader {
                    event_id,
                    time_ns: span.time_ns,
                    menu_hash: self.menu.hash_prefix(),
                    model_hash: self.provenance.model_hash,
                    schema_id: self.provenance.schema_id,
                    run: block.run(),
                    segment: block.segment(),
                    source_id: span.source,
                    engine: self.provenance.engine,
                    fault: fault.map_or(0, fault_code),
                    ..RecordHeader::blank()
                };
                let scores = &self.scoring.scores;
                let scores = (0..scores.columns()).map(|column| scores.column(column)[event]);
                let start = records.len();
                let len = record::append(header, passed, kept, scores, bytes, records);
                let streams = match fault {
                    Some(_) => 1 << self.menu.streams().len(),
                    None => self.decider.event_streams(event),
                };
                entries.push(Entry { event, start, len, event_id, time_ns: span.time_ns, streams });
            }
        }
    }
}

fn fault_code(cause: Errored) -> u8 {
    match cause {
        Errored::Panic => 1,
        Errored::Nan => 2,
    }
}

fn ones(words: &[u64]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}

/// The models of one worker and what they said of the current block.
struct Scoring {
    /// Each with the first of its score columns.
    classifiers: Vec<(usize, Box<dyn Classifier>)>,
    scores: ScoreTable,
    /// Bit per event: not to be decided.
    faulty: Vec<u64>,
    /// The same events with their causes, in order.
    faults: Vec<(usize, Errored)>,
}

impl Scoring {
    fn new(classifiers: Vec<Box<dyn Classifier>>, batch: usize) -> Self {
        let mut columns = 0;
        let classifiers: Vec<_> = classifiers
            .into_iter()
            .map(|classifier| {
                let first = columns;
                columns += classifier.outputs().len();
                (first, classifier)
            })
            .collect();
        Self {
            classifiers,
            scores: ScoreTable::new(columns, batch),
            faulty: vec![0; batch.div_ceil(64)],
            faults: Vec::new(),
        }
    }

    fn score(&mut self, block: &Block) {
        self.faulty.fill(0);
        self.faults.clear();
        for (first, classifier) in &mut self.classifiers {
            score_range(&mut **classifier, *first, block, 0..block.len(), &mut self.scores, &mut self.faults);
        }
        for (event, _) in &self.faults {
            self.faulty[event / 64] |= 1 << (event % 64);
        }
        for column in 0..self.scores.columns() {
            for (event, score) in self.scores.column(column)[..block.len()].iter().enumerate() {
                let (word, bit) = (event / 64, 1 << (event % 64));
                if !score.is_finite() && self.faulty[word] & bit == 0 {
                    self.faulty[word] |= bit;
                    self.faults.push((event, Errored::Nan));
                }
            }
        }
        // A model may have failed on an event after another did: one cause each, the first.
        self.faults.sort_by_key(|&(event, _)| event);
        self.faults.dedup_by_key(|&mut (event, _)| event);
    }
}

/// Scores a range; splits it as long as it fails.
fn score_range(
    classifier: &mut dyn Classifier,
    first: usize,
    block: &Block,
    range: Range<usize>,
    scores: &mut ScoreTable,
    faults: &mut Vec<(usize, Errored)>,
) {
    if range.is_empty() {
        return;
    }
    let outputs = classifier.outputs().len();
    let result = {
        let mut columns: Vec<&mut [f32]> =
            scores.columns_mut(first, outputs).map(|column| &mut column[range.clone()]).collect();
        let _scoring = ScoringMark::set();
        catch_unwind(AssertUnwindSafe(|| classifier.score(block, range.clone(), &mut columns)))
    };
    if matches!(result, Ok(Ok(()))) {
        return;
    }
    if range.len() == 1 {
        scores.columns_mut(first, outputs).for_each(|column| column[range.start] = f32::NAN);
        faults.push((range.start, Errored::Panic));
        return;
    }
    let middle = range.start + range.len() / 2;
    score_range(classifier, first, block, range.start..middle, scores, faults);
    score_range(classifier, first, block, middle..range.end, scores, faults);
}

thread_local! {
    static SCORING: Cell<bool> = const { Cell::new(false) };
}

/// Is this thread inside a model? A panic there is handled and counted, so a panic hook may stay silent.
pub fn in_scoring() -> bool {
    SCORING.get()
}

struct ScoringMark;

impl ScoringMark {
    fn set() -> Self {
        SCORING.set(true);
        Self
    }
}

impl Drop for ScoringMark {
    fn drop(&mut self) {
        SCORING.set(false);
    }
}
