//! Every number that bounds a file, in one place.

/// Uncompressed bytes after which a chunk is closed and handed to the operating system: the unit of compression, of reading and of loss
/// when the process is killed.
pub const CHUNK_BYTES: usize = 512 * 1024;

/// zstd level of chunks: a writer must keep up with a burst of accepted events on part of one core.
pub const COMPRESSION_LEVEL: u32 = 1;

/// Record bytes after which a stream goes on in the next file, if the user names no other number: 1 GiB.
pub const ROTATE_BYTES: u64 = 1 << 30;

/// Free bytes that a folder must have before a run starts.
pub const FREE_BYTES_MIN: u64 = 16 << 20;

/// Free bytes that must remain after everything that is about to be written: room for the summary of a file (about 90 bytes per chunk, so 180 kB
/// for 1 GiB), so that a disk fills up to a clear sentence and not to a torn record.
pub(crate) const FREE_BYTES_RESERVE: u64 = 512 * 1024;

/// Longest MCAP record that is read, in bytes, chunks and attachments included.
pub const READ_RECORD_BYTES_MAX: u64 = 128 << 20;

/// Most bytes that a chunk may unpack to: a few bytes of zstd can stand for gigabytes.
pub const READ_CHUNK_BYTES_MAX: u64 = 64 << 20;

/// Most bytes of attachments that a reader keeps, and that a file is given: several model bundles at their own limit.
pub const ATTACHMENT_BYTES_MAX: u64 = 256 << 20;

/// Problems that a check lists; further ones are only counted.
pub const PROBLEMS_MAX: usize = 100;
