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
        let TestBench { pipeline, streams, control, .. } =
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
    let TestBench { pipeline, streams, control, clock } = bench(&bytes, &case);
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
        // The sinks were closed, and have what was decided.
        for (told, stored) in outcome.streams.iter().zip(take(bench.streams)) {
            assert!(told.error.is_none() && told.failed == 0 && told.report.events == told.written);
            assert_eq!(told.written, stored.len() as u64);
        }
    }
}

/// A stream whose last frame is torn.
fn torn() -> Vec<u8> {
    let Faulted { mut bytes, .. } = faulted_of(3, 0.0, 60);
    bytes.truncate(bytes.len() - 40);
    bytes
}

/// Steps after which a run of a small stream has hung.
const STEPS_MAX: usize = 20_000;

/// Runs a stream in which everything is kept, with memory for two batches: a few large ones among many that are small, and find memory where a
/// large one does not. Does the run end?
fn ends(bytes: &[u8], seed: u64, is_faulty: bool) -> bool {
    let windows = [vec![30_000], vec![800; 40]].concat();
    let case = Case { workers: 2 + seed as usize % 3, batch: 256, windows, ..Case::default() };
    let TestBench { pipeline, .. } = bench(bytes, &case);
    pipeline.workers[0].0.budget.fault.store(is_faulty, std::sync::atomic::Ordering::Relaxed);
    let mut steps = 0;
    let between = || {
        steps += 1;
        if steps == STEPS_MAX {
            std::panic::resume_unwind(Box::new("it never ends"));
        }
    };
    let run = || pipeline.run_seeded(seed, between, |_| ());
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_ok_and(|outcome| outcome.balance.is_ok())
}

/// The second half is the test of the test.
#[test]
fn little_memory_ends_no_run_as_long_as_some_is_kept_for_the_batch_whose_turn_it_is() {
    panics_quietly();
    let Faulted { bytes, .. } = faulted_of(1, 0.0, 8_000);
    assert!((0..30).all(|seed| ends(&bytes, seed, false)));
    assert!((0..30).any(|seed| !ends(&bytes, seed, true)), "a budget without its reserve was not noticed");
}

/// Runs a stream and stops it after so many steps; how many steps it took in all, and what it came to.
fn stopped_after(
    bytes: &[u8],
    case: &Case,
    abort: bool,
    after: usize,
    seed: u64,
) -> (usize, Outcome, Streams) {
    let TestBench { pipeline, streams, control, clock } = bench(bytes, case);
    let mut steps = 0;
    let between = || {
        steps += 1;
        clock.clock.advance(1_000);
        assert!(steps < STEPS_MAX, "stopped after {after} steps (abort: {abort}), the run never ends");
        if steps > after {
            if abort { control.abort() } else { control.drain() }
        }
    };
    let outcome = pipeline.run_seeded(seed, between, |_| ());
    (steps, outcome, take(streams))
}

/// At every step of recordings that are good, torn at the end of each pass, full of damage, nothing but noise, or from many sources and segments in
/// turn; and of the same bytes from a source whose frames come by themselves.
#[test]
fn a_stop_at_any_step_ends_the_run_and_the_books_balance() {
    panics_quietly();
    let noise: Vec<u8> = [&faulted_of(1, 0.0, 60).bytes[..], &[b'T'; 3_000]].concat();
    let mixed = identity::stream(&identity::plan(3)[..25]);
    let recordings = [faulted_of(1, 0.0, 60).bytes, torn(), faulted_of(2, 0.1, 100).bytes, noise, mixed];
    for (k, bytes) in recordings.iter().enumerate() {
        for (abort, cpus, pace, is_live) in [
            (false, 1, Pace::Flat, false),
            (false, CPUS, Pace::Rate(1e8), false),
            (true, 1, Pace::Rate(1e8), false),
            (true, CPUS, Pace::Flat, false),
            (false, CPUS, Pace::Flat, true),
            (true, CPUS, Pace::Rate(1e8), true),
        ] {
            let case = Case {
                passes: 2,
                batch: 30,
                windows: vec![300, 7, 900],
                workers: if is_live { 2 } else { 1 },
                cpus,
                pace,
                is_live,
                // Between two flat looks at the clock losses have waited for long enough: a stop falls behind each of them, too.
                tick_ns: if pace == Pace::Flat { 200_000_000 } else { 0 },
                ..Case::default()
            };
            let mut after = 0;
            let mut steps = usize::MAX;
            while after < steps {
                let (took, outcome, streams) = stopped_after(bytes, &case, abort, after, after as u64);
                let what = format!("recording {k}, {abort}, stopped after {after} of {took} steps");
                assert_eq!(outcome.balance, Ok(()), "{what}");
                assert_eq!(outcome.tally.accepted, streams[0].len() as u64, "{what}");
                assert!(abort || outcome.tally.dropped.total() == 0, "{what}");
                // A frame that did not come to its end was not taken.
                assert!(k > 0 || outcome.tally.corrupt.total() == 0, "{what}: {:?}", outcome.tally.corrupt);
                steps = if took > after { usize::MAX } else { 0 };
                after += 1;
            }
        }
    }
}

#[test]
fn a_stop_between_a_torn_tail_and_the_next_pass_is_the_end() {
    let whole = Bytes::from(torn());
    let source = Windows {
        bytes: whole.clone(),
        whole,
        sizes: vec![usize::MAX],
        turn: 0,
        more: 9,
        is_live: false,
        calls: Cell::new(0),
        panics_at: 0,
        back: Vec::new(),
    };
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let mut reader = crate::FrameReader::new(Box::new(source), &schema);
    while !matches!(reader.find_next(), Some(crate::Found::Lost { .. })) {}
    reader.stop();
    assert!(reader.find_next().is_none() && reader.has_ended());
}

#[test]
fn every_pass_over_a_torn_recording_is_counted() {
    let bytes = torn();
    let once = bench(&bytes, &Case::default()).seeded(1).0.tally;
    assert_eq!(once.corrupt.get(Corrupt::Torn), 10);
    let tally = bench(&bytes, &Case { passes: 4, ..Case::default() }).seeded(1).0.tally;
    assert_eq!((tally.received, tally.frames.bytes), (4 * once.received, 4 * once.frames.bytes));
    assert_eq!(tally.corrupt.get(Corrupt::Torn), 40);
}

#[test]
fn a_source_that_panics_at_any_call_has_failed_and_what_it_gave_is_decided() {
    panics_quietly();
    let Faulted { bytes, .. } = faulted_of(5, 0.0, 300);
    // The calls while the run is wired, those of a whole run, and those of one that is stopped at its beginning.
    for (is_stopped, calls_min) in [(false, 20), (true, 4)] {
        let mut panics_at = 1;
        loop {
            let case =
                Case { source_panics: panics_at, windows: vec![300, 7, 900], batch: 30, ..Case::default() };
            let bench = bench(&bytes, &case);
            if is_stopped {
                bench.control.drain();
            }
            let (outcome, _, streams) = bench.seeded(panics_at as u64);
            assert_eq!(outcome.balance, Ok(()), "call {panics_at}");
            assert_eq!(outcome.tally.accepted, streams[0].len() as u64, "call {panics_at}");
            let Some(error) = outcome.source_error else { break };
            assert!(error.to_string().ends_with("a source that panics"), "{error}");
            panics_at += 1;
        }
        assert!(panics_at > calls_min, "{panics_at} calls");
    }
}

#[test]
fn a_sink_that_panics_at_any_call_has_failed_and_the_others_are_drained_and_closed() {
    panics_quietly();
    let Faulted { bytes, .. } = faulted_of(6, 0.0, 300);
    for stream in 0..3 {
        let mut calls = 1;
        loop {
            let case = Case { sink_panics: Some((stream, calls)), batch: 30, ..Case::default() };
            let (outcome, _, streams) = bench(&bytes, &case).seeded(calls);
            let what = format!("stream {stream}, call {calls}");
            assert_eq!(outcome.balance, Ok(()), "{what}");
            for (k, told) in outcome.streams.iter().enumerate() {
                assert_eq!(told.written, streams[k].len() as u64, "{what}: stream {k}");
                assert_eq!(
                    told.error.is_some(),
                    k == stream && outcome.streams[stream].error.is_some(),
                    "{what}"
                );
                assert!(told.error.is_some() || told.failed == 0, "{what}: stream {k}");
            }
            let Some(error) = &outcome.streams[stream].error else { break };
            assert!(error.to_string().ends_with("a sink that panics"), "{error}");
            assert_eq!(error.place, ["all", "cut", "error"][stream], "{what}");
            calls += 1;
        }
        assert!(calls > 2, "stream {stream}");
    }
}

#[test]
fn a_decision_that_panics_sends_its_block_to_the_error_stream_and_says_why() {
    panics_quietly();
    let Faulted { bytes, truth } = faulted_of(7, 0.0, 300);
    let case = Case { batch: 30, workers: 1, windows: vec![usize::MAX], ..Case::default() };
    let mut bench = bench(&bytes, &case);
    bench.pipeline.workers[0].0.upset = Some(|block| assert!(block.id(0) != 60, "a decision that panics"));
    let (outcome, _, streams) = bench.seeded(1);
    assert_eq!((outcome.balance, outcome.tally.received), (Ok(()), truth.events));
    let undecided: Vec<u64> = streams[2].iter().map(|(id, _)| *id).collect();
    assert!((60..90).all(|id| undecided.contains(&id)), "{undecided:?}");
    for (id, bytes) in &streams[2] {
        let record = Record::parse(bytes).unwrap();
        let header = record.header();
        let of_block = (60..90).contains(id);
        assert_eq!(header.guilty_model == record::NO_MODEL, of_block, "event {id}");
        let told = (header.fault, header.engine, header.rung, header.block_index, header.block_last);
        assert!(
            !of_block || told == (record::fault::PANIC, 0, 0, *id as u16 - 60, 29),
            "event {id}: {told:?}"
        );
    }
    let failure = outcome.failures.iter().find(|failure| failure.model.is_none()).unwrap();
    assert_eq!((failure.event_id, failure.message.as_str()), (60, "a decision that panics"));
}

#[test]
fn the_first_reason_of_a_model_is_kept_and_an_error_is_no_panic() {
    panics_quietly();
    let Faulted { bytes, .. } = faulted(39, 0.0);
    let (outcome, _, streams) = bench(&bytes, &Case::default()).seeded(1);
    let of_fault = |fault: u8| {
        streams[2].iter().filter(move |(_, bytes)| Record::parse(bytes).unwrap().header().fault == fault)
    };
    let panicked = of_fault(record::fault::PANIC).count() as u64;
    let refused = of_fault(record::fault::REFUSED).count() as u64;
    assert!(panicked > 0 && refused > 0);
    let errored = &outcome.tally.errored;
    assert_eq!((errored.get(Errored::Panic), errored.get(Errored::Refused)), (panicked, refused));
    let [failure] = &outcome.failures[..] else { panic!("{:?}", outcome.failures) };
    let (first, _) = streams[2].first().unwrap();
    let text = if first % 2 == 0 { "a model that refuses" } else { "a model that panics" };
    assert_eq!((failure.model, failure.rung, failure.event_id), (Some(0), 0, *first));
    assert!(failure.message.starts_with(text), "{}", failure.message);
}

#[test]
fn noise_is_visible_while_it_flows() {
    for cpus in [1, CPUS] {
        let noise = [vec![7; 100], vec![b'T'; 1 << 20]].concat();
        let TestBench { pipeline, control, clock, .. } =
            bench(&noise, &Case { windows: vec![1_000], cpus, ..Case::default() });
        let mut steps = 0;
        let mut seen = (0, 0);
        let between = || {
            steps += 1;
            clock.clock.advance(1_000_000);
            seen = control.progress();
            if seen.1 > 0 {
                control.drain();
            }
            assert!(steps < STEPS_MAX, "nothing was seen");
        };
        let outcome = pipeline.run_seeded(5, between, |_| ());
        assert!(seen.0 == 1 && seen.1 < noise.len() as u64, "{seen:?}");
        assert_eq!((outcome.balance, outcome.tally.received), (Ok(()), 1));
    }
}
