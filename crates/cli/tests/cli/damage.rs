//! Damaged recordings: every kind ends in its cause, the events around it are decided, and the code is 75.

use serde_json::{Value, json};

use crate::support::{Frames, Lab, MODEL_MENU};

/// Three frames of four events, the middle one at the place that is given to `damage`; each has one event that is accepted.
fn damaged(damage: impl FnOnce(&mut Frames, usize, usize)) -> (i32, Value) {
    let lab = Lab::new();
    let mut frames = Frames::new();
    frames.push(0, &[1.0, 200.0, 2.0, 3.0]);
    let at = frames.push(4, &[1.0, 200.0, 2.0, 3.0]);
    let end = frames.bytes.len();
    frames.push(8, &[1.0, 200.0, 2.0, 3.0]);
    damage(&mut frames, at, end);
    lab.write("in.tmf", &frames.bytes);
    let (code, document) = lab.replay("in.tmf", "");
    let ledger = &document["ledger"];
    let sum = |key: &str| ledger[key].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum::<u64>();
    let ended = ledger["accepted"].as_u64().unwrap() + ledger["rejected"].as_u64().unwrap();
    let ended = ended + sum("dropped") + sum("corrupt") + sum("errored");
    assert_eq!((&ledger["in_flight"], ledger["received"].as_u64()), (&0.into(), Some(ended)), "{ledger}");
    assert_eq!(ledger["accepted"], document["streams"][0]["events"], "what is accepted is stored");
    (code, document)
}

/// The middle frame is lost under `cause`: as `units` units, after which `missing` ids never arrived.
#[track_caller]
fn lost(cause: &str, units: u64, missing: i64, damage: impl FnOnce(&mut Frames, usize, usize)) {
    let (code, document) = damaged(damage);
    let ledger = &document["ledger"];
    let mut expected = ledger["corrupt"].clone();
    expected.as_object_mut().unwrap().values_mut().for_each(|n| *n = json!(0));
    expected[cause] = json!(units);
    assert_eq!(
        (code, &ledger["corrupt"], &ledger["missing"]),
        (75, &expected, &json!(missing)),
        "{document}"
    );
    assert_eq!(
        (&ledger["accepted"], &ledger["rejected"]),
        (&json!(2), &json!(6)),
        "the frames around it are decided"
    );
    let problems = document["problems"].as_array().unwrap();
    assert!(problems.len() == 1 && problems[0].as_str().unwrap().contains("corrupt"), "{problems:?}");
}

#[test]
fn every_kind_has_its_cause() {
    lost("magic", 1, 4, |frames, at, _| frames.bytes[at..at + 4].copy_from_slice(b"NOPE"));
    lost("version", 1, 4, |frames, at, _| frames.forge(at, 4, &1u16.to_le_bytes()));
    lost("header", 1, 4, |frames, at, _| frames.bytes[at + 20] ^= 1);
    lost("oversize", 1, 4, |frames, at, _| frames.forge(at, 48, &(1u32 << 31).to_le_bytes()));
    lost("length", 1, 4, |frames, at, _| frames.forge(at, 48, &0u32.to_le_bytes()));
    lost("length", 1, 4, |frames, at, _| frames.forge(at, 48, &23u32.to_le_bytes()));
    lost("length", 1, 4, |frames, at, _| frames.forge(at, 44, &7u32.to_le_bytes()));
    lost("zero", 1, 4, |frames, at, _| frames.forge(at, 40, &0u32.to_le_bytes()));
    lost("crc", 4, 4, |frames, at, _| frames.bytes[at + 70] ^= 1);
    lost("schema", 4, 4, |frames, at, _| frames.forge(at, 8, &7u64.to_le_bytes()));
    lost("torn", 4, 4, |frames, at, end| drop(frames.bytes.drain(at + 80..end)));
}

#[test]
fn a_cut_end_loses_the_last_frame_only() {
    let (code, document) = damaged(|frames, _, _| frames.bytes.truncate(frames.bytes.len() - 50));
    let ledger = &document["ledger"];
    assert_eq!(
        (code, &ledger["corrupt"]["torn"], &ledger["accepted"]),
        (75, &json!(4), &json!(2)),
        "{document}"
    );
}

#[test]
fn an_empty_frame_is_counted_and_costs_nothing_else() {
    let (code, document) = damaged(|frames, at, end| {
        let copy = frames.bytes[at..end].to_vec();
        frames.bytes.splice(at..at, copy);
        frames.forge(at, 40, &0u32.to_le_bytes());
        frames.forge(at, 48, &0u32.to_le_bytes());
    });
    let ledger = &document["ledger"];
    assert_eq!(
        (code, &ledger["corrupt"]["zero"], &ledger["accepted"]),
        (75, &json!(1), &json!(3)),
        "{document}"
    );
}

#[test]
fn a_frame_that_comes_twice_is_decided_once() {
    let (code, document) = damaged(|frames, at, end| {
        let copy = frames.bytes[at..end].to_vec();
        frames.bytes.splice(at..at, copy);
    });
    let ledger = &document["ledger"];
    let found = (&ledger["corrupt"]["dup"], &ledger["accepted"], &ledger["missing"]);
    assert_eq!((code, found), (75, (&json!(4), &json!(3), &json!(0))), "{document}");
}

#[test]
fn a_gap_is_missing_and_nothing_is_corrupt() {
    let (code, document) = damaged(|frames, at, end| drop(frames.bytes.drain(at..end)));
    let ledger = &document["ledger"];
    let found = (&ledger["missing"], &ledger["received"], &ledger["accepted"]);
    assert_eq!((code, found), (75, (&json!(4), &json!(8), &json!(2))), "{document}");
    assert!(document["problems"][0].as_str().unwrap().contains("4 missing"));
}

#[test]
fn an_intact_recording_has_no_problem() {
    let (code, document) = damaged(|_, _, _| ());
    assert_eq!((code, &document["ledger"]["accepted"], &document["problems"]), (0, &json!(3), &json!([])));
}

#[test]
fn a_score_that_is_no_number_goes_to_the_error_stream() {
    let lab = Lab::new();
    lab.write("menu.toml", MODEL_MENU);
    lab.model("twice", "x", 2.0);
    let mut frames = Frames::new();
    frames.push(0, &[1.0, f32::NAN, 200.0, f32::INFINITY, 3.0]);
    lab.write("in.tmf", &frames.bytes);
    let (code, document) = lab.replay("in.tmf", "");
    let ledger = &document["ledger"];
    assert_eq!((code, &ledger["errored"]["not_finite"]), (75, &json!(2)), "{document}");
    assert_eq!((&ledger["accepted"], &ledger["rejected"]), (&json!(1), &json!(2)));
    let error = &document["streams"][1];
    assert_eq!((&error["name"], &error["events"]), (&json!("error"), &json!(2)));
    // What is needed to reproduce it is there.
    let ran = lab.tamis(&format!("cat {} --jsonl", error["files"][0].as_str().unwrap()));
    let ids: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone()).collect();
    assert_eq!((ran.code, ids), (Some(0), vec![json!(1), json!(3)]));
    let verified = lab.tamis(&format!("verify {}", error["files"][0].as_str().unwrap()));
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

#[test]
fn whoever_reads_a_damaged_recording_says_so() {
    let lab = Lab::new();
    let mut frames = Frames::new();
    frames.push(0, &[1.0, 200.0]);
    let at = frames.push(2, &[1.0, 200.0]);
    frames.push(4, &[1.0, 200.0]);
    frames.push(4, &[1.0, 200.0]);
    frames.push(10, &[1.0]);
    lab.write("good.tmf", &frames.bytes);
    frames.bytes[at + 70] ^= 1;
    lab.write("bad.tmf", &frames.bytes);
    let told = "bad.tmf: 1 damaged frame or stretch of bytes could not be read: 1 crc";
    for line in ["cat FILE", "cat FILE --jsonl", "cat FILE --json --limit 4", "info FILE", "info FILE --json"]
    {
        let good = lab.tamis(&line.replace("FILE", "good.tmf"));
        assert_eq!((good.code, good.err.as_str()), (Some(0), ""), "{line}");
        let bad = lab.tamis(&line.replace("FILE", "bad.tmf"));
        assert!(bad.code == Some(75) && bad.err.contains(told), "{line}: {bad:?}");
    }
    let bad = lab.tamis("cat bad.tmf --limit 2");
    assert_eq!((bad.code, bad.err.as_str()), (Some(0), ""), "nobody came to the damage");
    let info: Value = serde_json::from_str(&lab.tamis("info good.tmf --json").out).unwrap();
    assert_eq!((&info["corrupt"]["dup"], &info["missing"]), (&json!(2), &json!(4)));
}

/// One bit in the first bytes of a file does not make it another kind of file, and costs no more than one elsewhere.
#[test]
fn damage_in_the_first_bytes_is_damage() {
    let lab = Lab::new();
    let mut frames = Frames::new();
    let of_schema = frames.bytes.clone();
    frames.push(0, &[1.0, 200.0]);
    // The schema comes twice, as where recordings are put together.
    let whole = [&of_schema[..], &frames.bytes].concat();
    lab.write("whole.tmf", &whole);
    assert_eq!(lab.tamis("replay whole.tmf --menu menu.toml --out out").code, Some(0));
    for (name, whole) in
        [("in.tmf", whole), ("in.mcap", std::fs::read(lab.path("out/whole-physics-0001.mcap")).unwrap())]
    {
        for at in [0, 1, 3, 5, 9, 70] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            lab.write(name, bytes);
            let ran = lab.tamis(&format!("verify {name}"));
            assert_eq!(ran.code, Some(76), "byte {at}: {ran:?}");
            let ran = lab.tamis(&format!("cat {name} --jsonl"));
            let events = if name == "in.tmf" { 2 } else { 1 };
            assert_eq!(ran.out.lines().count(), events, "byte {at}: {ran:?}");
        }
    }
    let mut bytes = [&of_schema[..], &frames.bytes].concat();
    bytes[70] ^= 1;
    lab.write("in.tmf", bytes);
    let (code, document) = lab.replay("in.tmf", "");
    assert_eq!((code, &document["ledger"]["received"]), (75, &json!(3)), "{document}");
    assert_eq!(document["ledger"]["corrupt"]["crc"], 1);
    // No schema at all.
    let mut bytes = frames.bytes.clone();
    bytes[9] ^= 1;
    lab.write("in.tmf", bytes);
    assert_eq!(lab.tamis("verify in.tmf").code, Some(76));
    assert!(
        lab.tamis("replay in.tmf --menu menu.toml --out out").refusal(65).contains("no good schema frame")
    );
}

#[test]
fn a_file_that_lost_its_end_is_told_of_and_one_that_has_none_yet_is_not() {
    let lab = Lab::new();
    let mut frames = Frames::new();
    for k in 0..200 {
        frames.push(100 * k, &[200.0 + k as f32; 100]);
    }
    lab.write("in.tmf", &frames.bytes);
    assert_eq!(lab.replay("in.tmf", "--durable every=1ms").0, 0);
    let whole = std::fs::read(lab.path("out/in-physics-0001.mcap")).unwrap();
    let lines = ["cat FILE --jsonl", "info FILE", "info FILE --json"];
    // In the last bytes, in the summary, in the middle, in the only chunk.
    for cut in [whole.len() - 3, whole.len() - 60, whole.len() / 2, whole.len() / 5] {
        lab.write("cut.mcap", &whole[..cut]);
        lab.write("cut.mcap.part", &whole[..cut]);
        for line in lines {
            let closed = lab.tamis(&line.replace("FILE", "cut.mcap"));
            assert!(
                closed.err.contains("cut.mcap: its end is lost, from byte"),
                "{cut}, {line}: {}",
                closed.err
            );
            // Where the counts of the summary are left, it is known that all events are there.
            let is_all =
                cut > whole.len() / 2 && lab.tamis("cat cut.mcap --jsonl").out.lines().count() == 20_000;
            assert!(
                closed.code == Some(75) || (closed.code == Some(0) && is_all),
                "{cut}, {line}: {}",
                closed.err
            );
            let part = lab.tamis(&line.replace("FILE", "cut.mcap.part"));
            assert_eq!((part.code, part.err.as_str()), (Some(0), ""), "{cut}, {line}");
        }
    }
}

#[test]
fn infinities_and_what_is_no_number_stay_apart_in_json() {
    let lab = Lab::new();
    let mut frames = Frames::new();
    frames.push(0, &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 54.7055]);
    lab.write("in.tmf", &frames.bytes);
    let ran = lab.tamis("cat in.tmf --jsonl");
    let x =
        ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"]["x"][0].clone());
    assert_eq!(x.collect::<Vec<_>>(), [json!("nan"), json!("inf"), json!("-inf"), json!(54.7055)]);
    let table = lab.tamis("cat in.tmf").out;
    assert!(["NaN", "inf", "-inf", "54.7055"].iter().all(|x| table.contains(x)), "{table}");
}
