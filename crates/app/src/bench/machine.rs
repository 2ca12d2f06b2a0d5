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
