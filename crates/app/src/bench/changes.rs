//! Two benchmarks side by side: what moved by more than it varies.

use std::path::Path;

use serde::Serialize;

use super::rows::{Row, Section, Spread, Unit};
use super::{BENCH_VERSION, Bench};
use crate::exit::OrFail;
use crate::{Exit, Failure};

/// With fewer runs nothing counts as moved. Chance alone parts two times five runs of the same thing once in 126 times, three runs once in 10.
pub(super) const RUNS_MIN: usize = 5;

/// What became of the rows of an older benchmark. Serialises to the part of the document that `bench --compare --json` adds.
#[derive(Clone, Debug, Serialize)]
pub struct RowChanges {
    /// Rows that both have, in the order of the new one.
    pub rows: Vec<Change>,
    /// Rows that only the old one has.
    pub only_old: Vec<String>,
    /// Rows that only the new one has.
    pub only_new: Vec<String>,
    /// What makes the comparison doubtful, one sentence each.
    pub notes: Vec<String>,
    /// Why no gate can be applied to the comparison; absent if one can.
    pub ungated: Option<String>,
}

/// One row, then and now.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// The section that it belongs to.
    pub section: Section,
    /// The name of the row.
    pub name: String,
    /// Unit of all values.
    pub unit: Unit,
    /// What was measured then.
    pub old: Spread,
    /// What was measured now.
    pub new: Spread,
    /// New over old median, less 1.
    pub change: f64,
    /// Have the ranges of the two no value in common?
    pub moved: bool,
}

impl Change {
    /// By how many per cent it got slower; negative if it got faster.
    pub fn slower_percent(&self) -> f64 {
        100.0 * if self.unit.more_is_better() { -self.change } else { self.change }
    }
}

impl RowChanges {
    /// Rows that moved, and got slower by more than this. The machine's own rows are not among them: no program can change them.
    pub fn slower_than(&self, percent: f64) -> impl Iterator<Item = &Change> {
        let slower = move |row: &&Change| row.moved && row.slower_percent() > percent;
        self.rows.iter().filter(|row| row.section != Section::Probes).filter(slower)
    }
}

/// Reads a document of `bench --json`.
pub fn read_bench(path: &Path) -> Result<Bench, Failure> {
    let place = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{place}: cannot be read: {error}"));
    let text = text.or_fail(Exit::Input)?;
    let refuse = |why: String| {
        let message = format!("{place} is no result of `tamis bench`: {why}; make one with --save FILE");
        Failure::new(Exit::Input, message)
    };
    let document: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| refuse(format!("no JSON: {error}")))?;
    match document.get("bench").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(BENCH_VERSION) => {}
        Some(version) => {
            return Err(refuse(format!("version {version}, and this program knows version {BENCH_VERSION}")));
        }
        None => return Err(refuse("it has no key 'bench'".into())),
    }
    serde_json::from_value(document).map_err(|error| refuse(error.to_string()))
}

/// May a result be written to `path`? An error if there is a file that is neither empty nor an older result.
pub fn may_replace(path: &Path) -> Result<(), Failure> {
    let is_result = || {
        let document: Option<serde_json::Value> =
            std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        document.is_some_and(|document| document["bench"].is_u64() && document["rows"].is_array())
    };
    let holds_something = std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() > 0);
    if holds_something && !is_result() {
        let place = path.display();
        let message =
            format!("{place} is there and no result of `tamis bench`, so it stays; choose another name");
        return Err(Failure::new(Exit::Settings, message));
    }
    Ok(())
}

/// Compares two benchmarks, row by row.
pub fn compare_benches(old: &Bench, new: &Bench) -> RowChanges {
    let (old_rows, new_rows) = (old.all_rows(), new.all_rows());
    let enough = old.runs.min(new.runs) >= RUNS_MIN;
    // Latencies at other rates say nothing of each other.
    let at_like_rates = old.sustained.zip(new.sustained).is_some_and(|(old, new)| old.is_like(&new));
    let is_comparable = |row: &Row| row.section != Section::Latency || row.unit != Unit::Ns || at_like_rates;
    let same = |a: &Row, b: &Row| (a.section, &a.name, a.unit) == (b.section, &b.name, b.unit);
    let mut rows = Vec::new();
    for row in &new_rows {
        if let Some(before) = old_rows.iter().find(|before| same(before, row)) {
            rows.push(Change {
                section: row.section,
                name: row.name.clone(),
                unit: row.unit,
                old: before.spread,
                new: row.spread,
                change: row.spread.median / before.spread.median - 1.0,
                moved: enough && is_comparable(row) && !row.spread.overlaps(&before.spread),
            });
        }
    }
    let missing = |rows: &[Row], others: &[Row]| {
        let lonely = rows.iter().filter(|row| !others.iter().any(|other| same(row, other)));
        lonely.map(|row| format!("{}: {}", row.section.word(), row.name)).collect()
    };
    let ungated = ungated(old, new, enough);
    RowChanges {
        rows,
        ungated,
        only_old: missing(&old_rows, &new_rows),
        only_new: missing(&new_rows, &old_rows),
        notes: notes(old, new, enough),
    }
}

/// Why a gate cannot say whether the new one got slower; none if it can.
fn ungated(old: &Bench, new: &Bench, enough: bool) -> Option<String> {
    let (old_rows, new_rows) = (old.all_rows(), new.all_rows());
    let judged = |rows: &[Row]| -> Vec<String> {
        let judged = rows.iter().filter(|row| row.section != Section::Probes);
        judged.map(|row| format!("{}: {}", row.section.word(), row.name)).collect()
    };
    let (then, now) = (judged(&old_rows), judged(&new_rows));
    if !enough {
        return Some(format!("it needs {RUNS_MIN} runs of each, there were {} and {}", old.runs, new.runs));
    }
    if old.machine != new.machine {
        return Some("they are of different machines".into());
    }
    if let Some((what, then, now)) = old.conditions.differences(&new.conditions).into_iter().next() {
        return Some(format!("they have another {what}: then {then}, now {now}"));
    }
    if let Some(gone) = then.iter().find(|row| !now.contains(row)) {
        return Some(format!("not everything was measured again: '{gone}' was not"));
    }
    then.is_empty().then(|| "the older one measured nothing but the machine".into())
}

fn notes(old: &Bench, new: &Bench, enough: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if old.machine != new.machine {
        notes.push(format!("another machine: then {}, now {}", old.machine, new.machine));
    }
    for (what, then, now) in old.conditions.differences(&new.conditions) {
        notes.push(format!("another {what}: then {then}, now {now}"));
    }
    if old.tamis != new.tamis {
        notes.push(format!("another version: then {}, now {}", old.tamis, new.tamis));
    }
    if let (Some(then), Some(now)) = (old.sustained, new.sustained)
        && !then.is_like(&now)
    {
        let [then, now] = [then, now].map(|sustained| sustained.events_per_s / 1e6);
        notes.push(format!(
            "latencies are not compared: they are at shares of {then:.2} M events/s then and of {now:.2} M now"
        ));
    }
    if !enough {
        notes.push(format!(
            "{} runs then and {} now: with fewer than {RUNS_MIN} nothing can be called moved",
            old.runs, new.runs
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::super::latency::{Load, Sustained, Tail};
    use super::*;

    fn bench(runs: usize, values: &[(&str, Unit, [f64; 3])]) -> Bench {
        let row = |&(name, unit, [min, median, max]): &(&str, Unit, [f64; 3])| Row {
            section: Section::Speed,
            name: name.into(),
            unit,
            spread: Spread { median, min, max },
            runs: Vec::new(),
            event_bytes: None,
            limit: None,
        };
        Bench { runs, rows: values.iter().map(row).collect(), ..Bench::blank() }
    }

    #[test]
    fn only_what_leaves_its_range_has_moved() {
        let old = bench(
            5,
            &[
                ("a", Unit::EventsPerSecond, [9.0, 10.0, 11.0]),
                ("b", Unit::EventsPerSecond, [9.0, 10.0, 11.0]),
                ("c", Unit::Ns, [9.0, 10.0, 11.0]),
                ("gone", Unit::Ns, [1.0, 1.0, 1.0]),
            ],
        );
        let new = bench(
            5,
            &[
                ("a", Unit::EventsPerSecond, [4.0, 5.0, 9.0]),
                ("b", Unit::EventsPerSecond, [4.0, 5.0, 6.0]),
                ("c", Unit::Ns, [12.0, 20.0, 30.0]),
                ("fresh", Unit::Ns, [1.0, 1.0, 1.0]),
            ],
        );
        let changes = compare_benches(&old, &new);
        let moved: Vec<bool> = changes.rows.iter().map(|row| row.moved).collect();
        assert_eq!(moved, [false, true, true]);
        let slower: Vec<f64> = changes.rows.iter().map(Change::slower_percent).collect();
        assert_eq!(slower, [50.0, 50.0, 100.0]);
        assert_eq!(changes.slower_than(49.0).count(), 2);
        assert_eq!(changes.slower_than(101.0).count(), 0);
        assert_eq!((changes.only_old.len(), changes.only_new.len()), (1, 1));
        assert_eq!(compare_benches(&new, &old).slower_than(0.0).count(), 0, "what got faster is no failure");
    }

    #[test]
    fn too_few_runs_say_nothing() {
        let old = bench(2, &[("a", Unit::Ns, [1.0, 1.0, 1.0])]);
        let new = bench(5, &[("a", Unit::Ns, [5.0, 5.0, 5.0])]);
        let changes = compare_benches(&old, &new);
        assert!(!changes.rows[0].moved && changes.notes.iter().any(|note| note.contains("2 runs then")));
    }

    #[test]
    fn a_gate_is_held_against_like_and_like_only() {
        let bench = |runs, name: &str| bench(runs, &[(name, Unit::Ns, [1.0, 1.0, 1.0])]);
        let why = |old: &Bench, new: &Bench| compare_benches(old, new).ungated.unwrap_or_default();
        assert_eq!(why(&bench(5, "a"), &bench(5, "a")), "");
        assert!(why(&bench(5, "a"), &bench(4, "a")).contains("5 runs"));
        assert!(why(&bench(5, "a"), &bench(5, "b")).contains("'speed: a' was not"));
        assert!(
            why(&bench(5, "a"), &Bench { machine: "other".into(), ..bench(5, "a") }).contains("machines")
        );
        assert!(
            why(&Bench { runs: 5, ..Bench::blank() }, &bench(5, "a")).contains("nothing but the machine")
        );
        let mut other = bench(5, "a");
        other.conditions.menu = "other".into();
        assert!(why(&bench(5, "a"), &other).contains("another menu"));
    }

    #[test]
    fn a_lower_sustained_rate_is_slower_and_latencies_at_other_rates_are_not_compared() {
        let tail = |ns| Spread { median: ns, min: ns, max: ns };
        let at = |events_per_s, ns| {
            let decision = Tail { p50: tail(ns), p99: tail(ns), p999: tail(ns), max: tail(ns) };
            let load = Load {
                schedule: "uniform".into(),
                load: 70,
                events_per_s,
                events: 1,
                decision,
                backlog_ns: tail(0.0),
                wake_up_late: decision,
                gap_max_ns: tail(0.0),
                spun_beside: true,
            };
            let sustained = Some(Sustained { events_per_s, of_full_pace: 80 });
            Bench { runs: 5, sustained, loads: vec![load], ..Bench::blank() }
        };
        let moved = |old: &Bench, new: &Bench| {
            let changes = compare_benches(old, new);
            let names = changes.slower_than(10.0).map(|row| row.name.clone()).collect::<Vec<_>>();
            (names.join(", "), changes.notes.iter().any(|note| note.contains("not compared")))
        };
        assert_eq!(moved(&at(1e6, 1e3), &at(0.5e6, 5e3)), ("sustained rate".into(), true));
        let all = ["p50", "p99", "p99.9", "max"].map(|word| format!("uniform, load 70 %, {word}")).join(", ");
        assert_eq!(moved(&at(1e6, 1e3), &at(0.98e6, 5e3)), (all, false));
        assert_eq!(moved(&at(0.5e6, 1e3), &at(1e6, 5e3)), (String::new(), true));
    }

    #[test]
    fn another_machine_is_told() {
        let old = Bench { machine: "a".into(), ..Bench::blank() };
        let notes = compare_benches(&old, &Bench::blank()).notes;
        assert!(notes.iter().any(|note| note.contains("another machine")), "{notes:?}");
    }
}
