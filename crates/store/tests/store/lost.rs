//! One damaged place: everything outside it is read, and losses are counted.

use std::fs;
use std::path::Path;

use tamis_store::{Reader, check, recover};

use crate::sample::{record, write_file};

const RECORDS: u64 = 9_000;

/// A file, and its summary as read by the `mcap` crate.
fn whole(folder: &Path, records: u64) -> (Vec<u8>, mcap::Summary) {
    let bytes = fs::read(write_file(folder, records, 116)).unwrap();
    let index = mcap::Summary::read(&bytes).unwrap().unwrap();
    (bytes, index)
}

/// Every record that can be read, by number; each must be the one that was written.
fn numbers(path: &Path) -> Vec<u64> {
    let mut reader = Reader::open(path).unwrap();
    let mut numbers = Vec::new();
    loop {
        match reader.next_record() {
            Ok(Some(entry)) => {
                assert_eq!(entry.record, record(entry.sequence.into(), 116));
                numbers.push(u64::from(entry.sequence));
            }
            Ok(None) => return numbers,
            Err(_) => {}
        }
    }
}

#[test]
fn no_byte_of_an_attachment_hides_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, index) = whole(folder.path(), 300);
    let path = folder.path().join("changed.mcap");
    assert_eq!(index.attachment_indexes.len(), 4);
    for attachment in &index.attachment_indexes {
        let start = attachment.offset as usize;
        let front = start..start + 60;
        let rest = (start + 60..start + attachment.length as usize).step_by(37);
        for at in front.chain(rest).filter(|&at| at < start + attachment.length as usize) {
            for mask in [0x01, 0x80] {
                let mut changed = bytes.clone();
                changed[at] ^= mask;
                fs::write(&path, &changed).unwrap();
                let found = numbers(&path);
                let context = format!("byte {} of {} ^ {mask:#x}", at - start, attachment.name);
                assert!(found.iter().copied().eq(0..300), "{context}: {} records", found.len());
                assert!(!check(&path).unwrap().is_clean(), "{context}");
                let others = Reader::open(&path).unwrap().attachments().len();
                assert!(others >= 3, "{context}: {others} attachments");
            }
        }
    }
}

#[test]
fn a_lost_chunk_is_counted_wherever_it_stood() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, index) = whole(folder.path(), RECORDS);
    let path = folder.path().join("changed.mcap");
    let chunks = &index.chunk_indexes;
    for which in [0, 1, chunks.len() - 1] {
        let chunk = &chunks[which];
        let start = chunks[which].chunk_start_offset as usize;
        let lost = index.stream_chunk(&bytes, chunk).unwrap().count() as u64;
        // Opcode, length, times, sizes, CRC, name of the compression, data.
        let length = chunk.chunk_length as usize;
        let places = [0, 1, 2, 4, 8, 9, 24, 25, 28, 33, 37, 40, 41, 45, 52, 300, length - 1];
        for at in places.into_iter().filter(|&at| at < length) {
            let mut changed = bytes.clone();
            changed[start + at] ^= 0x40;
            fs::write(&path, &changed).unwrap();
            let found = numbers(&path).len() as u64;
            let context = format!("byte {at} of chunk {which}");
            if (9..25).contains(&at) {
                // The times of a chunk belong to no record.
                assert_eq!(found, RECORDS, "{context}");
                continue;
            }
            assert_eq!(found, RECORDS - lost, "{context}");
            let out = folder.path().join("out.mcap");
            let report = recover(&path, Some(&out)).unwrap();
            assert_eq!((report.records, report.lost_records), (RECORDS - lost, lost), "{context}");
            // A record that turned into another kind is no damage, but its contents are missing.
            assert!(at == 0 || !report.problems.is_empty(), "{context}");
            // The new file lacks their numbers, which nobody sees of the last ones.
            let mut again = Reader::open(&out).unwrap();
            while again.next_record().unwrap().is_some() {}
            assert_eq!(again.lost_records(), if which + 1 == chunks.len() { 0 } else { lost }, "{context}");
            fs::remove_file(out).unwrap();
        }
    }
}

/// A file of chunks in another order, or with one twice, has the same records, each once.
#[test]
fn a_chunk_in_another_place_or_twice_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, index) = whole(folder.path(), RECORDS);
    let chunk = |k: usize| {
        let found = &index.chunk_indexes[k];
        let start = found.chunk_start_offset as usize;
        bytes[start..start + found.chunk_length as usize].to_vec()
    };
    let count = index.chunk_indexes.len();
    assert!(count > 4, "{count} chunks");
    let head = &bytes[..index.chunk_indexes[0].chunk_start_offset as usize];
    let of = |order: &[usize]| [head.to_vec(), order.iter().flat_map(|&k| chunk(k)).collect()].concat();
    let all: Vec<usize> = (0..count).collect();
    let mut swapped = all.clone();
    swapped.swap(2, 3);
    let mut twice = all.clone();
    twice.insert(3, 2);
    let in_chunk = index.stream_chunk(&bytes, &index.chunk_indexes[2]).unwrap().count() as u64;
    for (order, repeated, lost) in [
        (&all, 0, 0),
        (&swapped, 0, 0),
        (&twice, in_chunk, 0),
        (&[&all[..2], &all[3..]].concat(), 0, in_chunk),
    ] {
        let path = folder.path().join("moved.mcap.part");
        fs::write(&path, of(order)).unwrap();
        let found = numbers(&path);
        assert_eq!(found.len() as u64, RECORDS - lost, "{order:?}");
        let mut reader = Reader::open(&path).unwrap();
        while !matches!(reader.next_record(), Ok(None)) {}
        assert_eq!((reader.lost_records(), reader.repeated_records()), (lost, repeated), "{order:?}");
        let out = folder.path().join("out.mcap");
        let report = recover(&path, Some(&out)).unwrap();
        assert_eq!(
            (report.records, report.lost_records, report.repeated_records),
            (RECORDS - lost, lost, repeated),
            "{order:?}"
        );
        fs::remove_file(out).unwrap();
    }
}

#[test]
fn an_end_that_a_closed_file_lost_is_known_by_its_first_record_and_its_gaps_only() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, index) = whole(folder.path(), RECORDS);
    let first = &index.chunk_indexes[0];
    let lost = index.stream_chunk(&bytes, first).unwrap().count() as u64;
    let last = index.chunk_indexes.last().unwrap();
    // Without the first chunk and everything after the last.
    let head = first.chunk_start_offset as usize;
    let rest = (first.chunk_start_offset + first.chunk_length) as usize;
    let cut = [&bytes[..head], &bytes[rest..(last.chunk_start_offset + last.chunk_length) as usize]].concat();
    let path = folder.path().join("cut.mcap.part");
    fs::write(&path, cut).unwrap();
    let report = recover(&path, None).unwrap();
    assert_eq!(
        (report.records, report.lost_records),
        (RECORDS - lost, lost),
        "the first file of a stream begins with 0"
    );
}
