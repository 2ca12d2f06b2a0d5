//! The deciding stage. Each core has one, with a judge of its own.

use std::sync::Arc;
use std::time::Duration;

use tamis_ledger::{Dropped, Latency};
use tamis_ring::{Receiver, Sender, TryRecv};

use crate::budget::Budget;
use crate::guard::guarded;
use crate::outbound::{Arrival, Inbound, Outbound, Part};
use crate::{Clock, Control, DeviceLoss, Judge, Progress, Stage, Undecided};

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct Worker {
    judge: Judge,
    /// Given up at the end.
    queues: Option<Queues>,
    /// Taken before the input batch (invariant I2 of the crate).
    output: Option<Outbound>,
    /// Waits for memory of the output batch.
    input: Option<Inbound>,
    pub(crate) budget: Arc<Budget>,
    clock: Arc<dyn Clock>,
    control: Arc<Control>,
    /// Longest time from admission to a decision.
    deadline_ns: Option<u64>,
    latency: WorkerLatency,
    /// A deliberate miscount, for the test that tests the tests.
    #[cfg(test)]
    pub(crate) tamper: Option<fn(&mut [crate::SegmentBooks])>,
    /// Called before each decision: it may panic.
    #[cfg(test)]
    pub(crate) upset: Option<fn(&tamis_event::Block)>,
}

/// How long events took, weighted by events.
#[derive(Debug, Default)]
pub(crate) struct WorkerLatency {
    /// From arrival (or admission, if the source does not know the arrival) until the worker took the batch.
    pub(crate) wait: Latency,
    /// From then until the batch was decided.
    pub(crate) decide: Latency,
    /// Both together.
    pub(crate) decision: Latency,
}

#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) input: Receiver<Inbound>,
    pub(crate) free_inputs: Sender<Inbound>,
    pub(crate) free_outputs: Receiver<Outbound>,
    pub(crate) output: Sender<Outbound>,
}

impl Worker {
    pub(crate) fn new(
        judge: Judge,
        queues: Queues,
        deadline: Option<Duration>,
        budget: Arc<Budget>,
        clock: Arc<dyn Clock>,
        control: Arc<Control>,
    ) -> Self {
        Self {
            judge,
            queues: Some(queues),
            output: None,
            input: None,
            budget,
            clock,
            control,
            deadline_ns: deadline.map(|time| time.as_nanos().try_into().unwrap_or(u64::MAX)),
            latency: WorkerLatency::default(),
            #[cfg(test)]
            tamper: None,
            #[cfg(test)]
            upset: None,
        }
    }

    pub(crate) fn latency(&mut self) -> WorkerLatency {
        std::mem::take(&mut self.latency)
    }

    /// The devices that its models lost.
    pub(crate) fn losses(&self) -> &[DeviceLoss] {
        self.judge.losses()
    }

    /// Why it could not decide events.
    pub(crate) fn failures(&self) -> &[Undecided] {
        self.judge.failures()
    }

    fn decide(&mut self, input: &Inbound, output: &mut Outbound) {
        let begun = self.clock.now_ns();
        for part in input.parts() {
            self.decide_part(part, input, output);
        }
        if input.parts().len() > 1 {
            output.entries.sort_unstable_by_key(|entry| entry.event);
        }
        let decided = self.clock.now_ns();
        self.latency.decide.record(decided - begun, input.events() as u64);
        for &Arrival { ns, events } in &input.arrivals_ns {
            self.latency.wait.record(begun.saturating_sub(ns), events);
            self.latency.decision.record(decided.saturating_sub(ns), events);
        }
    }

    /// Decides the block of one segment. Afterwards `event` of an entry is how many events of the whole batch arrived before that one.
    fn decide_part(&mut self, part: &Part, input: &Inbound, output: &mut Outbound) {
        let (tally, records, entries) = output.open(part);
        let block = &part.block;
        let before = entries.len();
        if block.is_empty() {
            return;
        }
        if self.control.is_aborting() {
            tally.dropped.add(Dropped::Shutdown, block.len() as u64);
            return;
        }
        let mut is_late = self.deadline_ns.map(|deadline_ns| {
            let clock = &self.clock;
            let admitted_ns = input.admitted_ns;
            move || clock.now_ns().saturating_sub(admitted_ns) > deadline_ns
        });
        let judge = &mut self.judge;
        let written = records.len();
        let decided = guarded(|| {
            #[cfg(test)]
            if let Some(upset) = self.upset {
                upset(block);
            }
            judge.decide(block, is_late.as_mut().map(|is_late| is_late as _));
            judge.keep(block, records, entries);
            judge.count(block.len(), tally);
        });
        if let Err(message) = decided {
            records.truncate(written);
            entries.truncate(before);
            tally.clear();
            tally.merge(&part.arrivals);
            judge.refuse(block, message, records, entries, tally);
        }
        if input.parts().len() > 1 {
            entries[before..].iter_mut().for_each(|entry| entry.event = part.order_of(entry.event));
        }
        output.count_streams(before);
    }
}

impl Stage for Worker {
    fn pause(&self) {
        if let Some(queues) = &self.queues {
            queues.free_inputs.wake();
            queues.output.wake();
        }
    }

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
        if self.input.is_none() {
            match queues.input.try_recv() {
                Ok(input) => self.input = Some(input),
                Err(TryRecv::Empty) => return Progress::Idle,
                Err(TryRecv::Closed) => {
                    self.queues = None;
                    return Progress::Done;
                }
            }
        }
        let (Some(input), Some(output)) = (&self.input, &mut self.output) else {
            unreachable!("both were taken above");
        };
        // What is dropped needs no memory.
        let record = if self.control.is_aborting() { 0 } else { self.judge.record_len(input.stride()) };
        if !output.obtain(input, record, &self.budget) {
            return Progress::Idle;
        }
        let (Some(mut input), Some(mut output)) = (self.input.take(), self.output.take()) else {
            unreachable!("both are there");
        };
        output.reset(&input);
        self.decide(&input, &mut output);
        output.give_back_spare(&self.budget);
        #[cfg(test)]
        if let Some(tamper) = self.tamper {
            tamper(output.books_mut());
        }
        input.clear();
        // Both queues are as long as their pools (I1): sends fail only when the other side has died, and then the run is over.
        if let Some(queues) = &self.queues {
            let _ = queues.free_inputs.try_send(input);
            let _ = queues.output.try_send(output);
        }
        Progress::Worked
    }
}
