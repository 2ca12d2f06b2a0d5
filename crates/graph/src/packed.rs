//! Inputs that are transferred as 16-bit integers, two per word, and become floats on the device.
//!
//! ```text
//!   host                                bus                     device
//!   | i16 i16 | i16 i16 | i16  0 |  --- half the bytes --->  words --shifts--> integers --float--> x * mul + add --> clip --> rows
//! ```
//!
//! * I1: nothing is lost on the way, unlike with 16-bit floats: the integers arrive unchanged, and the device computes
//!   what the host would have computed, one rounded operation after the other.
//!
//! Cost: about ten small kernels per run, which take a device as long as a hundred kilobytes take on the bus.

use burn::tensor::{Bytes, DType, Device, Int, Tensor, TensorData};

/// The conversion of an integer: `(integer + base) * mul + add` in single precision, each operation rounded, then clipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// The offset that was subtracted from unsigned numbers to make them fit: 0 or 32768.
    pub base: f32,
    /// Factor.
    pub mul: f32,
    /// Summand.
    pub add: f32,
    /// `[low, high]`; infinite where there is no bound.
    pub clip: [f32; 2],
}

/// Converts packed integers to rows of floats on one device.
#[derive(Clone, Debug)]
pub struct Unpack {
    columns: usize,
    base: Option<Tensor<2>>,
    mul: Tensor<2>,
    add: Tensor<2>,
    clip: Option<[Tensor<2>; 2]>,
    device: Device,
}

impl Unpack {
    /// Copies the conversions of a row's columns to a device.
    pub fn new(columns: &[Affine], device: &Device) -> Self {
        let row = |number: &dyn Fn(&Affine) -> f32| {
            let numbers: Vec<f32> = columns.iter().map(number).collect();
            Tensor::<2>::from_data(TensorData::new(numbers, [1, columns.len()]), device)
        };
        let is_clipped = columns.iter().any(|column| column.clip.iter().any(|end| end.is_finite()));
        Self {
            columns: columns.len(),
            base: columns.iter().any(|column| column.base != 0.0).then(|| row(&|column| column.base)),
            mul: row(&|column| column.mul),
            add: row(&|column| column.add),
            clip: is_clipped.then(|| [row(&|column| column.clip[0]), row(&|column| column.clip[1])]),
            device: device.clone(),
        }
    }

    /// Integers per row: one per column, padded to whole words.
    pub fn stride(columns: usize) -> usize {
        columns.next_multiple_of(2)
    }

    /// The floats that the device makes of `rows` rows, row-major.
    pub fn numbers(&self, integers: Vec<i16>, rows: usize) -> Result<Vec<f32>, String> {
        self.run(integers, rows).try_into_vec_as().map_err(|error| error.to_string())
    }

    /// Rows of floats from `rows` rows of [`Unpack::stride`] integers each.
    ///
    /// # Panics
    /// If the number of integers differs.
    pub(crate) fn run(&self, integers: Vec<i16>, rows: usize) -> Tensor<2> {
        let words = Self::stride(self.columns) / 2;
        assert_eq!(integers.len(), rows * 2 * words, "whole rows");
        // Little-endian like every device: the first of two is in the low half of its word.
        let data = TensorData::from_bytes(Bytes::from_elems(integers), [rows, words], DType::I32);
        let words_of = Tensor::<2, Int>::from_data(data, (&self.device, DType::I32));
        let high = words_of.clone().bitwise_right_shift_scalar(16);
        // Shifting the low half up and down again extends its sign.
        let low = words_of.bitwise_left_shift_scalar(16).bitwise_right_shift_scalar(16);
        let both: Tensor<3, Int> = Tensor::stack(vec![low, high], 2);
        let both = both.reshape([rows, 2 * words]);
        let numbers = both.narrow(1, 0, self.columns).float();
        let numbers = match &self.base {
            Some(base) => numbers + base.clone(),
            None => numbers,
        };
        let x = numbers * self.mul.clone() + self.add.clone();
        match &self.clip {
            Some([low, high]) => x.max_pair(low.clone()).min_pair(high.clone()),
            None => x,
        }
    }
}
