//! Where frames come from, and how other data becomes frames.
//!
//! Promise: a source hands on the bytes of its stream, all of them, in order and unchanged, and nothing else; it neither finds nor checks
//! frames. It never knows a menu, a model or a file of results.
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
//! * I1: the kind of a file is told by its first bytes, never by its name; [`FileKind`] calls any file what it is, for messages.
//! * I2: no memory is reserved because a file says so: the zstd window is at most 2^23 bytes, whatever a frame header claims.
//! * I3: [`Window::Restart`](tamis_port::Window::Restart) comes only between two passes over the whole stream.
//! * I4: a file that is written has another name until it is whole.
//!
//! Threads: a source belongs to the thread that polls it. Only a pipe has a thread of its own, because a read from a pipe may wait for ever.

pub mod convert;
mod fifo;
mod file;
mod kinds;
mod pool;
mod push;
mod recording;
mod windows;
mod writer;
mod zst;

pub use kinds::FileKind;
pub use push::{PushError, Pusher, push};
pub use recording::{OpenError, Recording, memory, open};
pub use writer::{TmfWriter, WriteError, Written};
