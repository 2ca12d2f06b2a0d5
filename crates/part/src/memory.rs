//! A disk in memory on which every operation can fail, for the tests of everybody who writes files.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Disk, DiskFile, FileId};

/// What happens at the operation that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// It does nothing and reports this error of the operating system.
    Error(i32),
    /// A write writes half and says so: no error at all.
    Short,
    /// A write writes half and reports an error.
    Torn,
    /// It is interrupted by a signal once: no error at all.
    Interrupted,
}

impl DiskFault {
    /// One of each kind.
    pub const ALL: [Self; 5] =
        [Self::Error(EIO), Self::Error(ENOSPC), Self::Torn, Self::Short, Self::Interrupted];

    /// Does nobody but the one who writes notice it?
    pub fn is_harmless(self) -> bool {
        matches!(self, Self::Short | Self::Interrupted)
    }
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The process was killed: nothing that was written.
    Process,
    /// Power, at the worst moment: all that was not synced.
    Power,
    /// Power, but names had reached the disk by themselves: bytes that were not synced.
    PowerAfterNames,
}

impl Lost {
    /// Every case.
    pub const ALL: [Self; 3] = [Self::Process, Self::Power, Self::PowerAfterNames];
}

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Its bytes.
    pub data: Vec<u8>,
    /// Those that survive a loss of power.
    pub synced: Vec<u8>,
}

#[derive(Debug, Default)]
struct Platter {
    files: Vec<Content>,
    names: BTreeMap<OsString, usize>,
    synced_names: BTreeMap<OsString, usize>,
    operations: usize,
    fault: Option<(usize, DiskFault)>,
    after_fault: usize,
    fired: bool,
}

impl Platter {
    /// Counts an operation; says what goes wrong with it.
    fn operation(&mut self) -> Option<DiskFault> {
        let number = self.operations;
        self.operations += 1;
        self.after_fault += usize::from(self.fired);
        let fault = self.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        self.fired |= fault.is_some();
        fault
    }

    /// An operation that cannot be done by halves.
    fn whole_operation(&mut self) -> io::Result<()> {
        match self.operation() {
            Some(DiskFault::Error(code)) => Err(io::Error::from_raw_os_error(code)),
            Some(DiskFault::Torn) => Err(io::Error::from_raw_os_error(EIO)),
            _ => Ok(()),
        }
    }
}

/// The folder `memory`.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<Platter>>);

impl MemoryDisk {
    /// A disk whose operation number `at` goes wrong.
    pub fn failing(at: usize, fault: DiskFault) -> Self {
        let memory = Self::default();
        memory.lock().fault = Some((at, fault));
        memory
    }

    /// Operations so far.
    pub fn operations(&self) -> usize {
        self.lock().operations
    }

    /// Operations after the one that went wrong.
    pub fn operations_after_fault(&self) -> usize {
        self.lock().after_fault
    }

    /// What can be found by name after this loss.
    pub fn left_after(&self, lost: Lost) -> BTreeMap<OsString, Vec<u8>> {
        let platter = self.lock();
        let names = if lost == Lost::Power { &platter.synced_names } else { &platter.names };
        let data = |file: &usize| {
            let Content { data, synced } = &platter.files[*file];
            if lost == Lost::Process { data.clone() } else { synced.clone() }
        };
        names.iter().map(|(name, file)| (name.clone(), data(file))).collect()
    }

    /// Every file that was ever created, in order.
    pub fn files(&self) -> Vec<Content> {
        self.lock().files.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        // A test that panicked while it held the lock has failed already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rename_over(&self, from: &OsStr, to: &OsStr, may_replace: bool) -> io::Result<()> {
        let mut platter = self.lock();
        platter.whole_operation()?;
        if !may_replace && platter.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let number = platter.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        platter.names.insert(to.into(), number);
        Ok(())
    }
}

struct MemoryFile {
    memory: MemoryDisk,
    number: usize,
}

impl DiskFile for MemoryFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut platter = self.memory.lock();
        let fault = platter.operation();
        let part = match fault {
            None => bytes,
            Some(DiskFault::Error(code)) => return Err(io::Error::from_raw_os_error(code)),
            Some(DiskFault::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
            Some(DiskFault::Short | DiskFault::Torn) => &bytes[..bytes.len().div_ceil(2)],
        };
        platter.files[self.number].data.extend_from_slice(part);
        if fault == Some(DiskFault::Torn) { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(part.len()) }
    }

    fn overwrite(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut platter = self.memory.lock();
        platter.whole_operation()?;
        platter.files[self.number].data[at as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut platter = self.memory.lock();
        platter.whole_operation()?;
        let file = &mut platter.files[self.number];
        file.synced = file.data.clone();
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        let mut platter = self.memory.lock();
        platter.whole_operation()?;
        Ok(platter.files[self.number].data.len() as u64)
    }

    fn id(&self) -> io::Result<FileId> {
        self.memory.lock().whole_operation().map(|()| (0, self.number as u64))
    }
}

impl Disk for MemoryDisk {
    fn create(&self, name: &OsStr) -> io::Result<Arc<dyn DiskFile>> {
        let mut platter = self.lock();
        platter.whole_operation()?;
        if platter.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let number = platter.files.len();
        platter.files.push(Content::default());
        platter.names.insert(name.into(), number);
        Ok(Arc::new(MemoryFile { memory: self.clone(), number }))
    }

    fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.rename_over(from, to, false)
    }

    fn replace(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.rename_over(from, to, true)
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        let mut platter = self.lock();
        platter.whole_operation()?;
        platter.names.remove(name).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn find(&self, name: &OsStr) -> io::Result<Option<FileId>> {
        let mut platter = self.lock();
        platter.whole_operation()?;
        Ok(platter.names.get(name).map(|&number| (0, number as u64)))
    }

    fn sync(&self) -> io::Result<()> {
        let mut platter = self.lock();
        platter.whole_operation()?;
        platter.synced_names = platter.names.clone();
        Ok(())
    }

    fn free(&self) -> io::Result<u64> {
        self.lock().whole_operation().map(|()| u64::MAX)
    }

    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn place(&self) -> io::Result<Option<PathBuf>> {
        // Where a folder is, the operating system knows without the disk.
        Ok(Some("memory".into()))
    }
}
