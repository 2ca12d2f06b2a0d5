//! Names of runs, streams and files, and the claim of a run name in a folder.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    disk::{Disk as _, Folder},
    limits::FREE_BYTES_MIN,
};

/// Longest run or stream name in bytes.
const NAME_LEN_MAX: usize = 64;

/// A name cannot be part of a file name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' cannot be part of a file name; use 1 to 64 of A-Z a-z 0-9 . _ - and no leading dot")]
pub struct NameError {
    name: String,
}

/// Why a folder cannot take a run.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The run name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The folder cannot be created, opened or listed.
    #[error("{folder}: cannot be used as output folder: {error}; create it or choose another", folder = .folder.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    Folder { folder: PathBuf, error: io::Error },
    /// Nothing can be created in the folder.
    #[error("{folder}: cannot be written to: {error}; change its permissions or choose another", folder = .folder.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    ReadOnly { folder: PathBuf, error: io::Error },
    /// The disk is nearly full.
    #[error("{folder}: {free} bytes free, a run needs at least {FREE_BYTES_MIN}; free some space or choose another folder", folder = .folder.display())]
    #[expect(missing_docs, reason = "the message is the documentation")]
    Full { folder: PathBuf, free: u64 },
}

/// Refuses names that could leave the folder, hide a file or surprise a shell.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let ok = (1..=NAME_LEN_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if ok { Ok(()) } else { Err(NameError { name: name.chars().take(2 * NAME_LEN_MAX).collect() }) }
}

/// Prepares `folder` for a run and finds a name for its files that no other run has there: `wanted`, or `wanted.2`, `wanted.3`, ...
///
/// Creates the folder if it does not exist, checks that files can be created in it and that [`FREE_BYTES_MIN`] are free. Creates no file;
/// two runs that claim the same name at the same moment meet at the first file, where the later one fails.
pub fn claim_run_name(folder: &Path, wanted: &str) -> Result<String, ClaimError> {
    check_name(wanted)?;
    let unusable = |error| ClaimError::Folder { folder: folder.into(), error };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let disk = Folder::open(folder).map_err(unusable)?;
    disk.probe().map_err(|error| ClaimError::ReadOnly { folder: folder.into(), error })?;
    let free = disk.free().map_err(unusable)?;
    if free < FREE_BYTES_MIN {
        return Err(ClaimError::Full { folder: folder.into(), free });
    }
    let entries: Vec<String> = std::fs::read_dir(folder)
        .and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        })
        .map_err(unusable)?;
    let mut name = wanted.to_string();
    for number in 2_u64.. {
        if !entries.iter().any(|entry| belongs_to(entry, &name)) {
            break;
        }
        name = format!("{wanted}.{number}");
    }
    check_name(&name)?;
    Ok(name)
}

/// Whether a file may belong to the run. `l1-mixed-0001.mcap` may be of the run `l1` or `l1-mixed`; it counts for both.
fn belongs_to(entry: &str, run_name: &str) -> bool {
    let Some(rest) = entry.strip_prefix(run_name) else { return false };
    let stored = rest.starts_with('-') && (rest.ends_with(".mcap") || rest.ends_with(".part"));
    stored || rest == ".ledger.jsonl"
}

/// File number `number` (from 1) of a stream.
pub(crate) fn file_name(run_name: &str, stream: &str, number: u32) -> String {
    format!("{run_name}-{stream}-{number:04}.mcap")
}

/// Name of a file while it is written.
pub(crate) fn part_name(name: &str) -> String {
    format!("{name}.part")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        for name in ["", ".", "..", ".x", "a/b", "a\0b", "a b", "ä", "a\n", "-/..", &"x".repeat(65), "con:"]
        {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in ["a", "l1-mixed", "l1-mixed.2", "A_b.c-9", &"x".repeat(64)] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn a_taken_name_is_never_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/out");
        assert_eq!(claim_run_name(&out, "l1-mixed").unwrap(), "l1-mixed");
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0, "a claim leaves nothing behind");
        std::fs::write(out.join("l1-mixed-physics-0001.mcap.part"), "").unwrap();
        assert_eq!(claim_run_name(&out, "l1-mixed").unwrap(), "l1-mixed.2");
        std::fs::write(out.join("l1-mixed.2.ledger.jsonl"), "").unwrap();
        assert_eq!(claim_run_name(&out, "l1-mixed").unwrap(), "l1-mixed.3");
        assert_eq!(claim_run_name(&out, "l1-mixed.2").unwrap(), "l1-mixed.2.2");
        std::os::unix::fs::symlink("/nonexistent", out.join("z-physics-0001.mcap")).unwrap();
        assert_eq!(claim_run_name(&out, "z").unwrap(), "z.2");
    }

    #[test]
    fn a_file_is_no_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(claim_run_name(file.path(), "x"), Err(ClaimError::Folder { .. })));
        assert!(matches!(claim_run_name(file.path(), "../x"), Err(ClaimError::Name(_))));
    }
}
