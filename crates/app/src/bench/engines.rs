//! Engines side by side: how large a network must be for a device to pay off.
//!
//! ```text
//!   networks from thousands to millions of multiply-adds  x  engines that are there  x  one thread, all threads
//!                                   each: events in records -> scores, in turns
//! ```
//!
//! Every network takes the 57 numbers of a level-1 event, as integers of 16 bits, and gives three scores. Engines of fewer bits are left out where
//! their scores differ too much. A measurement covers what a worker does to a block: inputs, transfers, network, scores. Each thread has a model and
//! blocks of the size that suits the engine, as in a run.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tamis_event::Block;
use tamis_model::{Engine, Model};
use tamis_port::Classifier;

use super::rows::{Row, Section, Spread, Unit};
use super::sample::{EventSize, FrameStream, L1_BYTES, Sample};
use super::stages::blocks;
use super::workload::network;
use crate::exit::OrFail;
use crate::lineup::engines_found;
use crate::{Exit, Failure};

/// Layers between the 57 inputs and the three outputs.
const HIDDEN: [[usize; 2]; 7] =
    [[32, 16], [64, 32], [128, 64], [256, 128], [512, 256], [1024, 512], [2048, 1024]];
/// A turn goes on for this long, and for one block at least.
const TURN: Duration = Duration::from_millis(100);
/// An engine whose first block takes longer is left out: a device of software, say.
const SLOW: Duration = Duration::from_secs(2);

/// How fast an engine runs a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineSpeed {
    /// Widths of its layers, such as `57-32-16-3`.
    pub network: String,
    /// Multiply-adds per event.
    pub multiply_adds: u64,
    /// The engine, as an option names it.
    pub engine: String,
    /// Number of threads that score at once.
    pub threads: usize,
    /// Events per second of all threads together.
    pub events_per_s: Spread,
    /// Events per second in each run, in the order of the runs.
    pub runs: Vec<f64>,
}

impl EngineSpeed {
    /// As a row among others.
    pub(crate) fn row(&self) -> Row {
        let Self { network, engine, threads, .. } = self;
        let plural = if *threads == 1 { "" } else { "s" };
        Row {
            section: Section::Engines,
            name: format!("{network} on {engine}, {threads} thread{plural}"),
            unit: Unit::EventsPerSecond,
            spread: self.events_per_s,
            runs: self.runs.clone(),
            event_bytes: Some(L1_BYTES as u64),
            limit: None,
        }
    }
}

/// One network on one engine.
#[derive(Debug)]
struct Contender {
    network: String,
    multiply_adds: u64,
    engine: Engine,
    model: Model,
    blocks: Arc<Vec<Block>>,
    /// Events per second, by number of threads.
    runs: Vec<Vec<f64>>,
}

/// Everything that is compared.
#[derive(Debug)]
pub(crate) struct Engines {
    contenders: Vec<Contender>,
    threads: Vec<usize>,
}

impl Engines {
    /// Makes the networks and puts them on the engines that are there; of several devices on that of `wanted`, or the first.
    fn new(wanted: Engine, threads: &[usize], networks: &[[usize; 2]]) -> Result<Self, Failure> {
        let stream = Sample::made(EventSize::plain(L1_BYTES), super::FRAME_EVENTS, u64::MAX)?.stream(1, None);
        let threads = ends(threads);
        let mut contenders = Vec::new();
        let mut made = Vec::new();
        for hidden in networks {
            let layers = [L1_BYTES / 2, hidden[0], hidden[1], 3];
            let bundle = network(&layers)?;
            let network = layers.map(|width| width.to_string()).join("-");
            for engine in engines(wanted) {
                let bound = bundle.bind(&stream.schema, engine);
                // One of fewer bits comes near enough to some networks only, and nobody takes it unasked.
                if engine.is_reduced() && bound.is_err() {
                    continue;
                }
                let mut model = bound.or_fail(Exit::Input)?;
                let blocks = blocks_of(engine.batch_events(), &stream, &mut made)?;
                let began = Instant::now();
                score(&mut model, &blocks[0])?;
                if began.elapsed() < SLOW {
                    let network = network.clone();
                    let multiply_adds = bundle.multiply_adds();
                    let runs = vec![Vec::new(); threads.len()];
                    contenders.push(Contender { network, multiply_adds, engine, model, blocks, runs });
                }
            }
        }
        Ok(Self { contenders, threads })
    }

    /// How often a turn calls `progress`, at most.
    pub(crate) const TURN_STEPS: usize = HIDDEN.len();

    /// All networks.
    pub(crate) fn all(wanted: Engine, threads: &[usize]) -> Result<Self, Failure> {
        Self::new(wanted, threads, &HIDDEN)
    }

    /// Measures each once.
    pub(crate) fn turn(&mut self, mut progress: impl FnMut(&str)) -> Result<(), Failure> {
        let mut last = "";
        for contender in &mut self.contenders {
            if contender.network != last {
                progress(&contender.network);
                last = &contender.network;
            }
            for (&threads, runs) in self.threads.iter().zip(&mut contender.runs) {
                runs.push(race(&contender.model, &contender.blocks, threads)?);
            }
        }
        Ok(())
    }

    /// What was measured.
    pub(crate) fn into_speeds(self) -> Vec<EngineSpeed> {
        let speeds = |Contender { network, multiply_adds, engine, runs, .. }: Contender| {
            self.threads.iter().zip(runs).map(move |(&threads, runs)| EngineSpeed {
                network: network.clone(),
                multiply_adds,
                engine: engine.to_string(),
                threads,
                events_per_s: Spread::of(&runs),
                runs,
            })
        };
        self.contenders.into_iter().flat_map(speeds).collect()
    }
}

/// The stream in blocks of `size` events, made once for each size.
fn blocks_of(
    size: usize,
    stream: &FrameStream,
    made: &mut Vec<(usize, Arc<Vec<Block>>)>,
) -> Result<Arc<Vec<Block>>, Failure> {
    if let Some((_, blocks)) = made.iter().find(|(of, _)| *of == size) {
        return Ok(blocks.clone());
    }
    let new = Arc::new(blocks(stream, size)?);
    made.push((size, new.clone()));
    Ok(new)
}

/// The engines that are there; of several devices one.
fn engines(wanted: Engine) -> impl Iterator<Item = Engine> {
    let device = if matches!(wanted, Engine::Gpu(_)) { wanted } else { Engine::Gpu(0) };
    engines_found().into_iter().filter(move |&engine| engine.is_cpu() || engine == device)
}

/// The fewest and the most.
fn ends(threads: &[usize]) -> Vec<usize> {
    let mut ends: Vec<usize> =
        [threads.iter().min(), threads.iter().max()].into_iter().flatten().copied().collect();
    ends.dedup();
    ends
}

/// Events per second of `threads` threads that score blocks at once, each with a model of its own.
fn race(model: &Model, blocks: &[Block], threads: usize) -> Result<f64, Failure> {
    let start = Barrier::new(threads);
    let run = |first: usize| {
        let mut model = model.clone();
        let start = &start;
        let mut events = 0;
        // A clone has no memory yet. Whoever fails comes to the start all the same: the others wait there.
        let first_score = score(&mut model, &blocks[first % blocks.len()]);
        start.wait();
        first_score?;
        let began = Instant::now();
        for block in blocks.iter().cycle().skip(first) {
            score(&mut model, block)?;
            events += block.len();
            if began.elapsed() > TURN {
                break;
            }
        }
        Ok::<_, Failure>(events as f64 / began.elapsed().as_secs_f64())
    };
    std::thread::scope(|scope| {
        let run = &run;
        let all: Vec<_> = (0..threads).map(|first| scope.spawn(move || run(first))).collect();
        let rates = all.into_iter().map(|thread| thread.join().expect("a model does not panic"));
        rates.sum()
    })
}

fn score(model: &mut Model, block: &Block) -> Result<(), Failure> {
    let mut scores = vec![vec![0.0; block.len()]; model.outputs().len()];
    let mut columns: Vec<&mut [f32]> = scores.iter_mut().map(Vec::as_mut_slice).collect();
    model.score(block, 0..block.len(), &mut columns).or_fail(Exit::Absent)
}

/// From which network on a device scores more events than this processor, in words; nothing if there is no device.
pub(crate) fn remarks(speeds: &[EngineSpeed]) -> Vec<String> {
    // Only CPU engines that decide as the device does.
    let is_asked = |speed: &EngineSpeed, device| match device {
        true => speed.engine.starts_with("gpu"),
        false => [Engine::Flex.name(), Engine::Fused.name()].contains(&&*speed.engine),
    };
    let best = |network: &str, device: bool| {
        let of = speeds.iter().filter(|speed| speed.network == network && is_asked(speed, device));
        of.map(|speed| speed.events_per_s.median).max_by(f64::total_cmp)
    };
    let mut networks: Vec<(&str, u64)> = Vec::new();
    for speed in speeds.iter().filter(|speed| speed.engine.starts_with("gpu")) {
        if networks.last().is_none_or(|last| last.0 != speed.network) {
            networks.push((&speed.network, speed.multiply_adds));
        }
    }
    let Some(threads) = speeds.iter().map(|speed| speed.threads).max() else { return Vec::new() };
    let wins = |network: &str| best(network, true) > best(network, false);
    // From there on it wins always, and not only once.
    let from = networks.iter().rev().take_while(|(network, _)| wins(network)).last();
    match (networks.first(), from) {
        (None, _) => Vec::new(),
        (_, Some((network, work))) => vec![format!(
            "the device scores more events than {threads} threads of this processor from {network} on, {work} multiply-adds per event"
        )],
        (_, None) => {
            vec![format!(
                "{threads} threads of this processor score more events than the device, whatever the network"
            )]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speeds(of: [[f64; 2]; 3]) -> Vec<EngineSpeed> {
        let each = |(k, [cpu, gpu]): (usize, [f64; 2])| {
            [("fused", cpu), ("gpu", gpu)].map(|(engine, rate)| EngineSpeed {
                network: format!("n{k}"),
                multiply_adds: 10_u64.pow(k as u32),
                engine: engine.into(),
                threads: 4,
                events_per_s: Spread::of(&[rate]),
                runs: vec![rate],
            })
        };
        of.into_iter().enumerate().flat_map(each).collect()
    }

    #[test]
    fn every_engine_that_is_there_runs_every_network_with_the_fewest_and_the_most_threads() {
        let mut engines = Engines::new(Engine::Fused, &[2, 1, 2], &HIDDEN[..1]).unwrap();
        engines.turn(|network| assert_eq!(network, "57-32-16-3")).unwrap();
        let speeds = engines.into_speeds();
        let measured: Vec<_> = speeds.iter().map(|speed| (&*speed.engine, speed.threads)).collect();
        assert!(
            measured.starts_with(
                &["flex", "fused", "int16", "int8"].map(|engine| [(engine, 1), (engine, 2)]).concat()
            ),
            "{measured:?}"
        );
        assert!(speeds.iter().all(|speed| speed.multiply_adds == 2384 && speed.events_per_s.min > 0.0));
        assert_eq!(speeds[1].row().name, "57-32-16-3 on flex, 2 threads");
    }

    #[test]
    fn a_device_pays_from_where_it_never_loses_again() {
        let said = |of| remarks(&speeds(of)).concat();
        assert!(said([[2.0, 1.0], [2.0, 3.0], [1.0, 3.0]]).contains("from n1 on, 10 multiply-adds"));
        assert!(said([[2.0, 3.0], [2.0, 1.0], [1.0, 3.0]]).contains("from n2 on, 100 multiply-adds"));
        assert!(said([[2.0, 3.0], [2.0, 3.0], [4.0, 3.0]]).contains("whatever the network"));
        let without = speeds([[1.0, 2.0]; 3]).into_iter().filter(|speed| speed.engine == "fused");
        assert!(remarks(&without.collect::<Vec<_>>()).is_empty());
    }
}
