//! The ledger file of a run: whoever changes a number in it is found.

use std::fs;

use serde_json::Value;
use tamis_event::FrameMeta;

use crate::support::{Frames, Lab};

const LEDGER: &str = "out/in.ledger.jsonl";

/// Two streams, a prescale, and a rate.
const MENU: &str = r#"
name = "pairs"
rate = "1MHz"

[[stream]]
name = "physics"

[[stream]]
name = "monitor"

[[line]]
name = "high"
when = "x >= 100"
streams = ["physics"]

[[line]]
name = "some"
when = "x >= 1"
prescale = 3
streams = ["monitor"]
"#;

/// What no other number of the file confirms, by the key or the one above it. Of how far storage was, in other lines
/// than the last, the file has bounds only.
const UNCONFIRMED: [&str; 13] = [
    "latency_ns",
    "stages_ns",
    "lag_ns",
    "rate_err_hz",
    "rate_limit_hz",
    "closes",
    "workers",
    "batch",
    "bytes_max",
    "device_losses",
    "end",
    "stored",
    "durable",
];

/// A run of two runs of two segments each, with a damaged frame, one that comes twice, a NaN, and ids that are left out.
fn run() -> Lab {
    let lab = Lab::new();
    lab.write("menu.toml", MENU);
    let mut frames = Frames::new();
    let mut at = 0;
    for k in 0..12_u32 {
        let meta = FrameMeta {
            run: 1 + k / 6,
            segment: k / 3,
            first_event_id: u64::from(k) * 4,
            ..FrameMeta::default()
        };
        at = frames.push_of(meta, &[1.0, 200.0, 2.0, 100.0 + k as f32]);
    }
    frames.bytes[at + 70] ^= 1;
    let meta = FrameMeta { run: 2, segment: 3, first_event_id: 60, ..FrameMeta::default() };
    frames.push_of(meta, &[f32::NAN, 300.0]);
    frames.push_of(meta, &[f32::NAN, 300.0]);
    lab.write("in.tmf", frames.bytes);
    let (code, document) = lab.replay("in.tmf", "--durable close");
    let ledger = &document["ledger"];
    assert!(code == 75 && ledger["missing"] != 0 && ledger["corrupt"]["dup"] == 2, "{document}");
    assert!(ledger["corrupt"]["crc"] == 4 && ledger["errored"]["not_a_number"] == 1, "{document}");
    lab
}

/// Pointers to all numbers of a document.
fn numbers(pointer: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(pointer.into()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(k, item)| numbers(&format!("{pointer}/{k}"), item, found));
        }
        Value::Object(items) => {
            items.iter().for_each(|(key, item)| numbers(&format!("{pointer}/{key}"), item, found));
        }
        _ => {}
    }
}

#[test]
fn every_number_that_another_one_confirms_is_checked() {
    let lab = run();
    let text = fs::read_to_string(lab.path(LEDGER)).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let code = |lines: &[Value]| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(lab.path(LEDGER), text).unwrap();
        lab.tamis(&format!("verify {LEDGER}")).code
    };
    assert_eq!(code(&lines), Some(0));
    let mut hidden = Vec::new();
    let mut edits = 0;
    for k in 0..lines.len() {
        let mut pointers = Vec::new();
        numbers("", &lines[k], &mut pointers);
        let is_last = k + 1 == lines.len();
        let is_confirmed = |pointer: &&String| {
            let is_end = is_last && (pointer.contains("/storage/") || pointer.ends_with("durable"));
            is_end || !pointer.split('/').any(|key| UNCONFIRMED.contains(&key))
        };
        for pointer in pointers.iter().filter(is_confirmed) {
            let before = lines[k].pointer(pointer).unwrap().clone();
            let more = match before.as_i64() {
                Some(number) => Value::from(number + 1),
                None => Value::from(before.as_f64().unwrap() * 1.01),
            };
            for edit in [more, Value::from(0)].into_iter().filter(|edit| *edit != before) {
                let mut lines = lines.clone();
                *lines[k].pointer_mut(pointer).unwrap() = edit.clone();
                edits += 1;
                if code(&lines) != Some(76) {
                    hidden.push(format!("line {}, {pointer}: {before} -> {edit}", k + 1));
                }
            }
        }
    }
    assert!(edits > 300, "{edits}");
    assert_eq!(hidden, Vec::<String>::new());
}

#[test]
fn files_in_another_order_are_called_so() {
    let lab = Lab::new();
    let mut frames = Frames::new();
    for k in 0..40 {
        frames.push(4 * k, &[200.0; 4]);
    }
    lab.write("in.tmf", frames.bytes);
    assert_eq!(lab.replay("in.tmf", "--rotate 2kB").0, 0);
    let file = |number: u32| lab.path(&format!("out/in-physics-000{number}.mcap"));
    fs::rename(file(2), lab.path("aside")).unwrap();
    fs::rename(file(3), file(2)).unwrap();
    fs::rename(lab.path("aside"), file(3)).unwrap();
    let ran = lab.tamis(&format!("verify {LEDGER}"));
    assert_eq!(ran.code, Some(76), "{ran:?}");
    assert!(ran.err.contains("in-physics-0002.mcap was written as in-physics-0003.mcap"), "{ran:?}");
    assert!(!ran.err.contains("missing") && !ran.err.contains("429496"), "{ran:?}");
}

#[test]
fn of_a_killed_run_it_is_said_that_everything_is_there() {
    let lab = run();
    let text = fs::read_to_string(lab.path(LEDGER)).unwrap();
    let end = text.trim_end().rfind('\n').unwrap() + 1;
    let file = lab.path("out/in-physics-0001.mcap");
    let part = lab.path("out/in-physics-0001.mcap.part");
    // What a kill leaves, more of it in each turn: no final line, half a line, a file that was never closed.
    for (is_cut, is_unclosed) in [(false, false), (true, false), (true, true)] {
        fs::write(lab.path(LEDGER), &text[..if is_cut { end + 30 } else { end }]).unwrap();
        if is_unclosed {
            fs::rename(&file, &part).unwrap();
        }
        let ran = lab.tamis(&format!("verify {LEDGER}"));
        assert!(ran.code == Some(76) && ran.err.contains("there is no final line"), "{ran:?}");
        assert!(ran.err.contains("all that the ledger called stored is there: "), "{ran:?}");
        assert_eq!(ran.err.contains("the last line was not written to its end"), is_cut, "{ran:?}");
        assert_eq!(ran.err.contains("was never closed"), is_unclosed, "{ran:?}");
    }
    fs::remove_file(part).unwrap();
    let ran = lab.tamis(&format!("verify {LEDGER}"));
    assert!(ran.err.contains("were called stored") && !ran.err.contains("all that"), "{ran:?}");
}

#[test]
fn a_run_whose_storage_failed_has_what_was_written() {
    let lab = Lab::new();
    let mut frames = Frames::new();
    for k in 0..400 {
        frames.push(100 * k, &[200.0 + k as f32; 100]);
    }
    lab.write("in.tmf", frames.bytes);
    // In kibibytes: less than half of the file.
    let line = format!(
        "ulimit -f 400; {} replay in.tmf --menu menu.toml --out out --durable every=1ms",
        env!("CARGO_BIN_EXE_tamis")
    );
    let ran =
        std::process::Command::new("bash").args(["-c", &line]).current_dir(lab.path("")).output().unwrap();
    assert_eq!(ran.status.code(), Some(74), "{ran:?}");
    let ran = lab.tamis(&format!("verify {LEDGER}"));
    assert!(
        ran.code == Some(76) && ran.err.contains("in-physics-0001.mcap.part was never closed"),
        "{}",
        ran.err
    );
    assert_eq!(lab.tamis("recover out/in-physics-0001.mcap.part").code, Some(0));
    let ran = lab.tamis(&format!("verify {LEDGER}"));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}
