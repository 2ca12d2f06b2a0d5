//! Training: reproducible, honest about what it held out, and strict about recipes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use safetensors::SafeTensors;
use tamis_event::Schema;
use tamis_lab::{Dataset, Outcome, Recipe, TrainError, train};

const SCHEMA: &str = r#"
name = "toy"
field = [
    { name = "pt", dtype = "i16", len = 3, scale = 0.5 },
    { name = "constant", dtype = "i16" },
    { name = "phi", dtype = "f32", unit = "rad" },
    { name = "label", dtype = "i16", role = "truth" },
]
"#;

const DENSE: &str = r#"
name = "toy"
version = "1"
doc = "a \"toy\""
architecture = "dense"
layers = [5, 8, 2]
outputs = ["no", "yes"]
background = "no"
seed = 3
epochs = 6
batch = 32
learning_rate = 1e-2
held_out = 0.25
balance = true

[[input]]
field = "pt"
standardize = true
clip = [-5.0, 5.0]

[[input]]
field = "constant"
standardize = true

[[input]]
field = "phi"
augment = "rotate"

[[data]]
file = "toy.tmf"
class = "no"
label = { field = "label", values = [0] }

[[data]]
file = "toy.tmf"
class = "yes"
label = { field = "label", values = [1, 2] }
max_events = 400
"#;

/// Events whose label is 0 for two of three; pt of the others is larger on average.
fn toy() -> Dataset {
    let mut events = Vec::new();
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    for event in 0..3000 {
        let label = i16::from(event % 3 == 2) * (1 + i16::from(event % 2 == 0));
        for _ in 0..3 {
            let pt = (uniform() + uniform()) * 50.0 + f32::from(label.min(1)) * 30.0;
            events.extend((pt as i16).to_le_bytes());
        }
        events.extend(7i16.to_le_bytes());
        events.extend((uniform() * 6.25).to_le_bytes());
        events.extend(label.to_le_bytes());
    }
    Dataset { schema: Schema::parse(SCHEMA.as_bytes()).unwrap(), events }
}

fn run(recipe: &str) -> Result<Outcome, TrainError> {
    let recipe = Recipe::parse(recipe, "toy.toml").unwrap();
    let datasets = vec![toy(); recipe.files().len()];
    train(&recipe, &datasets, &mut |_| ())
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (one, other) = (run(DENSE).unwrap(), run(DENSE).unwrap());
    assert_eq!(one, other);
    assert_ne!(one.bundle, run(&DENSE.replace("seed = 3", "seed = 4")).unwrap().bundle);
}

#[test]
fn a_classifier_learns_what_can_be_learned() {
    let outcome = run(DENSE).unwrap();
    assert_eq!(outcome.trained + outcome.held_out, 2000 + 400);
    assert!((550..650).contains(&outcome.held_out), "{} held out of 2400", outcome.held_out);
    assert_eq!(outcome.losses.len(), 6);
    let yes = outcome.auc.iter().find(|auc| auc.signal == "yes").unwrap();
    assert!(yes.value > 0.95, "{yes:?}");
    // Labels without meaning must give an AUC without meaning: nothing of the held-out events leaks into the training.
    let mut noise = toy();
    let record = noise.schema.record_len();
    for (event, bytes) in noise.events.chunks_exact_mut(record).enumerate() {
        bytes[record - 2..].copy_from_slice(&i16::from((event * 7919) % 5 < 2).to_le_bytes());
    }
    let recipe = Recipe::parse(&DENSE.replace("epochs = 6", "epochs = 60"), "toy.toml").unwrap();
    let outcome = train(&recipe, &[noise], &mut |_| ()).unwrap();
    assert!((outcome.auc[1].value - 0.5).abs() < 0.08, "{:?}", outcome.auc);
}

#[test]
fn an_autoencoder_finds_what_it_has_not_seen() {
    let recipe = DENSE
        .replace("\"dense\"", "\"autoencoder\"")
        .replace("[5, 8, 2]", "[5, 3, 5]")
        .replace(r#"["no", "yes"]"#, r#"["score"]"#)
        .replace("background = \"no\"", "")
        .replace("balance = true", "")
        .replace("class = \"no\"", "");
    let (head, _) = recipe.rsplit_once("[[data]]").unwrap();
    let evaluate =
        "[[evaluate]]\nname = \"yes\"\nfile = \"toy.tmf\"\nlabel = { field = \"label\", values = [1, 2] }\n";
    let outcome = run(&format!("{head}{evaluate}")).unwrap();
    assert_eq!(outcome.auc.len(), 1);
    assert!(outcome.auc[0].value > 0.7, "{:?}", outcome.auc);
    assert_eq!(outcome.bundle, run(&format!("{head}{evaluate}")).unwrap().bundle);
}

/// The stored network, run by hand in f64, gives the golden scores: the tensors mean what the format says.
#[test]
fn golden_scores_follow_from_the_stored_numbers() {
    let bundle = run(DENSE).unwrap().bundle;
    let manifest: toml::Value = toml::from_str(&bundle.manifest).unwrap();
    let weights = SafeTensors::deserialize(&bundle.weights).unwrap();
    let golden = SafeTensors::deserialize(&bundle.golden).unwrap();
    let read = |file: &SafeTensors<'_>, name: &str| -> Vec<f64> {
        let view = file.tensor(name).unwrap();
        view.data().as_chunks().0.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect()
    };
    let per_element = |value: &toml::Value, count: usize| match value {
        toml::Value::Array(list) => list.iter().map(|v| v.as_float().unwrap()).collect(),
        one => vec![one.as_float().unwrap(); count],
    };
    let mut steps = Vec::new();
    for (input, count) in manifest["input"].as_array().unwrap().iter().zip([3, 1, 1]) {
        let clip: Option<Vec<f64>> = input
            .get("clip")
            .map(|clip| clip.as_array().unwrap().iter().map(|v| v.as_float().unwrap()).collect());
        let (shift, scale) = (per_element(&input["shift"], count), per_element(&input["scale"], count));
        (0..count).for_each(|k| steps.push((shift[k], scale[k], clip.clone())));
    }
    let layer = |k: usize, x: &[f64], relu: bool| -> Vec<f64> {
        let (w, b) =
            (read(&weights, &format!("layers.{k}.weight")), read(&weights, &format!("layers.{k}.bias")));
        let neuron =
            |o: usize| b[o] + x.iter().enumerate().map(|(i, x)| x * w[o * x_len(&w, &b) + i]).sum::<f64>();
        (0..b.len()).map(|o| if relu { neuron(o).max(0.0) } else { neuron(o) }).collect()
    };
    let (inputs, scores) = (read(&golden, "inputs"), read(&golden, "scores"));
    assert_eq!(inputs.len(), 32 * 5);
    for (values, scores) in inputs.chunks(5).zip(scores.chunks(2)) {
        let prepared = values.iter().zip(&steps).map(|(value, (shift, scale, clip))| {
            let x = (value - shift) * scale;
            clip.as_ref().map_or(x, |clip| x.clamp(clip[0], clip[1]))
        });
        let last = layer(1, &layer(0, &prepared.collect::<Vec<_>>(), true), false);
        let yes = 1.0 / (1.0 + (last[0] - last[1]).exp());
        assert!(
            (scores[1] - yes).abs() < 1e-5 && (scores[0] + yes - 1.0).abs() < 1e-5,
            "{scores:?}, by hand {yes}"
        );
    }
}

/// Inputs of a layer with these weights and biases.
fn x_len(weights: &[f64], biases: &[f64]) -> usize {
    weights.len() / biases.len()
}

#[test]
fn recipes_and_events_that_do_not_fit_are_refused() {
    let parse = |good: &str, wrong: &str| {
        assert!(DENSE.contains(good), "{good}");
        Recipe::parse(&DENSE.replacen(good, wrong, 1), "toy.toml").unwrap_err().to_string()
    };
    assert_eq!(
        parse("name = \"toy\"", "name = \"Toy\""),
        "toy.toml: name: use a-z, 0-9 and '_', a letter first"
    );
    assert_eq!(parse("[5, 8, 2]", "[5]"), "toy.toml: layers: give at least 2 widths between 1 and 8192");
    assert_eq!(
        parse("held_out = 0.25", "held_out = 1"),
        "toy.toml: held_out: give a fraction above 0 and at most 0.9"
    );
    assert_eq!(
        parse("class = \"yes\"", "class = \"maybe\""),
        "toy.toml: toy.tmf: class must be one of outputs"
    );
    assert_eq!(
        parse("field = \"phi\"", "field = \"phi[\""),
        "toy.toml: phi[: is no field address; write name or name[index]"
    );
    let unknown = parse("epochs", "epoch");
    assert!(
        unknown.starts_with("toy.toml: TOML parse error at line ")
            && unknown.contains("unknown field `epoch`")
    );

    let refuse = |good: &str, wrong: &str| run(&DENSE.replacen(good, wrong, 1)).unwrap_err().to_string();
    assert_eq!(
        refuse("field = \"phi\"", "field = \"phis\""),
        "toy.tmf: no field 'phis' in schema 'toy'; did you mean 'phi'?"
    );
    assert_eq!(
        refuse("field = \"phi\"", "field = \"label\""),
        "toy.tmf: 'label' is simulation truth; a network must not learn from it"
    );
    assert_eq!(
        refuse("[5, 8, 2]", "[6, 8, 2]"),
        "toy.tmf: the inputs have 5 numbers, the first layer takes 6"
    );
    assert_eq!(refuse("values = [0]", "values = [9]"), "toy.tmf: no event passes its label filter");
    let recipe = Recipe::parse(DENSE, "toy.toml").unwrap();
    assert_eq!(recipe.files(), ["toy.tmf"]);
    assert_eq!(
        train(&recipe, &[], &mut |_| ()).unwrap_err().to_string(),
        "the recipe names 1 files, 0 data sets were given"
    );
    let mut torn = toy();
    torn.events.pop();
    let bytes = torn.events.len();
    assert_eq!(
        train(&recipe, &[torn], &mut |_| ()).unwrap_err(),
        TrainError::Records { file: "toy.tmf".into(), bytes, record: 14 }
    );
}
