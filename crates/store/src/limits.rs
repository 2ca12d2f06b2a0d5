//! All limits of files.

/// Uncompressed bytes after which a chunk is closed and handed to the operating system. A chunk is the unit of compression, of reading, and of loss
/// when the process is killed. A record of this length or more has a chunk to itself.
pub const CHUNK_BYTES: usize = 512 * 1024;

/// Most bytes of chunks that are being compressed, or wait for it, in all streams of a run together, before and after compression. Besides, each
/// stream has a chunk that is being filled, and may have one that finds no room here: with records of [`RECORD_BYTES_MAX`] these are 130 MiB while
/// such a record is stored.
pub const PRESS_BYTES_MAX: usize = 192 << 20;

/// Longest decision record: header, as many line words and scores as its fields can count, and the longest event.
pub const RECORD_BYTES_MAX: usize =
    tamis_event::record::len(u16::MAX as usize, u16::MAX as usize, tamis_event::EVENT_BYTES_MAX);

/// Record bytes after which a stream continues in the next file, unless the user sets another number: 1 GiB.
pub const ROTATE_BYTES: u64 = 1 << 30;

/// Free bytes that a folder must have before a run starts.
pub const FREE_BYTES_MIN: u64 = 16 << 20;

/// Free bytes that must remain after the next write: room for the summary of a file (about 90 bytes per chunk, so 180 kB
/// for 1 GiB), so that a full disk ends in a clear message and not in a torn record.
pub(crate) const FREE_BYTES_RESERVE: u64 = 512 * 1024;

/// Longest MCAP record that is read, in bytes, including chunks and attachments. A reader has one in memory, as far as its bytes exist, and what a
/// chunk unpacks to: at most 194 MiB besides attachments.
pub const READ_RECORD_BYTES_MAX: u64 = 128 << 20;

/// Most bytes that a chunk may unpack to: a few bytes of zstd can unpack to gigabytes. It is the longest record, and what MCAP and the records before it
/// may take.
pub const READ_CHUNK_BYTES_MAX: u64 = 66 << 20;

const _: () = assert!((RECORD_BYTES_MAX + CHUNK_BYTES) as u64 <= READ_CHUNK_BYTES_MAX);

/// Most bytes of attachments that a reader keeps and a writer accepts: several model bundles at their own limit.
pub const ATTACHMENT_BYTES_MAX: u64 = 256 << 20;

/// Most problems that a check lists; further ones are only counted.
pub const PROBLEMS_MAX: usize = 100;
