//! What the machine does to a thread that only wants to know the time: gaps while it spins, and how late it wakes up from a sleep.
//!
//! Whatever latency a program has, the machine adds its own: the system, other programs, a virtual machine's neighbours. Both probes need no part
//! of the pipeline, but beside a run it is one of their neighbours.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Barrier, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tamis_ledger::{Latency, Quantiles};
use tamis_pipeline::{Cpus, keep_on};

/// How long the sleeper sleeps at a time.
pub(crate) const NAP: Duration = Duration::from_micros(200);
/// A gap in which a thread did nothing: longer than any cache miss or interrupt of a quiet machine.
const GAP_NS: u64 = 5_000;
/// Readings of the clock between two checks whether it is time to stop.
const READINGS: u32 = 4096;

/// What a spinning thread saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gaps {
    /// The longest time between two readings of the clock, in ns.
    pub(crate) max_ns: u64,
    /// Share of the time that went into gaps of more than 5 us.
    pub(crate) lost: f64,
}

/// Reads the clock without a pause for this long, on so many threads at once, each where a worker would be kept. A virtual machine may have the
/// time of one core for one thread, and less than that of two for two.
pub(crate) fn spin(threads: usize, cpus: &Cpus, time: Duration) -> Gaps {
    let spin = |start: Instant| spin_while(start, || start.elapsed() < time);
    let gaps = together(threads, cpus, spin);
    let max_ns = gaps.iter().map(|gaps| gaps.max_ns).max().unwrap_or_default();
    Gaps { max_ns, lost: gaps.iter().map(|gaps| gaps.lost).sum::<f64>() / threads.max(1) as f64 }
}

/// Runs `work` on so many threads at once. All get the same start time, at which every thread is ready; if one begins to run later, that is part of
/// what it measures.
pub(crate) fn together<T: Send>(threads: usize, cpus: &Cpus, work: impl Fn(Instant) -> T + Sync) -> Vec<T> {
    let all_are_there = Barrier::new(threads);
    let start = OnceLock::new();
    let run = |k: usize| {
        // It was checked before; a CPU that went away meanwhile costs precision.
        let _ = keep_on(cpus.of_worker(k));
        all_are_there.wait();
        work(*start.get_or_init(Instant::now))
    };
    thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..threads).map(|k| scope.spawn(move || run(k))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    })
}

fn spin_while(start: Instant, mut goes_on: impl FnMut() -> bool) -> Gaps {
    let mut last = start;
    let mut max_ns = 0;
    let mut lost_ns = 0;
    while goes_on() {
        for _ in 0..READINGS {
            let now = Instant::now();
            let gap = (now - last).as_nanos() as u64;
            max_ns = max_ns.max(gap);
            lost_ns += if gap > GAP_NS { gap } else { 0 };
            last = now;
        }
    }
    let all_ns = (last - start).as_nanos().max(1) as f64;
    Gaps { max_ns, lost: lost_ns as f64 / all_ns }
}

/// Sleeps [`NAP`] `count` times. Returns how late it woke up.
pub(crate) fn naps(count: usize) -> Quantiles {
    let mut late = Latency::default();
    for _ in 0..count {
        let start = Instant::now();
        thread::sleep(NAP);
        late.record(late_ns(start), 1);
    }
    late.quantiles()
}

fn late_ns(start: Instant) -> u64 {
    start.elapsed().saturating_sub(NAP).as_nanos() as u64
}

/// A thread beside a measurement; at its end it returns what it saw.
#[derive(Debug)]
pub(crate) struct Witness<T> {
    stop: Sender<()>,
    thread: JoinHandle<T>,
}

impl<T> Witness<T> {
    pub(crate) fn end(self) -> T {
        drop(self.stop);
        self.thread.join().expect("a witness does not panic")
    }
}

/// Sleeps and wakes up beside a measurement, and takes almost no time from it.
pub(crate) fn sleeper() -> Witness<Quantiles> {
    witness(|stopped| {
        let mut late = Latency::default();
        loop {
            let start = Instant::now();
            match stopped.recv_timeout(NAP) {
                Err(RecvTimeoutError::Timeout) => late.record(late_ns(start), 1),
                _ => return late.quantiles(),
            }
        }
    })
}

/// Spins beside a measurement. This takes a whole core, so it is only for a machine that has one to spare.
pub(crate) fn spinner() -> Witness<Gaps> {
    witness(|stopped| spin_while(Instant::now(), || stopped.try_recv() == Err(TryRecvError::Empty)))
}

fn witness<T: Send + 'static>(look: impl FnOnce(&Receiver<()>) -> T + Send + 'static) -> Witness<T> {
    let (stop, stopped) = channel();
    Witness { stop, thread: thread::spawn(move || look(&stopped)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn witnesses_end_when_told_and_saw_something() {
        let (sleeper, spinner) = (sleeper(), spinner());
        thread::sleep(Duration::from_millis(20));
        let (late, gaps) = (sleeper.end(), spinner.end());
        assert!(late.max > 0 && gaps.max_ns > 0 && (0.0..=1.0).contains(&gaps.lost), "{late:?} {gaps:?}");
    }

    #[test]
    fn threads_that_outnumber_the_cores_see_the_gaps_in_which_others_run() {
        let cores = crate::bench::machine::cores();
        let gaps = spin(4 * cores, &Cpus::of_process(&[]), Duration::from_millis(100));
        // Each has a quarter of a core.
        assert!(gaps.lost > 0.5 && gaps.max_ns > 100_000, "{gaps:?}");
    }
}
