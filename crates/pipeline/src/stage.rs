//! What a stage is and how a thread runs one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tamis_ring::Bell;

use crate::Control;

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
    /// Does one block's worth of work, if there is any.
    fn step(&mut self) -> Progress;

    /// Called when a step had nothing to do, before the stage sleeps: the place to wake those who were not woken for the little that they got.
    fn pause(&self) {}

    /// Longest sleep while idle: bounds how late a stop request, a timed flush or a due event is seen.
    fn sleep_max(&self) -> Duration {
        SLEEP_MAX
    }
}

/// Looks before a thread goes to sleep. A futex wake-up costs about as much as this many looks at an empty queue (2 to 5 us), so spinning
/// longer would waste a core that another stage may need.
const LOOKS: u32 = 64;
/// The usual longest sleep.
pub(crate) const SLEEP_MAX: Duration = Duration::from_millis(5);

/// Runs a stage to its end on this thread. If it panics, which is a defect of this program, every other stage is told to stop, so that the run
/// ends instead of waiting forever.
pub(crate) fn run_to_end(stage: &mut dyn Stage, bell: &Bell, control: &Control) -> Result<(), String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut looks = 0;
        loop {
            if control.is_dead() {
                return;
            }
            if looks >= LOOKS {
                bell.announce();
            }
            match stage.step() {
                Progress::Done => return,
                Progress::Worked => looks = 0,
                Progress::Idle if looks < LOOKS => {
                    if looks == 0 {
                        stage.pause();
                    }
                    looks += 1;
                    std::hint::spin_loop();
                    continue;
                }
                Progress::Idle => bell.sleep(stage.sleep_max()),
            }
            bell.stay_awake();
        }
    }));
    outcome.map_err(|panic| {
        control.die();
        panic_message(&*panic)
    })
}

/// The text of a panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().map(String::from);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}
