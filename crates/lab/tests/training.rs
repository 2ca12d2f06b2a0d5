//! Training: reproducible, honest about what it held out, and strict about recipes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use safetensors::SafeTensors;
use tamis_event::Schema;
use tamis_lab::{Dataset, Recipe, TrainError, Trained, train};

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

/// Events of which two in three have label 0; pt of the others is larger on average.
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

fn run(recipe: &str) -> Result<Trained, TrainError> {
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
    // Random labels must give an AUC near 0.5: held-out events do not leak into the training.
    let mut noise = toy();
    let record = noise.schema.record_len();
    for (event, bytes) in noise.events.chunks_exact_mut(record).enumerate() {
        bytes[record - 2..].copy_from_slice(&i16::from((event * 7919) % 5 < 2).to_le_bytes());
    }
    let recipe = Recipe::parse(&DENSE.replace("epochs = 6", "epochs = 60"), "toy.toml").unwrap();
    let outcome = train(&recipe, &[noise], &mut |_| ()).unwrap();
    assert!((outcome.auc[1].value - 0.5).abs() < 0.08, "{:?}", outcome.auc);
}

/// Events of pure noise, each once as "no" and once as "yes": nothing can be learned, however the second copy entered the recipe.
#[test]
fn an_event_is_held_out_wherever_it_stands() {
    let noise = toy();
    let record = noise.schema.record_len();
    // Another file, with the second half first and other labels.
    let (front, back) = noise.events.split_at(1500 * record);
    let mut shuffled = [back, front].concat();
    shuffled
        .chunks_exact_mut(record)
        .for_each(|event| event[record - 2..].copy_from_slice(&9_i16.to_le_bytes()));
    let shuffled = Dataset { schema: noise.schema.clone(), events: shuffled };
    let recipe = DENSE.replace("epochs = 6", "epochs = 60").replace("[5, 8, 2]", "[5, 64, 2]");
    let (head, _) = recipe.split_once("[[data]]").unwrap();
    let entry = |file: &str, class: &str| format!("[[data]]\nfile = \"{file}\"\nclass = \"{class}\"\n");
    let same = format!("{head}{}{}", entry("toy.tmf", "no"), entry("toy.tmf", "yes"));
    let copied = format!("{head}{}{}", entry("toy.tmf", "no"), entry("copy.tmf", "yes"));
    for (recipe, datasets) in [(same, vec![noise.clone()]), (copied, vec![noise, shuffled])] {
        let recipe = Recipe::parse(&recipe, "toy.toml").unwrap();
        let outcome = train(&recipe, &datasets, &mut |_| ()).unwrap();
        assert!(outcome.auc.iter().all(|auc| (auc.value - 0.5).abs() < 0.02), "{:?}", outcome.auc);
        assert_eq!(outcome.trained + outcome.held_out, 6000);
        let twice = format!(
            "{} events to train with stand in several [[data]], or in a file twice",
            outcome.trained / 2
        );
        assert_eq!(outcome.notes, [twice]);
    }
}

/// Equal events count as separate events: some are held out, others not.
#[test]
fn equal_events_of_one_file_are_divided_like_others() {
    let mut data = toy();
    let record = data.schema.record_len();
    let first = data.events[..record].to_vec();
    data.events
        .chunks_exact_mut(record)
        .take(2400)
        .for_each(|event| event[..record - 2].copy_from_slice(&first[..record - 2]));
    let recipe = Recipe::parse(DENSE, "toy.toml").unwrap();
    let outcome = train(&recipe, &[data], &mut |_| ()).unwrap();
    assert!((530..670).contains(&outcome.held_out), "{} held out of 2400", outcome.held_out);
}

#[test]
fn events_that_were_trained_on_are_not_evaluated() {
    let recipe = DENSE
        .replace("\"dense\"", "\"autoencoder\"")
        .replace("[5, 8, 2]", "[5, 3, 5]")
        .replace(r#"["no", "yes"]"#, r#"["score"]"#)
        .replace("background = \"no\"", "")
        .replace("balance = true", "");
    let (head, _) = recipe.split_once("[[data]]").unwrap();
    let with = |label: &str| {
        format!(
            "{head}[[data]]\nfile = \"toy.tmf\"\n{label}\n[[evaluate]]\nname = \"all\"\nfile = \"toy.tmf\"\n"
        )
    };
    let outcome = run(&with("label = { field = \"label\", values = [0] }")).unwrap();
    let note = format!("'all': {} of 3000 events were trained on and are left out", outcome.trained);
    assert_eq!(outcome.notes, [note]);
    assert!(
        outcome.auc[0].value > 0.6,
        "what is left are held-out events and those of other labels: {:?}",
        outcome.auc
    );
    let few = with("label = { field = \"label\", values = [0] }")
        .replace("name = \"all\"", "name = \"all\"\nmax_events = 1");
    // The first event is either held out, or trained on, and then nothing is left.
    let made = run(&few);
    assert!(
        made.is_ok()
            || made.unwrap_err().to_string()
                == "[[evaluate]] 'all': all 1 events were trained on; name other events"
    );
}

/// An angle from -pi to pi keeps its range, so a network learns both halves: the golden inputs are those of the file, and their scores show how well
/// it learned them.
#[test]
fn rotation_covers_the_range_of_the_angle() {
    let recipe = DENSE
        .replace("\"dense\"", "\"autoencoder\"")
        .replace("[5, 8, 2]", "[5, 16, 5, 16, 5]")
        .replace(r#"["no", "yes"]"#, r#"["score"]"#)
        .replace("background = \"no\"", "")
        .replace("balance = true", "")
        .replace("augment = \"rotate\"", "standardize = true\naugment = \"rotate\"")
        .replace("epochs = 6", "epochs = 30");
    let (head, _) = recipe.split_once("[[data]]").unwrap();
    let recipe = format!("{head}[[data]]\nfile = \"toy.tmf\"\n");
    let mut data = toy();
    let record = data.schema.record_len();
    for event in data.events.chunks_exact_mut(record) {
        let phi = f32::from_le_bytes(event[8..12].try_into().unwrap());
        event[8..12].copy_from_slice(&(phi - 3.125).to_le_bytes());
    }
    let outcome = train(&Recipe::parse(&recipe, "toy.toml").unwrap(), &[data.clone()], &mut |_| ()).unwrap();
    let golden = SafeTensors::deserialize(&outcome.bundle.golden).unwrap();
    let read = |name: &str| -> Vec<f32> {
        golden
            .tensor(name)
            .unwrap()
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect()
    };
    let (inputs, scores) = (read("inputs"), read("scores"));
    let of_half = |negative: bool| {
        let half = inputs.chunks(5).zip(&scores).filter(|(row, _)| (row[4] < 0.0) == negative);
        let mut scores: Vec<f32> = half.map(|(_, &score)| score).collect();
        scores.sort_by(f32::total_cmp);
        scores[scores.len() / 2]
    };
    let (negative, positive) = (of_half(true), of_half(false));
    assert!(negative < 3.0 * positive && positive < 3.0 * negative, "{negative} and {positive}");

    // Values that are no angle are refused.
    data.events
        .chunks_exact_mut(record)
        .for_each(|event| event[8..12].copy_from_slice(&50_f32.to_le_bytes()));
    let refused =
        train(&Recipe::parse(&recipe, "toy.toml").unwrap(), &[data], &mut |_| ()).unwrap_err().to_string();
    assert!(
        refused.starts_with("'phi' is no angle that can rotate: its values are from 0 to 50"),
        "{refused}"
    );
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

/// Text of the recipe, its replacement, and the message for the user: place and words.
#[rustfmt::skip]
const RECIPES: &[(&str, &str, &str)] = &[
    ("name = \"toy\"", "name = \"Toy\"", "2:8: the name of a model is up to 64 of a-z, 0-9 and '_', a letter first, not 'Toy'"),
    ("version = \"1\"", "version = 1", "3:11: 'version' must be text in quotation marks, not a whole number"),
    ("architecture = \"dense\"", "architecture = dense", "5:16: a word needs quotation marks: \"dense\""),
    ("architecture = \"dense\"", "architecture = \"dens\"", "5:16: no architecture 'dens'; did you mean 'dense'?"),
    ("architecture = \"dense\"", "architecture = \"transformer\"", "5:16: no architecture 'transformer'; it is one of dense, autoencoder"),
    ("architecture = \"dense\"\n", "", "1:1: a recipe needs the key 'architecture', for example architecture = \"dense\""),
    ("[5, 8, 2]", "[5]", "6:10: 'layers' needs at least 2 widths, for example [57, 32, 16, 3]"),
    ("[5, 8, 2]", "[5, 0, 2]", "6:14: a layer has 1 to 8192 numbers, not 0"),
    ("[5, 8, 2]", "[5, 8, 3]", "7:11: a classifier has at least 2 outputs, one for every number of the last layer: 2 outputs, but 3 numbers"),
    ("[\"no\", \"yes\"]", "[\"no\", \"Yes\"]", "7:18: an output is up to 64 of a-z, 0-9 and '_', a letter first, not 'Yes'"),
    ("[\"no\", \"yes\"]", "\"no\"", "7:11: 'outputs' must be a list, for example [\"background\", \"taus\"], not text"),
    ("background = \"no\"", "background = \"now\"", "8:14: no output 'now'; did you mean 'no'?"),
    ("seed = 3", "seed = -3", "9:8: 'seed' must be a whole number, 0 or more, not -3"),
    ("epochs = 6", "epochs = 0", "10:10: 'epochs' must be a whole number from 1 to 4294967295, not 0"),
    ("epochs = 6", "epoch = 6", "10:1: a recipe has no key 'epoch'; did you mean 'epochs'?"),
    ("batch = 32", "batch = 3.5", "11:9: 'batch' must be a whole number from 1 to 1048576, not a decimal number"),
    ("learning_rate = 1e-2", "learning_rate = 1", "12:17: 'learning_rate' must be a number above 0 and below 1, not 1"),
    ("learning_rate = 1e-2", "learning_rate = nan", "12:17: 'learning_rate' must be a finite number, not nan"),
    ("held_out = 0.25", "held_out = 1", "13:12: 'held_out' must be a number above 0 and at most 0.9, not 1"),
    ("balance = true", "balance = \"yes\"", "14:11: 'balance' must be true or false, not text"),
    ("clip = [-5.0, 5.0]", "clip = [5.0, -5.0]", "19:8: 'clip' must be two numbers, the lower one first, for example [-5.0, 5.0]"),
    ("field = \"phi\"", "field = \"phi[\"", "26:9: 'phi[' is no field; write name or name[index]"),
    ("augment = \"rotate\"", "augment = \"rotation\"", "27:11: no symmetry 'rotation'; did you mean 'rotate'?"),
    ("class = \"yes\"", "class = \"gamma\"", "36:9: no output 'gamma'; it is one of no, yes"),
    ("class = \"yes\"\n", "", "34:1: a [[data]] needs the key 'class', for example class = \"no\""),
    ("label = { field = \"label\", values = [0] }", "label = \"label\"", "32:9: 'label' must be { field = \"truth.label\", values = [0] }, not text"),
    ("values = [0]", "values = [0.5]", "32:38: a label is a whole number, not 0.5"),
    ("max_events = 400", "max_event = 400", "38:1: a [[data]] has no key 'max_event'; did you mean 'max_events'?"),
    ("max_events = 400", "max_events = 400\n[[evaluate]]\nname = \"x\"\nfile = \"x\"", "39:3: [[evaluate]] is for autoencoders; a classifier is evaluated on its held-out events"),
];

#[test]
fn a_wrong_recipe_is_told_what_and_where() {
    for (good, wrong, told) in RECIPES {
        assert!(DENSE.contains(good), "{good}");
        let mistakes = Recipe::parse(&DENSE.replacen(good, wrong, 1), "toy.toml").unwrap_err();
        let all: Vec<String> =
            mistakes.all().iter().map(|m| format!("{}:{}: {}", m.line(), m.column(), m.message())).collect();
        assert_eq!(all, [*told], "{wrong}");
        assert!(
            mistakes.to_string().lines().last().unwrap().trim() == "^" || told.starts_with("1:1"),
            "{mistakes}"
        );
    }
    // All mistakes at once.
    let many = RECIPES.iter().fold(DENSE.to_owned(), |text, (good, wrong, _)| match *good {
        "seed = 3" | "epochs = 6" | "held_out = 0.25" | "class = \"yes\"" | "values = [0]" => {
            text.replacen(good, wrong, 1)
        }
        _ => text,
    });
    assert_eq!(Recipe::parse(&many, "toy.toml").unwrap_err().all().len(), 5);
}

#[test]
fn recipes_and_events_that_do_not_fit_are_refused() {
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
