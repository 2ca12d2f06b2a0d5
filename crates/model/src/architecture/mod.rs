//! Kinds of networks: one file per kind, and one word in [`Architecture`].
//!
//! A kind determines which manifest keys it needs and builds the network as a graph of operators that includes the weights. Everything
//! after that (checks, engines, batches) is the same for all kinds.

mod autoencoder;
mod chain;
mod dense;
mod onnx;

use serde::{Deserialize, Serialize};
use tamis_graph::UncheckedGraph;

use crate::error::BundleFault;
use crate::manifest::{Manifest, bad};

/// The kinds of networks. To add one, add a file beside this one, a word here, and a section in `BUNDLE.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Architecture {
    /// A chain of dense layers: every number of the last is a score.
    Dense,
    /// A chain that reconstructs its input: the score is the reconstruction error.
    Autoencoder,
    /// A graph of operators in an ONNX file.
    Onnx,
}

impl Architecture {
    /// Checks that the keys of the manifest fit this kind.
    pub fn check(self, manifest: &Manifest) -> Result<(), BundleFault> {
        let belongs = |key: &str, given: bool, kind: bool| match given && !kind {
            true => bad(key, &format!("does not belong to architecture {}", self.word())),
            false => Ok(()),
        };
        belongs("width", manifest.width.is_some(), self == Self::Onnx)?;
        let has_chain = self != Self::Onnx;
        belongs("layers", !manifest.layers.is_empty(), has_chain)?;
        belongs("activation", manifest.activation.is_some(), has_chain)?;
        belongs("output_activation", manifest.output_activation.is_some(), has_chain)?;
        match self {
            Self::Dense => dense::check(manifest),
            Self::Autoencoder => autoencoder::check(manifest),
            Self::Onnx => Ok(()),
        }
    }

    /// Builds the network as a graph from the bytes of the weights file.
    pub fn source(self, manifest: &Manifest, weights: &[u8]) -> Result<UncheckedGraph, BundleFault> {
        match self {
            Self::Dense => dense::source(manifest, weights),
            Self::Autoencoder => autoencoder::source(manifest, weights),
            Self::Onnx => onnx::source(manifest, weights),
        }
    }

    /// The word in a manifest.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Autoencoder => "autoencoder",
            Self::Onnx => "onnx",
        }
    }
}
