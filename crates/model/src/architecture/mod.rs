//! What a network is made of: one file per kind, one word in [`Architecture`].
//!
//! A kind says which keys of the manifest it needs and writes the network down as a graph of operators, with the weights in it. Everything
//! after that is the same for all: checks, engines, batches.

mod autoencoder;
mod chain;
mod dense;
mod onnx;

use serde::{Deserialize, Serialize};
use tamis_graph::UncheckedGraph;

use crate::error::BundleFault;
use crate::manifest::{Manifest, bad};

/// The list of kinds. To add one: a file beside this one, a word here, and its section in `BUNDLE.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Architecture {
    /// A chain of dense layers: every number of the last is a score.
    Dense,
    /// A chain that reproduces its input: the score is how badly it fails.
    Autoencoder,
    /// A graph of operators in an ONNX file.
    Onnx,
}

impl Architecture {
    /// Do the keys of the manifest fit this kind?
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

    /// The network as a graph, from the bytes of the weights file.
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
