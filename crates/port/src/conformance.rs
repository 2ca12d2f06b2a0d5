//! What every implementation of a port must do, written once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tamis_event::{Block, Event, record};
use tamis_ring::Bell;

use crate::{Classifier, Sink, SinkError, SinkReport, Source, Stored, Window};

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
/// With what differs, if the source breaks a promise of [`Source`]: the windows of every pass, put together, are the stream, also where it takes
/// bytes back; restarts come only between passes; after the end there is nothing; its bell, if it has one, rings when it has something again. It also
/// panics if the source is idle for longer than `patience`.
pub fn source(source: &mut dyn Source, stream: &[u8], passes: u64, patience: Duration) {
    let mut at = 0;
    let mut pass = 1;
    // The length of the last window.
    let mut last = 0;
    let mut idle_since = None;
    let mut is_announced = false;
    for turn in 0.. {
        let tail = [0, 1, 1000, 70_000, usize::MAX][turn % 5].min(last);
        // As much more, and sometimes more than any frame can have: what is wanted may come from a header that lies.
        let wanted = [tail + 1, 2 * tail, 10 << 20, usize::MAX][turn % 4];
        let taken_back = if tail > 0 && source.unread(&stream[at - tail..at], wanted) { tail } else { 0 };
        let window = source.poll().unwrap_or_else(|error| panic!("pass {pass}, byte {at}: {error}"));
        if !matches!(window, Window::Idle) {
            idle_since = None;
        }
        match window {
            Window::Bytes(bytes) => {
                assert!(
                    taken_back == 0 || bytes.len() > taken_back,
                    "pass {pass}, byte {at}: a window with nothing new"
                );
                at -= taken_back;
                last = bytes.len();
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
                wait(source.bell(), &mut is_announced, patience);
            }
            Window::Restart => {
                assert!(at == stream.len(), "a restart after {at} of {} bytes", stream.len());
                at = 0;
                last = 0;
                pass += 1;
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

/// Between two looks at an idle source. Where it has a bell: announced after the first look, asleep after the second.
fn wait(bell: Option<Arc<Bell>>, is_announced: &mut bool, patience: Duration) {
    let Some(bell) = bell else { return std::thread::yield_now() };
    if *is_announced {
        let asleep = Instant::now();
        bell.sleep(patience);
        assert!(asleep.elapsed() < patience, "nobody rang the bell within {patience:?}");
    } else {
        bell.announce();
    }
    *is_announced = !*is_announced;
}

/// Stops a source somewhere on its way and checks that it ends: what it gives until then is `taken`, the bytes that it had taken from outside
/// before, or a beginning of them if it is a recording (`may_cut`).
///
/// # Panics
/// If it gives other bytes, begins another pass, or does not end within `patience`.
pub fn source_stops(source: &mut dyn Source, taken: &[u8], may_cut: bool, patience: Duration) {
    source.stop();
    source.stop();
    let mut at = 0;
    let since = Instant::now();
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

/// Time in ns and bytes of a record.
pub type TimedRecord = (u64, Vec<u8>);

/// Checks a sink: records come back byte for byte, in order, exactly once, wherever ticks and moves to another thread fall; the report
/// tells the truth; a closed sink refuses everything.
///
/// `make` gives a fresh sink in a place of its own at every call; `read_back` gives time and bytes of every record in the files of a report.
///
/// # Panics
/// With what differs, if the sink breaks a promise of [`Sink`].
pub fn sink(make: &mut dyn FnMut() -> Box<dyn Sink>, read_back: &dyn Fn(&SinkReport) -> Vec<TimedRecord>) {
    let all = sample_records();
    for count in [0, 1, 2, all.len()] {
        for tick_every in [1, 7, usize::MAX] {
            let records = &all[..count];
            let what = format!("{count} records, a tick every {tick_every}");
            let mut sink = make();
            sink.tick(0).expect("a tick before the first record");
            for (i, (time_ns, bytes)) in records.iter().enumerate() {
                sink.write(stored(*time_ns, bytes)).unwrap_or_else(|error| panic!("{what}: {error}"));
                if i % tick_every == tick_every - 1 {
                    sink.tick(i as u64 * 10_000_000).unwrap_or_else(|error| panic!("{what}: {error}"));
                }
                if i == records.len() / 2 {
                    sink = std::thread::spawn(|| sink).join().expect("moving a sink to another thread");
                }
            }
            let report = sink.close().unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(report.events, count as u64, "{what}: events in the report");
            let sizes = report.files.iter().map(|file| std::fs::metadata(file).map_or(0, |file| file.len()));
            assert_eq!(report.bytes, sizes.sum::<u64>(), "{what}: bytes in the report and on disk");
            let found = read_back(&report);
            assert_eq!(found.len(), count, "{what}: records in the files");
            let differs = found.iter().zip(records).position(|(found, written)| found != written);
            assert_eq!(differs, None, "{what}: the first record that came back as another");
            assert_refuses(&mut *sink, &all[0], None);
        }
    }
}

/// Checks that a sink whose storage fails sooner or later says so within `limit` records, and then refuses everything with the same error.
/// Returns that error.
///
/// # Panics
/// If the sink does not fail, or goes on after it failed.
pub fn sink_failure(sink: &mut dyn Sink, limit: usize) -> SinkError {
    let records = sample_records();
    let write = |(i, (time_ns, bytes)): (usize, &TimedRecord)| {
        sink.write(stored(*time_ns, bytes)).and_then(|()| sink.tick(i as u64 * 10_000_000)).err()
    };
    let failed = records.iter().cycle().take(limit).enumerate().find_map(write);
    let error = failed.unwrap_or_else(|| panic!("{limit} records and no error"));
    assert!(!error.place.is_empty() && !error.message.is_empty(), "an error names place and remedy");
    assert_refuses(sink, &records[0], Some(&error));
    error
}

/// Checks that a sink that is closed or failed refuses everything, with `error` if one is given.
fn assert_refuses(sink: &mut dyn Sink, (time_ns, bytes): &TimedRecord, error: Option<&SinkError>) {
    for _ in 0..2 {
        let refusals = [
            sink.write(stored(*time_ns, bytes)).err(),
            sink.tick(u64::MAX).err(),
            sink.close().map(|_| ()).err(),
        ];
        for refusal in refusals {
            let refusal = refusal.expect("a sink that ended accepts nothing");
            assert!(error.is_none_or(|error| *error == refusal), "{refusal} is not the error that was final");
        }
    }
}

fn stored(time_ns: u64, record: &[u8]) -> Stored<'_> {
    let id = record[8..16].try_into().map(u64::from_le_bytes).expect("the event id of a record");
    Stored { event_id: id, time_ns, record }
}

/// Time and bytes of records of all sizes, from an empty event to the largest that a schema allows; also equal and falling times, and
/// records that are equal byte for byte.
fn sample_records() -> Vec<TimedRecord> {
    let sizes = [0, 1, 116, 4096, 65_536, tamis_event::RECORD_BYTES_MAX, 116, 116];
    (0..64_u64)
        .map(|i| {
            let time_ns = (75 * (i / 3)) ^ (i & 4);
            let event: Vec<u8> =
                (0..sizes[i as usize % 8] as u64).map(|at| ((at * at) ^ ((at >> 3) * i)) as u8).collect();
            let id = if i % 8 == 7 { i - 1 } else { i };
            let header =
                record::RecordHeader { event_id: id, time_ns, run: 7, ..record::RecordHeader::blank() };
            let mut bytes = Vec::new();
            record::append(
                header,
                &[i],
                &[i & 1],
                [0.5 * i as f32].into_iter(),
                Event { record: &event, ..Event::default() },
                &mut bytes,
            );
            (time_ns, bytes)
        })
        .collect()
}
