//! Many sources, runs and segments in turn: which events are new, which came before, and what is missing.
//!
//! The oracle is section 3.1 of `SPEC.md` once more, id by id: it shares nothing with `ids.rs` and knows nothing of batches.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;

use tamis_event::{FrameMeta, SegmentId, encode_events, encode_schema};

use super::*;
use crate::ids::{FrameIds, IdBook, IdFault};
use crate::sequencer::UNREAD_MAX;

/// Where an event belongs: source, run, segment.
type Home = (u16, u32, u32);

#[derive(Clone, Copy, Debug)]
pub(super) struct SentFrame {
    home: Home,
    first: u64,
    events: u64,
    sparse: bool,
}

/// A plan of frames: counters that go through a run or start again in each segment, one of which passes 32 bits; labels; frames that are lost, late,
/// repeated, or that overlap others by a few events.
pub(super) fn plan(seed: u64) -> Vec<SentFrame> {
    let mut state = seed;
    let mut below = move |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut counters: HashMap<Home, u64> = HashMap::new();
    let (mut sent, mut late): (Vec<SentFrame>, Vec<SentFrame>) = (Vec::new(), Vec::new());
    for k in 0..150 {
        let source = below(3) as u16;
        let run = 1 + below(2) as u32;
        // Segments move on while their predecessors still send.
        let segment = (k / 40 + below(3)) as u32;
        // Source 0 numbers each segment, source 1 passes 32 bits in run 1.
        let counter = if source == 0 { (source, run, segment) } else { (source, run, 0) };
        let start = if (source, run) == (1, 1) { (1 << 32) - 150 } else { 0 };
        let next = counters.entry(counter).or_insert(start);
        let events = 1 + below(12);
        let sparse = below(8) == 0;
        // Labels lie in the gaps that lost frames leave, or far ahead.
        let first = if sparse && below(2) == 0 { *next % (1 << 32) + 5_000 } else { *next % (1 << 32) };
        let frame = SentFrame { home: (source, run, segment), first, events, sparse };
        // Dense ids begin right behind labels, or where these are.
        *next += if sparse && below(2) == 0 { 0 } else { events };
        match below(10) {
            0 => {}
            1 => late.push(frame),
            2 => sent.extend([frame, frame]),
            // It begins with the last events of the frame before it.
            3 => sent.push(SentFrame { first: first.saturating_sub(below(4)), ..frame }),
            _ => sent.push(frame),
        }
        if below(6) == 0 {
            sent.extend(late.pop());
        }
        if below(9) == 0 && !sent.is_empty() {
            sent.push(sent[below(sent.len() as u64) as usize]);
        }
    }
    sent
}

/// What must come out of a plan.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    /// New events in their order: home and id.
    fresh: Vec<(Home, u64)>,
    /// By run and segment: new events, repeated ones, frames, and those of them without a new event.
    places: BTreeMap<(u32, u32), [u64; 4]>,
    missing: i128,
}

fn expected(plan: &[SentFrame]) -> Expected {
    let mut expected = Expected::default();
    let mut came: BTreeMap<Home, BTreeSet<u64>> = BTreeMap::new();
    let mut dense: BTreeMap<Home, BTreeSet<u64>> = BTreeMap::new();
    let mut highest: HashMap<(u16, u32), u64> = HashMap::new();
    for &SentFrame { home, first, events, sparse } in plan {
        let mut extended = first;
        if !sparse {
            if let Some(high) = highest.get(&(home.0, home.1)) {
                // No counter of a plan gets as far as to begin beyond 32 bits.
                let candidates = [-1, 0, 1].map(|pass| (high >> 32) as i64 + pass);
                let near = |pass: &i64| {
                    (i128::from(*pass) * (1 << 32) + i128::from(first) - i128::from(*high)).abs()
                };
                let pass = candidates.into_iter().filter(|pass| *pass >= 0).min_by_key(near).unwrap();
                extended = first + ((pass as u64) << 32);
            }
            let high = highest.entry((home.0, home.1)).or_default();
            *high = (*high).max(extended + events - 1);
        }
        let ids = || extended..extended + events;
        let before = came.entry(home).or_default();
        let fresh: Vec<u64> = ids().filter(|id| !before.contains(id)).collect();
        let place = expected.places.entry((home.1, home.2)).or_default();
        place[0] += fresh.len() as u64;
        place[1] += events - fresh.len() as u64;
        place[2] += 1;
        place[3] += u64::from(fresh.is_empty());
        before.extend(ids());
        if !sparse {
            dense.entry(home).or_default().extend(ids());
        }
        expected.fresh.extend(fresh.into_iter().map(|id| (home, id - extended + first)));
    }
    let runs: BTreeSet<(u16, u32)> = came.keys().map(|home| (home.0, home.1)).collect();
    for run in runs {
        let segments = |sets: &BTreeMap<Home, BTreeSet<u64>>| -> Vec<(u32, BTreeSet<u64>)> {
            sets.iter()
                .filter(|(home, _)| (home.0, home.1) == run)
                .map(|(home, set)| (home.2, set.clone()))
                .collect()
        };
        let gaps = |dense: &BTreeSet<u64>, came: &BTreeSet<u64>| match (dense.first(), dense.last()) {
            (Some(low), Some(high)) => i128::from(high - low + 1) - came.range(low..=high).count() as i128,
            _ => 0,
        };
        let (came, dense) = (segments(&came), segments(&dense));
        let united = |sets: &[(u32, BTreeSet<u64>)]| -> BTreeSet<u64> {
            sets.iter().flat_map(|(_, set)| set).copied().collect()
        };
        let all = united(&came);
        expected.missing += if all.len() == came.iter().map(|(_, set)| set.len()).sum() {
            gaps(&united(&dense), &all)
        } else {
            let own = |segment| &came.iter().find(|(other, _)| *other == segment).unwrap().1;
            dense.iter().map(|(segment, dense)| gaps(dense, own(*segment))).sum()
        };
    }
    expected
}

/// The stream of a plan. Every event is kept by the first line, and no model fails at it.
pub(super) fn stream(plan: &[SentFrame]) -> Vec<u8> {
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    encode_schema(&schema, FrameMeta::default(), &mut bytes);
    for &SentFrame { home: (source_id, run, segment), first, events, sparse } in plan {
        let mut payload = Vec::new();
        for k in 0..events {
            payload.extend_from_slice(&(k as f32).to_le_bytes());
            payload.extend_from_slice(&[1, 0, 0, 0, 0, 0]);
        }
        let meta =
            FrameMeta { run, segment, source_id, first_event_id: first, time_ns: 0, sparse_ids: sparse };
        encode_events(&schema, meta, &payload, &mut bytes);
    }
    bytes
}

/// Runs a plan with this book of ids. What came out of it, and the lines of the ledger.
fn found(plan: &[SentFrame], case: &Case, seed: u64, ids: IdBook) -> (Expected, Outcome, usize) {
    let bytes = stream(plan);
    let mut bench = bench(&bytes, case);
    bench.pipeline.admission.0.ids = ids;
    let budget = bench.pipeline.workers[0].0.budget.clone();
    let (outcome, segments, streams) = bench.seeded(seed);
    let (peak, most) = budget.peak();
    assert!(0 < peak && peak <= most, "{peak} bytes of output batches, {most} allowed");
    assert_eq!((&outcome.balance, outcome.tally.frames.bytes), (&Ok(()), bytes.len() as u64));
    let mut found = Expected { missing: outcome.tally.missing, ..Expected::default() };
    found.fresh.extend(streams[0].iter().map(|(id, record)| {
        let header = *Record::parse(record).unwrap().header();
        assert_eq!(header.event_id, *id);
        ((header.source_id, header.run, header.segment), *id)
    }));
    let mut sum = Tally::new(2, 1);
    for SegmentBooks { id: SegmentId { run, segment }, tally, .. } in &segments {
        assert_eq!(tally.balance(), Ok(()), "run {run}, segment {segment}");
        let place = found.places.entry((*run, *segment)).or_default();
        place[0] += tally.accepted;
        place[1] += tally.corrupt.get(Corrupt::Dup);
        place[2] += tally.frames.received;
        place[3] += tally.frames.corrupt.get(Corrupt::Dup);
        sum.merge(tally);
    }
    assert_eq!(sum, outcome.tally);
    (found, outcome, segments.len())
}

/// A source that sends ids of before again, among so many others that a book with little memory forgets most of them.
fn plan_of_many_sources() -> Vec<SentFrame> {
    let sent = |home, first| SentFrame { home, first, events: 2, sparse: false };
    let turn = |k: u32| {
        let live = |k: u32| sent((0, 1, 0), 2 * u64::from(k));
        [sent((1, k, 0), 0), live(k), live(k.saturating_sub(3))]
    };
    (0..400).flat_map(turn).collect()
}

/// Remembers about 90 sources.
fn forgetful() -> IdBook {
    IdBook::with_memory(1 << 14)
}

fn faulty(fault: IdFault, mut ids: IdBook) -> IdBook {
    ids.fault = Some(fault);
    ids
}

fn case(seed: u64) -> Case {
    let workers = 1 + seed as usize % 4;
    let batch = [1, 7, 64, 256][seed as usize / 4 % 4];
    Case { workers, batch, ..Case::default() }
}

#[test]
fn every_event_is_decided_once_whatever_the_ids() {
    for seed in 0..200 {
        let plan = plan(seed);
        let expected = expected(&plan);
        let (found, _, lines) = found(&plan, &case(seed), seed, IdBook::default());
        assert_eq!(found, expected, "seed {seed}");
        // A segment has a line, and as few more as it takes to learn how many come in turn.
        assert!(lines <= 2 * expected.places.len() + 4, "seed {seed}: {lines} lines");
    }
}

#[test]
fn a_source_that_sends_is_not_forgotten_for_those_that_do_not() {
    let plan = plan_of_many_sources();
    let (found, outcome, _) = found(&plan, &case(1), 1, forgetful());
    assert_eq!(found, expected(&plan));
    assert!((400..800).contains(&outcome.tally.forgotten), "{}", outcome.tally.forgotten);
}

/// A test of the test: identity that looks at less than it should, or refuses or forgets too much, must be noticed.
#[test]
fn canary_identity_that_leaves_something_out() {
    let sees: [fn(FrameIds) -> FrameIds; 6] = [
        |ids| FrameIds { source: 0, ..ids },
        |ids| FrameIds { run: 0, ..ids },
        |ids| FrameIds { segment: 0, ..ids },
        |ids| FrameIds { sparse: true, ..ids },
        |ids| FrameIds { sparse: false, ..ids },
        // A counter that does not go on after 32 bits.
        |ids| FrameIds { first: ids.first + (1 << 33), ..ids },
    ];
    let faults = sees.into_iter().map(IdFault::Sees).chain([IdFault::RefusesFrames]);
    for (k, fault) in faults.enumerate() {
        let is_noticed = |seed| {
            let plan = plan(seed);
            found(&plan, &case(seed), seed, faulty(fault, IdBook::default())).0 != expected(&plan)
        };
        assert!((0..20).any(is_noticed), "fault {k} was not noticed");
    }
    let plan = plan_of_many_sources();
    let (found, ..) = found(&plan, &case(1), 1, faulty(IdFault::ForgetsTheOldest, forgetful()));
    assert!(found != expected(&plan), "forgetting a source that sends was not noticed");
}

/// Books of segments that nobody has read yet wait in the batches, and not beside them.
#[test]
fn books_wait_for_their_reader() {
    let frame = |k: u32| SentFrame { home: (1, 1, k), first: k.into(), events: 1, sparse: false };
    let plan: Vec<SentFrame> = (0..2_000).map(frame).collect();
    let bench = bench(&stream(&plan), &Case { batch: 8, windows: vec![usize::MAX], ..Case::default() });
    let unread = bench.pipeline.unread.clone();
    let (mut most, mut read) = (0, 0);
    let outcome = bench.pipeline.run_threads(|books| {
        most = most.max(unread.load(Ordering::Relaxed));
        read += usize::from(books.is_some());
        std::thread::sleep(Duration::from_micros(200));
    });
    assert_eq!((outcome.balance, read), (Ok(()), 2_000));
    // A batch closes the books of as many segments as it holds, and the end of the run closes those that are open.
    assert!(most <= UNREAD_MAX + 8 + 64, "{most} books were not read");
}

/// So many segments that no batch holds them all, and some that come in turn.
#[test]
fn segments_in_turn_share_batches_and_lines() {
    let turns = |segments: u64, frames: u64| -> Vec<SentFrame> {
        let frame = |k: u64| SentFrame {
            home: (1, 1, (k % segments) as u32),
            first: 4 * k,
            events: 4,
            sparse: false,
        };
        (0..frames).map(frame).collect()
    };
    for (segments, frames, lines_max, batches_max) in
        [(3, 3_000, 10, 60), (60, 3_000, 200, 60), (200, 2_000, 2_000, 80)]
    {
        let plan = turns(segments, frames);
        let case = Case { batch: 256, windows: vec![usize::MAX], ..Case::default() };
        let (found, _, lines) = found(&plan, &case, segments, IdBook::default());
        assert_eq!(found, expected(&plan), "{segments} segments");
        assert!(lines <= lines_max, "{segments} segments: {lines} lines");
        let (outcome, ..) = bench(&stream(&plan), &case).seeded(1);
        let batches: u64 = outcome.closes.iter().sum();
        assert!(batches <= batches_max, "{segments} segments: {batches} batches");
    }
}
