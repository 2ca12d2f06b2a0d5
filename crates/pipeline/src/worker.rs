//! The deciding stage. One per core, each with its own judge.

use std::sync::Arc;

use tamis_ledger::{Dropped, Latency};
use tamis_ring::{Receiver, Sender, TryRecv};

use crate::outbound::{Inbound, Outbound};
use crate::{Clock, Control, Judge, Progress, Stage};

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct Worker {
    judge: Judge,
    /// Given up at the end.
    queues: Option<Queues>,
    /// Taken before the input block (invariant I2 of the crate).
    output: Option<Outbound>,
    clock: Arc<dyn Clock>,
    control: Arc<Control>,
    latency: WorkerLatency,
    /// A deliberate miscount, for the test that tests the tests.
    #[cfg(test)]
    pub(crate) tamper: Option<fn(&mut tamis_ledger::Tally)>,
}

/// How long events took, weighted by events.
#[derive(Debug, Default)]
pub(crate) struct WorkerLatency {
    /// Admission until the block was taken.
    pub(crate) wait: Latency,
    /// The worker's own time for the block.
    pub(crate) decide: Latency,
    /// Both.
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
    pub(crate) fn new(judge: Judge, queues: Queues, clock: Arc<dyn Clock>, control: Arc<Control>) -> Self {
        Self {
            judge,
            queues: Some(queues),
            output: None,
            clock,
            control,
            latency: WorkerLatency::default(),
            #[cfg(test)]
            tamper: None,
        }
    }

    pub(crate) fn latency(&mut self) -> WorkerLatency {
        std::mem::take(&mut self.latency)
    }

    fn decide(&mut self, input: &Inbound, output: &mut Outbound) {
        let events = input.block.len();
        let begun = self.clock.now_ns();
        if self.control.is_aborting() {
            output.tally.dropped.add(Dropped::Shutdown, events as u64);
        } else {
            self.judge.decide(&input.block);
            self.judge.keep(&input.block, &mut output.records, &mut output.entries);
            self.judge.count(events, &mut output.tally);
        }
        let (decided, events) = (self.clock.now_ns(), events as u64);
        self.latency.wait.record(begun - input.admitted_ns, events);
        self.latency.decide.record(decided - begun, events);
        self.latency.decision.record(decided - input.admitted_ns, events);
    }
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
