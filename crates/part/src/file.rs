//! One file while it is written.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::unfinished::Unfinished;
use crate::{Disk, DiskFile, Folder};

/// What becomes of a file that has the final name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and publishing is an error.
    Refuse,
    /// It is replaced, in one step.
    Replace,
}

/// A file `NAME.part` that becomes `NAME` when it is whole. See the module's doc.
pub struct PartFile {
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    name: OsString,
    part: OsString,
    size: u64,
    is_lost: bool,
    is_published: bool,
    name_is_durable: bool,
    /// `None` if an unfinished file is of use and stays.
    unfinished: Option<Unfinished>,
}

impl PartFile {
    /// Begins `PATH.part` in a folder that exists. It is removed if it is dropped, or if the process is interrupted ([`crate::remove_unfinished`]).
    /// A part that an earlier process left behind is replaced; one that is being written is an error.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::create_as(path, ".part")
    }

    /// Like [`PartFile::create`], with another ending than `.part`.
    pub fn create_as(path: &Path, ending: &str) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let folder = Folder::open(path.parent().unwrap_or(Path::new("")))?;
        let mut part = name.to_owned();
        part.push(ending);
        let exists = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
        let file = match folder.create(&part) {
            Err(error) if exists(&error) => {
                folder.remove_abandoned(&part)?;
                folder.create(&part)?
            }
            created => created?,
        };
        let disk: Arc<dyn Disk> = Arc::new(folder);
        let unfinished = Some(Unfinished::begin(&disk, &part, file.id()?));
        Ok(Self { unfinished, ..Self::of(disk, file, name.into(), part) })
    }

    /// Begins `NAME.part` in `disk`. An unfinished one stays as it is: what reached it can be brought back.
    pub fn begin(disk: Arc<dyn Disk>, name: &str) -> io::Result<Self> {
        let part = part_name(name);
        let file = disk.create(&part)?;
        Ok(Self::of(disk, file, name.into(), part))
    }

    pub(crate) fn of(disk: Arc<dyn Disk>, file: Arc<dyn DiskFile>, name: OsString, part: OsString) -> Self {
        Self {
            disk,
            file,
            name,
            part,
            size: 0,
            is_lost: false,
            is_published: false,
            name_is_durable: false,
            unfinished: None,
        }
    }

    /// Appends all of `bytes`.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        // A file that was cut would get a hole, and then have the right size.
        self.check_size()?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.file.append(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.size += written as u64;
                    rest = &rest[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes over bytes that were appended: a header that states what came after it.
    pub fn overwrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.overwrite(at, bytes)
    }

    /// Bytes that were appended.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes everything so far durable, and its current name.
    pub fn sync(&mut self) -> io::Result<()> {
        // What has no name any more is not durable.
        self.check_untouched()?;
        self.file.sync()?;
        if !self.name_is_durable {
            self.disk.sync()?;
            self.name_is_durable = true;
        }
        Ok(())
    }

    /// Gives the file its final name; makes it durable first, and the name afterwards, if `durable` says so.
    ///
    /// After an error [`Self::is_published`] tells which name the file has.
    pub fn publish(&mut self, existing: Existing, durable: bool) -> io::Result<()> {
        self.check_untouched()?;
        if durable {
            self.file.sync()?;
        }
        let Self { disk, name, part, .. } = self;
        let rename = || match existing {
            Existing::Refuse => disk.rename(part, name),
            Existing::Replace => disk.replace(part, name),
        };
        match &mut self.unfinished {
            Some(unfinished) => unfinished.finish(rename)?,
            None => rename()?,
        }
        self.is_published = true;
        if durable {
            self.disk.sync()?;
        }
        // The file is whole, wherever its folder is by now; but nobody would look for it there.
        self.disk.check_place()
    }

    /// Does the file have its final name?
    pub fn is_published(&self) -> bool {
        self.is_published
    }

    /// Did somebody else remove, replace or change the file?
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Is what the name leads to what was written?
    pub(crate) fn check_untouched(&mut self) -> io::Result<()> {
        match self.disk.find(&self.part)? {
            Some(found) if found == self.file.id()? => self.check_size(),
            Some(_) => Err(self.lose(io::ErrorKind::NotFound, "was replaced by another")),
            None => Err(self.lose(io::ErrorKind::NotFound, "was removed or renamed")),
        }
    }

    fn check_size(&mut self) -> io::Result<()> {
        let found = self.file.size()?;
        if found == self.size {
            return Ok(());
        }
        let what = format!("of {} bytes was changed to {found}", self.size);
        Err(self.lose(io::ErrorKind::InvalidData, &what))
    }

    fn lose(&mut self, kind: io::ErrorKind, what: &str) -> io::Error {
        self.is_lost = true;
        io::Error::new(kind, format!("the file {what} while it was written"))
    }
}

impl io::Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for PartFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartFile").field("part", &self.part).field("size", &self.size).finish_non_exhaustive()
    }
}

/// Name of a file while it is written.
pub fn part_name(name: impl AsRef<OsStr>) -> OsString {
    let mut part = name.as_ref().to_owned();
    part.push(".part");
    part
}
