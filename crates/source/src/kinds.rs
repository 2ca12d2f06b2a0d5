//! Recognises files by their first bytes, so that messages can say what a file in the wrong place is.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zstd::stream::read::Decoder;

/// Bytes that are looked at.
pub(crate) const HEAD_BYTES: u64 = 4096;

/// A kind of file, recognised by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// An empty file.
    Empty,
    /// A stream of frames.
    Recording,
    /// Anything compressed with zstd.
    Zstd,
    /// Stored events, or another MCAP file.
    Mcap,
    /// A `NumPy` array.
    Npy,
    /// A `NumPy` archive of arrays.
    Npz,
    /// A text with commas, semicolons or tabs in its first line.
    Table,
    /// A menu.
    Menu,
    /// A schema of events.
    Schema,
    /// A recipe for training.
    Recipe,
    /// `model.toml` of a bundle.
    Manifest,
    /// The ledger of a run.
    Ledger,
    /// Other JSON, perhaps a model of another framework.
    Json,
    /// Any other UTF-8 text.
    Text,
    /// Text in UTF-16.
    Utf16,
    /// A tar archive, perhaps of a bundle.
    Tar,
    /// A model in ONNX format.
    Onnx,
    /// Weights in safetensors format.
    Safetensors,
    /// Output of Python's `pickle`, `PyTorch` files included.
    Pickle,
    /// A known format that Tamis does not read, as a noun.
    Foreign(&'static str),
    /// A packed format, as a noun, and the command that unpacks it.
    Packed(&'static str, &'static str),
    /// Something else.
    Unknown,
}

/// First bytes of formats that are recognised by these alone.
const MAGIC: [(&[u8], FileKind); 21] = [
    (b"TAMF", FileKind::Recording),
    (b"\x28\xB5\x2F\xFD", FileKind::Zstd),
    (b"\x89MCAP0\r\n", FileKind::Mcap),
    (b"\x93NUMPY", FileKind::Npy),
    (b"\x1F\x8B", FileKind::Packed("gzip", "gzip -dc")),
    (b"BZh", FileKind::Packed("bzip2", "bzip2 -dc")),
    (b"\xFD7zXZ\0", FileKind::Packed("xz", "xz -dc")),
    (b"\x04\x22\x4D\x18", FileKind::Packed("lz4", "lz4 -dc")),
    (b"\xFF\xFE", FileKind::Utf16),
    (b"\xFE\xFF", FileKind::Utf16),
    (b"PAR1", FileKind::Foreign("a Parquet file")),
    (b"ARROW1", FileKind::Foreign("an Arrow file")),
    (b"\x89HDF", FileKind::Foreign("an HDF5 file")),
    (b"root", FileKind::Foreign("a ROOT file")),
    (b"SQLite format 3", FileKind::Foreign("an SQLite database")),
    (b"\x89PNG", FileKind::Foreign("a PNG image")),
    (b"\xFF\xD8\xFF", FileKind::Foreign("a JPEG image")),
    (b"%PDF", FileKind::Foreign("a PDF document")),
    (b"\x7FELF", FileKind::Foreign("a program")),
    (b"SIMPLE  =", FileKind::Foreign("a FITS file")),
    (b"\xD0\xCF\x11\xE0", FileKind::Foreign("an old Excel file")),
];

impl FileKind {
    /// The kind of a file with these first bytes; a few thousand are enough.
    pub fn of(head: &[u8]) -> Self {
        if head.is_empty() {
            return Self::Empty;
        }
        // A text may begin with a word that is also the magic of a format.
        let text = as_text(head);
        let marked = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
        if let Some((magic, kind)) = marked
            && (text.is_none() || magic.len() > 4)
        {
            return *kind;
        }
        // A skippable frame may precede the first one with content.
        if matches!(head, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..]) {
            return Self::Zstd;
        }
        if head.starts_with(b"PK\x03\x04") {
            return zipped(head);
        }
        if head.get(257..262) == Some(b"ustar") {
            return Self::Tar;
        }
        if head.get(8) == Some(&b'{') && head[..8].ends_with(&[0; 4]) {
            return Self::Safetensors;
        }
        if matches!(head, [0x80, 2..=5, ..]) {
            return Self::Pickle;
        }
        if is_onnx(head) {
            return Self::Onnx;
        }
        match text {
            Some(text) => kind_of_text(text),
            None if is_wide(head) => Self::Utf16,
            None => Self::Unknown,
        }
    }

    /// The kind of the file at `path`; [`Self::Unknown`] if it cannot be read.
    pub fn of_file(path: &Path) -> Self {
        let mut head = Vec::new();
        let read = File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
        match read.map_or(Self::Unknown, |_| Self::of(&head)) {
            Self::Zstd if is_packed_recording(path) => Self::Recording,
            kind => kind,
        }
    }

    /// The kind as a noun for messages, such as `a menu`.
    pub fn noun(self) -> String {
        match self {
            Self::Empty => "an empty file",
            Self::Recording => "a Tamis recording",
            Self::Zstd => "compressed with zstd",
            Self::Mcap => "an MCAP file, as stored events are",
            Self::Npy => "a NumPy array",
            Self::Npz => "a NumPy archive (.npz)",
            Self::Table => "a table",
            Self::Menu => "a menu",
            Self::Schema => "a schema of events",
            Self::Recipe => "a recipe for training",
            Self::Manifest => "the model.toml of a bundle",
            Self::Ledger => "the ledger of a run",
            Self::Json => "JSON",
            Self::Text => "a text",
            Self::Utf16 => "text in UTF-16",
            Self::Tar => "a tar file",
            Self::Onnx => "an ONNX model",
            Self::Safetensors => "a safetensors file",
            Self::Pickle => "a Python pickle",
            Self::Foreign(noun) => noun,
            Self::Packed(by, _) => return format!("compressed with {by}"),
            Self::Unknown => "a file of an unknown kind",
        }
        .into()
    }

    /// What to do with such a file where another kind is expected.
    pub fn remedy(self) -> String {
        match self {
            Self::Empty => "get another copy of it",
            Self::Recording => "`tamis replay` runs it, `tamis cat` shows its events",
            Self::Zstd => "unpack it first, with: zstd -d",
            Self::Mcap => "`tamis cat` shows stored events, `tamis verify` checks them",
            Self::Npy | Self::Table => "make a recording of it with `tamis convert`",
            Self::Npz => "store one array of it with numpy.save, and make a recording with `tamis convert`",
            Self::Menu => "`tamis replay` takes it with --menu",
            Self::Schema => "`tamis convert` takes it with --schema",
            Self::Recipe => "`tamis train` trains a model with it",
            Self::Manifest => "name its folder where a bundle is asked for",
            Self::Ledger => "`tamis verify` checks a run by it",
            Self::Json => "a model of XGBoost or LightGBM must be exported as ONNX",
            Self::Text | Self::Utf16 | Self::Unknown => {
                "if it is a table, `tamis convert` makes a recording of it"
            }
            Self::Tar => "name it where a bundle is asked for, if it is one",
            Self::Onnx => "make a bundle of it with `tamis model import`",
            Self::Safetensors | Self::Pickle => {
                "export the network as ONNX, as with torch.onnx.export, and import that"
            }
            Self::Foreign(_) => "Tamis does not read these; export a table as CSV or .npy, and convert it",
            Self::Packed(_, unpack) => return format!("unpack it first, with: {unpack}"),
        }
        .into()
    }

    /// What to do with such a file where a table is expected.
    pub(crate) fn remedy_as_table(self) -> String {
        match self {
            Self::Packed(_, unpack) => {
                format!("give the table itself, as in: {unpack} FILE | tamis convert - --schema ...")
            }
            Self::Npz => "give one array of it, stored by numpy.save".into(),
            Self::Utf16 => "save it as UTF-8, as with: iconv -f UTF-16 -t UTF-8".into(),
            Self::Recording => "it needs no conversion; `tamis replay` runs it".into(),
            Self::Mcap => "`tamis cat --jsonl` shows the events in it; a table is CSV or .npy".into(),
            Self::Zstd => "it was compressed twice; unpack it first, with: zstd -d".into(),
            Self::Menu | Self::Schema | Self::Recipe => format!("{}; a table is CSV or .npy", self.remedy()),
            _ => "a table is CSV with a line of column names, or .npy".into(),
        }
    }
}

/// Is this the beginning of an ONNX model? It has no mark of its own: first comes the version of its format (field 1), then a field of 2 to 20.
fn is_onnx(head: &[u8]) -> bool {
    let field = |key: u8| key >> 3;
    matches!(head, [0x08, 1..=32, key, ..] if (2..=20).contains(&field(*key)) && matches!(key & 7, 0 | 2))
}

/// Does a file unpack to a recording?
fn is_packed_recording(path: &Path) -> bool {
    let mut first = [0; 16];
    let decoder = File::open(path).and_then(Decoder::new);
    let unpacked = decoder.and_then(|mut decoder| decoder.read_exact(&mut first));
    unpacked.is_ok() && FileKind::of(&first) == FileKind::Recording
}

/// The head as text, if it is one. A character may be cut at the end.
fn as_text(head: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}');
    (!text.is_empty() && !text.contains(is_control)).then_some(text)
}

fn kind_of_text(text: &str) -> FileKind {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let has = |word: &str| text.starts_with(word) || text.contains(&format!("\n{word}"));
    match () {
        () if text.starts_with("{\"tamis\":") => FileKind::Ledger,
        () if text.starts_with('{') => FileKind::Json,
        () if has("[[line]]") || has("[[stream]]") => FileKind::Menu,
        () if has("[[field]]") || has("field = [") => FileKind::Schema,
        () if has("epochs =") || has("[[data]]") || has("data = [") => FileKind::Recipe,
        () if has("[weights]") || has("format = 1") => FileKind::Manifest,
        () if text.lines().next().is_some_and(|line| line.contains([',', ';', '\t'])) => FileKind::Table,
        () => FileKind::Text,
    }
}

/// Is it UTF-16? Every other byte of a Latin text is then 0.
fn is_wide(head: &[u8]) -> bool {
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|&&byte| byte == 0).count();
    let half = head.len() / 2;
    half >= 4 && ((zeros(0) == 0 && zeros(1) == half) || (zeros(1) == 0 && zeros(0) >= half))
}

/// The kind of a zip file, by the name of its first entry.
fn zipped(head: &[u8]) -> FileKind {
    let length = head.get(26..28).map_or(0, |bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])));
    let name = head.get(30..30 + length).unwrap_or_default();
    match name {
        name if name.ends_with(b".npy") => FileKind::Npz,
        name if name.ends_with(b"data.pkl") => FileKind::Pickle,
        b"[Content_Types].xml" => FileKind::Foreign("an Excel file"),
        _ => FileKind::Packed("zip", "unzip -p"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_what_they_are() {
        let mut tar = vec![0; 512];
        tar[..10].copy_from_slice(b"model.toml");
        tar[257..262].copy_from_slice(b"ustar");
        let zip = |name: &str| {
            let mut zip = b"PK\x03\x04".to_vec();
            zip.resize(26, 0);
            zip.extend((name.len() as u16).to_le_bytes());
            zip.extend([0, 0]);
            zip.extend(name.as_bytes());
            zip
        };
        let wide: Vec<u8> = "pt,eta\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        #[rustfmt::skip]
        let table: [(&[u8], FileKind); 26] = [
            (b"", FileKind::Empty),
            (b"TAMF\x01\0\0\0", FileKind::Recording),
            (b"\x28\xB5\x2F\xFD\x04", FileKind::Zstd),
            (b"\x50\x2A\x4D\x18\x04\0\0\0", FileKind::Zstd),
            (b"\x89MCAP0\r\n\x01", FileKind::Mcap),
            (b"\x93NUMPY\x01\0", FileKind::Npy),
            (&zip("arr_0.npy"), FileKind::Npz),
            (&zip("archive/data.pkl"), FileKind::Pickle),
            (&zip("t.csv"), FileKind::Packed("zip", "unzip -p")),
            (b"\x1F\x8B\x08\0", FileKind::Packed("gzip", "gzip -dc")),
            (b"PAR1\x15\0", FileKind::Foreign("a Parquet file")),
            (&wide, FileKind::Utf16),
            (b"\xFF\xFEp\0t\0", FileKind::Utf16),
            (&tar, FileKind::Tar),
            (b"\x40\0\0\0\0\0\0\0{\"a\"", FileKind::Safetensors),
            (b"\x80\x04\x95", FileKind::Pickle),
            (b"name = \"a\"\n\n[[line]]\nwhen = \"x > 1, 2\"\n", FileKind::Menu),
            (b"name = \"a\"\n[[field]]\nname = \"x\"\n", FileKind::Schema),
            (b"{\"a\": 1}", FileKind::Json),
            (b"x;y\n1;2\n", FileKind::Table),
            (b"root,x\n1,2\n", FileKind::Table),
            (b"x\n1\n", FileKind::Text),
            (b"\x08\x07\x12\x07pytorch", FileKind::Onnx),
            (b"\x08\x0A:\xC2\x08", FileKind::Onnx),
            (b"\x08\x07\x11\x07", FileKind::Unknown),
            (b"{\"tamis\":\"0.1.0\",\"schema\":6,", FileKind::Ledger),
        ];
        for (head, kind) in table {
            assert_eq!(FileKind::of(head), kind, "{head:?}");
        }
        // A character that is cut at the end of the head does not make the text invalid.
        assert_eq!(FileKind::of(&"µ,x".as_bytes()[..1]), FileKind::Unknown);
        assert_eq!(FileKind::of(&"x,µ".as_bytes()[..3]), FileKind::Table);
    }
}
