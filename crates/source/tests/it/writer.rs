//! The frame writer: no file under the final name until it is complete.

use std::fs;
use std::path::Path;

use tamis_source::{TmfWriter, WriteError};
use tempfile::tempdir;

use crate::{schema, write};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_appears_when_it_is_whole() {
    let folder = tempdir().unwrap();
    for name in ["a.tmf", "a.tmf.zst"] {
        let path = folder.path().join(name);
        let writer = TmfWriter::create(&path, &schema(), false).unwrap();
        assert_eq!(names(folder.path()), [format!("{name}.part")]);
        drop(writer);
        assert_eq!(names(folder.path()), [""; 0], "a part without an end is removed");
        write(&path, 10);
        assert_eq!(names(folder.path()), [name]);

        let before = fs::read(&path).unwrap();
        assert!(matches!(TmfWriter::create(&path, &schema(), false), Err(WriteError::Exists { .. })));
        drop(TmfWriter::create(&path, &schema(), true).unwrap());
        assert_eq!(fs::read(&path).unwrap(), before, "an old file is only replaced by a whole one");
        TmfWriter::create(&path, &schema(), true).unwrap().finish().unwrap();
        assert_ne!(fs::read(&path).unwrap(), before);
        fs::remove_file(&path).unwrap();

        let late = TmfWriter::create(&path, &schema(), false).unwrap();
        fs::write(&path, "somebody was faster").unwrap();
        assert!(matches!(late.finish(), Err(WriteError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"somebody was faster");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_cannot_be_written_says_why() {
    let folder = tempdir().unwrap();
    let refused =
        |name: &str| TmfWriter::create(&folder.path().join(name), &schema(), false).unwrap_err().to_string();
    assert!(refused("a.csv").ends_with("a.csv: the name of a recording ends in .tmf or .tmf.zst"));
    let error = refused("no/such/folder/a.tmf");
    assert!(error.contains("a.tmf.part") && error.ends_with("check that the folder exists"), "{error}");
}
