//! Makes bundles of models that were trained elsewhere.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use tamis_graph::{Elsewhere, with_external_data};
use tamis_ledger::Cause;
use tamis_model::{Bundle, BundleFiles, GoldenInputs, Import};
use tamis_source::FileKind;

use crate::convert::read_schema;
use crate::exit::OrFail;
use crate::frames::{Frame, Frames};
use crate::wrong_file::or_wrong_file;
use crate::{Exit, Failure, bundle_folder};

/// Most bytes of a file that is imported: what the largest bundle holds.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Most events of a recording that are used for golden vectors.
const GOLDEN_EVENTS: usize = 16_384;

/// An import that is asked for.
#[derive(Clone, Debug)]
pub struct ImportSettings {
    /// The model: an ONNX file.
    pub file: PathBuf,
    /// Schema of the events.
    pub schema: PathBuf,
    /// A `model.toml` to start from.
    pub manifest: Option<PathBuf>,
    /// Which fields go in: a file of `[[input]]` entries, or field names with commas between them.
    pub inputs: Option<String>,
    /// Names of the scores; `-` stands for a number that is not a score.
    pub outputs: Option<Vec<String>>,
    /// Name of the model; by default that of the output folder.
    pub name: Option<String>,
    /// Golden vectors of the framework: a safetensors file with `inputs` and `scores`.
    pub golden: Option<PathBuf>,
    /// Without `golden`: a recording whose first events become golden vectors.
    pub events: Option<PathBuf>,
    /// Folder for the bundle.
    pub out: PathBuf,
    /// Replace a bundle that is there.
    pub overwrite: bool,
}

/// Imports a model, writes the bundle, verifies it and returns it.
pub fn import(settings: &ImportSettings) -> Result<Bundle, Failure> {
    bundle_folder::may_write(&settings.out, settings.overwrite)?;
    let schema = read_schema(&settings.schema)?;
    let in_file = |error: String| format!("{}: {error}", settings.file.display());
    let no_model = |failure| or_wrong_file(&settings.file, &[FileKind::Onnx], "ONNX model", failure);
    let file = with_external_data(&read(&settings.file)?, |place| read_beside(&settings.file, place))
        .map_err(|refusal| in_file(refusal.to_string()))
        .or_fail(Exit::Input)
        .map_err(no_model)?;
    let template = settings.manifest.as_deref().map(read_text).transpose()?;
    let inputs = settings.inputs.as_deref().map(inputs).transpose()?;
    let golden = settings.golden.as_deref().map(read).transpose()?;
    let records = settings.events.as_deref().map(|path| first_records(path, schema.id())).transpose()?;
    let nameless = folder_name(&settings.out);
    let import = Import {
        file: &file,
        schema: &schema,
        template: template.as_deref(),
        inputs: inputs.as_deref(),
        outputs: settings.outputs.clone(),
        name: settings.name.clone(),
        nameless: &nameless,
        golden: match (&golden, &records) {
            (Some(given), _) => GoldenInputs::Given(given),
            (None, Some(records)) => GoldenInputs::Records(records),
            (None, None) => GoldenInputs::Noise,
        },
    };
    let imported = import.run().map_err(|error| in_file(error.to_string()));
    let files: BundleFiles = imported.or_fail(Exit::Input).map_err(no_model)?;
    bundle_folder::write(&settings.out, &files.files(), settings.overwrite)?;
    // What was written must load like any other bundle.
    Bundle::load(&settings.out).or_fail(Exit::Internal)
}

/// The name of a model from that of its folder, as far as that can be one.
fn folder_name(folder: &Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = name.trim_end_matches(".tar").replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    if name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { "model".into() }
}

/// The `[[input]]` entries that an option means.
fn inputs(option: &str) -> Result<String, Failure> {
    if Path::new(option).extension().is_some_and(|extension| extension == "toml") {
        return read_text(Path::new(option));
    }
    let entry = |field: &str| format!("[[input]]\nfield = {:?}\n", field.trim());
    Ok(option.split(',').map(entry).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let place = path.display();
    if path.is_dir() {
        return Err(Failure::new(Exit::Input, format!("{place} is a folder; name a file in it")));
    }
    let unreadable = |error: std::io::Error| format!("{place}: cannot be read: {error}");
    let length = fs::metadata(path).map_err(unreadable).or_fail(Exit::Input)?.len();
    if length > FILE_BYTES_MAX {
        let message = format!("{place}: {length} bytes; a model has at most {} MiB", FILE_BYTES_MAX >> 20);
        return Err(Failure::new(Exit::Input, message));
    }
    fs::read(path).map_err(unreadable).or_fail(Exit::Input)
}

/// Reads numbers that a model keeps in a file of its own folder. The path comes from the model: it must not lead out of there.
fn read_beside(model: &Path, place: &Elsewhere) -> Result<Vec<u8>, String> {
    let location = Path::new(&place.location);
    if !location.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err("which is not a path inside the model's folder".into());
    }
    let unreadable =
        |error: std::io::Error| format!("which cannot be read: {error}; it must lie beside the model");
    let folder = match model.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = folder.canonicalize().map_err(unreadable)?;
    let path = folder.join(location).canonicalize().map_err(unreadable)?;
    if !path.starts_with(&folder) {
        return Err("a link that leads out of the model's folder".into());
    }
    let meta = fs::metadata(&path).map_err(unreadable)?;
    if !meta.is_file() {
        return Err("which is not a plain file".into());
    }
    let Elsewhere { offset, length, .. } = *place;
    if offset.checked_add(length as u64).is_none_or(|end| end > meta.len()) {
        return Err(format!("which has {} bytes; {length} from byte {offset} on are wanted", meta.len()));
    }
    let mut file = File::open(&path).map_err(unreadable)?;
    file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
    let mut numbers = vec![0; length];
    file.read_exact(&mut numbers).map_err(unreadable)?;
    Ok(numbers)
}

fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?)
        .map_err(|_| format!("{}: is not text", path.display()))
        .or_fail(Exit::Input)
}

/// The first event records of a recording of the same schema.
fn first_records(path: &Path, schema: u64) -> Result<Vec<u8>, Failure> {
    let mut frames = Frames::open(path)?;
    if frames.schema().id() != schema {
        let message = format!("{}: its events have another schema than the model", path.display());
        return Err(Failure::new(Exit::Input, message));
    }
    let most = GOLDEN_EVENTS * frames.schema().record_len();
    let mut records = Vec::new();
    while records.len() < most {
        match frames.next()? {
            Some(Frame::Events { span, .. }) => records.extend_from_slice(span.records()),
            Some(Frame::Lost { cause, .. }) => {
                let place = path.display();
                let cause = cause.name();
                let message = format!(
                    "{place}: a damaged frame (cause: {cause}); take events from an intact recording"
                );
                return Err(Failure::new(Exit::Input, message));
            }
            Some(Frame::Other { .. }) => {}
            None => break,
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_names_must_lie_in_its_folder() {
        let outside = tempfile::tempdir().expect("a folder");
        let folder = outside.path().join("model");
        fs::create_dir_all(folder.join("deeper")).expect("a folder");
        fs::write(outside.path().join("secret"), [7; 16]).expect("a file");
        fs::write(folder.join("data"), [1, 2, 3, 4, 5, 6, 7, 8]).expect("a file");
        fs::write(folder.join("deeper/data"), [9; 4]).expect("a file");
        let model = folder.join("net.onnx");
        let read = |location: &str, offset, length| {
            read_beside(&model, &Elsewhere { location: location.into(), offset, length })
        };
        assert_eq!(read("data", 4, 4), Ok(vec![5, 6, 7, 8]));
        assert_eq!(read("./deeper/data", 0, 4), Ok(vec![9; 4]));
        let secret = outside.path().join("secret").display().to_string();
        for location in ["../secret", "deeper/../../secret", &secret] {
            assert_eq!(read(location, 0, 4), Err("which is not a path inside the model's folder".into()));
        }
        let short = Err("which has 8 bytes; 4 from byte 5 on are wanted".to_owned());
        assert_eq!(read("data", 5, 4), short);
        assert!(read("data", u64::MAX, 4).is_err_and(|error| error.contains("are wanted")));
        assert_eq!(read("deeper", 0, 4), Err("which is not a plain file".into()));
        assert!(read("absent", 0, 4).is_err_and(|error| error.contains("it must lie beside the model")));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(outside.path().join("secret"), folder.join("link")).expect("a link");
            assert_eq!(read("link", 0, 4), Err("a link that leads out of the model's folder".into()));
        }
    }
}
