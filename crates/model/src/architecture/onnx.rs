//! `onnx`: the weights file is the whole network.

use tamis_graph::Source;

use crate::error::BundleFault;

pub(super) fn source(file: &[u8]) -> Result<Source, BundleFault> {
    Source::from_onnx(file).map_err(BundleFault::Graph)
}
