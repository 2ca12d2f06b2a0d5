//! Benchmarks as tables.

use std::fmt::Write;

use tamis_app::{Bench, Change, EngineSpeed, Load, Row, RowChanges, Section, Spread, Unit};

use crate::figures::{grouped, number, per_second, rate, time_ns};
use crate::table::TextTable;

/// Everything that was measured.
pub(crate) fn render(bench: &Bench) -> String {
    let mut text = head(bench);
    for section in Section::ALL {
        let is_time = |row: &Row| section == Section::Speed && row.unit == Unit::NsPerEvent;
        for times in [false, true] {
            let rows = bench.rows.iter().filter(|row| row.section == section && is_time(row) == times);
            let rows: Vec<&Row> = rows.collect();
            if !rows.is_empty() {
                let _ = write!(text, "\n{}", rows_table(title(section, times), section, &rows));
            }
        }
    }
    if let Some(sustained) = bench.sustained {
        let _ = writeln!(
            text,
            "\nSustained without a growing backlog: {} events/s, {} % of full pace.",
            per_second(sustained.events_per_s),
            sustained.of_full_pace
        );
    }
    if !bench.loads.is_empty() {
        let _ = write!(text, "\n{}", loads_table(&bench.loads));
    }
    if !bench.engines.is_empty() {
        let _ = write!(text, "\n{}", engines_table(&bench.engines));
    }
    if !bench.remarks.is_empty() {
        text.push('\n');
    }
    for remark in &bench.remarks {
        let _ = writeln!(text, "{}", sentence(remark));
    }
    text
}

fn head(bench: &Bench) -> String {
    let of = &bench.conditions;
    let accepted = of.accepted.map(|share| format!(", {} accepted", percent(share))).unwrap_or_default();
    let load = bench.load_before.map(|load| format!(", load before {load:.1}")).unwrap_or_default();
    let plural = if bench.runs == 1 { "" } else { "s" };
    format!(
        "{}{load}\n{}: events of {} bytes, {} per frame; menu '{}' on {}{accepted}\nbatches of {} events; medians of {} run{plural} of about {}{}{}\n",
        bench.machine,
        of.input,
        grouped(of.event_bytes as u64),
        number((of.frame_events * 10.0).round() / 10.0),
        of.menu,
        of.device,
        grouped(of.batch as u64),
        bench.runs,
        time_ns((bench.seconds * 1e9) as u64),
        pinned(&of.pin),
        polling(of.busy_poll_ns),
    )
}

fn pinned(cpus: &[usize]) -> String {
    let listed: Vec<String> = cpus.iter().map(ToString::to_string).collect();
    if listed.is_empty() { String::new() } else { format!("; workers on CPU {}", listed.join(", ")) }
}

fn polling(ns: u64) -> String {
    match ns {
        0 => String::new(),
        u64::MAX => "; always polling".into(),
        ns => format!("; polling for {}", time_ns(ns)),
    }
}

fn title(section: Section, times: bool) -> &'static str {
    match section {
        Section::Probes => "Machine, one core or all",
        Section::Stages => "Stage, one thread, ns per event",
        Section::Speed if times => "Full pace, ns per event",
        Section::Speed => "Full pace, events/s",
        Section::Sizes => "No models, events/s",
        Section::Latency => "Latency",
        Section::Engines => "Engines",
    }
}

fn rows_table(title: &str, section: Section, rows: &[&Row]) -> String {
    let mut table = TextTable::default().left(title).right("median").right("min").right("max");
    let has_limits = rows.iter().any(|row| row.limit.is_some());
    if section == Section::Sizes {
        table = table.right("bytes/s");
    }
    if has_limits {
        table = table.right("limit").right("reached").left("limited by");
    }
    for row in rows {
        let show = |x: f64| value(section, row.unit, x);
        let mut cells =
            vec![row.name.clone(), show(row.spread.median), show(row.spread.min), show(row.spread.max)];
        if section == Section::Sizes {
            let bytes = row.event_bytes.map(|bytes| row.spread.median * bytes as f64);
            cells.push(bytes.map_or(String::new(), |bytes| format!("{}B", per_second_with_prefix(bytes))));
        }
        if let Some(limit) = &row.limit {
            cells.extend([show(limit.value), percent(limit.reached), limit.by.clone()]);
        }
        table.row(cells);
    }
    table.render()
}

fn loads_table(loads: &[Load]) -> String {
    let mut table = TextTable::default()
        .left("Latency of decisions")
        .right("load")
        .right("events/s")
        .right("p50")
        .right("p99")
        .right("p99.9")
        .right("max")
        .right("wake-up\np99 late")
        .right("gap\nmax");
    let ns = |spread: Spread| time_ns(spread.median as u64);
    for load in loads {
        let of = &load.decision;
        table.row([
            load.schedule.clone(),
            format!("{} %", load.load),
            per_second(load.events_per_s),
            ns(of.p50),
            ns(of.p99),
            ns(of.p999),
            time_ns(of.max.max as u64),
            ns(load.wake_up_late.p99),
            ns(load.gap_max_ns),
        ]);
    }
    let spun = if loads.iter().all(|load| load.spun_beside) {
        "one that spun beside it"
    } else {
        "those that spun before it, as many as decide"
    };
    format!(
        "{}From the moment when the last byte of an event's frame was due, fixed in advance; medians over the\nruns, and the longest of all. Beside it how late a thread woke up that slept during the run, for which\nthe pipeline is one of its neighbours, and the longest gap of {spun}.\nBursts: 72 frames at twice the mean rate, then a gap.\n",
        table.render()
    )
}

/// A line per network, a column per engine and number of threads.
fn engines_table(speeds: &[EngineSpeed]) -> String {
    let mut columns: Vec<(&str, usize)> = Vec::new();
    let mut networks: Vec<(&str, u64)> = Vec::new();
    for speed in speeds {
        let column = (&*speed.engine, speed.threads);
        let network = (&*speed.network, speed.multiply_adds);
        if !columns.contains(&column) {
            columns.push(column);
        }
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    let mut table = TextTable::default().left("Scores, events/s").right("multiply-adds\nper event");
    for (engine, threads) in &columns {
        let plural = if *threads == 1 { "" } else { "s" };
        table = table.right(format!("{engine}\n{threads} thread{plural}"));
    }
    for (network, multiply_adds) in networks {
        let mut cells = vec![network.to_owned(), grouped(multiply_adds)];
        cells.extend(columns.iter().map(|&(engine, threads)| {
            let of = |speed: &&EngineSpeed| {
                (&*speed.network, &*speed.engine, speed.threads) == (network, engine, threads)
            };
            speeds.iter().find(of).map_or("too slow".into(), |speed| per_second(speed.events_per_s.median))
        }));
        table.row(cells);
    }
    format!(
        "{}From records of 57 numbers of 16 bits to scores, with all transfers; medians over the runs.\n",
        table.render()
    )
}

/// What moved, and what did not.
pub(crate) fn changes(changes: &RowChanges) -> String {
    let mut table = TextTable::default().left("Change").right("then").right("now").right("change").left("");
    let mut still = 0;
    for row in &changes.rows {
        if !row.moved {
            still += 1;
            continue;
        }
        let show = |x: f64| value(row.section, row.unit, x);
        let verdict = if row.slower_percent() > 0.0 { "SLOWER" } else { "faster" };
        table.row([
            format!("{}: {}", row.section.word(), row.name),
            show(row.old.median),
            show(row.new.median),
            // From nothing there is no ratio.
            if row.change.is_finite() { format!("{:+.1} %", row.change * 100.0) } else { "-".into() },
            verdict.into(),
        ]);
    }
    let moved = changes.rows.len() - still;
    let mut text = if moved > 0 { format!("\n{}", table.render()) } else { "\n".to_owned() };
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let _ = writeln!(
        text,
        "{moved} of {} row{} moved, which means that the runs of then and now have no value in common.",
        changes.rows.len(),
        plural(changes.rows.len())
    );
    if let Some(largest) =
        changes.rows.iter().filter(|row| !row.moved && row.change.is_finite()).max_by(by_size)
    {
        let _ = writeln!(
            text,
            "The largest change within the spread: {}: {}, {:+.1} %.",
            largest.section.word(),
            largest.name,
            largest.change * 100.0
        );
    }
    for (what, names) in [("then", &changes.only_old), ("now", &changes.only_new)] {
        if !names.is_empty() {
            let _ = writeln!(text, "{} row{} only {what}.", names.len(), plural(names.len()));
        }
    }
    for note in &changes.notes {
        let _ = writeln!(text, "{}", sentence(note));
    }
    text
}

fn by_size(a: &&Change, b: &&Change) -> std::cmp::Ordering {
    a.change.abs().total_cmp(&b.change.abs())
}

/// A value in its unit; ns per event without a word, which the title has.
fn value(section: Section, unit: Unit, x: f64) -> String {
    match unit {
        Unit::BytesPerSecond => format!("{}B/s", per_second_with_prefix(x)),
        Unit::MultiplyAddsPerSecond | Unit::EventsPerSecond => {
            let what = if section == Section::Probes { "/s" } else { "" };
            format!("{}{what}", per_second(x))
        }
        Unit::NsPerEvent if x < 1000.0 => format!("{x:.1}"),
        Unit::NsPerEvent => grouped(x.round() as u64),
        Unit::Ns if x < 100.0 => format!("{x:.1} ns"),
        Unit::Ns => time_ns(x as u64),
        Unit::Share => percent(x),
    }
}

/// `12.3 M`, with its blank.
fn per_second_with_prefix(x: f64) -> String {
    rate(x).trim_end_matches("Hz").to_string()
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".into(),
        p if p < 0.01 => format!("{p:.1e} %"),
        p if p < 10.0 => format!("{p:.2} %"),
        p => format!("{p:.0} %"),
    }
}

/// Begins with a capital letter and ends with a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
