//! Reads files that people write: schemas, menus, recipes, settings. A recording or a device that is given by mistake is not read into memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// No file that people write is longer; menus, which have the highest limit of their own, end there.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// The bytes of a text file.
pub(crate) fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        return Err(io::Error::other("it has more than 1 MiB, and no such file may have that"));
    }
    Ok(bytes)
}

/// The text of a text file.
///
/// # Errors
/// If it cannot be read, has more than 1 MiB, or is no UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    io::read_to_string(&read_bytes(path)?[..])
}
