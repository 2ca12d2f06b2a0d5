//! A file that is read while it grows.

use std::io;
use std::sync::Arc;

use crate::{Disk, PartFile};

/// A file of lines that has its own name from the start. It is removed if it is dropped before anything was appended.
pub struct LogFile {
    disk: Arc<dyn Disk>,
    name: String,
    file: PartFile,
}

impl LogFile {
    /// Begins the file; an existing one is an error.
    pub fn create(disk: Arc<dyn Disk>, name: &str) -> io::Result<Self> {
        let file = disk.create(name.as_ref())?;
        let file = PartFile::of(disk.clone(), file, name.into(), name.into());
        Ok(Self { disk, name: name.into(), file })
    }

    /// Appends whole lines.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.append(lines)
    }

    /// Makes everything durable, and says whether it can be found where it was begun.
    pub fn finish(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.disk.check_place()
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        if self.file.size() == 0 && self.file.check_untouched().is_ok() {
            // An empty file that stays is in nobody's way but that of its name.
            let _ = self.disk.remove(self.name.as_ref());
        }
    }
}

impl std::fmt::Debug for LogFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogFile").field("name", &self.name).finish_non_exhaustive()
    }
}
