//! Against section 3.1 of `SPEC.md`, read once more: plain sets, and the number of missing ids made anew after each frame.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use tamis_event::{FrameEvents, FrameMeta, Schema, encode_frame};

use super::*;

fn frame(segment: u32, first: u64, events: u32, sparse: bool) -> FrameIds {
    FrameIds { source: 1, run: 7, segment, first, events, sparse }
}

/// What came in one run, id by id.
#[derive(Default)]
struct Plain {
    came: BTreeMap<u32, BTreeSet<u64>>,
    dense: BTreeMap<u32, BTreeSet<u64>>,
}

impl Plain {
    /// Notes a frame. Returns which of its events are new.
    fn admit(&mut self, segment: u32, ids: &[u64], sparse: bool) -> Vec<u32> {
        let came = self.came.entry(segment).or_default();
        let fresh =
            ids.iter().enumerate().filter(|(_, id)| came.insert(**id)).map(|(k, _)| k as u32).collect();
        if !sparse {
            self.dense.entry(segment).or_default().extend(ids);
        }
        fresh
    }

    fn missing(&self) -> i128 {
        let gaps = |dense: &BTreeSet<u64>, came: &BTreeSet<u64>| match (dense.first(), dense.last()) {
            (Some(&low), Some(&high)) => (low..=high).filter(|id| !came.contains(id)).count() as i128,
            _ => 0,
        };
        let united =
            |sets: &BTreeMap<u32, BTreeSet<u64>>| sets.values().flatten().copied().collect::<BTreeSet<u64>>();
        let (came, dense) = (united(&self.came), united(&self.dense));
        if came.len() == self.came.values().map(BTreeSet::len).sum() {
            return gaps(&dense, &came);
        }
        self.dense.iter().map(|(segment, dense)| gaps(dense, &self.came[segment])).sum()
    }
}

proptest! {
    /// Few ids and segments, so that everything meets: labels and dense ids, late frames, overlaps, ids that start again, the lowest and the
    /// highest id. Many frames go on where the one before ended, whatever its ids were.
    #[test]
    fn agrees_with_the_specification(
        frames in prop::collection::vec(
            (
                0u32..3,
                prop::option::weighted(0.6, prop_oneof![0u64..3, 0u64..300]),
                prop_oneof![1u32..2, 1u32..20],
                prop::bool::weighted(0.3),
            ),
            1..60,
        ),
        apart in prop::bool::ANY,
        base in prop::sample::select(vec![0, 0, 0, 1 << 40, u64::MAX - 300 * 20 - 100]),
    ) {
        let mut book = IdBook::default();
        let mut plain = Plain::default();
        let mut missing = 0;
        let mut next = base;
        for (segment, first, events, sparse) in frames {
            // In half of the cases ids number the run: no segment has an id of another.
            let first = first.map_or(next, |first| {
                base + if apart { first / 3 * 3 * 20 + u64::from(segment) * 20 } else { first }
            });
            let first = first.min(u64::MAX - u64::from(events) + 1);
            next = first.saturating_add(events.into());
            let admitted = book.admit(frame(segment, first, events, sparse));
            let ids: Vec<u64> = (first..=first + u64::from(events - 1)).collect();
            let fresh = plain.admit(segment, &ids, sparse);
            let found = admitted.fresh.iter().flat_map(|&(from, to)| from..to);
            prop_assert!(found.eq(fresh.iter().copied()));
            prop_assert_eq!((admitted.repeated as usize, admitted.forgotten), (ids.len() - fresh.len(), 0));
            missing += admitted.missing;
            prop_assert_eq!(missing, plain.missing());
        }
        let bytes: usize = book.books.iter().map(|book| book.bytes).sum();
        prop_assert_eq!(book.bytes, bytes);
    }

    /// Columns of ids beside frames without: runs up and down, any order, ids twice in a frame, up to the highest. What is missing in the end does not
    /// depend on the order of frames.
    #[test]
    fn columns_agree_with_the_specification(frames in prop::collection::vec(any_frame(), 1..40), top in prop::bool::ANY) {
        let up = |id: u64| if top { u64::MAX - 200 + id } else { id };
        let mut plain = Plain::default();
        let [mut forth, mut back] = [IdBook::default(), IdBook::default()];
        let (mut missing, mut missing_back) = (0, 0);
        for (segment, ids, has_column, sparse) in &frames {
            let ids: Vec<u64> = ids.iter().map(|&id| up(id)).collect();
            let (header, span) = sent(*segment, &ids, *has_column, *sparse);
            let admitted = forth.admit_frame(&header, &span);
            let fresh = plain.admit(*segment, &ids, *sparse);
            let found: Vec<u32> = admitted.fresh.iter().flat_map(|&(from, to)| from..to).collect();
            prop_assert!(admitted.fresh.windows(2).all(|pair| pair[0].1 < pair[1].0), "stretches that touch");
            prop_assert_eq!(admitted.repeated as usize, ids.len() - fresh.len());
            prop_assert_eq!(found, fresh);
            missing += admitted.missing;
            prop_assert_eq!(missing, plain.missing());
        }
        for (segment, ids, has_column, sparse) in frames.iter().rev() {
            let ids: Vec<u64> = ids.iter().map(|&id| up(id)).collect();
            let (header, span) = sent(*segment, &ids, *has_column, *sparse);
            missing_back += back.admit_frame(&header, &span).missing;
        }
        prop_assert_eq!(missing, missing_back);
        prop_assert_eq!(forth.bytes, forth.books.iter().map(|book| book.bytes).sum::<usize>());
    }
}

/// Segment, ids up to 200, whether they stand in a column, whether they are labels.
fn any_frame() -> impl Strategy<Value = (u32, Vec<u64>, bool, bool)> {
    let run =
        || (0u64..180, 1u64..20).prop_map(|(first, events)| (first..first + events).collect::<Vec<u64>>());
    let column = prop_oneof![
        run(),
        run().prop_map(|ids| ids.into_iter().rev().collect()),
        run().prop_map(|ids| ids.into_iter().map(|id| id / 3 * 3).collect()),
        prop::collection::vec(0u64..=200, 1..20),
    ];
    let ids = prop_oneof![column.prop_map(|ids| (ids, true)), run().prop_map(|ids| (ids, false))];
    (0u32..3, ids, prop::bool::weighted(0.3))
        .prop_map(|(segment, (ids, has_column), sparse)| (segment, ids, has_column, sparse))
}

/// A frame of these ids as it arrives; without a column they follow one by one.
fn sent(segment: u32, ids: &[u64], has_column: bool, sparse_ids: bool) -> (FrameHeader, Span) {
    let schema = Schema::parse(b"name = 'a'\n[[field]]\nname = 'a'\ndtype = 'u8'\n").unwrap();
    let meta = FrameMeta { run: 7, segment, source_id: 1, first_event_id: ids[0], sparse_ids, time_ns: 0 };
    let records = vec![0; ids.len()];
    let column = if has_column { ids } else { &[] };
    let mut bytes = Vec::new();
    encode_frame(
        &schema,
        meta,
        FrameEvents { records: &records, ids: column, ..FrameEvents::default() },
        &mut bytes,
    );
    let header = FrameHeader::read(&bytes).unwrap();
    let span = Span::of_frame(&header, &Bytes::from(bytes).slice(header.body()));
    (header, span)
}

/// A counter of 32 bits goes on by the frames without columns: what stands in a column is as it is.
#[test]
fn a_column_does_not_move_a_counter() {
    let end = 1u64 << 32;
    let mut book = IdBook::default();
    let mut admit = |ids: &[u64], has_column| {
        let (header, span) = sent(0, ids, has_column, false);
        book.admit_frame(&header, &span).missing
    };
    assert_eq!(admit(&[end - 10, end - 9], false), 0);
    // As a counter it would have passed its end twice by now.
    assert_eq!(admit(&[2 * end - 1, 4 * end], true), i128::from(3 * end) + 10 - 3);
    assert_eq!(admit(&[5], true), i128::from(end) - 16);
    // These two are the next ones of the counter: ids 2^32 and 2^32 + 1.
    assert_eq!(admit(&[0, 1], false), -2);
    assert_eq!(admit(&[end - 8], false), -1);
}

/// Fresh stretches, repeated events and the change of missing ids.
fn admitted(book: &mut IdBook, ids: FrameIds) -> (Vec<(u32, u32)>, u32, i128) {
    let Admitted { fresh, repeated, missing, .. } = book.admit(ids);
    (fresh.to_vec(), repeated, missing)
}

#[test]
fn one_id_that_overlaps_is_the_only_duplicate() {
    let mut book = IdBook::default();
    assert_eq!(admitted(&mut book, frame(0, 0, 1000, false)), (vec![(0, 1000)], 0, 0));
    assert_eq!(admitted(&mut book, frame(0, 999, 1000, false)), (vec![(1, 1000)], 1, 0));
    assert_eq!(admitted(&mut book, frame(0, 2500, 10, false)), (vec![(0, 10)], 0, 501));
    assert_eq!(admitted(&mut book, frame(0, 1999, 600, false)), (vec![(0, 501), (511, 600)], 10, -501));
}

#[test]
fn sources_runs_and_segments_are_apart_and_labels_leave_no_gap() {
    let mut book = IdBook::default();
    let all = (vec![(0, 2)], 0, 0);
    let ids = frame(1, 5, 2, false);
    assert_eq!(admitted(&mut book, ids), all);
    assert_eq!(admitted(&mut book, FrameIds { source: 2, ..ids }), all);
    assert_eq!(admitted(&mut book, FrameIds { run: 8, ..ids }), all);
    assert_eq!(admitted(&mut book, FrameIds { segment: 2, ..ids }), all);
    assert_eq!(admitted(&mut book, FrameIds { sparse: true, first: 1000, ..ids }), all);
    assert_eq!(admitted(&mut book, FrameIds { first: 6, ..ids }), (vec![(1, 2)], 1, 0));
    assert_eq!(admitted(&mut book, FrameIds { first: u64::MAX - 1, ..ids }).2, (1 << 64) - 5 - 7);
}

/// A label is no beginning of what is counted, whatever its id, and whether or not the segments number the run together.
#[test]
fn dense_ids_next_to_labels_count_their_own_gaps_only() {
    for (label, last) in [(0, 0), (0, 0), (7, 9), (u64::MAX - 2000, u64::MAX - 2000)] {
        for segments in [[0, 0, 0], [0, 1, 1], [1, 1, 0], [0, 1, 2]] {
            let mut book = IdBook::default();
            let labels = (last - label + 1) as u32;
            assert_eq!(book.admit(frame(segments[0], label, labels, true)).missing, 0);
            assert_eq!(book.admit(frame(segments[1], last + 1, 3, false)).missing, 0);
            assert_eq!(book.admit(frame(segments[2], last + 1000, 3, false)).missing, 996);
            assert_eq!(book.admit(frame(segments[2], last + 4, 996, false)).missing, -996);
        }
    }
}

/// Gaps as wide as there are ids, in many segments, each taken away again by an id that starts anew.
#[test]
fn the_widest_gaps_are_counted_to_the_last_id() {
    let mut book = IdBook::default();
    let mut missing = 0;
    for run in 0..9 {
        let mut admit = |segment, first| {
            missing += book.admit(FrameIds { run, ..frame(segment, first, 1, false) }).missing;
            missing
        };
        assert_eq!(admit(1, 0), 0);
        assert_eq!(admit(2, u64::MAX), (1 << 64) - 2);
        assert_eq!(admit(3, 0), 0);
    }
    // One real gap beside them is not hidden.
    for (segment, first) in [(2, 1 << 63), (1, 0), (3, 1 << 63), (1, 2)] {
        missing += book.admit(FrameIds { run: 100, ..frame(segment, first, 1, false) }).missing;
    }
    assert_eq!(missing, 1);
}

#[test]
fn a_counter_of_32_bits_goes_on_after_its_end() {
    let end = 1u64 << 32;
    let mut book = IdBook::default();
    let mut admit = |first, events| admitted(&mut book, frame(0, first, events, false));
    let new = |events, missing| (vec![(0, events)], 0, missing);
    assert_eq!(admit(end - 300, 100), new(100, 0));
    // This frame lies across the end.
    assert_eq!(admit(end - 100, 110), new(110, 100));
    assert_eq!(admit(10, 100), new(100, 0));
    assert_eq!(admit(end - 200, 100), new(100, -100), "a late one");
    assert_eq!(admit(0, 50), (vec![], 50, 0));
    assert_eq!(admit(end - 300, 100), (vec![], 100, 0));
    // A counter that goes beyond 32 bits is none of them.
    let mut book = IdBook::default();
    let mut admit = |first, events| admitted(&mut book, frame(0, first, events, false));
    assert_eq!(admit(end - 100, 100), new(100, 0));
    assert_eq!(admit(end, 100), new(100, 0));
    assert_eq!(admit(end - 100, 100), (vec![], 100, 0));
    assert_eq!(admit(end - 200, 100), new(100, 0));
    assert_eq!(admit(0, 1), new(1, i128::from(end) - 201));
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_is_counted() {
    let small = 1 << 20;
    // Many runs, segments, sources; labels far apart; many gaps.
    let kinds: [fn(u64) -> FrameIds; 5] = [
        |k| FrameIds { run: k as u32, ..frame(0, 5, 3, false) },
        |k| FrameIds { source: k as u16, run: (k >> 16) as u32, ..frame(0, 5, 3, false) },
        |k| frame(k as u32, 5, 3, false),
        |k| frame(0, k.wrapping_mul(0x9E37_79B9_7F4A_7C15) & !3, 3, true),
        |k| frame(0, 1000 * k, 3, false),
    ];
    for (kind, ids) in kinds.into_iter().enumerate() {
        let mut book = IdBook::with_memory(small);
        let (mut forgotten, mut most) = (0, 0);
        for k in 0..40_000 {
            let admitted = book.admit(ids(k));
            assert_eq!((admitted.fresh, admitted.repeated), (&[(0, 3)][..], 0), "kind {kind}, frame {k}");
            forgotten += admitted.forgotten;
            most = most.max(book.bytes);
        }
        let held: u64 = book.books.iter().map(RunBook::len).sum();
        assert!(forgotten > 0 && forgotten + held == 120_000, "kind {kind}: {forgotten} and {held}");
        assert!(most <= small && book.bytes == book.books.iter().map(|book| book.bytes).sum::<usize>());
        // The last one is remembered.
        assert_eq!(book.admit(ids(39_999)).repeated, if held == 0 { 0 } else { 3 }, "kind {kind}");
    }
}

#[test]
fn what_was_used_last_is_forgotten_last() {
    let mut book = IdBook::with_memory(1 << 16);
    let live = frame(0, 0, 1, false);
    let mut forgotten = 0;
    for k in 0..5_000 {
        forgotten += book.admit(FrameIds { run: 100 + k, ..live }).forgotten;
        let ids = FrameIds { first: u64::from(k), ..live };
        assert_eq!(book.admit(ids).missing, 0);
        assert_eq!(book.admit(ids).repeated, 1, "after {k} runs, of which {forgotten} were forgotten");
    }
    assert!(forgotten > 0);
}

#[test]
fn many_sources_runs_segments_and_labels_are_all_remembered() {
    let mut book = IdBook::default();
    // 5,160 sources in turn, which leave out ids and then send everything again.
    let (mut lost, mut missing, mut repeated) = (0, 0, 0);
    for again in [false, true] {
        for turn in 0..20u16 {
            for source in 0..5_160u16 {
                let is_lost = (1..19).contains(&turn) && (turn * 7 + source) % 10 == 3;
                if is_lost {
                    lost += if again { 0 } else { 2 };
                    continue;
                }
                let ids = FrameIds { source, ..frame(0, 2 * u64::from(turn), 2, false) };
                let admitted = book.admit(ids);
                (missing, repeated) = (missing + admitted.missing, repeated + admitted.repeated);
                assert_eq!(admitted.repeated, if again { 2 } else { 0 });
            }
        }
    }
    assert_eq!((missing, u64::from(repeated)), (lost, 5_160 * 40 - lost as u64));
    assert!(lost > 10_000);
    // A sixteenth of the runs, segments and labels that section 3.1 of SPEC promises, in a sixteenth of the memory.
    type Kind = (u64, fn(u64) -> FrameIds);
    let kinds: [Kind; 3] = [
        (1_000_000, |k| FrameIds { run: 1_000 + k as u32, ..frame(0, 5, 1, false) }),
        (1_000_000, |k| frame(k as u32, k, 1, false)),
        (4_000_000, |k| frame(k as u32 % 2, k.wrapping_mul(0x9E37_79B9_7F4A_7C15), 1, true)),
    ];
    for (kind, (frames, ids)) in kinds.into_iter().enumerate() {
        let mut book = IdBook::with_memory(IDS_BYTES_MAX / 16);
        for again in [0, 1] {
            for k in 0..frames / 16 {
                let expected =
                    Admitted { fresh: &[(0, 1)][again..], repeated: again as u32, missing: 0, forgotten: 0 };
                assert_eq!(book.admit(ids(k)), expected, "kind {kind}, frame {k}");
            }
        }
    }
}
