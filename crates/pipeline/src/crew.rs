//! Stages that share a thread.
//!
//! ```text
//!   two CPUs beside those of the workers, or more:   admission | worker-0 | worker-1 | ... | sequencer | writer-0 | ...
//!   fewer:                                           admission+worker-0   | worker-1 | ... | sequencer | writer-0 | ...
//! ```
//!
//! Threads that take turns on a CPU wait for each other's time slices, some ms each, and have to be woken for their turns. Stages that take turns on
//! a thread wait for one step of another. Admission is never idle while there is input, so it shares a thread with a worker unless a CPU is left
//! for it. Those behind the decision mostly sleep, and are needed at the same time where much is kept: they have their own. Who shares a thread
//! with whom changes no decision.
//!
//! * I1: the first stage of a crew feeds the others: it goes on until it has nothing to do, for which its pool of blocks is a bound; every other
//!   one takes one step per turn.
//! * I2: a crew has one bell, that of all its stages. It sleeps only after a look at what each of them waits for.

use std::sync::Arc;
use std::time::Duration;

use tamis_ring::Bell;

use crate::scheduling::{pin, wake_on_time};
use crate::stage::run_to_end;
use crate::{Control, Progress, Stage};

/// See the module's doc.
pub(crate) struct Crew<'a> {
    pub(crate) name: String,
    stages: Vec<&'a mut dyn Stage>,
    bell: Arc<Bell>,
    /// Where its thread is kept; empty: wherever the system puts it.
    cpus: Vec<usize>,
    /// Is one of its stages in the way of a decision?
    decides: bool,
}

impl<'a> Crew<'a> {
    /// Adds a stage to the crew that has its bell, or to a new one.
    pub(crate) fn enlist<'c>(
        crews: &'c mut Vec<Self>,
        name: &str,
        stage: &'a mut dyn Stage,
        bell: &Arc<Bell>,
        decides: bool,
    ) -> &'c mut Self {
        let at = crews.iter().position(|crew| Arc::ptr_eq(&crew.bell, bell));
        let at = at.unwrap_or_else(|| {
            let (name, bell) = (String::new(), bell.clone());
            crews.push(Self { name, stages: Vec::new(), bell, cpus: Vec::new(), decides: false });
            crews.len() - 1
        });
        let crew = &mut crews[at];
        crew.name = if crew.name.is_empty() { name.into() } else { format!("{}+{name}", crew.name) };
        crew.stages.push(stage);
        crew.decides |= decides;
        crew
    }

    /// Keeps its thread on these CPUs.
    pub(crate) fn keep_on(&mut self, cpus: Vec<usize>) {
        self.cpus = cpus;
    }

    /// Runs all stages to their ends on this thread.
    pub(crate) fn run(mut self, control: &Control, busy_poll: Duration) -> Result<(), String> {
        // A CPU that went away since the plan was checked costs speed, and nothing else.
        let _ = pin(&self.cpus);
        let busy_poll = if self.decides { busy_poll } else { Duration::ZERO };
        if !busy_poll.is_zero() {
            wake_on_time();
        }
        let bell = self.bell.clone();
        run_to_end(&mut self, &bell, control, busy_poll)
    }
}

impl Stage for Crew<'_> {
    fn step(&mut self) -> Progress {
        let (mut worked, mut feeds) = (false, true);
        self.stages.retain_mut(|stage| {
            let mut progress = stage.step();
            while feeds && progress == Progress::Worked {
                worked = true;
                progress = stage.step();
            }
            feeds = false;
            worked |= progress != Progress::Idle;
            progress != Progress::Done
        });
        match (self.stages.is_empty(), worked) {
            (true, _) => Progress::Done,
            (false, true) => Progress::Worked,
            (false, false) => Progress::Idle,
        }
    }

    fn pause(&self) {
        self.stages.iter().for_each(|stage| stage.pause());
    }

    fn sleep_max(&self) -> Duration {
        self.stages.iter().map(|stage| stage.sleep_max()).min().unwrap_or_default()
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

    #[test]
    fn the_first_stage_goes_on_while_it_has_something_to_do_and_others_take_one_step() {
        let told = Mutex::new(String::new());
        let stage = |name, works, ms| Scripted { name, works, told: &told, sleep: Duration::from_millis(ms) };
        let (mut a, mut b, mut c) = (stage('a', 3, 5), stage('b', 2, 1), stage('c', 9, 1));
        let (bell, other) = (Arc::default(), Arc::default());
        let mut crews = Vec::new();
        Crew::enlist(&mut crews, "a", &mut a, &bell, true);
        Crew::enlist(&mut crews, "b", &mut b, &bell, false).keep_on(vec![7]);
        Crew::enlist(&mut crews, "c", &mut c, &other, false);
        let [shared, alone] = &mut crews[..] else { panic!("two bells") };
        assert_eq!((&*shared.name, shared.decides, &shared.cpus[..]), ("a+b", true, &[7][..]));
        assert_eq!((&*alone.name, alone.decides), ("c", false));
        assert_eq!(shared.sleep_max(), Duration::from_millis(1));
        let mut turn = || {
            let progress = shared.step();
            shared.pause();
            (progress, std::mem::take(&mut *told.lock().unwrap()))
        };
        assert_eq!(turn(), (Progress::Worked, "aw aw ai bw ap bp ".into()));
        assert_eq!(turn(), (Progress::Worked, "ad bi bp ".into()), "an end is news");
        assert_eq!(turn(), (Progress::Done, "bd ".into()));
    }

    #[test]
    fn a_crew_is_idle_when_all_are() {
        let told = Mutex::new(String::new());
        let mut stages =
            ['a', 'b'].map(|name| Scripted { name, works: 1, told: &told, sleep: Duration::ZERO });
        let (bell, mut crews) = (Arc::default(), Vec::new());
        for stage in &mut stages {
            Crew::enlist(&mut crews, "", stage, &bell, true);
        }
        assert_eq!(crews[0].step(), Progress::Idle);
    }
}
