//! All limits of files.

/// Uncompressed bytes after which a chunk is closed and handed to the operating system. A chunk is the unit of compression, of reading, and of loss
/// when the process is killed.
pub const CHUNK_BYTES: usize = 512 * 1024;

/// zstd level of chunks: a writer must keep up with a burst of accepted events on part of one core.
pub const COMPRESSION_LEVEL: u32 = 1;

/// Record bytes after which a stream continues in the next file, unless the user sets another number: 1 GiB.
pub const ROTATE_BYTES: u64 = 1 << 30;

/// Free bytes that a folder must have before a run starts.
pub const FREE_BYTES_MIN: u64 = 16 << 20;

/// Free bytes that must remain after the next write: room for the summary of a file (about 90 bytes per chunk, so 180 kB
/// for 1 GiB), so that a full disk ends in a clear message and not in a torn record.
pub(crate) const FREE_BYTES_RESERVE: u64 = 512 * 1024;

/// Longest MCAP record that is read, in bytes, including chunks and attachments.
pub const READ_RECORD_BYTES_MAX: u64 = 128 << 20;

/// Most bytes that a chunk may unpack to: a few bytes of zstd can unpack to gigabytes.
pub const READ_CHUNK_BYTES_MAX: u64 = 64 << 20;

/// Most bytes of attachments that a reader keeps and a writer accepts: several model bundles at their own limit.
pub const ATTACHMENT_BYTES_MAX: u64 = 256 << 20;

/// Most problems that a check lists; further ones are only counted.
pub const PROBLEMS_MAX: usize = 100;
