//! The timetable under a pipeline that stalls: what nobody may forget is the wait of those that came meanwhile.

use std::time::Duration;

use tamis_event::EventLayout;
use tamis_ledger::Quantiles;
use tamis_menu::Menu;
use tamis_pipeline::{
    Control, Cpus, Limits, ManualClock, MonotonicClock, Outcome, Pace, Pipeline, Setup, Stamp,
};
use tamis_port::conformance;
use tamis_port::{Sink, SinkError, SinkReport, Stored};
use tamis_sim::Schedule;

use super::*;
use crate::bench::sample::{EventSize, Sample};

/// Stores nothing.
#[derive(Debug, Default)]
struct Nowhere(SinkReport);

impl Sink for Nowhere {
    fn write(&mut self, _stored: Stored<'_>) -> Result<(), SinkError> {
        self.0.events += 1;
        Ok(())
    }

    fn tick(&mut self, _now_ns: u64) -> Result<(), SinkError> {
        Ok(())
    }

    fn report(&self) -> &SinkReport {
        &self.0
    }

    fn close(&mut self) -> Result<SinkReport, SinkError> {
        Ok(self.0.clone())
    }
}

const MENU: &str = "name = \"none\"\n[[stream]]\nname = \"a\"\n[[line]]\nname = \"a\"\nkind = \"random\"\nevery = 1000\nstreams = [\"a\"]\n";
const STEP_NS: u64 = 1_000;
const STALL_NS: u64 = 1_000_000_000;

/// The canary: the same frames at the same times, from a source that does not tell when they were due.
#[derive(Debug)]
struct Forgetful(OpenLoop);

impl Source for Forgetful {
    fn poll(&mut self) -> Result<Window, SourceError> {
        self.0.poll()
    }

    fn stop(&mut self) {
        self.0.stop();
    }
}

/// 2,000 frames of one event, one per ms, with a stall of 1 s at a moment when the pipeline is idle.
fn stalled_run(wrap: fn(OpenLoop) -> Box<dyn Source>) -> (Outcome, Arc<Backlog>) {
    let stream = Sample::made(EventSize::plain(114), 1, 100).unwrap().stream(1, None);
    let clock = Arc::new(ManualClock::default());
    let arrivals = Arrivals::new(1, 1000.0, Schedule::Uniform);
    let source = OpenLoop::new(&stream, 2000, arrivals, clock.clone());
    let backlog = source.backlog();
    let menu = Menu::parse(MENU, "menu").unwrap().compile(&stream.schema, &[]).unwrap();
    let pipeline = Pipeline::new(Setup {
        source: wrap(source),
        schema: &stream.schema,
        menu: Arc::new(menu),
        models: vec![Vec::new()],
        sinks: vec![Box::<Nowhere>::default(), Box::<Nowhere>::default()],
        stamp: Stamp::default(),
        limits: Limits::new(1, 64, EventLayout { stride: 114, has_payloads: false }).unwrap(),
        pace: Pace::Flat,
        deadline: None,
        busy_poll: Duration::ZERO,
        cpus: Cpus::of_process(&[]),
        clock: clock.clone(),
        control: Arc::<Control>::default(),
    });
    let mut stalled = false;
    let between = || {
        clock.advance(STEP_NS);
        if !stalled && clock.now_ns() > 500_000_000 {
            stalled = true;
            clock.advance(STALL_NS);
        }
    };
    (pipeline.run_seeded(7, between, |_| ()), backlog)
}

#[test]
fn every_event_that_was_due_during_a_stall_waited_for_its_end() {
    let (outcome, backlog) = stalled_run(|source| Box::new(source));
    assert_eq!((outcome.tally.received, &outcome.balance), (2000, &Ok(())));
    // Half of all events were due within the stall, evenly, so a quarter of all waited for more than half of it. Measured from admission, all
    // but one would have waited for a few steps.
    let Quantiles { p50, p99, max, .. } = outcome.latencies.decision.quantiles();
    let about = |ns: u64, wanted: u64| ns.abs_diff(wanted) < STALL_NS / 20;
    assert!(about(max, STALL_NS) && about(p99, STALL_NS / 100 * 98), "{p99} {max}");
    assert!(p50 < STALL_NS / 20, "{p50}");
    assert!(backlog.last_ns() < STALL_NS / 20, "the backlog is worked off: {backlog:?}");
    assert_eq!(backlog.due_ns(), 1999 * 1_000_000);
}

#[test]
fn measured_from_admission_the_stall_would_be_forgotten() {
    let (outcome, _) = stalled_run(|source| Box::new(Forgetful(source)));
    let Quantiles { p99, .. } = outcome.latencies.decision.quantiles();
    assert!(
        outcome.tally.received == 2000 && p99 < STALL_NS / 20,
        "{p99}: then the test above tests nothing"
    );
}

#[test]
fn the_source_is_a_source() {
    let stream = Sample::made(EventSize::plain(114), 3, 30).unwrap().stream(1, None);
    let source = || {
        let arrivals = Arrivals::new(1, 1e5, Schedule::Poisson);
        OpenLoop::new(&stream, 20, arrivals, Arc::new(MonotonicClock::default()))
    };
    let frames = &stream.bytes[stream.ends[0]..];
    conformance::source(&mut source(), frames, 2, Duration::from_secs(1));
    conformance::source_stops(&mut source(), frames, true, Duration::from_secs(1));
}
