//! Sources of frames, and conversion of other data to frames.
//!
//! Promise: a source hands on all bytes of its stream, in order and unchanged, and nothing else; it neither finds nor checks
//! frames. It knows nothing of menus, models or output files.
//!
//! ```text
//!   x.tmf      --read into reused buffers--------.
//!   x.tmf.zst  --decompressed into them-----------+--> Recording { schema, source } --windows--> pipeline
//!   stdin, fifo --reader thread------------------+
//!   Pusher     --lock-free queue-----------------'
//!
//!   CSV, .npy  --convert--> TmfWriter --> x.tmf, x.tmf.zst
//! ```
//!
//! * I1: the first bytes of a file decide its kind, never its name; [`FileKind`] names the kind of any file in messages.
//! * I2: no memory is reserved on the word of a file: the zstd window is at most 2^23 bytes, whatever a frame header claims.
//! * I3: [`Window::Restart`](tamis_port::Window::Restart) comes only between two passes over the whole stream.
//! * I4: a file has a temporary name until it is completely written.
//!
//! Threads: a source belongs to the thread that polls it. Only a pipe has a thread of its own, because a read from a pipe may block for ever.

pub mod convert;
mod fifo;
mod file;
mod kinds;
mod patient;
mod pool;
mod push;
mod recording;
mod windows;
mod writer;
mod zst;

pub use kinds::FileKind;
pub use patient::Patient;
pub use push::{PushError, Pusher, push};
pub use recording::{OpenError, Recording, memory, open};
pub use writer::{TmfWriter, WriteError, Written};
