//! Which CPUs a run has, where the system may run a thread, and how punctually a thread wakes from sleep.
//!
//! A worker that stays on its CPU keeps its caches: the weights and the tile of its models. Batches circulate among all workers, wherever they are.
//! On a machine that others use too, the scheduler does better than a fixed place.

use std::collections::BTreeSet;
use std::io;
use std::thread;

/// The CPUs of a run. Whether admission has a thread of its own follows from how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpus {
    /// Number of CPUs that the process may use.
    count: usize,
    /// CPUs of the workers, in turn; empty: any.
    workers: Vec<usize>,
}

impl Cpus {
    /// All CPUs that the process may use. Workers are kept on the listed ones, in turn, and every other thread of the pipeline is kept off them, if
    /// that leaves any CPU.
    pub fn of_process(workers: &[usize]) -> Self {
        Self::new(thread::available_parallelism().map_or(1, usize::from), workers)
    }

    /// As many CPUs as `count`, however many the machine has.
    pub fn new(count: usize, workers: &[usize]) -> Self {
        Self { count, workers: workers.to_vec() }
    }

    /// Number of CPUs for workers: those that they are kept on, or all.
    pub fn for_workers(&self) -> usize {
        if self.workers.is_empty() { self.count } else { self.of_workers(usize::MAX).len() }
    }

    /// Does admission have a thread of its own, beside so many workers? It does if a CPU is left for it; if workers are pinned, the first spare CPU
    /// goes to the writers. Without one it does for a live source, whose frames should not wait for one worker if another is idle.
    pub(crate) fn admit_apart(&self, workers: usize, live: bool) -> bool {
        let taken = if self.workers.is_empty() { workers } else { self.of_workers(workers).len() + 1 };
        self.count > taken || (live && workers > 1)
    }

    /// The CPU that a worker is kept on; empty: any.
    pub fn of_worker(&self, worker: usize) -> &[usize] {
        let at = worker % self.workers.len().max(1);
        self.workers.get(at..=at).unwrap_or_default()
    }

    /// The CPUs that all other threads are kept on, beside so many workers; empty: any.
    pub(crate) fn of_others(&self, workers: usize) -> Vec<usize> {
        let taken = self.of_workers(workers);
        if taken.is_empty() {
            return Vec::new();
        }
        let allowed = allowed_cpus().unwrap_or_default();
        allowed.into_iter().filter(|cpu| !taken.contains(cpu)).collect()
    }

    /// The CPUs that the first so many workers are kept on.
    fn of_workers(&self, workers: usize) -> BTreeSet<usize> {
        self.workers.iter().copied().take(workers).collect()
    }
}

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

/// Keeps the calling thread on these CPUs, if there are any.
pub fn keep_on(cpus: &[usize]) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    {
        let mut set = rustix::thread::CpuSet::new();
        for &cpu in cpus {
            if cpu >= rustix::thread::CpuSet::MAX_CPU {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            set.set(cpu);
        }
        Ok(rustix::thread::sched_setaffinity(None, &set)?)
    }
    #[cfg(not(target_os = "linux"))]
    Err(io::Error::new(io::ErrorKind::Unsupported, "threads are pinned on Linux only"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admission_has_a_thread_if_a_cpu_is_left_for_it_or_frames_come_by_themselves() {
        let apart = |count, pinned: &[usize], workers| Cpus::new(count, pinned).admit_apart(workers, false);
        assert_eq!([1, 2, 3].map(|count| apart(count, &[], 1)), [false, true, true]);
        assert_eq!([14, 15, 16].map(|workers| apart(16, &[], workers)), [true, true, false]);
        // One CPU beside those of the workers is for what stores.
        assert_eq!([2, 3].map(|count| apart(count, &[1], 1)), [false, true]);
        assert_eq!([2, 3].map(|count| apart(count, &[0, 1], 1)), [false, true]);
        // Several workers may share a CPU.
        assert_eq!([3, 4].map(|count| apart(count, &[1, 2, 1], 3)), [false, true]);
        let live = |pinned: &[usize], workers| Cpus::new(2, pinned).admit_apart(workers, true);
        assert_eq!([1, 2, 3].map(|workers| live(&[], workers)), [true, true, true]);
        assert_eq!([live(&[1], 1), live(&[0, 1], 2)], [false, true]);
        assert_eq!([&[] as &[usize], &[1, 2, 1]].map(|pinned| Cpus::new(16, pinned).for_workers()), [16, 2]);
    }

    #[test]
    fn workers_take_their_cpus_in_turn() {
        let cpus = |workers: &[usize]| [0, 1, 2].map(|k| Cpus::new(8, workers).of_worker(k).to_vec());
        assert_eq!(cpus(&[]), [vec![], vec![], vec![]]);
        assert_eq!(cpus(&[5, 3]), [vec![5], vec![3], vec![5]]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn others_are_kept_off_the_cpus_of_workers_if_that_leaves_any() {
        let allowed = allowed_cpus().unwrap();
        let (last, rest) = allowed.split_last().unwrap();
        assert_eq!(Cpus::of_process(&[*last]).of_others(1), rest);
        assert_eq!(Cpus::of_process(&[*last, allowed[0]]).of_others(1), rest, "one worker takes one");
        assert_eq!(Cpus::of_process(&allowed).of_others(allowed.len()), []);
        assert_eq!(Cpus::of_process(&[]).of_others(1), []);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_pinned_thread_may_run_nowhere_else() {
        let cpus = allowed_cpus().unwrap();
        let last = cpus[cpus.len() - 1];
        let seen =
            thread::spawn(move || keep_on(&[last]).and_then(|()| allowed_cpus())).join().unwrap().unwrap();
        assert_eq!(seen, [last]);
        assert_eq!(allowed_cpus().unwrap(), cpus, "this thread was not touched");
    }
}
