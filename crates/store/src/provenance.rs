//! The contents of every file besides records: all that is needed to understand them and to repeat the decisions.

use std::collections::BTreeMap;

use tamis_event::Schema;

use crate::Compression;
use crate::name::{NameError, check_name};

/// Where the records of a run come from. It is the same for every file of the run and does not depend on time, place or threads, so that equal
/// runs give equal files.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// Layout of the events.
    pub schema: Schema,
    /// The text of the menu file.
    pub menu: String,
    /// The models of the menu, in menu order, each followed by its fallbacks.
    pub models: Vec<ModelArchive>,
    /// Further metadata of the run. It must be deterministic: no wall clock, host name, thread or batch numbers.
    pub metadata: BTreeMap<String, String>,
}

/// A model bundle as a tar archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelArchive {
    /// Name of the model in the menu.
    pub name: String,
    /// 0 for the bundle that the menu names first, k for its k-th fallback.
    pub choice: usize,
    /// The bytes of the tar archive.
    pub tar: Vec<u8>,
}

impl ModelArchive {
    /// Name of the attachment for a choice of a model: `model-NAME.tar`, and `model-NAME.K.tar` for its fallback K.
    pub fn attachment(name: &str, choice: usize) -> String {
        if choice == 0 { format!("model-{name}.tar") } else { format!("model-{name}.{choice}.tar") }
    }
}

/// An attachment: a file inside a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name, for example `menu.toml`.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// The contents of a file before its first record.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub stream: String,
    pub schema_name: String,
    pub schema_text: Vec<u8>,
    pub metadata: BTreeMap<String, String>,
    pub attachments: Vec<Attachment>,
}

/// Name of the metadata record.
pub(crate) const METADATA: &str = "tamis";
/// Keys that a sink adds to the metadata.
pub(crate) mod key {
    pub(crate) const FORMAT: &str = "format";
    pub(crate) const RUN_NAME: &str = "run_name";
    pub(crate) const STREAM: &str = "stream";
    pub(crate) const COMPRESSION: &str = "compression";
    pub(crate) const FILE: &str = "file";
    pub(crate) const SCHEMA: &str = "schema";
    pub(crate) const SCHEMA_ID: &str = "schema_id";
}
/// Names of the attachments.
pub(crate) const MENU: &str = "menu.toml";
pub(crate) const SCHEMA: &str = "schema.toml";
const TOML: &str = "application/toml";
const TAR: &str = "application/x-tar";

impl Head {
    /// The head of the files of one stream; the number of the file is added per file.
    pub(crate) fn new(
        provenance: &Provenance,
        run_name: &str,
        stream: &str,
        compression: Compression,
    ) -> Result<Self, NameError> {
        let Provenance { schema, menu, models, .. } = provenance;
        let mut metadata = provenance.metadata.clone();
        metadata.extend(
            [
                (key::FORMAT, "1".into()),
                (key::RUN_NAME, run_name.into()),
                (key::STREAM, stream.into()),
                (key::COMPRESSION, compression.to_string()),
                (key::SCHEMA, schema.name().into()),
                (key::SCHEMA_ID, format!("{:016x}", schema.id())),
            ]
            .map(|(key, value): (&str, String)| (key.into(), value)),
        );
        let mut attachments = vec![
            Attachment { name: SCHEMA.into(), media_type: TOML.into(), data: schema.text().into() },
            Attachment { name: MENU.into(), media_type: TOML.into(), data: menu.as_bytes().into() },
        ];
        for ModelArchive { name, choice, tar } in models {
            check_name(name)?;
            let name = ModelArchive::attachment(name, *choice);
            attachments.push(Attachment { name, media_type: TAR.into(), data: tar.clone() });
        }
        Ok(Self {
            stream: stream.into(),
            schema_name: schema.name().into(),
            schema_text: schema.text().into(),
            metadata,
            attachments,
        })
    }

    /// How the chunks of the file were compressed, or are by default.
    pub(crate) fn compression(&self) -> Compression {
        self.metadata.get(key::COMPRESSION).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Bytes of the attachments and the schema, approximately the size of the head.
    pub(crate) fn bytes(&self) -> u64 {
        let attached: usize = self.attachments.iter().map(|attachment| attachment.data.len()).sum();
        (attached + self.schema_text.len()) as u64
    }
}
