//! The door to one folder: every operation through which a sink touches a disk, so that a test can make each of them fail.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags},
    io::Errno,
};

/// One folder. Names are relative to it.
pub(crate) trait Disk: Send {
    /// A new empty file. An existing one, also a symbolic link, is an error.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file its final name; an existing file of that name is an error.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes names durable.
    fn sync(&self) -> io::Result<()>;
    /// Bytes that this process may still write.
    fn free(&self) -> io::Result<u64>;
}

/// One file that is being appended to.
pub(crate) trait DiskFile: Send + Sync {
    /// Appends a part of `bytes` and says how many.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Makes everything appended durable.
    fn sync(&self) -> io::Result<()>;
}

impl DiskFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        file.write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A folder of the operating system, held open: nobody can put another one under its name while a run writes into it.
pub(crate) struct Folder {
    fd: OwnedFd,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// Creates and removes a file: the only test of writability that holds for every user and every file system.
    pub(crate) fn probe(&self) -> io::Result<()> {
        let name = format!(".tamis-probe-{}", std::process::id());
        drop(self.create(&name)?);
        self.remove(&name)
    }

    /// Removes a file that this process created.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }
}

impl Disk for Folder {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o644))?;
        Ok(Arc::new(File::from(fd)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            // Some file systems (NFS, older FUSE) know no exclusive rename; run names are claimed, so looking first is enough there.
            Err(Errno::INVAL | Errno::NOSYS) => {
                if rustix::fs::statat(&self.fd, to, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                    return Err(Errno::EXIST.into());
                }
                Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
            }
            other => Ok(other?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.fd)?;
        // A file system without blocks (some network mounts) does not know its size: then only a failing write can tell.
        Ok(if stat.f_blocks == 0 { u64::MAX } else { stat.f_bavail.saturating_mul(stat.f_frsize) })
    }
}
