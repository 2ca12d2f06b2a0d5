//! Columns gathered from records, against the definition read byte by byte.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::collection::vec;
use proptest::prelude::*;
use tamis_kernel::{
    Activation, Chain, ChainRanges, Column, EVENTS, HiddenBits, IntChain, IntColumn, IntInput, Isa, Lanes,
    Layer, Map, Number, Pairs, Readout,
};

/// The value of a column by the definition.
fn defined(column: &Column, record: &[u8]) -> f32 {
    let bytes = &record[column.at..][..column.number.size()];
    let (number, single) = match column.number {
        Number::U8 => (f64::from(bytes[0]), None),
        Number::I8 => (f64::from(bytes[0] as i8), None),
        Number::U16 => (f64::from(u16::from_le_bytes(bytes.try_into().unwrap())), None),
        Number::I16 => (f64::from(i16::from_le_bytes(bytes.try_into().unwrap())), None),
        Number::I32 => {
            let number = i32::from_le_bytes(bytes.try_into().unwrap());
            (f64::from(number), Some(number as f32))
        }
        Number::F32 => (f64::from(f32::from_le_bytes(bytes.try_into().unwrap())), None),
    };
    match column.map {
        Map::Affine { mul, add, clip: [low, high] } => {
            let x = single.unwrap_or(number as f32).mul_add(mul, add);
            let raised = if x < low { low } else { x };
            if raised > high { high } else { raised }
        }
        Map::Physical { scale, offset } => (number * scale + offset) as f32,
    }
}

/// A kernel with `inputs` inputs: gathering is planned for its instruction set.
fn chain(inputs: usize, isa: Isa) -> Chain {
    let weight = vec![0.0; inputs];
    let bias = vec![0.0];
    let layer = Layer { inputs, outputs: 1, weight, bias, activation: Activation::None };
    Chain::with_isa(&[layer], Readout::Outputs, isa).unwrap()
}

fn map() -> impl Strategy<Value = Map> {
    let finite = -1e3f32..1e3;
    prop_oneof![
        (finite.clone(), finite, any::<bool>()).prop_map(|(mul, add, clips)| {
            let clip = if clips { [-7.5, 20.25] } else { [f32::NEG_INFINITY, f32::INFINITY] };
            Map::Affine { mul, add, clip }
        }),
        (-1e3f64..1e3, -1e3f64..1e3).prop_map(|(scale, offset)| Map::Physical { scale, offset }),
    ]
}

fn layout() -> impl Strategy<Value = (usize, Vec<Column>)> {
    let number = prop_oneof![
        Just(Number::U8),
        Just(Number::I8),
        Just(Number::U16),
        Just(Number::I16),
        Just(Number::I32),
        Just(Number::F32)
    ];
    let scattered = (4usize..150).prop_flat_map(move |record_len| {
        let column = (0..=record_len - 4, number.clone(), map());
        vec(column, 1..40).prop_map(move |columns| {
            let columns = columns.into_iter().enumerate();
            (
                record_len,
                columns.map(|(input, (at, number, map))| Column { input, at, number, map }).collect(),
            )
        })
    });
    // The layout of detectors: one number after the other.
    let packed = (0usize..7, vec(map(), 1..70), 0usize..5).prop_map(|(before, maps, behind)| {
        let record_len = before + maps.len() * 2 + behind;
        let column = |(input, map)| Column { input, at: before + input * 2, number: Number::I16, map };
        (record_len, maps.into_iter().enumerate().map(column).collect())
    });
    prop_oneof![scattered, packed]
}

proptest! {
    #[test]
    fn every_column_of_every_event_is_the_definition(
        (record_len, columns) in layout(),
        events in 1..=EVENTS,
        seed in any::<u32>(),
        behind in 0usize..40,
    ) {
        // Edge values of the types among pseudorandom bytes; `behind` bytes follow the last record.
        let byte = |i: usize| {
            let x = (i as u32).wrapping_mul(2_654_435_761) ^ seed;
            if x.is_multiple_of(3) { [0x00, 0xff, 0x7f, 0x80][(x >> 8) as usize % 4] } else { (x >> 16) as u8 }
        };
        let bytes: Vec<u8> = (0..events * record_len + behind).map(byte).collect();
        let records: Vec<&[u8]> = (0..events).map(|event| &bytes[event * record_len..]).collect();
        let exact: Vec<&[u8]> = records.iter().map(|record| &record[..record_len]).collect();
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let gather = chain(columns.len(), isa).gather(record_len, &columns);
            for way in 0..3 {
                let mut lanes = vec![Lanes::ZERO; columns.len()];
                match way {
                    0 => gather.fill(&records, &mut lanes),
                    1 => gather.fill(&exact, &mut lanes),
                    _ => gather.fill_run(&bytes, events, &mut lanes),
                }
                for (column, lanes) in columns.iter().zip(&lanes) {
                    for (event, record) in records.iter().enumerate() {
                        let got = lanes.0[event];
                        let want = defined(column, record);
                        prop_assert!(
                            got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                            "{column:?} of event {event} on {}, way {way}: {got}, not {want}", isa.name()
                        );
                    }
                }
            }
        }
    }
}

/// Columns of integers that fit in 16 bits, packed or anywhere.
fn int_layout() -> impl Strategy<Value = (usize, Vec<IntColumn>)> {
    let number = prop_oneof![Just(Number::I16), Just(Number::I16), Just(Number::I8), Just(Number::U8)];
    let scattered = (2usize..150).prop_flat_map(move |record_len| {
        vec((0..=record_len - 2, number.clone()), 1..40).prop_map(move |columns| {
            let columns = columns.into_iter().enumerate();
            (record_len, columns.map(|(input, (at, number))| IntColumn { input, at, number }).collect())
        })
    });
    let packed = (0usize..7, 1usize..70, 0usize..5).prop_map(|(before, count, behind)| {
        let column = |input| IntColumn { input, at: before + input * 2, number: Number::I16 };
        (before + count * 2 + behind, (0..count).map(column).collect())
    });
    prop_oneof![scattered, packed]
}

proptest! {
    #[test]
    fn every_integer_of_every_event_finds_its_half(
        (record_len, columns) in int_layout(),
        events in 1..=EVENTS,
        seed in any::<u32>(),
        behind in 0usize..40,
    ) {
        let byte = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) ^ seed).rotate_left(13) as u8;
        let bytes: Vec<u8> = (0..events * record_len + behind).map(byte).collect();
        let records: Vec<&[u8]> = (0..events).map(|event| &bytes[event * record_len..]).collect();
        let exact: Vec<&[u8]> = records.iter().map(|record| &record[..record_len]).collect();
        let inputs = columns.len();
        let weight = vec![0.5; inputs];
        let bias = vec![0.0];
        let layer = Layer { inputs, outputs: 1, weight, bias, activation: Activation::None };
        let input = IntInput { low: i16::MIN, high: i16::MAX, scale: 1.0, offset: 0.0 };
        let calibration = ChainRanges { inputs: vec![input; inputs], hidden: Vec::new() };
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let layers = [layer.clone()];
            let chain = IntChain::with_isa(&layers, Readout::Outputs, &calibration, HiddenBits::Sixteen, isa).unwrap();
            let gather = chain.gather(record_len, &columns);
            for way in 0..3 {
                let mut pairs = vec![Pairs([[77; 2]; EVENTS]); inputs.div_ceil(2)];
                match way {
                    0 => gather.fill(&records, &mut pairs),
                    1 => gather.fill(&exact, &mut pairs),
                    _ => gather.fill_run(&bytes, events, &mut pairs),
                }
                for column in &columns {
                    for (event, record) in records.iter().enumerate() {
                        let got = pairs[column.input / 2].0[event][column.input % 2];
                        let want = match column.number {
                            Number::U8 => i16::from(record[column.at]),
                            Number::I8 => i16::from(record[column.at].cast_signed()),
                            _ => i16::from_le_bytes([record[column.at], record[column.at + 1]]),
                        };
                        prop_assert_eq!(got, want, "{:?}, event {}, way {}, {}", column, event, way, isa.name());
                    }
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "4 bytes at 8 in 10 bytes")]
fn a_column_beyond_the_record_is_a_mistake_of_the_caller() {
    let map = Map::Physical { scale: 1.0, offset: 0.0 };
    chain(1, Isa::Portable).gather(10, &[Column { input: 0, at: 8, number: Number::F32, map }]);
}

#[test]
#[should_panic(expected = "records are whole")]
fn a_record_that_is_cut_is_a_mistake_of_the_caller() {
    let map = Map::Physical { scale: 1.0, offset: 0.0 };
    let gather = chain(1, Isa::Portable).gather(10, &[Column { input: 0, at: 0, number: Number::F32, map }]);
    gather.fill(&[&[0; 10], &[0; 9]], &mut [Lanes::ZERO]);
}
