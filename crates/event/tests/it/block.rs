//! A block of spans behaves like a plain list of events.

use bytes::Bytes;
use proptest::prelude::*;
use tamis_event::{Block, Event, FrameEvents, FrameHeader, FrameMeta, Schema, Span, encode_frame};

use crate::{raw_schema, schema_of};

/// An event by itself.
#[derive(Clone, Debug, PartialEq)]
struct Own {
    source: u16,
    id: u64,
    time_ns: u64,
    record: Vec<u8>,
    payload: Vec<u8>,
}

impl Own {
    fn as_event(&self) -> Event<'_> {
        let Self { source, id, time_ns, ref record, ref payload } = *self;
        Event { source, id, time_ns, record, payload }
    }
}

/// Which columns a frame has.
#[derive(Clone, Copy, Debug)]
struct Columns {
    ids: bool,
    times: bool,
}

/// Id, time, record and payload of an event that goes in.
type Given = (u64, u64, [u8; 3], Vec<u8>);

/// The events of one frame as they go in, those that are cut off at both ends, and how the rest is treated.
#[derive(Clone, Debug)]
struct Piece {
    events: Vec<Given>,
    source: u16,
    columns: Columns,
    front: usize,
    back: usize,
    copied: bool,
    shift: u64,
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let payload = prop::collection::vec(any::<u8>(), 0..9);
    let event = (0..u64::MAX / 2, any::<u64>(), any::<[u8; 3]>(), payload);
    let treated = (0usize..3, 0usize..3, any::<bool>(), 0u64..1000);
    let columns = (any::<bool>(), any::<bool>()).prop_map(|(ids, times)| Columns { ids, times });
    let piece = (prop::collection::vec(event, 1..9), any::<u16>(), columns, treated);
    let piece = piece.prop_map(|(events, source, columns, (front, back, copied, shift))| {
        let front = front.min(events.len());
        let back = back.min(events.len() - front);
        Piece { events, source, columns, front, back, copied, shift }
    });
    prop::collection::vec(piece, 0..7)
}

/// The span of a piece, by way of a frame, and its events as they should come out.
fn span_of(piece: &Piece, schema: &Schema) -> (Span, Vec<Own>) {
    let Piece { ref events, source, columns, front, back, copied, shift } = *piece;
    let has_payloads = schema.payload().is_some();
    let of_each = |is_there: bool, each: fn(&Given) -> u64| {
        if is_there { events.iter().map(each).collect() } else { Vec::new() }
    };
    let ids = of_each(columns.ids, |event| event.0);
    let times = of_each(columns.times, |event| event.1);
    let records: Vec<u8> = events.iter().flat_map(|event| event.2).collect();
    let payloads: Vec<u8> =
        events.iter().flat_map(|event| event.3.clone()).filter(|_| has_payloads).collect();
    let mut end = 0;
    let ends = events.iter().map(|event| {
        end += event.3.len() as u32;
        end
    });
    let ends: Vec<u32> = ends.filter(|_| has_payloads).collect();
    let meta = FrameMeta {
        source_id: source,
        first_event_id: events[0].0,
        time_ns: events[0].1,
        ..FrameMeta::default()
    };
    let mut frame = Vec::new();
    let parts = FrameEvents { records: &records, ids: &ids, times: &times, ends: &ends, payloads: &payloads };
    encode_frame(schema, meta, parts, &mut frame);
    let header = FrameHeader::read(&frame).unwrap();
    let span = Span::of_frame(&header, &Bytes::from(frame).slice(header.body()));
    let span = span.slice(front, events.len() - back).shifted(shift);
    let own = events.iter().enumerate().map(|(k, event)| Own {
        source,
        id: shift + if columns.ids { event.0 } else { events[0].0 + k as u64 },
        time_ns: if columns.times { event.1 } else { events[0].1 },
        record: event.2.to_vec(),
        payload: if has_payloads { event.3.clone() } else { Vec::new() },
    });
    let own = own.skip(front).take(events.len() - back - front).collect();
    (if copied { span.copied() } else { span }, own)
}

proptest! {
    #[test]
    fn a_block_is_a_list_of_events(
        pieces in pieces(),
        has_payloads in any::<bool>(),
        ends in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        reused in any::<bool>(),
    ) {
        let schema = if has_payloads { raw_schema() } else { schema_of(3) };
        let mut block = Block::new(3);
        if reused {
            block.push(Span::of_records(0, 0, 0, 3, Bytes::from_static(&[0; 6])));
        }
        block.reset(4, 5);
        // The oracle: every event by itself.
        let mut naive: Vec<Own> = Vec::new();
        for piece in &pieces {
            let (span, own) = span_of(piece, &schema);
            prop_assert_eq!(span.payload_bytes(), own.iter().map(|event| event.payload.len()).sum::<usize>());
            naive.extend(own);
            block.push(span);
        }
        prop_assert_eq!((block.len(), block.is_empty(), block.run(), block.segment()), (naive.len(), naive.is_empty(), 4, 5));

        for (index, event) in naive.iter().enumerate() {
            prop_assert_eq!(block.event(index), event.as_event());
            prop_assert_eq!(block.id(index), event.id);
        }

        let (a, b) = (ends.0.index(naive.len() + 1), ends.1.index(naive.len() + 1));
        let range = a.min(b)..a.max(b);
        let mut found = Vec::new();
        block.for_each_run(range.clone(), |first, records| {
            assert!(!records.is_empty(), "a run has events");
            found.extend(records.chunks(3).enumerate().map(|(k, record)| (first + k, record.to_vec())));
        });
        let wanted: Vec<_> = range.map(|index| (index, naive[index].record.clone())).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn as_many_events_fit_as_their_payloads_leave_room_for(
        lens in prop::collection::vec(0usize..20, 1..9),
        from in any::<prop::sample::Index>(),
        room in 0usize..60,
    ) {
        let events = lens.iter().map(|&len| (0, 0, [0; 3], vec![1; len])).collect();
        let columns = Columns { ids: false, times: false };
        let piece = Piece { events, source: 0, columns, front: 0, back: 0, copied: false, shift: 0 };
        let (span, _) = span_of(&piece, &raw_schema());
        let from = from.index(lens.len());
        let naive = (1..=lens.len() - from).take_while(|&n| lens[from..from + n].iter().sum::<usize>() <= room).last();
        prop_assert_eq!(span.fitting(from, lens.len(), room), naive.unwrap_or(1));
    }

    #[test]
    fn one_event_is_a_span_of_its_own(source in any::<u16>(), id in any::<u64>(), record in any::<[u8; 5]>(), payload in prop::collection::vec(any::<u8>(), 0..40)) {
        let event = Event { source, id, time_ns: id / 3, record: &record, payload: &payload };
        let span = Span::of_event(event);
        prop_assert_eq!(span.event(0), event);
    }
}
