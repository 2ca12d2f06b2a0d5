//! The documents are a contract: their keys, one document on standard output, nothing else.

use serde_json::{Value, json};

use crate::support::{Frames, Lab, sample};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn replay() {
    let lab = Lab::new();
    let mut frames = Frames::new();
    frames.push(0, &[1.0, 200.0]);
    lab.write("in.tmf", frames.bytes);
    let (_, document) = lab.replay("in.tmf", "");
    #[rustfmt::skip]
    assert_eq!(keys(&document), [
        "admitted_apart", "batch", "bytes_max", "closes", "compression", "device", "device_losses", "exit", "input_rate_hz", "lag_ns", "latency_ns", "ledger", "ledger_file", "lines", "models", "pace_held", "problems", "reduction", "run", "schema",
        "stages_ns", "stopped", "streams", "tamis", "throughput", "workers",
    ]);
    #[rustfmt::skip]
    assert_eq!(keys(&document["ledger"]), [
        "accepted", "corrupt", "degraded", "dropped", "errored", "forgotten", "frames", "in_flight", "missing", "received", "rejected", "rungs", "storage",
    ]);
    assert_eq!(document["ledger"]["rungs"], json!([{"rung": 0, "kind": "models", "events": 2}]));
    assert_eq!(document["device_losses"], json!([]));
    assert_eq!(
        keys(&document["lines"][0]),
        ["accepted", "name", "passed", "prescale", "rate_err_hz", "rate_hz", "rate_limit_hz", "seen"]
    );
    assert_eq!(keys(&document["streams"][0]), ["bytes", "durable", "events", "failed", "files", "name"]);
    assert_eq!(keys(&document["throughput"]), ["bytes_per_s", "events_per_s", "seconds"]);
    assert_eq!(keys(&document["latency_ns"]), ["max", "p50", "p99", "p999"]);
    assert_eq!(keys(&document["stages_ns"]), ["decide", "store", "wait"]);
    assert_eq!((&document["schema"], &document["tamis"]), (&7.into(), &env!("CARGO_PKG_VERSION").into()));
    // One batch carries a median, and no tail.
    let latency = &document["latency_ns"];
    assert!(latency["p50"].is_u64() && latency["max"].is_u64(), "{latency}");
    assert!(latency["p99"].is_null() && latency["p999"].is_null(), "{latency}");
    // Half of the events pass at an input of 1 MHz.
    assert_eq!(document["lines"][0]["rate_hz"], 500_000.0);
}

#[test]
fn tables_on_standard_output_talk_on_standard_error() {
    let lab = Lab::new();
    let mut frames = Frames::new();
    frames.push(0, &[1.0, 200.0]);
    frames.push(4, &[1.0, 200.0]);
    lab.write("in.tmf", frames.bytes);
    let ran = lab.tamis("replay in.tmf --menu menu.toml --out out");
    assert_eq!(ran.code, Some(75));
    for word in [
        "= accepted",
        "The ledger balances",
        "2 event ids did not arrive in a good frame",
        "high",
        "500 ± 250 kHz",
        "physics",
        "p99.9",
        "at flat pace",
    ] {
        assert!(ran.out.to_lowercase().contains(&word.to_lowercase()), "'{word}' is not in:\n{}", ran.out);
    }
    assert_eq!(ran.err, "tamis: data was lost or left undecided: 2 missing; the ledger has the causes\n");
    assert!(!ran.out.contains('\u{1b}'), "no colours in a pipe");
}

#[test]
fn a_rate_is_known_as_well_as_its_different_events_allow() {
    let lab = Lab::new();
    let mut frames = Frames::new();
    let values: Vec<f32> = (0..1000).map(|k| if k % 10 == 0 { 200.0 } else { 1.0 }).collect();
    frames.push(0, &values);
    lab.write("in.tmf", frames.bytes);
    // sqrt(0.1 * 0.9 / 1000) of 1 MHz
    for more in ["", "--repeat 50"] {
        let line = lab.replay("in.tmf", more).1["lines"][0].clone();
        let (rate, error) = (line["rate_hz"].as_f64().unwrap(), line["rate_err_hz"].as_f64().unwrap());
        assert!((rate - 100_000.0).abs() < 1e-6 && (error - 9486.8).abs() < 0.1, "{more}: {line}");
        assert!(line["rate_limit_hz"].is_null());
    }
    let never = crate::support::MENU.replace("x >= 100", "x >= 1000");
    lab.write("menu.toml", never);
    for more in ["", "--repeat 50"] {
        let line = lab.replay("in.tmf", more).1["lines"][0].clone();
        assert_eq!((&line["rate_hz"], &line["rate_err_hz"]), (&json!(0.0), &Value::Null), "{line}");
        assert!((line["rate_limit_hz"].as_f64().unwrap() - 3000.0).abs() < 1e-6, "{more}: {line}");
        let table = lab.tamis(&format!("replay in.tmf --menu menu.toml --out out {more}")).out;
        assert!(table.contains("< 3.00 kHz") && table.contains("95 %"), "{table}");
    }
}

#[test]
fn a_pipe_is_said_to_be_as_fast_as_it_is() {
    let lab = Lab::new();
    let mut frames = Frames::new();
    frames.push(0, &[1.0, 200.0]);
    lab.write("in.tmf", frames.bytes);
    let script = format!("cat in.tmf | {} replay - --menu menu.toml --out out", env!("CARGO_BIN_EXE_tamis"));
    let mut command = std::process::Command::new("sh");
    let ran = crate::support::ran(&command.args(["-c", &script]).current_dir(lab.path("")).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("Latency") && !ran.out.contains("flat pace"), "{}", ran.out);
}

#[test]
fn info() {
    let lab = Lab::new();
    let info: Value =
        serde_json::from_str(&lab.tamis(&format!("info {} --json", sample("l1-mixed.tmf.zst"))).out).unwrap();
    let found = (&info["kind"], &info["schema"], &info["event_schema"], &info["exit"]);
    assert_eq!(found, (&"recording".into(), &7.into(), &"l1".into(), &0.into()), "{info}");
}

#[test]
fn convert() {
    let lab = Lab::new();
    lab.write("t.csv", "event,x,n,\n7,nan,0.5,\n9,inf,-1.25,\n8,16777217,40000,\n");
    let convert = "convert t.csv --schema schema.toml --saturate --out";
    let document: Value = serde_json::from_str(&lab.tamis(&format!("{convert} a.tmf --json")).out).unwrap();
    #[rustfmt::skip]
    assert_eq!(keys(&document), [
        "bytes", "clamped", "events", "frames", "ids_from_column", "ignored_columns", "infinite", "nan", "path", "rounded", "schema", "tamis", "times_from_column",
        "uncompared_ids",
    ]);
    assert_eq!(document["clamped"], json!([{"column": "n", "values": 1}]));
    assert_eq!(
        document["rounded"],
        json!([
            {"column": "x", "values": 1, "largest_change": 1.0, "largest_row": 4},
            {"column": "n", "values": 2, "largest_change": 0.5, "largest_row": 2},
        ])
    );
    assert_eq!(
        (&document["nan"], &document["infinite"]),
        (&json!([{"column": "x", "values": 1}]), &json!([{"column": "x", "values": 1}]))
    );
    let ran = lab.tamis(&format!("{convert} b.tmf"));
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(
        lines[0].contains("3 events in 1 frame") && lines[0].ends_with("event ids from column 'event'"),
        "{ran:?}"
    );
    assert_eq!(
        &lines[2..],
        [
            "                                  largest",
            "Changed column  clamped  rounded   change  NaN  infinite",
            "──────────────  ───────  ───────  ───────  ───  ────────",
            "x                              1        1    1         1",
            "n                     1        2      0.5",
        ]
    );
    assert_eq!(ran.err, "tamis: columns that feed nothing were ignored: column 4 (no name)\n");

    let sparse: String = (0..200).map(|k| format!("{},1,1\n", k * 1000)).collect();
    lab.write("t.csv", format!("event,x,n\n{sparse}"));
    let ran = lab.tamis(&format!("{convert} c.tmf"));
    assert!(ran.out.contains("200 events in 1 frame,") && ran.err.is_empty(), "{ran:?}");
    let runs: String = (0..200).map(|k| format!("{},{k},1,1\n", k % 2)).collect();
    lab.write("r.csv", format!("run,event,x,n\n{runs}"));
    let ran = lab.tamis("convert r.csv --schema schema.toml --out r.tmf");
    assert!(
        ran.err.contains("200 events take 200 frames of at least 128 bytes")
            && ran.err.contains("sort the table by run, or give --ids ignore"),
        "{ran:?}"
    );
    let ran = lab.tamis(&format!("{convert} d.tmf --ids number"));
    assert_eq!(ran.err, "tamis: columns that feed nothing were ignored: event\n");
    assert!(
        ran.out.contains("200 events in 1 frame,") && ran.out.contains("event ids count from 0"),
        "{ran:?}"
    );
}

#[test]
fn help_completions_and_manual_pages() {
    let lab = Lab::new();
    let help = lab.tamis("--help");
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    assert!(
        ["Exit codes", "75", "Trigger", "replay"].iter().all(|word| help.out.contains(word)),
        "{}",
        help.out
    );
    for command in [
        "replay",
        "convert",
        "gen",
        "train",
        "score",
        "model",
        "info",
        "cat",
        "verify",
        "recover",
        "bench",
        "doctor",
        "completions",
        "man",
    ] {
        let help = lab.tamis(&format!("{command} --help"));
        assert!(help.code == Some(0) && help.out.contains("Examples"), "{command}");
        let page = lab.tamis(&format!("man {command}"));
        assert!(page.code == Some(0) && page.out.contains(".TH"), "{command}");
    }
    let page = lab.tamis("man replay").out;
    for part in [
        concat!(".TH tamis-replay 1  \"tamis ", env!("CARGO_PKG_VERSION"), "\" Tamis"),
        "\\-\\-menu <FILE> \\-\\-out <DIR> <INPUT>",
        ".SH EXAMPLES",
        "\\fBtamis replay l1.tmf",
        ".SH \"EXIT STATUS\"",
        "finished, but data was lost",
        ".SH ENVIRONMENT",
        "TAMIS_DURABLE",
    ] {
        assert!(page.contains(part), "'{part}' is not in:\n{page}");
    }
    assert!(!page.contains(".SH EXTRA") && !page.contains('\u{1b}'));
    assert_eq!(lab.tamis("man --all pages").code, Some(0));
    let pages = crate::support::names(&lab.path("pages"));
    assert!(
        ["tamis.1", "tamis-replay.1", "tamis-model-info.1"]
            .iter()
            .all(|page| pages.iter().any(|name| name == page))
    );
    assert_eq!(lab.tamis("help replay").out, lab.tamis("replay --help").out);
    assert_eq!(lab.tamis("help model info").out, lab.tamis("model info --help").out);
    assert_eq!(lab.tamis("version").out, lab.tamis("--version").out);
    let completions = lab.tamis("completions bash").out;
    assert!(completions.contains("auto flex fused") && completions.contains("label number ignore"));
    assert!(lab.tamis("man").out.contains(".TH"));
    assert!(lab.tamis("man repaly").refusal(2).contains("did you mean 'replay'?"));
    assert!(lab.tamis("completions bash").out.contains("replay"));
}
