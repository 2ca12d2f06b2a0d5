//! Cuts and sums of a sieve, against the records read byte by byte.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tamis_kernel::{Cut, Integer, Isa, Number, Sieve, Sifted};

const NUMBERS: [Number; 5] = [Number::U8, Number::I8, Number::U16, Number::I16, Number::I32];

/// The integer, read by definition.
fn defined(Integer { at, number }: Integer, record: &[u8]) -> i32 {
    let bytes = &record[at..][..number.size()];
    match number {
        Number::U8 => bytes[0].into(),
        Number::I8 => bytes[0].cast_signed().into(),
        Number::U16 => u16::from_le_bytes(bytes.try_into().unwrap()).into(),
        Number::I16 => i16::from_le_bytes(bytes.try_into().unwrap()).into(),
        Number::I32 => i32::from_le_bytes(bytes.try_into().unwrap()),
        Number::F32 => unreachable!("no integer"),
    }
}

/// A cut with bounds `a` and `b`, truncated to the type.
fn cut(of: Integer, a: i32, b: i32) -> Cut {
    let [a, b] = [a, b].map(|bound| defined(Integer { at: 0, ..of }, &bound.to_le_bytes()));
    Cut { of, low: a.min(b), high: a.max(b) }
}

/// Record length, cuts, and the terms of sums.
type Layout = (usize, Vec<Cut>, Vec<Vec<Integer>>);

fn layout() -> impl Strategy<Value = Layout> {
    let scattered = (1usize..150).prop_flat_map(|record_len| {
        let fits = move |number: &Number| number.size() <= record_len;
        let numbers: Vec<Number> = NUMBERS.into_iter().filter(fits).collect();
        let integer = select(numbers).prop_flat_map(move |number| {
            (0..=record_len - number.size()).prop_map(move |at| Integer { at, number })
        });
        (Just(record_len), vec(integer, 1..30))
    });
    // The layout of detectors: one number after the other.
    let packed = (0usize..7, 1usize..70, 0usize..5).prop_map(|(before, count, behind)| {
        let integer = |k| Integer { at: before + k * 2, number: Number::I16 };
        (before + count * 2 + behind, (0..count).map(integer).collect::<Vec<_>>())
    });
    prop_oneof![scattered, packed].prop_flat_map(|(record_len, integers)| {
        let bound =
            prop_oneof![select(vec![0, -1, i32::MAX, i32::MIN, 0x7f7f, 0x8080]), any::<i32>(), -300..300];
        let cut = (select(integers.clone()), bound.clone(), bound).prop_map(|(of, a, b)| cut(of, a, b));
        (Just(record_len), vec(cut, 0..40), vec(vec(select(integers), 1..6), 0..8))
    })
}

proptest! {
    #[test]
    fn every_bit_and_sum_is_the_definition(
        (record_len, cuts, sums) in layout(),
        events in 1usize..200,
        seed in any::<u32>(),
        before in 0usize..5,
        behind in 0usize..40,
    ) {
        // Edge values of the types among pseudorandom bytes; `behind` bytes follow the last record.
        let byte = |i: usize| {
            let x = (i as u32).wrapping_mul(2_654_435_761) ^ seed;
            if x.is_multiple_of(3) { [0x00, 0xff, 0x7f, 0x80][(x >> 8) as usize % 4] } else { (x >> 16) as u8 }
        };
        let memory: Vec<u8> = (0..before + events * record_len + behind).map(byte).collect();
        let bytes = &memory[before..];
        let records: Vec<&[u8]> = (0..events).map(|event| &bytes[event * record_len..]).collect();
        let exact: Vec<&[u8]> = records.iter().map(|record| &record[..record_len]).collect();
        // One group more than needed at the end, and one before the first.
        let groups = events.div_ceil(Sieve::EVENTS) + 2;
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let sieve = Sieve::with_isa(record_len, &cuts, &sums, isa);
            for way in 0..3 {
                let mut bits = vec![7; cuts.len() * groups];
                let mut found = vec![[7; 64]; sums.len() * groups];
                if way == 0 {
                    let into = Sifted { bits: &mut bits, sums: &mut found, groups, first: 1 };
                    sieve.sift_run(bytes, events, into);
                } else {
                    let records = if way == 1 { &records } else { &exact };
                    for (group, records) in records.chunks(Sieve::EVENTS).enumerate() {
                        let into = Sifted { bits: &mut bits, sums: &mut found, groups, first: 1 + group };
                        sieve.sift(records, into);
                    }
                }
                for (event, record) in records.iter().enumerate() {
                    let group = 1 + event / 64;
                    let lane = event % 64;
                    for (k, cut) in cuts.iter().enumerate() {
                        let got = bits[k * groups + group] >> lane & 1 == 1;
                        let want = (cut.low..=cut.high).contains(&defined(cut.of, record));
                        prop_assert_eq!(got, want, "{:?} of event {} on {}, way {}", cut, event, isa.name(), way);
                    }
                    for (k, terms) in sums.iter().enumerate() {
                        let want = terms.iter().fold(0_i32, |sum, &of| sum.wrapping_add(defined(of, record)));
                        let got = found[k * groups + group][lane];
                        prop_assert_eq!(got, want, "{:?} of event {} on {}, way {}", terms, event, isa.name(), way);
                    }
                }
                // Nothing else was written.
                prop_assert!(bits.chunks(groups).all(|column| column[0] == 7 && column[groups - 1] == 7));
                prop_assert!(found.chunks(groups).all(|column| column[0] == [7; 64] && column[groups - 1] == [7; 64]));
            }
        }
    }
}

const OF: Integer = Integer { at: 8, number: Number::I16 };

#[test]
#[should_panic(expected = "2 bytes at 8 in 9 bytes")]
fn an_integer_beyond_the_record_is_a_mistake_of_the_caller() {
    Sieve::new(9, &[], &[vec![OF]]);
}

#[test]
#[should_panic(expected = "no cut on")]
fn a_bound_beyond_the_type_is_a_mistake_of_the_caller() {
    Sieve::new(10, &[Cut { of: OF, low: 0, high: 32_768 }], &[]);
}

#[test]
#[should_panic(expected = "records are whole")]
fn a_record_that_is_cut_is_a_mistake_of_the_caller() {
    let sieve = Sieve::new(10, &[Cut { of: OF, low: 0, high: 1 }], &[]);
    sieve.sift(&[&[0; 10], &[0; 9]], Sifted { bits: &mut [0], sums: &mut [], groups: 1, first: 0 });
}
