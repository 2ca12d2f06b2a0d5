//! `onnx`: the weights file is the whole network.

use tamis_graph::UncheckedGraph;

use crate::error::BundleFault;
use crate::manifest::Manifest;

pub(super) fn source(manifest: &Manifest, file: &[u8]) -> Result<UncheckedGraph, BundleFault> {
    let mut source = UncheckedGraph::from_onnx(file).map_err(BundleFault::Graph)?;
    source.close_axis(manifest.width.unwrap_or_default());
    Ok(source)
}
