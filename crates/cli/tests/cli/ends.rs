//! Runs that somebody ends: signals and kills.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Lab, Ran, ran};

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
    let (stored, durable, segments) = ledger(&lab);
    assert!(
        segments <= stored && durable <= stored && stored <= records,
        "{segments} {durable} {stored} {records}"
    );
    assert!(records > 1000 && recovered["records"] == info["events"], "{recovered} {info}");
    // Every flushed chunk: an unbroken sequence from the first event on.
    let cat = lab.tamis("cat out/g-physics-0001.mcap --jsonl --fields n");
    let ids =
        cat.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].as_u64().unwrap());
    assert!(ids.eq(0..records));
    assert_eq!(lab.tamis("verify out/g-physics-0001.mcap").code, Some(0));
    assert!(lab.tamis(&format!("recover {part}")).refusal(64).contains("nothing is ever overwritten"));
}

/// `ulimit -f` counts blocks of 512 or 1024 bytes, whatever the shell; either is far less than what is stored.
#[test]
fn a_limit_on_file_sizes_is_a_failure_of_storage() {
    let lab = Lab::new();
    lab.tamis("gen --schema schema.toml --events 200k --out g.tmf --frame-events 1000");
    lab.write("menu.toml", crate::support::MENU.replace("x >= 100", "n < 32767 || n >= 32767"));
    let tamis = lab.command("replay g.tmf --menu menu.toml --out out --json".split(' '));
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -f 64; exec "$0" "$@""#]).arg(tamis.get_program()).args(tamis.get_args());
    let ran = ran(&command.current_dir(tamis.get_current_dir().unwrap()).output().unwrap());
    assert_eq!(ran.code, Some(74), "{ran:?}");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["ledger"]["in_flight"], 0);
    assert!(ran.err.contains("File too large"), "{ran:?}");
}

/// A paced run over a file that somebody cuts, or writes into, meanwhile: a report that says so, with every event of the bytes that were read.
#[test]
fn a_recording_that_changes_while_it_is_replayed_is_an_error_with_a_report() {
    use std::io::{Seek, SeekFrom, Write};
    for (change, stops) in [("cut", false), ("written", true)] {
        let lab = Lab::new();
        lab.tamis("gen --schema schema.toml --events 20k --out g.tmf --frame-events 100");
        lab.write("menu.toml", crate::support::MENU.replace("x >= 100", "n < 32767 || n >= 32767"));
        let pace = if stops { "2kHz" } else { "20kHz" };
        let line = format!("replay g.tmf --menu menu.toml --out out --pace {pace} --json");
        let mut command = lab.command(line.split(' '));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let part = lab.path("out/g-physics-0001.mcap.part");
        wait(|| part.exists(), &part);
        std::thread::sleep(Duration::from_millis(50));
        let mut file = std::fs::File::options().write(true).open(lab.path("g.tmf")).unwrap();
        if stops {
            file.seek(SeekFrom::End(-30)).unwrap();
            file.write_all(&[0xee; 20]).unwrap();
            send(&child, Signal::TERM);
        } else {
            file.set_len(4096).unwrap();
        }
        let ran = ran(&child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(65), "{change}: {ran:?}");
        assert!(ran.err.contains("g.tmf: was changed while it was read"), "{change}: {ran:?}");
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        let ledger = &document["ledger"];
        assert_eq!((&ledger["received"], &ledger["in_flight"]), (&ledger["accepted"], &0.into()), "{change}");
        assert!(stops || ledger["received"] == 20_000, "{change}: {ledger}");
        assert_eq!(lab.tamis("verify out/g-physics-0001.mcap").code, Some(0));
    }
}

/// Between the end of a pass that is torn and the next one, whenever the signal comes.
#[test]
fn a_signal_ends_a_torn_recording_that_is_played_for_ever() {
    let lab = Lab::new();
    lab.tamis("gen --schema schema.toml --events 40 --out g.tmf --frame-events 20");
    let bytes = std::fs::read(lab.path("g.tmf")).unwrap();
    std::fs::write(lab.path("torn.tmf"), &bytes[..bytes.len() - 40]).unwrap();
    for ms in 0..8 {
        let line = format!("replay torn.tmf --menu menu.toml --out out{ms} --repeat 1000000000 --batch 64");
        let child = lab.command(line.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let ledger = lab.path(&format!("out{ms}/torn.ledger.jsonl"));
        wait(|| ledger.exists(), &ledger);
        std::thread::sleep(Duration::from_millis(ms));
        send(&child, Signal::TERM);
        let mut child = child;
        let begin = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begin.elapsed() > Duration::from_secs(60) {
                child.kill().unwrap();
                panic!("stopped after {ms} ms, the run does not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What a command says that gets `bytes` and gives its output through pipes that were told not to wait, as whoever shares them may have done.
fn through_impatient_pipes(lab: &Lab, line: &str, bytes: &[u8]) -> Ran {
    use std::io::{Read, Write};
    let (reader, mut writer) = std::io::pipe().unwrap();
    let (mut results, out) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).unwrap();
    rustix::fs::fcntl_setfl(&out, rustix::fs::OFlags::NONBLOCK).unwrap();
    let mut command = lab.command(line.split(' '));
    let child = command.stdin(reader).stdout(out).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    for part in bytes.chunks(1 + bytes.len() / 5) {
        std::thread::sleep(Duration::from_millis(20));
        writer.write_all(part).unwrap();
    }
    drop(writer);
    // The pipe is full before anybody reads it.
    std::thread::sleep(Duration::from_millis(100));
    let mut text = String::new();
    results.read_to_string(&mut text).unwrap();
    Ran { out: text, ..ran(&child.wait_with_output().unwrap()) }
}

#[test]
fn standard_streams_that_do_not_wait_are_read_and_written_to_their_end() {
    let lab = Lab::new();
    lab.tamis("gen --schema schema.toml --events 2000 --out g.tmf --frame-events 100");
    let bytes = std::fs::read(lab.path("g.tmf")).unwrap();
    let ran = through_impatient_pipes(&lab, "replay - --menu menu.toml --out out --json", &bytes);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &document["ledger"]["received"]), (Some(0), &2000.into()), "{ran:?}");
    let table: String = (0..2000).map(|k| format!("{k},1\n")).collect();
    let line = "convert - --schema schema.toml --out t.tmf --json";
    let ran = through_impatient_pipes(&lab, line, format!("x,n\n{table}").as_bytes());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // More than a pipe holds.
    let ran = through_impatient_pipes(&lab, "cat t.tmf --jsonl", &[]);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 2000));
    assert!(ran.out.len() > 100_000, "{} bytes", ran.out.len());
}

#[test]
fn too_few_open_files_are_a_refusal_of_the_system() {
    let lab = Lab::new();
    lab.tamis("gen --schema schema.toml --events 20 --out g.tmf");
    let tamis = lab.command("info g.tmf".split(' '));
    let mut command = Command::new("sh");
    // Numbers 0 to 3 are allowed; whoever runs the tests may have left 3 open.
    command
        .args(["-c", r#"exec 3>&-; ulimit -n 4; exec "$0" "$@""#])
        .arg(tamis.get_program())
        .args(tamis.get_args());
    let ran = ran(&command.current_dir(tamis.get_current_dir().unwrap()).output().unwrap());
    assert_eq!(ran.code, Some(71), "{ran:?}");
}

/// What the ledger of a killed run says: most stored, most durable, events in the lines of segments.
fn ledger(lab: &Lab) -> (u64, u64, u64) {
    let text = std::fs::read_to_string(lab.path("out/g.ledger.jsonl")).unwrap();
    let mut stored = 0;
    let mut durable = 0;
    let mut segments = 0;
    for line in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let streams = line["streams"].as_array().or(line["storage"].as_array()).unwrap();
        for stream in streams.iter().filter(|stream| stream["name"] == "physics") {
            stored = stored.max(stream["stored"].as_u64().unwrap());
            durable = durable.max(stream["durable"].as_u64().unwrap());
            segments += stream["events"].as_u64().unwrap_or(0);
        }
    }
    (stored, durable, segments)
}

#[test]
fn a_file_that_a_run_still_writes_is_not_recovered() {
    let lab = Lab::new();
    let child = endless(&lab, &[]);
    let refused = lab.tamis("recover out/g-physics-0001.mcap.part");
    assert!(refused.refusal(65).contains("a run is still writing this file"), "{refused:?}");
    send(&child, Signal::TERM);
    assert_eq!(ran(&child.wait_with_output().unwrap()).code, Some(0), "the run was not disturbed");
    assert_eq!(lab.outputs(), ["g-physics-0001.mcap", "g.ledger.jsonl"]);
}

#[test]
fn what_is_interrupted_leaves_no_unfinished_file() {
    use std::io::Write as _;
    let lab = Lab::new();
    let part = lab.path("big.tmf.part");
    let grows = || std::fs::metadata(&part).is_ok_and(|meta| meta.len() > 200_000);
    let generate = "gen --schema schema.toml --events 4G --out big.tmf --frame-events 1000";
    let convert = "convert - --schema schema.toml --out big.tmf";
    for (line, signal) in [(generate, Signal::INT), (generate, Signal::TERM), (convert, Signal::INT)] {
        let mut command = lab.command(line.split(' '));
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut table = child.stdin.take().unwrap();
        if line == convert {
            let rows: String = (0..300_000).map(|k| format!("{k},1\n")).collect();
            table.write_all(format!("x,n\n{rows}").as_bytes()).unwrap();
        }
        wait(grows, &part);
        send(&child, signal);
        let ran = ran(&child.wait_with_output().unwrap());
        assert_eq!(
            (ran.code, crate::support::names(&lab.path(""))),
            (None, vec!["menu.toml".into(), "schema.toml".into()])
        );
        assert_eq!(ran.err, "tamis: interrupted: ./big.tmf.part was unfinished and is removed\n");
    }
}

#[test]
fn a_file_that_is_taken_away_from_a_run_ends_it() {
    let lab = Lab::new();
    let child = endless(&lab, &[]);
    std::fs::remove_file(lab.path("out/g-physics-0001.mcap.part")).unwrap();
    let ran = ran(&child.wait_with_output().unwrap());
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, document["exit"].as_u64()), (Some(74), Some(74)), "{document}");
    assert!(ran.err.contains("was removed or renamed while it was written"), "{}", ran.err);
    let (storage, stream) = (&document["ledger"]["storage"], &document["streams"][0]);
    assert_eq!(
        (&storage["stored"], &storage["failed"]),
        (&0.into(), &document["ledger"]["accepted"]),
        "{storage}"
    );
    assert_eq!(
        (&stream["events"], &stream["durable"], &stream["files"]),
        (&0.into(), &0.into(), &Value::Array(vec![]))
    );
}

#[test]
fn a_folder_that_is_moved_is_noticed_and_its_files_are_found() {
    let lab = Lab::new();
    let child = endless(&lab, &[]);
    std::fs::rename(lab.path("out"), lab.path("moved")).unwrap();
    send(&child, Signal::TERM);
    let ran = ran(&child.wait_with_output().unwrap());
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(ran.code, Some(74), "{document}");
    assert!(ran.err.contains("moved to"), "{}", ran.err);
    let file = document["streams"][0]["files"][0].as_str().unwrap();
    assert!(Path::new(file).exists() && file.ends_with("moved/g-physics-0001.mcap"), "{file}");
    assert_eq!(document["ledger"]["storage"]["stored"], document["ledger"]["accepted"]);
}

#[test]
fn any_input_has_a_name_for_its_files() {
    let lab = Lab::new();
    let mut frames = crate::support::Frames::new();
    frames.push(0, &[200.0]);
    for (input, name) in
        [("my run", "my-run"), ("l\u{e4}uf", "l-uf"), ("16:00", "16-00"), ("a\nb", "a-b"), (".x", "x")]
    {
        lab.write(&format!("{input}.tmf"), &frames.bytes);
        let mut words = vec!["replay".to_string(), format!("{input}.tmf")];
        words.extend("--menu menu.toml --out out".split(' ').map(String::from));
        let ran = ran(&lab.command(&words).output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(lab.outputs().contains(&format!("{name}-physics-0001.mcap")), "{:?}", lab.outputs());
        words.extend(["--name".into(), input.into()]);
        let refused = crate::support::ran(&lab.command(&words).output().unwrap());
        let sentence = refused.refusal(64);
        assert!(sentence.starts_with("--name: ") && sentence.lines().count() == 1, "{sentence}");
    }
}
