//! The verdict on a block of events: scores, lines, and the records of what is kept. Pure: no queue, no clock.
//!
//! ```text
//!   block --ladder of models--> scores --lines--> kept or rejected
//!                         |               \--> a field that is NaN: the error stream
//!                         \--> no rung has scores: one in n by hash, or the error stream, with whatever scores there are
//! ```
//!
//! * I1: an event's verdict, rung and record depend on its bytes, its id, its run, the menu and the models alone. Three things may come in from
//!   outside, and the record shows each: that the event is late, that a device was lost, and, in the error stream, which events shared its block.

use std::sync::Arc;

use tamis_event::record::{self, NO_MODEL, RecordHeader};
use tamis_event::{Block, Event};
use tamis_ledger::{Errored, Tally};
use tamis_menu::{CompiledMenu, Decider};

use crate::ladder::{Choice, DeviceLoss};
use crate::scoring::{Failed, IsLate, Scoring, Undecided};

/// Which decision this is, for every record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Schema of the events.
    pub schema_id: u64,
    /// First 8 bytes of the SHA-256 over the models in use, 0 without a model.
    pub model_hash: u64,
    /// The vector unit of this CPU, as the record counts it.
    pub unit: u8,
}

/// Where one record stands in the buffer of records, and which streams get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Index of the event in its block.
    pub event: usize,
    /// First byte in the buffer of records.
    pub start: usize,
    /// Bytes of the record.
    pub len: usize,
    /// Event id.
    pub event_id: u64,
    /// Its time in ns, or that of its frame.
    pub time_ns: u64,
    /// One bit per stream of the menu; the bit after the last is that of the error stream.
    pub streams: u64,
}

/// Models, menu and the scratch memory to apply them to blocks of up to `batch` events. One per thread.
///
/// The live pipeline and the check of stored decisions use the same judge.
pub struct Judge {
    scoring: Scoring,
    decider: Decider,
    menu: Arc<CompiledMenu>,
    stamp: Stamp,
    /// Bit per event: no model could score it, and yet it is stored.
    saved: Vec<u64>,
    /// Scratch for one event's line words.
    words: (Vec<u64>, Vec<u64>),
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("stamp", &self.stamp).finish_non_exhaustive()
    }
}

impl Judge {
    /// A judge of these models: the choices of each, best first, with the scores that the menu was compiled for, in that order.
    ///
    /// # Panics
    /// If the models have more or fewer rungs than the menu: the caller's plan is wrong.
    pub fn new(models: Vec<Vec<Choice>>, menu: Arc<CompiledMenu>, stamp: Stamp, batch: usize) -> Self {
        let words = (vec![0; menu.words()], vec![0; menu.words()]);
        let scoring = Scoring::new(models, batch);
        assert_eq!(scoring.scored().len(), menu.model_rungs(), "as many rungs as the menu has");
        let decider = Decider::new(menu.clone(), batch);
        Self { scoring, decider, menu, stamp, saved: vec![0; batch.div_ceil(64)], words }
    }

    /// Decides every event of a block. It calls `is_late` now and then; once that says yes, the events that have no scores yet go to the last rung.
    pub fn decide(&mut self, block: &Block, is_late: IsLate<'_>) {
        self.scoring.score(block, is_late);
        self.decider.decide(block, &self.scoring.scores, &self.scoring.faulty);
        self.saved.fill(0);
        for &Failed { event, .. } in &self.scoring.faults {
            let id = || block.id(event);
            if self.menu.pass_through().is_none_or(|rung| rung.keeps(block.run(), id())) {
                self.saved[event / 64] |= 1 << (event % 64);
            }
        }
    }

    /// Adds the verdict on the last block, of `events` events, to the books.
    pub fn count(&self, events: usize, tally: &mut Tally) {
        for (line, counts) in tally.lines.iter_mut().enumerate() {
            counts.passed += ones(self.decider.passed(line));
            counts.kept += ones(self.decider.kept(line));
        }
        let faults = &self.scoring.faults;
        let undecided = ones(self.decider.undecided());
        let mut accepted = ones(self.decider.kept_any());
        let mut decided = events as u64 - undecided;
        let rungs = tally.rungs.iter_mut().zip(self.scoring.scored());
        rungs.for_each(|(counted, scored)| *counted += scored);
        if undecided > 0 {
            tally.errored.add(Errored::NotANumber, undecided);
            // They had their scores, but no verdict.
            for event in bits(self.decider.undecided()) {
                tally.rungs[usize::from(self.scoring.rung(event).0)] -= 1;
            }
        }
        if self.menu.pass_through().is_some() {
            accepted += ones(&self.saved);
            tally.rungs[self.menu.model_rungs()] += faults.len() as u64;
        } else {
            decided -= faults.len() as u64;
            faults.iter().for_each(|failed| tally.errored.add(failed.cause, 1));
        }
        tally.accepted += accepted;
        tally.rejected += decided - accepted;
        tally.degraded += self.scoring.degraded();
    }

    /// Bytes of the record of an event of so many bytes.
    pub(crate) fn record_len(&self, event_len: usize) -> usize {
        record::len(self.menu.words(), self.scoring.scores.columns(), event_len)
    }

    /// Why events could not be decided so far: the first reason of each model and rung.
    pub fn failures(&self) -> &[Undecided] {
        &self.scoring.failures
    }

    /// Makes a record for the error stream of every event of a block that has no decision, because [`Self::decide`] or what followed panicked with
    /// this message. It uses nothing that they left behind.
    pub(crate) fn refuse(
        &mut self,
        block: &Block,
        message: String,
        records: &mut Vec<u8>,
        entries: &mut Vec<Kept>,
        tally: &mut Tally,
    ) {
        self.scoring.undecided(block, message);
        tally.errored.add(Errored::Panic, block.len() as u64);
        let words = vec![0; self.menu.words()];
        let scores = vec![f32::NAN; self.scoring.scores.columns()];
        for event in 0..block.len() {
            let header = RecordHeader {
                fault: record::fault::PANIC,
                guilty_model: NO_MODEL,
                block_index: event as u16,
                block_last: (block.len() - 1) as u16,
                ..self.header(block, event)
            };
            let start = records.len();
            let len =
                record::append(header, &words, &words, scores.iter().copied(), block.event(event), records);
            let streams = 1 << self.menu.streams().len();
            entries.push(Kept {
                event,
                start,
                len,
                event_id: header.event_id,
                time_ns: header.time_ns,
                streams,
            });
        }
    }

    /// The devices that were lost so far, in order.
    pub fn losses(&self) -> &[DeviceLoss] {
        &self.scoring.losses
    }

    /// Appends a record for every event of the last block that is to be stored, because a line kept it or it could not be decided, in the order of
    /// the block.
    pub fn keep(&mut self, block: &Block, records: &mut Vec<u8>, entries: &mut Vec<Kept>) {
        let mut faults = self.scoring.faults.iter().copied().peekable();
        for word in 0..block.len().div_ceil(64) {
            let undecided = self.decider.undecided()[word];
            for bit in bits(&[self.decider.kept_any()[word] | self.saved[word] | undecided]) {
                let event = word * 64 + bit;
                // Those before it were not saved.
                while faults.next_if(|failed| failed.event < event).is_some() {}
                let mut fault = faults.next_if(|failed| failed.event == event);
                if undecided >> bit & 1 == 1 {
                    fault = Some(Failed { event, cause: Errored::NotANumber, model: NO_MODEL });
                }
                let (passed, kept) = (&mut self.words.0, &mut self.words.1);
                self.decider.event_words(event, passed, kept);
                let (header, streams) = self.verdict(block, event, fault);
                let scores = &self.scoring.scores;
                let scores = (0..scores.columns()).map(|column| scores.column(column)[event]);
                let start = records.len();
                let (passed, kept) = (&self.words.0, &self.words.1);
                let len = record::append(header, passed, kept, scores, block.event(event), records);
                let (event_id, time_ns) = (header.event_id, header.time_ns);
                entries.push(Kept { event, start, len, event_id, time_ns, streams });
            }
        }
    }

    /// The rung that an event of the last block reached, and its scores there.
    pub fn scores(&self, event: usize) -> (u8, impl Iterator<Item = f32>) {
        let scores = &self.scoring.scores;
        (self.scoring.rung(event).0, (0..scores.columns()).map(move |column| scores.column(column)[event]))
    }

    /// The vector unit, for engines whose bits depend on it.
    fn unit(&self, engine: u8) -> u8 {
        if matches!(engine, record::FLEX | record::SEVERAL_ENGINES) { self.stamp.unit } else { 0 }
    }

    /// What the record of an event says, whatever was decided.
    fn header(&self, block: &Block, event: usize) -> RecordHeader {
        let Event { id: event_id, time_ns, source, .. } = block.event(event);
        RecordHeader {
            event_id,
            time_ns,
            menu_hash: self.menu.hash_prefix(),
            model_hash: self.stamp.model_hash,
            schema_id: self.stamp.schema_id,
            run: block.run(),
            segment: block.segment(),
            source_id: source,
            ..RecordHeader::blank()
        }
    }

    /// Header of the record of an event, and its streams.
    fn verdict(&self, block: &Block, event: usize, fault: Option<Failed>) -> (RecordHeader, u64) {
        let (rung, scored) = self.scoring.rung(event);
        let mut header = RecordHeader {
            engine: scored.engine,
            unit: self.unit(scored.engine),
            rung,
            flags: if scored.degraded { record::DEGRADED } else { 0 },
            ..self.header(block, event)
        };
        let Some(Failed { cause, model, .. }) = fault else {
            return (header, self.decider.event_streams(event));
        };
        (header.fault, header.guilty_model) = (fault_code(cause), model);
        if cause == Errored::Deadline {
            (header.engine, header.unit, header.flags) = (0, 0, 0);
        }
        // A model that failed is no model's verdict, and there is the last rung. A number that is none is nobody's.
        if let Some(last) = self.menu.pass_through()
            && cause != Errored::NotANumber
        {
            header.rung = self.menu.model_rungs() as u8;
            return (header, last.stream_bits());
        }
        (header.block_index, header.block_last) = (event as u16, (block.len() - 1) as u16);
        (header, 1 << self.menu.streams().len())
    }
}

fn fault_code(cause: Errored) -> u8 {
    match cause {
        Errored::Panic => record::fault::PANIC,
        Errored::NotFinite => record::fault::NAN,
        Errored::Deadline => record::fault::DEADLINE,
        Errored::Device => record::fault::DEVICE,
        Errored::NotANumber => record::fault::NOT_A_NUMBER,
        Errored::Refused => record::fault::REFUSED,
    }
}

/// Indices of the bits that are set, ascending.
fn bits(words: &[u64]) -> impl Iterator<Item = usize> + '_ {
    let of_word = |(index, &word): (usize, &u64)| {
        let mut left = word;
        std::iter::from_fn(move || {
            let bit = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (bit < 64).then_some(index * 64 + bit)
        })
    };
    words.iter().enumerate().flat_map(of_word)
}

fn ones(words: &[u64]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}
