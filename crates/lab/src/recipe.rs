//! Recipes: what to train, on which events, from which seed.
//!
//! ```toml
//! name = "topo"                       # of the model, and of the bundle's folder
//! version = "1.0.0"
//! architecture = "dense"              # or "autoencoder"
//! layers = [57, 32, 16, 3]
//! outputs = ["background", "leptons", "taus"]     # dense: the classes; autoencoder: the name of its one score
//! background = "background"           # dense: the class whose pass fractions are reported
//! seed = 1
//! epochs = 20
//! batch = 512
//! learning_rate = 2e-3                # falls to 0 along a cosine
//! weight_decay = 1e-2                 # of AdamW; default 0
//! held_out = 0.2                      # fraction of the events that is used only to evaluate
//! balance = true                      # dense: every class counts the same, however many events it has
//!
//! [[input]]                           # in the order of the first layer
//! field = "jets.pt"
//! standardize = true                  # x = (value - mean) / sigma * weight, mean and sigma from the training events
//! weight = 1.0
//! clip = [-5.0, 5.0]
//! augment = "rotate"                  # an angle, kept in its range (see `augment.rs`), or "reflect": a coordinate along the beam
//!
//! [[data]]
//! file = "../l1-zerobias.tmf.zst"     # relative to the recipe
//! class = "background"                # dense only
//! label = { field = "truth.label", values = [0] }     # only these events
//! max_events = 100000
//!
//! [[evaluate]]                        # autoencoder only: events it was not trained on
//! name = "leptons"
//! file = "../l1-a4l.tmf.zst"
//! ```

use tamis_event::{Address, unquoted};
use tamis_form::{Complaint, Complaints, MistakeKind, Mistakes, Placed, PlacedStr, Table, one_of};
use toml::de::DeTable;

const KEYS: [&str; 17] = [
    "name",
    "version",
    "doc",
    "architecture",
    "layers",
    "outputs",
    "background",
    "seed",
    "epochs",
    "batch",
    "learning_rate",
    "weight_decay",
    "held_out",
    "balance",
    "input",
    "data",
    "evaluate",
];
const INPUT_KEYS: [&str; 5] = ["field", "standardize", "weight", "clip", "augment"];
const DATA_KEYS: [&str; 4] = ["file", "class", "label", "max_events"];
const EVALUATE_KEYS: [&str; 4] = ["name", "file", "label", "max_events"];
const TABLES_MAX: usize = 4096;
const WIDTH_MAX: f64 = 8192.0;

/// A checked recipe.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub(crate) text: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) doc: String,
    pub(crate) architecture: Architecture,
    pub(crate) layers: Vec<usize>,
    pub(crate) outputs: Vec<String>,
    pub(crate) background: Option<String>,
    pub(crate) seed: u64,
    pub(crate) epochs: u32,
    pub(crate) batch: usize,
    pub(crate) learning_rate: f64,
    pub(crate) weight_decay: f64,
    pub(crate) held_out: f64,
    pub(crate) balance: bool,
    pub(crate) input: Vec<RecipeInput>,
    pub(crate) data: Vec<RecipeData>,
    pub(crate) evaluate: Vec<Evaluate>,
}

/// The kinds of network that can be trained; named as in the bundle format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    Dense,
    Autoencoder,
}

/// One schema field and its preprocessing.
#[derive(Clone, Debug)]
pub(crate) struct RecipeInput {
    pub field: String,
    pub standardize: bool,
    pub weight: f64,
    pub clip: Option<[f64; 2]>,
    pub augment: Option<Augment>,
}

/// A symmetry of the collisions that changes an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Augment {
    Rotate,
    Reflect,
}

/// Events to train with.
#[derive(Clone, Debug)]
pub(crate) struct RecipeData {
    pub file: String,
    pub class: Option<String>,
    pub label: Option<Label>,
    pub max_events: Option<usize>,
}

/// Events to evaluate an autoencoder with.
#[derive(Clone, Debug)]
pub(crate) struct Evaluate {
    pub name: String,
    pub file: String,
    pub label: Option<Label>,
    pub max_events: Option<usize>,
}

/// A filter on the truth of an event.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub field: String,
    pub values: Vec<i64>,
}

impl Recipe {
    /// Reads a recipe; `place` names it in errors.
    pub fn parse(text: &str, place: &str) -> Result<Self, Mistakes> {
        let mut complaints = Complaints::default();
        match read(text, &mut complaints) {
            Some(recipe) if complaints.0.is_empty() => Ok(recipe),
            _ => Err(Mistakes::new(place, text, complaints)),
        }
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of passes over the training events.
    pub fn epochs(&self) -> u32 {
        self.epochs
    }

    /// The files to load, as written in the recipe (relative to it), each once, in the order that [`crate::train`] expects.
    pub fn files(&self) -> Vec<&str> {
        let mut files = Vec::new();
        let all = self
            .data
            .iter()
            .map(|data| &data.file)
            .chain(self.evaluate.iter().map(|evaluate| &evaluate.file));
        for file in all {
            if !files.contains(&file.as_str()) {
                files.push(file.as_str());
            }
        }
        files
    }
}

type Read<T> = Result<T, Complaint>;

fn wrong<T>(at: usize, message: impl Into<String>) -> Read<T> {
    Err(Complaint::new(at, MistakeKind::Value, message))
}

fn read(text: &str, complaints: &mut Complaints) -> Option<Recipe> {
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let message = unquoted(text, at).unwrap_or_else(|| error.message().replace('\n', "; "));
        Complaint::new(at, MistakeKind::Toml, message)
    });
    let document = complaints.take(document)?;
    let table = Table::new("a recipe", &document);
    let (mut own, mut about) = (Complaints::default(), Complaints::default());
    let name =
        own.take(table.required("name", "\"topo\"").and_then(|name| word_of(&name, "the name of a model")));
    let version = own.take(table.required("version", "\"1.0.0\""));
    let doc = own.take(table.text("doc")).unwrap_or_default();
    let kinds = ["dense", "autoencoder"];
    let architecture = own.take(
        table
            .word("architecture", "architecture", &kinds)
            .and_then(|word| word.ok_or_else(|| table.missing("architecture", "\"dense\""))),
    );
    let architecture = architecture.map(|k| [Architecture::Dense, Architecture::Autoencoder][k]);
    let layers = own.take(layers_of(&table));
    let outputs = own.take(outputs_of(&table));
    let seed =
        own.take(table.natural("seed").and_then(|seed| seed.ok_or_else(|| table.missing("seed", "1"))));
    let count = |key: &str, max: u64, example: &str| {
        table.count(key, max).and_then(|count| count.ok_or_else(|| table.missing(key, example)))
    };
    let epochs = own.take(count("epochs", u32::MAX.into(), "20"));
    let batch = own.take(count("batch", 1 << 20, "512"));
    let rate = own.take(fraction(
        &table,
        "learning_rate",
        Some("2e-3"),
        |x| x > 0.0 && x < 1.0,
        "above 0 and below 1",
    ));
    let decay =
        own.take(fraction(&table, "weight_decay", None, |x| (0.0..1.0).contains(&x), "from 0 to below 1"));
    let held = own.take(fraction(
        &table,
        "held_out",
        Some("0.2"),
        |x| x > 0.0 && x <= 0.9,
        "above 0 and at most 0.9",
    ));
    let input = inputs_of(&table, &mut own, &mut about);
    let classes = match (architecture, &outputs) {
        (Some(Architecture::Dense), Some(outputs)) => Some(outputs.value.as_slice()),
        _ => None,
    };
    let data = data_of(&table, classes, &mut own, &mut about);
    let evaluate = evaluate_of(&table, &mut own, &mut about);
    if let (Some(architecture), Some(layers), Some(outputs)) = (architecture, &layers, &outputs) {
        let shape = Shape { table: &table, architecture, layers, outputs };
        shape.check(&mut own);
    }
    let background = own.take(table.string("background")).flatten().map(|name| name.value.to_owned());
    let balance = own.take(table.flag("balance")).unwrap_or_default();
    table.complain(&KEYS, own, complaints);
    complaints.0.extend(about.0);
    Some(Recipe {
        text: text.into(),
        name: name?,
        version: version?.value.into(),
        doc,
        architecture: architecture?,
        layers: layers?.value,
        outputs: outputs?.value,
        background,
        seed: seed?.value,
        epochs: epochs? as u32,
        batch: batch? as usize,
        learning_rate: rate?,
        weight_decay: decay?,
        held_out: held?,
        balance,
        input,
        data,
        evaluate,
    })
}

/// The number at `key`, which must satisfy `fits`. Without the key: 0, or an error if there is an `example`.
fn fraction(
    table: &Table<'_>,
    key: &str,
    example: Option<&str>,
    fits: impl Fn(f64) -> bool,
    range: &str,
) -> Read<f64> {
    match (table.number(key)?, example) {
        (Some(Placed { value, .. }), _) if fits(value) => Ok(value),
        (Some(Placed { at, value }), _) => {
            wrong(at, format!("'{key}' must be a number {range}, not {value}"))
        }
        (None, Some(example)) => Err(table.missing(key, example)),
        (None, None) => Ok(0.0),
    }
}

fn layers_of(table: &Table<'_>) -> Read<Placed<Vec<usize>>> {
    let example = "[57, 32, 16, 3]";
    let Placed { at, value: widths } =
        table.numbers("layers", example)?.ok_or_else(|| table.missing("layers", example))?;
    let fits = |width: f64| width.fract() == 0.0 && (1.0..=WIDTH_MAX).contains(&width);
    if let Some(width) = widths.iter().find(|width| !fits(width.value)) {
        return wrong(width.at, format!("a layer has 1 to {WIDTH_MAX} numbers, not {}", width.value));
    }
    if widths.len() < 2 {
        return wrong(at, format!("'layers' needs at least 2 widths, for example {example}"));
    }
    Ok(Placed { at, value: widths.iter().map(|width| width.value as usize).collect() })
}

fn outputs_of(table: &Table<'_>) -> Read<Placed<Vec<String>>> {
    let example = "[\"background\", \"taus\"]";
    let Placed { at, value: names } =
        table.strings("outputs", example)?.ok_or_else(|| table.missing("outputs", example))?;
    if names.is_empty() {
        return wrong(at, format!("'outputs' needs at least one name, for example {example}"));
    }
    let mut outputs: Vec<String> = Vec::new();
    for name in &names {
        let output = word_of(name, "an output")?;
        if outputs.contains(&output) {
            return wrong(name.span.start, format!("the output '{output}' is named twice"));
        }
        outputs.push(output);
    }
    Ok(Placed { at, value: outputs })
}

fn word_of(name: &PlacedStr<'_>, what: &str) -> Read<String> {
    let word = name.value;
    let fits = word.len() <= 64
        && word.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fits {
        return Ok(word.into());
    }
    wrong(
        name.span.start,
        format!("{what} is up to 64 of a-z, 0-9 and '_', a letter first, not {}", tamis_form::quoted(word)),
    )
}

/// Checks layers and outputs against the architecture.
struct Shape<'a> {
    table: &'a Table<'a>,
    architecture: Architecture,
    layers: &'a Placed<Vec<usize>>,
    outputs: &'a Placed<Vec<String>>,
}

impl Shape<'_> {
    fn check(&self, complaints: &mut Complaints) {
        match self.architecture {
            Architecture::Dense => self.check_dense(complaints),
            Architecture::Autoencoder => self.check_autoencoder(complaints),
        }
    }

    fn check_dense(&self, complaints: &mut Complaints) {
        let Self { table, layers, outputs, .. } = self;
        let names = &outputs.value;
        let last = layers.value[layers.value.len() - 1];
        if names.len() < 2 || last != names.len() {
            let message = format!(
                "a classifier has at least 2 outputs, one for every number of the last layer: {} outputs, but {last} numbers",
                names.len()
            );
            complaints.add(outputs.at, MistakeKind::Value, message);
        }
        let background = table.required("background", &format!("\"{}\"", names[0]));
        let background =
            background.and_then(|name| one_of(&name, "output", names.iter().map(String::as_str)));
        complaints.take(background);
        if let Some(at) = table.place_of("evaluate") {
            let message =
                "[[evaluate]] is for autoencoders; a classifier is evaluated on its held-out events";
            complaints.add(at, MistakeKind::Key, message);
        }
    }

    fn check_autoencoder(&self, complaints: &mut Complaints) {
        let Self { table, layers, outputs, .. } = self;
        if layers.value.first() != layers.value.last() {
            let message = "an autoencoder is as wide at the end as at the beginning";
            complaints.add(layers.at, MistakeKind::Value, message);
        }
        if outputs.value.len() != 1 {
            let message = "an autoencoder has one output, the reconstruction error";
            complaints.add(outputs.at, MistakeKind::Value, message);
        }
        for key in ["background", "balance"] {
            if let Some(at) = table.place_of(key) {
                let message = format!("'{key}' is for classifiers; an autoencoder knows no classes");
                complaints.add(at, MistakeKind::Value, message);
            }
        }
    }
}

fn inputs_of(table: &Table<'_>, own: &mut Complaints, complaints: &mut Complaints) -> Vec<RecipeInput> {
    let tables = own.take(table.tables("input", "an input", TABLES_MAX)).unwrap_or_default();
    let mut inputs = Vec::new();
    for table in tables {
        let mut about = Complaints::default();
        let field = about.take(table.required("field", "\"jets.pt\"").and_then(|field| address_of(&field)));
        let standardize = about.take(table.flag("standardize")).unwrap_or_default();
        let weight = about.take(table.number("weight").and_then(|weight| match weight {
            Some(Placed { at, value }) if value <= 0.0 => {
                wrong(at, format!("'weight' must be above 0, not {value}"))
            }
            weight => Ok(weight.map_or(1.0, |weight| weight.value)),
        }));
        let clip = about.take(clip_of(&table)).flatten();
        let augment = about.take(table.word("augment", "symmetry", &["rotate", "reflect"])).flatten();
        let augment = augment.map(|k| [Augment::Rotate, Augment::Reflect][k]);
        table.complain(&INPUT_KEYS, about, complaints);
        if let (Some(field), Some(weight)) = (field, weight) {
            inputs.push(RecipeInput { field, standardize, weight, clip, augment });
        }
    }
    inputs
}

fn clip_of(table: &Table<'_>) -> Read<Option<[f64; 2]>> {
    let example = "[-5.0, 5.0]";
    let Some(Placed { at, value: ends }) = table.numbers("clip", example)? else { return Ok(None) };
    match ends[..] {
        [Placed { value: low, .. }, Placed { value: high, .. }] if low < high => Ok(Some([low, high])),
        _ => wrong(at, format!("'clip' must be two numbers, the lower one first, for example {example}")),
    }
}

fn address_of(field: &PlacedStr<'_>) -> Read<String> {
    match field.value.parse::<Address>() {
        Ok(_) => Ok(field.value.into()),
        Err(_) => {
            let shown = tamis_form::quoted(field.value);
            wrong(field.span.start, format!("{shown} is no field; write name or name[index]"))
        }
    }
}

fn data_of(
    table: &Table<'_>,
    classes: Option<&[String]>,
    own: &mut Complaints,
    complaints: &mut Complaints,
) -> Vec<RecipeData> {
    let Some(tables) = own.take(table.tables("data", "a [[data]]", TABLES_MAX)) else { return Vec::new() };
    if tables.is_empty() {
        own.0.push(table.missing_tables("data", "file = \"events.tmf\""));
    }
    let mut data = Vec::new();
    for table in tables {
        let mut about = Complaints::default();
        let file = about.take(table.required("file", "\"events.tmf\""));
        let class = about.take(table.string("class")).flatten();
        if let Some(classes) = classes {
            let example = format!("\"{}\"", classes[0]);
            let known = class.clone().ok_or_else(|| table.missing("class", &example));
            about.take(known.and_then(|class| one_of(&class, "output", classes.iter().map(String::as_str))));
        }
        let label = about.take(label_of(&table)).flatten();
        let max_events = about.take(table.count("max_events", u32::MAX.into())).flatten();
        table.complain(&DATA_KEYS, about, complaints);
        let class = class.map(|class| class.value.to_owned());
        let max_events = max_events.map(|max| max as usize);
        data.extend(file.map(|file| RecipeData { file: file.value.into(), class, label, max_events }));
    }
    data
}

fn evaluate_of(table: &Table<'_>, own: &mut Complaints, complaints: &mut Complaints) -> Vec<Evaluate> {
    let tables = own.take(table.tables("evaluate", "an [[evaluate]]", TABLES_MAX)).unwrap_or_default();
    let mut evaluate = Vec::new();
    for table in tables {
        let mut about = Complaints::default();
        let name = about.take(table.required("name", "\"signal\""));
        let file = about.take(table.required("file", "\"signal.tmf\""));
        let label = about.take(label_of(&table)).flatten();
        let max_events = about.take(table.count("max_events", u32::MAX.into())).flatten();
        table.complain(&EVALUATE_KEYS, about, complaints);
        if let (Some(name), Some(file)) = (name, file) {
            let (name, file) = (name.value.to_owned(), file.value.to_owned());
            evaluate.push(Evaluate { name, file, label, max_events: max_events.map(|max| max as usize) });
        }
    }
    evaluate
}

fn label_of(table: &Table<'_>) -> Read<Option<Label>> {
    let example = "{ field = \"truth.label\", values = [0] }";
    let Some(label) = table.inline("label", "a label", example)? else { return Ok(None) };
    if let Some(strange) = label.strange(&["field", "values"]).into_iter().next() {
        return Err(strange);
    }
    let field = label.required("field", "\"truth.label\"").and_then(|field| address_of(&field))?;
    let Placed { at, value: values } =
        label.numbers("values", "[0]")?.ok_or_else(|| label.missing("values", "[0]"))?;
    if values.is_empty() {
        return wrong(at, "'values' needs at least one number");
    }
    if let Some(part) = values.iter().find(|value| value.value.fract() != 0.0) {
        return wrong(part.at, format!("a label is a whole number, not {}", part.value));
    }
    Ok(Some(Label { field, values: values.iter().map(|value| value.value as i64).collect() }))
}
