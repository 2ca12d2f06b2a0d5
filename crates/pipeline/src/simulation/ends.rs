//! Runs that end early: a stop, storage that fails, a defect.

use super::*;
use crate::Clock;

#[test]
fn failed_storage_ends_the_run_and_is_counted_to_the_event() {
    panics_quietly();
    let Faulted { bytes, .. } = faulted(9, 0.0);
    for limit in [0, 1, 50, 333] {
        let (outcome, _, streams) =
            bench(&bytes, &Case { sink_limit: limit, batch: 7, ..Case::default() }).seeded(3);
        assert_eq!(outcome.balance, Ok(()), "limit {limit}");
        assert!(outcome.storage.failed > 0 && outcome.streams[0].error.is_some(), "limit {limit}");
        assert_eq!(outcome.streams[0].written, limit as u64);
        assert_eq!(streams[0].len(), limit);
        assert!(outcome.tally.received < 2_000 + limit as u64, "the run drained instead of reading on");
    }
}

#[test]
fn a_stop_loses_nothing_that_was_taken_and_an_abort_counts_what_it_drops() {
    panics_quietly();
    let Faulted { bytes, .. } = faulted(39, 0.0);
    for (after, abort) in [(0, false), (200, false), (900, false), (200, true), (900, true)] {
        let Bench { pipeline, streams, control, .. } =
            bench(&bytes, &Case { batch: 7, windows: vec![700], ..Case::default() });
        let mut steps = 0;
        let stop = || {
            steps += 1;
            if steps > after {
                if abort { control.abort() } else { control.drain() }
            }
        };
        let outcome = pipeline.run_seeded(11, stop, |_| ());
        let streams = take(streams);
        assert_eq!(outcome.balance, Ok(()));
        assert!(outcome.tally.received < 2_950, "the run was cut short");
        assert_eq!(outcome.tally.dropped.total() > 0, abort && after > 0);
        assert_eq!(outcome.tally.corrupt.total(), 0, "what was not taken is not corrupt");
        assert_eq!(outcome.tally.accepted, streams[0].len() as u64);
    }
}

#[test]
fn what_a_stopped_recording_would_still_have_played_was_not_taken() {
    panics_quietly();
    let Faulted { bytes, .. } = faulted(39, 0.0);
    let case = Case { pace: Pace::Rate(1e6), windows: vec![usize::MAX], batch: 7, ..Case::default() };
    let Bench { pipeline, streams, control, clock } = bench(&bytes, &case);
    let between = || {
        clock.clock.advance(50);
        if clock.clock.now_ns() > 1_000_000 {
            control.drain();
        }
    };
    let outcome = pipeline.run_seeded(11, between, |_| ());
    // A million per second for a ms, and a frame.
    assert!((900..=1_100).contains(&outcome.tally.received), "{}", outcome.tally.received);
    assert_eq!((outcome.balance, outcome.tally.corrupt.total()), (Ok(()), 0));
    assert_eq!(outcome.tally.accepted, take(streams)[0].len() as u64);
}

#[test]
fn a_stage_that_panics_ends_the_run_with_its_message() {
    panics_quietly();
    let Faulted { bytes, .. } = faulted(4, 0.0);
    for cpus in [1, CPUS] {
        let mut bench = bench(&bytes, &Case { workers: 1, cpus, ..Case::default() });
        bench.pipeline.workers[0].0.tamper = Some(|_| panic!("a defect"));
        let outcome = bench.pipeline.run_threads(|_| ());
        assert_eq!(outcome.panics.first().map(String::as_str), Some("worker-0: a defect"));
    }
}
