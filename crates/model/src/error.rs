//! Errors of bundles, as sentences that name the file.

use crate::bundle::{BUNDLE_BYTES_MAX, ENTRIES_MAX};
use crate::manifest::MANIFEST_BYTES_MAX;

/// Why a bundle was not loaded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct BundleError {
    /// The file or folder; for a file inside a `.tar`, both names.
    pub place: String,
    /// What is wrong with it.
    pub fault: BundleFault,
}

/// What is wrong with a file of a bundle.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum BundleFault {
    #[error("cannot be read ({message}); a model bundle is a folder with model.toml, or a .tar of one")]
    Read { message: String },
    #[error("is no tar archive of a model bundle: {message}")]
    Tar { message: String },
    #[error("is not a plain file")]
    NotPlain,
    #[error(
        "'{name}' is no file name for a bundle; use letters, digits, '.', '-' and '_' without folders, no '.' in front"
    )]
    FileName { name: String },
    #[error("the bundle exceeds {} MiB", BUNDLE_BYTES_MAX >> 20)]
    TooLarge,
    #[error("more than {ENTRIES_MAX} files in the archive")]
    Entries,
    #[error("the files of a bundle stand at the top or in one folder, each once")]
    Place,
    #[error("is missing from the bundle")]
    Missing,
    #[error("{bytes} bytes; a manifest has at most {} KiB", MANIFEST_BYTES_MAX >> 10)]
    ManifestTooLong { bytes: u64 },
    #[error("is not UTF-8 text")]
    NotText,
    #[error("{message}")]
    Toml { message: String },
    #[error("format = {found}; this program reads format {known}")]
    Format { found: u32, known: u32 },
    #[error("{0}")]
    Graph(tamis_graph::Refusal),
    #[error(
        "the network gives {numbers} numbers per event, 'outputs' names {named}; name every one, '-' for those that are no score"
    )]
    Outputs { named: usize, numbers: usize },
    #[error("{key}: {reason}")]
    Key { key: String, reason: String },
    #[error("SHA-256 is {computed}, the manifest says {stated}: the file was changed or damaged")]
    Checksum { computed: String, stated: String },
    #[error("is no safetensors file: {message}")]
    Safetensors { message: String },
    #[error("tensor '{tensor}' is missing")]
    TensorMissing { tensor: String },
    #[error("tensor '{tensor}' does not belong to this network")]
    TensorUnknown { tensor: String },
    #[error("tensor '{tensor}' is {found}, must be F32")]
    TensorType { tensor: String, found: String },
    #[error("tensor '{tensor}' has shape {found:?}, must have {wanted}")]
    TensorShape { tensor: String, found: Vec<usize>, wanted: String },
    #[error("tensor '{tensor}': number {index} is {value}, must be finite")]
    NotFinite { tensor: String, index: usize, value: f32 },
}

impl BundleFault {
    pub(crate) fn at(self, place: impl Into<String>) -> BundleError {
        BundleError { place: place.into(), fault: self }
    }
}

/// Why a good bundle cannot score the events of a schema on an engine.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum BindError {
    #[error("model '{model}', input '{field}': {message}")]
    Input { model: String, field: String, message: String },
    #[error("model '{model}', input '{field}': the field is simulation truth, which no model may read")]
    Truth { model: String, field: String },
    #[error("model '{model}': the inputs have {elements} numbers, the network takes {width}")]
    Width { model: String, elements: usize, width: usize },
    #[error("model '{model}': the inputs have {elements} elements, its golden vectors {width}")]
    GoldenWidth { model: String, elements: usize, width: usize },
    #[error(
        "model '{model}', golden vector {row}: output '{output}' is {computed} on engine {engine}, {expected} is expected; \
         {remedy}"
    )]
    Golden {
        model: String,
        engine: String,
        row: usize,
        output: String,
        computed: f32,
        expected: f32,
        /// As in [`crate::GoldenCheck`]: relative to 1 or to the score if that is larger.
        difference: f64,
        remedy: &'static str,
    },
    #[error(
        "model '{model}': engine {engine} gives {computed} for output '{output}' of random row {row}, the reference gives {expected}; \
         {remedy}"
    )]
    Reference {
        model: String,
        engine: String,
        row: usize,
        output: String,
        computed: f32,
        expected: f32,
        remedy: &'static str,
    },
    #[error(
        "model '{model}', golden vector {row}: the inputs of an event differ from its fields, {computed} instead of {expected}; \
         this program is wrong, please report it"
    )]
    Gather { model: String, row: usize, computed: f32, expected: f32 },
    #[error(
        "model '{model}': engine {engine} gives an event other bits in row {row} of a batch of {rows}; decisions would depend on the \
         batch, so the engine is refused on this machine"
    )]
    Position { model: String, engine: String, row: usize, rows: usize },
    #[error("model '{model}': engine {engine} cannot run it: {message}")]
    Engine { model: String, engine: String, message: String },
    #[error(
        "model '{model}': {message} in the bundle alone; name a schema that has its fields (--schema, --events)"
    )]
    OwnSchema { model: String, message: String },
}

impl BindError {
    /// The reason, without the names of model and engine where possible.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Engine { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }
}

/// There is no engine of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no engine '{name}'; there is: {known}")]
pub struct UnknownEngine {
    /// The requested name.
    pub name: String,
    /// The known names.
    pub known: String,
}
