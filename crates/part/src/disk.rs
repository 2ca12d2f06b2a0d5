//! The door to one folder: every operation through which files are written, so that a test can make each of them fail.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One folder. Names are relative to it.
pub trait Disk: Send + Sync {
    /// A new empty file, locked. An existing one, also a symbolic link, is an error.
    fn create(&self, name: &OsStr) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name; an existing file of that name is an error.
    fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()>;
    /// Gives a file another name, in place of the file that has it.
    fn replace(&self, from: &OsStr, to: &OsStr) -> io::Result<()>;
    /// Removes a name.
    fn remove(&self, name: &OsStr) -> io::Result<()>;
    /// Which file has this name; `None` if there is none.
    fn find(&self, name: &OsStr) -> io::Result<Option<FileId>>;
    /// Makes names durable.
    fn sync(&self) -> io::Result<()>;
    /// Bytes that this process may still write.
    fn free(&self) -> io::Result<u64>;
    /// How it was opened.
    fn path(&self) -> &Path;
    /// Where it is now, which is [`Self::path`] unless somebody moved it; `None` if it was removed.
    fn place(&self) -> io::Result<Option<PathBuf>>;
}

impl dyn Disk {
    /// An error if the folder is no longer where it was opened.
    pub fn check_place(&self) -> io::Result<()> {
        let path = self.path();
        let place = self.place()?;
        let what = match &place {
            Some(place) if place == path => return Ok(()),
            Some(place) => format!("moved to {}", place.display()),
            None => "removed".into(),
        };
        let message = format!("the folder {} was {what} while it was in use", path.display());
        Err(io::Error::new(io::ErrorKind::NotFound, message))
    }
}

/// One file that is being written.
pub trait DiskFile: Send + Sync {
    /// Appends a part of `bytes` and says how many.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Writes over what is there.
    fn overwrite(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything that was written durable.
    fn sync(&self) -> io::Result<()>;
    /// Its size in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Which file it is.
    fn id(&self) -> io::Result<FileId>;
}

/// What tells one file from another, whatever their names: device and number on it.
pub type FileId = (u64, u64);
