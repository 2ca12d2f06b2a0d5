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
}

/// The usual quantiles in ns; all 0 if nothing was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { histogram: Histogram::new_with_max(NS_MAX, DIGITS).expect("the bounds are valid constants") }
    }
}

impl Latency {
    /// Records `events` events that took `ns` each.
    pub fn record(&mut self, ns: u64, events: u64) {
        self.histogram.saturating_record_n(ns, events);
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("both have the same bounds");
    }

    /// The usual quantiles.
    pub fn quantiles(&self) -> Quantiles {
        let at = |quantile| self.histogram.value_at_quantile(quantile);
        Quantiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: self.histogram.max() }
    }
}
