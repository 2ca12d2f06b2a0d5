//! `tamis model import`: a network from another framework to a verified bundle.

use std::path::PathBuf;

use serde::Serialize;
use tamis_app::{Exit, Failure, ImportSettings};

use super::{Group, Run};
use crate::figures::{bytes, grouped};
use crate::output::{Document, print, print_json};

/// Make a bundle of a model that was trained elsewhere
///
/// Reads ONNX. What cannot be computed exactly as ONNX defines it is refused here, by name. The bundle is loaded with every check before it is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The model (.onnx)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The schema of the events
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// A model.toml to start from
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Fields that go in, separated by commas, or a .toml file with [[input]] entries [default: every field, in order]
    #[arg(long, value_name = "FIELDS")]
    inputs: Option<String>,
    /// Names of the scores, separated by commas, - for a number that is not a score [default: the network's own]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', allow_hyphen_values = true)]
    outputs: Vec<String>,
    /// Name of the model [default: the name of the folder]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Inputs and scores of the framework (.safetensors) that the import must reproduce
    #[arg(long, value_name = "FILE", conflicts_with = "events")]
    golden: Option<PathBuf>,
    /// A recording whose first events become golden vectors [default: noise]
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Folder for the bundle
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace a bundle that is there
    #[arg(long)]
    overwrite: bool,
    /// Print one JSON document instead of a sentence
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Imported<'a> {
    bundle: String,
    name: &'a str,
    architecture: &'a str,
    outputs: &'a [String],
    parameters: u64,
    multiply_adds: u64,
    bytes: u64,
    hash: &'a str,
    notes: &'a [String],
}

impl Run for Args {
    const NAME: &'static str = "import";
    const GROUP: Group = Group::Data;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("model import net.onnx --schema l1.toml --out models/net", "every field of the schema goes in"),
        (
            "model import net.onnx --schema l1.toml --inputs met.pt,jets.pt --outputs -,signal --out models/net",
            "some of them, one score",
        ),
        (
            "model import net.onnx --manifest net.toml --schema l1.toml --out models/net",
            "with preprocessing that the file lacks",
        ),
    ];

    fn run(self) -> Result<Exit, Failure> {
        let settings = ImportSettings {
            file: self.file,
            schema: self.schema,
            manifest: self.manifest,
            inputs: self.inputs,
            outputs: (!self.outputs.is_empty()).then_some(self.outputs),
            name: self.name,
            golden: self.golden,
            events: self.events,
            out: self.out,
            overwrite: self.overwrite,
        };
        let bundle = tamis_app::import(&settings)?.describe();
        let imported = Imported {
            bundle: settings.out.display().to_string(),
            name: &bundle.name,
            architecture: bundle.architecture,
            outputs: &bundle.outputs,
            parameters: bundle.parameters,
            multiply_adds: bundle.multiply_adds,
            bytes: bundle.memory.files,
            hash: &bundle.hash,
            notes: &bundle.notes,
        };
        if self.json {
            print_json(&Document::new(&imported))?;
        } else {
            print(&format!(
                "{}: {} with {} parameters, {}; scores {}\n",
                imported.bundle,
                imported.architecture,
                grouped(imported.parameters),
                bytes(imported.bytes),
                imported.outputs.join(", "),
            ))?;
            imported.notes.iter().try_for_each(|note| print(&format!("note: {note}\n")))?;
        }
        Ok(Exit::Done)
    }
}
