//! Ladders, lost devices and deadlines, against an oracle that knows the rule of every model and what each was asked.
//!
//! What a lost device and a deadline hit depends on the schedule. So the models write down which events they were asked for, and the oracle
//! tells from that, and from the rules alone, what must have become of every event: rung, fault, guilty model, engine, scores, place in its
//! block, streams, and every counter.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const LADDER: &str = r#"
name = "ladder"
[[model]]
name = "toy"
bundle = "none"
fallback = ["none", "none"]
[[model]]
name = "aux"
bundle = "none"
fallback = ["none"]
[[stream]]
name = "all"
[[stream]]
name = "cut"
[[stream]]
name = "rest"
[[line]]
name = "all"
kind = "pass-through"
streams = ["all"]
[[line]]
name = "cut"
when = "toy.energy > 20 && aux.first >= 0"
streams = ["cut", "all"]
"#;
const LAST_RUNG: &str = "[fallback]\npass_through = 3\nstreams = ['rest']\n";
/// Rungs with models.
const RUNGS: usize = 3;
/// Choices of the two models.
const CHOICES: [usize; 2] = [3, 2];
/// Engine codes: one that can be lost, one that cannot.
const DEVICE: u8 = 2;
const SAFE: u8 = 1;

fn outputs(model: usize) -> Vec<String> {
    [&["toy.energy"][..], &["aux.first", "aux.second"]][model].iter().map(|&name| name.into()).collect()
}

/// What a choice of a model gives for a record; `None`: it panics or refuses. Every choice fails on some events that the one before failed on.
fn rule(model: usize, choice: usize, record: &[u8]) -> Option<Vec<f32>> {
    let energy = f32::from_le_bytes(record[..4].try_into().unwrap());
    let hits = |k: usize| i16::from_le_bytes([record[4 + 2 * k], record[5 + 2 * k]]);
    let fails = |k: usize, every: i16| hits(k).rem_euclid(every) == 0;
    match (model, choice) {
        (0, 0) => (!fails(0, 17)).then(|| vec![energy]),
        (0, _) => (!fails(0, 17 << choice)).then(|| match energy.is_nan() {
            true if fails(1, choice as i16 + 1) => vec![f32::INFINITY],
            true => vec![30.0],
            false => vec![energy + choice as f32],
        }),
        (_, 0) => Some(vec![f32::from(hits(1)), if fails(2, 13) { f32::NAN } else { 0.0 }]),
        _ => (!fails(2, 26)).then(|| vec![f32::from(hits(1)) + 0.5, 1.0]),
    }
}

/// What one call of a choice of a model was about.
#[derive(Clone, Debug)]
struct Asked {
    index: usize,
    last: usize,
    stood_in: bool,
    record: Vec<u8>,
}

/// What all models of a run share.
#[derive(Debug, Default)]
struct World {
    /// The device is lost when this event, or a later one, is to be scored.
    lost_at: Option<u64>,
    is_lost: AtomicBool,
    /// By model, choice and event.
    asked: Mutex<BTreeMap<(usize, usize, u64), Asked>>,
}

/// One choice of a model.
struct Chosen {
    model: usize,
    choice: usize,
    outputs: Vec<String>,
    on_device: bool,
    stands_in: bool,
    world: Arc<World>,
}

impl Classifier for Chosen {
    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn score(
        &mut self,
        block: &Block,
        range: Range<usize>,
        scores: &mut [&mut [f32]],
    ) -> Result<(), ClassifierError> {
        let world = &self.world;
        let mut asked = world.asked.lock().unwrap();
        let reached = || world.lost_at.is_some_and(|at| range.clone().any(|event| block.id(event) >= at));
        if self.on_device && (world.is_lost.load(Ordering::Relaxed) || reached()) {
            world.is_lost.store(true, Ordering::Relaxed);
            // Whatever was scored of this block is scored again.
            let ids: BTreeSet<u64> = (0..block.len()).map(|event| block.id(event)).collect();
            asked.retain(|(_, _, id), _| !ids.contains(id));
            return Err(ClassifierError::Device { message: "fell off the bus".into() });
        }
        for event in range.clone() {
            let Event { id, record, .. } = block.event(event);
            let last = block.len() - 1;
            let stood_in = self.stands_in;
            let about = Asked { index: event, last, stood_in, record: record.to_vec() };
            asked.insert((self.model, self.choice, id), about);
        }
        drop(asked);
        for event in range.clone() {
            let Event { id, record, .. } = block.event(event);
            let Some(values) = rule(self.model, self.choice, record) else {
                assert!(id % 2 == 0, "a model that panics");
                return Err(ClassifierError::Events { message: "a model that refuses".into() });
            };
            scores.iter_mut().zip(values).for_each(|(column, value)| column[event - range.start] = value);
        }
        Ok(())
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        assert!(
            !(self.on_device && crate::is_guarded()),
            "memory of a lost device cannot be given back in peace"
        );
    }
}

/// What a seed makes of a run.
struct Scenario {
    case: Case,
    menu: String,
    world: Arc<World>,
    /// Has every model on the device a stand-in?
    stand_ins: bool,
    /// Is the last choice of the first model on the device too?
    all_on_device: bool,
}

impl Scenario {
    fn new(seed: u64) -> Self {
        let last_rung = if seed.is_multiple_of(2) { LAST_RUNG } else { "" };
        let lost_at = [None, Some(0), Some(777), Some(1200)][seed as usize / 2 % 4];
        let stand_ins = seed % 5 < 3;
        // Whether an event went without scores for the device or for its deadline cannot be told from outside: one of them at a time.
        let deadline = (stand_ins && seed % 3 < 2).then(|| Duration::from_nanos(1000 + 700 * (seed % 23)));
        let batch = [1, 7, 100, 700, 4096][seed as usize / 3 % 5];
        let case = Case { workers: 1 + seed as usize % 3, batch, deadline, tick_ns: 300, ..Case::default() };
        let world = Arc::new(World { lost_at, ..World::default() });
        Self {
            case,
            menu: format!("{LADDER}{last_rung}"),
            world,
            stand_ins,
            all_on_device: matches!(seed % 5, 2 | 3),
        }
    }

    fn has_last_rung(&self) -> bool {
        self.menu.ends_with(LAST_RUNG)
    }

    fn on_device(&self, model: usize, choice: usize) -> bool {
        match model {
            0 => choice < 2 || self.all_on_device,
            _ => choice == 0,
        }
    }

    fn choice(&self, model: usize, choice: usize) -> Choice {
        let step = |on_device: bool, stands_in: bool| {
            let outputs = outputs(model);
            let world = self.world.clone();
            Box::new(Chosen { model, choice, outputs, on_device, stands_in, world }) as Box<dyn Classifier>
        };
        if !self.on_device(model, choice) {
            return Choice { classifier: step(false, false), engine: SAFE, stand_in: None };
        }
        // The second model always has one: the other's loss must not take it along.
        let stand_in = (self.stand_ins || model == 1).then(|| (step(false, true), SAFE));
        Choice { classifier: step(true, false), engine: DEVICE, stand_in }
    }

    fn bench(&self, bytes: &[u8]) -> TestBench {
        let scores = [outputs(0), outputs(1)].concat();
        let models =
            || (0..2).map(|model| (0..CHOICES[model]).map(|c| self.choice(model, c)).collect()).collect();
        bench_of(bytes, &self.case, &self.menu, &scores, &models)
    }

    /// What must have become of an event.
    fn fate(&self, asked: &BTreeMap<(usize, usize, u64), Asked>, id: u64) -> Fate {
        let mut fate = Fate::default();
        for rung in 0..RUNGS {
            let choices = CHOICES.map(|count| rung.min(count - 1));
            let calls = [0, 1].map(|model| asked.get(&(model, choices[model], id)));
            if calls[0].is_none() && self.stand_ins {
                let place = fate.place.or(calls[1].map(|call| (call.index, call.last)));
                let scores = vec![f32::NAN; 3];
                return Fate { rung: RUNGS - 1, fault: 3, guilty: 255, place, scores, ..Fate::default() };
            }
            let engines = [0, 1].map(|model| match calls[model] {
                Some(call) if call.stood_in => SAFE,
                _ if self.on_device(model, choices[model]) => DEVICE,
                _ => SAFE,
            });
            let engine = if engines[0] == engines[1] { engines[0] } else { record::SEVERAL_ENGINES };
            let degraded = calls.iter().flatten().any(|call| call.stood_in);
            let any = calls[1].expect("the second model is asked for every event that is not late");
            fate = Fate { rung, engine, degraded, place: Some((any.index, any.last)), ..Fate::default() };
            for (model, call) in calls.into_iter().enumerate() {
                let given = call.map(|call| rule(model, choices[model], &call.record));
                let fault = match &given {
                    None => 4,
                    Some(None) => {
                        if id.is_multiple_of(2) {
                            6
                        } else {
                            1
                        }
                    }
                    Some(Some(scores)) if scores.iter().any(|score| !score.is_finite()) => 2,
                    Some(Some(_)) => 0,
                };
                if fate.fault == 0 && fault != 0 {
                    (fate.fault, fate.guilty) = (fault, model as u8);
                }
                fate.scores.extend(given.flatten().unwrap_or_else(|| vec![f32::NAN; outputs(model).len()]));
            }
            if fate.fault == 0 {
                break;
            }
        }
        fate
    }
}

/// What becomes of an event: as in its record.
#[derive(Clone, Debug, Default)]
struct Fate {
    rung: usize,
    fault: u8,
    guilty: u8,
    engine: u8,
    degraded: bool,
    scores: Vec<f32>,
    /// Index in its block and index of the last event of the block, if a model was asked for the event.
    place: Option<(usize, usize)>,
}

impl Fate {
    /// Compares it with a record, and gives the event's index in its block, if the record has it.
    fn check(&self, scenario: &Scenario, bytes: &[u8], in_error_stream: bool, what: &str) -> u64 {
        let record = Record::parse(bytes).unwrap();
        let header = record.header();
        let rung = if self.fault != 0 && scenario.has_last_rung() { RUNGS } else { self.rung };
        assert_eq!(
            (header.fault, usize::from(header.rung), header.guilty_model, header.engine, header.flags),
            (self.fault, rung, self.guilty, self.engine, u8::from(self.degraded)),
            "{what}: {self:?}"
        );
        let same = |(found, wanted): (f32, &f32)| {
            found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan()
        };
        assert!(
            record.scores().zip(&self.scores).all(same),
            "{what}: {:?}",
            record.scores().collect::<Vec<_>>()
        );
        assert_eq!(record.scores().len(), self.scores.len());
        let place = (usize::from(header.block_index), usize::from(header.block_last));
        assert!(place.0 <= place.1 && place.1 < scenario.case.batch, "{what}: {place:?}");
        if !in_error_stream {
            assert_eq!(place, (0, 0), "{what}: a place in a block outside the error stream");
        } else if let Some(wanted) = self.place {
            assert_eq!(place, wanted, "{what}");
        }
        place.0 as u64
    }
}

/// SPEC.md section 6, for the name `#fallback` and one in three.
fn is_drawn(run: u64, id: u64) -> bool {
    let step = 0x9E37_79B9_7F4A_7C15_u64;
    let mut seed = 0xCBF2_9CE4_8422_2325_u64;
    for byte in b"#fallback" {
        seed = (seed ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
    }
    let mut z = (seed ^ run.wrapping_mul(step)).wrapping_add(id.wrapping_add(1).wrapping_mul(step));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31) <= u64::MAX / 3
}

/// What happened in a run, for a check that all of it happens in some.
#[derive(Debug, Default)]
struct Seen {
    faults: BTreeSet<u8>,
    rungs: BTreeSet<usize>,
    engines: BTreeSet<u8>,
    late_behind_others: usize,
    late_on_the_ladder: usize,
}

/// Compares a run with what must have become of its events.
fn check(
    seed: u64,
    scenario: &Scenario,
    run: (Outcome, Vec<SegmentBooks>, Streams),
    survivors: &[Range<u64>],
    seen: &mut Seen,
) {
    let (outcome, segments, mut streams) = run;
    assert_eq!((&outcome.balance, &outcome.panics), (&Ok(()), &vec![]), "seed {seed}");
    let asked = std::mem::take(&mut *scenario.world.asked.lock().unwrap());
    let mut stored: Vec<BTreeMap<u64, Vec<u8>>> =
        streams.drain(..).map(|stream| stream.into_iter().collect()).collect();
    let mut expected = Tally::new(2, RUNGS + usize::from(scenario.has_last_rung()));
    for id in survivors.iter().cloned().flatten() {
        let what = format!("seed {seed}, event {id}");
        let fate = scenario.fate(&asked, id);
        expected.degraded += u64::from(fate.degraded);
        seen.faults.insert(fate.fault);
        seen.engines.insert(fate.engine);
        seen.late_on_the_ladder += usize::from(fate.fault == 3 && asked.contains_key(&(0, 0, id)));
        let in_streams = match (fate.fault, scenario.has_last_rung()) {
            (0, _) if fate.scores[0] > 20.0 && fate.scores[1] >= 0.0 => vec![0, 1],
            (0, _) => vec![0],
            (_, true) if is_drawn(1, id) => vec![2],
            (_, true) => vec![],
            (_, false) => vec![3],
        };
        match (fate.fault, scenario.has_last_rung()) {
            (0, _) => expected.rungs[fate.rung] += 1,
            (_, true) => expected.rungs[RUNGS] += 1,
            (fault, false) => expected.errored.add(Errored::ALL[usize::from(fault) - 1], 1),
        }
        seen.rungs.extend((fate.fault == 0).then_some(fate.rung));
        match in_streams.as_slice() {
            [] => expected.rejected += 1,
            [3] => {}
            _ => expected.accepted += 1,
        }
        for stream in in_streams {
            let bytes =
                stored[stream].remove(&id).unwrap_or_else(|| panic!("{what} is not in stream {stream}"));
            let index = fate.check(scenario, &bytes, stream == 3, &what);
            // The first event of a block without gaps had its scores in time.
            let first = id.checked_sub(index).filter(|_| index > 0 && fate.fault == 3);
            seen.late_behind_others += usize::from(first.is_some_and(|id| asked.contains_key(&(0, 0, id))));
        }
    }
    assert!(stored.iter().all(BTreeMap::is_empty), "seed {seed}: more is stored than should be");
    let tally = &outcome.tally;
    assert_eq!((tally.accepted, tally.rejected), (expected.accepted, expected.rejected), "seed {seed}");
    assert_eq!((&tally.rungs, &tally.errored), (&expected.rungs, &expected.errored), "seed {seed}");
    assert_eq!(tally.degraded, expected.degraded, "seed {seed}");
    let mut sum = Tally::new(2, expected.rungs.len());
    for books in &segments {
        assert_eq!(books.tally.balance(), Ok(()), "seed {seed}: segment {}", books.id.segment);
        sum.merge(&books.tally);
    }
    assert_eq!(&sum, tally, "seed {seed}");
    check_losses(seed, scenario, &outcome, &asked);
}

fn check_losses(
    seed: u64,
    scenario: &Scenario,
    outcome: &Outcome,
    asked: &BTreeMap<(usize, usize, u64), Asked>,
) {
    assert_eq!(outcome.losses.is_empty(), !scenario.world.is_lost.load(Ordering::Relaxed), "seed {seed}");
    if scenario.stand_ins {
        assert!(
            outcome.losses.len() <= scenario.case.workers,
            "seed {seed}: one loss per worker moves all its models"
        );
        assert_eq!(outcome.tally.errored.get(Errored::Device), 0, "seed {seed}");
    }
    for loss in &outcome.losses {
        assert_eq!((loss.engine, loss.run, loss.message.as_str()), (DEVICE, 1, "fell off the bus"));
        assert_eq!(loss.stand_in, (scenario.stand_ins || loss.model == 1).then_some(SAFE), "seed {seed}");
        // The very block that failed was scored, by the stand-in if there is one.
        let call =
            (0..CHOICES[loss.model]).find_map(|choice| asked.get(&(loss.model, choice, loss.event_id)));
        if scenario.case.deadline.is_none() && loss.stand_in.is_some() {
            assert!(call.is_some_and(|call| call.stood_in && call.index == 0), "seed {seed}: {loss:?}");
        }
    }
}

#[test]
fn every_event_ends_where_the_ladder_says_whatever_fails() {
    panics_quietly();
    let mut seen = Seen::default();
    for seed in 0..240 {
        let Faulted { bytes, truth } = faulted_in_segments(seed, 0.02, 1500);
        let scenario = Scenario::new(seed);
        let run = scenario.bench(&bytes).seeded(seed);
        check(seed, &scenario, run, &truth.survivors, &mut seen);
    }
    assert_eq!(seen.faults, BTreeSet::from([0, 1, 2, 3, 4, 6]), "a cause never came up");
    assert_eq!(seen.rungs, BTreeSet::from([0, 1, 2]), "a rung never decided");
    assert_eq!(seen.engines, BTreeSet::from([0, SAFE, DEVICE, record::SEVERAL_ENGINES]));
    assert!(seen.late_behind_others > 100 && seen.late_on_the_ladder > 100, "{seen:?}");
}

#[test]
fn what_a_ladder_stores_does_not_depend_on_workers_batches_or_threads() {
    panics_quietly();
    for seed in [2_000, 2_001] {
        let Faulted { bytes, .. } = faulted_in_segments(seed, 0.02, 1500);
        let scenario = |workers: usize, batch: usize| {
            let case = Case { workers, batch, ..Case::default() };
            // Nothing from outside: no lost device, no deadline.
            Scenario { case, world: Arc::default(), stand_ins: true, ..Scenario::new(seed) }
        };
        let (reference, _, expected) = scenario(1, 4096).bench(&bytes).seeded(0);
        let (rest, errors) = (&expected[2], &expected[3]);
        assert_eq!(
            (rest.is_empty(), errors.is_empty()),
            if seed == 2_000 { (false, true) } else { (true, false) }
        );
        let placed = errors.iter().any(|(_, bytes)| Record::parse(bytes).unwrap().header().block_index > 0);
        assert_eq!(placed, seed != 2_000, "the error stream alone has places in blocks");
        let expected = without_blocks(expected);
        for workers in [1, 3] {
            for batch in [1, 7, 256, 4096] {
                let (outcome, _, streams) =
                    scenario(workers, batch).bench(&bytes).seeded(seed ^ batch as u64);
                assert!(without_blocks(streams) == expected, "seed {seed}, {workers} workers, batch {batch}");
                assert_eq!(outcome.tally, reference.tally);
                let bench = scenario(workers, batch).bench(&bytes);
                let outcome = bench.pipeline.run_threads(|_| ());
                assert!(without_blocks(take(bench.streams)) == expected, "seed {seed}, {workers} threads");
                assert_eq!((outcome.tally, outcome.panics), (reference.tally.clone(), vec![]));
            }
        }
    }
}
