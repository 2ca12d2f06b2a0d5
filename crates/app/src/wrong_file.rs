//! Says what a file is if it was given in the place of another one.

use std::path::Path;

use tamis_source::FileKind;

use crate::Failure;

/// The failure to use a file as `called`, which may be of these kinds; if it plainly is something else, the failure says just that.
pub(crate) fn or_wrong_file(path: &Path, wanted: &[FileKind], called: &str, failure: Failure) -> Failure {
    let found = FileKind::of_file(path);
    // What has no mark of its own may be what was wanted, with a fault.
    if matches!(found, FileKind::Unknown | FileKind::Text | FileKind::Table) || wanted.contains(&found) {
        return failure;
    }
    let noun = found.noun();
    let remedy = match (found, called) {
        // Such a file is written by hand, so there is no other copy.
        (FileKind::Empty, "schema") => {
            "it begins with: name = \"events\", and has a [[field]] for each number".into()
        }
        (FileKind::Empty, "menu") => {
            "it begins with: name = \"menu\", and has a [[stream]] and a [[line]]".into()
        }
        (FileKind::Empty, "recipe") => {
            "it begins with: name = \"model\", and has an [[input]] and a [[data]]".into()
        }
        _ => found.remedy(),
    };
    Failure::new(failure.exit, format!("{} is no {called} but {noun}; {remedy}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;

    #[test]
    fn only_what_is_plainly_something_else_is_called_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let told = |content: &[u8], wanted: FileKind, called: &str| {
            std::fs::write(&path, content).unwrap();
            let failure = or_wrong_file(&path, &[wanted], called, Failure::new(Exit::Input, "own words"));
            failure.message.replace(&path.display().to_string(), "FILE")
        };
        let menu = b"name = \"m\"\n[[line]]\n";
        assert_eq!(
            told(menu, FileKind::Schema, "schema"),
            "FILE is no schema but a menu; `tamis replay` takes it with --menu"
        );
        assert_eq!(told(menu, FileKind::Menu, "menu"), "own words");
        assert_eq!(told(b"anything", FileKind::Menu, "menu"), "own words");
        assert_eq!(
            told(b"TAMF\x01\0", FileKind::Menu, "menu"),
            "FILE is no menu but a Tamis recording; `tamis replay` runs it, `tamis cat` shows its events"
        );
        for (called, has) in
            [("schema", "a [[field]]"), ("menu", "a [[stream]] and a [[line]]"), ("recipe", "an [[input]]")]
        {
            let told = told(b"", FileKind::Menu, called);
            let begins = format!("FILE is no {called} but an empty file; it begins with: name = ");
            assert!(told.starts_with(&begins) && told.contains(has), "{told}");
        }
        assert_eq!(
            told(b"", FileKind::Tar, "bundle"),
            "FILE is no bundle but an empty file; get another copy of it"
        );
    }
}
