//! Records from nothing to the longest, with every compression, on any number of threads.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tamis_event::{EVENT_BYTES_MAX, Event, record};
use tamis_port::{Sink as _, Stored};
use tamis_store::{
    Compression, Durable, Ending, McapSink, Press, READ_CHUNK_BYTES_MAX, Reader, StreamPlan, check, recover,
    summary,
};

use crate::sample;

const MIB: usize = 1 << 20;
/// Bytes of each event: record and payload together. Some small ones stand between the large ones.
const SIZES: [usize; 9] = [0, 300, MIB, 300, 20 * MIB, 0, EVENT_BYTES_MAX, 300, MIB];

const ALL: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd(1)];

fn large(id: usize) -> Vec<u8> {
    // Every 4 KiB one half is noise and one repeats, so that all compressions have something to do.
    let mut state = id as u64 + 1;
    let mut event = vec![0; SIZES[id]];
    for (at, bytes) in event.chunks_mut(8).enumerate() {
        if at % 512 < 256 {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        }
        bytes.copy_from_slice(&state.to_be_bytes()[..bytes.len()]);
    }
    let (fields, payload) = event.split_at(event.len().min(116));
    let header =
        record::RecordHeader { event_id: id as u64, time_ns: id as u64, ..record::RecordHeader::blank() };
    let event = Event { record: fields, payload, ..Event::default() };
    let mut bytes = Vec::new();
    record::append(header, &[1], &[1], [].into_iter(), event, &mut bytes);
    bytes
}

fn all() -> Vec<Vec<u8>> {
    (0..SIZES.len()).map(large).collect()
}

fn plan(folder: &Path, compression: Compression, threads: usize, rotate_bytes: u64) -> StreamPlan {
    let press = Press::new(compression, Some(threads));
    StreamPlan { press, ..sample::plan(folder, Durable::Close, rotate_bytes) }
}

fn write(records: &[Vec<u8>], plan: StreamPlan) -> Vec<PathBuf> {
    let mut sink = McapSink::new(plan).unwrap();
    for (id, record) in (0..).zip(records) {
        sink.write(Stored { event_id: id, time_ns: id, record }).unwrap();
        sink.tick(id).unwrap();
    }
    sink.close().unwrap().files
}

/// Indexes of the records that can be read; each must be the one that was written.
fn read(path: &Path, records: &[Vec<u8>]) -> Vec<usize> {
    let mut reader = Reader::open(path).unwrap();
    let mut found = Vec::new();
    loop {
        match reader.next_record() {
            Ok(Some(entry)) => {
                assert!(entry.record == records[entry.sequence as usize], "{} is another", entry.sequence);
                found.push(entry.sequence as usize);
            }
            Ok(None) => return found,
            Err(_) => {}
        }
    }
}

#[test]
fn they_are_stored_verbatim_by_every_compression_on_any_number_of_threads() {
    let records = all();
    for compression in ALL {
        let mut bytes: Option<Vec<u8>> = None;
        for threads in [1, 2, 4] {
            let folder = tempfile::tempdir().unwrap();
            let files = write(&records, plan(folder.path(), compression, threads, u64::MAX));
            let [file] = &files[..] else { panic!("{files:?}") };
            let written = fs::read(file).unwrap();
            match &bytes {
                Some(before) => {
                    assert!(*before == written, "{compression}: other bytes with {threads} threads");
                }
                None => {
                    assert!(read(file, &records).into_iter().eq(0..records.len()), "{compression}");
                    assert!(check(file).unwrap().is_clean(), "{compression}");
                    let info = summary(file).unwrap();
                    assert_eq!(info.metadata["compression"], compression.to_string());
                    // The chunk of the schema, one for each large record, and those of the small ones in between.
                    assert_eq!(info.chunks, 1 + 4 + 4);
                    let copy = recover(file, Some(&folder.path().join("copy.mcap"))).unwrap();
                    assert!(fs::read(copy.file).unwrap() == written, "{compression}: recovery is a copy");
                    bytes = Some(written);
                }
            }
        }
        // Read by the library of others.
        let bytes = bytes.unwrap();
        let read =
            mcap::MessageStream::new(&bytes).unwrap().map(|message| message.unwrap().data.into_owned());
        assert!(read.eq(records.iter().cloned()), "{compression}: another reader");
    }
}

#[test]
fn rotation_counts_payloads() {
    let records = all();
    let folder = tempfile::tempdir().unwrap();
    let files = write(&records, plan(folder.path(), Compression::Lz4, 2, 21 * MIB as u64 + 10_000));
    let found: Vec<_> = files.iter().map(|file| read(file, &records)).collect();
    assert_eq!(found, [&[0, 1, 2, 3, 4, 5][..], &[6], &[7, 8]]);
}

/// One flipped bit or one cut costs the record that it hits, wherever it hits it, and nothing else.
#[test]
fn damage_to_a_large_chunk_hides_only_that() {
    // Without the longest, which takes long.
    let records: Vec<_> = (0..SIZES.len()).filter(|&id| SIZES[id] < EVENT_BYTES_MAX).map(large).collect();
    for compression in ALL {
        let folder = tempfile::tempdir().unwrap();
        let file = write(&records, plan(folder.path(), compression, 2, u64::MAX)).remove(0);
        let whole = fs::read(&file).unwrap();
        let index = mcap::Summary::read(&whole).unwrap().unwrap();
        let chunk = index.chunk_indexes.iter().max_by_key(|chunk| chunk.uncompressed_size).unwrap();
        assert!(chunk.uncompressed_size <= READ_CHUNK_BYTES_MAX);
        let (start, length) = (chunk.chunk_start_offset as usize, chunk.chunk_length as usize);
        let path = folder.path().join("damaged.mcap");
        let mut bytes = whole.clone();
        // Length of the record, unpacked size, CRC, name, packed size, data.
        for at in [2, 4, 8, 26, 28, 33, 37, 42, 46, 60, length / 2, length - 1] {
            bytes[start + at] ^= 0x10;
            fs::write(&path, &bytes).unwrap();
            bytes[start + at] ^= 0x10;
            let found = read(&path, &records);
            assert_eq!(found, [0, 1, 2, 3, 5, 6, 7], "{compression}, byte {at} of {length}");
        }
        let part = folder.path().join("cut.mcap.part");
        for (cut, left) in
            [(start + length, 5), (start + length - 1, 4), (start + length / 2, 4), (start + 5, 4)]
        {
            fs::write(&part, &whole[..cut]).unwrap();
            let report = recover(&part, None).unwrap();
            assert_eq!(report.records, left, "{compression}, cut at {cut}");
            assert!(matches!(report.ending, Ending::Torn { .. }));
            assert!(read(&report.file, &records).into_iter().eq(0..left as usize));
            assert!(check(&report.file).unwrap().is_clean());
            fs::remove_file(report.file).unwrap();
        }
    }
}

/// Chunks that claim more than they have, or have more than they claim.
#[test]
fn no_length_of_a_chunk_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let records = vec![large(2)];
    for compression in ALL {
        let out = folder.path().join(compression.to_string());
        fs::create_dir(&out).unwrap();
        let file = write(&records, plan(&out, compression, 1, u64::MAX)).remove(0);
        let whole = fs::read(&file).unwrap();
        let index = mcap::Summary::read(&whole).unwrap().unwrap();
        let start = index.chunk_indexes[1].chunk_start_offset as usize;
        let stated = index.chunk_indexes[1].uncompressed_size;
        for lie in [0, 1, stated - 1, stated + 1, READ_CHUNK_BYTES_MAX, READ_CHUNK_BYTES_MAX + 1, u64::MAX] {
            let mut bytes = whole.clone();
            bytes[start + 25..start + 33].copy_from_slice(&lie.to_le_bytes());
            let path = folder.path().join("lie.mcap");
            fs::write(&path, bytes).unwrap();
            assert_eq!(read(&path, &records), [0; 0], "{compression}: {lie} instead of {stated}");
            assert!(!check(&path).unwrap().is_clean());
        }
    }
}

/// Several streams share one press, each with more than it has room for.
#[test]
fn streams_that_share_a_press_do_not_wait_for_each_other() {
    let records = Arc::new(all());
    let press = Press::new(Compression::Zstd(1), Some(2));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (records, press) = (records.clone(), press.clone());
            std::thread::spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                let plan = StreamPlan { press, ..sample::plan(folder.path(), Durable::Never, u64::MAX) };
                let files = write(&records, plan);
                assert!(read(&files[0], &records).into_iter().eq(0..records.len()));
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
