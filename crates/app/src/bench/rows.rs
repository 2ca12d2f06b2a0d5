//! A measurement: a name, a unit, the values of every run, and the limit that bounds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Several measurements of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median: the value in the middle, or half-way between the two in the middle.
    pub median: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl Spread {
    /// The spread of at least one value.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = [(sorted.len() - 1) / 2, sorted.len() / 2].map(|k| sorted[k]);
        Self { median: (middle[0] + middle[1]) / 2.0, min: sorted[0], max: sorted[sorted.len() - 1] }
    }

    /// Do the ranges have a value in common?
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

/// Parts of a benchmark, in the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// What the machine can do.
    Probes,
    /// Each stage by itself.
    Stages,
    /// The whole pipeline, by topology.
    Speed,
    /// The whole pipeline without models, by size of events and share of accepted ones.
    Sizes,
    /// Time to a decision at a load.
    Latency,
    /// Networks of many sizes on every engine.
    Engines,
}

impl Section {
    /// All sections, in order.
    pub const ALL: [Self; 6] =
        [Self::Probes, Self::Stages, Self::Speed, Self::Sizes, Self::Latency, Self::Engines];

    /// The word in options and documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::Stages => "stages",
            Self::Speed => "speed",
            Self::Sizes => "sizes",
            Self::Latency => "latency",
            Self::Engines => "engines",
        }
    }
}

/// Units of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Bytes per second.
    #[serde(rename = "B/s")]
    BytesPerSecond,
    /// Multiplications, each with an addition, per second.
    #[serde(rename = "multiply-adds/s")]
    MultiplyAddsPerSecond,
    /// Events per second.
    #[serde(rename = "events/s")]
    EventsPerSecond,
    /// Time per event, in ns.
    #[serde(rename = "ns/event")]
    NsPerEvent,
    /// Time, in ns.
    #[serde(rename = "ns")]
    Ns,
    /// Part of a whole, 0 to 1.
    #[serde(rename = "share")]
    Share,
}

impl Unit {
    /// Is a larger value a better one?
    pub fn more_is_better(self) -> bool {
        matches!(self, Self::BytesPerSecond | Self::MultiplyAddsPerSecond | Self::EventsPerSecond)
    }
}

/// What was measured, and by how much it varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The section that it belongs to.
    pub section: Section,
    /// The name of the row; `--compare` finds it by section and name.
    pub name: String,
    /// Unit of all values.
    pub unit: Unit,
    /// The spread over all runs.
    #[serde(flatten)]
    pub spread: Spread,
    /// The value of each run, in the order of the runs.
    pub runs: Vec<f64>,
    /// Bytes of an event, if the row counts the events of a run.
    pub event_bytes: Option<u64>,
    /// What bounds it, if that was measured too.
    pub limit: Option<Limit>,
}

/// The best value that a row could have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// What bounds the row.
    pub by: String,
    /// The limit, in the unit of the row.
    pub value: f64,
    /// How much of it was reached, 0 to 1.
    pub reached: f64,
}

/// Values as the turns bring them, in the order in which rows first came.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    order: Vec<(Section, String, Unit)>,
    values: BTreeMap<(Section, String), Vec<f64>>,
}

impl Turns {
    pub(crate) fn add(&mut self, section: Section, name: impl Into<String>, unit: Unit, value: f64) {
        let key = (section, name.into());
        let values = self.values.entry(key.clone()).or_default();
        if values.is_empty() {
            self.order.push((key.0, key.1, unit));
        }
        values.push(value);
    }

    /// The median so far, if there is one.
    pub(crate) fn median(&self, section: Section, name: &str) -> Option<f64> {
        self.values.get(&(section, name.to_owned())).map(|values| Spread::of(values).median)
    }

    /// The rows, by section. `limit` says what the median of a row could be.
    pub(crate) fn rows(&self, limit: impl Fn(Section, &str) -> Option<(String, f64)>) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for (section, name, unit) in &self.order {
            let runs = self.values[&(*section, name.clone())].clone();
            let spread = Spread::of(&runs);
            let limit = limit(*section, name).map(|(by, value)| {
                let reached =
                    if unit.more_is_better() { spread.median / value } else { value / spread.median };
                Limit { by, value, reached }
            });
            rows.push(Row {
                section: *section,
                name: name.clone(),
                unit: *unit,
                spread,
                runs,
                event_bytes: None,
                limit,
            });
        }
        rows.sort_by_key(|row| row.section);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 4.0));
        assert_eq!(Spread::of(&[9.0, 1.0, 2.0]).median, 2.0);
        assert!(spread.overlaps(&Spread::of(&[4.0])) && !spread.overlaps(&Spread::of(&[4.5])));
    }

    #[test]
    fn a_limit_is_reached_from_its_own_side() {
        let mut turns = Turns::default();
        for value in [10.0, 20.0, 30.0] {
            turns.add(Section::Speed, "fast", Unit::EventsPerSecond, value);
            turns.add(Section::Probes, "slow", Unit::Ns, value);
        }
        let rows = turns.rows(|section, _| (section == Section::Speed).then(|| ("x".into(), 40.0)));
        assert_eq!([rows[0].name.as_str(), rows[1].name.as_str()], ["slow", "fast"], "probes come first");
        assert_eq!(rows[1].limit.as_ref().map(|limit| limit.reached), Some(0.5));
        let rows = turns.rows(|section, _| (section == Section::Probes).then(|| ("x".into(), 5.0)));
        assert_eq!(rows[0].limit.as_ref().map(|limit| limit.reached), Some(0.25));
    }
}
