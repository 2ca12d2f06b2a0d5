//! Checks that a model must pass on this machine before it may score: right inputs, right scores, and the same bits everywhere.
//!
//! A matrix product may add in an order that depends on the number of rows, or treat the last rows of a batch differently from the first.
//! Then a score near a cut would depend on the batch, and a decision could not be repeated. Two measures prevent that:
//!
//! * Tiles of different sizes are mixed only if the product of a row is a single sum for every size ([`sizes_agree`]).
//! * Probes (the golden vectors, and rows of noise) are computed in changing rows, next to changing neighbours, in every size in use, and
//!   compared bit for bit. An engine that differs is refused.

use tamis_graph::{Graph, KernelOp};
use tamis_kernel::Isa;

use crate::classifier::Bound;
use crate::engine::Engine;
use crate::error::BindError;
use crate::fused::Fused;
use crate::network::Network;
use crate::weights::Golden;

/// Largest number of inputs of a layer that burn's CPU product adds in one piece. Beyond it, the sum is split at places that depend on the rows.
const ONE_PIECE: usize = 512;
/// Least number of neurons for which the product is one of matrices. A single neuron is a vector product, which is split depending on the rows.
const MATRIX: usize = 2;
/// Number of rows of noise on which an engine is compared with the reference.
const REFERENCE_ROWS: usize = 4096;
/// Most golden vectors among the probes; the rest are noise.
const GOLDEN_PROBES: usize = 32;
const PROBES: usize = 61;
/// Most multiplications that the search for differences may cost: about a tenth of a second.
const WORK_MAX: u64 = 2_000_000_000;
/// What making one number costs burn's CPU, in multiplications: operators that move or convert numbers cost time without any.
const WORK_OF_A_NUMBER: u64 = 64;
/// The factor by which the fused kernels are slower on an x86-64 CPU without fused multiply-adds.
const SLOWDOWN: u64 = 100;

/// [`WORK_MAX`], or less on an engine that is slow here.
fn work_max(engine: Engine) -> u64 {
    let is_slow = cfg!(target_arch = "x86_64") && Isa::best() == Isa::Portable;
    if engine == Engine::Fused && is_slow { WORK_MAX / SLOWDOWN } else { WORK_MAX }
}

/// The work of one event, in multiplications. A GPU makes numbers at little cost.
fn work_of_event(graph: &Graph, engine: Engine) -> u64 {
    let of_numbers = match engine {
        Engine::Gpu(_) => 0,
        _ => graph.numbers_made().saturating_mul(WORK_OF_A_NUMBER),
    };
    graph.multiply_adds().saturating_add(of_numbers).max(1)
}

/// What to do if scores differ too much on a reduced-precision engine; `otherwise` on any other engine.
fn remedy(engine: Engine, otherwise: &'static str) -> &'static str {
    match engine {
        Engine::Int16 => {
            "integers of 16 bits are too coarse for it as it is calibrated; calibrate it with other events (tamis model \
             calibrate), or use --device fused"
        }
        Engine::Int8 => {
            "integers of 8 bits are too coarse for it as it is calibrated; calibrate it with other events (tamis model \
             calibrate), or use --device int16"
        }
        Engine::Flex | Engine::Gpu(_) | Engine::Fused | Engine::Auto => otherwise,
    }
}

/// The result of checking the golden vectors of a bundle on an engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GoldenCheck {
    /// Number of golden vectors.
    pub vectors: usize,
    /// Largest difference of a score, relative to 1 or to the expected score if that is larger.
    pub difference: f64,
    /// Largest difference from the reference on rows of noise, in the same measure; 0 on the reference.
    pub noise: f64,
    /// Largest allowed difference.
    pub tolerance: f64,
}

/// The difference relative to 1 or to the expected score if that is larger; infinite if the score is NaN.
fn difference(computed: f32, expected: f32) -> f64 {
    // Equal infinities do not differ.
    if computed == expected {
        return 0.0;
    }
    let (computed, expected) = (f64::from(computed), f64::from(expected));
    let difference = (computed - expected).abs() / expected.abs().max(1.0);
    if difference.is_nan() { f64::INFINITY } else { difference }
}

/// Does burn's CPU give a row of this network the same bits in tiles of every size?
pub(crate) fn sizes_agree(graph: &Graph) -> bool {
    graph.steps().all(|step| match step.kernel {
        Some(KernelOp::Dense { inputs, outputs, .. }) => inputs <= ONE_PIECE && outputs >= MATRIX,
        _ => step.multiply_adds == 0,
    })
}

impl Bound {
    /// Checks the vectorised loops against the definition of the inputs in this schema.
    pub fn check_gather(&self, golden: &Golden) -> Result<(), BindError> {
        let mut x = vec![0.0; self.features.width()];
        for (row, values) in golden.inputs.chunks_exact(self.features.elements()).enumerate() {
            let record = self.features.record_of_physical(values);
            self.features.fill(&record, &mut x);
            let mut difference = None;
            if let (Some(lanes), Some(fused)) = (&self.lanes, self.network.fused()) {
                let mut room = fused.room();
                lanes.fill(&self.features, &[&record], &mut room);
                match fused {
                    Fused::Integers(kernel) => difference = kernel.first_difference(room.integers(), &x),
                    Fused::Chain(_) | Fused::Forest(_) => {
                        let lanes = room.floats().tile.inputs_mut();
                        x.iter_mut().zip(lanes).for_each(|(x, lanes)| *x = lanes.0[0]);
                    }
                }
            }
            if let Some(unpack) = &self.unpack {
                let mut integers = Vec::new();
                self.features.pack(&record, &mut integers);
                x = unpack.numbers(integers, 1).map_err(|message| self.engine_fails(message))?;
            }
            let difference = difference.or_else(|| self.features.first_difference(&record, &x));
            if let Some((computed, expected)) = difference {
                return Err(BindError::Gather { model: self.name.clone(), row, computed, expected });
            }
        }
        Ok(())
    }

    /// Compares all golden vectors with their scores. An error reports the worst.
    pub fn check_golden(&self, golden: &Golden, tolerance: f64) -> Result<GoldenCheck, BindError> {
        let computed = self.score_rows(&self.rows_of(&golden.inputs))?;
        let mut worst = (0, 0.0);
        for (index, (&computed, &expected)) in computed.iter().zip(&golden.scores).enumerate() {
            let difference = difference(computed, expected);
            if difference > worst.1 {
                worst = (index, difference);
            }
        }
        let (index, difference) = worst;
        if difference > tolerance {
            let outputs = self.outputs.len();
            return Err(BindError::Golden {
                model: self.name.clone(),
                engine: self.engine.to_string(),
                row: index / outputs,
                output: self.outputs[index % outputs].clone(),
                computed: computed[index],
                expected: golden.scores[index],
                difference,
                remedy: remedy(self.engine, "weights, preprocessing or engine differ from the training"),
            });
        }
        Ok(GoldenCheck { vectors: golden.rows, difference, noise: 0.0, tolerance })
    }

    /// Compares this engine with burn's CPU on rows of noise, number by number. Returns the largest difference.
    pub fn check_reference(
        &self,
        reference: &Network,
        graph: &Graph,
        tolerance: f64,
    ) -> Result<f64, BindError> {
        let fail = |message| BindError::Engine {
            model: self.name.clone(),
            engine: Engine::Flex.to_string(),
            message,
        };
        let width = self.features.width();
        let outputs = self.outputs.len();
        let size = self.tiles[0];
        let affordable = work_max(self.engine) / work_of_event(graph, self.engine);
        let rows = REFERENCE_ROWS.min(usize::try_from(affordable).unwrap_or(REFERENCE_ROWS)).max(1);
        let x = self.rows_of(&self.features.noise(rows));
        let mut largest = 0.0f64;
        for (tile, x) in x.chunks(size * width).enumerate() {
            let mut x = x.to_vec();
            let events = x.len() / width;
            let expected = reference.start(x.clone(), events).wait(events).map_err(fail)?.numbers;
            let numbers = expected.len() / events;
            x.resize(size * width, 0.0);
            let mut worst: Option<(usize, usize, f32, f32)> = None;
            self.run_checked(x, events, |row, output, score| {
                let wanted = expected[row * numbers + self.picks[output]];
                if score.is_nan() && wanted.is_nan() {
                    return;
                }
                largest = largest.max(difference(score, wanted));
                if difference(score, wanted) > tolerance {
                    worst.get_or_insert((row, output, score, wanted));
                }
            })?;
            if let Some((row, output, computed, expected)) = worst {
                let model = self.name.clone();
                let engine = self.engine.to_string();
                let row = tile * size + row;
                let output = self.outputs[output % outputs].clone();
                let otherwise =
                    "the engine is refused on this machine, use --device flex and please report it";
                let remedy = remedy(self.engine, otherwise);
                return Err(BindError::Reference { model, engine, row, output, computed, expected, remedy });
            }
        }
        Ok(largest)
    }

    /// Computes the probes in changing rows of every tile size and compares bits.
    pub fn check_places(&self, golden: &Golden, graph: &Graph) -> Result<(), BindError> {
        let width = self.features.width();
        let of_probes = golden.rows.min(GOLDEN_PROBES) * self.features.elements();
        let mut probes = self.rows_of(&golden.inputs[..of_probes]);
        let mut noise = 0u32;
        probes.resize_with(PROBES * width, || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 8) as f32 / (1 << 21) as f32 - 4.0
        });
        let expected = self.score_rows(&probes)?;
        // The number of probes is prime, so that over all shifts every probe gets to every row.
        let rows: usize = self.tiles.iter().sum();
        let affordable =
            work_max(self.engine) / work_of_event(graph, self.engine).saturating_mul(rows as u64);
        for shift in 0..usize::try_from(affordable).unwrap_or(PROBES).clamp(2, PROBES) {
            for &size in self.tiles {
                if let Some(row) = self.first_other_bits(size, shift, &probes, &expected)? {
                    let model = self.name.clone();
                    let engine = self.engine.to_string();
                    return Err(BindError::Position { model, engine, row, rows: size });
                }
            }
        }
        Ok(())
    }

    /// Fills a tile with the probes, starting with number `shift`, and returns the first row whose score has other bits than expected.
    fn first_other_bits(
        &self,
        size: usize,
        shift: usize,
        probes: &[f32],
        expected: &[f32],
    ) -> Result<Option<usize>, BindError> {
        let (width, outputs) = (self.features.width(), self.outputs.len());
        let which = |row: usize| (row + shift) % PROBES;
        let tile: Vec<f32> =
            (0..size).flat_map(|row| &probes[which(row) * width..][..width]).copied().collect();
        let mut other = None;
        self.run_checked(tile, size, |row, output, score| {
            if score.to_bits() != expected[which(row) * outputs + output].to_bits() {
                other.get_or_insert(row);
            }
        })?;
        Ok(other)
    }

    /// The rows of physical values, by the definition of the preprocessing.
    fn rows_of(&self, values: &[f32]) -> Vec<f32> {
        let (elements, width) = (self.features.elements(), self.features.width());
        let mut rows = vec![0.0; values.len() / elements * width];
        for (values, x) in values.chunks_exact(elements).zip(rows.chunks_exact_mut(width)) {
            self.features.row_of_physical(values, x);
        }
        rows
    }

    /// The scores of rows, in large tiles padded with zeros.
    fn score_rows(&self, rows: &[f32]) -> Result<Vec<f32>, BindError> {
        let width = self.features.width();
        let outputs = self.outputs.len();
        let size = self.tiles[0];
        let mut scores = vec![f32::NAN; rows.len() / width * outputs];
        for (rows, scores) in rows.chunks(size * width).zip(scores.chunks_mut(size * outputs)) {
            let mut tile = rows.to_vec();
            tile.resize(size * width, 0.0);
            self.run_checked(tile, rows.len() / width, |row, output, score| {
                scores[row * outputs + output] = score;
            })?;
        }
        Ok(scores)
    }

    fn run_checked(
        &self,
        tile: Vec<f32>,
        rows: usize,
        each: impl FnMut(usize, usize, f32),
    ) -> Result<(), BindError> {
        self.run(tile, rows, each).map_err(|message| self.engine_fails(message))
    }

    fn engine_fails(&self, message: String) -> BindError {
        BindError::Engine { model: self.name.clone(), engine: self.engine.to_string(), message }
    }
}
