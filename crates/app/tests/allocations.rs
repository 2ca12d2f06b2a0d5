//! Once a run is under way, events cost no allocation: counted over twenty million of them, with a real menu and a real model on real threads.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(unsafe_code, reason = "an allocator that counts has no other form")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tamis_event::{FrameMeta, Schema};
use tamis_menu::Menu;
use tamis_model::{Bundle, Engine};
use tamis_pipeline::{Choice, Control, Cpus, Limits, MonotonicClock, Pace, Pipeline, Setup, Stamp};
use tamis_port::{Sink, SinkError, SinkReport, Stored};
use tamis_sim::{GenOptions, Generator};

/// Of all threads. Relaxed: read when the threads that count have been joined.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Counts what the process asks for.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged. `realloc` is the trait's own, which allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Storage that keeps nothing: how files are written is not the subject.
#[derive(Default)]
struct Nowhere(SinkReport);

impl Sink for Nowhere {
    fn write(&mut self, stored: Stored<'_>) -> Result<(), SinkError> {
        self.0.events += 1;
        self.0.bytes += stored.record.len() as u64;
        Ok(())
    }

    fn tick(&mut self, _: u64) -> Result<(), SinkError> {
        Ok(())
    }

    fn report(&self) -> &SinkReport {
        &self.0
    }

    fn close(&mut self) -> Result<SinkReport, SinkError> {
        Ok(self.0.clone())
    }
}

fn sample(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data-samples")).join(path)
}

/// Events of one pass, in frames that do not fit the batches.
const EVENTS: u64 = 1_000_000;
const FRAME_EVENTS: usize = 3_564;

/// A recording in memory: a schema frame and one segment of events.
fn recording(schema: &Schema) -> Vec<u8> {
    let mut stream = Vec::new();
    tamis_event::encode_schema(schema, FrameMeta::default(), &mut stream);
    let options = GenOptions { signal_fraction: 0.01, frame_events: FRAME_EVENTS, ..GenOptions::default() };
    let generator = Generator::new(schema, options).unwrap();
    for frame in 0..EVENTS.div_ceil(FRAME_EVENTS as u64) {
        generator.frame(frame, EVENTS, &mut stream);
    }
    stream
}

/// Plays a recording so many times; the allocations that this took and the events that were kept.
fn play(stream: &bytes::Bytes, passes: u64) -> (u64, u64) {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let recording = tamis_source::memory(stream.clone(), "memory", passes).unwrap();
    let menu = Menu::parse(&std::fs::read_to_string(sample("menus/l1.toml")).unwrap(), "l1.toml").unwrap();
    let bundle = Bundle::load(&sample("models/topo")).unwrap();
    let scores: Vec<String> = bundle.outputs().iter().map(|output| format!("topo.{output}")).collect();
    let menu = Arc::new(menu.compile(&recording.schema, &scores).unwrap());
    let model = bundle.bind(&recording.schema, Engine::Fused).unwrap();
    let choice =
        || Choice { classifier: Box::new(model.clone()), engine: Engine::Fused.code(), stand_in: None };
    let sinks = (0..=menu.streams().len()).map(|_| Box::new(Nowhere::default()) as Box<dyn Sink>).collect();
    let pipeline = Pipeline::new(Setup {
        source: recording.source,
        schema: &recording.schema,
        menu,
        models: (0..2).map(|_| vec![vec![choice()]]).collect(),
        sinks,
        stamp: Stamp::default(),
        limits: Limits::new(2, 4096, recording.schema.layout()).unwrap(),
        pace: Pace::Flat,
        deadline: None,
        busy_poll: std::time::Duration::ZERO,
        cpus: Cpus::of_process(&[]),
        clock: Arc::new(MonotonicClock::default()),
        control: Arc::new(Control::default()),
    });
    let outcome = pipeline.run_threads(|_| ());
    outcome.balance.as_ref().unwrap();
    assert_eq!(outcome.tally.received, passes * EVENTS);
    (ALLOCATIONS.load(Ordering::Relaxed) - before, outcome.tally.accepted)
}

#[test]
fn twenty_million_events_allocate_no_more_than_two() {
    let schema = Schema::parse(&std::fs::read(sample("schemas/l1.toml")).unwrap()).unwrap();
    let stream = bytes::Bytes::from(recording(&schema));
    let (few, kept_of_few) = play(&stream, 2);
    let (many, kept_of_many) = play(&stream, 20);
    assert!(kept_of_few > 1_000 && kept_of_many > 5 * kept_of_few, "{kept_of_few} and {kept_of_many} kept");
    // Buffers of records find their size by and by, and a thread may be interrupted before it has had its largest batch.
    assert!(many < few + 500, "{few} allocations for 2 million events, {many} for 20 million");
}
