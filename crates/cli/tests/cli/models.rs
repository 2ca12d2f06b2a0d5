//! Models without a run: scores as tables, a close look, checks, comparisons.

use serde_json::{Value, json};
use tamis_event::FrameMeta;

use crate::support::{Frames, Lab, MODEL_MENU, sample};

pub(crate) fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// A lab with the model `twice` and a recording of these values of `x`, ids from 0.
pub(crate) fn lab(values: &[f32]) -> Lab {
    let lab = Lab::new();
    lab.model("twice", "x", 2.0);
    let mut frames = Frames::new();
    frames.push(0, values);
    lab.write("in.tmf", frames.bytes);
    lab
}

/// Header text, shape and numbers of an array.
fn npy(bytes: &[u8]) -> (String, Vec<f32>) {
    assert_eq!((&bytes[..8], bytes.len() % 4), (&b"\x93NUMPY\x01\x00"[..], 0));
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + length) % 64, 0, "aligned as the format asks");
    let header = String::from_utf8(bytes[10..10 + length].to_vec()).unwrap();
    let numbers = bytes[10 + length..].as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
    (header.trim_end().into(), numbers.collect())
}

#[test]
fn scores_as_an_array() {
    let lab = lab(&[1.5, -200.0, 0.0]);
    let ran = lab.tamis("score in.tmf --model twice --out s.npy");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.out.starts_with("s.npy: 3 events, 140 B\ncolumns twice.score\n"), "{}", ran.out);
    let (header, numbers) = npy(&std::fs::read(lab.path("s.npy")).unwrap());
    assert_eq!(header, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }");
    assert_eq!(numbers, [3.0, -400.0, 0.0]);
    assert!(!lab.path("s.npy.part").exists());
    let again = lab.tamis("score in.tmf --model twice --out s.npy");
    assert!(again.refusal(64).contains("s.npy: exists; give --overwrite"));
    let ran = lab.tamis("score in.tmf --model twice --model half=twice --out s.npy --overwrite --json");
    let document = json_of(&ran.out);
    assert_eq!(
        (&document["events"], &document["scores"], &document["exit"]),
        (&json!(3), &json!(["twice.score", "half.score"]), &json!(0))
    );
    let (header, numbers) = npy(&std::fs::read(lab.path("s.npy")).unwrap());
    assert!(header.contains("'shape': (3, 2)"), "{header}");
    assert_eq!(numbers, [3.0, 3.0, -400.0, -400.0, 0.0, 0.0]);
}

#[test]
fn scores_as_text_from_any_input() {
    let lab = lab(&[0.1, 1e-30, 16_777_217.0]);
    let text = "event,twice.score\n0,0.2\n1,2e-30\n2,33554432.0\n";
    let ran = lab.tamis("score in.tmf --model twice --out -");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), text, ""));
    lab.tamis("score in.tmf --model twice --out s.csv");
    assert_eq!(std::fs::read_to_string(lab.path("s.csv")).unwrap(), text);
    let input = std::fs::File::open(lab.path("in.tmf")).unwrap();
    let line = "score - --model twice --out -";
    let ran = crate::support::ran(&lab.command(line.split(' ')).stdin(input).output().unwrap());
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), text), "{ran:?}");
    assert!(lab.tamis("score in.tmf --model twice --out - --json").refusal(2).contains("standard output"));
}

#[test]
fn rows_are_the_events_in_order_however_they_are_framed() {
    let lab = Lab::new();
    lab.model("twice", "x", 2.0);
    lab.tamis("gen --schema schema.toml --events 10k --out a.tmf --frame-events 3000 --segment-events 4001");
    lab.tamis("gen --schema schema.toml --events 10k --out b.tmf.zst --frame-events 7 --segment-events 4001");
    let of = |input: &str| lab.tamis(&format!("score {input} --model twice --out -")).out;
    let cat = lab.tamis("cat a.tmf --jsonl --fields x").out;
    let expected = cat.lines().map(|line| {
        let event = json_of(line);
        let x = event["fields"]["x"][0].as_f64().unwrap() as f32;
        format!("{},{:?}", event["event"], 2.0 * x)
    });
    let table = of("a.tmf");
    assert!(table.lines().skip(1).eq(expected.collect::<Vec<_>>()), "the scores of the events, in order");
    assert_eq!((table.lines().count(), &table), (10_001, &of("b.tmf.zst")));
}

#[test]
fn what_has_no_score_is_counted_and_said() {
    let lab = lab(&[1.0, f32::NAN, f32::INFINITY, 2.0]);
    let ran = lab.tamis("score in.tmf --model twice --out -");
    assert_eq!(ran.out, "event,twice.score\n0,2.0\n1,NaN\n2,NaN\n3,4.0\n");
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (Some(75), "tamis: 2 events have a score that is missing or not finite: 2 not_finite\n")
    );
    let mut frames = Frames::new();
    frames.push(0, &[1.0]);
    let at = frames.push(1, &[2.0]);
    frames.push(2, &[3.0]);
    frames.bytes[at + 64] ^= 1;
    lab.write("in.tmf", frames.bytes);
    let ran = lab.tamis("score in.tmf --model twice --out s.csv --json");
    let document = json_of(&ran.out);
    assert_eq!((ran.code, &document["exit"], &document["corrupt"]["crc"]), (Some(75), &json!(75), &json!(1)));
    assert!(ran.err.contains("1 damaged frame or stretch") && ran.err.contains("1 crc"), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(lab.path("s.csv")).unwrap(), "event,twice.score\n0,2.0\n2,6.0\n");
}

#[test]
fn an_event_that_came_before_has_no_second_row() {
    let lab = Lab::new();
    lab.sound_model("twice", "x", 2.0);
    let mut frames = Frames::new();
    frames.push(0, &[1.0, 2.0, 3.0]);
    frames.push(2, &[9.0, 4.0]);
    frames.push(0, &[1.0, 2.0, 3.0]);
    // The same ids in another segment are other events.
    frames.push_of(FrameMeta { run: 1, segment: 1, ..FrameMeta::default() }, &[5.0]);
    lab.write("in.tmf", frames.bytes);
    let ran = lab.tamis("score in.tmf --model twice --out s.csv --json");
    let document = json_of(&ran.out);
    assert_eq!(
        (ran.code, &document["events"], &document["corrupt"]["dup"]),
        (Some(75), &json!(5), &json!(4))
    );
    assert!(ran.err.contains("4 events came before and are left out"), "{}", ran.err);
    let table = std::fs::read_to_string(lab.path("s.csv")).unwrap();
    assert_eq!(table, "event,twice.score\n0,2.0\n1,4.0\n2,6.0\n3,8.0\n0,10.0\n");
    let ran = lab.tamis("model compare in.tmf --model twice --engines flex,fused --json");
    let document = json_of(&ran.out);
    assert_eq!(
        (ran.code, &document["events"], &document["corrupt"]["dup"]),
        (Some(75), &json!(5), &json!(4)),
        "{ran:?}"
    );
    let (code, document) = lab.replay("in.tmf", "");
    let ledger = &document["ledger"];
    assert_eq!(
        (code, &ledger["received"], &ledger["corrupt"]["dup"]),
        (75, &json!(9), &json!(4)),
        "as in a run"
    );
}

#[test]
fn a_close_look() {
    let lab = Lab::new();
    let line = format!("model info {}", sample("models/topo"));
    let ran = lab.tamis(&line);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    #[rustfmt::skip]
    let words = [
        "topo 1.0.0, dense", "57", "Gemm", "1,856", "Softmax", "2,435", "2,384", "topo.leptons", "golden vectors, tolerance 1.0e-4",
        "Measured here", "flex", "auc.leptons", "0.93807", "l1-zerobias.tmf.zst", "3b91504ba3a75e6d", "(x - shift[k]) * scale[k], clip -8 to 8",
    ];
    for word in words {
        assert!(ran.out.contains(word), "'{word}' is not in:\n{}", ran.out);
    }
    let document = json_of(&lab.tamis(&format!("{line} --json")).out);
    #[rustfmt::skip]
    assert_eq!(document.as_object().unwrap().keys().collect::<Vec<_>>(), [
        "architecture", "bundle", "calibration", "doc", "golden", "hash", "inputs", "layers", "memory", "multiply_adds", "name", "notes", "outputs",
        "parameters", "schema", "speeds", "tamis", "training", "version", "width",
    ]);
    let speed = &document["speeds"][0];
    let ns = |key: &str| speed["ns_per_event"][key].as_f64().unwrap();
    assert!(ns("min") > 0.0 && ns("min") <= ns("median") && ns("median") <= ns("max"), "{speed}");
    assert_eq!((&speed["engine"], &document["parameters"]), (&json!("flex"), &json!(2435)));
    let schema = sample("schemas/l1.toml");
    assert_eq!(lab.tamis(&format!("{line} --schema {schema}")).code, Some(0));
}

#[test]
fn a_bundle_is_checked_before_it_is_used() {
    let lab = lab(&[1.0]);
    let ran = lab.tamis(&format!("model verify twice {}", sample("models/anomaly")));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    // A heading of two lines and a rule, then a row for every bundle and engine.
    let verdicts: Vec<&str> = ran
        .out
        .lines()
        .skip(3)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    // Each on the reference and on the fused kernels.
    assert_eq!(verdicts, ["good"; 4], "{}", ran.out);
    // And why not on the others.
    assert!(ran.out.contains("twice: int16 was not checked: it is not calibrated"), "{}", ran.out);
    for more in ["--schema schema.toml", "--events in.tmf", "--device flex"] {
        let document = json_of(&lab.tamis(&format!("model verify twice --json {more}")).out);
        assert_eq!(
            document["bundles"][0]["engines"][0],
            json!({"engine": "flex", "vectors": 2, "difference": 0.0, "tolerance": 1e-5, "problem": null}),
            "{more}"
        );
    }
    // Weights that are not those of the golden vectors: told with the difference, and the others are looked at.
    lab.model("wrong", "x", 2.5);
    let ran = lab.tamis("model verify wrong twice --json");
    let document = json_of(&ran.out);
    let wrong = &document["bundles"][0]["engines"][0];
    assert_eq!((ran.code, &document["exit"]), (Some(76), &json!(76)));
    // -7.5 instead of -6: 1.5 of 6; 2.5 instead of 2: 0.5 of 2.
    assert_eq!(
        (&wrong["difference"], &document["bundles"][1]["engines"][0]["problem"]),
        (&json!(0.25), &Value::Null)
    );
    assert!(ran.err.starts_with("tamis: wrong: model 'twice', golden vector"), "{}", ran.err);
    // Damage.
    let weights = lab.path("wrong/weights.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let ran = lab.tamis("model verify wrong");
    assert!(ran.code == Some(76) && ran.out.contains("BAD") && ran.err.contains("SHA-256"), "{ran:?}");
    // What is no bundle at all weighs more, and hides nothing.
    let ran = lab.tamis("model verify absent twice wrong");
    assert!(ran.code == Some(65) && ran.out.contains("good") && ran.out.contains("BAD"), "{ran:?}");
    assert!(ran.err.contains("absent: cannot be read"), "{ran:?}");
}

#[test]
fn one_engine_agrees_with_itself() {
    let lab = Lab::new();
    let (input, menu) = (sample("l1-htautau.tmf.zst"), sample("menus/l1-anomaly.toml"));
    let ran = lab.tamis(&format!("model compare {input} --menu {menu} --engines flex,flex --json"));
    let document = json_of(&ran.out);
    assert_eq!((ran.code, ran.err.as_str(), &document["events"]), (Some(0), "", &json!(5000)));
    let contrast = &document["contrasts"][0];
    assert_eq!((&contrast["flipped"], &contrast["flips"]), (&json!(0), &json!([])));
    for score in contrast["scores"].as_array().unwrap() {
        assert_eq!(
            (&score["difference"], &score["max"], &score["events"]),
            (&json!(0.0), &json!(0.0), &json!(5000))
        );
    }
    let lines = contrast["lines"].as_array().unwrap();
    let leptons = lines.iter().find(|line| line["name"] == "topo-leptons").unwrap();
    assert_eq!(leptons["thresholds"], json!(["topo.leptons > 0.9"]));
    assert!(lines.iter().all(|line| line["reference"] == line["other"]) && lines.len() == 14);
    // The same decisions as in a run.
    let run = json_of(&lab.tamis(&format!("replay {input} --menu {menu} --out out --json")).out);
    for (line, ran) in lines.iter().zip(run["lines"].as_array().unwrap()) {
        assert_eq!((&line["name"], &line["reference"]), (&ran["name"], &ran["passed"]));
    }
}

#[test]
fn lines_that_draw_by_run_are_decided_as_in_a_replay() {
    let lab = Lab::new();
    lab.model("twice", "x", 2.0);
    // Two runs in frames so short that both would fit into one block.
    let mut both = Vec::new();
    for run in [1, 2] {
        lab.tamis(&format!(
            "gen --schema schema.toml --events 1000 --out r.tmf --frame-events 10 --run {run} --overwrite"
        ));
        both.extend(std::fs::read(lab.path("r.tmf")).unwrap());
    }
    lab.write("both.tmf", both);
    let random = "\n[[line]]\nname = \"some\"\nkind = \"random\"\nevery = 3\nstreams = [\"physics\"]\n";
    lab.write("menu.toml", format!("{MODEL_MENU}{random}"));
    let ran = lab.tamis("model compare both.tmf --menu menu.toml --engines flex,flex --json");
    let document = json_of(&ran.out);
    let (code, run) = lab.replay("both.tmf", "");
    assert_eq!((ran.code, code, &document["events"]), (Some(0), 0, &json!(2000)), "{ran:?}");
    assert_eq!(document["contrasts"][0]["lines"][1]["reference"], run["lines"][1]["passed"]);
}

#[test]
fn two_models_differ_in_scores_and_decisions() {
    let lab = lab(&[1.0, 99.0, 100.0, 101.0, 150.0]);
    lab.write("menu.toml", MODEL_MENU);
    lab.sound_model("half", "x", 1.98);
    let ran = lab.tamis("model compare in.tmf --menu menu.toml --with twice=half --engines flex --json");
    let document = json_of(&ran.out);
    assert_eq!((ran.code, &document["exit"]), (Some(76), &json!(76)), "{ran:?}");
    let contrast = &document["contrasts"][0];
    // Scores 200 and 202 pass 200, 198 and 199.98 do not.
    assert_eq!(
        contrast["lines"],
        json!([{"name": "high", "reference": 3, "other": 1, "flips": 2, "max_margin": 2.0, "thresholds": ["twice.score >= 200"]}])
    );
    assert_eq!((&contrast["flipped"], &contrast["flipped_share"]), (&json!(2), &json!(0.4)));
    let flip = &contrast["flips"][1];
    assert_eq!(
        (&flip["event"], &flip["margin"], &flip["reference"]),
        (&json!(3), &json!(2.0), &json!(202.0))
    );
    let score = &contrast["scores"][0];
    let close = |key: &str, wanted: f64| (score[key].as_f64().unwrap() - wanted).abs() < 1e-5 * wanted;
    assert!(close("max", 3.0) && close("max_relative", 0.01) && close("difference", 0.01), "{score}");
    let errors = [0.02f64, 1.98, 2.0, 2.02, 3.0];
    assert!(close("rms", (errors.iter().map(|e| e * e).sum::<f64>() / 5.0).sqrt()), "{score}");
    assert_eq!(ran.err.lines().count(), 2, "{}", ran.err);
    let sentences =
        ["twice.score differs by 1.00e-2", "at most 1e-4 is allowed", "2 events are decided differently"];
    assert!(sentences.iter().all(|words| ran.err.contains(words)), "{}", ran.err);
    // Gates that allow it, and a table for people.
    let ran = lab.tamis("model compare in.tmf --menu menu.toml --with half --engines flex --max-difference 0.02 --max-flips 0.4");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    for word in ["flex with half against flex: 5 events", "twice.score >= 200", "66.67 %", "good"] {
        assert!(ran.out.contains(word), "'{word}' is not in:\n{}", ran.out);
    }
    // Without a menu: scores alone.
    let line = "model compare in.tmf --model twice --with half --engines flex --max-difference 1 --json";
    let document = json_of(&lab.tamis(line).out);
    assert_eq!((&document["exit"], &document["contrasts"][0]["lines"]), (&json!(0), &json!([])));
}

#[test]
fn an_event_that_one_side_cannot_decide_is_a_flip() {
    let lab = lab(&[1.0, 3e38]);
    // On the side of `twice` the second score is infinite.
    lab.sound_model("half", "x", 1.0);
    let line = "model compare in.tmf --model half --with twice --engines flex --max-difference 10 --json";
    let document = json_of(&lab.tamis(line).out);
    let contrast = &document["contrasts"][0];
    assert_eq!((&document["reference"]["undecided"], &contrast["undecided"]), (&json!(0), &json!(1)));
    assert_eq!((&contrast["flipped"], &contrast["scores"][0]["events"]), (&json!(1), &json!(1)));
    assert_eq!(document["exit"], 76);
}

#[test]
fn the_machine() {
    let lab = Lab::new();
    let ran = lab.tamis("doctor");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for word in [
        "flex",
        "int16",
        "int8",
        "gpu",
        "processor",
        "cores",
        "open files",
        "free space",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(ran.out.contains(word), "'{word}' is not in:\n{}", ran.out);
    }
    let document = json_of(&lab.tamis("doctor --json").out);
    let flex = &document["engines"][0];
    assert_eq!(
        (&flex["name"], &flex["compiled"], &flex["found"]),
        (&json!("flex"), &json!(true), &json!(true))
    );
    assert!(
        document["cpu"]["cores"].as_u64().unwrap() > 0 && document["memory"]["total"].as_u64().unwrap() > 0
    );
    let absent = lab.tamis("doctor --out no/such/folder");
    assert!(absent.code == Some(0) && absent.err.contains("no/such/folder"), "{absent:?}");
}

#[test]
fn a_classifier_of_trees_is_shown_with_its_labels_and_its_scores() {
    let lab = Lab::new();
    let net = format!("{}/../graph/tests/models/sklearn_forest.onnx", env!("CARGO_MANIFEST_DIR"));
    lab.write("net.toml", "name = \"net\"\n[[field]]\nname = \"x\"\ndtype = \"f32\"\nlen = 8\n");
    assert_eq!(lab.tamis(&format!("model import {net} --schema net.toml --out net")).code, Some(0));
    let layer = json_of(&lab.tamis("model info net --json").out)["layers"][0].clone();
    assert_eq!((&layer["output"], &layer["outputs"]), (&json!([]), &json!([[], [3]])));
    let ran = lab.tamis("model info net");
    let shown = ran.out.lines().find(|line| line.contains("TreeEnsembleClassifier")).unwrap();
    assert!(shown.contains("  1, 3  "), "{shown}");
    let speeds: Vec<&str> = ran.out.lines().skip_while(|line| !line.starts_with("Measured here")).collect();
    assert!(ran.out.contains(" it is made of trees; ") && !ran.out.contains("cannot run it"), "{}", ran.out);
    assert!(speeds.iter().all(|line| line.chars().count() <= 120), "{}", ran.out);
}

#[test]
fn a_network_from_elsewhere_becomes_a_bundle() {
    let lab = Lab::new();
    let net = format!("{}/../graph/tests/models/torch_mlp.onnx", env!("CARGO_MANIFEST_DIR"));
    let schema = "name = \"net\"\n[[field]]\nname = \"x\"\ndtype = \"f32\"\nlen = 16\n";
    lab.write("net.toml", schema);
    let line = format!("model import {net} --schema net.toml --out net");
    let ran = lab.tamis(&line);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.out.starts_with("net: onnx with "), "{}", ran.out);
    assert!(lab.tamis(&line).refusal(64).contains("--overwrite"));
    assert_eq!(lab.tamis("model verify net").code, Some(0));
    let document = json_of(&lab.tamis("model info net --json").out);
    assert_eq!((&document["name"], &document["architecture"]), (&json!("net"), &json!("onnx")));
    let ran = lab.tamis(&format!("{line} --overwrite --json --name other --outputs -,-,-,-,top"));
    assert_eq!(
        (&json_of(&ran.out)["name"], &json_of(&ran.out)["outputs"]),
        (&json!("other"), &json!(["top"]))
    );
}

#[test]
fn what_cannot_be_is_refused_with_a_remedy() {
    let lab = lab(&[1.0]);
    lab.write("menu.toml", MODEL_MENU);
    lab.write("none.tmf", &Frames::new().bytes);
    let mut damaged = Frames::new();
    let at = damaged.push(0, &[1.0]);
    damaged.bytes[at + 64] ^= 1;
    lab.write("damaged.tmf", damaged.bytes);
    lab.model("other", "y", 2.0);
    lab.sound_model("whole", "n", 2.0);
    let topo = sample("models/topo");
    let score = "score in.tmf --model twice --out s.npy";
    #[rustfmt::skip]
    let cases: &[(&str, i32, &[&str])] = &[
        ("score in.tmf --model absent --out s.npy", 65, &["absent", "a model bundle is a folder with model.toml"]),
        ("score in.tmf --model other --out s.npy", 65, &["model 'twice'", "no field 'y' in schema 'pair'"]),
        ("score none.tmf --model twice --out s.npy", 65, &["none.tmf: no events in it"]),
        ("score damaged.tmf --model twice --out -", 65, &["damaged.tmf: no good events", "1 crc"]),
        ("score in.tmf --model twice --out s.dat", 64, &["s.dat", ".npy or .csv"]),
        ("score in.tmf --model twice --out no/such/s.npy", 64, &["no/such/s.npy", "check that the folder exists"]),
        ("score in.tmf --model twice --model twice --out s.npy", 64, &["two models are called 'twice'", "other=twice"]),
        ("model info absent", 65, &["absent", "a model bundle is"]),
        ("model verify twice --schema absent.toml", 65, &["absent.toml", "the schema cannot be read"]),
        ("model verify twice --device gpu:99", 69, &["engine gpu:99: "]),
        ("model compare in.tmf --menu menu.toml --engines flex", 64, &["nothing to compare", "tamis doctor"]),
        ("model compare none.tmf --menu menu.toml --engines flex,flex", 65, &["none.tmf: no events"]),
        ("model compare in.tmf --menu menu.toml --engines flex --with b=twice", 64, &["no model 'b'", "twice"]),
        ("model compare in.tmf --menu menu.toml --engines flex,flex --max-flips 2", 64, &["flips", "between 0 and 1"]),
        ("model compare in.tmf --menu menu.toml --engines flex,flex --max-difference nan", 64, &["largest difference"]),
        ("model calibrate absent in.tmf --out c", 65, &["absent", "a model bundle is a folder with model.toml"]),
        ("model calibrate whole menu.toml --out c", 65, &["menu.toml is no Tamis recording but a menu", "--menu"]),
        ("model calibrate whole none.tmf --out c", 65, &["none.tmf: no events in it"]),
        ("model calibrate whole in.tmf --out c --margin 0.5", 64, &["the margin must be between 1 and 64"]),
        ("model calibrate whole in.tmf --out c --events 0", 64, &["--events", "above 0"]),
        ("model calibrate whole in.tmf --out whole", 64, &["whole: exists", "--overwrite"]),
        ("score in.tmf --model whole --device int16 --out s.npy", 65, &["it is not calibrated", "tamis model calibrate", "fused"]),
        ("score in.tmf --model whole --device int8 --out s.npy", 65, &["engine int8", "it is not calibrated", "tamis model calibrate"]),
        ("model import absent.onnx --schema schema.toml --out net", 65, &["absent.onnx", "cannot be read"]),
        ("model import menu.toml --schema schema.toml --out net", 65, &["menu.toml"]),
    ];
    for (line, code, words) in cases {
        let ran = lab.tamis(line);
        let sentence = ran.refusal(*code);
        assert!(words.iter().all(|word| sentence.contains(word)), "{line}: {sentence}");
    }
    let line = format!("model compare in.tmf --menu menu.toml --engines flex --with twice={topo}");
    assert!(lab.tamis(&line).refusal(65).contains("only equal scores can be compared"));
    let ran = lab.tamis(&format!("{score} --device tpu"));
    assert!(ran.code == Some(2) && ran.err.contains("there is: flex") && ran.err.contains("gpu"), "{ran:?}");
    if !cfg!(feature = "gpu") {
        assert!(lab.tamis(&format!("{score} --device gpu")).refusal(69).contains("--features gpu"));
    }
    assert!(!lab.path("s.npy").exists() && !lab.path("s.npy.part").exists() && !lab.path("net").exists());
    assert!(!lab.path("c").exists());
}

#[test]
fn commands_below_a_word_have_everything_that_others_have() {
    let lab = lab(&[1.0]);
    let help = lab.tamis("model --help");
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    for below in ["import", "info", "verify", "compare", "calibrate"] {
        assert!(help.out.contains(&format!("tamis model {below} ")), "an example: {}", help.out);
        let help = lab.tamis(&format!("model {below} --help"));
        assert!(help.code == Some(0) && help.out.contains("Examples"), "{below}");
        let page = lab.tamis(&format!("man model {below}"));
        assert!(page.code == Some(0) && page.out.contains(&format!(".TH tamis-model-{below}")), "{below}");
    }
    assert_eq!(lab.tamis("model").code, Some(2));
    assert!(lab.tamis("man model inof").refusal(2).contains("did you mean 'info'?"));
    assert!(lab.tamis("completions bash").out.contains("tamis__subcmd__model__subcmd__verify"));
    // A variable stands for an option below a word too.
    let mut command = lab.command("model verify twice".split(' '));
    let ran = crate::support::ran(&command.env("TAMIS_JSON", "1").output().unwrap());
    assert_eq!(json_of(&ran.out)["exit"], 0);
}
