//! What a stage is and how a thread runs one.
//!
//! ```text
//!   works -> looks again at once -> lets others go first between looks -> sleeps until rung, or until it must look again
//!            until idle for 5 us    until idle for the stage's busy-poll time
//! ```
//!
//! A thread that looks answers within a microsecond and burns its core; one that sleeps costs nothing and answers after a wake-up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tamis_ring::Bell;

use crate::Control;
use crate::guard::panic_message;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something; step again.
    Worked,
    /// Nothing: a queue must change first, or a short time pass.
    Idle,
    /// The stage has ended and given up its ends of the queues.
    Done,
}

/// A state machine that never waits.
pub trait Stage: Send {
    /// Does the work of one batch, if there is any. A crew of stages may do more.
    fn step(&mut self) -> Progress;

    /// Called when a step had nothing to do, before the stage sleeps: the place to wake receivers whose few items did not yet justify a wake-up.
    fn pause(&self) {}

    /// Longest sleep while idle: bounds how late a stop request, a timed flush or a due event is seen.
    fn sleep_max(&self) -> Duration {
        SLEEP_MAX
    }
}

/// A futex wake-up costs about as much, so a thread that is idle for less looks without a break.
const WAKE_UP: Duration = Duration::from_micros(5);
/// The usual longest sleep.
pub(crate) const SLEEP_MAX: Duration = Duration::from_millis(5);

/// Runs a stage to its end on this thread. If it panics, which is a defect of this program (those of models, sinks and sources are caught where they
/// are called), every other stage is asked to stop, so that the run ends instead of waiting forever.
pub(crate) fn run_to_end(
    stage: &mut dyn Stage,
    bell: &Bell,
    control: &Control,
    busy_poll: Duration,
) -> Result<(), String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let busy_poll = busy_poll.max(WAKE_UP);
        let mut idle_since = None;
        let mut last_look = false;
        loop {
            if control.is_dead() {
                return;
            }
            if last_look {
                bell.announce();
            }
            match stage.step() {
                Progress::Done => return,
                Progress::Worked => (idle_since, last_look) = (None, false),
                Progress::Idle => {
                    if idle_since.is_none() {
                        stage.pause();
                    }
                    let idle = idle_since.get_or_insert_with(Instant::now).elapsed();
                    if last_look {
                        bell.sleep(stage.sleep_max());
                    } else if idle >= busy_poll {
                        // At once: whoever lets others go first now may wait for a whole time slice of theirs.
                        last_look = true;
                    } else if idle < WAKE_UP {
                        std::hint::spin_loop();
                    } else {
                        std::thread::yield_now();
                    }
                    continue;
                }
            }
            bell.stay_awake();
        }
    }));
    outcome.map_err(|panic| {
        control.die();
        panic_message(&*panic)
    })
}
