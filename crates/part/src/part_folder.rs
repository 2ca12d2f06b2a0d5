//! A folder of files that belong together, while they are written.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::RenameFlags;
use rustix::io::Errno;

use crate::unfinished::Unfinished;
use crate::{Disk, Existing, Folder, PartFile, part_name};

/// A folder `NAME.part` that becomes `NAME` when every file in it is whole. It is removed if it is dropped, or if the process is interrupted
/// ([`crate::remove_unfinished`]).
#[derive(Debug)]
pub struct PartFolder {
    above: Arc<Folder>,
    name: OsString,
    part: OsString,
    inside: Folder,
    unfinished: Unfinished,
}

impl PartFolder {
    /// Begins `PATH.part`; the folders above are made if they do not exist. A part that an earlier process left behind is replaced; one that is being
    /// written is an error.
    pub fn create(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let above = Arc::new(Folder::make(path.parent().unwrap_or(Path::new("")))?);
        let part = part_name(name);
        let place = above.path().join(&part);
        match std::fs::create_dir(&place) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let abandoned = Folder::open(&place)?;
                abandoned.lock()?;
                std::fs::remove_dir_all(&place)?;
                std::fs::create_dir(&place)?;
            }
            made => made?,
        }
        let inside = Folder::open(&place)?;
        inside.lock()?;
        let disk: Arc<dyn Disk> = above.clone();
        let unfinished = Unfinished::begin_folder(&disk, &part, inside.id()?);
        Ok(Self { above, name: name.into(), part, inside, unfinished })
    }

    /// Writes a file of it, durable.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = PartFile::create(&self.inside.path().join(name))?;
        file.append(bytes)?;
        file.publish(Existing::Refuse, true)
    }

    /// Gives the folder its final name, durable. With [`Existing::Replace`] the folder that has the name goes, in one step where the file system can
    /// exchange names.
    pub fn publish(mut self, existing: Existing) -> io::Result<()> {
        let Self { above, name, part, inside, unfinished } = &mut self;
        inside.sync()?;
        let mut has_taken_place = false;
        let rename = || match existing {
            Existing::Replace if above.find(name)?.is_some() => {
                has_taken_place = true;
                above.exchange(part, name)
            }
            _ => above.rename(part, name),
        };
        unfinished.finish(rename)?;
        above.sync()?;
        if has_taken_place {
            // What is called NAME.part now is the folder that was replaced.
            std::fs::remove_dir_all(above.path().join(part))?;
        }
        Ok(())
    }
}

impl Folder {
    /// Exchanges the names of two entries; afterwards `new` has the name `old`.
    fn exchange(&self, new: &OsStr, old: &OsStr) -> io::Result<()> {
        match rustix::fs::renameat_with(self.fd(), new, self.fd(), old, RenameFlags::EXCHANGE) {
            // Some file systems (NFS, older FUSE) cannot; then there is a moment without a folder of this name.
            Err(Errno::INVAL | Errno::NOSYS) => {
                let mut aside = old.to_owned();
                aside.push(".replaced");
                self.rename(old, &aside)?;
                self.rename(new, old)?;
                self.rename(&aside, new)
            }
            other => Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_is_whole_or_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("below/it");
        let entries = || {
            let mut names: Vec<_> = fs::read_dir(path.parent().unwrap())
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            names.sort();
            names
        };
        let first = PartFolder::create(&path).unwrap();
        first.write("a", b"one").unwrap();
        assert!(!path.exists());
        first.publish(Existing::Refuse).unwrap();
        assert_eq!((entries(), fs::read(path.join("a")).unwrap()), (vec!["it".into()], b"one".to_vec()));

        // Dropped: nothing has changed.
        let dropped = PartFolder::create(&path).unwrap();
        dropped.write("a", b"two").unwrap();
        let busy = PartFolder::create(&path).unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
        drop(dropped);
        assert_eq!((entries(), fs::read(path.join("a")).unwrap()), (vec!["it".into()], b"one".to_vec()));

        let refused = PartFolder::create(&path).unwrap();
        assert_eq!(refused.publish(Existing::Refuse).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(entries(), ["it"]);

        // What an earlier process left behind is no obstacle.
        fs::create_dir(path.with_extension("part")).unwrap();
        fs::write(path.with_extension("part").join("old"), b"old").unwrap();
        let second = PartFolder::create(&path).unwrap();
        second.write("b", b"three").unwrap();
        second.publish(Existing::Replace).unwrap();
        let inside: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!((entries(), inside), (vec!["it".into()], vec!["b".into()]));
    }
}
