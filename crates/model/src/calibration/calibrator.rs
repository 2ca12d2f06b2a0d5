//! Calibration: finds the ranges of a network's numbers over events, and makes a section of the manifest.

use sha2::{Digest, Sha256};
use tamis_event::Schema;
use tamis_kernel::Layer;

use super::{Calibration, Tolerance, check_dense};
use crate::bundle::{Bundle, hex};
use crate::error::BindError;
use crate::features::Features;

/// Number of events whose numbers are in memory at once.
const EVENTS_AT_ONCE: usize = 4096;

/// Collects the largest numbers of a network's hidden layers over events.
#[derive(Debug)]
pub struct Calibrator {
    model: String,
    features: Features,
    layers: Vec<Layer>,
    hidden: Vec<f32>,
    events: u64,
    records: Sha256,
    rows: Vec<f32>,
}

impl Bundle {
    /// Begins a calibration for the reduced-precision engines with events of `schema`. An error if none can run the model.
    pub fn calibrator(&self, schema: &Schema) -> Result<Calibrator, BindError> {
        let unfit = |message| BindError::Engine {
            model: self.name().into(),
            engine: crate::Engine::REDUCED.map(crate::Engine::name).join(", or "),
            message,
        };
        let (graph, manifest) = (self.graph(), self.parsed());
        let layers = check_dense(graph).map_err(unfit)?;
        let features = Features::new(manifest, schema, graph.input_numbers())?;
        let hidden = vec![0.0; layers.len() - 1];
        let model = self.name().into();
        let records = Sha256::new();
        Ok(Calibrator { model, features, layers, hidden, events: 0, records, rows: Vec::new() })
    }
}

impl Calibrator {
    /// Adds whole event records.
    pub fn add(&mut self, records: &[u8]) {
        self.records.update(records);
        let stride = self.features.stride();
        for records in records.chunks(EVENTS_AT_ONCE * stride) {
            let events = records.len() / stride;
            self.events += events as u64;
            self.rows.resize(events * self.features.width(), 0.0);
            self.features.fill(records, &mut self.rows);
            // Events with a non-finite input are skipped, since a run does not score them either.
            let rows = self.rows.chunks_exact(self.features.width());
            let sound = rows.filter(|row| row.iter().all(|x| x.is_finite()));
            let sound: Vec<f32> = sound.flatten().copied().collect();
            let largest = tamis_kernel::ChainRanges::largest(&self.layers, &sound).expect("a chain was read");
            self.hidden.iter_mut().zip(largest).for_each(|(all, new)| *all = all.max(new));
        }
    }

    /// The section of the manifest, with the widest tolerances; suitable ones can then be measured. An error if the events say nothing
    /// about a layer.
    pub fn finish(self, margin: f64) -> Result<Calibration, String> {
        let Self { model, hidden, events, records, .. } = self;
        if let Some(layer) = hidden.iter().position(|largest| !(*largest > 0.0 && largest.is_finite())) {
            let largest = hidden[layer];
            return Err(format!(
                "model '{model}': the largest number of hidden layer {layer} over {events} events is {largest}; calibrate with events that the model is for"
            ));
        }
        let records_sha256 = hex(&records.finalize());
        Ok(Calibration { hidden, margin, tolerance: Tolerance::MAX, events, records_sha256 })
    }
}
