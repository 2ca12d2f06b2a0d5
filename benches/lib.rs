//! Shared set-up: a synthetic level-1 stream of fixed seed, and timing per event.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId};
use tamis_event::{Block, Schema, Span};
use tamis_sim::{GenOptions, Generator};

/// A file of `data-samples/`.
pub fn sample(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../data-samples")).join(path)
}

/// The level-1 schema.
///
/// # Panics
/// If the file in `data-samples/` is gone or wrong, as everything here.
pub fn schema() -> Schema {
    Schema::parse(&std::fs::read(sample("schemas/l1.toml")).expect("the schema is there")).expect("and right")
}

/// A block of `events` level-1 events from one contiguous span.
pub fn block(events: usize) -> Block {
    let schema = schema();
    let options = GenOptions { signal_fraction: 0.01, frame_events: events, ..GenOptions::default() };
    let mut frame = Vec::new();
    Generator::new(&schema, options).expect("valid").frame(0, events as u64, &mut frame);
    let records = Bytes::from(frame).slice(tamis_event::HEADER_LEN..);
    let bytes = records.slice(..events * schema.record_len());
    let mut block = Block::new(schema.record_len());
    block.reset(1, 0);
    block.push(Span::of_records(1, 0, 0, schema.record_len(), bytes));
    block
}

/// Times `routine`, which handles `events` events per call. An iteration is an event, so every printed time is ns per event.
pub fn per_event(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    parameter: usize,
    events: u64,
    mut routine: impl FnMut(),
) {
    group.bench_function(BenchmarkId::new(name, parameter), |bencher| {
        bencher.iter_custom(|iterations| {
            let calls = iterations.div_ceil(events);
            let start = Instant::now();
            (0..calls).for_each(|_| routine());
            let each = start.elapsed().as_secs_f64() / (calls * events) as f64;
            Duration::from_secs_f64(each * iterations as f64)
        });
    });
}
