//! Disks that fill up.

use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::Value;

use crate::support::{Lab, MENU, ran};

/// A file system of its own that goes away with the test, whatever its outcome.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// `None` if this user may not mount.
    fn mount(folder: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let options = std::ffi::CString::new(format!("size={size}")).unwrap();
        mount("tmpfs", folder, "tmpfs", MountFlags::empty(), Some(options.as_c_str()))
            .ok()
            .map(|()| Self(folder))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = unmount(self.0, UnmountFlags::DETACH);
    }
}

fn lab_with_data() -> Lab {
    let lab = Lab::new();
    lab.write("menu.toml", MENU.replace("x >= 100", "n < 32767 || n >= 32767"));
    lab.tamis("gen --schema schema.toml --events 1M --out g.tmf");
    lab
}

#[test]
fn a_disk_that_is_full_is_refused() {
    let lab = lab_with_data();
    let out = lab.path("out");
    let Some(_mounted) = Small::mount(&out, "1m") else { return skipped() };
    let ran = lab.tamis("replay g.tmf --menu menu.toml --out out");
    let sentence = ran.refusal(74);
    assert!(
        sentence.contains("out") && sentence.contains("free") && sentence.contains("choose another"),
        "{sentence}"
    );
}

#[test]
fn a_disk_that_fills_up_ends_storage_and_the_books_still_balance() {
    let lab = lab_with_data();
    let out = lab.path("out");
    let Some(_mounted) = Small::mount(&out, "20m") else { return skipped() };
    let ran = lab.tamis("replay g.tmf --menu menu.toml --out out --json --repeat 4");
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    full(&ran, &document);
    assert!(ran.err.contains("out"), "the place is named: {}", ran.err);
}

/// The same without any right to mount: the system refuses files of more than a few hundred kB.
#[test]
fn a_write_that_fails_ends_storage_and_the_books_still_balance() {
    let lab = lab_with_data();
    let line = "replay g.tmf --menu menu.toml --out out --json";
    let script = format!("trap '' XFSZ; ulimit -f 512; exec {} {line}", env!("CARGO_BIN_EXE_tamis"));
    let mut command = std::process::Command::new("sh");
    let ran = ran(&command.args(["-c", &script]).current_dir(lab.path("")).output().unwrap());
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    full(&ran, &document);
}

#[track_caller]
fn full(ran: &crate::support::Ran, document: &Value) {
    let (ledger, storage) = (&document["ledger"], &document["ledger"]["storage"]);
    let count = |value: &Value| value.as_u64().unwrap();
    assert_eq!(
        (ran.code, &ledger["in_flight"], &document["exit"]),
        (Some(74), &0.into(), &74.into()),
        "{ran:?}"
    );
    assert!(count(&storage["failed"]) > 0 && count(&storage["stored"]) > 0, "{storage}");
    assert_eq!(count(&storage["failed"]) + count(&storage["stored"]), count(&ledger["accepted"]));
    assert!(ran.err.contains(".mcap") && ran.err.starts_with("tamis: "), "{}", ran.err);
}

fn skipped() {
    eprintln!("skipped: mounting a tmpfs is not permitted here; the limit on file sizes is tested instead");
}
