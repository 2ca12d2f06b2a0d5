//! What to do about a file that cannot be written.

use std::io::ErrorKind;

/// The advice in a message about an error of this kind.
pub fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space or choose another folder",
        ErrorKind::FileTooLarge => "raise the limit on the size of files of this process (ulimit -f)",
        ErrorKind::NotFound | ErrorKind::NotADirectory => "check that the folder exists",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "change the permissions or choose another folder"
        }
        ErrorKind::IsADirectory => "choose the name of a file",
        _ => "check the disk",
    }
}
