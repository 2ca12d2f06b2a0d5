//! What a network is made of: one file per kind, one word in [`Architecture`].
//!
//! Every kind so far is a chain of dense layers ([`crate::network`]); kinds differ in what the numbers of the last layer become.

mod autoencoder;
mod dense;

use serde::Deserialize;

use crate::error::BundleFault;
use crate::manifest::Manifest;

/// The list of kinds. To add one: a file beside this one, a word here, and its section in `BUNDLE.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Architecture {
    /// A classifier: every number of the last layer is a score.
    Dense,
    /// Trained to reproduce its input: the score is how badly it fails.
    Autoencoder,
}

impl Architecture {
    /// Do layers, activations and outputs fit this kind?
    pub fn check(self, manifest: &Manifest) -> Result<(), BundleFault> {
        match self {
            Self::Dense => dense::check(manifest),
            Self::Autoencoder => autoencoder::check(manifest),
        }
    }

    /// Turns the last layer of `rows` events into scores.
    ///
    /// `inputs` and `last` are row-major, one row per event; `each(row, output, score)` is called for every score of the first `rows` rows.
    pub fn scores(self, rows: usize, inputs: Rows<'_>, last: Rows<'_>, each: impl FnMut(usize, usize, f32)) {
        match self {
            Self::Dense => dense::scores(rows, last, each),
            Self::Autoencoder => autoencoder::scores(rows, inputs, last, each),
        }
    }
}

/// Row-major numbers, `width` of them per event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub values: &'a [f32],
    pub width: usize,
}

impl<'a> Rows<'a> {
    /// The rows, in order.
    pub fn iter(self) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.width)
    }
}
