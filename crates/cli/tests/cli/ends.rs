//! Runs that somebody ends: signals and kills.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Lab, ran};

/// A run that lasts until somebody ends it, and has begun to store. Started by `launcher`.
fn endless(lab: &Lab, launcher: &[&str]) -> Child {
    lab.tamis("gen --schema schema.toml --events 200k --out g.tmf --frame-events 1000");
    // Everything is kept, incompressible enough to fill chunks.
    lab.write("menu.toml", crate::support::MENU.replace("x >= 100", "n < 32767 || n >= 32767"));
    let line = "replay g.tmf --menu menu.toml --out out --workers 1 --repeat 100000 --pace 200kHz --json";
    let tamis = lab.command(line.split(' '));
    let launcher = launcher.iter().map(OsStr::new);
    let mut words = launcher.chain([tamis.get_program()]).chain(tamis.get_args());
    let mut command = Command::new(words.next().unwrap());
    command.args(words).current_dir(tamis.get_current_dir().unwrap());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let part = lab.path("out/g-physics-0001.mcap.part");
    wait(|| std::fs::metadata(&part).is_ok_and(|meta| meta.len() > 200_000), &part);
    child
}

fn wait(ready: impl Fn() -> bool, what: &Path) {
    let begin = Instant::now();
    while !ready() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{} does not grow", what.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}

#[test]
fn a_signal_drains_the_run() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let lab = Lab::new();
        // Also where these tests run under nohup, which a run would heed.
        let child = endless(&lab, &["env", "--default-signal=HUP"]);
        send(&child, signal);
        let ran = ran(&child.wait_with_output().unwrap());
        assert!(ran.err.contains("tamis: stopping"), "{ran:?}");
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        let ledger = &document["ledger"];
        assert_eq!(
            (ran.code, &ledger["in_flight"], &document["problems"]),
            (Some(0), &0.into(), &Value::Array(vec![]))
        );
        assert_eq!(
            (&ledger["received"], &ledger["received"]),
            (&ledger["accepted"], &ledger["storage"]["stored"])
        );
        assert_eq!(lab.outputs(), ["g-physics-0001.mcap", "g.ledger.jsonl"], "closed in order");
        assert_eq!(lab.tamis("verify out/g-physics-0001.mcap").code, Some(0));
    }
}

#[test]
fn a_run_that_was_started_with_nohup_outlives_its_terminal() {
    let lab = Lab::new();
    let child = endless(&lab, &["sh", "-c", r#"trap "" HUP; exec "$0" "$@""#]);
    send(&child, Signal::HUP);
    let part = lab.path("out/g-physics-0001.mcap.part");
    let written = || std::fs::metadata(&part).unwrap().len();
    let before = written();
    wait(|| written() > before + 200_000, &part);
    send(&child, Signal::TERM);
    assert_eq!(ran(&child.wait_with_output().unwrap()).code, Some(0));
}

#[test]
fn what_a_killed_run_had_written_comes_back() {
    let lab = Lab::new();
    let mut child = endless(&lab, &[]);
    child.kill().unwrap();
    child.wait().unwrap();
    let part = "out/g-physics-0001.mcap.part";
    let info: Value = serde_json::from_str(&lab.tamis(&format!("info {part} --json")).out).unwrap();
    assert_eq!(info["complete"], false, "{info}");
    let recovered = lab.tamis(&format!("recover {part} --json"));
    assert_eq!(recovered.code, Some(0), "{recovered:?}");
    let recovered: Value = serde_json::from_str(&recovered.out).unwrap();
    let records = recovered["records"].as_u64().unwrap();
    assert!(records > 1000 && recovered["records"] == info["events"], "{recovered} {info}");
    // Every flushed chunk: an unbroken sequence from the first event on.
    let cat = lab.tamis("cat out/g-physics-0001.mcap --jsonl --fields n");
    let ids =
        cat.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].as_u64().unwrap());
    assert!(ids.eq(0..records));
    assert_eq!(lab.tamis("verify out/g-physics-0001.mcap").code, Some(0));
    assert!(lab.tamis(&format!("recover {part}")).refusal(74).contains("nothing is ever overwritten"));
}
