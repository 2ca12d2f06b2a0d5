//! A folder of the operating system.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use crate::{Disk, DiskFile, FileId};

/// How often, and at what interval, locking a new file is retried while another process probes it.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// A folder, held open: nobody can put another one under its name unnoticed while files are written into it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

impl Folder {
    /// Opens a folder that exists; the empty path is the working folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { path: path.into(), fd: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// Opens a folder; makes it, and those above it, if they do not exist. What was made is durable.
    pub fn make(path: &Path) -> io::Result<Self> {
        match Self::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let above = Self::make(path.parent().unwrap_or(Path::new("")))?;
        match std::fs::create_dir(path) {
            // Somebody else was faster.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => above.sync()?,
        }
        Self::open(path)
    }

    /// Creates and removes a file: the only test of writability that holds for every user and every file system.
    pub fn probe(&self) -> io::Result<()> {
        let name = format!(".tamis-probe-{}", std::process::id());
        drop(self.create(name.as_ref())?);
        self.remove(name.as_ref())
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Which folder it is.
    pub(crate) fn id(&self) -> io::Result<FileId> {
        Ok(id_of(&rustix::fs::fstat(&self.fd)?))
    }

    /// Locks it for this process until it is dropped, or says that another one has it.
    pub(crate) fn lock(&self) -> io::Result<()> {
        lock(&self.fd, FlockOperation::NonBlockingLockExclusive)
    }

    /// Removes an unfinished file that no process writes any more.
    pub(crate) fn remove_abandoned(&self, name: &OsStr) -> io::Result<()> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // Held until the name is gone, so that nobody else takes the file for his own meanwhile.
        lock(&file, FlockOperation::NonBlockingLockExclusive)?;
        if self.find(name)? == Some(file.id()?) { self.remove(name) } else { Ok(()) }
    }
}

impl Disk for Folder {
    fn create(&self, name: &OsStr) -> io::Result<Arc<dyn DiskFile>> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o666))?;
        let file = File::from(fd);
        // Whoever came between looked for a moment only, or took the file for an abandoned one and removed it.
        for _ in 0..LOCK_TRIES {
            if lock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                break;
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        lock(&file, FlockOperation::NonBlockingLockExclusive)?;
        if self.find(name)? != Some(file.id()?) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            // Some file systems (NFS, older FUSE) know no exclusive rename; looking first is the best there is.
            Err(Errno::INVAL | Errno::NOSYS) => {
                if self.find(to)?.is_some() {
                    return Err(Errno::EXIST.into());
                }
                self.replace(from, to)
            }
            other => Ok(other?),
        }
    }

    fn replace(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    fn find(&self, name: &OsStr) -> io::Result<Option<FileId>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(id_of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.fd) {
            // File systems that cannot sync a folder (some network mounts) make names durable by themselves.
            Err(Errno::INVAL) => Ok(()),
            other => Ok(other?),
        }
    }

    fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.fd)?;
        // A file system without blocks (some network mounts) does not know its size: then only a failing write can tell.
        Ok(if stat.f_blocks == 0 { u64::MAX } else { stat.f_bavail.saturating_mul(stat.f_frsize) })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn place(&self) -> io::Result<Option<PathBuf>> {
        let own = id_of(&rustix::fs::fstat(&self.fd)?);
        let is_at = |path: &Path| rustix::fs::stat(path).is_ok_and(|stat| id_of(&stat) == own);
        if is_at(&self.path) {
            return Ok(Some(self.path.clone()));
        }
        let now = std::fs::read_link(format!("/proc/self/fd/{}", self.fd.as_raw_fd()));
        Ok(now.ok().filter(|now| is_at(now)))
    }
}

impl DiskFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        file.write(bytes)
    }

    fn overwrite(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(id_of(&rustix::fs::fstat(self)?))
    }
}

fn id_of(stat: &Stat) -> FileId {
    (stat.st_dev, stat.st_ino)
}

/// Does a process still write this file?
pub fn is_being_written(path: &Path) -> io::Result<bool> {
    // A pipe would wait for its writer, and nobody locks one.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(false);
    }
    // The lock goes with the file at the end of the statement.
    Ok(lock(&File::open(path)?, FlockOperation::NonBlockingLockShared).is_err())
}

/// Locks a file, or says that somebody else has it.
fn lock(file: impl AsFd, operation: FlockOperation) -> io::Result<()> {
    match rustix::fs::flock(file, operation) {
        Err(Errno::WOULDBLOCK) => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process is writing this file"))
        }
        // On a file system without locks everything else holds all the same.
        Ok(()) | Err(_) => Ok(()),
    }
}
