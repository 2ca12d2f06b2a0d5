//! Imports a model that was trained elsewhere as a bundle.
//!
//! ```text
//!   net.onnx --> template + checksums + golden vectors --> Bundle, bound to the schema --> three files
//!                                                          (nothing is written that would not load)
//! ```
//!
//! The template is a `model.toml` without the keys that the import determines. These are nearly all, so the template may be omitted.

mod fields;
mod golden;

use sha2::{Digest, Sha256};
use tamis_event::Schema;
use tamis_graph::{Graph, UncheckedGraph};
use toml::{Table, Value};

pub(crate) use self::fields::means;
pub use self::golden::GoldenInputs;
use crate::bundle::{Bundle, hex};
use crate::engine::Engine;
use crate::error::{BindError, BundleError};
use crate::features::Features;
use crate::manifest::{MANIFEST_FILE, Manifest, ManifestInput, NO_SCORE};

/// Largest deviation of a golden score on loading, relative to 1 or to the score if that is larger.
const TOLERANCE: f64 = 1e-4;
/// Longest name of a score that is derived from the graph's names.
const NAME_MAX: usize = 64;

/// The options of an import.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// The bytes of an ONNX file.
    pub file: &'a [u8],
    /// Schema of the events that the model will score.
    pub schema: &'a Schema,
    /// Text of a `model.toml` to start from.
    pub template: Option<&'a str>,
    /// Text with `[[input]]` entries; by default the template's, or the fields after which the inputs of an ONNX file are named, or every data field
    /// of the schema, in order.
    pub inputs: Option<&'a str>,
    /// Names of the network's output numbers, `-` for one that is no score; by default the template's, or the graph's own.
    pub outputs: Option<Vec<String>>,
    /// Name of the model; by default the template's, or else `nameless`.
    pub name: Option<String>,
    /// Name of a model for which no other is given.
    pub nameless: &'a str,
    /// The origin of the golden vectors.
    pub golden: GoldenInputs<'a>,
}

/// The three files of a bundle, in memory.
#[derive(Clone, Debug)]
pub struct BundleFiles {
    /// Text of `model.toml`.
    pub manifest: String,
    /// Name and bytes of the weights.
    pub weights: (&'static str, Vec<u8>),
    /// Bytes of the golden vectors.
    pub golden: Vec<u8>,
}

/// Name of the golden vectors in an imported bundle.
const GOLDEN_FILE: &str = "golden.safetensors";

impl BundleFiles {
    /// Names and bytes. The manifest comes last, so an interrupted write leaves a bundle that is refused.
    pub fn files(&self) -> [(&str, &[u8]); 3] {
        [
            (self.weights.0, &self.weights.1),
            (GOLDEN_FILE, &self.golden),
            (MANIFEST_FILE, self.manifest.as_bytes()),
        ]
    }
}

/// Why a model was not imported.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ImportError {
    #[error("{message}")]
    File { message: String },
    #[error("{0}")]
    Graph(tamis_graph::Refusal),
    #[error("the {what}: {message}")]
    Text { what: &'static str, message: String },
    #[error("{0}")]
    Bundle(BundleError),
    #[error("{0}")]
    Bind(BindError),
}

impl Import<'_> {
    /// Makes the bundle, and loads it with every check.
    pub fn run(self) -> Result<BundleFiles, ImportError> {
        let mut manifest = parse(self.template.unwrap_or_default(), "template")?;
        self.common(&mut manifest)?;
        let weights = self.onnx(&mut manifest)?;
        set(&mut manifest, "weights", &[("file", weights.0.into()), ("sha256", sha256(&weights.1).into())])?;
        let golden = self.golden.vectors(&manifest, &weights, self.schema)?;
        let entries = [("file", GOLDEN_FILE.into()), ("sha256", sha256(&golden).into())];
        set(&mut manifest, "golden", &entries)?;
        table(&mut manifest, "golden")?.entry("tolerance").or_insert(TOLERANCE.into());
        check_form(&manifest)?;
        let manifest = toml::to_string(&manifest)
            .map_err(|error| ImportError::Text { what: "manifest", message: error.to_string() })?;
        let files = BundleFiles { manifest, weights, golden };
        load(&files)?.bind(self.schema, Engine::Flex).map_err(ImportError::Bind)?;
        Ok(files)
    }

    /// Imports an ONNX file, which is its own architecture.
    fn onnx(&self, manifest: &mut Table) -> Result<(&'static str, Vec<u8>), ImportError> {
        if let Some(other) =
            manifest.get("architecture").and_then(Value::as_str).filter(|word| *word != "onnx")
        {
            let message = format!(
                "the manifest says architecture = \"{other}\"; an ONNX file is its own architecture: leave that out"
            );
            return Err(ImportError::File { message });
        }
        let unreadable = "is no ONNX file; export the model as one (PyTorch: torch.onnx.export)";
        let mut source = UncheckedGraph::from_onnx(self.file).map_err(|refusal| {
            match refusal.place == tamis_graph::ONNX_FILE {
                true => ImportError::File { message: format!("{unreadable}: {}", refusal.reason) },
                false => ImportError::Graph(refusal),
            }
        })?;
        if !manifest.contains_key("input")
            && let Some(fields) = fields::by_name(&source.inputs, self.schema)
        {
            manifest.insert("input".into(), inputs_of(fields));
        }
        self.fill_inputs(manifest)?;
        if source.is_open() {
            let width = self.columns(manifest)?;
            source.close_axis(width);
            manifest.insert("width".into(), (width as i64).into());
        }
        let graph = Graph::new(&source).map_err(ImportError::Graph)?;
        manifest.entry("architecture").or_insert("onnx".into());
        manifest.entry("outputs").or_insert_with(|| output_names(&graph).into());
        Ok(("model.onnx", self.file.to_vec()))
    }

    /// Number of numbers per event of the inputs of the manifest.
    fn columns(&self, manifest: &Table) -> Result<usize, ImportError> {
        let (model, inputs) = named_inputs(manifest)?;
        Features::columns(model, &inputs, self.schema).map_err(ImportError::Bind)
    }

    /// By default makes every data field an input. Records the number of elements of every field that is used as a whole.
    fn fill_inputs(&self, manifest: &mut Table) -> Result<(), ImportError> {
        manifest.entry("input").or_insert_with(|| inputs_of(fields::data(self.schema)));
        let (model, inputs) = named_inputs(manifest)?;
        let len =
            |input: &ManifestInput| Features::len_of(model, input, self.schema).map_err(ImportError::Bind);
        let lens = inputs.iter().map(len).collect::<Result<Vec<_>, _>>()?;
        let entries = manifest.get_mut("input").and_then(Value::as_array_mut).into_iter().flatten();
        for (entry, (input, len)) in entries.zip(inputs.iter().zip(lens)) {
            if let (Some(entry), false) = (entry.as_table_mut(), input.field.contains('[')) {
                entry.insert("len".into(), (len as i64).into());
            }
        }
        Ok(())
    }

    /// Fills in the keys that every manifest has.
    fn common(&self, manifest: &mut Table) -> Result<(), ImportError> {
        manifest.insert("format".into(), 1.into());
        if let Some(name) = &self.name {
            manifest.insert("name".into(), name.as_str().into());
        }
        manifest.entry("name").or_insert(self.nameless.into());
        manifest.entry("version").or_insert("1.0.0".into());
        if let Some(outputs) = &self.outputs {
            let outputs: Vec<Value> = outputs.iter().map(|output| output.as_str().into()).collect();
            manifest.insert("outputs".into(), outputs.into());
        }
        if let Some(inputs) = self.inputs {
            let mut inputs = parse(inputs, "inputs")?;
            let Some(list) = inputs.remove("input").filter(|_| inputs.is_empty()) else {
                let message = "give [[input]] entries and nothing else, as in a model.toml".into();
                return Err(ImportError::Text { what: "inputs", message });
            };
            manifest.insert("input".into(), list);
        }
        Ok(())
    }
}

/// The name of the model, and its inputs.
fn named_inputs(manifest: &Table) -> Result<(&str, Vec<ManifestInput>), ImportError> {
    #[derive(serde::Deserialize)]
    struct Inputs {
        input: Vec<ManifestInput>,
    }
    let list = manifest.get("input").cloned().unwrap_or(Value::Array(Vec::new()));
    let inputs: Inputs = Table::from_iter([("input".to_owned(), list)])
        .try_into()
        .map_err(|error: toml::de::Error| text_error("inputs", &error))?;
    Ok((manifest.get("name").and_then(Value::as_str).unwrap_or("model"), inputs.input))
}

/// Checks keys and types while the table is still the user's: an error in the finished manifest would refer to lines that nobody wrote.
fn check_form(manifest: &Table) -> Result<(), ImportError> {
    let form: Result<Manifest, _> = manifest.clone().try_into();
    form.map(drop).map_err(|error: toml::de::Error| text_error("template", &error))
}

/// The error for a table, which has keys but no lines.
fn text_error(what: &'static str, error: &toml::de::Error) -> ImportError {
    ImportError::Text { what, message: error.to_string().trim_end().replace('\n', " ") }
}

/// Loads the bundle from the files.
fn load(files: &BundleFiles) -> Result<Bundle, ImportError> {
    Bundle::from_files(&files.files()).map_err(ImportError::Bundle)
}

fn parse(text: &str, what: &'static str) -> Result<Table, ImportError> {
    text.parse().map_err(|error: toml::de::Error| ImportError::Text {
        what,
        message: error.to_string().trim_end().into(),
    })
}

fn table<'a>(manifest: &'a mut Table, key: &str) -> Result<&'a mut Table, ImportError> {
    let entry = manifest.entry(key).or_insert_with(|| Table::new().into());
    let message = || format!("'{key}' must be a table");
    entry.as_table_mut().ok_or_else(|| ImportError::Text { what: "template", message: message() })
}

fn set(manifest: &mut Table, key: &str, entries: &[(&str, Value)]) -> Result<(), ImportError> {
    let table = table(manifest, key)?;
    entries.iter().for_each(|(key, value)| drop(table.insert((*key).into(), value.clone())));
    Ok(())
}

/// Inputs for these fields in this order, without preprocessing.
fn inputs_of<'a>(fields: impl IntoIterator<Item = &'a str>) -> Value {
    let input = |name: &str| Value::from(Table::from_iter([("field".to_owned(), name.into())]));
    Value::from(fields.into_iter().map(input).collect::<Vec<_>>())
}

/// Names for the output numbers of a graph: that of the output, with a number appended if it has several.
fn output_names(graph: &Graph) -> Vec<Value> {
    let mut names: Vec<String> = Vec::new();
    for output in graph.outputs() {
        let word = word(&output.name);
        let count = output.kind.numbers();
        for index in 0..count {
            let name = if count == 1 { word.clone() } else { format!("{word}_{index}") };
            let taken = names.contains(&name);
            names.push(if taken { format!("{name}_{}", names.len()) } else { name });
        }
    }
    debug_assert!(!names.iter().any(|name| name == NO_SCORE));
    names.into_iter().map(Value::from).collect()
}

/// A name in the graph, turned into a name for menus.
fn word(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let word: String = name.chars().map(fits).take(NAME_MAX - 16).collect();
    let word = word.trim_matches('_');
    if word.starts_with(|c: char| c.is_ascii_lowercase()) {
        word.into()
    } else {
        format!("score_{word}").trim_end_matches('_').into()
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
