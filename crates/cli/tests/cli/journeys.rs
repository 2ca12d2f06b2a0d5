//! Whole ways through the program: make data, run, look, check.

use std::io::Read;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Lab, MODEL_MENU, sample};

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[test]
fn generate_replay_verify() {
    let lab = Lab::new();
    let made = lab.tamis("gen --schema schema.toml --events 20k --out g.tmf.zst --seed 3 --signal 0.1 --frame-events 100 --segment-events 5000 --json");
    assert_eq!((made.code, made.err.as_str()), (Some(0), ""));
    assert_eq!(json_of(&made.out)["events"], 20_000);
    lab.write("menu.toml", MODEL_MENU.replace("twice.score >= 200", "twice.score > 0"));
    lab.model("twice", "x", 2.0);
    let (code, document) = lab.replay("g.tmf.zst", "--batch 64");
    let ledger = &document["ledger"];
    let accepted = ledger["accepted"].as_u64().unwrap();
    assert_eq!((code, &ledger["received"]), (0, &json!(20_000)));
    assert!(accepted > 0 && accepted < 20_000, "{ledger}");
    assert_eq!(lab.outputs(), ["g-physics-0001.mcap", "g.ledger.jsonl"]);
    let books = std::fs::read_to_string(lab.path("out/g.ledger.jsonl")).unwrap();
    // Lines that say how far storage is come between.
    let books: Vec<Value> = books.lines().map(json_of).filter(|line| line["storage"].is_null()).collect();
    assert_eq!((books.len(), &books[4]["final"]), (5, &json!(true)), "four segments and the final line");
    let segments: u64 = books[..4].iter().map(|line| line["ledger"]["accepted"].as_u64().unwrap()).sum();
    assert_eq!(segments, accepted);

    // The files of another run get another name, and that is said.
    let again = lab.tamis("replay g.tmf.zst --menu menu.toml --out out");
    assert!(
        again.err.contains("out has files of a run 'g'; those of this run begin with 'g.2'"),
        "{again:?}"
    );
    assert!(again.out.contains("out/g.2.ledger.jsonl has the books of every segment."), "{again:?}");

    let verified = lab.tamis("verify out/g-physics-0001.mcap g.tmf.zst --json");
    let verified = (verified.code, json_of(&verified.out));
    assert_eq!((verified.0, &verified.1["files"][0]["reproduced"]), (Some(0), &json!(accepted)));
    let info = json_of(&lab.tamis("info out/g-physics-0001.mcap --json").out);
    assert_eq!(
        (&info["events"], &info["stream"], &info["complete"]),
        (&json!(accepted), &json!("physics"), &json!(true))
    );

    // A stored file that was tampered with fails the gate.
    let path = lab.path("out/g-physics-0001.mcap");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&path, bytes).unwrap();
    let verified = lab.tamis("verify out/g-physics-0001.mcap");
    assert_eq!(verified.code, Some(76), "{verified:?}");
    assert!(verified.out.contains("BAD") && verified.err.contains("g-physics-0001.mcap"), "{verified:?}");
}

#[test]
fn a_frame_of_large_records_has_as_many_events_as_fit() {
    let lab = Lab::new();
    lab.write("large.toml", "name = 'l'\n[[field]]\nname = 'x'\ndtype = 'f32'\nlen = 100000\n");
    let made = lab.tamis("gen --schema large.toml --events 50 --out l.tmf --json");
    assert_eq!((made.code, made.err.as_str()), (Some(0), ""));
    // The frames of our writers have at most 16 MiB, unless one event is longer.
    assert_eq!((&json_of(&made.out)["events"], &json_of(&made.out)["frames"]), (&json!(50), &json!(2)));
    let told = lab.tamis("gen --schema large.toml --events 50 --out m.tmf --frame-events 42");
    assert_eq!(
        told.refusal(64),
        "42 events per frame (--frame-events): a frame of this schema holds 1 to 41\n"
    );
}

#[test]
fn a_table_gives_exactly_the_events_that_pass() {
    let lab = Lab::new();
    let mut table = String::from("Event,Run,mass,n,comment\n");
    for k in 0..500 {
        table += &format!("{},{},{},{},z\n", 1000 + 2 * k, 7, (k * 37) % 200, k % 100);
    }
    lab.write("t.csv", &table);
    let ran = lab.tamis("convert t.csv --schema schema.toml --out t.tmf --map mass=x --json");
    let report = json_of(&ran.out);
    assert_eq!(
        (ran.code, &report["events"], &report["ids_from_column"]),
        (Some(0), &json!(500), &json!(true))
    );
    assert!(ran.err.contains("comment"), "an ignored column is told: {}", ran.err);
    let (code, document) = lab.replay("t.tmf", "");
    let expected = (0..500).filter(|k| (k * 37) % 200 >= 100).count();
    let line = &document["lines"][0];
    assert_eq!((code, &line["seen"], &line["passed"]), (0, &json!(500), &json!(expected)), "{document}");
    assert_eq!(document["ledger"]["missing"], 0, "ids of a table are labels");
    let cat = lab.tamis("cat out/t-physics-0001.mcap --jsonl");
    let ids: Vec<u64> = cat.out.lines().map(|line| json_of(line)["event"].as_u64().unwrap()).collect();
    let expected: Vec<u64> = (0..500).filter(|k| (k * 37) % 200 >= 100).map(|k| 1000 + 2 * k).collect();
    assert_eq!(ids, expected);
}

#[test]
fn values_that_do_not_fit_are_clamped_on_request_and_counted() {
    let lab = Lab::new();
    lab.write("t.csv", "x,n\n1,40000\n2,-40000\n3,5\n");
    let ran = lab.tamis("convert t.csv --schema schema.toml --out t.tmf --saturate --json");
    let report = json_of(&ran.out);
    assert_eq!((ran.code, &report["clamped"]), (Some(0), &json!([{"column": "n", "values": 2}])));
    let cat = lab.tamis("cat t.tmf --fields n --jsonl");
    let values: Vec<Value> = cat.out.lines().map(|line| json_of(line)["fields"].clone()).collect();
    assert_eq!(values, [json!({"n": [32767.0]}), json!({"n": [-32768.0]}), json!({"n": [5.0]})]);
    let again = lab.tamis("convert t.csv --schema schema.toml --out t.tmf --saturate");
    assert!(again.refusal(64).contains("exists"));
    assert_eq!(
        lab.tamis("convert t.csv --schema schema.toml --out t.tmf --saturate --overwrite").code,
        Some(0)
    );
}

/// From a table to a decision and back, no digit of 64 bits is lost.
#[test]
fn integers_of_64_bits_keep_their_digits() {
    let lab = Lab::new();
    lab.write("w.toml", "name = 'w'\nfield = [{ name = 'id', dtype = 'u64' }, { name = 't', dtype = 'u64', scale = 1e-9 }, { name = 'x', dtype = 'f64' }]\n");
    lab.write("w.csv", "id,t,x\n18446744073709551615,1733056105.123456789,1e300\n9007199254740993,0.5,0.1\n");
    assert_eq!(lab.tamis("convert w.csv --schema w.toml --out w.tmf").code, Some(0));
    let lines = lab.tamis("cat w.tmf --jsonl").out;
    assert!(
        lines.contains(r#""fields":{"id":[18446744073709551615],"t":[1733056105.1234567],"x":[1e+300]}"#),
        "{lines}"
    );
    assert!(lines.contains(r#""fields":{"id":[9007199254740993],"t":[0.5],"x":[0.1]}"#), "{lines}");
    let table = lab.tamis("cat w.tmf --fields id,t,x").out;
    assert!(table.contains("18446744073709551615") && table.contains("1733056105.123456789"), "{table}");
}

#[test]
fn two_runs_into_one_folder_overwrite_nothing() {
    let lab = Lab::new();
    lab.tamis("gen --schema schema.toml --events 1000 --out g.tmf");
    lab.replay("g.tmf", "");
    let before: Vec<Vec<u8>> =
        lab.outputs().iter().map(|name| std::fs::read(lab.path("out").join(name)).unwrap()).collect();
    let names = lab.outputs();
    let (code, document) = lab.replay("g.tmf", "");
    assert_eq!((code, &document["run"]), (0, &json!("g.2")));
    let after: Vec<Vec<u8>> =
        names.iter().map(|name| std::fs::read(lab.path("out").join(name)).unwrap()).collect();
    assert!(before == after && lab.outputs().len() == 2 * names.len());
}

#[test]
fn the_samples_are_decided_alike_for_any_number_of_workers() {
    let lab = Lab::new();
    let run = |workers: u32, batch: u32| {
        let (input, menu) = (sample("l1-htautau.tmf.zst"), sample("menus/l1.toml"));
        let ran = lab.tamis(&format!(
            "replay {input} --menu {menu} --out out --json --workers {workers} --batch {batch}"
        ));
        let document = json_of(&ran.out);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let file = document["streams"][0]["files"][0].as_str().unwrap().to_string();
        (
            document["ledger"]["accepted"].as_u64().unwrap(),
            document["lines"].clone(),
            lab.tamis(&format!("cat {file} --jsonl")).out,
        )
    };
    let one = run(1, 4096);
    assert!(one.0 > 0 && one.2.lines().count() as u64 >= one.0 / 2);
    assert_eq!(one, run(3, 7));
}

#[test]
fn events_as_a_table() {
    let lab = Lab::new();
    lab.write("menu.toml", MODEL_MENU);
    lab.model("twice", "x", 2.0);
    lab.write("t.csv", "event,x,n\n5,150,-3\n6,1,2\n7,100,12345\n");
    lab.tamis("convert t.csv --schema schema.toml --out t.tmf");
    lab.replay("t.tmf", "");
    let table = lab.tamis("cat out/t-physics-0001.mcap").out;
    assert_eq!(
        table.lines().collect::<Vec<_>>(),
        [
            "                                    twice",
            "event  run  segment  rung  engine  .score    x      n  kept by",
            "─────  ───  ───────  ────  ──────  ──────  ───  ─────  ───────",
            "    5    1        0     0  fused      300  150     -3  high",
            "    7    1        0     0  fused      200  100  12345  high",
        ]
    );
    let one = lab.tamis("cat t.tmf --event 6 --fields n,x");
    assert_eq!(
        one.out.lines().last().unwrap().split_whitespace().collect::<Vec<_>>(),
        ["6", "1", "0", "2", "1"]
    );
    assert_eq!(json_of(&lab.tamis("cat t.tmf --json --limit 2").out)["events"].as_array().unwrap().len(), 2);
    assert_eq!(json_of(&lab.tamis("cat t.tmf --json --limit 0").out)["events"], json!([]));
}

#[test]
fn a_reader_may_leave_early() {
    let lab = Lab::new();
    lab.tamis("gen --schema schema.toml --events 100k --out g.tmf");
    for form in ["", "--json", "--jsonl"] {
        let mut child = lab
            .command(format!("cat g.tmf {form}").split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 100];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]), "{form}");
    }
}

#[test]
fn training_makes_a_bundle_that_runs() {
    const RECIPE: &str = r#"
name = "small"
version = "1.0.0"
doc = "A network for a test."
architecture = "autoencoder"
layers = [2, 1, 2]
outputs = ["score"]
seed = 1
epochs = 2
batch = 128
learning_rate = 1e-3
held_out = 0.25
input = [{ field = "x", standardize = true }, { field = "n", standardize = true }]
data = [{ file = "g.tmf" }]
"#;
    let lab = Lab::new();
    lab.tamis("gen --schema schema.toml --events 2000 --out g.tmf");
    lab.write("recipe.toml", RECIPE);
    let ran = lab.tamis("train recipe.toml --out small --json");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let report = json_of(&ran.out);
    assert_eq!(report["trained"].as_u64().unwrap() + report["held_out"].as_u64().unwrap(), 2000);
    assert_eq!(report["losses"].as_array().unwrap().len(), 2);
    assert!(lab.tamis("train recipe.toml --out small").refusal(64).contains("--overwrite"));
    lab.write("menu.toml", MODEL_MENU.replace("bundle = \"twice\"", "bundle = \"small\""));
    let (code, document) = lab.replay("g.tmf", "");
    assert_eq!((code, &document["ledger"]["received"]), (0, &json!(2000)));
    // Everything that is wrong is told at once, and the same of two files once.
    let data =
        "data = [{ file = \"g.tmf\", label = { field = \"p\", values = [1] } }, { file = \"gone.tmf\" }]\n";
    let wrong =
        RECIPE.replace("field = \"x\"", "field = \"xx\"").replace("data = [{ file = \"g.tmf\" }]\n", data);
    lab.write("wrong.toml", wrong);
    let ran = lab.tamis("train wrong.toml --out other");
    let told = ran.refusal(65);
    for part in ["g.tmf: no field 'xx'", "g.tmf: no field 'p'", "gone.tmf: no such file"] {
        assert_eq!(told.matches(part).count(), 1, "{part} in {told}");
    }
}
