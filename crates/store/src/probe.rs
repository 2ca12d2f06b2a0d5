//! How fast this machine compresses as storage does: the yardstick for writing.

use zstd::bulk::Compressor;

use crate::limits::{CHUNK_BYTES, COMPRESSION_LEVEL};

/// Compresses `bytes` in chunks, with the level of stored files, and says how many bytes come out. The caller takes the time.
pub fn compressed_len(bytes: &[u8]) -> usize {
    let mut compressor = Compressor::new(COMPRESSION_LEVEL as i32).expect("the level is a valid constant");
    let chunk = |chunk: &[u8]| compressor.compress(chunk).expect("memory for one chunk").len();
    bytes.chunks(CHUNK_BYTES).map(chunk).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_take_next_to_nothing() {
        assert!((1..1000).contains(&compressed_len(&vec![0; 3 * CHUNK_BYTES])));
        assert_eq!(compressed_len(&[]), 0);
    }
}
