//! A block of spans behaves like a plain list of events.

use bytes::Bytes;
use proptest::prelude::*;
use tamis_event::{Block, Span};

proptest! {
    #[test]
    fn a_block_is_a_list_of_events(
        spans in prop::collection::vec((any::<u16>(), 0..u64::MAX - 100, 0usize..9), 0..7),
        ends in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        reused in any::<bool>(),
    ) {
        let stride = 3;
        let mut block = Block::new(stride);
        if reused {
            block.push(Span { source: 0, first_id: 0, time_ns: 0, events: 2, bytes: Bytes::from_static(&[0; 6]) });
        }
        block.reset(4, 5);
        // The oracle: every event by itself.
        let mut naive: Vec<(u16, u64, Vec<u8>)> = Vec::new();
        for &(source, first_id, events) in &spans {
            let bytes: Vec<u8> = (0..events * stride).map(|k| (naive.len() * stride + k) as u8).collect();
            let records = bytes.chunks(stride).enumerate();
            naive.extend(records.map(|(k, record)| (source, first_id + k as u64, record.to_vec())));
            block.push(Span { source, first_id, time_ns: 1, events, bytes: bytes.into() });
        }
        prop_assert_eq!((block.len(), block.is_empty(), block.run(), block.segment()), (naive.len(), naive.is_empty(), 4, 5));

        for (index, (source, id, record)) in naive.iter().enumerate() {
            let (span, found_id, found) = block.event(index);
            prop_assert_eq!((span.source, found_id, found), (*source, *id, &record[..]));
        }

        let (a, b) = (ends.0.index(naive.len() + 1), ends.1.index(naive.len() + 1));
        let range = a.min(b)..a.max(b);
        let mut found = Vec::new();
        block.for_each_run(range.clone(), |first, id, bytes| {
            assert!(!bytes.is_empty(), "a run has events");
            found.extend(bytes.chunks(stride).enumerate().map(|(k, record)| (first + k, id + k as u64, record.to_vec())));
        });
        let wanted: Vec<_> = range.map(|index| (index, naive[index].1, naive[index].2.clone())).collect();
        prop_assert_eq!(found, wanted);
    }
}
