//! Writing a bundle into a folder, whoever made it.

use std::io;
use std::path::Path;

use tamis_part::{Existing, Folder, PartFile};

use crate::exit::OrFail;
use crate::{Exit, Failure};

/// Refuses a folder that is there, unless it may be replaced. Asked before the work begins that the bundle is the result of.
pub(crate) fn may_write(folder: &Path, overwrite: bool) -> Result<(), Failure> {
    if folder == Path::new("-") {
        let message = "a bundle is a folder, and - is standard output; name a folder";
        return Err(Failure::new(Exit::Settings, message));
    }
    if folder.exists() && !overwrite {
        let message =
            format!("{}: exists; give --overwrite to replace it, or another --out", folder.display());
        return Err(Failure::new(Exit::Settings, message));
    }
    Ok(())
}

/// Writes the files of a bundle in their order, each under another name first, so that a reader never sees half a file.
pub(crate) fn write(folder: &Path, files: &[(&str, &[u8])], overwrite: bool) -> Result<(), Failure> {
    may_write(folder, overwrite)?;
    let at = |path: &Path, result: io::Result<()>| {
        result.map_err(|error| format!("{}: {error}", path.display())).or_fail(Exit::Storage)
    };
    at(folder, Folder::make(folder).map(drop))?;
    for (name, bytes) in files {
        let path = folder.join(name);
        at(&path, write_file(&path, bytes))?;
    }
    Ok(())
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = PartFile::create(path)?;
    part.append(bytes)?;
    part.publish(Existing::Replace, true)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_bundle_is_not_overwritten_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("models/toy");
        write(&path, &[("weights", b"w"), ("model.toml", b"one")], false).unwrap();
        let failure = write(&path, &[("model.toml", b"two")], false).unwrap_err();
        assert_eq!(failure.exit, Exit::Settings);
        assert!(failure.message.ends_with("exists; give --overwrite to replace it, or another --out"));
        assert_eq!(fs::read(path.join("model.toml")).unwrap(), b"one");
        write(&path, &[("weights", b"w"), ("model.toml", b"two")], true).unwrap();
        assert_eq!(fs::read(path.join("model.toml")).unwrap(), b"two");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2, "nothing half written stays");
        let below_a_file = path.join("model.toml/x");
        assert_eq!(write(&below_a_file, &[], false).unwrap_err().exit, Exit::Storage);
    }
}
