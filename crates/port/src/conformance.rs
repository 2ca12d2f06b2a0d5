//! What every implementation of a port must do, written once.

use std::time::{Duration, Instant};

use tamis_event::Block;

use crate::{Classifier, Source, Window};

/// Checks a classifier with the events of a block: `outputs()` are the names in `outputs`, and every event gets the same bits whatever the
/// batch is cut into, whichever events stand before and after it, in whatever order batches come, and from a column that held other numbers.
///
/// # Panics
/// With what differs, if the classifier breaks a promise of [`Classifier`]. If the block has fewer than 2 events.
pub fn classifier(classifier: &mut dyn Classifier, outputs: &[&str], block: &Block) {
    assert!(block.len() >= 2, "positions need several events");
    assert_eq!(classifier.outputs(), outputs, "outputs() must be the scores, in order");
    let whole = score_in_batches(classifier, outputs.len(), block, block.len(), 1.5);
    let again = score_in_batches(classifier, outputs.len(), block, block.len(), -7.0);
    assert_same_bits(&whole, &again, "the same batch again");
    for batch in [1, 2, 3, 7, 63, 64, 65, 100, 511, 512, 513, 1000] {
        if batch < block.len() {
            let cut = score_in_batches(classifier, outputs.len(), block, batch, batch as f32);
            assert_same_bits(&whole, &cut, &format!("batches of {batch}"));
        }
    }
    classifier
        .score(block, 0..0, &mut outputs.iter().map(|_| &mut [][..]).collect::<Vec<_>>())
        .expect("a batch without events is no error");
}

/// One column per output, scored from the last batch to the first: a classifier may keep memory, but no memory of events. The columns hold
/// `before` at first; it differs from pass to pass, so that a score that is not written shows.
fn score_in_batches(
    classifier: &mut dyn Classifier,
    outputs: usize,
    block: &Block,
    batch: usize,
    before: f32,
) -> Vec<Vec<f32>> {
    let mut columns = vec![vec![before; block.len()]; outputs];
    let starts: Vec<usize> = (0..block.len()).step_by(batch).collect();
    for &start in starts.iter().rev() {
        let range = start..(start + batch).min(block.len());
        let mut slices: Vec<&mut [f32]> =
            columns.iter_mut().map(|column| &mut column[range.clone()]).collect();
        classifier
            .score(block, range.clone(), &mut slices)
            .unwrap_or_else(|error| panic!("events {range:?}: {error}"));
    }
    columns
}

fn assert_same_bits(one: &[Vec<f32>], other: &[Vec<f32>], what: &str) {
    for (output, (one, other)) in one.iter().zip(other).enumerate() {
        let differs = one.iter().zip(other).position(|(a, b)| a.to_bits() != b.to_bits());
        if let Some(event) = differs {
            panic!("{what}: output {output} of event {event} is {} instead of {}", other[event], one[event]);
        }
    }
}

/// Drives a source that starts at the beginning to its end and compares what it gives with `stream`, the bytes of one pass.
///
/// # Panics
/// With what differs, if the source breaks a promise of [`Source`]: the windows of every pass, put together, are the stream; restarts come
/// only between passes; after the end there is nothing. Also if it is idle for longer than `patience`.
pub fn source(source: &mut dyn Source, stream: &[u8], passes: u64, patience: Duration) {
    let (mut at, mut pass, mut idle_since) = (0, 1, None);
    loop {
        let window = source.poll().unwrap_or_else(|error| panic!("pass {pass}, byte {at}: {error}"));
        if !matches!(window, Window::Idle) {
            idle_since = None;
        }
        match window {
            Window::Bytes(bytes) => {
                let expected = stream.get(at..at + bytes.len());
                let expected =
                    expected.unwrap_or_else(|| panic!("pass {pass}: more than {} bytes", stream.len()));
                assert!(bytes == expected, "pass {pass}: the {} bytes from byte {at} differ", bytes.len());
                at += bytes.len();
            }
            Window::Idle => {
                let since = *idle_since.get_or_insert_with(Instant::now);
                assert!(
                    since.elapsed() < patience,
                    "pass {pass}, byte {at}: idle for more than {patience:?}"
                );
                std::thread::yield_now();
            }
            Window::Restart => {
                assert!(at == stream.len(), "a restart after {at} of {} bytes", stream.len());
                (at, pass) = (0, pass + 1);
                assert!(pass <= passes, "a restart after the last of {passes} passes");
            }
            Window::End => {
                assert!(at == stream.len(), "the end after {at} of {} bytes", stream.len());
                assert_eq!(pass, passes, "the end in pass {pass} of {passes}");
                break;
            }
        }
    }
    assert_ended(source);
}

/// Stops a source somewhere on its way and checks that it ends: what it gives until then is `taken`, the bytes that it had taken from outside
/// before, or a beginning of them if it is a recording (`may_cut`).
///
/// # Panics
/// If it gives other bytes, begins another pass, or does not end within `patience`.
pub fn source_stops(source: &mut dyn Source, taken: &[u8], may_cut: bool, patience: Duration) {
    source.stop();
    source.stop();
    let (mut at, since) = (0, Instant::now());
    loop {
        match source.poll().unwrap_or_else(|error| panic!("stopped, byte {at}: {error}")) {
            Window::Bytes(bytes) => {
                assert!(
                    taken[at..].starts_with(&bytes),
                    "after a stop: other bytes than were taken, from byte {at}"
                );
                at += bytes.len();
            }
            Window::Idle => std::thread::yield_now(),
            Window::Restart => panic!("a restart after a stop"),
            Window::End => break,
        }
        assert!(since.elapsed() < patience, "no end within {patience:?} of a stop");
    }
    assert!(may_cut || at == taken.len(), "a stop lost {} bytes that had been taken", taken.len() - at);
    assert_ended(source);
}

/// Checks that a source that ended, or failed, stays at its end.
///
/// # Panics
/// If it gives anything else.
pub fn assert_ended(source: &mut dyn Source) {
    for _ in 0..3 {
        let window = source.poll();
        assert!(matches!(window, Ok(Window::End)), "after the end: {window:?}");
    }
}
