//! A disk that fills up.

use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tamis_port::conformance;
use tamis_store::{ClaimError, McapSink, claim_run_name, recover};

use crate::sample::plan;

/// A small in-memory file system, unmounted at the end.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// `None` where this process may not mount.
    fn new(options: &std::ffi::CStr) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        mount(c"tamis-test", folder.path(), c"tmpfs", MountFlags::empty(), Some(options)).ok()?;
        Some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // If unmounting fails, so will removing the folder, which shows it.
        let _ = unmount(self.path(), UnmountFlags::empty());
    }
}

/// The crate's own fault test does the same with an in-memory disk, and runs everywhere.
#[test]
fn a_full_disk_ends_with_one_sentence() {
    let Some(full) = Tmpfs::new(c"size=4m") else {
        eprintln!("skipped: this process may not mount a file system");
        return;
    };
    for durable in ["every=10ms", "close", "never"] {
        let mut sink = McapSink::new(plan(full.path(), durable.parse().unwrap(), u64::MAX)).unwrap();
        let error = conformance::sink_failure(&mut sink, 100_000);
        let sentence = error.to_string();
        let part = full.path().join("l1-mixed-physics-0001.mcap.part");
        let parts = [part.to_str().unwrap(), full.path().to_str().unwrap(), "bytes free", "free some space"];
        assert!(parts.iter().all(|part| sentence.contains(part)) && !sentence.contains('\n'), "{sentence}");
        let folder = tempfile::tempdir().unwrap();
        let report = recover(&part, Some(&folder.path().join("recovered.mcap"))).unwrap();
        assert!(report.records > 0, "{report:?}");
        assert_eq!(report.lost_bytes, 0, "the error came before the disk was full: {report:?}");
        std::fs::remove_file(&part).unwrap();
    }
    assert!(matches!(claim_run_name(full.path(), "r"), Err(ClaimError::Full { .. })));
}

#[test]
fn a_read_only_folder_is_refused() {
    let Some(disk) = Tmpfs::new(c"size=64m") else {
        eprintln!("skipped: this process may not mount a file system");
        return;
    };
    assert_eq!(claim_run_name(disk.path(), "r").unwrap().name, "r");
    rustix::mount::mount_remount(disk.path(), MountFlags::RDONLY, c"").unwrap();
    let error = claim_run_name(disk.path(), "r").unwrap_err();
    assert!(matches!(error, ClaimError::ReadOnly { .. }), "{error}");
}
