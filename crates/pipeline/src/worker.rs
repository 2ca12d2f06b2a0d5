//! The deciding stage. One per core, each with its own judge.

use std::sync::Arc;
use std::time::Duration;

use tamis_ledger::{Dropped, Latency};
use tamis_ring::{Receiver, Sender, TryRecv};

use crate::outbound::{Arrival, Inbound, Outbound};
use crate::{Clock, Control, DeviceLoss, Judge, Progress, Stage};

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
    /// Longest time from admission to a decision.
    deadline_ns: Option<u64>,
    latency: WorkerLatency,
    /// A deliberate miscount, for the test that tests the tests.
    #[cfg(test)]
    pub(crate) tamper: Option<fn(&mut tamis_ledger::Tally)>,
}

/// How long events took, weighted by events.
#[derive(Debug, Default)]
pub(crate) struct WorkerLatency {
    /// Arrival (admission, if the source does not know) until the block was taken.
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
    pub(crate) fn new(
        judge: Judge,
        queues: Queues,
        deadline: Option<Duration>,
        clock: Arc<dyn Clock>,
        control: Arc<Control>,
    ) -> Self {
        Self {
            judge,
            queues: Some(queues),
            output: None,
            clock,
            control,
            deadline_ns: deadline.map(|time| time.as_nanos().try_into().unwrap_or(u64::MAX)),
            latency: WorkerLatency::default(),
            #[cfg(test)]
            tamper: None,
        }
    }

    pub(crate) fn latency(&mut self) -> WorkerLatency {
        std::mem::take(&mut self.latency)
    }

    /// The devices that its models lost.
    pub(crate) fn losses(&self) -> &[DeviceLoss] {
        self.judge.losses()
    }

    fn decide(&mut self, input: &Inbound, output: &mut Outbound) {
        let events = input.block.len();
        let begun = self.clock.now_ns();
        if self.control.is_aborting() {
            output.tally.dropped.add(Dropped::Shutdown, events as u64);
        } else {
            let mut is_late = self.deadline_ns.map(|deadline_ns| {
                let (clock, admitted_ns) = (&self.clock, input.admitted_ns);
                move || clock.now_ns().saturating_sub(admitted_ns) > deadline_ns
            });
            self.judge.decide(&input.block, is_late.as_mut().map(|is_late| is_late as _));
            self.judge.keep(&input.block, &mut output.records, &mut output.entries);
            self.judge.count(events, &mut output.tally);
        }
        let decided = self.clock.now_ns();
        self.latency.decide.record(decided - begun, events as u64);
        for &Arrival { ns, events } in &input.arrivals_ns {
            self.latency.wait.record(begun.saturating_sub(ns), events);
            self.latency.decision.record(decided.saturating_sub(ns), events);
        }
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
