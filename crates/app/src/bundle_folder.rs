//! Writing a bundle into a folder, whoever made it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use tamis_model::MANIFEST_FILE;
use tamis_part::{Existing, PartFolder, remedy};

use crate::{Exit, Failure};

/// Refuses a folder that is there, unless it may be replaced and holds a bundle and nothing else. Asked before the work begins that the bundle is the
/// result of.
pub(crate) fn may_write(folder: &Path, overwrite: bool) -> Result<(), Failure> {
    let refuse = |message: String| Err(Failure::new(Exit::Settings, message));
    if folder == Path::new("-") {
        return refuse("a bundle is a folder, and - is standard output; name a folder".into());
    }
    let place = folder.display();
    if !folder.exists() {
        return Ok(());
    }
    if !folder.is_dir() {
        return refuse(format!("{place} is a file, and a bundle is a folder; give another --out"));
    }
    if !overwrite {
        return refuse(format!("{place}: exists; give --overwrite to replace it, or another --out"));
    }
    match foreign(folder).first() {
        Some(name) => {
            let name = Path::new(name).display();
            refuse(format!(
                "{place}: {name} is no file of a bundle, and --overwrite replaces the folder; move it, or give another --out"
            ))
        }
        None => Ok(()),
    }
}

/// The entries of a folder that do not belong to the bundle in it.
fn foreign(folder: &Path) -> BTreeSet<OsString> {
    let manifest = std::fs::read_to_string(folder.join(MANIFEST_FILE)).unwrap_or_default();
    let manifest: toml::Table = manifest.parse().unwrap_or_default();
    let files = manifest.values().filter_map(|value| value.get("file")?.as_str());
    let own: BTreeSet<OsString> = files.chain([MANIFEST_FILE]).map(OsString::from).collect();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    entries.filter(|name| !own.contains(name)).collect()
}

/// Writes the files of a bundle into a folder of another name, which takes the place of `folder` when all are there: a reader sees the old bundle or
/// the new one.
pub(crate) fn write(folder: &Path, files: &[(&str, &[u8])], overwrite: bool) -> Result<(), Failure> {
    may_write(folder, overwrite)?;
    let failure = |exit: Exit, error: &std::io::Error| {
        Failure::new(exit, format!("{}: {error}; {}", folder.display(), remedy(error.kind())))
    };
    let part = PartFolder::create(folder).map_err(|error| failure(Exit::of_output(&error), &error))?;
    let existing = if overwrite { Existing::Replace } else { Existing::Refuse };
    let written = files.iter().try_for_each(|(name, bytes)| part.write(name, bytes));
    written.and_then(|()| part.publish(existing)).map_err(|error| failure(Exit::Storage, &error))
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
        // Other files would go with the folder.
        let failure = write(&path, &[("model.toml", b"two")], true).unwrap_err();
        assert!(failure.message.contains("weights is no file of a bundle"), "{failure}");
        fs::write(path.join("model.toml"), "[weights]\nfile = 'weights'\n").unwrap();
        write(&path, &[("other", b"w"), ("model.toml", b"two")], true).unwrap();
        assert_eq!(fs::read(path.join("model.toml")).unwrap(), b"two");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2, "nothing of the old bundle stays");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing half written stays");
        for (wrong, folder) in [("is a file", path.join("model.toml")), ("exists", path.join("model.toml/x"))]
        {
            let failure = write(&folder, &[], true).unwrap_err();
            assert!(failure.exit == Exit::Settings && failure.message.contains(wrong), "{failure}");
        }
    }
}
