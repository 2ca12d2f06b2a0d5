//! Schedules of frames or events, for paced replay and benchmarks.

use crate::random::Random;

/// How arrivals are spread in time. The mean rate is the same for all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// One every 1 / rate.
    Uniform,
    /// Independent arrivals with exponential distances.
    Poisson,
    /// `length` arrivals at `factor` times the mean rate, then silence until the mean rate is restored.
    Bursts {
        /// Arrivals per burst, at least 1.
        length: u64,
        /// Rate within a burst divided by the mean rate, at least 1.
        factor: f64,
    },
}

/// An endless iterator of intended arrival times in ns from 0, never decreasing.
///
/// A late consumer compares with these times and so sees its queueing delay.
#[derive(Clone, Debug)]
pub struct Arrivals {
    random: Random,
    period_ns: f64,
    schedule: Schedule,
    count: u64,
    poisson_ns: f64,
}

impl Arrivals {
    /// A schedule with a mean rate of `rate_hz`.
    ///
    /// # Panics
    /// If the rate is not positive, or a burst has no arrivals or is slower than the mean.
    pub fn new(seed: u64, rate_hz: f64, schedule: Schedule) -> Self {
        assert!(rate_hz > 0.0 && rate_hz.is_finite(), "a rate of {rate_hz} Hz");
        if let Schedule::Bursts { length, factor } = schedule {
            assert!(length >= 1 && factor >= 1.0, "bursts of {length} at {factor} times the mean");
        }
        Self { random: Random::new(seed, 0), period_ns: 1e9 / rate_hz, schedule, count: 0, poisson_ns: 0.0 }
    }
}

impl Iterator for Arrivals {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let k = self.count;
        self.count += 1;
        let at = match self.schedule {
            Schedule::Uniform => k as f64 * self.period_ns,
            Schedule::Poisson => {
                // 1 - u is never 0, so the logarithm is finite.
                self.poisson_ns -= (1.0 - self.random.unit()).ln() * self.period_ns;
                self.poisson_ns
            }
            Schedule::Bursts { length, factor } => {
                let start = (k / length * length) as f64 * self.period_ns;
                start + (k % length) as f64 * self.period_ns / factor
            }
        };
        Some(at as u64)
    }
}
