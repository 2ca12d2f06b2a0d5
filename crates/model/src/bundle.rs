//! Bundles: a model as a folder or a `.tar` of three files, verified as a whole.
//!
//! ```text
//!   topo/model.toml            manifest: names, inputs, layers, and the checksums of the other two
//!   topo/weights.safetensors   layers.K.weight [out, in], layers.K.bias [out]
//!   topo/golden.safetensors    inputs [n, in] in physical units, scores [n, outputs]
//! ```
//!
//! Invariants:
//!
//! * I1: sizes are checked before anything is read, and no length inside a file decides an allocation.
//! * I2: a [`Bundle`] that exists has matching checksums, the tensors of its layers, and only finite numbers.
//! * I3: [`Bundle::to_tar`] is a function of the three files: the same bytes on every machine.

use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tamis_event::Schema;
use tamis_graph::{Data, Graph, UncheckedGraph};
use tamis_kernel::Isa;

use crate::calibration::{self, Calibration};
use crate::classifier::Model;
use crate::describe::GoldenInfo;
use crate::engine::Engine;
use crate::error::{BindError, BundleError, BundleFault};
use crate::features::Features;
use crate::fused::Fused;
use crate::integers;
use crate::manifest::{MANIFEST_BYTES_MAX, MANIFEST_FILE, Manifest, ManifestInput, NO_SCORE, Training};
use crate::weights::{Golden, read_golden};

/// Most bytes in all files of a bundle together.
pub(crate) const BUNDLE_BYTES_MAX: usize = 64 << 20;
/// Most entries of an archive: the three files, and entries that archivers may add.
pub(crate) const ENTRIES_MAX: usize = 16;
/// Most bytes that `tar` adds to the files: a header and padding for each, and the end.
const TAR_OVERHEAD_MAX: usize = ENTRIES_MAX * 2048 + 16384;

/// A verified model, not yet bound to a schema or an engine.
#[derive(Clone, Debug)]
pub struct Bundle {
    files: Files,
    manifest: Manifest,
    graph: Arc<Graph>,
    golden: Golden,
    /// Names of the scores, without outputs that are no scores.
    outputs: Vec<String>,
    hash: [u8; 32],
}

/// The bytes of the three files.
#[derive(Clone, Debug)]
struct Files {
    manifest: Vec<u8>,
    weights: Vec<u8>,
    golden: Vec<u8>,
}

impl Bundle {
    /// Loads a folder with `model.toml` or a `.tar` of one and verifies everything that needs no schema.
    pub fn load(path: &Path) -> Result<Self, BundleError> {
        let place = path.display().to_string();
        let meta = fs::metadata(path).map_err(|error| unreadable(&error).at(&place))?;
        if meta.is_file() {
            let bytes = read_capped(path, BUNDLE_BYTES_MAX + TAR_OVERHEAD_MAX, BundleFault::TooLarge)?;
            return Self::from_tar(&bytes, &place);
        }
        let too_long = |bytes| BundleFault::ManifestTooLong { bytes };
        let manifest_path = path.join(MANIFEST_FILE);
        let length = fs::metadata(&manifest_path).map_or(0, |meta| meta.len());
        let manifest = read_capped(&manifest_path, MANIFEST_BYTES_MAX, too_long(length))?;
        let mut left = BUNDLE_BYTES_MAX - manifest.len();
        Self::assemble(manifest, &|file| path.join(file).display().to_string(), |name| {
            let bytes = read_capped(&path.join(name), left, BundleFault::TooLarge)?;
            left -= bytes.len();
            Ok(bytes)
        })
    }

    /// Loads and checks a bundle from the bytes of a `.tar`; `place` names them in errors. Its files are at the top level or in one folder.
    pub fn from_tar(bytes: &[u8], place: &str) -> Result<Self, BundleError> {
        if bytes.len() > BUNDLE_BYTES_MAX + TAR_OVERHEAD_MAX {
            return Err(BundleFault::TooLarge.at(place));
        }
        let inside = |file: &str| format!("{place}: {file}");
        let mut entries = read_entries(bytes, place)?;
        let mut take = |name: &str| {
            let found = entries.iter().position(|(entry, _)| entry == name);
            let index = found.ok_or_else(|| BundleFault::Missing.at(inside(name)))?;
            Ok(entries.swap_remove(index).1)
        };
        let manifest = take(MANIFEST_FILE)?;
        Self::assemble(manifest, &inside, take)
    }

    /// Loads and checks a bundle from files in memory, by name.
    pub fn from_files(files: &[(&str, &[u8])]) -> Result<Self, BundleError> {
        let take = |name: &str| {
            let found = files.iter().find(|(file, _)| *file == name);
            found.map(|(_, bytes)| bytes.to_vec()).ok_or_else(|| BundleFault::Missing.at(name))
        };
        Self::assemble(take(MANIFEST_FILE)?, &str::to_owned, take)
    }

    fn assemble(
        manifest_bytes: Vec<u8>,
        place: &dyn Fn(&str) -> String,
        mut take: impl FnMut(&str) -> Result<Vec<u8>, BundleError>,
    ) -> Result<Self, BundleError> {
        let mut manifest =
            Manifest::parse(&manifest_bytes).map_err(|fault| fault.at(place(MANIFEST_FILE)))?;
        let mut checked = |file: &str, sha256: &str| {
            let bytes = take(file)?;
            let computed = hex(&Sha256::digest(&bytes));
            if computed != sha256 {
                return Err(BundleFault::Checksum { computed, stated: sha256.into() }.at(place(file)));
            }
            Ok(bytes)
        };
        let weights = checked(&manifest.weights.file, &manifest.weights.sha256)?;
        let golden_bytes = checked(&manifest.golden.file, &manifest.golden.sha256)?;
        let graph = network(&mut manifest, &weights);
        let graph = graph.map_err(|fault| fault.at(place(&manifest.weights.file)))?;
        let outputs: Vec<String> =
            manifest.outputs.iter().filter(|output| *output != NO_SCORE).cloned().collect();
        let width = (!manifest.has_one_hot()).then(|| graph.input_numbers());
        let golden = read_golden(&golden_bytes, width, outputs.len(), graph.takes_missing_values())
            .map_err(|fault| fault.at(place(&manifest.golden.file)))?;
        let files = Files { manifest: manifest_bytes, weights, golden: golden_bytes };
        let hash = files.hash();
        Ok(Self { files, manifest, graph, golden, outputs, hash })
    }

    /// The bundle as a `.tar` archive, to be attached to a file. Loading the archive gives the same [`Self::hash`].
    pub fn to_tar(&self) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let entries = [
            (MANIFEST_FILE, &self.files.manifest),
            (self.manifest.weights.file.as_str(), &self.files.weights),
            (self.manifest.golden.file.as_str(), &self.files.golden),
        ];
        for (name, bytes) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(0o644);
            header.set_size(bytes.len() as u64);
            builder
                .append_data(&mut header, name, bytes.as_slice())
                .expect("a Vec takes every write, names are short");
        }
        builder.into_inner().expect("a Vec takes every write")
    }

    /// Binds the model to the events of `schema` on an engine, checks that it reproduces the golden vectors, and warms it up.
    pub fn bind(&self, schema: &Schema, engine: Engine) -> Result<Model, BindError> {
        match engine {
            Engine::Auto => self.bind_by_trial(schema, Isa::best()),
            engine => Model::bind(&self.manifest, &self.outputs, &self.graph, &self.golden, schema, engine),
        }
    }

    /// Binds to the fused kernels with every check, or else to the reference; [`Model::why_not_fused`] then gives the reason.
    fn bind_by_trial(&self, schema: &Schema, isa: Isa) -> Result<Model, BindError> {
        let why = if cfg!(target_arch = "x86_64") && isa == Isa::Portable {
            "this CPU lacks AVX2 and FMA, without which the fused kernels are slower".into()
        } else {
            match self.bind(schema, Engine::Fused) {
                Ok(model) => return Ok(model),
                Err(error) => error.reason(),
            }
        };
        self.bind(schema, Engine::Flex).map(|model| model.instead_of_fused(why))
    }

    /// Why an engine cannot run this model; `None` if it can.
    pub fn unfit_for(&self, engine: Engine) -> Option<String> {
        match engine {
            Engine::Fused => Fused::new(&self.graph).err(),
            Engine::Int16 | Engine::Int8 => calibration::unfit(&self.graph, &self.manifest, engine),
            Engine::Flex | Engine::Gpu(_) | Engine::Auto => None,
        }
    }

    /// Why an engine cannot run this model on events of a schema, which must fit the bundle; `None` if it can.
    pub fn unfit_with(&self, engine: Engine, schema: &Schema) -> Option<String> {
        self.unfit_for(engine).or_else(|| {
            engine.hidden_bits()?;
            let features = Features::new(&self.manifest, schema, self.graph.input_numbers()).ok()?;
            integers::unfit_fields(&self.manifest, &features)
        })
    }

    /// Largest allowed difference of a score on an engine from the golden one, relative to 1 or to the score if that is larger.
    pub fn tolerance(&self, engine: Engine) -> f64 {
        self.manifest.tolerance(engine)
    }

    /// The calibration for the reduced-precision engines, if there is one.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.manifest.calibration.as_ref()
    }

    /// This bundle with another calibration, checked like any loaded bundle.
    pub fn with_calibration(&self, section: &Calibration) -> Result<Self, BundleError> {
        let manifest = calibration::write(self.manifest(), section);
        let files = [
            (MANIFEST_FILE, manifest.as_bytes()),
            (&*self.manifest.weights.file, &*self.files.weights),
            (&*self.manifest.golden.file, &*self.files.golden),
        ];
        Self::from_files(&files)
    }

    /// Names and bytes of the files. The manifest comes last, so an interrupted write leaves a bundle that is refused.
    pub fn files(&self) -> [(&str, &[u8]); 3] {
        [
            (&self.manifest.weights.file, &self.files.weights),
            (&self.manifest.golden.file, &self.files.golden),
            (MANIFEST_FILE, &self.files.manifest),
        ]
    }

    /// Name of the model, as used in menu lines.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// Version of the model.
    pub fn version(&self) -> &str {
        &self.manifest.version
    }

    /// What the model is for.
    pub fn doc(&self) -> &str {
        &self.manifest.doc
    }

    /// Names of the scores, in order.
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// The network as a graph of operators.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Kind of network, as in the manifest.
    pub fn architecture(&self) -> &'static str {
        self.manifest.architecture.word()
    }

    /// SHA-256 over manifest, weights and golden vectors, each preceded by its length in bytes (u64, little-endian).
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Text of the manifest.
    pub fn manifest(&self) -> &str {
        std::str::from_utf8(&self.files.manifest).expect("a manifest that was parsed is text")
    }

    /// The manifest.
    pub(crate) fn parsed(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn inputs(&self) -> &[ManifestInput] {
        &self.manifest.inputs
    }

    /// The golden scores of one output.
    pub(crate) fn golden_scores(&self, output: usize) -> impl Iterator<Item = f32> {
        self.golden.scores.iter().skip(output).step_by(self.outputs.len()).copied()
    }

    /// Physical values in a golden vector: one per element of an input field.
    pub(crate) fn golden_elements(&self) -> usize {
        self.golden.inputs.len() / self.golden.rows
    }

    pub(crate) fn golden_info(&self) -> GoldenInfo {
        GoldenInfo { vectors: self.golden.rows, tolerance: self.manifest.golden.tolerance }
    }

    pub(crate) fn training(&self) -> Option<&Training> {
        self.manifest.training.as_ref()
    }

    /// Total bytes of the three files.
    pub(crate) fn bytes(&self) -> u64 {
        let Files { manifest, weights, golden } = &self.files;
        (manifest.len() + weights.len() + golden.len()) as u64
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.graph.parameters()
    }

    /// Multiply-adds per event.
    pub fn multiply_adds(&self) -> u64 {
        self.graph.multiply_adds()
    }
}

/// The graph of a network, with as many numbers as the manifest names. An output without a score is left out of both, so whatever only it needs is
/// not computed.
pub(crate) fn network(manifest: &mut Manifest, weights: &[u8]) -> Result<Arc<Graph>, BundleFault> {
    let mut source = manifest.architecture.source(manifest, weights)?;
    refuse_nan(&source)?;
    let graph = Graph::new(&source).map_err(BundleFault::Graph)?;
    let numbers: Vec<usize> = graph.outputs().iter().map(|output| output.kind.numbers()).collect();
    let all: usize = numbers.iter().sum();
    if all != manifest.outputs.len() {
        return Err(BundleFault::Outputs { named: manifest.outputs.len(), numbers: all });
    }
    let mut names = manifest.outputs.as_slice();
    let mut kept = Vec::new();
    let mut outputs = Vec::new();
    for (output, &count) in source.outputs.iter().zip(&numbers) {
        let (mine, rest) = names.split_at(count);
        names = rest;
        if mine.iter().any(|name| name != NO_SCORE) {
            kept.extend_from_slice(mine);
            outputs.push(output.clone());
        }
    }
    if outputs.len() == source.outputs.len() {
        return Ok(Arc::new(graph));
    }
    manifest.outputs = kept;
    source.outputs = outputs;
    Graph::new(&source).map(Arc::new).map_err(BundleFault::Graph)
}

/// Refuses constants with NaN. Infinite ones are allowed as masks; the graph checks the weights of products.
fn refuse_nan(source: &UncheckedGraph) -> Result<(), BundleFault> {
    for (name, constant) in &source.constants {
        let Data::Floats(values) = &constant.data else { continue };
        if let Some(index) = values.iter().position(|value| value.is_nan()) {
            return Err(BundleFault::NotFinite { tensor: name.clone(), index, value: values[index] });
        }
    }
    Ok(())
}

impl Files {
    fn hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for file in [&self.manifest, &self.weights, &self.golden] {
            hasher.update((file.len() as u64).to_le_bytes());
            hasher.update(file);
        }
        hasher.finalize().into()
    }
}

/// The files of an archive by plain name. Folders are skipped; anything other than a plain file is refused.
fn read_entries(bytes: &[u8], place: &str) -> Result<Vec<(String, Vec<u8>)>, BundleError> {
    // The reader's messages quote arbitrary bytes of the archive.
    let not_tar = |error: std::io::Error| BundleFault::Tar { message: printable(&error) }.at(place);
    let mut archive = tar::Archive::new(Cursor::new(bytes));
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    // The folder of the first file, which must be that of all.
    let mut folder: Option<String> = None;
    for (index, entry) in archive.entries().map_err(not_tar)?.enumerate() {
        if index == ENTRIES_MAX {
            return Err(BundleFault::Entries.at(place));
        }
        let mut entry = entry.map_err(not_tar)?;
        let full_name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let inside = format!("{place}: {full_name}");
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        if !kind.is_file() {
            return Err(BundleFault::NotPlain.at(inside));
        }
        let path = full_name.strip_prefix("./").unwrap_or(&full_name);
        let (within, name) = path.rsplit_once('/').unwrap_or(("", path));
        let elsewhere = folder.get_or_insert_with(|| within.to_owned()) != within;
        if elsewhere || within.contains('/') || files.iter().any(|(other, _)| other == name) {
            return Err(BundleFault::Place.at(inside));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(not_tar)?;
        if content.len() as u64 != entry.size() {
            return Err(BundleFault::Tar { message: format!("'{full_name}' is cut") }.at(place));
        }
        files.push((name.into(), content));
    }
    Ok(files)
}

/// A message without characters that would disturb a terminal.
fn printable(error: &std::io::Error) -> String {
    let is_odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    error.to_string().chars().map(|c| if is_odd(c) { '?' } else { c }).collect()
}

/// Reads a plain file of at most `most` bytes; a longer one is refused before it is read.
fn read_capped(path: &Path, most: usize, too_large: BundleFault) -> Result<Vec<u8>, BundleError> {
    let place = path.display().to_string();
    let fail = |error: &std::io::Error| unreadable(error).at(&place);
    // Checked before opening, because opening a pipe would block until it has a writer.
    let meta = fs::metadata(path).map_err(|error| fail(&error))?;
    if !meta.is_file() {
        return Err(BundleFault::NotPlain.at(&place));
    }
    if meta.len() > most as u64 {
        return Err(too_large.at(&place));
    }
    let file = fs::File::open(path).map_err(|error| fail(&error))?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| fail(&error))?;
    if bytes.len() > most {
        return Err(too_large.at(&place));
    }
    Ok(bytes)
}

fn unreadable(error: &std::io::Error) -> BundleFault {
    BundleFault::Read { message: error.to_string() }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_cpu_without_avx2_gets_the_reference() {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-samples");
        let schema =
            Schema::parse(&fs::read(samples.join("schemas/l1.toml")).expect("a sample")).expect("a schema");
        let bundle = Bundle::load(&samples.join("models/topo")).expect("a bundle");
        let on = |isa| bundle.bind_by_trial(&schema, isa).expect("it can be bound");
        assert_eq!(on(Isa::Avx2).engine(), Engine::Fused);
        let slow = on(Isa::Portable);
        assert_eq!(slow.engine(), Engine::Flex);
        assert!(slow.clone().why_not_fused().is_some_and(|why| why.contains("lacks AVX2 and FMA")));
    }
}
