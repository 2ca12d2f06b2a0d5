//! When the events of a recording are due.
//!
//! A rate counts the events of whole frames. The times of a recording are those of its events, where frames have a column of them, and else those of
//! its frames.
//!
//! * I1: no event is admitted before it is due, or before an event in front of it.
//! * I2: times count from the first known one of a run or pass. A time of 0 is unknown: such an event is due at once.

use std::sync::Arc;

use tamis_event::Span;

use crate::Clock;

/// How fast events are admitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as they are decided.
    Flat,
    /// At this many events per second, or slower if decisions cannot keep up.
    Rate(f64),
    /// When their times say.
    Recorded,
}

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct Pacer {
    pace: Pace,
    clock: Arc<dyn Clock>,
    began: Option<Began>,
    lag_ns: Option<u64>,
}

/// Where pacing counts from.
#[derive(Clone, Copy, Debug)]
struct Began {
    clock_ns: u64,
    run: u32,
    time_ns: u64,
}

impl Pacer {
    pub(crate) fn new(pace: Pace, clock: Arc<dyn Clock>) -> Self {
        Self { pace, clock, began: None, lag_ns: None }
    }

    /// How late an event was admitted at most, in ns; `None` if none had a time.
    pub(crate) fn lag_ns(&self) -> Option<u64> {
        self.lag_ns
    }

    /// Does an event ever wait for its time?
    pub(crate) fn is_flat(&self) -> bool {
        self.pace == Pace::Flat
    }

    /// From now on no event waits.
    pub(crate) fn hurry(&mut self) {
        self.pace = Pace::Flat;
    }

    /// Another pass begins: its times are those of the first one.
    pub(crate) fn restart(&mut self) {
        if self.pace == Pace::Recorded {
            self.began = None;
        }
    }

    /// How many events are due of those of a frame from `from` to `to`. `admitted` events came before the frame.
    pub(crate) fn due(&mut self, run: u32, span: &Span, (from, to): (usize, usize), admitted: u64) -> usize {
        match self.pace {
            Pace::Flat => to - from,
            Pace::Rate(hz) => {
                let (now, due_ns) = (self.clock.now_ns(), (admitted as f64 / hz * 1e9) as u64);
                if self.has_come(now, run, 0, due_ns) { to - from } else { 0 }
            }
            Pace::Recorded => {
                self.began.take_if(|began| began.run != run);
                let now = self.clock.now_ns();
                let mut is_due = |event: &usize| {
                    let time_ns = span.event(*event).time_ns;
                    time_ns == 0 || self.has_come(now, run, time_ns, 0)
                };
                if span.has_times() {
                    (from..to).take_while(is_due).count()
                } else {
                    if is_due(&from) { to - from } else { 0 }
                }
            }
        }
    }

    /// Is it time for what is due so long after that time of the recording? Books by how much it is late.
    fn has_come(&mut self, now: u64, run: u32, time_ns: u64, after_ns: u64) -> bool {
        let began = *self.began.get_or_insert(Began { clock_ns: now, run, time_ns });
        let due_ns = time_ns.saturating_sub(began.time_ns) + after_ns;
        let late_ns = (now - began.clock_ns).checked_sub(due_ns);
        self.lag_ns = self.lag_ns.max(late_ns);
        late_ns.is_some()
    }
}
