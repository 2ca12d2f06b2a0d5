//! On what something was measured: for results that are compared later.

/// One line about the processor.
pub(crate) fn machine() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = processor().unwrap_or_else(|| "unknown processor".into());
    format!("{model}, {} cores, kernel {}", cores(), kernel.trim())
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the processor calls itself, if it says.
pub(crate) fn processor() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let name =
        |line: &str| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name.to_string());
    info.lines().find_map(name)
}

/// Threads that wanted a core in the last minute, on average over all programs, if the system says.
pub(crate) fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// Seconds that this process has used cores, those of its ended threads included, if the system says. It counts in hundredths of a second.
pub(crate) fn core_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the process, in brackets, may hold anything; after it come the state and eleven numbers before the two times.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = |k: usize| fields.split_whitespace().nth(k)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_S)
}

/// `USER_HZ` of Linux, on every processor.
const TICKS_PER_S: f64 = 100.0;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn work_takes_core_time() {
        let (before, start) = (core_seconds().unwrap(), Instant::now());
        let mut used = 0.0;
        while used < 0.05 && start.elapsed() < Duration::from_secs(10) {
            used = core_seconds().unwrap() - before;
        }
        assert!((0.05..10.0).contains(&used), "{used}");
    }
}
