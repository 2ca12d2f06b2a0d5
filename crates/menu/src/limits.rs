//! Every limit of a menu. A file that exceeds one is refused with the place and the limit.

/// Bytes of a menu file.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Models that a menu names.
pub const MODELS_MAX: usize = 16;
/// Fallbacks of one model: rungs of the ladder above the first.
pub const FALLBACKS_MAX: usize = 8;
/// Streams: one bit each in a word of 64, and one for the error stream.
pub const STREAMS_MAX: usize = 63;
/// Lines.
pub const LINES_MAX: usize = 1024;
/// Bytes of the name of a menu, line, stream or model.
pub const NAME_BYTES_MAX: usize = 64;
/// Largest prescale, and largest `every` of a random line: the largest integer of TOML.
pub const PRESCALE_MAX: u64 = i64::MAX as u64;
/// Operators, numbers, names and functions of one expression.
pub const EXPRESSION_NODES_MAX: usize = 4096;
/// Nesting of one expression; a chain `a && b && c` nests once. Bounds the recursion of every walk over the tree.
pub const EXPRESSION_DEPTH_MAX: usize = 128;
/// Operations of a compiled menu, where an operation on an array counts once per element. Bounds the scratch memory of a worker (2 KiB each, 4 KiB of 64-bit integers).
pub const OPERATIONS_MAX: usize = 16_384;
