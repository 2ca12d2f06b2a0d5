//! Finding and checking frames: header checks and the body's CRC32C. The frame size is the parameter, in events.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tamis_benches::{per_event, schema};
use tamis_event::{FrameHeader, Scanned, Scanner};
use tamis_sim::{GenOptions, Generator};

fn header(criterion: &mut Criterion) {
    let mut frame = Vec::new();
    Generator::new(&schema(), GenOptions::default()).expect("valid").frame(0, 1, &mut frame);
    let mut group = criterion.benchmark_group("header");
    per_event(&mut group, "parse and checksum", 1, 1, || {
        let header = FrameHeader::read(black_box(&frame)).expect("whole");
        assert_eq!(header.checksum(), header.header_crc);
    });
}

fn frames(criterion: &mut Criterion) {
    let schema = schema();
    let mut group = criterion.benchmark_group("frame");
    for events in [1, 64, 3564] {
        let options = GenOptions { frame_events: events, ..GenOptions::default() };
        let mut frame = Vec::new();
        Generator::new(&schema, options).expect("valid").frame(0, events as u64, &mut frame);
        let mut scanner = Scanner::new(&schema);
        per_event(&mut group, "scan", events, events as u64, || {
            assert!(matches!(scanner.step(black_box(&frame), true), Scanned::Frame { .. }));
        });
    }
}

criterion_group!(benches, header, frames);
criterion_main!(benches);
