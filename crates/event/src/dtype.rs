//! The types of numbers in an event record.

use half::f16;
use serde::Deserialize;

use crate::words;

/// Number type of a field's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Dtype {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
}

impl TryFrom<String> for Dtype {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        words::dtype(&word)
    }
}

/// The first bytes as an array.
///
/// # Panics
/// If there are fewer.
fn front<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("as many bytes as the type has")
}

impl Dtype {
    /// Every type, integers first.
    pub const ALL: [Self; 11] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::U64,
        Self::I64,
        Self::F16,
        Self::F32,
        Self::F64,
    ];

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Can its integers be beyond 2^53?
    pub fn is_large(self) -> bool {
        matches!(self, Self::U64 | Self::I64)
    }

    /// The name in a schema text.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Smallest and largest integer, or `None` for a floating type.
    pub fn integer_range(self) -> Option<(i128, i128)> {
        Some(match self {
            Self::U8 => (0, u8::MAX.into()),
            Self::I8 => (i8::MIN.into(), i8::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::I16 => (i16::MIN.into(), i16::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
            Self::I64 => (i64::MIN.into(), i64::MAX.into()),
            Self::F16 | Self::F32 | Self::F64 => return None,
        })
    }

    /// Reads one raw element from the front of `bytes`. Exact, but for u64 and i64 beyond 2^53, which are rounded to the nearest f64; see
    /// [`Self::read_integer`].
    ///
    /// # Panics
    /// If `bytes` is shorter than [`Self::size`].
    #[inline]
    pub fn read(self, bytes: &[u8]) -> f64 {
        match self {
            Self::U8 => bytes[0].into(),
            Self::I8 => (bytes[0] as i8).into(),
            Self::U16 => u16::from_le_bytes(front(bytes)).into(),
            Self::I16 => i16::from_le_bytes(front(bytes)).into(),
            Self::U32 => u32::from_le_bytes(front(bytes)).into(),
            Self::I32 => i32::from_le_bytes(front(bytes)).into(),
            Self::U64 => u64::from_le_bytes(front(bytes)) as f64,
            Self::I64 => i64::from_le_bytes(front(bytes)) as f64,
            Self::F16 => f16::from_le_bytes(front(bytes)).into(),
            Self::F32 => f32::from_le_bytes(front(bytes)).into(),
            Self::F64 => f64::from_le_bytes(front(bytes)),
        }
    }

    /// Reads one raw integer from the front of `bytes`, exactly; `None` for a floating type.
    ///
    /// # Panics
    /// If `bytes` is shorter than [`Self::size`].
    #[inline]
    pub fn read_integer(self, bytes: &[u8]) -> Option<i128> {
        Some(match self {
            Self::U8 => bytes[0].into(),
            Self::I8 => (bytes[0] as i8).into(),
            Self::U16 => u16::from_le_bytes(front(bytes)).into(),
            Self::I16 => i16::from_le_bytes(front(bytes)).into(),
            Self::U32 => u32::from_le_bytes(front(bytes)).into(),
            Self::I32 => i32::from_le_bytes(front(bytes)).into(),
            Self::U64 => u64::from_le_bytes(front(bytes)).into(),
            Self::I64 => i64::from_le_bytes(front(bytes)).into(),
            Self::F16 | Self::F32 | Self::F64 => return None,
        })
    }

    /// Appends a raw value. Integers must be whole; one beyond the type (2^64 is the f64 that is nearest to the largest u64) becomes its end.
    pub fn write(self, raw: f64, out: &mut Vec<u8>) {
        match self {
            Self::F16 => out.extend_from_slice(&f16::from_f64(raw).to_le_bytes()),
            Self::F32 => out.extend_from_slice(&(raw as f32).to_le_bytes()),
            Self::F64 => out.extend_from_slice(&raw.to_le_bytes()),
            _ => {
                let (low, high) = self.integer_range().expect("the others are integers");
                self.write_integer((raw as i128).clamp(low, high), out);
            }
        }
    }

    /// Appends a raw integer, in range, of an integer type: the little-endian bytes of its two's complement.
    pub fn write_integer(self, raw: i128, out: &mut Vec<u8>) {
        out.extend_from_slice(&raw.to_le_bytes()[..self.size()]);
    }
}
