//! Integer chains: the engines `int16` and `int8`, which differ in the width of the numbers between layers ([`HiddenBits`]).
//!
//! ```text
//!   layers, calibration, the fields of a schema --> IntKernel
//! ```
//!
//! * I1: the inputs of the network are the integers of the record. A row of floats is turned back into them ([`IntKernel::run`]), so every
//!   check that works on rows works here.

use tamis_event::Dtype;
use tamis_graph::Graph;
use tamis_kernel::{ChainRanges, HiddenBits, IntChain, IntGather, IntInput, IntTile};

use crate::calibration::{self, REMEDY};
use crate::engine::Engine;
use crate::features::{Features, IntFeature, nearest};
use crate::fused_chain::dense;
use crate::manifest::Manifest;

/// An integer chain, and the meaning of its inputs.
#[derive(Debug)]
pub(crate) struct IntKernel {
    chain: IntChain,
    features: Vec<IntFeature>,
}

impl IntKernel {
    /// Compiles a calibrated chain for an integer engine; the error says what is missing.
    pub fn new(
        graph: &Graph,
        manifest: &Manifest,
        features: &Features,
        engine: Engine,
        bits: HiddenBits,
    ) -> Result<Self, String> {
        let section = calibration::check(graph, manifest, engine)?;
        let list = int_features(manifest, features)?;
        let (layers, readout) = dense(graph)?;
        let calibration = ChainRanges {
            inputs: list.iter().map(|feature| feature.input).collect(),
            hidden: section.expected(&layers, bits),
        };
        let chain = IntChain::new(&layers, readout, &calibration, bits)
            .map_err(|error| format!("{error}; {REMEDY}"))?;
        Ok(Self { chain, features: list })
    }

    pub fn chain(&self) -> &IntChain {
        &self.chain
    }

    /// Plans how to gather the integers from records.
    pub fn gather(&self, record_len: usize) -> IntGather {
        let columns: Vec<_> = self.features.iter().map(|feature| feature.column).collect();
        self.chain.gather(record_len, &columns)
    }

    /// The integers nearest to a row, within their ranges.
    pub fn integers(&self, row: &[f32]) -> Vec<i16> {
        let integer = |(x, feature): (&f32, &IntFeature)| {
            let IntInput { low, high, .. } = feature.input;
            nearest((*x).into(), feature.exact, [low, high].map(f64::from))
        };
        row.iter().zip(&self.features).map(integer).collect()
    }

    /// The first input of the first event of a tile that differs from the integer for `row`, the same event as floats. Returns both as floats.
    pub fn first_difference(&self, tile: &mut IntTile, row: &[f32]) -> Option<(f32, f32)> {
        let pairs = tile.inputs_mut().iter().flat_map(|pairs| pairs.0[0]);
        let gathered =
            pairs.zip(&self.features).map(|(x, feature)| x.clamp(feature.input.low, feature.input.high));
        let mut both = gathered.zip(self.integers(row)).zip(&self.features);
        let ((found, wanted), feature) = both.find(|((found, wanted), _)| found != wanted)?;
        let IntInput { scale, offset, .. } = feature.input;
        Some((f32::from(found).mul_add(scale, offset), f32::from(wanted).mul_add(scale, offset)))
    }

    /// Computes the numbers of whole rows.
    pub fn run(&self, rows: &[f32], numbers: &mut [f32]) {
        let rows: Vec<i16> =
            rows.chunks_exact(self.features.len()).flat_map(|row| self.integers(row)).collect();
        self.chain.run(&mut self.chain.tile(), &rows, numbers);
    }
}

/// Why no integer engine can run on the fields of a schema.
pub(crate) fn unfit_fields(manifest: &Manifest, features: &Features) -> Option<String> {
    int_features(manifest, features).err()
}

/// Checks that the preprocessing is affine with an optional clip.
pub(crate) fn check_inputs(manifest: &Manifest) -> Result<(), String> {
    for input in &manifest.inputs {
        let more =
            [("log1p", input.log1p), ("one_hot", input.one_hot.is_some()), ("mask", input.mask.is_some())];
        if input.field.starts_with("mask(") {
            let field = &input.field;
            return Err(format!(
                "input '{field}' is no integer of the record, and integers go in as they are; {REMEDY}"
            ));
        }
        if let Some((what, _)) = more.into_iter().find(|(_, there)| *there) {
            let field = &input.field;
            return Err(format!(
                "input '{field}' has {what}, and integers go in as they are, with shift, scale and clip at most; {REMEDY}"
            ));
        }
    }
    Ok(())
}

/// The inputs as integers of the schema's records.
fn int_features(manifest: &Manifest, features: &Features) -> Result<Vec<IntFeature>, String> {
    features.integers().map_err(|(input, dtype)| {
        let field = &manifest.inputs[input].field;
        let dtype = Dtype::name(dtype);
        format!("input '{field}' is {dtype} in the schema, and 16 bits hold i8, u8 and i16; give the schema of the events if that is another one, or {REMEDY}")
    })
}
