//! Measures how fast this machine compresses stored chunks: the yardstick for writing.

use zstd::bulk::Compressor;

use crate::Compression;

/// A compressor with the settings of stored files.
pub struct CompressionProbe(Compressor<'static>);

impl std::fmt::Debug for CompressionProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompressionProbe").finish_non_exhaustive()
    }
}

impl Default for CompressionProbe {
    fn default() -> Self {
        let Compression::Zstd(level) = Compression::default() else { unreachable!("zstd is the default") };
        Self(Compressor::new(level).expect("the level is a valid constant"))
    }
}

impl CompressionProbe {
    /// Compresses `bytes` as one chunk and returns the compressed length. The caller measures the time.
    pub fn compressed_len(&mut self, bytes: &[u8]) -> usize {
        self.0.compress(bytes).expect("memory for one chunk").len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_take_next_to_nothing() {
        assert!((1..1000).contains(&CompressionProbe::default().compressed_len(&vec![0; 512 * 1024])));
    }
}
