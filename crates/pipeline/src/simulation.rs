//! The main test: the whole pipeline, faults on, from a seed, against an oracle that shares no code with it.

mod doubles;
mod ends;
mod identity;
mod idle;
mod ladder;
mod memory;
mod mixed;
mod nan;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tamis_event::record::{self, Record};
use tamis_event::{Block, Defect, Event, Schema};
use tamis_ledger::{Cause, Corrupt, Errored, Tally};
use tamis_menu::Menu;
use tamis_port::{Classifier, ClassifierError, Sink};
use tamis_sim::{FaultPlan, FaultRates, Faulted, GenOptions, Generator, Truth};

use self::doubles::{Memory, Records, SimClock, Windows};
use crate::{Choice, Control, Cpus, Limits, Outcome, Pace, Pipeline, SegmentBooks, Setup, Stamp};

const SCHEMA: &str = r#"
name = "toy"
[[field]]
name = "energy"
dtype = "f32"
unit = "GeV"
[[field]]
name = "hits"
dtype = "i16"
len = 3
"#;

const MENU: &str = r#"
name = "toy"
[[model]]
name = "toy"
bundle = "none"
[[stream]]
name = "all"
[[stream]]
name = "cut"
[[line]]
name = "all"
kind = "pass-through"
streams = ["all"]
[[line]]
name = "cut"
when = "toy.energy > 20 && hits[0] >= 0"
streams = ["cut", "all"]
"#;

/// Scores an event with its own energy, so a NaN in the data is a NaN score, and panics at some events: those whose first hit is a multiple
/// of 17.
struct Toy {
    outputs: Vec<String>,
}

fn panics_at(record: &[u8]) -> bool {
    i16::from_le_bytes([record[4], record[5]]) % 17 == 0
}

impl Classifier for Toy {
    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn score(
        &mut self,
        block: &Block,
        range: Range<usize>,
        scores: &mut [&mut [f32]],
    ) -> Result<(), ClassifierError> {
        for event in range.clone() {
            let Event { id, record, .. } = block.event(event);
            if panics_at(record) {
                assert!(id % 2 == 0, "a model that panics");
                return Err(ClassifierError::Events { message: "a model that refuses".into() });
            }
            scores[0][event - range.start] = f32::from_le_bytes(record[..4].try_into().unwrap());
        }
        Ok(())
    }
}

/// Ids and records of each stream.
type Streams = Vec<Vec<(u64, Vec<u8>)>>;

/// Enough for every stage to have a thread.
const CPUS: usize = 64;

#[derive(Clone)]
struct Case {
    workers: usize,
    batch: usize,
    windows: Vec<usize>,
    sink_limit: usize,
    pace: Pace,
    deadline: Option<Duration>,
    tick_ns: u64,
    /// Whether admission takes turns with a worker follows from it.
    cpus: usize,
    passes: u64,
    /// Do frames come by themselves?
    is_live: bool,
    /// The call at which the source panics; 0: never.
    source_panics: usize,
    /// The stream whose sink panics, and at which call.
    sink_panics: Option<(usize, u64)>,
    /// It begins like [`SCHEMA`].
    schema: &'static str,
}

impl Default for Case {
    fn default() -> Self {
        let windows = vec![1, 7_000, 100, 64, 1_000_000, 3];
        Self {
            workers: 3,
            batch: 100,
            windows,
            sink_limit: usize::MAX,
            pace: Pace::Flat,
            deadline: None,
            tick_ns: 0,
            cpus: CPUS,
            passes: 1,
            is_live: false,
            source_panics: 0,
            sink_panics: None,
            schema: SCHEMA,
        }
    }
}

impl Case {
    /// Workers, batches and threads that follow from a seed.
    fn of(seed: u64) -> Self {
        Self {
            workers: 1 + seed as usize % 4,
            batch: [1, 7, 64, 100, 256][seed as usize % 5],
            cpus: [1, CPUS][seed as usize % 2],
            ..Self::default()
        }
    }
}

struct TestBench {
    pipeline: Pipeline,
    streams: Vec<Records>,
    clock: Arc<SimClock>,
    control: Arc<Control>,
}

fn bench(bytes: &[u8], case: &Case) -> TestBench {
    bench_with(bytes, case, MENU)
}

fn bench_with(bytes: &[u8], case: &Case, menu: &str) -> TestBench {
    let outputs = ["toy.energy".to_owned()];
    let toy = || Box::new(Toy { outputs: outputs.to_vec() }) as _;
    bench_of(bytes, case, menu, &outputs, &|| {
        vec![vec![Choice { classifier: toy(), engine: 1, stand_in: None }]]
    })
}

/// The bench of a menu whose models are made by `models`, once per worker, and give `scores`.
fn bench_of(
    bytes: &[u8],
    case: &Case,
    menu: &str,
    scores: &[String],
    models: &dyn Fn() -> Vec<Vec<Choice>>,
) -> TestBench {
    let schema = Schema::parse(case.schema.as_bytes()).unwrap();
    let menu = Arc::new(Menu::parse(menu, "toy.toml").unwrap().compile(&schema, scores).unwrap());
    let streams: Vec<Records> = (0..=menu.streams().len()).map(|_| Records::default()).collect();
    let clock = Arc::new(SimClock { tick_ns: case.tick_ns, ..SimClock::default() });
    let control = Arc::<Control>::default();
    let sink = |(stream, records): (usize, &Records)| {
        let panics_after = case.sink_panics.filter(|&(panics, _)| panics == stream);
        Box::new(Memory {
            limit: case.sink_limit,
            panics_after: Cell::new(panics_after.map_or(u64::MAX, |(_, calls)| calls)),
            ..Memory::new(records.clone())
        }) as Box<dyn Sink>
    };
    let pipeline = Pipeline::new(Setup {
        source: Box::new(Windows {
            whole: Bytes::copy_from_slice(bytes),
            bytes: Bytes::copy_from_slice(bytes),
            sizes: case.windows.clone(),
            turn: 0,
            more: case.passes - 1,
            is_live: case.is_live,
            calls: Cell::new(0),
            panics_at: case.source_panics,
            back: Vec::new(),
        }),
        schema: &schema,
        menu,
        models: (0..case.workers).map(|_| models()).collect(),
        sinks: streams.iter().enumerate().map(sink).collect(),
        stamp: Stamp { schema_id: schema.id(), model_hash: 7, unit: 2 },
        limits: Limits::new(case.workers, case.batch, schema.layout()).unwrap().tight(),
        pace: case.pace,
        deadline: case.deadline,
        busy_poll: Duration::ZERO,
        cpus: Cpus::new(case.cpus, &[]),
        clock: clock.clone(),
        control: control.clone(),
    });
    TestBench { pipeline, streams, clock, control }
}

impl TestBench {
    fn seeded(self, seed: u64) -> (Outcome, Vec<SegmentBooks>, Streams) {
        let mut segments = Vec::new();
        let clock = self.clock;
        let outcome =
            self.pipeline.run_seeded(seed, || clock.clock.advance(50), |books| segments.push(books));
        (outcome, segments, take(self.streams))
    }
}

fn take(streams: Vec<Records>) -> Streams {
    streams.into_iter().map(|records| std::mem::take(&mut *records.lock().unwrap())).collect()
}

/// The streams with what may depend on batches taken out of the error stream, its last one: which events shared a block. No other stream says
/// anything about blocks.
fn without_blocks(mut streams: Streams) -> Streams {
    let errors = streams.last_mut().unwrap();
    for (_, bytes) in errors {
        *bytes = {
            let record = Record::parse(bytes).unwrap();
            let header = record::RecordHeader { block_index: 0, block_last: 0, ..*record.header() };
            let (passed, kept): (Vec<u64>, Vec<u64>) = (record.passed().collect(), record.kept().collect());
            let mut out = Vec::new();
            record::append(header, &passed, &kept, record.scores(), record.event(), &mut out);
            out
        };
    }
    streams
}

/// A stream of 20 to 60 frames with about every tenth damaged in one of all known ways.
fn faulted(seed: u64, rate: f64) -> Faulted {
    faulted_in_segments(seed, rate, 400)
}

/// One of so many events, ten in a frame.
fn faulted_of(seed: u64, rate: f64, events: u64) -> Faulted {
    let options = GenOptions { seed, frame_events: 10, segment_events: 100, ..GenOptions::default() };
    faulted_with(options, rate, events)
}

/// The same in segments of so many events: no block of a segment is longer.
fn faulted_in_segments(seed: u64, rate: f64, segment_events: u64) -> Faulted {
    let options = GenOptions { seed, frame_events: 50, segment_events, ..GenOptions::default() };
    faulted_with(options, rate, 1_000 + 50 * (seed % 40) + seed % 50)
}

fn faulted_with(options: GenOptions, rate: f64, events: u64) -> Faulted {
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let seed = options.seed;
    let (generator, frames) = frames_of(&schema, options, events);
    FaultPlan::new(seed, FaultRates::all(rate)).apply(&schema, &generator.schema_frame(), &frames)
}

/// So many events, in frames without columns.
fn frames_of(schema: &Schema, options: GenOptions, events: u64) -> (Generator, Vec<Vec<u8>>) {
    let generator = Generator::new(schema, options).unwrap();
    let mut frames: Vec<Vec<u8>> = Vec::new();
    let mut keep = |frame: &[u8]| {
        frames.push(frame.to_vec());
        Ok::<(), ()>(())
    };
    generator.generate(events, &mut keep).unwrap();
    frames.retain(|frame| !tamis_event::FrameHeader::read(frame).unwrap().is_schema());
    (generator, frames)
}

fn corrupt(defect: Defect) -> Corrupt {
    let name = format!("{defect:?}").to_lowercase();
    *Corrupt::ALL.iter().find(|cause| cause.name() == name).expect("one cause per defect")
}

fn panics_quietly() {
    std::panic::set_hook(Box::new(|info| {
        if !crate::is_guarded() {
            eprintln!("{info}");
        }
    }));
}

#[test]
fn the_ledger_balances_to_the_event_whatever_is_thrown_at_it() {
    panics_quietly();
    for seed in 0..300 {
        check_balance(seed, &faulted(seed, 0.02), &Case::of(seed));
    }
}

/// Runs a stream and holds all that comes of it against the truth.
fn check_balance(seed: u64, Faulted { bytes, truth }: &Faulted, case: &Case) {
    let (outcome, segments, streams) = bench(bytes, case).seeded(seed);
    let tally = &outcome.tally;
    assert_eq!(outcome.balance, Ok(()), "seed {seed}");
    // What was lost, cause by cause.
    for &cause in Corrupt::ALL {
        let mut expected =
            truth.defects.iter().filter(|(defect, _)| corrupt(*defect) == cause).map(|(_, loss)| *loss);
        let loss = if cause == Corrupt::Dup { truth.duplicates } else { expected.next().unwrap_or_default() };
        assert_eq!(tally.frames.corrupt.get(cause), loss.frames, "seed {seed}: frames, {}", cause.name());
        assert!(
            tally.corrupt.get(cause) >= loss.events.max(loss.frames.min(1)),
            "seed {seed}: {}",
            cause.name()
        );
    }
    assert_eq!(tally.missing, truth.missing_events().into(), "seed {seed}");
    assert_eq!(tally.frames.bytes, bytes.len() as u64, "seed {seed}: every byte is counted once");
    assert_eq!(tally.frames.bytes_corrupt, truth.lost_bytes, "seed {seed}: bytes that were lost");
    assert_eq!(tally.received - tally.corrupt.total(), truth.events, "seed {seed}: good events");
    // Every survivor was decided, and by the right rule.
    let decided: BTreeSet<u64> = streams[0].iter().chain(&streams[2]).map(|(id, _)| *id).collect();
    assert_eq!(decided.len(), streams[0].len() + streams[2].len(), "seed {seed}: each once");
    assert!(truth.survivors.iter().cloned().flatten().eq(decided), "seed {seed}: survivors");
    let kept = streams[0].iter().chain(&streams[2]);
    assert!(kept.clone().all(|(id, record)| is_as_sent(truth, *id, record)), "seed {seed}: stored as sent");
    let naive_cut = streams[0].iter().filter(|(_, record)| {
        let event = Record::parse(record).unwrap().event().record;
        f32::from_le_bytes(event[..4].try_into().unwrap()) > 20.0
            && i16::from_le_bytes([event[4], event[5]]) >= 0
    });
    assert!(naive_cut.map(|(id, _)| id).eq(streams[1].iter().map(|(id, _)| id)), "seed {seed}: cut");
    // What could not be decided.
    let poison: BTreeSet<u64> = truth.poison.iter().copied().collect();
    for (id, record) in &streams[2] {
        let record = Record::parse(record).unwrap();
        let expected = match (panics_at(record.event().record), id % 2) {
            (true, 0) => record::fault::REFUSED,
            (true, _) => record::fault::PANIC,
            (false, _) => record::fault::NAN,
        };
        assert!(
            expected != record::fault::NAN || poison.contains(id),
            "seed {seed}: event {id} is no poison"
        );
        assert_eq!(record.header().fault, expected, "seed {seed}: event {id}");
    }
    let panicked = tally.errored.get(Errored::Panic);
    assert_eq!(tally.errored.total() - panicked, streams[2].len() as u64 - panicked, "seed {seed}");
    assert!(streams[0].iter().all(
        |(id, record)| !poison.contains(id) && !panics_at(Record::parse(record).unwrap().event().record)
    ));
    // The segments add up, each balanced by itself, with its own losses.
    let mut sum = Tally::new(2, 1);
    let mut lost_in = BTreeMap::new();
    let mut told: Vec<BTreeMap<(u32, u32), u64>> = vec![BTreeMap::new(); streams.len()];
    for books in &segments {
        *lost_in.entry((books.id.run, books.id.segment)).or_insert(0) += books.tally.corrupt.total();
        assert_eq!(books.tally.balance(), Ok(()), "seed {seed}: segment {}", books.id.segment);
        // When a stream has `end` records, it has all of the segment so far.
        for ((share, records), told) in books.streams.iter().zip(&streams).zip(&mut told) {
            let told = told.entry((books.id.run, books.id.segment)).or_insert(0);
            *told += share.events;
            let of_segment = |(_, record): &&(u64, Vec<u8>)| {
                let header = *Record::parse(record).unwrap().header();
                (header.run, header.segment) == (books.id.run, books.id.segment)
            };
            let stored = records[..share.end as usize].iter().filter(of_segment).count() as u64;
            assert!(
                share.events == 0 || stored == *told,
                "seed {seed}: segment {}: {share:?}",
                books.id.segment
            );
        }
        sum.merge(&books.tally);
    }
    assert_eq!(&sum, tally, "seed {seed}");
    lost_in.retain(|_, units| *units > 0);
    assert_eq!(lost_in, truth.lost_in, "seed {seed}");
}

/// Has a record the bytes and the time of its event?
fn is_as_sent(truth: &Truth, id: u64, record: &[u8]) -> bool {
    let record = Record::parse(record).unwrap();
    let Event { id: own, time_ns, record: fields, payload, .. } = record.event();
    let sent = &truth.sent[&id];
    (own, time_ns, fields, payload) == (id, sent.time_ns, &sent.record[..], &sent.payload[..])
}

#[test]
fn what_is_stored_does_not_depend_on_workers_batches_windows_threads_or_pace() {
    panics_quietly();
    for seed in 1_000..1_010 {
        let Faulted { bytes, .. } = faulted(seed, 0.02);
        let (reference, _, expected) =
            bench(&bytes, &Case { workers: 1, batch: 4096, ..Case::default() }).seeded(0);
        assert!(expected.iter().all(|stream| !stream.is_empty()), "the test needs events in every stream");
        let expected = without_blocks(expected);
        for workers in [1, 2, 4] {
            for batch in [1, 7, 256, 4096] {
                for (windows, pace) in
                    [(vec![64], Pace::Flat), (vec![usize::MAX], Pace::Rate(1e6)), (vec![999], Pace::Recorded)]
                {
                    let case = Case { workers, batch, windows, pace, ..Case::default() };
                    let (outcome, _, streams) = bench(&bytes, &case).seeded(seed ^ batch as u64);
                    assert!(
                        without_blocks(streams) == expected,
                        "seed {seed}, {workers} workers, batch {batch}"
                    );
                    assert_eq!(outcome.tally, reference.tally);
                }
                for cpus in [1, CPUS] {
                    let bench = bench(&bytes, &Case { workers, batch, cpus, ..Case::default() });
                    let outcome = bench.pipeline.run_threads(|_| ());
                    let streams = without_blocks(take(bench.streams));
                    assert!(streams == expected, "seed {seed}, {workers} workers on {cpus}, batch {batch}");
                    assert_eq!((outcome.tally, outcome.panics), (reference.tally.clone(), vec![]));
                }
            }
        }
    }
}

/// A test of the test: an event that is lost, doubled or booked twice must be noticed.
#[test]
fn canary_a_miscount_does_not_balance() {
    panics_quietly();
    let Faulted { bytes, .. } = faulted(5, 0.0);
    let tampers: [fn(&mut [SegmentBooks]); 6] = [
        |books| books.iter_mut().for_each(|books| books.tally.rejected += 1),
        |books| {
            for SegmentBooks { tally, .. } in books {
                tally.accepted = tally.accepted.saturating_sub(1);
            }
        },
        |books| books.iter_mut().for_each(|books| books.tally.errored.add(Errored::NotFinite, 1)),
        |books| books.iter_mut().for_each(|books| books.tally.rungs[0] += 1),
        // Balances in itself, but not with what was stored.
        |books| {
            for SegmentBooks { tally, .. } in books {
                (tally.accepted, tally.rejected) = (0, tally.rejected + tally.accepted);
            }
        },
        // Balances for the run, but not for the segments.
        |books| {
            if let [one, other, ..] = books {
                std::mem::swap(&mut one.tally.accepted, &mut other.tally.accepted);
            }
        },
    ];
    for (k, tamper) in tampers.into_iter().enumerate() {
        let mut bench = bench(&bytes, &Case { workers: 1, batch: 256, ..Case::default() });
        bench.pipeline.workers[0].0.tamper = Some(tamper);
        let (outcome, ..) = bench.seeded(1);
        assert!(outcome.balance.is_err(), "miscount {k} was not noticed");
    }
}

#[test]
fn the_error_stream_has_a_bit_beside_as_many_streams_as_a_menu_may_have() {
    panics_quietly();
    let more: String =
        (2..tamis_menu::limits::STREAMS_MAX).map(|k| format!("[[stream]]\nname = \"s{k}\"\n")).collect();
    let menu = MENU.replacen("[[line]]", &format!("{more}[[line]]"), 1);
    let Faulted { bytes, .. } = faulted(6, 0.0);
    let (outcome, _, streams) = bench_with(&bytes, &Case { workers: 1, ..Case::default() }, &menu).seeded(2);
    let errors = streams.last().unwrap();
    assert_eq!((streams.len(), outcome.balance), (64, Ok(())));
    assert!(
        !errors.is_empty()
            && errors.iter().all(|(_, record)| Record::parse(record).unwrap().header().fault != 0)
    );
    assert_eq!(outcome.tally.errored.total(), errors.len() as u64);
}
