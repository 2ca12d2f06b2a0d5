//! Watching a run: its progress, and signals that end it.
//!
//! The first SIGINT, SIGTERM or SIGHUP drains the run: what was taken from the input is decided and stored. The second one, or ten seconds, aborts
//! it: what is undecided is dropped and counted. A third one ends the process as if there were no handler, for an input that blocks for ever.
//!
//! Threads: one, which wakes ten times a second; it touches the run only through relaxed counters.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use signal_hook::iterator::Signals;
use tamis_app::{Exit, Failure};
use tamis_pipeline::Control;

use crate::figures;
use crate::output::say;
use crate::signals::end_signals;

/// How often the watcher looks.
const TICK: Duration = Duration::from_millis(100);
/// How long a drain may take.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Runs `run` under watch.
pub(crate) fn watched<T>(
    control: &Arc<Control>,
    bar: &ProgressBar,
    run: impl FnOnce() -> T,
) -> Result<T, Failure> {
    let signals = end_signals()?;
    let (running, ended) = mpsc::channel::<()>();
    let mut watcher =
        Watcher { control: control.clone(), bar: bar.clone(), signals, received: 0, drain_ends: None };
    thread::scope(|scope| {
        let watch = move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                watcher.look();
            }
            watcher.bar.finish_and_clear();
        };
        thread::Builder::new().name("watcher".into()).spawn_scoped(scope, watch).map_err(|error| {
            let message =
                format!("the system refused a thread to watch the run: {error}; raise the limit on threads");
            Failure::new(Exit::Resources, message)
        })?;
        let result = run();
        drop(running);
        Ok(result)
    })
}

struct Watcher {
    control: Arc<Control>,
    bar: ProgressBar,
    signals: Signals,
    received: u32,
    drain_ends: Option<Instant>,
}

impl Watcher {
    fn look(&mut self) {
        let (events, bytes) = self.control.progress();
        self.bar.set_position(bytes);
        self.bar.set_message(format!("{} events", figures::grouped(events)));
        let signals: Vec<i32> = self.signals.pending().collect();
        signals.into_iter().for_each(|signal| self.hear(signal));
        if self.drain_ends.is_some_and(|end| Instant::now() > end) {
            self.abort(&format!("the run did not drain within {} s", DRAIN_MAX.as_secs()));
        }
    }

    fn hear(&mut self, signal: i32) {
        self.received += 1;
        match self.received {
            1 => {
                self.control.drain();
                self.drain_ends = Some(Instant::now() + DRAIN_MAX);
                self.tell("stopping: no more input is taken, what was taken is decided and stored; once more to stop at once");
            }
            2 => self.abort("stopping at once"),
            // This does not return; if it cannot be done, there is nothing else to do.
            _ => drop(signal_hook::low_level::emulate_default_handler(signal)),
        }
    }

    fn abort(&mut self, why: &str) {
        self.control.abort();
        self.drain_ends = None;
        self.tell(&format!("{why}: what is undecided is dropped and counted"));
    }

    fn tell(&self, sentence: &str) {
        self.bar.suspend(|| say(sentence));
    }
}
