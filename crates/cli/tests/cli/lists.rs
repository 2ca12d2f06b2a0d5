//! Lists from end to end: what is generated, decided, shown and verified has as many elements as the event has.

use serde_json::{Value, json};

use crate::support::{Lab, sample};

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers<'a>(event: &'a Value, field: &str) -> &'a [Value] {
    event["fields"][field].as_array().unwrap()
}

#[test]
fn a_recording_with_lists_is_made_decided_shown_and_verified() {
    let lab = Lab::new();
    let schema = sample("schemas/lists.toml");
    let made = lab.tamis(&format!("gen --schema {schema} --events 6000 --signal 0.3 --out in.tmf"));
    assert_eq!(made.code, Some(0), "{made:?}");
    let all = events(&lab.tamis("cat in.tmf --jsonl").out);
    assert_eq!(all.len(), 6000);
    let mut seen = std::collections::BTreeSet::new();
    for event in &all {
        let jets = numbers(event, "jets.pt");
        assert!(jets.iter().all(|pt| pt.as_f64().unwrap() > 0.0), "no padding is shown: {event}");
        assert_eq!(jets.len(), numbers(event, "jets.eta").len());
        assert_eq!(numbers(event, "muons.pt").len(), numbers(event, "muons.charge").len());
        seen.insert(jets.len());
    }
    assert!(seen.contains(&0) && seen.contains(&12), "{seen:?}");

    let info = lab.tamis("info in.tmf");
    assert!(info.out.contains("u16[0..12]") && info.out.contains("i8[0..4]"), "{}", info.out);
    let field = &serde_json::from_str::<Value>(&lab.tamis("info in.tmf --json").out).unwrap()["fields"][1];
    assert_eq!((&field["list"], &field["elements"]), (&json!("jets"), &json!(12)));

    // The first event has no jet, so a table must not take its width for that of all.
    let empty =
        all.iter().find(|event| numbers(event, "jets.pt").is_empty()).unwrap()["event"].as_u64().unwrap();
    let table = lab.tamis(&format!("cat in.tmf --event {empty} --fields jets.pt[11],jets.pt,met.pt"));
    assert_eq!(table.code, Some(0), "{table:?}");
    let beyond = lab.tamis("cat in.tmf --limit 1 --fields jets.pt[12]");
    assert!(beyond.err.contains("write jets.pt[0] to jets.pt[11]"), "{beyond:?}");

    lab.write(
        "menu.toml",
        "name = 'lists'\n[[stream]]\nname = 'physics'\n[[line]]\nname = 'jets'\nstreams = ['physics']\n\
         when = 'count(jets) >= 2 && min(jets.pt) > 5 && count(muons.charge == 0) == 0'\n",
    );
    let (code, document) = lab.replay("in.tmf", "");
    let passes = |event: &&Value| {
        let jets = numbers(event, "jets.pt");
        let zero = |charge: &Value| charge.as_f64() == Some(0.0);
        jets.len() >= 2
            && jets.iter().all(|pt| pt.as_f64().unwrap() > 5.0)
            && !numbers(event, "muons.charge").iter().any(zero)
    };
    let expected = all.iter().filter(passes).count();
    assert!(expected > 20);
    assert_eq!((code, &document["ledger"]["accepted"]), (0, &json!(expected)));
    let kept = lab.tamis("cat out/in-physics-0001.mcap --jsonl");
    assert!(events(&kept.out).iter().all(|event| passes(&event)));
    assert_eq!(lab.tamis("verify out/in-physics-0001.mcap").code, Some(0));
}
