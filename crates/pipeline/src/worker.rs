//! The deciding stage: features, scores, verdicts, copies of what is kept. One per core, each with its own models and scratch memory.
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
use tamis_ledger::{Dropped, Errored, Latency};
use tamis_menu::{CompiledMenu, Decider};
use tamis_port::Classifier;
use tamis_ring::{Receiver, Sender, TryRecv};

use crate::outbound::{Entry, Inbound, Outbound};
use crate::{Clock, Control, Progress, Stage};

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

/// See the module's doc.
pub(crate) struct Worker {
    scoring: Scoring,
    decider: Decider,
    menu: Arc<CompiledMenu>,
    provenance: Provenance,
    error_stream: usize,
    /// Scratch for one event's line words.
    words: (Vec<u64>, Vec<u64>),
    queues: Option<Queues>,
    /// Taken before the input block (invariant I2 of the crate).
    output: Option<Outbound>,
    clock: Arc<dyn Clock>,
    control: Arc<Control>,
    /// Admission to the worker, and the worker's own time, per event.
    latency: (Latency, Latency),
    /// A deliberate miscount, for the test that tests the tests.
    #[cfg(test)]
    pub(crate) tamper: Option<fn(&mut tamis_ledger::Tally)>,
}

pub(crate) struct Queues {
    pub(crate) input: Receiver<Inbound>,
    pub(crate) free_inputs: Sender<Inbound>,
    pub(crate) free_outputs: Receiver<Outbound>,
    pub(crate) output: Sender<Outbound>,
}

impl Worker {
    pub(crate) fn new(
        classifiers: Vec<Box<dyn Classifier>>,
        menu: Arc<CompiledMenu>,
        provenance: Provenance,
        batch: usize,
        queues: Queues,
        clock: Arc<dyn Clock>,
        control: Arc<Control>,
    ) -> Self {
        let words = (vec![0; menu.words()], vec![0; menu.words()]);
        Self {
            scoring: Scoring::new(classifiers, batch),
            decider: Decider::new(menu.clone(), batch),
            error_stream: menu.streams().len(),
            menu,
            provenance,
            words,
            queues: Some(queues),
            output: None,
            clock,
            control,
            latency: (Latency::default(), Latency::default()),
            #[cfg(test)]
            tamper: None,
        }
    }

    pub(crate) fn latency(&mut self) -> (Latency, Latency) {
        std::mem::take(&mut self.latency)
    }

    fn decide(&mut self, input: &Inbound, output: &mut Outbound) {
        let block = &input.block;
        let events = block.len() as u64;
        let begun = self.clock.now_ns();
        if self.control.is_aborting() {
            output.tally.dropped.add(Dropped::Shutdown, events);
            return;
        }
        self.scoring.score(block);
        self.decider.decide(block, &self.scoring.scores, &self.scoring.faulty);
        self.keep(block, output);
        let tally = &mut output.tally;
        for (line, counts) in tally.lines.iter_mut().enumerate() {
            counts.passed += ones(self.decider.passed(line));
            counts.kept += ones(self.decider.kept(line));
        }
        tally.accepted += ones(self.decider.kept_any());
        for (_, cause) in &self.scoring.faults {
            tally.errored.add(*cause, 1);
        }
        tally.rejected += events - ones(self.decider.kept_any()) - self.scoring.faults.len() as u64;
        self.latency.0.record(begun - input.admitted_ns, events);
        self.latency.1.record(self.clock.now_ns() - begun, events);
    }

    /// Copies the events that a line kept or that could not be decided, in the order of the input.
    fn keep(&mut self, block: &Block, output: &mut Outbound) {
        let mut faults = self.scoring.faults.iter().peekable();
        for word in 0..block.len().div_ceil(64) {
            let mut bits = self.decider.kept_any()[word] | self.scoring.faulty[word];
            while bits != 0 {
                let event = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let fault = faults.next_if(|&&(guilty, _)| guilty == event).map(|&(_, cause)| cause);
                append(block, event, fault, self.provenance, &self.menu, &self.decider, &self.scoring.scores, &mut self.words, self.error_stream, output);
            }
        }
    }
}

/// Appends one record to an output block.
#[expect(clippy::too_many_arguments, reason = "borrows of a worker's parts that must not alias")]
fn append(
    block: &Block,
    event: usize,
    fault: Option<Errored>,
    provenance: Provenance,
    menu: &CompiledMenu,
    decider: &Decider,
    scores: &ScoreTable,
    (passed, kept): &mut (Vec<u64>, Vec<u64>),
    error_stream: usize,
    output: &mut Outbound,
) {
    let (span, event_id, bytes) = block.event(event);
    decider.event_words(event, passed, kept);
    let header = RecordHeader {
        event_id,
        time_ns: span.time_ns,
        menu_hash: menu.hash_prefix(),
        model_hash: provenance.model_hash,
        schema_id: provenance.schema_id,
        run: block.run(),
        segment: block.segment(),
        source_id: span.source,
        engine: provenance.engine,
        fault: fault.map_or(0, fault_code),
        ..RecordHeader::blank()
    };
    let start = output.records.len();
    let values = (0..scores.columns()).map(|column| scores.column(column)[event]);
    let len = record::append(header, passed, kept, values, bytes, &mut output.records);
    let streams = if fault.is_some() { 1 << error_stream } else { decider.event_streams(event) };
    output.entries.push(Entry { start, len, event_id, time_ns: span.time_ns, streams });
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

impl Stage for Worker {
    fn step(&mut self) -> Progress {
        let Some(queues) = &self.queues else {
            return Progress::Done;
        };
        if self.output.is_none() {
            match queues.free_outputs.try_recv() {
                Ok(free) => self.output = Some(free),
                Err(TryRecv::Empty | TryRecv::Closed) => return Progress::Idle,
            }
        }
        match queues.input.try_recv() {
            Err(TryRecv::Empty) => Progress::Idle,
            Err(TryRecv::Closed) => {
                self.queues = None;
                Progress::Done
            }
            Ok(mut input) => {
                let mut output = self.output.take().expect("taken above");
                output.reset(&input);
                self.decide(&input, &mut output);
                #[cfg(test)]
                if let Some(tamper) = self.tamper {
                    tamper(&mut output.tally);
                }
                input.block.reset(0, 0);
                // Both queues are as long as their pools (I1): sends fail only when the other side has died, and then the run is over.
                if let Some(queues) = &self.queues {
                    let _ = queues.free_inputs.try_send(input);
                    let _ = queues.output.try_send(output);
                }
                Progress::Worked
            }
        }
    }
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
        Self { classifiers, scores: ScoreTable::new(columns, batch), faulty: vec![0; batch.div_ceil(64)], faults: Vec::new() }
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
