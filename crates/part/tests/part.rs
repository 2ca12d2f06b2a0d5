//! What a part file promises: whole or not there, whoever fails, is killed, or interferes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tamis_part::memory::{DiskFault, Lost, MemoryDisk};
use tamis_part::{Disk, Existing, Folder, PartFile, is_being_written};

const BYTES: [&[u8]; 3] = [b"one of three,", b"", b"and the rest, which is longer"];

fn write(disk: Arc<dyn Disk>, durable: bool) -> std::io::Result<()> {
    let mut part = PartFile::begin(disk, "whole")?;
    BYTES.iter().try_for_each(|bytes| part.append(bytes))?;
    part.overwrite(0, b"two")?;
    part.sync()?;
    part.append(b".")?;
    part.publish(Existing::Refuse, durable)
}

#[test]
fn whatever_fails_a_final_name_stands_for_all_the_bytes() {
    let calm = MemoryDisk::default();
    write(Arc::new(calm.clone()), true).unwrap();
    let whole = b"two of three,and the rest, which is longer.".to_vec();
    let name = OsString::from("whole");
    for (k, fault) in (0..calm.operations()).flat_map(|k| DiskFault::ALL.map(|fault| (k, fault))) {
        let memory = MemoryDisk::failing(k, fault);
        let result = write(Arc::new(memory.clone()), true);
        assert_eq!(result.is_ok(), fault.is_harmless(), "{fault:?} at operation {k}");
        assert!(result.is_ok() || memory.operations_after_fault() == 0, "{fault:?} at operation {k}");
        for lost in Lost::ALL {
            let left = memory.left_after(lost);
            let found = left.get(&name);
            assert!(found.is_none_or(|found| *found == whole), "{fault:?} at operation {k}, {lost:?}");
            assert!(
                found.is_some() || result.is_err(),
                "published, and not there: {fault:?} at {k}, {lost:?}"
            );
        }
    }
    // What need not be durable syncs nothing but what it was told to.
    let quick = MemoryDisk::default();
    write(Arc::new(quick.clone()), false).unwrap();
    assert_eq!(quick.operations(), calm.operations() - 2);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_unfinished_file_goes_and_one_that_is_of_use_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b\nü");
    let mut part = PartFile::create(&path).unwrap();
    part.append(b"half").unwrap();
    assert_eq!(names(folder.path()), ["a b\nü.part"]);
    drop(part);
    assert!(names(folder.path()).is_empty());
    // A process that was killed left something: it is replaced.
    fs::write(folder.path().join("a b\nü.part"), "left behind").unwrap();
    let mut part = PartFile::create(&path).unwrap();
    part.append(b"new").unwrap();
    part.publish(Existing::Refuse, true).unwrap();
    assert_eq!((names(folder.path()), fs::read(&path).unwrap()), (vec!["a b\nü".into()], b"new".to_vec()));
    // Nothing is replaced unasked.
    let mut part = PartFile::create(&path).unwrap();
    let error = part.publish(Existing::Refuse, true).unwrap_err();
    assert!(error.kind() == std::io::ErrorKind::AlreadyExists && !part.is_published(), "{error}");
    part.append(b"newer").unwrap();
    part.publish(Existing::Replace, true).unwrap();
    assert_eq!((names(folder.path()), fs::read(&path).unwrap()), (vec!["a b\nü".into()], b"newer".to_vec()));

    let disk: Arc<dyn Disk> = Arc::new(Folder::open(folder.path()).unwrap());
    drop(PartFile::begin(disk.clone(), "records").unwrap());
    assert_eq!(names(folder.path()), ["a b\nü", "records.part"]);
    assert!(PartFile::begin(disk, "records").is_err(), "what is of use is not replaced either");
}

#[test]
fn one_process_writes_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let part = PartFile::create(&path).unwrap();
    let unfinished = folder.path().join("x.part");
    assert!(is_being_written(&unfinished).unwrap());
    let error = PartFile::create(&path).unwrap_err().to_string();
    assert!(error.contains("another process is writing"), "{error}");
    assert_eq!(names(folder.path()), ["x.part"], "and it stays");
    drop(part);
    fs::write(&unfinished, "").unwrap();
    assert!(!is_being_written(&unfinished).unwrap());
    // A link or a folder in the way is nobody's leftover.
    fs::remove_file(&unfinished).unwrap();
    std::os::unix::fs::symlink("/nonexistent", &unfinished).unwrap();
    assert!(PartFile::create(&path).is_err());
    fs::remove_file(&unfinished).unwrap();
    fs::create_dir(&unfinished).unwrap();
    assert!(PartFile::create(&path).is_err());
    assert_eq!(names(folder.path()), ["x.part"]);
}

/// What somebody else does to an unfinished file.
type Touch<'a> = &'a dyn Fn(&Path);

#[test]
fn whoever_touches_an_unfinished_file_is_noticed() {
    let resize = |part: &Path, len| fs::File::options().write(true).open(part).unwrap().set_len(len).unwrap();
    let cases: [(&str, Touch<'_>); 5] = [
        ("was removed or renamed", &|part| fs::remove_file(part).unwrap()),
        ("was removed or renamed", &|part| fs::rename(part, part.with_extension("mine")).unwrap()),
        ("was replaced by another", &|part| {
            fs::write(part.with_extension("new"), "mine").unwrap();
            fs::rename(part.with_extension("new"), part).unwrap();
        }),
        ("of 4 bytes was changed to 1", &|part| resize(part, 1)),
        ("of 4 bytes was changed to 9", &|part| resize(part, 9)),
    ];
    for (what, touch) in cases {
        for at_sync in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x");
            let mut part = PartFile::create(&path).unwrap();
            part.append(b"four").unwrap();
            touch(&folder.path().join("x.part"));
            let result = if at_sync { part.sync() } else { part.publish(Existing::Refuse, true) };
            let error = result.unwrap_err().to_string();
            assert!(error.contains(what) && part.is_lost() && !part.is_published(), "{error}");
            drop(part);
            let is_another = what.contains("another");
            assert_eq!(folder.path().join("x.part").exists(), is_another, "only its own file is taken away");
            assert!(!path.exists());
        }
    }
}

#[test]
fn a_folder_that_moves_is_noticed_and_the_file_is_whole_there() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let disk: Arc<dyn Disk> = Arc::new(Folder::make(&here).unwrap());
    let mut part = PartFile::begin(disk.clone(), "x").unwrap();
    part.append(b"four").unwrap();
    fs::rename(&here, &there).unwrap();
    let error = part.publish(Existing::Refuse, true).unwrap_err().to_string();
    assert!(error.contains("moved to") && error.contains("there") && part.is_published(), "{error}");
    assert_eq!(fs::read(there.join("x")).unwrap(), b"four");
    assert_eq!(disk.place().unwrap(), Some(there.canonicalize().unwrap()));
    fs::remove_dir_all(&there).unwrap();
    assert_eq!(disk.place().unwrap(), None);
    assert!(disk.check_place().unwrap_err().to_string().contains("was removed"));
}

#[test]
fn folders_are_made_as_deep_as_needed() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b/c");
    Folder::make(&deep).unwrap();
    Folder::make(&deep).unwrap().probe().unwrap();
    assert!(names(&deep).is_empty());
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(Folder::make(&folder.path().join("file/b")).is_err());
    assert!(Folder::make(&folder.path().join("file")).is_err());
}
