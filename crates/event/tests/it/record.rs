//! Decision records: round trip, and no damage goes unseen.

use proptest::prelude::*;
use tamis_event::Event;
use tamis_event::record::{self, Record, RecordError, RecordHeader};

proptest! {
    #[test]
    fn what_was_appended_is_parsed(
        ids in any::<(u64, u64, u32, u16)>(),
        words in prop::collection::vec(any::<(u64, u64)>(), 0..4),
        scores in prop::collection::vec(any::<f32>(), 0..5),
        event in prop::collection::vec(any::<u8>(), 0..200),
        payload in prop::collection::vec(any::<u8>(), 0..200),
        before in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let (passed, kept): (Vec<u64>, Vec<u64>) = words.into_iter().unzip();
        let header = RecordHeader { event_id: ids.0, menu_hash: ids.1, run: ids.2, source_id: ids.3, ..RecordHeader::blank() };
        let mut out = before.clone();
        let len = record::append(header, &passed, &kept, scores.iter().copied(), Event { record: &event, payload: &payload, ..Event::default() }, &mut out);
        prop_assert_eq!(&out[..before.len()], &before[..]);
        prop_assert_eq!(len, out.len() - before.len());
        let record = Record::parse(&out[before.len()..]).unwrap();
        let found = record.header();
        prop_assert_eq!((found.event_id, found.menu_hash, found.run, found.source_id), ids);
        prop_assert!(record.passed().eq(passed) && record.kept().eq(kept));
        prop_assert!(record.scores().map(f32::to_bits).eq(scores.iter().map(|score| score.to_bits())), "NaN included");
        prop_assert_eq!((record.event().record, record.event().payload), (&event[..], &payload[..]));
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), front in 0usize..9) {
        let front = front.min(bytes.len());
        bytes[..front].copy_from_slice(&b"TAMR\x02\x00\x58\x00"[..front]);
        prop_assert!(Record::parse(&bytes).is_err());
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let mut whole = Vec::new();
    let event = Event { record: &[7; 20], payload: &[8; 9], ..Event::default() };
    record::append(RecordHeader::blank(), &[1], &[1], [0.5, 2.0].into_iter(), event, &mut whole);
    assert!(Record::parse(&whole).is_ok());
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Record::parse(&damaged).is_err(), "bit {bit}");
    }
    for cut in 0..whole.len() {
        assert!(matches!(Record::parse(&whole[..cut]), Err(RecordError::Short { .. })), "cut at {cut}");
    }
    whole.push(0);
    assert!(matches!(Record::parse(&whole), Err(RecordError::Long { .. })));
}
