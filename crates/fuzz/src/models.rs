//! Files of models.

use std::sync::Arc;

use burn::tensor::Device;
use tamis_graph::{Graph, Program, UncheckedGraph};
use tamis_model::Bundle;

/// Rows that a graph which was accepted is run with.
const ROWS: usize = 2;
/// Graphs with more work per event are accepted, but not run here: a fuzzer wants many tries.
const WORK_MAX: u64 = 1 << 20;

/// An ONNX file: read, checked, and, if it is accepted, run.
pub fn onnx(bytes: &[u8]) {
    let Ok(mut source) = UncheckedGraph::from_onnx(bytes) else { return };
    source.close_axis(8);
    let Ok(graph) = Graph::new(&source) else { return };
    let numbers = graph.input_numbers();
    if graph.multiply_adds() > WORK_MAX
        || graph.widest_step() > WORK_MAX as usize
        || numbers > WORK_MAX as usize
    {
        return;
    }
    let rows = (0..ROWS * numbers).map(|index| index as f32 * 0.37 - 1.0).collect();
    // An engine may fail while it computes; that is an error, and the pipeline knows what to do with it.
    let _ = Program::new(Arc::new(graph), &Device::flex()).start(rows, ROWS).wait(ROWS);
}

/// A bundle as an archive.
pub fn bundle(bytes: &[u8]) {
    let _ = Bundle::from_tar(bytes, "fuzz.tar");
}
