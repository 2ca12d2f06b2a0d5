//! Latency histograms: tails, not averages.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency that is told apart, in ns (100 s); longer ones count as this.
const NS_MAX: u64 = 100_000_000_000;
/// Significant digits.
const DIGITS: u8 = 3;

/// How long something took, for many events. Fixed memory (about 220 kB), one owner, no lock.
#[derive(Clone, Debug)]
pub struct Latency {
    histogram: Histogram<u64>,
    /// Calls of [`Self::record`].
    samples: u64,
}

/// The usual quantiles in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles<T = u64> {
    /// Median.
    pub p50: T,
    /// 99 %.
    pub p99: T,
    /// 99.9 %.
    pub p999: T,
    /// The longest.
    pub max: T,
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_max(NS_MAX, DIGITS).expect("the bounds are valid constants");
        Self { histogram, samples: 0 }
    }
}

impl Latency {
    /// Records `events` events that took `ns` each, together.
    pub fn record(&mut self, ns: u64, events: u64) {
        self.samples += 1;
        self.histogram.saturating_record_n(ns, events);
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        self.samples += other.samples;
        self.histogram.add(&other.histogram).expect("both have the same bounds");
    }

    /// The usual quantiles, as far as enough was recorded for them: events of one batch are late together, so a percentile of 100 events from
    /// three batches is really the latency of a single one. One in 100 needs 100 batches, one in 1000 needs 1000.
    pub fn carried_quantiles(&self) -> Quantiles<Option<u64>> {
        let Quantiles { p50, p99, p999, max } = self.quantiles();
        let of = |samples: u64, ns: u64| (self.samples >= samples).then_some(ns);
        Quantiles { p50: of(1, p50), p99: of(100, p99), p999: of(1000, p999), max: of(1, max) }
    }

    /// The usual quantiles, however little they stand on; all 0 if nothing was recorded.
    pub fn quantiles(&self) -> Quantiles {
        let at = |quantile| self.histogram.value_at_quantile(quantile);
        Quantiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: self.histogram.max() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_needs_as_many_batches_as_it_is_rare() {
        let carried = |batches: u64, events: u64| {
            let (mut one, mut other) = (Latency::default(), Latency::default());
            (0..batches).for_each(|k| if k % 2 == 0 { &mut one } else { &mut other }.record(1000, events));
            one.merge(&other);
            let Quantiles { p50, p99, p999, max } = one.carried_quantiles();
            [p50, p99, p999, max].map(|quantile| quantile.is_some())
        };
        assert_eq!(carried(0, 4096), [false; 4]);
        assert_eq!(carried(1, 4096), [true, false, false, true]);
        assert_eq!(carried(99, 1_000_000), [true, false, false, true]);
        assert_eq!(carried(100, 1), [true, true, false, true]);
        assert_eq!((carried(999, 4096)[2], carried(1000, 1)), (false, [true; 4]));
    }
}
