//! Files that were damaged after a run, and runs that are not complete.

use std::fs;

use serde_json::{Value, json};
use tamis_event::FrameMeta;

use crate::support::{Frames, Lab, MODEL_MENU, Ran, sealed};

const EVENTS: u64 = 60;

/// A run of a menu with a model: three segments, 20 events of each accepted, a file for every 25 records or so.
fn run_with_model(rotate: &str) -> Lab {
    let lab = Lab::new();
    lab.write("menu.toml", MODEL_MENU);
    lab.model("twice", "x", 2.0);
    let mut frames = Frames::new();
    for k in 0..EVENTS {
        frames.push(2 * k, &[1.0, 200.0 + k as f32]);
    }
    lab.write("in.tmf", frames.bytes);
    let (code, document) = lab.replay("in.tmf", rotate);
    assert_eq!((code, &document["ledger"]["accepted"]), (0, &json!(EVENTS)));
    lab
}

/// What somebody does to a run.
type Harm<'a> = &'a dyn Fn(&Lab);

const FILE: &str = "out/in-physics-0001.mcap";

/// Changes the byte at the end of the first place where `text` stands in the file.
fn damage(lab: &Lab, text: &[u8]) {
    damage_again(lab, text, 0);
}

/// The same behind so many others.
fn damage_again(lab: &Lab, text: &[u8], others: usize) {
    let mut bytes = fs::read(lab.path(FILE)).unwrap();
    let places = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(text));
    let at = places.clone().nth(others).unwrap() + text.len() - 1;
    bytes[at] ^= 1;
    fs::write(lab.path(FILE), bytes).unwrap();
}

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[test]
fn a_damaged_model_hides_nothing_but_the_decisions() {
    let lab = run_with_model("");
    let before = lab.tamis(&format!("cat {FILE} --jsonl"));
    damage(&lab, b"architecture");
    let cat = lab.tamis(&format!("cat {FILE} --jsonl"));
    assert_eq!((cat.code, cat.out.lines().count()), (Some(75), EVENTS as usize), "{cat:?}");
    let named = |out: &str| out.replace("score[0]", "twice.score");
    assert_eq!(named(&cat.out), before.out);
    assert!(cat.err.contains("attachment") && cat.err.contains("model-twice.tar is lost"), "{}", cat.err);
    let info = lab.tamis(&format!("info {FILE} --json"));
    let document = json_of(&info);
    assert_eq!((info.code, &document["events"], &document["lost"]), (Some(75), &json!(EVENTS), &json!(0)));
    assert_eq!((&document["lines"], &document["models"]), (&json!({"high": EVENTS}), &json!(["twice"])));
    let recovered = lab.tamis(&format!("recover {FILE} --out new.mcap --json"));
    assert_eq!(
        (recovered.code, &json_of(&recovered)["records"]),
        (Some(75), &json!(EVENTS)),
        "{recovered:?}"
    );
    assert_eq!(lab.tamis("cat new.mcap --jsonl").out.lines().count(), EVENTS as usize);
    let verified = lab.tamis(&format!("verify {FILE} --json"));
    let found = &json_of(&verified)["files"][0];
    assert_eq!(
        (verified.code, &found["events"], &found["unchecked"]),
        (Some(76), &json!(EVENTS), &json!(EVENTS))
    );
}

#[test]
fn a_damaged_menu_or_schema_hides_no_event() {
    let lab = run_with_model("");
    damage(&lab, b"[[line]]");
    let cat = lab.tamis(&format!("cat {FILE} --jsonl"));
    assert_eq!((cat.code, cat.out.lines().count()), (Some(75), EVENTS as usize), "{cat:?}");
    assert!(cat.out.contains("line[0]") && cat.err.contains("menu.toml"), "{cat:?}");
    let info = json_of(&lab.tamis(&format!("info {FILE} --json")));
    assert_eq!((&info["lines"], &info["menu"]), (&json!({"line[0]": EVENTS}), &json!("scored")));

    let lab = run_with_model("");
    let before = lab.tamis(&format!("cat {FILE} --jsonl")).out;
    damage(&lab, b"dtype");
    let cat = lab.tamis(&format!("cat {FILE} --jsonl"));
    assert_eq!((cat.code, cat.out), (Some(75), before), "the schema stands in the file twice");
}

#[test]
fn a_lost_chunk_is_told_by_everyone() {
    let lab = run_with_model("");
    // The first chunk holds the schema and no event.
    damage_again(&lab, b"\x04\0\0\0zstd", 1);
    for line in ["cat FILE --jsonl", "info FILE", "info FILE --json", "recover FILE --out new.mcap"] {
        let ran = lab.tamis(&line.replace("FILE", FILE));
        let exit = if line.starts_with("recover") { 65 } else { 75 };
        assert_eq!(ran.code, Some(exit), "{line}: {ran:?}");
        assert!(
            exit == 65 || ran.err.contains(&format!("{EVENTS} of {EVENTS} events are lost")),
            "{line}: {ran:?}"
        );
    }
}

#[test]
fn a_complete_run_is_good_and_anything_that_is_missing_is_named() {
    let verify = |lab: &Lab| {
        let ran = lab.tamis("verify out/in.ledger.jsonl");
        assert_eq!(ran.out.contains("BAD"), ran.code == Some(76), "{ran:?}");
        (ran.code.unwrap(), ran.err)
    };
    let rotate = "--rotate 2kB";
    let good = run_with_model(rotate);
    let files: Vec<String> = good.outputs().into_iter().filter(|name| name.ends_with(".mcap")).collect();
    assert!(files.len() > 3, "{files:?}");
    assert_eq!(verify(&good), (0, String::new()));
    let moved = good.path("elsewhere");
    fs::rename(good.path("out"), &moved).unwrap();
    assert_eq!(good.tamis("verify elsewhere/in.ledger.jsonl").code, Some(0), "a run moves with its folder");
    let all: Vec<String> = fs::read_dir(good.path("elsewhere"))
        .unwrap()
        .map(|entry| format!("elsewhere/{}", entry.unwrap().file_name().display()))
        .collect();
    let ran = good.tamis(&format!("verify {} --json", all.join(" ")));
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        document["files"].as_array().unwrap().len(),
        all.len(),
        "each file once, in whatever order: {ran:?}"
    );

    let remove = |lab: &Lab, file: &str| fs::remove_file(lab.path("out").join(file)).unwrap();
    let cases: [(&str, Harm<'_>); 7] = [
        ("in-physics-0002.mcap is missing", &|lab| remove(lab, "in-physics-0002.mcap")),
        ("are missing before number", &|lab| remove(lab, "in-physics-0002.mcap")),
        ("of 60 events are there", &|lab| remove(lab, files.last().unwrap())),
        ("in-physics-0099.mcap is not in the ledger", &|lab| {
            fs::copy(lab.path(FILE), lab.path("out/in-physics-0099.mcap")).unwrap();
        }),
        ("there is no final line", &|lab| {
            let path = lab.path("out/in.ledger.jsonl");
            let text = fs::read_to_string(&path).unwrap();
            let end = text.trim_end().rfind('\n').unwrap() + 1;
            fs::write(path, &text[..end]).unwrap();
        }),
        ("accepted: the segments have", &|lab| {
            let path = lab.path("out/in.ledger.jsonl");
            let text = fs::read_to_string(&path).unwrap();
            let begin = text.find('\n').unwrap() + 1;
            fs::write(path, &text[begin..]).unwrap();
        }),
        ("chunk CRC", &|lab| {
            let mut bytes = fs::read(lab.path("out/in-physics-0003.mcap")).unwrap();
            let at = bytes.windows(8).position(|window| window == b"\x04\0\0\0zstd").unwrap() + 60;
            bytes[at] ^= 1;
            fs::write(lab.path("out/in-physics-0003.mcap"), bytes).unwrap();
        }),
    ];
    for (what, harm) in cases {
        let lab = run_with_model(rotate);
        harm(&lab);
        let (code, err) = verify(&lab);
        assert!(
            code == 76 && (err.contains(what) || (what == "chunk CRC" && err.contains("chunk"))),
            "{what}: {code} {err}"
        );
    }
}

#[test]
fn many_small_segments_share_lines_and_what_is_missing_is_still_found() {
    let lab = Lab::new();
    let mut frames = Frames::new();
    let segments = 4000;
    for segment in 0..segments {
        let meta = FrameMeta { run: 1, segment, first_event_id: segment.into(), ..FrameMeta::default() };
        frames.push_of(meta, &[if segment % 2 == 0 { 200.0 } else { 1.0 }]);
    }
    let received = frames.bytes.len() as u64;
    lab.write("in.tmf", frames.bytes);
    let (code, document) = lab.replay("in.tmf", "--durable never");
    let ledger = lab.path("out/in.ledger.jsonl");
    let text = fs::read_to_string(&ledger).unwrap();
    let room = (1 << 20) + received / 16;
    assert!((room..room + 10_000).contains(&(text.len() as u64)), "{} bytes, room for {room}", text.len());
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, lines) = lines.split_last().unwrap();
    let sum = |of: &dyn Fn(&Value) -> &Value| lines.iter().filter_map(|line| of(line).as_u64()).sum::<u64>();
    let found = (
        sum(&|line| &line["ledger"]["received"]),
        sum(&|line| &line["ledger"]["accepted"]),
        sum(&|line| &line["ledger"]["rejected"]),
        sum(&|line| &line["ledger"]["frames"]["bytes"]),
        sum(&|line| &line["lines"][0]["kept"]),
        sum(&|line| &line["streams"][0]["events"]),
    );
    assert_eq!((code, found), (0, (4000, 2000, 2000, received, 2000, 2000)));
    assert_eq!(last["ledger"], document["ledger"]);
    let alone = lines.iter().filter(|line| line["segment"].is_u64()).count() as u64;
    assert_eq!(alone + sum(&|line| &line["segments"]), u64::from(segments), "no segment counts twice");
    assert!(alone > 1000, "{alone}");

    let verify = || lab.tamis("verify out/in.ledger.jsonl");
    assert_eq!(verify().code, Some(0), "{:?}", verify());
    // One event more in a line that several segments share: not in the files, and not in the run.
    let shared =
        text.lines().rfind(|line| line.contains("\"from\":{") && line.contains("\"streams\":[{")).unwrap();
    let events = |n: u64| format!("\"streams\":[{{\"name\":\"physics\",\"events\":{n},");
    let n = serde_json::from_str::<Value>(shared).unwrap()["streams"][0]["events"].as_u64().unwrap();
    let one_more = serde_json::from_str(&shared.replace(&events(n), &events(n + 1))).unwrap();
    fs::write(&ledger, text.replace(&format!("{shared}\n"), &sealed(&one_more))).unwrap();
    let ran = verify();
    let told = [
        "the segments have 2001, the run has 2000",
        &format!("{n} events are there, the ledger has {}", n + 1),
    ];
    assert!(ran.code == Some(76) && told.iter().all(|told| ran.err.contains(told)), "{ran:?}");
}
