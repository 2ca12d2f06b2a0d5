//! `onnx`: the weights file is the whole network.

use tamis_graph::Source;

use crate::error::BundleFault;
use crate::manifest::Manifest;

pub(super) fn source(manifest: &Manifest, file: &[u8]) -> Result<Source, BundleFault> {
    let mut source = Source::from_onnx(file).map_err(BundleFault::Graph)?;
    source.close_axis(manifest.width.unwrap_or_default());
    Ok(source)
}
