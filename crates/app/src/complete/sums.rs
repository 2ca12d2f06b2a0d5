//! Does a ledger agree with itself?
//!
//! * I1: every counter of the run, whatever its name, is the sum of those in the lines, and so are the passed and kept events of every line of the
//!   menu.
//! * I2: the equation of the ledger holds in each line and in the run, decided events are those of the rungs, and what was kept was stored or is
//!   counted as failed.
//! * I3: exit code, reduction, throughput, events seen and rates are those that follow from the counters.
//!
//! Nothing in the file confirms times, latencies and lag, the errors and limits of rates, how batches were closed, the limits that the run had
//! (workers, batch, bytes), where a device was lost, how many books share a line and how far it reaches, and the number of a segment that stored
//! nothing. How far storage was (`end`, `stored`, `durable`) has bounds only: the lines before and after, and the files.

use std::collections::BTreeMap;

use serde_json::Value;

use super::said::{count_at, items, word_at};
use crate::Exit;
use crate::verify::Verification;

/// Counters by path, as `corrupt.crc`, `rungs.0.events` and `lines.high.passed`.
type Counters = BTreeMap<String, i128>;

/// Names that identify a counter and are not counters themselves.
const LABELS: [&str; 2] = ["name", "rung"];
/// Figures are printed with all their digits: only the order of operations may differ.
const RELATIVE: f64 = 1e-9;

/// The counters of all lines, added up.
#[derive(Debug, Default)]
pub(super) struct Sums(Counters);

impl Sums {
    /// Adds a line, which must balance by itself.
    pub(super) fn add(&mut self, number: u64, line: &Value, run: &mut Verification) {
        balance(&format!("line {number}"), &line["ledger"], run);
        let lines = items(&line["lines"]).map(|of| (word_at(&of["name"]), &of["passed"], &of["kept"]));
        for (path, counter) in counters(&line["ledger"], lines) {
            let sum = self.0.entry(path).or_default();
            *sum = sum.saturating_add(counter);
        }
    }

    /// Compares the final line with the sums, and with itself.
    pub(super) fn compare(&self, last: &Value, run: &mut Verification) {
        let ledger = &last["ledger"];
        balance("the run", ledger, run);
        let lines = items(&last["lines"]).map(|of| (word_at(&of["name"]), &of["passed"], &of["accepted"]));
        let mut total = counters(ledger, lines);
        total.retain(|path, _| !path.starts_with("storage."));
        let paths = self.0.keys().chain(total.keys().filter(|path| !self.0.contains_key(*path)));
        for path in paths {
            let [sum, total] = [&self.0, &total].map(|of| of.get(path).copied().unwrap_or(0));
            if differ(sum, total) {
                run.damage(|| format!("{path}: the segments have {sum}, the run has {total}"));
            }
        }
        stored(last, run);
        exit(last, run);
        figures(last, run);
    }
}

/// All counters of a ledger and of lines of the menu, each with what it passed and kept.
fn counters<'a>(ledger: &Value, lines: impl Iterator<Item = (String, &'a Value, &'a Value)>) -> Counters {
    let mut counters = Counters::new();
    collect("", ledger, &mut counters);
    for (name, passed, kept) in lines {
        collect(&format!("lines.{name}.passed"), passed, &mut counters);
        collect(&format!("lines.{name}.kept"), kept, &mut counters);
    }
    counters
}

/// Every number under `value`, by its path.
fn collect(path: &str, value: &Value, counters: &mut Counters) {
    let below = |name: &str| if path.is_empty() { name.into() } else { format!("{path}.{name}") };
    match value {
        Value::Object(entries) => {
            let inner = entries.iter().filter(|(key, _)| !LABELS.contains(&key.as_str()));
            inner.for_each(|(key, value)| collect(&below(key), value, counters));
        }
        Value::Array(all) => all.iter().for_each(|item| {
            let label = LABELS.iter().map(|label| &item[label]).find(|label| !label.is_null());
            let label = label.map_or_else(String::new, |label| label.to_string().trim_matches('"').into());
            collect(&below(&label), item, counters);
        }),
        _ => {
            if let Some(number) = integer(value) {
                let counter = counters.entry(path.into()).or_default();
                *counter = counter.saturating_add(number);
            }
        }
    }
}

/// A whole number; of more than 64 bits as many digits as a double has.
fn integer(value: &Value) -> Option<i128> {
    let large = || value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i128);
    value.as_u64().map(i128::from).or(value.as_i64().map(i128::from)).or_else(large)
}

fn differ(a: i128, b: i128) -> bool {
    let larger = a.unsigned_abs().max(b.unsigned_abs());
    let digits_lost = if larger > u64::MAX.into() { larger >> 50 } else { 0 };
    a.abs_diff(b) > digits_lost
}

/// Sum of all counters under `value`.
fn total(value: &Value) -> i128 {
    let mut counters = Counters::new();
    collect("", value, &mut counters);
    counters.values().fold(0_i128, |sum, &counter| sum.saturating_add(counter))
}

/// Does the equation hold, with nothing in flight?
fn balance(whose: &str, ledger: &Value, run: &mut Verification) {
    let of = |keys: &[&str]| keys.iter().map(|key| total(&ledger[key])).sum::<i128>();
    let received = of(&["received"]);
    let ended = of(&["accepted", "rejected", "dropped", "corrupt", "errored"]);
    let in_flight = of(&["in_flight"]);
    if received != ended || in_flight != 0 {
        run.damage(|| {
            format!("{whose} does not balance: {received} received, {ended} ended, {in_flight} in flight")
        });
    }
    let decided = of(&["accepted", "rejected"]);
    let on_rungs: i128 = items(&ledger["rungs"]).map(|rung| total(&rung["events"])).sum();
    if decided != on_rungs {
        run.damage(|| format!("{whose} does not balance: {decided} decided, {on_rungs} on the rungs"));
    }
}

/// Was storage given exactly what the run kept?
fn stored(last: &Value, run: &mut Verification) {
    let ledger = &last["ledger"];
    let kept = total(&ledger["accepted"]) + total(&ledger["errored"]);
    let stored = total(&ledger["storage"]["stored"]);
    let failed = total(&ledger["storage"]["failed"]);
    if kept != stored + failed {
        run.damage(|| format!("{kept} events for storage, but {stored} stored and {failed} failed"));
    }
    let failed_in_streams: i128 = items(&last["streams"]).map(|stream| total(&stream["failed"])).sum();
    if failed > failed_in_streams {
        run.damage(|| format!("{failed} events failed to be stored, {failed_in_streams} of the streams"));
    }
}

/// Does the exit code follow?
fn exit(last: &Value, run: &mut Verification) {
    let ledger = &last["ledger"];
    let lost = ["dropped", "corrupt", "errored", "forgotten"].iter().any(|key| total(&ledger[key]) != 0);
    let lost = lost || total(&ledger["missing"]) != 0;
    let failed = items(&last["streams"]).any(|stream| total(&stream["failed"]) != 0);
    let code = last["exit"].as_u64();
    let is = |exit: Exit| code == Some(exit.code().into());
    let problems = items(&last["problems"]).count();
    // Anything worse than losses is a problem of its own.
    let worse = [Exit::Internal, Exit::Storage, Exit::Input, Exit::Resources];
    let is_worse = worse.into_iter().any(is) && problems > usize::from(lost);
    let follows = match (failed, lost) {
        (true, _) => is_worse,
        (false, true) => is(Exit::Losses) || is_worse,
        (false, false) => is(Exit::Done) || is_worse,
    };
    if !follows {
        run.damage(|| format!("exit {} does not follow from the counts", last["exit"]));
    }
}

/// Do the figures follow?
fn figures(last: &Value, run: &mut Verification) {
    let ledger = &last["ledger"];
    let mut follow = |what: &str, said: &Value, follows: Option<f64>| {
        let agrees = match (said.as_f64(), follows) {
            (Some(said), Some(follows)) => {
                follows.is_finite() && (said - follows).abs() <= RELATIVE * follows.abs()
            }
            (None, follows) => follows.is_none_or(|follows| !follows.is_finite()),
            (Some(_), None) => false,
        };
        if !agrees {
            run.damage(|| format!("{what}: {said} does not follow from the counts"));
        }
    };
    let bytes = total(&ledger["frames"]["bytes"]) as f64;
    let output: i128 = items(&last["streams"]).map(|stream| total(&stream["bytes"])).sum();
    follow("reduction", &last["reduction"], (output > 0).then(|| bytes / output as f64));
    let throughput = &last["throughput"];
    let seconds = throughput["seconds"].as_f64().unwrap_or(f64::NAN);
    let received = total(&ledger["received"]) as f64;
    follow("throughput.events_per_s", &throughput["events_per_s"], Some(received / seconds));
    follow("throughput.bytes_per_s", &throughput["bytes_per_s"], Some(bytes / seconds));
    let with_scores = items(&ledger["rungs"]).filter(|rung| rung["kind"] != "pass-through");
    let seen = with_scores.map(|rung| count_at(&rung["events"])).sum::<u64>() as f64;
    for line in items(&last["lines"]) {
        let name = word_at(&line["name"]);
        follow(&format!("lines.{name}.seen"), &line["seen"], Some(seen));
        let accepted = total(&line["accepted"]) as f64;
        let rate = last["input_rate_hz"].as_f64().map(|hz| hz * (accepted / seen.max(1.0)));
        follow(&format!("lines.{name}.rate_hz"), &line["rate_hz"], rate);
    }
}
