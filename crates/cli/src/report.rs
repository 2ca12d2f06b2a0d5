//! The report of a run as text: the ledger as the equation that it is, then lines, streams, speed and latencies.

use std::fmt::Write;

use tamis_app::{Ledger, Line, Report, RungKind, Stream};
use tamis_ledger::{Cause, Counts, Quantiles};
use tamis_pipeline::Pace;

use crate::figures::{
    bytes, counted, grouped, grouped_signed, per_second, rate, rate_with_error, share, time_ns,
};
use crate::table::TextTable;

/// What latencies mean if nothing slows the input down.
pub(crate) const FLAT_NOTE: &str = "At flat pace all queues are full, so that wait is a measure of the queues.\nUse --pace RATE for latencies at a rate.";

/// Everything that a person wants to know about a run.
pub(crate) fn render(report: &Report, pace: Pace, is_live: bool) -> String {
    let flat = pace == Pace::Flat && !is_live;
    let speed = &report.throughput;
    let mut text = ledger(&report.ledger);
    for part in [rungs(&report.ledger), lines(report), streams(report)] {
        if !part.is_empty() {
            let _ = write!(text, "\n{part}");
        }
    }
    text.push('\n');
    let _ = writeln!(
        text,
        "{} events/s, {}/s in {}; {} worker{}{}, batches of {} events, {}",
        per_second(speed.events_per_s),
        bytes(speed.bytes_per_s as u64),
        time_ns((speed.seconds * 1e9) as u64),
        report.workers,
        if report.workers == 1 { "" } else { "s" },
        match (report.admitted_apart, report.workers) {
            (true, _) => "",
            (false, 1) => " (which also admits)",
            (false, _) => " (the first also admits)",
        },
        report.batch,
        if report.device == "none" { "no models".into() } else { format!("on {}", report.device) },
    );
    let most = bytes(report.bytes_max as u64);
    let _ =
        writeln!(text, "Input, waiting events, their compression and ids take at most {most} of memory.\n");
    if report.stopped {
        let _ = writeln!(text, "Stopped before the end of the input.\n");
    }
    text.push_str(&latencies(report));
    if let Some(lag) = report.lag_ns.map(time_ns) {
        let held = if report.pace_held == Some(true) { "The pace was held" } else { "The pace was NOT HELD" };
        let _ = writeln!(text, "{held}: events were admitted up to {lag} late, which latencies leave out.");
    } else if pace == Pace::Recorded {
        let _ = writeln!(text, "No event had a time, so none waited for its own: this was flat pace.");
    }
    if flat {
        let _ = writeln!(text, "{FLAT_NOTE}");
    }
    text
}

/// One row per term of the equation, causes that occurred below their term, and the verdict.
fn ledger(ledger: &Ledger) -> String {
    let mut table = TextTable::default().left("Ledger").right("events").right("share").left("");
    let received = ledger.received;
    let mut term = |sign: char, name: &str, n: u64, meaning: &str| {
        table.row([format!("{sign} {name}"), grouped(n), share(n, received), meaning.to_string()]);
    };
    term(' ', "received", received, "");
    let has_last_rung = ledger.rungs.iter().any(|rung| rung.kind == RungKind::PassThrough);
    let by = if has_last_rung { "kept by a line, or by the last rung" } else { "kept by at least one line" };
    term('=', "accepted", ledger.accepted, by);
    term('+', "rejected", ledger.rejected, "kept by none");
    let mut causes = |name: &str, rows: Vec<(&'static str, u64)>, total: u64, meaning: &str| {
        table.row([format!("+ {name}"), grouped(total), share(total, received), meaning.to_string()]);
        rows.into_iter()
            .for_each(|(cause, n)| table.row([format!("    {cause}"), grouped(n), share(n, received)]));
    };
    causes("dropped", occurred(&ledger.dropped), ledger.dropped.total(), "given up before a decision");
    causes(
        "corrupt",
        occurred(&ledger.corrupt),
        ledger.corrupt.total(),
        "damaged or repeated; unreadable stretch = 1",
    );
    causes("errored", occurred(&ledger.errored), ledger.errored.total(), "undecided; in the error stream");
    table.row([
        "+ in flight".into(),
        grouped_signed(ledger.in_flight),
        String::new(),
        "unaccounted for".into(),
    ]);
    let mut text = table.render();
    let _ = writeln!(text, "{}", verdict(ledger));
    if ledger.missing != 0 {
        let _ =
            writeln!(text, "{} event ids did not arrive in a good frame.", grouped_signed(ledger.missing));
    }
    if ledger.forgotten > 0 {
        let events = grouped(ledger.forgotten);
        let _ = writeln!(
            text,
            "{events} events are FORGOTTEN: the memory for ids was full, so repeated ones would be decided again."
        );
    }
    if ledger.degraded > 0 {
        let _ = writeln!(text, "{} events were DEGRADED: scored by a stand-in.", grouped(ledger.degraded));
    }
    let frames = &ledger.frames;
    let _ = writeln!(
        text,
        "{}, {} corrupt; {}, {} outside good frames.",
        counted(frames.received, "frame"),
        grouped(frames.corrupt.total()),
        bytes(frames.bytes),
        bytes(frames.bytes_corrupt),
    );
    text
}

fn occurred<K: Cause>(counts: &Counts<K>) -> Vec<(&'static str, u64)> {
    counts.iter().filter(|&(_, n)| n > 0).map(|(cause, n)| (cause.name(), n)).collect()
}

/// Both equations: arrivals against how they ended, and events for storage against what became of them.
fn verdict(ledger: &Ledger) -> String {
    if ledger.in_flight != 0 {
        return format!(
            "The ledger DOES NOT BALANCE: {} events are unaccounted for.",
            grouped_signed(ledger.in_flight)
        );
    }
    let kept = ledger.accepted + ledger.errored.total();
    match ledger.storage {
        Some(storage) if storage.stored + storage.failed != kept => {
            let stored = grouped(storage.stored);
            let failed = grouped(storage.failed);
            let kept = grouped(kept);
            format!("Storage DOES NOT BALANCE: {kept} events to store, {stored} stored, {failed} failed.")
        }
        Some(storage) if storage.failed > 0 => {
            format!(
                "The ledger balances; {} events were stored, {} WERE LOST BY STORAGE.",
                grouped(storage.stored),
                grouped(storage.failed)
            )
        }
        Some(storage) => {
            format!("The ledger balances; {} accepted or errored events are stored.", grouped(storage.stored))
        }
        None => "The ledger balances.".into(),
    }
}

/// The fallback ladder, if there is one.
fn rungs(ledger: &Ledger) -> String {
    if ledger.rungs.len() < 2 {
        return String::new();
    }
    let decided = ledger.accepted + ledger.rejected;
    let mut table = TextTable::default().right("Rung").right("events").right("share").left("");
    for rung in &ledger.rungs {
        let meaning = match rung.kind {
            RungKind::Models => "decided with the models that the menu names",
            RungKind::Fallback => "with their next fallbacks",
            RungKind::PassThrough => "without a model, by hash",
        };
        table.row([rung.rung.to_string(), grouped(rung.events), share(rung.events, decided), meaning.into()]);
    }
    table.render()
}

fn lines(report: &Report) -> String {
    let mut table = TextTable::default()
        .left("Line")
        .right("seen")
        .right("passed")
        .right("prescale")
        .right("after\nprescale");
    if let Some(hz) = report.input_rate_hz {
        table = table.right(format!("rate at\n{}", rate(hz)));
    }
    for line in &report.lines {
        let rate = report.input_rate_hz.map(|_| line_rate(line));
        let cells = [
            line.name.clone(),
            grouped(line.seen),
            grouped(line.passed),
            grouped(line.prescale),
            grouped(line.accepted),
        ];
        table.row(cells.into_iter().chain(rate));
    }
    let mut text = table.render();
    if report.lines.iter().any(|line| line.rate_limit_hz.is_some()) {
        text.push_str("< is an upper limit at 95 % confidence: no event was kept.\n");
    }
    text
}

/// Rate and error, or what is excluded if nothing was kept.
fn line_rate(line: &Line) -> String {
    match (line.rate_hz, line.rate_err_hz, line.rate_limit_hz) {
        (_, _, Some(limit)) => format!("< {}", rate(limit)),
        (Some(hz), Some(error), _) => rate_with_error(hz, error),
        _ => "-".into(),
    }
}

fn streams(report: &Report) -> String {
    let mut table = TextTable::default().left("Stream").right("events").right("size").right("files").left("");
    for stream in &report.streams {
        table.row([
            stream.name.clone(),
            events(stream),
            bytes(stream.bytes),
            stream.files.len().to_string(),
            place(stream),
        ]);
    }
    let mut text = table.render();
    let output: u64 = report.streams.iter().map(|stream| stream.bytes).sum();
    let input = report.ledger.frames.bytes;
    let _ = match report.reduction {
        Some(factor) => {
            let what = match factor {
                less if less >= 1.0 => format!("a reduction by {less:.1}"),
                more => format!("{:.1} times as much", 1.0 / more),
            };
            let how = &report.compression;
            writeln!(text, "{} of frames in, {} of files out ({how}): {what}.", bytes(input), bytes(output))
        }
        None => writeln!(text, "{} of frames in, nothing out.", bytes(input)),
    };
    let _ = writeln!(text, "{} has the books of every segment.", report.ledger_file);
    text
}

fn events(stream: &Stream) -> String {
    if stream.failed == 0 {
        grouped(stream.events)
    } else {
        format!("{} ({} LOST)", grouped(stream.events), grouped(stream.failed))
    }
}

fn place(stream: &Stream) -> String {
    match stream.files.as_slice() {
        [] => String::new(),
        [file] => file.clone(),
        [first, .., last] => format!("{first} ... {}", last.rsplit('/').next().unwrap_or(last)),
    }
}

/// Quantiles per stage.
pub(crate) fn latencies(report: &Report) -> String {
    let mut table =
        TextTable::default().left("Latency").right("p50").right("p99").right("p99.9").right("max").left("");
    let mut row = |name: &str, q: &Quantiles<Option<u64>>, meaning: &str| {
        let quantiles = [q.p50, q.p99, q.p999, q.max].map(|ns| ns.map_or("-".into(), time_ns));
        table.row(std::iter::once(name.to_string()).chain(quantiles).chain([meaning.to_string()]));
    };
    row("wait", &report.stages_ns.wait, "until a worker takes the batch");
    row("decide", &report.stages_ns.decide, "scores and verdicts of the batch");
    row("decision", &report.latency_ns, "wait and decide");
    row("store", &report.stages_ns.store, "until written, if kept");
    table.render()
}
