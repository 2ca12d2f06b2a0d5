//! What batches keep of the input: whole read buffers, whatever is in them.

use std::sync::atomic::{AtomicUsize, Ordering};

use tamis_event::{FrameMeta, encode_events, encode_schema};
use tamis_port::{Source, SourceError, Window};

use super::*;
use crate::FrameReader;

/// Bytes of a read buffer, and bytes of the input that a batch may keep.
const WINDOW: usize = 64 << 10;
const BATCH_INPUT: usize = 200 << 10;

/// Gives windows in memory of their own, and knows how much of it is held.
struct Lending {
    left: Vec<u8>,
    held: Arc<Held>,
}

#[derive(Default)]
struct Held {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct Lent(Vec<u8>, Arc<Held>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.1.now.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

impl Source for Lending {
    fn poll(&mut self) -> Result<Window, SourceError> {
        let rest = self.left.split_off(self.left.len().min(WINDOW));
        let window = std::mem::replace(&mut self.left, rest);
        if window.is_empty() {
            return Ok(Window::End);
        }
        let now = self.held.now.fetch_add(window.len(), Ordering::Relaxed) + window.len();
        self.held.most.fetch_max(now, Ordering::Relaxed);
        Ok(Window::Bytes(Bytes::from_owner(Lent(window, self.held.clone()))))
    }

    fn stop(&mut self) {
        self.left.clear();
    }
}

/// Frames that fill a window each.
fn stream(frames: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for mut frame in frames {
        assert!(frame.len() <= WINDOW && frame.len() % 64 == 0);
        let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
        // What is left is filled with schema frames.
        while frame.len() < WINDOW {
            encode_schema(&schema, FrameMeta::default(), &mut frame);
        }
        frame.truncate(WINDOW);
        bytes.extend(frame);
    }
    bytes
}

fn frame(first_event_id: u64, events: usize) -> Vec<u8> {
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let meta = FrameMeta { run: 1, segment: 1, first_event_id, ..FrameMeta::default() };
    let mut bytes = Vec::new();
    encode_events(&schema, meta, &vec![1; events * schema.record_len()], &mut bytes);
    bytes
}

#[test]
fn batches_keep_few_bytes_of_the_input_whatever_is_in_them() {
    let events_max = (WINDOW - 64) / 10;
    // One event in each window; half of a window is new; one event of a frame is new, and keeps none of it.
    let streams: [(&str, Vec<u8>, usize); 3] = [
        ("schemas", stream((0..100).map(|k| frame(k, 1))), BATCH_INPUT),
        ("overlaps", stream((0..100).map(|k| frame(k * events_max as u64 / 2, events_max))), BATCH_INPUT),
        ("repeats", stream((0..100).map(|k| frame(k, events_max))), 0),
    ];
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    for (name, bytes, kept) in streams {
        for seed in 0..3 {
            let case = Case { workers: 2, batch: 60_000, ..Case::default() };
            let mut bench = bench(&bytes, &case);
            let held = Arc::<Held>::default();
            let source = Lending { left: bytes.clone(), held: held.clone() };
            let admission = &mut bench.pipeline.admission.0;
            admission.input = FrameReader::new(Box::new(source), &schema);
            admission.batch_input_bytes = BATCH_INPUT as u64;
            let batches = 1 + 2 + 4 * 2;
            let (outcome, ..) = bench.seeded(seed);
            assert_eq!(outcome.balance, Ok(()));
            // The input itself has the window that it reads, and the one before; of the first frame every event is new.
            let most = held.most.load(Ordering::Relaxed);
            let allowed = batches * kept + 3 * WINDOW;
            assert!(most <= allowed, "{name}: {most} bytes are held, {allowed} allowed");
            assert_eq!(held.now.load(Ordering::Relaxed), 0, "{name}");
        }
    }
}
