//! The scanner against streams that are cut, flipped, torn and random.

use proptest::prelude::*;
use tamis_event::{
    BODY_BYTES_MAX, Defect, EVENTS_PER_FRAME_MAX, FrameHeader, HEADER_LEN, PLAIN_BODY_BYTES_MAX, Scanned,
    Scanner, Schema, SegmentId,
};

use crate::{frame, schema_frame, schema_of};

/// What a scanner made of a stream.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// First id and body of every event frame.
    frames: Vec<(u64, Vec<u8>)>,
    defects: Vec<(Defect, u64)>,
    schemas: usize,
    /// Bytes of good frames.
    good_bytes: usize,
}

/// Drives a scanner as a reader must, showing it more bytes in steps that `cuts` gives (in turn), and checks its contract on the way.
fn scan(schema: &Schema, stream: &[u8], cuts: &[usize]) -> Seen {
    let mut scanner = Scanner::new(schema);
    let mut seen = Seen::default();
    let mut at = 0;
    let mut shown = 0;
    let mut turn = 0;
    loop {
        let at_end = shown == stream.len();
        let consumed = match scanner.step(&stream[at..shown], at_end) {
            Scanned::Frame { header, body, consumed } => {
                seen.frames.push((header.first_event_id, stream[at..shown][body].to_vec()));
                seen.good_bytes += consumed;
                consumed
            }
            Scanned::Schema { consumed, .. } => {
                seen.schemas += 1;
                seen.good_bytes += consumed;
                consumed
            }
            Scanned::Defect { defect, events, consumed, .. } => {
                seen.defects.push((defect, events));
                consumed
            }
            Scanned::Skip { consumed } => consumed,
            Scanned::NeedMore { bytes } => {
                assert!(!at_end, "nothing more will come");
                assert!(bytes > shown - at, "asks for what it has");
                assert!(
                    bytes <= BODY_BYTES_MAX + 3 * HEADER_LEN + 20 * EVENTS_PER_FRAME_MAX,
                    "asks for {bytes} bytes"
                );
                shown = stream.len().min(shown + cuts[turn % cuts.len()].max(1));
                turn += 1;
                continue;
            }
            Scanned::End => {
                assert!(at_end && at == stream.len());
                return seen;
            }
        };
        assert!(consumed >= 1 && at + consumed <= shown, "consumed {consumed} of {}", shown - at);
        at += consumed;
    }
}

fn bodies(stride: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let body = (1usize..6).prop_flat_map(move |n| prop::collection::vec(any::<u8>(), n * stride));
    prop::collection::vec(body, 1..8)
}

/// The stream of these bodies and what a scanner must see in it.
fn stream_of(schema: &Schema, bodies: &[Vec<u8>]) -> (Vec<u8>, Seen) {
    let mut stream = schema_frame(schema);
    let mut wanted = Seen { schemas: 1, ..Seen::default() };
    let mut id = 1 << 40;
    for body in bodies {
        stream.extend(frame(schema, id, body));
        wanted.frames.push((id, body.clone()));
        id += (body.len() / schema.record_len()) as u64;
    }
    wanted.good_bytes = stream.len();
    (stream, wanted)
}

proptest! {
    #[test]
    fn frames_come_back_wherever_the_windows_are_cut(
        (stride, bodies) in (1usize..70).prop_flat_map(|stride| (Just(stride), bodies(stride))),
        cuts in prop::collection::vec(1usize..200, 1..6),
    ) {
        let schema = schema_of(stride);
        let (stream, wanted) = stream_of(&schema, &bodies);
        prop_assert_eq!(scan(&schema, &stream, &cuts), wanted);
    }

    #[test]
    fn garbage_between_frames_costs_one_defect_each_and_no_event(
        bodies in bodies(5),
        garbage in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..150), 8),
        cuts in prop::collection::vec(1usize..300, 1..4),
    ) {
        let schema = schema_of(5);
        let mut stream = schema_frame(&schema);
        let wanted = stream_of(&schema, &bodies).1;
        let mut spoiled = 0;
        for ((id, body), garbage) in wanted.frames.iter().zip(&garbage) {
            stream.extend(garbage);
            spoiled += usize::from(!garbage.is_empty());
            stream.extend(frame(&schema, *id, body));
        }
        let seen = scan(&schema, &stream, &cuts);
        prop_assert_eq!(seen.frames, wanted.frames);
        prop_assert_eq!(seen.defects, vec![(Defect::Magic, 0); spoiled]);
        prop_assert_eq!(seen.good_bytes, wanted.good_bytes);
    }

    /// Headers are drawn near the truth and sealed, so that every check behind the checksum is reached.
    #[test]
    fn no_header_makes_the_scanner_fail_or_stall(
        lies in prop::collection::vec((0usize..16, prop::sample::select(vec![0u32, 1, 2, 5, 64, 1 << 16, 1 << 24, 1 << 31, u32::MAX])), 0..4),
        seal in any::<bool>(),
        cuts in prop::collection::vec(1usize..300, 1..4),
    ) {
        let schema = schema_of(5);
        let good = frame(&schema, 7, &[1; 15]);
        let mut header = good[..HEADER_LEN].to_vec();
        for (word, value) in &lies {
            header[word * 4..][..4].copy_from_slice(&value.to_le_bytes());
        }
        if seal {
            let read = FrameHeader::read(&header).unwrap();
            header = FrameHeader { header_crc: read.checksum(), ..read }.to_bytes().to_vec();
        }
        let stream = [&header[..], &good[HEADER_LEN..], &good].concat();
        let seen = scan(&schema, &stream, &cuts);
        prop_assert_eq!(seen.frames.last(), Some(&(7, vec![1; 15])));
        prop_assert!(seen.frames.len() + seen.defects.len() + seen.schemas >= 1);
    }

    #[test]
    fn random_bytes_are_consumed_to_the_end(
        bytes in prop::collection::vec(prop::sample::select(b"TAMF\x02\x00\x40\x03".to_vec()), 0..400),
        cuts in prop::collection::vec(1usize..90, 1..4),
    ) {
        let seen = scan(&schema_of(5), &bytes, &cuts);
        prop_assert!(seen.frames.is_empty());
        prop_assert_eq!(seen.defects.len(), usize::from(!bytes.is_empty()), "one stretch, one cause");
    }
}

fn three_frames(schema: &Schema) -> (Vec<u8>, Seen) {
    stream_of(schema, &[vec![1; 70], vec![2; 28], vec![3; 140]])
}

#[test]
fn a_stream_cut_at_any_byte_loses_only_the_frame_that_was_cut() {
    let schema = schema_of(14);
    let (stream, whole) = three_frames(&schema);
    let ends: Vec<usize> = (1..=3)
        .map(|n| {
            stream_of(&schema, &whole.frames.iter().take(n).map(|f| f.1.clone()).collect::<Vec<_>>()).0.len()
        })
        .collect();
    for cut in schema_frame(&schema).len()..stream.len() {
        let seen = scan(&schema, &stream[..cut], &[37]);
        // Padding carries nothing: a frame without its padding is whole.
        let paddings = whole.frames.iter().map(|(_, body)| body.len().next_multiple_of(64) - body.len());
        let whole_frames = ends.iter().zip(paddings).filter(|&(end, padding)| cut >= end - padding).count();
        assert_eq!(seen.frames, whole.frames[..whole_frames], "cut at {cut}");
        let starts = ends.iter().filter(|&&end| cut >= end).count();
        let torn = starts == whole_frames
            && cut > ends.get(starts.wrapping_sub(1)).copied().unwrap_or(schema_frame(&schema).len());
        assert_eq!(seen.defects.len(), usize::from(torn), "cut at {cut}: {:?}", seen.defects);
        if let Some(&(defect, events)) = seen.defects.first() {
            let inside =
                cut - ends.get(starts.wrapping_sub(1)).copied().unwrap_or(schema_frame(&schema).len());
            let announced = if inside < HEADER_LEN { 0 } else { whole.frames[starts].1.len() as u64 / 14 };
            // Fewer than four bytes cannot show that a frame began.
            assert_eq!(
                (defect, events),
                (if inside < 4 { Defect::Magic } else { Defect::Torn }, announced),
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn no_flipped_bit_is_accepted_and_the_other_frames_survive() {
    let schema = schema_of(14);
    let (stream, whole) = three_frames(&schema);
    let start = schema_frame(&schema).len() + HEADER_LEN + 128;
    let victim_len = HEADER_LEN + 28;
    let survivors = [whole.frames[0].clone(), whole.frames[2].clone()];
    for bit in 0..victim_len * 8 {
        let mut damaged = stream.clone();
        damaged[start + bit / 8] ^= 1 << (bit % 8);
        let seen = scan(&schema, &damaged, &[1000]);
        assert_eq!(seen.frames, survivors, "bit {bit}");
        let wanted = match bit / 8 {
            0..4 => (Defect::Magic, 0),
            4..8 => (Defect::Version, 0),
            8..HEADER_LEN => (Defect::Header, 0),
            _ => (Defect::Crc, 2),
        };
        assert_eq!(seen.defects, [wanted], "bit {bit}");
    }
}

#[test]
fn lengths_that_lie_have_their_causes() {
    let schema = schema_of(14);
    let body = vec![9; 42];
    let good = frame(&schema, 50, &body);
    let truth = FrameHeader::read(&good).unwrap();
    let limit = PLAIN_BODY_BYTES_MAX as u32;
    #[rustfmt::skip]
    let lies = [
        ("no body",               FrameHeader { body_len: 0, ..truth },                                    Defect::Length),
        ("body too short",        FrameHeader { body_len: 41, ..truth },                                   Defect::Length),
        ("body too long",         FrameHeader { body_len: 43, ..truth },                                   Defect::Length),
        ("body at the limit",     FrameHeader { body_len: limit, ..truth },                                Defect::Length),
        ("body over it",          FrameHeader { body_len: limit + 1, ..truth },                            Defect::Oversize),
        ("2^31",                  FrameHeader { body_len: 1 << 31, ..truth },                              Defect::Oversize),
        ("consistent and huge",   FrameHeader { body_len: 14 << 25, n_events: 1 << 25, ..truth },          Defect::Oversize),
        ("no events",             FrameHeader { n_events: 0, body_len: 0, ..truth },                       Defect::Zero),
        ("no stride",             FrameHeader { stride: 0, body_len: 0, ..truth },                         Defect::Zero),
        ("product wraps to 0",    FrameHeader { n_events: 1 << 16, stride: 1 << 16, body_len: 0, ..truth }, Defect::Length),
        ("too many events",       FrameHeader { n_events: 65_537, stride: 14, body_len: 65_537 * 14, ..truth }, Defect::Length),
        ("another stride",        FrameHeader { n_events: 1, stride: 42, ..truth },                           Defect::Length),
        ("ids overflow",          FrameHeader { first_event_id: u64::MAX - 1, ..truth },                      Defect::Length),
        ("schema frame, events",  FrameHeader { flags: 1, ..truth },                                          Defect::Length),
        ("unknown flag",          FrameHeader { flags: 32, ..truth },                                          Defect::Length),
    ];
    for (name, lie, cause) in lies {
        let mut stream = FrameHeader { header_crc: lie.checksum(), ..lie }.to_bytes().to_vec();
        stream.extend(&good[HEADER_LEN..]);
        stream.extend(&good);
        let seen = scan(&schema, &stream, &[500]);
        assert_eq!(seen.defects, [(cause, 0)], "{name}");
        // What says that so much belongs to it has the next frame inside.
        let is_inside = name == "too many events";
        assert_eq!(seen.frames.is_empty(), is_inside, "{name}");
        assert!(is_inside || seen.frames == [(50, body.clone())], "{name}");
    }
    let last = FrameHeader { first_event_id: u64::MAX - 2, ..truth };
    let stream = [&last.sealed(&body).to_bytes()[..], &good[HEADER_LEN..]].concat();
    assert_eq!(scan(&schema, &stream, &[500]).frames, [(u64::MAX - 2, body)], "the last id that exists");
}

#[test]
fn a_scanner_without_a_schema_shows_the_schema_and_no_event() {
    let schema = schema_of(14);
    let stream = three_frames(&schema).0;
    let mut scanner = Scanner::for_unknown_schema();
    let Scanned::Schema { body, consumed, .. } = scanner.step(&stream, true) else {
        panic!("the schema comes first")
    };
    assert_eq!(&stream[body], schema.text().as_bytes());
    assert!(matches!(
        scanner.step(&stream[consumed..], true),
        Scanned::Defect { defect: Defect::Schema, events: 5, .. }
    ));
}

/// Frames of ids from `GHOST` on lie inside bodies, and are no frames of the stream.
const GHOST: u64 = 1 << 60;

/// A body of a recording: frames back to back, and some bytes behind them, or none.
fn recording_inside(schema: &Schema, frames: usize, behind: usize) -> Vec<u8> {
    let mut body = schema_frame(schema);
    (0..frames as u64).for_each(|k| body.extend(frame(schema, GHOST + 5 * k, &[7; 5])));
    body.extend(vec![3; behind]);
    body
}

/// Frames of 1 byte per event, the second and the fourth of which hold recordings, and where each of them begins.
fn frames_with_recordings_inside(schema: &Schema) -> (Vec<u8>, Vec<usize>) {
    let bodies = [
        vec![1; 70],
        recording_inside(schema, 3, 200),
        vec![2; 9],
        recording_inside(schema, 2, 0),
        vec![3; 600],
    ];
    let mut stream = schema_frame(schema);
    let mut starts = Vec::new();
    for (k, body) in bodies.iter().enumerate() {
        starts.push(stream.len());
        stream.extend(frame(schema, 10_000 * k as u64, body));
    }
    (stream, starts)
}

/// The ids that a scanner finds, in windows of all sizes.
fn ids_in(schema: &Schema, stream: &[u8], what: &str) -> Vec<u64> {
    let seen = scan(schema, stream, &[usize::MAX]);
    assert_eq!(seen, scan(schema, stream, &[64, 1, 700]), "{what}: the cuts matter");
    let ids: Vec<u64> = seen.frames.iter().map(|(id, _)| *id).collect();
    assert!(ids.iter().all(|&id| id < GHOST), "{what}: a frame of a body was taken: {ids:?}");
    ids
}

#[test]
fn a_frame_inside_a_damaged_body_is_never_taken() {
    let schema = schema_of(1);
    let (stream, starts) = frames_with_recordings_inside(&schema);
    assert_eq!(ids_in(&schema, &stream, "whole"), [0, 10_000, 20_000, 30_000, 40_000]);
    for victim in [1, 3] {
        let start = starts[victim];
        let end = starts[victim + 1];
        let body_end = start + FrameHeader::read(&stream[start..]).unwrap().body().end;
        // A wrong byte anywhere in the header or the body; the frame behind it whole, or damaged, too.
        for at in start..end {
            if at >= body_end {
                continue;
            }
            let mut damaged = stream.clone();
            damaged[at] ^= 0x5a;
            let ids = ids_in(&schema, &damaged, &format!("byte {at}"));
            assert_eq!(ids.len(), 4, "byte {at}: {ids:?}");
            // Nobody knows where a frame ends if its header does not begin like one, or contradicts itself, and that of the next frame does so, too.
            let is_vague = |byte: usize| matches!(byte, 0..4 | 40..44 | 48..52 | 54..56);
            for next in (0..HEADER_LEN).filter(|&next| !is_vague(at - start) || !is_vague(next)) {
                let mut damaged = damaged.clone();
                damaged[end + next] ^= 1;
                let ids =
                    ids_in(&schema, &damaged, &format!("byte {at} and byte {next} of the frame behind"));
                assert_eq!(ids.len(), 3, "bytes {at} and {next}: {ids:?}");
            }
        }
        // The stream ends anywhere in it.
        for end in start + 4..body_end {
            assert_eq!(
                ids_in(&schema, &stream[..end], &format!("cut at {end}")).len(),
                victim,
                "cut at {end}"
            );
        }
        // Bytes are lost in it: the next frame that reaches beyond it is taken. Where it seems to end there may be a header by chance: not here.
        for lost in (1..end - start - HEADER_LEN).filter(|lost| lost % 64 != 0) {
            let damaged = [&stream[..start + HEADER_LEN], &stream[start + HEADER_LEN + lost..]].concat();
            let ids = ids_in(&schema, &damaged, &format!("{lost} bytes lost"));
            assert_eq!(ids.last(), Some(&40_000), "{lost} bytes lost");
        }
    }
}

/// Every bit of a header, in frames of several lengths: no other frame is lost, and none inside it is found.
#[test]
fn a_damaged_header_still_says_where_its_frame_ends() {
    for record_len in [1, 14, 64] {
        let schema = schema_of(record_len);
        let inside = recording_inside(&schema_of(1), 9, 0);
        for records in [1, 2, 3, 1_000usize.div_ceil(record_len)] {
            let mut outer = inside.clone();
            outer.resize(records * record_len, 5);
            // The frames inside are those of the stream's own schema.
            outer = frame(&schema, GHOST, &vec![7; record_len]).into_iter().chain(outer).collect();
            outer.resize(outer.len().next_multiple_of(record_len), 6);
            let sent = [vec![1; record_len], outer, vec![2; 3 * record_len], vec![3; record_len]];
            let mut stream = schema_frame(&schema);
            let mut starts = Vec::new();
            for (k, body) in sent.iter().enumerate() {
                starts.push(stream.len());
                stream.extend(frame(&schema, 10_000 * k as u64, body));
            }
            for bit in 0..HEADER_LEN * 8 {
                let mut damaged = stream.clone();
                damaged[starts[1] + bit / 8] ^= 1 << (bit % 8);
                let ids = ids_in(&schema, &damaged, &format!("{record_len} bytes per event, bit {bit}"));
                assert_eq!(ids, [0, 20_000, 30_000], "{record_len} bytes per event, bit {bit}");
            }
        }
    }
}

#[test]
fn the_frame_behind_a_cut_one_is_taken_if_it_reaches_further() {
    let schema = schema_of(1);
    let first = frame(&schema, 0, &[1; 500]);
    let second = frame(&schema, 500, &[2; 300]);
    let third = frame(&schema, 800, &[3; 500]);
    let behind = |cut: usize, rest: &[u8]| {
        let stream = [&schema_frame(&schema), &first[..cut], &second, &third, rest].concat();
        let seen = scan(&schema, &stream, &[99]);
        // Just the second frame is as long as what was cut out: then the first one seems to end where it says.
        let cause = if cut + second.len() == first.len() { Defect::Crc } else { Defect::Torn };
        assert_eq!(seen.defects[0], (cause, 500), "cut after {cut} bytes");
        seen.frames.iter().map(|(id, _)| *id).collect::<Vec<_>>()
    };
    for cut in HEADER_LEN..first.len() - 12 {
        let wanted: &[u64] = if cut + 300 > 500 { &[500, 800] } else { &[800] };
        assert_eq!(behind(cut, &[]), wanted, "cut after {cut} bytes");
        // Whatever follows.
        assert_eq!(behind(cut, &[9; 77]), wanted, "cut after {cut} bytes");
    }
}

#[test]
fn what_is_inside_a_lost_frame_is_counted_once_and_where_it_was_sent() {
    let schema = schema_of(1);
    // Headers that are right, and announce bodies that are not there.
    let size = 64 << 10;
    let lie = FrameHeader::read(&frame(&schema, GHOST, &vec![0; size])).unwrap();
    let outer = frame(&schema, 7, &lie.to_bytes().repeat(size / HEADER_LEN));
    let mut stream = [schema_frame(&schema), outer.clone(), vec![0; 100]].concat();
    let at = schema_frame(&schema).len();
    stream[at + HEADER_LEN + 5] ^= 1;
    assert_eq!(scan(&schema, &stream, &[1 << 14]).defects, [(Defect::Torn, size as u64)]);

    // Every cause behind a right header knows its place.
    let good = FrameHeader { run: 8, segment: 5, ..FrameHeader::read(&frame(&schema, 7, &[1; 30])).unwrap() };
    let resealed = |header: FrameHeader| FrameHeader { header_crc: header.checksum(), ..header };
    #[rustfmt::skip]
    let lost = [
        (Defect::Version,  1,  resealed(FrameHeader { version: 1, ..good })),
        (Defect::Oversize, 1,  resealed(FrameHeader { body_len: 1 << 30, ..good })),
        (Defect::Zero,     1,  resealed(FrameHeader { n_events: 0, ..good })),
        (Defect::Length,   1,  resealed(FrameHeader { flags: 32, ..good })),
        (Defect::Torn,     30, resealed(FrameHeader { ..good })),
        (Defect::Crc,      30, resealed(FrameHeader { body_crc: 1, ..good })),
        (Defect::Schema,   30, resealed(FrameHeader { schema_id: 1, ..good })),
    ];
    for (defect, events, header) in lost {
        let end = if defect == Defect::Torn { 70 } else { 128 };
        let bytes = [&header.to_bytes()[..], &[1; 30], &[0; 34]].concat();
        let found = Scanner::new(&schema).step(&bytes[..end], true);
        let Scanned::Defect { defect: cause, events: announced, segment, .. } = found else {
            panic!("{found:?}")
        };
        assert_eq!(
            (cause, announced.max(1), segment),
            (defect, events, Some(SegmentId { run: 8, segment: 5 }))
        );
        let broken = FrameHeader { header_crc: header.header_crc ^ 1, ..header };
        let found = Scanner::new(&schema).step(&broken.to_bytes(), true);
        assert!(matches!(found, Scanned::Defect { events: 0, segment: None, .. }), "{found:?}");
    }
}

/// One byte in front of a frame moves the lengths in its header by 8 bits, so that they agree still; and a frame begins where they end.
#[test]
fn garbage_in_front_of_a_frame_costs_no_frame() {
    let schema = schema_of(31);
    let frames: Vec<Vec<u8>> = (0..63).map(|id| frame(&schema, id, &[7; 31])).collect();
    let stream = [&[2][..], &frames[..62].concat(), &[0; 63], &frames[62]].concat();
    let header = FrameHeader::read(&stream).unwrap();
    assert_eq!((header.n_events * 31, header.body_len), (8000 - 64, 8000 - 64));
    assert!(FrameHeader::read(&stream[8000..]).unwrap().is_sealed());
    let mut scanner = Scanner::new(&schema);
    let mut at = 0;
    let mut found = 0;
    while at < stream.len() {
        at += match scanner.step(&stream[at..], true) {
            Scanned::Frame { consumed, .. } => {
                found += 1;
                consumed
            }
            Scanned::Defect { consumed, .. } | Scanned::Skip { consumed } => consumed,
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(found, 63);
}

#[test]
fn every_frame_of_another_version_is_a_unit() {
    let schema = schema_of(2);
    // Lengths that agree, and such as only a later version may understand.
    for n_events in [10, 3] {
        let frames: Vec<u8> = (0..100u64)
            .flat_map(|k| {
                let bytes = frame(&schema, 10 * k, &[k as u8; 20]);
                let header = FrameHeader { version: 1, n_events, ..FrameHeader::read(&bytes).unwrap() };
                let header = FrameHeader { header_crc: header.checksum(), ..header };
                [&header.to_bytes()[..], &bytes[HEADER_LEN..]].concat()
            })
            .collect();
        let stream = [schema_frame(&schema), frames].concat();
        assert_eq!(scan(&schema, &stream, &[333]).defects, [(Defect::Version, 0); 100], "{n_events} events");
    }
}
