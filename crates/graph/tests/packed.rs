//! Packed integers become the same rows, bit for bit, as by the formula on the host.

use std::sync::Arc;

use burn::tensor::Device;
use proptest::prelude::*;
use tamis_graph::{Affine, Graph, Program, UncheckedGraph, Unpack};

/// `(integer + base) * mul + add`, clipped.
fn by_hand(columns: &[Affine], integers: &[i16]) -> Vec<f32> {
    let rows = integers.chunks_exact(Unpack::stride(columns.len()));
    let number = |(&integer, column): (&i16, &Affine)| {
        let x = (f32::from(integer) + column.base) * column.mul + column.add;
        x.max(column.clip[0]).min(column.clip[1])
    };
    rows.flat_map(|row| row.iter().zip(columns).map(number).collect::<Vec<_>>()).collect()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

fn column() -> impl Strategy<Value = Affine> {
    let clip = prop_oneof![
        Just([f32::NEG_INFINITY, f32::INFINITY]),
        (-9.0f32..0.0, 0.0f32..9.0).prop_map(|(low, high)| [low, high])
    ];
    (prop_oneof![Just(0.0f32), Just(32768.0)], -2.0f32..2.0, -3.0f32..3.0, clip)
        .prop_map(|(base, mul, add, clip)| Affine { base, mul, add, clip })
}

proptest! {
    #[test]
    fn the_device_makes_the_rows_of_the_host(
        columns in prop::collection::vec(column(), 1..9),
        rows in 1usize..40,
        seed in any::<u32>(),
    ) {
        let ends = [0, 1, -1, i16::MIN, i16::MAX];
        let count = rows * Unpack::stride(columns.len());
        let integer = |k: usize| {
            let mixed = (k as u32).wrapping_mul(2_654_435_761) ^ seed;
            *ends.get(mixed as usize >> 8 & 15).unwrap_or(&((mixed >> 16) as i16))
        };
        let integers: Vec<i16> = (0..count).map(integer).collect();
        let unpack = Unpack::new(&columns, &Device::flex());
        let expected = by_hand(&columns, &integers);
        prop_assert_eq!(bits(&unpack.numbers(integers.clone(), rows).unwrap()), bits(&expected));
        // A graph receives the same numbers.
        let mut source = UncheckedGraph::new();
        let x = source.input("x", [columns.len()]);
        let y = source.node("Identity", "y", &[&x], &[]);
        source.outputs.push(y);
        let program = Program::new(Arc::new(Graph::new(&source).unwrap()), &Device::flex());
        let pending = program.start_packed(&unpack, integers, rows);
        prop_assert_eq!(bits(&pending.wait(rows).unwrap().0), bits(&expected));
    }
}
