//! The machine that something was measured on, for results that are compared later.

/// One line about the processor.
pub(crate) fn machine() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = processor().unwrap_or_else(|| "unknown processor".into());
    let cores = cores();
    format!("{model}, {cores} core{}, kernel {}", if cores == 1 { "" } else { "s" }, kernel.trim())
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The name that the processor gives itself, if it has one.
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

/// Seconds that this process has used cores, those of its ended threads included.
pub(crate) fn core_seconds() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn work_takes_core_time_which_is_counted_finely() {
        let before = core_seconds();
        let start = Instant::now();
        let mut used = 0.0;
        let mut steps = 0;
        while used < 0.05 && start.elapsed() < Duration::from_secs(10) {
            let now = core_seconds() - before;
            steps += u32::from(now > used);
            used = now;
        }
        assert!((0.05..10.0).contains(&used) && steps > 500, "{used} s in {steps} steps");
    }
}
