//! Names of runs, streams and files, and claims of run names in a folder.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tamis_part::{Disk, Folder, LogFile};

use crate::limits::FREE_BYTES_MIN;

/// Longest run or stream name in bytes.
const NAME_LEN_MAX: usize = 64;

/// Suffix of a run's ledger, after the run's name.
pub const LEDGER: &str = ".ledger.jsonl";

/// A name that cannot be part of a file name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' cannot be part of a file name; use 1 to 64 of A-Z a-z 0-9 . _ - and no leading dot", .name.escape_debug())]
pub struct NameError {
    name: String,
}

/// Why a folder cannot take a run.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The run name is refused.
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

/// Refuses names that could escape the folder, hide a file or upset a shell.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let ok = (1..=NAME_LEN_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if ok { Ok(()) } else { Err(NameError { name: name.chars().take(2 * NAME_LEN_MAX).collect() }) }
}

/// A run name that is unique in its folder, claimed by creating its ledger. If the ledger stays empty, it is removed with the claim.
#[derive(Debug)]
pub struct Claim {
    /// The name.
    pub name: String,
    /// `NAME.ledger.jsonl`, empty.
    pub ledger: LogFile,
}

/// Prepares `folder` for a run and claims a name for its files that no other run uses there: `wanted`, or `wanted.2`, `wanted.3`, ...
///
/// Creates the folder if it does not exist, checks that files can be created in it and that [`FREE_BYTES_MIN`] are free. Two runs that claim the
/// same name at the same moment get different ones.
pub fn claim_run_name(folder: &Path, wanted: &str) -> Result<Claim, ClaimError> {
    check_name(wanted)?;
    let unusable = |error| ClaimError::Folder { folder: folder.into(), error };
    let disk = Folder::make(folder).map_err(unusable)?;
    disk.probe().map_err(|error| ClaimError::ReadOnly { folder: folder.into(), error })?;
    let free = disk.free().map_err(unusable)?;
    if free < FREE_BYTES_MIN {
        return Err(ClaimError::Full { folder: folder.into(), free });
    }
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let entries: Vec<String> = std::fs::read_dir(folder)
        .and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        })
        .map_err(unusable)?;
    let mut name = wanted.to_string();
    for number in 2_u64.. {
        check_name(&name)?;
        if !entries.iter().any(|entry| belongs_to(entry, &name)) {
            match LogFile::create(disk.clone(), &format!("{name}{LEDGER}")) {
                // Another run was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return Ok(Claim { name, ledger: created.map_err(unusable)? }),
            }
        }
        name = format!("{wanted}.{number}");
    }
    unreachable!("there are more numbers than files")
}

/// Makes a run name from any text, such as a file name: characters that are not allowed become hyphens.
pub fn run_name_of(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    // Leaves room for the number that is added if the name is taken.
    let name: String = text.trim_start_matches('.').chars().map(allowed).take(NAME_LEN_MAX - 8).collect();
    if name.is_empty() { "run".into() } else { name }
}

/// Might a file belong to the run? `l1-mixed-0001.mcap` might be of run `l1` or `l1-mixed` and counts for both.
fn belongs_to(entry: &str, run_name: &str) -> bool {
    let Some(rest) = entry.strip_prefix(run_name) else { return false };
    let stored = rest.starts_with('-') && (rest.ends_with(".mcap") || rest.ends_with(".part"));
    stored || rest == LEDGER
}

/// Name of file number `number` (from 1) of a stream.
pub fn file_name(run_name: &str, stream: &str, number: u32) -> String {
    // Beyond four digits, a letter encodes the number of digits, so that names sort like numbers.
    let more = number.checked_ilog10().unwrap_or(0).saturating_sub(3) as u8;
    let letter = if more == 0 { String::new() } else { char::from(b'a' + more - 1).to_string() };
    format!("{run_name}-{stream}-{letter}{number:04}.mcap")
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
    fn files_sort_by_number() {
        let numbers = [
            1,
            2,
            9,
            10,
            999,
            1000,
            9998,
            9999,
            10_000,
            10_001,
            99_999,
            100_000,
            999_999,
            1_000_000,
            u32::MAX,
        ];
        let names = numbers.map(|number| file_name("l1", "physics", number));
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(
            (names[0].as_str(), names[8].as_str()),
            ("l1-physics-0001.mcap", "l1-physics-a10000.mcap")
        );
    }

    #[test]
    fn a_taken_name_is_never_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/out");
        let claimed = |wanted: &str| claim_run_name(&out, wanted).unwrap().name;
        let first = claim_run_name(&out, "l1-mixed").unwrap();
        let second = claim_run_name(&out, "l1-mixed").unwrap();
        assert_eq!(
            (first.name.as_str(), second.name.as_str()),
            ("l1-mixed", "l1-mixed.2"),
            "at the same time"
        );
        drop((first, second));
        assert_eq!(
            std::fs::read_dir(&out).unwrap().count(),
            0,
            "a claim of which nothing was made leaves nothing"
        );
        std::fs::write(out.join("l1-mixed-physics-0001.mcap.part"), "").unwrap();
        assert_eq!(claimed("l1-mixed"), "l1-mixed.2");
        let mut kept = claim_run_name(&out, "l1-mixed").unwrap();
        kept.ledger.append(b"{}\n").unwrap();
        kept.ledger.finish().unwrap();
        drop(kept);
        assert_eq!(std::fs::read(out.join("l1-mixed.2.ledger.jsonl")).unwrap(), b"{}\n");
        assert_eq!(claimed("l1-mixed"), "l1-mixed.3");
        assert_eq!(claimed("l1-mixed.2"), "l1-mixed.2.2");
        std::os::unix::fs::symlink("/nonexistent", out.join("z-physics-0001.mcap")).unwrap();
        assert_eq!(claimed("z"), "z.2");
    }

    #[test]
    fn any_text_gives_a_name() {
        for (text, name) in [
            ("l1-mixed", "l1-mixed"),
            ("my run", "my-run"),
            ("l\u{e4}uf", "l-uf"),
            ("2025-11-30T16:00", "2025-11-30T16-00"),
            ("a\nb", "a-b"),
            ("..", "run"),
            ("", "run"),
        ] {
            assert_eq!(run_name_of(text), name, "{text:?}");
            check_name(&run_name_of(text)).unwrap();
        }
        check_name(&run_name_of(&"x y".repeat(100))).unwrap();
        assert!(!check_name("a\nb").unwrap_err().to_string().contains('\n'));
    }

    #[test]
    fn a_file_is_no_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(claim_run_name(file.path(), "x"), Err(ClaimError::Folder { .. })));
        assert!(matches!(claim_run_name(file.path(), "../x"), Err(ClaimError::Name(_))));
    }
}
