//! Files that have another name until they are whole.
//!
//! ```text
//!  PartFile::create("x.tmf") --> x.tmf.part --append--> ... --publish--> x.tmf
//!                                (locked)                |
//!                                      dropped, Ctrl-C --'--> removed, or kept for `recover`
//! ```
//!
//! A [`PartFolder`] is the same for files that belong together. A [`LogFile`] is read while it grows, so it has its own name from the start; lock, exclusive creation and syncs are the same.
//!
//! Invariants:
//!
//! * I1: whoever finds a file under its final name finds all of it. The bytes are durable before the name is (unless the caller asks for no durability).
//! * I2: a file is created exclusively, and takes its final name without replacing another file, unless the caller asks to replace it.
//! * I3: an unfinished file is locked (`flock`) by the process that writes it, for as long as that process lives, however it ends.
//! * I4: what others do to an unfinished file is an error, at the latest when it is published: a truncation is reported by the next append, a
//!   removal or replacement by the next sync, a moved folder by [`PartFile::publish`].
//! * I5: a folder that [`Folder::make`] made survives a loss of power, with every folder above it.
//!
//! Threads: a file belongs to one thread at a time; [`remove_unfinished`] may be called on any. Cost: a few system calls per file, and two per
//! [`PartFile::append`]: what size the file has, and the write.

mod disk;
mod file;
mod folder;
mod log;
pub mod memory;
mod part_folder;
mod remedy;
mod unfinished;

pub use disk::{Disk, DiskFile, FileId};
pub use file::{Existing, PartFile, part_name};
pub use folder::{Folder, is_being_written};
pub use log::LogFile;
pub use part_folder::PartFolder;
pub use remedy::remedy;
pub use unfinished::remove_unfinished;
