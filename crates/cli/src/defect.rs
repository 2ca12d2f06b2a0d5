//! What a user sees when this program has a defect.

use std::io::Write;
use std::panic;

/// Replaces the trace of a panic by one line. Panics inside a model are silent: the pipeline counts them and stores the event. Panics of a library
/// that reads a user's file are silent too: they become a refusal of the file.
pub(crate) fn install_hook() {
    panic::set_hook(Box::new(|panic| {
        if tamis_pipeline::is_guarded() || tamis_graph::in_contained() {
            return;
        }
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
        // Nothing is left to be done if standard error is closed.
        let _ = writeln!(
            std::io::stderr(),
            "tamis: this is a defect of tamis, please report it with the command that you gave: {message}{place}"
        );
    }));
}
