//! Signals that ask a command to end.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tamis_app::{Exit, Failure};

/// Listens for an interrupt, a request to end, and a terminal that was closed, unless the process was started to outlive its terminal.
pub(crate) fn end_signals() -> Result<Signals, Failure> {
    let wanted = [SIGINT, SIGTERM, SIGHUP];
    let heard = if outlives_terminal() { &wanted[..2] } else { &wanted };
    Signals::new(heard)
        .map_err(|error| Failure::new(Exit::Resources, format!("signals cannot be handled: {error}")))
}

/// Is SIGHUP ignored, as `nohup` leaves it? Whoever listens to it would end all the same.
fn outlives_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Bit 0 is signal 1.
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 << (SIGHUP - 1) != 0)
}
