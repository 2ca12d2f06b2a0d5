//! Places in a file that can be nothing but the start of a record, for a reader that must resynchronise.

use std::io::{self, Read};

use crate::{limits::READ_RECORD_BYTES_MAX, op};

/// Most bytes that are needed to recognise a landmark.
const SIGHT: usize = 512;
/// Bytes that are read at a time.
const STRIDE: usize = 64 * 1024;

/// The first landmark at or after byte `at`, the position of `input`, in a file of `size` bytes.
pub(crate) fn find(input: &mut impl Read, at: u64, size: u64) -> io::Result<Option<u64>> {
    let mut bytes = Vec::with_capacity(STRIDE + SIGHT);
    let mut start = at;
    loop {
        let read = input.take(STRIDE as u64).read_to_end(&mut bytes)?;
        let is_last = read < STRIDE;
        let looked = if is_last { bytes.len() } else { bytes.len() - SIGHT.min(bytes.len()) };
        let is_landmark = |&k: &usize| {
            matches!(bytes[k], op::CHUNK | op::ATTACHMENT | op::DATA_END)
                && is_record(&bytes[k..bytes.len().min(k + SIGHT)], size - (start + k as u64))
        };
        if let Some(found) = (0..looked).find(is_landmark) {
            return Ok(Some(start + found as u64));
        }
        if is_last {
            return Ok(None);
        }
        bytes.drain(..looked);
        start += looked as u64;
    }
}

/// Do these bytes begin a chunk, an attachment or the end of the data, as this crate writes them, with `left` bytes up to the end of the file?
fn is_record(bytes: &[u8], left: u64) -> bool {
    let u32_at = |at: usize| bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let u64_at = |at: usize| Some(u64::from(u32_at(at)?) | u64::from(u32_at(at + 4)?) << 32);
    let (Some(&opcode), Some(length)) = (bytes.first(), u64_at(1)) else { return false };
    if length > READ_RECORD_BYTES_MAX || left < 9 + length {
        return false;
    }
    match opcode {
        // Times, unpacked length, CRC, compression; then the packed bytes fill the record.
        op::CHUNK => {
            let name = match bytes.get(37..) {
                Some([4, 0, 0, 0, b'z', b's', b't', b'd', ..]) => 4,
                Some([3, 0, 0, 0, b'l', b'z', b'4', ..]) => 3,
                // What is not compressed has its own length.
                Some([0, 0, 0, 0, ..]) if u64_at(25) == u64_at(41) => 0,
                _ => return false,
            };
            u64_at(41 + name).is_some_and(|packed| packed.checked_add(40 + name as u64) == Some(length))
        }
        // Two times of 0, a name, a media type.
        op::ATTACHMENT => {
            let name = u32_at(25).map_or(usize::MAX, |name| name as usize);
            bytes.get(9..25) == Some(&[0; 16])
                && name <= 256
                && bytes.get(33 + name..).is_some_and(|media| media.starts_with(b"application/"))
        }
        // Its CRC, then the first record of the summary.
        op::DATA_END => {
            let is_known = bytes.get(13).is_some_and(|next| (op::HEADER..op::DATA_END).contains(next));
            length == 4 && is_known && u64_at(14).is_some_and(|next| next <= READ_RECORD_BYTES_MAX)
        }
        _ => false,
    }
}
