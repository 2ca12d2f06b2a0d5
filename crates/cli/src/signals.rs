//! Signals that ask a command to end, and one that must not end it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use tamis_app::{Exit, Failure};

use crate::output::say;

/// Listens for an interrupt, a request to end, and a terminal that was closed, unless the process was started to outlive its terminal.
pub(crate) fn end_signals() -> Result<Signals, Failure> {
    let wanted = [SIGINT, SIGTERM, SIGHUP];
    let heard = if outlives_terminal() { &wanted[..2] } else { &wanted };
    Signals::new(heard)
        .map_err(|error| Failure::new(Exit::Resources, format!("signals cannot be handled: {error}")))
}

/// From now on, a write beyond the file size limit of this process (`ulimit -f`) fails with `EFBIG`, which is reported. SIGXFSZ would end the process
/// without a message.
pub(crate) fn outlive_file_size_limit() {
    // Where the system refuses the handler, the signal does what it did before.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// If a signal asks this process to end, removes its unfinished files, and then ends it as if there were no handler.
pub(crate) fn remove_unfinished_on_end() {
    let listen = || {
        let Ok(mut signals) = end_signals() else { return };
        if let Some(signal) = signals.forever().next() {
            for file in tamis_part::remove_unfinished() {
                say(format_args!("interrupted: {} was unfinished and is removed", file.display()));
            }
            // This does not return; if it cannot be done, there is nothing else to do.
            drop(signal_hook::low_level::emulate_default_handler(signal));
        }
    };
    // A thread of its own waits for signals: without it, a signal ends the process as usual and leaves an unfinished file.
    drop(std::thread::Builder::new().name("signals".into()).spawn(listen));
}

/// Is SIGHUP ignored, as `nohup` leaves it? A process with a handler for it would end nevertheless.
fn outlives_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Bit 0 is signal 1.
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 << (SIGHUP - 1) != 0)
}
