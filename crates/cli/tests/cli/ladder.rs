//! Models that fail: the next rung of the menu's ladder, the last one, a deadline. What is said of them, everywhere.

use serde_json::{Value, json};

use crate::support::{Frames, Lab, MODEL_MENU};

/// Two rungs of models: `twice` overflows for large numbers, its fallback cuts them off at 1000. Neither can do anything with a NaN.
const FALLBACK: &str = "bundle = \"twice\"\nfallback = [\"clipped\"]";
const LAST_RUNG: &str = "\n[fallback]\npass_through = 8\nstreams = [\"physics\"]\n";
/// Kept, too large, rejected, hopeless, too large and rejected.
const VALUES: [f32; 6] = [150.0, 3e38, 1.0, f32::NAN, -3e38, f32::NAN];

fn lab(last_rung: &str) -> Lab {
    let lab = Lab::new();
    lab.write("menu.toml", MODEL_MENU.replace("bundle = \"twice\"", FALLBACK) + last_rung);
    lab.model("twice", "x", 2.0);
    lab.bundle("clipped", "field = \"x\"\nclip = [-1000.0, 1000.0]", 2.0);
    let mut frames = Frames::new();
    frames.push(0, &VALUES);
    lab.write("in.tmf", frames.bytes);
    lab
}

fn rungs(document: &Value) -> Vec<u64> {
    let rungs = document["ledger"]["rungs"].as_array().unwrap();
    rungs.iter().map(|rung| rung["events"].as_u64().unwrap()).collect()
}

fn events(lab: &Lab, file: &str) -> Vec<Value> {
    let ran = lab.tamis(&format!("cat out/{file} --jsonl"));
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn without_a_last_rung_what_no_model_can_score_is_in_the_error_stream() {
    let lab = lab("");
    let (code, document) = lab.replay("in.tmf", "--name a");
    let ledger = &document["ledger"];
    assert_eq!((code, &ledger["accepted"], &ledger["rejected"]), (75, &json!(2), &json!(2)), "{ledger}");
    assert_eq!(rungs(&document), [2, 2]);
    assert_eq!(
        ledger["errored"],
        json!({"panic": 0, "not_finite": 2, "deadline": 0, "device": 0, "not_a_number": 0, "refused": 0})
    );

    let kept = events(&lab, "a-physics-0001.mcap");
    let of = |event: &Value| {
        (event["event"].clone(), event["verdict"]["rung"].clone(), event["verdict"]["scores"].clone())
    };
    assert_eq!(of(&kept[0]), (json!(0), json!(0), json!({"twice.score": 300.0})));
    assert_eq!(of(&kept[1]), (json!(1), json!(1), json!({"twice.score": 2000.0})));
    assert!(kept.iter().all(|event| event["verdict"].get("block").is_none()));
    let lost = events(&lab, "a-error-0001.mcap");
    let verdict = &lost[1]["verdict"];
    assert_eq!(
        (&lost[1]["event"], &verdict["rung"], &verdict["engine"]),
        (&json!(5), &json!(1), &json!("fused"))
    );
    assert_eq!((&verdict["fault"], &verdict["guilty_model"]), (&json!("not_finite"), &json!("twice")));
    assert_eq!(verdict["block"], json!({"index": 5, "events": 6}));
    let table = lab.tamis("cat out/a-error-0001.mcap").out;
    assert!(table.contains("(undecided: not_finite by twice, index 3 in a block of 6)"), "{table}");

    let books = std::fs::read_to_string(lab.path("out/a.ledger.jsonl")).unwrap();
    let segment: Value = serde_json::from_str(books.lines().next().unwrap()).unwrap();
    assert_eq!(rungs(&segment), [2, 2]);
    let verified = lab.tamis("verify out/a-physics-0001.mcap out/a-error-0001.mcap");
    assert_eq!((verified.code, verified.err.as_str()), (Some(0), ""), "{verified:?}");
    let info = lab.tamis("info out/a-error-0001.mcap").out;
    assert!(info.contains("2 could not be scored") && info.contains("twice (fallback 1) 1.0.0"), "{info}");
}

#[test]
fn the_last_rung_keeps_some_by_hash_and_says_so() {
    let lab = lab(LAST_RUNG);
    let ran = lab.tamis("replay in.tmf --menu menu.toml --out out");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "nothing is lost: {ran:?}");
    let table: Vec<&str> = ran.out.lines().skip_while(|line| !line.starts_with("Rung")).take(5).collect();
    assert_eq!(
        table,
        [
            "Rung  events    share",
            "────  ──────  ───────",
            "   0       2  33.33 %  decided with the models that the menu names",
            "   1       2  33.33 %  with their next fallbacks",
            "   2       2  33.33 %  without a model, by hash",
        ],
        "{}",
        ran.out
    );
    let (_, document) = lab.replay("in.tmf", "--name b");
    assert_eq!((rungs(&document), &document["lines"][0]["seen"]), (vec![2, 2, 2], &json!(4)), "{document}");
    // SPEC.md section 6, name "#fallback": of the events 3 and 5 of run 1, one in eight: event 3.
    let kept = events(&lab, "b-physics-0001.mcap");
    let by_hash: Vec<&Value> = kept.iter().filter(|event| event["verdict"]["rung"] == 2).collect();
    assert_eq!(by_hash.len() as u64 + 2, document["ledger"]["accepted"].as_u64().unwrap());
    assert_eq!(by_hash.iter().map(|event| event["event"].as_u64().unwrap()).collect::<Vec<_>>(), [3]);
    assert_eq!(by_hash[0]["verdict"]["fault"], "not_finite");
    let table = lab.tamis("cat out/b-physics-0001.mcap").out;
    assert!(table.contains("(kept by hash: not_finite by twice)"), "{table}");
    assert_eq!(lab.tamis("verify out/b-physics-0001.mcap").code, Some(0));
}

#[test]
fn what_is_later_than_the_deadline_says_so_and_is_accepted_by_verify() {
    let lab = lab("");
    let (code, document) = lab.replay("in.tmf", "--name a --deadline 1ns");
    assert_eq!((code, &document["ledger"]["errored"]["deadline"]), (75, &json!(6)), "{document}");
    let late = events(&lab, "a-error-0001.mcap");
    assert!(
        late.iter()
            .all(|event| event["verdict"]["fault"] == "deadline" && event["verdict"]["engine"] == "none")
    );
    assert!(late.iter().all(|event| event["verdict"].get("guilty_model").is_none()));
    assert_eq!(lab.tamis("verify out/a-error-0001.mcap").code, Some(0));
    // In time, a deadline changes nothing.
    let (_, in_time) = lab.replay("in.tmf", "--name b --deadline 1000s");
    assert_eq!((rungs(&in_time), &in_time["ledger"]["errored"]["not_finite"]), (vec![2, 2], &json!(2)));
    assert!(lab.tamis("replay in.tmf --menu menu.toml --out out --deadline 2").err.contains("as in 2ms"));
}

#[test]
fn a_fallback_that_does_not_fit_is_refused_before_the_run() {
    let lab = lab("");
    lab.write(
        "menu.toml",
        MODEL_MENU.replace("bundle = \"twice\"", "bundle = \"twice\"\nfallback = [\"nowhere\"]"),
    );
    assert!(lab.tamis("replay in.tmf --menu menu.toml --out out").refusal(65).contains("nowhere"));
    let manifest = std::fs::read_to_string(lab.path("clipped/model.toml")).unwrap();
    lab.write("clipped/model.toml", manifest.replace("[\"score\"]", "[\"other\"]"));
    lab.write("menu.toml", MODEL_MENU.replace("bundle = \"twice\"", FALLBACK));
    let refusal = lab.tamis("replay in.tmf --menu menu.toml --out out");
    assert!(refusal.refusal(65).contains("gives the scores other, not score"), "{refusal:?}");
}
