//! The files that this process has begun and not finished, so that a signal can take them away.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Disk, FileId};

/// By number of the entry.
type Entries = BTreeMap<u64, Entry>;

struct Entry {
    disk: Arc<dyn Disk>,
    part: OsString,
    id: FileId,
    is_folder: bool,
}

impl Entry {
    /// Removes the file, unless somebody else has put another one in its place.
    fn remove(&self) -> io::Result<()> {
        if self.disk.find(&self.part)? != Some(self.id) {
            return Ok(());
        }
        if self.is_folder {
            return std::fs::remove_dir_all(self.disk.path().join(&self.part));
        }
        self.disk.remove(&self.part)
    }
}

static UNFINISHED: Mutex<Entries> = Mutex::new(BTreeMap::new());

/// An entry in the list. Whoever drops it without [`Self::finish`] removes the file.
#[derive(Debug)]
pub(crate) struct Unfinished(Option<u64>);

impl Unfinished {
    pub(crate) fn begin(disk: &Arc<dyn Disk>, part: &OsStr, id: FileId) -> Self {
        Self::enter(Entry { disk: disk.clone(), part: part.into(), id, is_folder: false })
    }

    /// The same for a folder, with everything in it.
    pub(crate) fn begin_folder(disk: &Arc<dyn Disk>, part: &OsStr, id: FileId) -> Self {
        Self::enter(Entry { disk: disk.clone(), part: part.into(), id, is_folder: true })
    }

    fn enter(entry: Entry) -> Self {
        let mut entries = lock();
        let number = entries.last_key_value().map_or(0, |(last, _)| last + 1);
        entries.insert(number, entry);
        Self(Some(number))
    }

    /// Gives the file its final name with `rename`. While that takes, nobody removes the file.
    pub(crate) fn finish(&mut self, rename: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut entries = lock();
        rename()?;
        self.0.take().and_then(|number| entries.remove(&number));
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let entry = self.0.and_then(|number| lock().remove(&number));
        if let Some(entry) = entry {
            // Nothing can be done about a failure here; the name says that the file is unfinished.
            let _ = entry.remove();
        }
    }
}

/// Removes every unfinished file of this process that nobody could use, and says which. For a process that is about to end: no file gets its
/// final name, or is begun, after this.
pub fn remove_unfinished() -> Vec<PathBuf> {
    let mut entries = lock();
    let removed = std::mem::take(&mut *entries).into_values();
    let removed =
        removed.filter(|entry| entry.remove().is_ok()).map(|entry| entry.disk.path().join(entry.part));
    let removed = removed.collect();
    // Never unlocked: the thread that writes waits here until the process has ended.
    std::mem::forget(entries);
    removed
}

fn lock() -> MutexGuard<'static, Entries> {
    // A panic in between leaves a list that is right.
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}
