//! How fast records of 64 KiB are stored, beside the compression alone: `cargo run --release -p tamis-store --example storing -- [FOLDER]`.
//!
//! Every row is measured once per round, so that a change of the machine's mood meets all of them, and the median of the rounds is shown. Where other
//! programs take the CPUs, only the second number says something: per second of CPU, all threads together.

#![expect(clippy::unwrap_used, reason = "a measurement may panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use tamis_event::{Event, Schema, record};
use tamis_port::{Sink as _, Stored};
use tamis_store::{
    CHUNK_BYTES, Compression, CompressionProbe, Durable, McapSink, Press, Provenance, ROTATE_BYTES,
    StreamPlan,
};

const RECORDS: u64 = 2048;
const PAYLOAD_BYTES: usize = 64 * 1024;
const ROUNDS: usize = 9;
const SCHEMA: &str = "name = \"t\"\n[[field]]\nname = \"a\"\ndtype = \"u8\"\nlen = 114\n[payload]\n";

/// Samples of 12 bits in words of 16, noise around a pedestal: what a digitiser sends.
fn payload(state: &mut u64) -> Vec<u8> {
    let mut sample = || {
        *state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        // The sum of uniform numbers is nearly normal.
        let noise: u64 = (0..4).map(|k| *state >> (16 + 12 * k) & 0xFF).sum();
        (300 + noise as u16).to_le_bytes()
    };
    (0..PAYLOAD_BYTES / 2).flat_map(|_| sample()).collect()
}

fn records() -> Vec<Vec<u8>> {
    let mut state = 1;
    let made = |id: u64| {
        let header = record::RecordHeader { event_id: id, ..record::RecordHeader::blank() };
        let payload = payload(&mut state);
        let event = Event { record: &[7; 114], payload: &payload, ..Event::default() };
        let mut bytes = Vec::new();
        record::append(header, &[1], &[1], [0.5].into_iter(), event, &mut bytes);
        bytes
    };
    (0..RECORDS).map(made).collect()
}

fn store(folder: &Path, compression: Compression, threads: usize, records: &[Vec<u8>]) -> u64 {
    let provenance = Provenance {
        schema: Schema::parse(SCHEMA.as_bytes()).unwrap(),
        menu: String::new(),
        models: Vec::new(),
        metadata: BTreeMap::new(),
    };
    let mut sink = McapSink::new(StreamPlan {
        folder: folder.into(),
        run_name: "storing".into(),
        stream: "all".into(),
        durable: Durable::Never,
        rotate_bytes: ROTATE_BYTES,
        press: Press::new(compression, Some(threads)),
        provenance: Arc::new(provenance),
    })
    .unwrap();
    for (id, record) in (0..).zip(records) {
        sink.write(Stored { event_id: id, time_ns: id, record }).unwrap();
    }
    let report = sink.close().unwrap();
    report.files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    report.bytes
}

/// Seconds of CPU that this process took.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The median, the lowest and the highest.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

fn main() {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let records = records();
    let all = records.concat();
    let mut rows = BTreeMap::<String, [Vec<f64>; 3]>::new();
    let mut measure = |name: &str, run: &mut dyn FnMut() -> u64| {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let packed = run() as f64;
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        let bytes = all.len() as f64;
        let values = [bytes / 1e6 / seconds, bytes / 1e6 / cpu, bytes / packed];
        let row = rows.entry(name.into()).or_default();
        row.iter_mut().zip(values).for_each(|(values, value)| values.push(value));
    };
    for _ in 0..ROUNDS {
        let mut probe = CompressionProbe::default();
        let pieces = || all.chunks(CHUNK_BYTES);
        measure("zstd=1, the crate alone", &mut || {
            pieces().map(|piece| probe.compressed_len(piece) as u64).sum()
        });
        for (compression, threads) in
            ["zstd=1", "lz4", "none"].into_iter().flat_map(|word| [(word, 1), (word, 2)])
        {
            let how = compression.parse().unwrap();
            measure(&format!("{compression}, stored, {threads} threads"), &mut || {
                store(&folder, how, threads, &records)
            });
        }
    }
    println!("{} MB of records in {}", all.len() / 1_000_000, folder.display());
    for (name, row) in rows {
        let [(wall, low, high), (cpu, ..), (ratio, ..)] = row.map(spread);
        println!(
            "{name:28} {wall:7.0} MB/s ({low:.0} to {high:.0}), {cpu:.0} per second of CPU, 1 : {ratio:.2}"
        );
    }
}
