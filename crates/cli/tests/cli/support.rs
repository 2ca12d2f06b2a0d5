//! A folder per test, a small schema, recordings made by hand, a model made by hand, and the binary.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tamis_event::{FrameMeta, Schema, encode_events, encode_schema};
use tempfile::TempDir;

/// Two numbers per event, 6 bytes.
pub const SCHEMA: &str = r#"
name = "pair"
field = [
    { name = "x", dtype = "f32", unit = "GeV" },
    { name = "n", dtype = "i16" },
]
"#;

/// `x` decides; two streams.
pub const MENU: &str = r#"
name = "pairs"
rate = "1MHz"

[[stream]]
name = "physics"

[[line]]
name = "high"
when = "x >= 100"
streams = ["physics"]
"#;

/// The same with a score of the model [`Lab::model`].
pub const MODEL_MENU: &str = r#"
name = "scored"

[[model]]
name = "twice"
bundle = "twice"

[[stream]]
name = "physics"

[[line]]
name = "high"
when = "twice.score >= 200"
streams = ["physics"]
"#;

/// A folder that goes away with the test.
pub struct Lab {
    folder: TempDir,
}

/// What a process left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Lab {
    /// With `menu.toml` and `schema.toml`.
    pub fn new() -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        lab.write("menu.toml", MENU);
        lab.write("schema.toml", SCHEMA);
        lab
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The command, in the folder, in an environment that says nothing about tamis.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TAMIS_"))
        {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command line; words are separated by blanks.
    pub fn tamis(&self, line: &str) -> Ran {
        ran(&self.command(line.split_whitespace()).output().unwrap())
    }

    /// Replays a recording with `--json` and gives the document.
    pub fn replay(&self, input: &str, more: &str) -> (i32, Value) {
        let ran = self.tamis(&format!("replay {input} --menu menu.toml --out out --workers 2 --json {more}"));
        let document = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error} in {ran:?}"));
        (ran.code.unwrap(), document)
    }

    /// A bundle `name`: one score, 2 x. `weight` replaces the 2 behind the manifest's back in both files of a consistent bundle.
    pub fn model(&self, name: &str, field: &str, weight: f32) {
        self.bundle(name, &format!("field = \"{field}\""), weight);
    }

    /// The same with golden vectors that fit: one score, `weight` x. Its own name is `twice` too.
    pub fn sound_model(&self, name: &str, field: &str, weight: f32) {
        self.write_bundle(name, &format!("field = \"{field}\""), weight, weight);
    }

    /// The model with more to say about the input.
    pub fn bundle(&self, name: &str, input: &str, weight: f32) {
        self.write_bundle(name, input, weight, 2.0);
    }

    fn write_bundle(&self, name: &str, input: &str, weight: f32, golden: f32) {
        let weights =
            safetensors(&[("layers.0.bias", &[1], &[0.0]), ("layers.0.weight", &[1, 1], &[weight])]);
        let golden =
            safetensors(&[("inputs", &[2, 1], &[1.0, -3.0]), ("scores", &[2, 1], &[golden, -3.0 * golden])]);
        let sha =
            |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let manifest = format!(
            r#"format = 1
name = "twice"
version = "1.0.0"
architecture = "dense"
layers = [1, 1]
activation = "relu"
output_activation = "none"
outputs = ["score"]

[[input]]
{input}

[weights]
file = "weights.safetensors"
sha256 = "{}"

[golden]
file = "golden.safetensors"
sha256 = "{}"
tolerance = 1e-5
"#,
            sha(&weights),
            sha(&golden)
        );
        self.write(&format!("{name}/model.toml"), manifest);
        self.write(&format!("{name}/weights.safetensors"), weights);
        self.write(&format!("{name}/golden.safetensors"), golden);
    }

    /// Names in the folder `out`, sorted.
    pub fn outputs(&self) -> Vec<String> {
        names(&self.path("out"))
    }
}

impl Ran {
    /// The one sentence of a failure: exactly one line on standard error that begins with the name of the program, nothing on standard output.
    #[track_caller]
    pub fn refusal(&self, code: i32) -> &str {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        let sentence = self.err.strip_prefix("tamis: ").unwrap_or_else(|| panic!("{self:?}"));
        assert!(!self.err.contains("panicked") && !self.err.contains("defect"), "{self:?}");
        sentence
    }
}

pub fn ran(output: &Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()));
    let mut names: Vec<String> = entries.map(Iterator::collect).unwrap_or_default();
    names.sort();
    names
}

/// A stream of frames of [`SCHEMA`], one call per frame.
pub struct Frames {
    schema: Schema,
    pub bytes: Vec<u8>,
}

impl Frames {
    pub fn new() -> Self {
        let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        encode_schema(&schema, FrameMeta::default(), &mut bytes);
        Self { schema, bytes }
    }

    /// Appends a frame with one event per value of `x`, ids from `first`, and says where it begins.
    pub fn push(&mut self, first: u64, values: &[f32]) -> usize {
        self.push_of(FrameMeta { run: 1, first_event_id: first, ..FrameMeta::default() }, values)
    }

    /// The same with everything that a header says.
    pub fn push_of(&mut self, meta: FrameMeta, values: &[f32]) -> usize {
        let at = self.bytes.len();
        let payload: Vec<u8> = values.iter().flat_map(|x| [&x.to_le_bytes()[..], &[0; 2]].concat()).collect();
        encode_events(&self.schema, meta, &payload, &mut self.bytes);
        at
    }

    /// Overwrites bytes of the header at `at` and makes its checksum right again.
    pub fn forge(&mut self, at: usize, offset: usize, bytes: &[u8]) {
        self.bytes[at + offset..at + offset + bytes.len()].copy_from_slice(bytes);
        let crc = crc32c::crc32c(&self.bytes[at..at + 60]);
        self.bytes[at + 60..at + 64].copy_from_slice(&crc.to_le_bytes());
    }
}

/// A safetensors file, written by hand.
fn safetensors(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut entries = Vec::new();
    for (name, shape, values) in tensors {
        let begin = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let end = data.len();
        entries
            .push(format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#));
    }
    let header = format!("{{{}}}", entries.join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// A file of the samples that come with the source.
pub fn sample(name: &str) -> String {
    format!("{}/../../data-samples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A line of a ledger with a checksum that is right.
pub fn sealed(line: &Value) -> String {
    let mut line = line.clone();
    line.as_object_mut().unwrap().remove("crc32c");
    let text = line.to_string();
    let text = text.strip_suffix('}').unwrap();
    let crc = crc32c::crc32c(text.as_bytes());
    format!("{text},\"crc32c\":\"{crc:08x}\"}}\n")
}
