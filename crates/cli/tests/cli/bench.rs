//! `tamis bench`: what it prints, what it keeps, what it compares, and what it refuses. The figures of such short runs mean nothing.

use serde_json::{Value, json};

use crate::support::{Frames, Lab, MODEL_MENU, Ran};

/// A recording and a menu with a model.
fn lab() -> Lab {
    let lab = Lab::new();
    let mut frames = Frames::new();
    let values: Vec<f32> = (0..64).map(|k| k as f32 * 3.0).collect();
    (0..20).for_each(|frame| _ = frames.push(frame * 64, &values));
    lab.write("in.tmf", frames.bytes);
    lab.write("scored.toml", MODEL_MENU);
    lab.model("twice", "x", 2.0);
    lab
}

const SHORT: &str = "bench in.tmf --menu scored.toml --time 5ms --runs 2 --workers 1 --sources 1";

fn document(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

fn row<'a>(document: &'a Value, section: &str, name: &str) -> &'a Value {
    let rows = document["rows"].as_array().unwrap();
    let found = rows.iter().find(|row| row["section"] == section && row["name"] == name);
    found.unwrap_or_else(|| panic!("no {section}: {name} in {rows:#?}"))
}

#[test]
fn one_run_gives_all() {
    let lab = lab();
    let document = document(&lab.tamis(&format!("{SHORT} --json --save kept.json --device fused")));
    assert_eq!(
        (&document["bench"], &document["schema"], &document["runs"]),
        (&json!(3), &json!(7), &json!(2))
    );
    assert_eq!(
        (&document["conditions"]["menu"], &document["conditions"]["device"]),
        (&json!("scored"), &json!("fused"))
    );
    for probe in ["multiply-add f32", "memory copy", "memory read", "CRC32C", "zstd of the events"] {
        assert!(row(&document, "probes", probe)["median"].as_f64().unwrap() > 1e6, "{probe}");
    }
    for stage in
        ["frames and checksums", "model twice", "verdict", "record, per kept event", "store, per kept event"]
    {
        let row = row(&document, "stages", stage);
        assert!(row["median"].as_f64().unwrap() > 0.0 && row["runs"].as_array().unwrap().len() == 2, "{row}");
        let limit = &row["limit"];
        assert!(limit["value"].as_f64().unwrap() > 0.0 && limit["reached"].as_f64().unwrap() > 0.0, "{row}");
    }
    let speed = row(&document, "speed", "1 source, 1 worker");
    let (min, median) = (speed["min"].as_f64().unwrap(), speed["median"].as_f64().unwrap());
    assert!(min > 0.0 && min <= median && speed["event_bytes"] == 6, "{speed}");
    let rows = document["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["section"] != "sizes"), "sizes are for events that are made");
    // On a machine that is busy no rate may be sustained for such a short time; that is then said.
    let loads = document["loads"].as_array().unwrap();
    let told = document["remarks"].to_string().contains("no rate was sustained");
    assert!(loads.len() == 12 || loads.is_empty() && told, "{document:#}");
    for load in loads {
        let quantile = |word: &str| load["decision"][word]["median"].as_f64().unwrap();
        assert!(0.0 < quantile("p50") && quantile("p50") <= quantile("max"), "{load:#}");
        assert!(load["wake_up_late"]["max"]["median"].as_f64().unwrap() > 0.0, "{load:#}");
    }
    // What was kept compares with itself: nothing moved.
    let same = lab.tamis("bench --compare kept.json --with kept.json");
    assert_eq!((same.code, same.err.as_str()), (Some(0), ""), "{same:?}");
    assert!(same.out.contains("0 of "), "{same:?}");
    // Two runs say nothing, and a gate that cannot fail is none.
    let gated = lab.tamis("bench --compare kept.json --with kept.json --gate 0");
    assert!(gated.code == Some(76) && gated.err.contains("it needs 5 runs of each"), "{gated:?}");
}

#[test]
fn without_an_input_events_menu_and_model_are_made() {
    let lab = Lab::new();
    let ran =
        lab.tamis("bench --events 500 --runs 1 --time 5ms --workers 1,2 --sources 1,3 --only speed,sizes");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    for words in [
        "1 source, 1 worker",
        "3 sources, 2 workers",
        "events of 114 bytes",
        "114 B, 1 in 100000 accepted",
        "504 B, all accepted",
        "4 KiB, 1 in 1000 accepted",
        "64 KiB",
        "1 MiB, all accepted",
        "with fewer than 5 runs",
    ] {
        assert!(ran.out.to_lowercase().contains(&words.to_lowercase()), "'{words}' is not in:\n{}", ran.out);
    }
    assert!(!ran.out.contains("Machine, one core or all"), "{}", ran.out);
}

#[test]
fn sizes_of_events_are_those_that_were_asked_for() {
    let lab = Lab::new();
    let line = "bench --events 20 --runs 1 --time 5ms --workers 1 --json --sizes";
    let document = document(&lab.tamis(&format!("{line} 114B,2B+3KiB,114B")));
    let rows = document["rows"].as_array().unwrap();
    let sizes: Vec<_> = rows.iter().filter(|row| row["section"] == "sizes").collect();
    assert_eq!(sizes.len(), 9, "six shares of the smallest and three of the other: {document:#}");
    let large = row(&document, "sizes", "2 B + 3 KiB, all accepted");
    assert_eq!((&large["event_bytes"], large["limit"]["value"].is_number()), (&json!(3074), true), "{large}");
    assert!(row(&document, "probes", "file write and sync")["median"].as_f64().unwrap() > 0.0);
    for (sizes, code, wrong) in [
        ("113B", 64, "113 bytes"),
        ("2MiB", 64, "at most 1048576"),
        ("114B+64MiB", 64, "at most 67108864"),
        ("114", 2, "units"),
        ("114B --only speed", 64, "--only sizes"),
    ] {
        let ran = lab.tamis(&format!("{line} {sizes}"));
        assert!(ran.code == Some(code) && ran.err.contains(wrong), "{sizes}: {ran:?}");
    }
}

#[test]
fn a_part_alone_and_a_number_of_events() {
    let lab = lab();
    let document = document(&lab.tamis(
        "bench in.tmf --menu menu.toml --only speed --events 3k --runs 3 --workers 1 --sources 1 --json",
    ));
    let rows = document["rows"].as_array().unwrap();
    assert_eq!((rows.len(), rows[0]["runs"].as_array().unwrap().len()), (2, 3), "{document:#}");
    assert!(row(&document, "speed", "1 source, 1 worker, core time")["median"].as_f64().unwrap() > 0.0);
    assert!(
        (document["conditions"]["accepted"].as_f64().unwrap() - 30.0 / 64.0).abs() < 1e-9,
        "{document:#}"
    );
    let cut = lab.tamis(
        "bench in.tmf --menu menu.toml --only speed --events 1k --runs 1 --workers 1 --sources 1 --frame-events 10",
    );
    // 64 events in frames of 10, and one of 4.
    assert!(cut.out.contains("9.1 per frame"), "{cut:?}");
}

#[test]
fn another_model_can_be_measured_and_made_ones_run_in_integers() {
    let lab = lab();
    lab.sound_model("thrice", "x", 3.0);
    let measure = "bench in.tmf --menu scored.toml --only stages --time 5ms --runs 1 --json";
    let rules = |line: &str| document(&lab.tamis(line))["conditions"]["rules"].clone();
    assert_ne!(rules(measure), rules(&format!("{measure} --model twice=thrice")));
    let ran = lab.tamis(&format!("{measure} --model absent=thrice"));
    assert!(ran.refusal(64).contains("absent"), "{ran:?}");
    for engine in ["int16", "int8"] {
        let made = format!("bench --only stages --events 500 --time 5ms --runs 1 --json --device {engine}");
        assert_eq!(document(&lab.tamis(&made))["conditions"]["device"], engine);
    }
}

#[test]
fn a_damaged_recording_is_measured_without_what_is_lost_and_that_is_said() {
    let lab = lab();
    let mut bytes = std::fs::read(lab.path("in.tmf")).unwrap();
    bytes.truncate(bytes.len() - 1);
    lab.write("torn.tmf", bytes);
    let ran = lab.tamis(
        "bench torn.tmf --menu menu.toml --only speed --events 1k --runs 1 --workers 1,1 --sources 1,1",
    );
    assert!(
        ran.code == Some(0) && ran.out.contains("Left out of torn.tmf: 1 damaged frame or stretch"),
        "{ran:?}"
    );
    assert_eq!(ran.out.matches("1 source, 1 worker ").count(), 1, "each topology once: {ran:?}");
}

#[test]
fn what_got_slower_fails_a_gate() {
    let lab = lab();
    let measure = "bench in.tmf --menu menu.toml --only speed --events 2k --runs 5 --workers 1 --sources 1";
    assert_eq!(lab.tamis(&format!("{measure} --save new.json")).code, Some(0));
    let text = std::fs::read_to_string(lab.path("new.json")).unwrap();
    let mut old: Value = serde_json::from_str(&text).unwrap();
    old["machine"] = json!("another one");
    for key in ["median", "min", "max"] {
        let value = old["rows"][0][key].as_f64().unwrap();
        old["rows"][0][key] = json!(value * 1000.0);
    }
    lab.write("old.json", old.to_string());
    let ran = lab.tamis("bench --compare old.json --with new.json --gate 10");
    assert!(ran.code == Some(76) && ran.err.contains("different machines"), "{ran:?}");
    assert!(ran.out.contains("SLOWER") && ran.out.contains("Another machine: then another one"), "{ran:?}");
    old["machine"] = serde_json::from_str::<Value>(&text).unwrap()["machine"].clone();
    lab.write("old.json", old.to_string());
    let ran = lab.tamis("bench --compare old.json --with new.json --gate 10");
    assert_eq!(ran.code, Some(76), "{ran:?}");
    assert!(
        ran.err.contains("speed: 1 source, 1 worker is") && ran.err.contains("the gate is 10 %"),
        "{ran:?}"
    );
    let ran = lab.tamis("bench --compare old.json --with new.json");
    assert_eq!(ran.code, Some(0), "without a gate a comparison only tells: {ran:?}");
    let ran = lab.tamis("bench --compare new.json --with old.json --gate 10");
    assert!(ran.code == Some(0) && ran.out.contains("faster"), "{ran:?}");
    let changes = document(&lab.tamis("bench --compare old.json --with new.json --json"))["changes"].clone();
    assert_eq!(
        (&changes["rows"][0]["moved"], changes["only_old"].as_array().unwrap().len()),
        (&json!(true), 0)
    );
    // A measurement now, against then.
    let ran = lab.tamis(&format!("{measure} --compare old.json --json"));
    assert_eq!(document(&ran)["changes"]["rows"][0]["moved"], true);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_measured() {
    let lab = lab();
    lab.write("text.json", "no json");
    lab.write("cut.json", "{\"bench\": 3, \"rows\": [");
    lab.write("other.json", "{\"tamis\": \"0.1.0\", \"schema\": 1}");
    lab.write("partial.json", "{\"bench\": 3}");
    lab.write("future.json", "{\"bench\": 4}");
    lab.write("empty.tmf", Frames::new().bytes);
    let cases: [(&str, i32, &[&str]); 20] = [
        ("bench absent.tmf --menu menu.toml", 65, &["absent.tmf", "no such file"]),
        ("bench empty.tmf --menu menu.toml", 65, &["empty.tmf", "no events"]),
        ("bench in.tmf --menu absent.toml", 65, &["absent.toml", "cannot be read"]),
        ("bench --runs 0", 64, &["0 runs", "--runs"]),
        ("bench --events 0", 64, &["one event", "--events"]),
        ("bench --sources 0", 64, &["sources"]),
        ("bench --frame-events 0", 64, &["at least one event"]),
        ("bench --only speed --workers 0 --events 100", 64, &["0 workers"]),
        ("bench --batch 0 --events 100", 64, &["batch of 0"]),
        ("bench --pin 5000", 64, &["a worker cannot be kept on CPU 5000", "this process may use CPU"]),
        ("replay in.tmf --menu menu.toml --out out --pin 5000", 64, &["a worker cannot be kept on CPU 5000"]),
        ("bench --compare absent.json", 65, &["absent.json", "cannot be read"]),
        ("bench --compare text.json", 65, &["text.json", "no JSON", "--save"]),
        ("bench --compare cut.json", 65, &["cut.json", "no JSON"]),
        ("bench --compare other.json", 65, &["other.json", "no key 'bench'"]),
        ("bench --compare partial.json", 65, &["partial.json", "missing field"]),
        ("bench --compare future.json", 65, &["future.json", "version 4"]),
        ("bench --compare .", 65, &["cannot be read"]),
        (
            "bench --only probes --runs 1 --events 100 --save no/such/folder.json",
            64,
            &["no/such/folder.json"],
        ),
        (
            "bench in.tmf --menu menu.toml --only speed --save in.tmf",
            64,
            &["in.tmf is there", "choose another name"],
        ),
    ];
    for (line, code, words) in cases {
        let ran = lab.tamis(line);
        let sentence = ran.refusal(code);
        for word in words {
            assert!(sentence.contains(word), "{line}: '{word}' is not in: {sentence}");
        }
    }
    for (line, word) in [
        ("bench in.tmf", "--menu"),
        ("bench --busy-poll 5", "or write always"),
        ("bench --menu menu.toml", "INPUT"),
        ("bench --device abacus", "abacus"),
        ("bench --only everything", "probes, stages"),
        ("bench --pin 0-1", "'0-1' is no number of a CPU"),
        ("bench --gate 10", "--compare"),
        ("bench --compare other.json --gate=-1", "not negative"),
        ("bench --time 3", "unit"),
    ] {
        let ran = lab.tamis(line);
        assert!(ran.code == Some(2) && ran.out.is_empty() && ran.err.contains(word), "{line}: {ran:?}");
    }
}
