//! Files that were cut or changed: damage is found and survived, and everything whole is recovered.

use std::{fs, path::Path};

use tamis_event::record::RecordError;
use tamis_store::{Ending, Flaw, Reader, RecoverError, check, recover, summary};

use crate::sample::{ids, record, write_file};

/// Reads a damaged file in every way. Returns the number of correct records.
fn read_all(path: &Path, event_len: usize) -> u64 {
    let Ok(mut reader) = Reader::open(path) else { return 0 };
    let mut good = 0;
    loop {
        match reader.next_record() {
            Ok(Some(entry)) => {
                good += u64::from(entry.record == record(u64::from(entry.sequence), event_len));
            }
            Ok(None) => break,
            Err(_) => {}
        }
    }
    assert!(reader.ending().is_some());
    assert!(summary(path).unwrap().records >= good);
    good
}

#[test]
fn every_changed_byte_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), 40, 30);
    let whole = fs::read(&path).unwrap();
    assert!(check(&path).unwrap().is_clean());
    let read = mcap::Summary::read(&whole).unwrap().unwrap();
    // Names and data of the attachments: between their fronts and their CRCs.
    let inner = |index: &mcap::records::AttachmentIndex| {
        let end = (index.offset + index.length) as usize - 4;
        end - index.data_size as usize..end
    };
    let attachments: Vec<_> = read.attachment_indexes.iter().map(inner).collect();
    let changed = folder.path().join("changed.mcap");
    for at in 0..whole.len() {
        for mask in [0x01, 0xFF] {
            let mut bytes = whole.clone();
            bytes[at] ^= mask;
            fs::write(&changed, &bytes).unwrap();
            let clean = check(&changed).is_ok_and(|report| report.is_clean());
            let in_attachment = attachments.iter().any(|range| range.contains(&at));
            if in_attachment {
                let problems = check(&changed).unwrap().problems;
                assert!(matches!(problems[0].flaw, Flaw::AttachmentCrc { .. }), "{problems:?}");
            }
            assert!(!clean, "byte {at} of {} changed by {mask:#04x} and nobody sees it", whole.len());
            let read = read_all(&changed, 30);
            assert!(at >= 8 || read == 40, "{read} of 40 events behind the magic");
        }
    }
    fs::write(&changed, [&whole[..], &[0]].concat()).unwrap();
    assert_eq!(check(&changed).unwrap().problems[0].flaw, Flaw::Trailing);
}

/// Whatever bit of an opcode or a length is wrong, the events of all other chunks are read. Every third bit of each record: there are several of each
/// kind.
#[test]
fn a_wrong_front_of_a_record_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), 5_000, 116);
    let whole = fs::read(&path).unwrap();
    let summary = mcap::Summary::read(&whole).unwrap().unwrap();
    assert!(summary.chunk_indexes.len() > 2, "{} chunks", summary.chunk_indexes.len());
    let events_at = |at: usize| {
        let index = summary.chunk_indexes.iter().find(|index| index.chunk_start_offset == at as u64);
        index.map_or(0, |index| summary.stream_chunk(&whole, index).unwrap().count() as u64)
    };
    let changed = folder.path().join("changed.mcap");
    let mut at = 8;
    while at + 9 < whole.len() {
        let length = u64::from_le_bytes(whole[at + 1..at + 9].try_into().unwrap());
        for bit in (0..72).filter(|bit| (bit + at) % 3 == 0) {
            let mut bytes = whole.clone();
            bytes[at + bit / 8] ^= 1 << (bit % 8);
            fs::write(&changed, &bytes).unwrap();
            let read = read_all(&changed, 116);
            let opcode = whole[at];
            assert_eq!(read, 5_000 - events_at(at), "bit {bit} of the record {opcode} at byte {at}");
        }
        at += 9 + length as usize;
    }
}

#[test]
fn every_cut_keeps_the_whole_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), 5_000, 116);
    let whole = fs::read(&path).unwrap();
    let read = mcap::Summary::read(&whole).unwrap().unwrap();
    // Number of records in the whole chunks before a byte, according to the file's index.
    let before = |cut: usize| -> u64 {
        let is_whole =
            |index: &&mcap::records::ChunkIndex| index.chunk_start_offset + index.chunk_length <= cut as u64;
        let chunks = read.chunk_indexes.iter().filter(is_whole);
        chunks.map(|index| read.stream_chunk(&whole, index).unwrap().count() as u64).sum()
    };
    let edges = read.chunk_indexes.iter().flat_map(|index| {
        let start = index.chunk_start_offset as usize;
        let end = (index.chunk_start_offset + index.chunk_length) as usize;
        [start, start + 1, start + 9, start + 40, (start + end) / 2, end - 1, end, end + 1, end + 9]
    });
    let cuts = (0..400).step_by(23).chain(edges).chain((whole.len() - 700..whole.len()).step_by(13));
    let part = folder.path().join("cut.mcap.part");
    for cut in cuts {
        fs::write(&part, &whole[..cut]).unwrap();
        let expected = before(cut);
        assert_eq!(read_all(&part, 116), expected, "cut at {cut}");
        assert!(!check(&part).is_ok_and(|report| report.is_clean()));
        let output = folder.path().join("cut.mcap");
        match recover(&part, None) {
            Ok(report) => {
                assert_eq!((report.records, &report.file), (expected, &output), "cut at {cut}");
                assert!(matches!(report.ending, Ending::Torn { .. }));
                assert!(check(&output).unwrap().is_clean());
                assert!(ids(&output, 116).into_iter().eq(0..expected));
                assert_eq!(Reader::open(&output).unwrap().attachments().len(), 4);
                assert!(matches!(recover(&part, None), Err(RecoverError::Exists { .. })), "overwritten");
                fs::remove_file(&output).unwrap();
            }
            Err(RecoverError::Nothing { .. } | RecoverError::Read(_)) => {
                assert_eq!(expected, 0, "cut at {cut}: not recovered");
                assert!(!output.exists());
            }
            Err(error) => panic!("cut at {cut}: {error}"),
        }
        assert_eq!(fs::read(&part).unwrap(), &whole[..cut], "the input is only read");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no file is left over");
    }
}

#[test]
fn a_bad_chunk_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), 9_000, 116);
    let mut bytes = fs::read(&path).unwrap();
    let read = mcap::Summary::read(&bytes).unwrap().unwrap();
    let chunk = &read.chunk_indexes[2];
    let lost = read.stream_chunk(&bytes, chunk).unwrap().count() as u64;
    bytes[chunk.chunk_start_offset as usize + 300] ^= 0x10;
    let bad = folder.path().join("bad.mcap");
    fs::write(&bad, &bytes).unwrap();
    let report = check(&bad).unwrap();
    assert_eq!((report.records, report.problems[0].at), (9_000 - lost, chunk.chunk_start_offset));
    let recovered = recover(&bad, Some(&folder.path().join("good.mcap"))).unwrap();
    assert_eq!((recovered.records, recovered.lost_bytes), (9_000 - lost, chunk.chunk_length));
    assert_eq!(ids(&recovered.file, 116).len() as u64, 9_000 - lost);
    // The gap in the record numbers remains; everything else is right.
    let problems = check(&recovered.file).unwrap().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn lengths_that_lie_cost_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lie.mcap.part");
    let lie = |opcode: u8, length: u64, body: &[u8]| {
        let mut bytes = mcap::MAGIC.to_vec();
        bytes.push(opcode);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(body);
        fs::write(&path, bytes).unwrap();
        read_all(&path, 0);
        assert!(!check(&path).unwrap().is_clean());
    };
    for opcode in 0..=16 {
        for length in [0, 1, 22, 100 << 20, 1 << 31, 1 << 40, u64::MAX] {
            lie(opcode, length, b"");
        }
        // Strings and blocks whose lengths exceed the record.
        for len in [0_usize, 3, 8, 16, 20, 28, 32, 60] {
            lie(opcode, len as u64, &vec![0xFF; len]);
            lie(opcode, len as u64, &vec![0; len]);
        }
    }
    // A chunk that claims 2^63 bytes, and one that unpacks to more bytes than it claims.
    let packed = zstd::bulk::compress(&vec![0; 50 << 20], 1).unwrap();
    for stated in [1 << 63, 67 << 20, 50, 0] {
        let mut body = vec![0; 16];
        body.extend_from_slice(&u64::to_le_bytes(stated));
        body.extend_from_slice(&[0; 4]);
        body.extend_from_slice(&[4, 0, 0, 0]);
        body.extend_from_slice(b"zstd");
        body.extend_from_slice(&(packed.len() as u64).to_le_bytes());
        body.extend_from_slice(&packed);
        lie(6, body.len() as u64, &body);
        assert_eq!(summary(&path).unwrap().damaged, 1, "a chunk that states {stated} bytes");
    }
}

/// Files whose CRCs are all right but whose contents are wrong, as another program might make them.
#[test]
fn well_formed_lies_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lie.mcap");
    let mut writer = mcap::Writer::new(fs::File::create(&path).unwrap()).unwrap();
    let mut channel = |encoding| writer.add_channel(0, "physics", encoding, &Default::default()).unwrap();
    let (ours, other) = (channel("x-tamis-record"), channel("json"));
    let mut write = |channel_id, sequence, log_time, data: &[u8]| {
        let header = mcap::records::MessageHeader { channel_id, sequence, log_time, publish_time: log_time };
        writer.write_to_known_channel(&header, data).unwrap();
    };
    let good = record(4, 116);
    let mut bad_crc = good.clone();
    bad_crc[90] ^= 1;
    write(ours, u32::MAX, 100, &good);
    write(ours, 0, 100, &good);
    write(ours, 1, 101, &good);
    write(other, 2, 100, &good);
    write(ours, 3, 100, &bad_crc);
    write(ours, 3, 100, &good);
    write(ours, 5, 100, &good[..50]);
    writer.finish().unwrap();
    let report = check(&path).unwrap();
    let found: Vec<_> =
        report.problems.iter().map(|problem| (problem.record, problem.flaw.clone())).collect();
    let (stored, computed) = match found[3].1 {
        Flaw::Record(RecordError::Crc { computed, stored }) => (stored, computed),
        ref flaw => panic!("{flaw}"),
    };
    let expected = [
        (None, Flaw::Channel { channel: other }),
        (Some(2), Flaw::Time { indexed: 101, record: 100 }),
        (Some(3), Flaw::Channel { channel: other }),
        (Some(4), Flaw::Record(RecordError::Crc { computed, stored })),
        (Some(5), Flaw::Sequence { before: 3, found: 3 }),
        (Some(6), Flaw::Sequence { before: 3, found: 5 }),
        (Some(6), Flaw::Record(RecordError::Short { bytes: 50, needed: 88 })),
    ];
    assert_eq!(found, expected);
    assert_eq!((report.records, report.problem_count), (7, 7));
}

/// A summary may be wrong although its CRC is right.
#[test]
fn a_summary_that_lies_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), 40, 30);
    let whole = fs::read(&path).unwrap();
    let read = mcap::Summary::read(&whole).unwrap().unwrap();
    let position = |bytes: &[u8]| whole.windows(bytes.len()).rposition(|window| window == bytes).unwrap();
    // Statistics: opcode 11, length, then 40 messages; the index of the second chunk: opcode 8, length, times, offset.
    let statistics = position(&[40, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 4, 0, 0, 0]);
    let index = position(&read.chunk_indexes[1].chunk_start_offset.to_le_bytes());
    let footer = whole.len() - 8 - 20;
    let start = u64::from_le_bytes(whole[footer..footer + 8].try_into().unwrap()) as usize;
    let lie = folder.path().join("lie.mcap");
    for (at, what) in [(statistics, "records"), (statistics + 14, "attachments"), (statistics + 22, "chunks")]
    {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fix_summary_crc(&mut bytes, start, footer + 16);
        fs::write(&lie, bytes).unwrap();
        let problems = check(&lie).unwrap().problems;
        let lied = |flaw: &Flaw| matches!(flaw, Flaw::Count { what: found, .. } if *found == what);
        assert!(problems.len() == 1 && lied(&problems[0].flaw), "{problems:?}");
    }
    let mut bytes = whole.clone();
    bytes[index] ^= 1;
    fix_summary_crc(&mut bytes, start, footer + 16);
    fs::write(&lie, bytes).unwrap();
    let problems = check(&lie).unwrap().problems;
    assert!(problems.len() == 1 && matches!(problems[0].flaw, Flaw::Index { .. }), "{problems:?}");
}

fn fix_summary_crc(bytes: &mut [u8], start: usize, crc: usize) {
    let fixed = crc32fast::hash(&bytes[start..crc]).to_le_bytes();
    bytes[crc..crc + 4].copy_from_slice(&fixed);
}
