//! What the system is told about a thread: where it runs, and how punctual its sleep is.
//!
//! A worker that stays on its CPU keeps its caches: the weights and the tile of its models. Blocks circulate among all workers, wherever they are.
//! On a machine that others use too, the scheduler does better than a fixed place.

use std::io;

/// CPUs that this process may run on, ascending.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    #[cfg(target_os = "linux")]
    {
        let set = rustix::thread::sched_getaffinity(None)?;
        Ok((0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect())
    }
    #[cfg(not(target_os = "linux"))]
    Err(io::Error::new(io::ErrorKind::Unsupported, "threads are pinned on Linux only"))
}

/// Makes the sleeps of the calling thread end on time. Unasked, Linux lets them end up to 50 us late, to wake up several threads at once.
pub(crate) fn wake_on_time() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

/// Keeps the calling thread on a CPU.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        if cpu >= rustix::thread::CpuSet::MAX_CPU {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut set = rustix::thread::CpuSet::new();
        set.set(cpu);
        Ok(rustix::thread::sched_setaffinity(None, &set)?)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = cpu;
        Err(io::Error::new(io::ErrorKind::Unsupported, "threads are pinned on Linux only"))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_pinned_thread_may_run_nowhere_else() {
        let cpus = allowed_cpus().unwrap();
        let last = cpus[cpus.len() - 1];
        let seen = thread::spawn(move || pin(last).and_then(|()| allowed_cpus())).join().unwrap().unwrap();
        assert_eq!(seen, [last]);
        assert_eq!(allowed_cpus().unwrap(), cpus, "this thread was not touched");
    }
}
