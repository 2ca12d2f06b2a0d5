//! What a pipeline without work does: how often it asks a source that has nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use tamis_port::{Source, SourceError, Window};
use tamis_ring::Bell;

use super::*;
use crate::admission::{Admission, SOURCE_SLEEP};
use crate::stage::SLEEP_MAX;
use crate::{MonotonicClock, Progress, Stage};

/// Has nothing, and counts who asks.
struct Silent {
    asked: Arc<AtomicU64>,
    bell: Option<Arc<Bell>>,
    stopped: bool,
}

impl Source for Silent {
    fn poll(&mut self) -> Result<Window, SourceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(if self.stopped { Window::End } else { Window::Idle })
    }

    fn bell(&self) -> Option<Arc<Bell>> {
        self.bell.clone()
    }

    fn stop(&mut self) {
        self.stopped = true;
    }
}

/// Runs until `is_enough`, which is told how often the source was asked so far. That number, and the time, at the end.
fn asked(
    rings: bool,
    cpus: usize,
    busy_poll: Duration,
    is_enough: impl Fn(u64, Duration) -> bool,
) -> (u64, Duration) {
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let menu = "name = \"a\"\n[[stream]]\nname = \"a\"\n[[line]]\nname = \"a\"\nkind = \"pass-through\"\nstreams = [\"a\"]\n";
    let sink = || Box::new(Memory::new(Records::default())) as Box<dyn Sink>;
    let (control, count) = (Arc::<Control>::default(), Arc::<AtomicU64>::default());
    let bell = rings.then(Arc::default);
    let pipeline = Pipeline::new(Setup {
        source: Box::new(Silent { asked: count.clone(), bell, stopped: false }),
        schema: &schema,
        menu: Arc::new(Menu::parse(menu, "a.toml").unwrap().compile(&schema, &[]).unwrap()),
        models: vec![Vec::new()],
        sinks: vec![sink(), sink()],
        stamp: Stamp::default(),
        limits: Limits::new(1, 64, schema.layout()).unwrap(),
        pace: Pace::Flat,
        deadline: None,
        busy_poll,
        cpus: Cpus::new(cpus, &[]),
        clock: Arc::new(MonotonicClock::default()),
        control: control.clone(),
    });
    let start = Instant::now();
    thread::scope(|scope| {
        let run = scope.spawn(|| pipeline.run_threads(|_| ()));
        while !is_enough(count.load(Ordering::Relaxed), start.elapsed()) {
            thread::sleep(Duration::from_millis(1));
        }
        control.drain();
        assert_eq!(run.join().unwrap().balance, Ok(()));
    });
    (count.load(Ordering::Relaxed), start.elapsed())
}

/// A few looks before the first sleep, then one per sleep: a machine that is busy makes these numbers smaller, never larger.
#[test]
fn an_idle_pipeline_sleeps() {
    for (rings, sleep) in [(true, SLEEP_MAX), (false, SOURCE_SLEEP)] {
        for cpus in [1, 8] {
            let (asked, time) =
                asked(rings, cpus, Duration::ZERO, |_, time| time > Duration::from_millis(200));
            let sleeps = time.as_nanos() / sleep.as_nanos();
            assert!(u128::from(asked) < 1000 + 2 * sleeps, "asked {asked} times in {time:?}; rings: {rings}");
        }
    }
}

#[test]
fn a_pipeline_that_polls_busily_does_not_sleep() {
    // Asleep, it would take 100 s for so many looks.
    let (asked, _) = asked(true, 8, Duration::MAX, |asked, _| asked > 20_000);
    assert!(asked > 20_000);
}

/// Frames that are due every 50 us are admitted a few steps of 50 ns later; if all are due at once, the last one is late by much of the run.
#[test]
fn a_pace_that_is_not_held_is_told_by_the_lag() {
    panics_quietly();
    let Faulted { bytes, .. } = faulted(0, 0.0);
    let lag = |pace| {
        let (outcome, ..) = bench(&bytes, &Case { pace, ..Case::default() }).seeded(1);
        (outcome.lag_ns, outcome.elapsed_ns)
    };
    let ((held, _), (lost, elapsed)) = (lag(Pace::Rate(1e6)), lag(Pace::Rate(1e12)));
    let (held, lost) = (held.unwrap(), lost.unwrap());
    assert!(held < 2_000 && lost > elapsed / 3, "{held}, {lost} of {elapsed} ns");
    assert_eq!(lag(Pace::Flat).0, None);
}

/// One frame of 100 events, one every us. Where each has its time in the frame, the last one is admitted 99 us after the first; where only the frame
/// has one, all of them are at once.
#[test]
fn events_with_times_of_their_own_are_admitted_one_by_one() {
    panics_quietly();
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let run = |event_times| {
        let options = GenOptions { frame_events: 100, rate_hz: 1e6, event_times, ..GenOptions::default() };
        let (generator, frames) = frames_of(&schema, options, 100);
        let bytes = [generator.schema_frame(), frames.concat()].concat();
        let (outcome, ..) = bench(&bytes, &Case { pace: Pace::Recorded, ..Case::default() }).seeded(1);
        assert_eq!(outcome.tally.received, 100);
        (outcome.elapsed_ns, outcome.lag_ns.unwrap_or(0))
    };
    let ((by_event, lag), (by_frame, _)) = (run(true), run(false));
    assert!((99_000..130_000).contains(&by_event) && lag < 5_000, "{by_event} ns, {lag} ns late");
    assert!(by_frame < 50_000, "{by_frame} ns");
}

/// A batch that waits is taken by the worker on the same thread; if the thread goes to sleep instead, another worker is called.
#[test]
fn admission_calls_other_workers_for_a_second_batch_and_before_it_sleeps() {
    let Faulted { bytes, .. } = faulted(39, 0.0);
    let case = Case { workers: 2, cpus: 1, batch: 7, windows: vec![usize::MAX], ..Case::default() };
    let TestBench { mut pipeline, .. } = bench(&bytes, &case);
    let admission = &mut pipeline.admission.0;
    let other = pipeline.workers[1].1.clone();
    // Whoever rings an announced bell takes the announcement, and only one can.
    let mut called = |act: &mut dyn FnMut(&mut Admission)| {
        other.announce();
        act(admission);
        !other.ring()
    };
    let mut step = |admission: &mut Admission| while admission.step() != Progress::Worked {};
    assert!(!called(&mut step), "the first batch");
    assert!(called(&mut |admission| admission.pause()), "before it sleeps");
    assert!(called(&mut step), "the second batch");
}

#[test]
fn admission_takes_turns_with_a_worker_only_where_no_frame_waits_for_it() {
    panics_quietly();
    let Faulted { bytes, .. } = faulted(0, 0.0);
    let timed = Pace::Rate(1e12);
    for (workers, pace, apart) in [(2, Pace::Flat, false), (2, timed, true), (1, timed, false)] {
        let case = Case { workers, pace, cpus: 1, ..Case::default() };
        let (outcome, ..) = bench(&bytes, &case).seeded(1);
        assert_eq!(outcome.admitted_apart, apart, "{workers} workers, {pace:?}");
    }
}
