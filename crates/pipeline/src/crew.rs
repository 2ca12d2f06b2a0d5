//! Stages that share a thread.
//!
//! ```text
//!   a CPU is left, or frames come by themselves:   admission | worker-0 | worker-1 | ... | sequencer | writer-0 | ...
//!   else:                                          admission, worker-0  | worker-1 | ... | sequencer | writer-0 | ...
//! ```
//!
//! Threads that take turns on a CPU wait for each other's time slices, some ms each, and have to be woken for their turns. Stages that take turns on
//! a thread wait for one step of another. A recording that is played as fast as it is decided keeps admission and all workers busy: if no CPU is left
//! for admission, it takes turns with the first worker. It also takes turns with a single worker that has a CPU to itself, because no other worker
//! could have taken the frame that waits. Sharing a thread changes no decision.
//!
//! * I1: the first stage of a crew feeds the others: it takes steps until it has nothing to do, but at most as many as there are input batches.
//!   Every other stage takes one step per turn, and so does a stage that is alone.
//! * I2: a crew has one bell for all its stages. It sleeps only after it has looked at everything that any of them waits for.

use std::time::Duration;

use tamis_ring::Bell;

use crate::scheduling::{keep_on, wake_on_time};
use crate::stage::run_to_end;
use crate::{Control, Progress, Stage};

/// See the module's doc.
pub(crate) struct Crew<'a> {
    /// The stages with their names, in the order in which batches pass them.
    pub(crate) stages: Vec<(String, &'a mut dyn Stage)>,
    pub(crate) bell: &'a Bell,
    /// CPUs that its thread is kept on; empty: wherever the system puts it.
    pub(crate) cpus: Vec<usize>,
    /// How long it looks for something to do before it sleeps.
    pub(crate) busy_poll: Duration,
    /// Most steps of the first stage in a turn.
    pub(crate) feeds: usize,
    pub(crate) control: &'a Control,
    /// The stage whose turn it is.
    pub(crate) at: usize,
}

impl Crew<'_> {
    /// The name for its thread: that of the stage that has most to do.
    pub(crate) fn name(&self) -> String {
        self.stages.last().map(|(name, _)| name.clone()).unwrap_or_default()
    }

    /// The name of the stage whose step panicked; that of the crew if the panic came between two steps.
    fn culprit(&self) -> String {
        self.stages.get(self.at).map_or_else(|| self.name(), |(name, _)| name.clone())
    }

    /// Runs all stages to their ends on this thread. If one panics: its name and the message.
    pub(crate) fn run(mut self) -> Result<(), String> {
        // A CPU that went away since the plan was checked costs speed, and nothing else.
        let _ = keep_on(&self.cpus);
        if !self.busy_poll.is_zero() {
            wake_on_time();
        }
        let bell = self.bell;
        let control = self.control;
        let busy_poll = self.busy_poll;
        run_to_end(&mut self, bell, control, busy_poll)
            .map_err(|message| format!("{}: {message}", self.culprit()))
    }
}

impl Stage for Crew<'_> {
    fn step(&mut self) -> Progress {
        let mut most = if self.stages.len() > 1 { self.feeds } else { 1 };
        let mut worked = false;
        self.at = 0;
        while let Some((_, stage)) = self.stages.get_mut(self.at) {
            let mut progress = stage.step();
            while most > 1 && progress == Progress::Worked && !self.control.is_dead() {
                worked = true;
                progress = stage.step();
                most -= 1;
            }
            most = 1;
            worked |= progress != Progress::Idle;
            if progress == Progress::Done {
                self.stages.remove(self.at);
            } else {
                self.at += 1;
            }
        }
        match (self.stages.is_empty(), worked) {
            (true, _) => Progress::Done,
            (false, true) => Progress::Worked,
            (false, false) => Progress::Idle,
        }
    }

    fn pause(&self) {
        self.stages.iter().for_each(|(_, stage)| stage.pause());
    }

    fn sleep_max(&self) -> Duration {
        self.stages.iter().map(|(_, stage)| stage.sleep_max()).min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Works so many times, then is idle once, then is done; says what it does.
    struct Scripted<'a> {
        name: char,
        works: usize,
        told: &'a Mutex<String>,
        sleep: Duration,
    }

    impl Stage for Scripted<'_> {
        fn step(&mut self) -> Progress {
            let (progress, word) = match self.works {
                0 => (Progress::Done, 'd'),
                1 => (Progress::Idle, 'i'),
                _ => (Progress::Worked, 'w'),
            };
            self.works = self.works.saturating_sub(1);
            self.told.lock().unwrap().extend([self.name, word, ' ']);
            progress
        }

        fn pause(&self) {
            self.told.lock().unwrap().extend([self.name, 'p', ' ']);
        }

        fn sleep_max(&self) -> Duration {
            self.sleep
        }
    }

    /// What each turn comes to, with a pause after it, of stages `a` and `b` that work so many times.
    fn turns(works: [usize; 2], feeds: usize, control: &Control) -> Vec<(Progress, String)> {
        let told = Mutex::new(String::new());
        let stage = |name, works, ms| Scripted { name, works, told: &told, sleep: Duration::from_millis(ms) };
        let (mut a, mut b) = (stage('a', works[0], 5), stage('b', works[1], 1));
        let stages: Vec<(String, &mut dyn Stage)> = vec![("a".into(), &mut a), ("b".into(), &mut b)];
        let bell = Bell::default();
        let busy_poll = Duration::ZERO;
        let mut crew = Crew { stages, bell: &bell, cpus: Vec::new(), busy_poll, feeds, control, at: 0 };
        assert_eq!((crew.name(), crew.sleep_max()), ("b".into(), Duration::from_millis(1)));
        let mut turns = Vec::new();
        while turns.last().is_none_or(|(progress, _)| *progress != Progress::Done) {
            let progress = crew.step();
            crew.pause();
            turns.push((progress, std::mem::take(&mut *told.lock().unwrap())));
        }
        turns
    }

    #[test]
    fn the_first_stage_goes_on_while_it_has_something_to_do_and_others_take_one_step() {
        let expected = [
            (Progress::Worked, "aw aw ai bw ap bp "),
            (Progress::Worked, "ad bw bp "),
            (Progress::Worked, "bw bp "),
            (Progress::Idle, "bi bp "),
            (Progress::Done, "bd "),
        ];
        let expected = expected.map(|(progress, told)| (progress, told.to_owned()));
        assert_eq!(turns([3, 4], 9, &Control::default()), expected);
        // No longer than there are batches for it.
        assert_eq!(turns([3, 2], 2, &Control::default())[0].1, "aw aw bw ap bp ");
        // Nor when the run is over.
        let dead = Control::default();
        dead.die();
        assert_eq!(turns([3, 2], 9, &dead)[0].1, "aw bw ap bp ");
    }

    #[test]
    fn a_crew_is_idle_when_all_are() {
        assert_eq!(turns([1, 1], 9, &Control::default())[0], (Progress::Idle, "ai bi ap bp ".into()));
    }

    /// Idle for ever; panics when it is about to sleep, and not in a step.
    struct Restless;

    impl Stage for Restless {
        fn step(&mut self) -> Progress {
            Progress::Idle
        }

        fn pause(&self) {
            panic!("no pause");
        }
    }

    #[test]
    fn a_panic_between_two_steps_is_that_of_the_crew() {
        let bell = Bell::default();
        let control = Control::default();
        let mut stage = Restless;
        let stages: Vec<(String, &mut dyn Stage)> = vec![("restless".into(), &mut stage)];
        let cpus = Vec::new();
        let busy_poll = Duration::ZERO;
        let crew = Crew { stages, bell: &bell, cpus, busy_poll, feeds: 1, control: &control, at: 0 };
        assert_eq!(crew.run(), Err("restless: no pause".into()));
        assert!(control.is_dead());
    }
}
