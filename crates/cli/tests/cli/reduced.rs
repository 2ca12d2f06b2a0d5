//! Engines of integers: calibrated, checked, asked for.

use serde_json::{Value, json};

use crate::models::{json_of, lab};
use crate::support::{Lab, sample};

/// Calibrates the sample network on some events as `q`.
fn calibrate() -> String {
    format!("model calibrate {} {} --events 5k --out q", sample("models/topo"), sample("l1-mixed.tmf.zst"))
}

fn calibrated() -> Lab {
    let lab = lab(&[1.0]);
    assert_eq!(lab.tamis(&calibrate()).code, Some(0));
    lab
}

#[test]
fn a_calibration_says_what_fewer_bits_change() {
    let lab = lab(&[1.0]);
    let line = calibrate();
    let ran = lab.tamis(&line);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.out.starts_with("q: topo 1.0.0, calibrated on 5,000 events\nhash "), "{}", ran.out);
    for word in [
        "topo.leptons",
        "of kept",
        "int16 ",
        "int8 ",
        "integers of 16 bits hold numbers up to 2 times as large, those of 8 bits up to this size",
        "the tolerance is 4 times",
        "golden vectors",
        "noise",
        "5,000 events are few",
    ] {
        assert!(ran.out.contains(word), "'{word}' is not in:\n{}", ran.out);
    }
    let document = json_of(&lab.tamis(&format!("{line} --overwrite --json")).out);
    let info = json_of(&lab.tamis("model info q --json").out);
    assert_eq!(
        (&document["exit"], &document["hash"], &document["calibration"]),
        (&json!(0), &info["hash"], &info["calibration"])
    );
    assert_eq!(
        (&info["calibration"]["events"], &document["engines"][1]["scores"][1]["cuts"][0]["kept"]),
        (&json!(5000), &json!(50))
    );
}

#[test]
fn integers_are_checked_where_the_types_of_the_fields_are_known() {
    let lab = calibrated();
    let info = json_of(&lab.tamis("model info q --json").out);
    // Checked where the fields are integers; a schema of the inputs alone has none.
    let ran = lab.tamis("model verify q");
    assert!(
        ran.code == Some(0)
            && ran.out.contains("int8 was not checked")
            && ran.out.contains("give a --schema or --events"),
        "{ran:?}"
    );
    assert!(!ran.out.contains("  int16  "), "{ran:?}");
    let ran = lab.tamis(&format!("model verify q --schema {} --json", sample("schemas/l1.toml")));
    let engines = &json_of(&ran.out)["bundles"][0]["engines"];
    assert_eq!(
        (ran.code, &engines[2]["engine"], &engines[2]["problem"]),
        (Some(0), &json!("int16"), &Value::Null)
    );
    for (engine, name) in [(2, "int16"), (3, "int8")] {
        assert_eq!(engines[engine]["engine"], name);
        assert!(engines[engine]["tolerance"].is_f64(), "{engines}");
        assert_eq!(engines[engine]["tolerance"], info["calibration"]["tolerance"][name]);
    }
    let ran = lab.tamis("model verify q --json");
    let engines = json_of(&ran.out)["bundles"][0]["engines"].as_array().unwrap().len();
    assert_eq!((ran.code, engines), (Some(0), 2), "{ran:?}");
    let ran = lab.tamis("model verify q --device int16");
    assert!(ran.code == Some(76) && ran.err.contains("'met.pt' is f32 in the schema"), "{ran:?}");
}

#[test]
fn fewer_bits_are_compared_if_they_are_asked_for() {
    let lab = calibrated();
    let (events, menu) = (sample("l1-mixed.tmf.zst"), sample("menus/l1.toml"));
    let compare = format!("model compare {events} --menu {menu} --model topo=q --json --max-difference 1");
    let document = json_of(&lab.tamis(&format!("{compare} --engines flex,int16,int8")).out);
    for (contrast, most) in [(0, 4), (1, 100)] {
        let accepted = &document["contrasts"][contrast]["accepted"];
        assert!(accepted["reference"] == 667 && accepted["flips"].as_u64().unwrap() < most, "{accepted}");
    }
    // By default a score may be off by what calibration wrote into the bundle, on a float engine by 1e-4; a number that is given wins.
    let compare = format!("model compare {events} --model q --json --engines flex");
    let info = json_of(&lab.tamis("model info q --json").out);
    for (engine, tolerance) in
        ["int16", "int8", "fused"].map(|at| (at, &info["calibration"]["tolerance"][at]))
    {
        let ran = lab.tamis(&format!("{compare},{engine}"));
        let score = json_of(&ran.out)["contrasts"][0]["scores"][0].clone();
        let allowed = if engine == "fused" { &json!(1e-4) } else { tolerance };
        assert_eq!((ran.code, &score["allowed"]), (Some(0), allowed), "{ran:?}");
        let strict = lab.tamis(&format!("{compare},{engine} --max-difference 1e-9"));
        assert_eq!(strict.code, Some(76), "{strict:?}");
        assert_eq!(json_of(&strict.out)["contrasts"][0]["scores"][0]["allowed"], 1e-9);
    }
    let document =
        json_of(&lab.tamis(&format!("model compare {events} --menu {menu} --model topo=q --json")).out);
    assert_eq!(
        (&document["contrasts"][0]["engine"], document["contrasts"].as_array().unwrap().len()),
        (&json!("fused"), 1)
    );
}

#[test]
fn a_chain_without_hidden_layers_needs_no_room_for_any() {
    let lab = lab(&[1.0]);
    lab.sound_model("whole", "n", 2.0);
    let ran = lab.tamis("model calibrate whole in.tmf --out w");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    for engine in ["int16", "int8"] {
        let ran = lab.tamis(&format!("score in.tmf --model w --device {engine} --out -"));
        assert_eq!(ran.out, "event,twice.score\n0,0.0\n");
    }
}

#[test]
fn inputs_that_are_no_integers_are_refused_by_name() {
    let lab = lab(&[1.5]);
    let ran = lab.tamis("model calibrate twice in.tmf --out t");
    assert_eq!(ran.code, Some(65), "{ran:?}");
    for engine in ["int16", "int8"] {
        let told = format!("{engine}: model 'twice': engine {engine} cannot run it: input 'x' is f32");
        assert!(ran.err.contains(&told), "{ran:?}");
    }
}

#[test]
fn an_engine_that_is_too_coarse_for_a_bundle_is_the_only_one_that_refuses_it() {
    let lab = calibrated();
    let manifest = lab.path("q").join("model.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let (before, after) = text.split_once(", int8 = ").unwrap();
    let without = format!("{before}{}", &after[after.find(" }").unwrap()..]);
    std::fs::write(&manifest, without).unwrap();
    let score = format!("score {} --model q --out s.npy --overwrite --device", sample("l1-mixed.tmf.zst"));
    assert_eq!(lab.tamis(&format!("{score} int16")).code, Some(0));
    let ran = lab.tamis(&format!("{score} int8"));
    assert!(ran.code == Some(65) && ran.err.contains("use --device int16, or fused"), "{ran:?}");
    let ran = lab.tamis("model verify q");
    let told = |engine: &str, why: &str| ran.out.contains(&format!("{engine} was not checked: {why}"));
    assert!(
        told("int16", "integers need to know the types")
            && told("int8", "[calibration] of its manifest has no tolerance for int8"),
        "{ran:?}"
    );
}
