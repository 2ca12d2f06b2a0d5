//! Each stage by itself, on one thread, from memory: what an event costs in each stage.
//!
//! ```text
//!   frames --scan--> blocks --models--> scores --verdict--> bits --record--> records --store--> compressed file
//!   frames -----------------------passing on: a run with a menu that keeps nothing-----------------------------
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tamis_event::{Block, Span};
use tamis_menu::Decider;
use tamis_model::Model;
use tamis_pipeline::{Found, FrameReader, Judge, Kept, Limits, Scorer};
use tamis_port::{Classifier, Sink, Stored};
use tamis_store::{Compression, Durable, McapSink, Press, Provenance, ROTATE_BYTES, StreamPlan};

use super::probes::{median, timed};
use super::rows::{Section, Turns, Unit};
use super::sample::FrameStream;
use super::speed::Trial;
use super::workload::{Bed, Workload};
use crate::exit::OrFail;
use crate::models::Rules;
use crate::{Exit, Failure};

/// Events of the blocks; more than the caches near a core hold, if the input has them.
const BYTES_MAX: usize = 16 << 20;
/// A stage goes on in a turn for this long, with what has to be done before it.
const TURN_S: f64 = 0.05;
/// Events of a piece of the scan.
const SCANNED: u64 = 8192;

pub(crate) const SCAN: &str = "frames and checksums";
pub(crate) const VERDICT: &str = "verdict";
pub(crate) const RECORD: &str = "record, per kept event";
pub(crate) const STORE: &str = "store, per kept event";
pub(crate) const PASS_ON: &str = "pipeline that keeps nothing";
pub(crate) const PASS_ON_CORES: &str = "pipeline that keeps nothing, core time";

/// Name of the row of a model.
pub(crate) fn model_row(name: &str) -> String {
    format!("model {name}")
}

/// The stages of a workload, ready to be measured.
pub(crate) struct MeasuredStages<'a> {
    workload: &'a Workload,
    /// A run of the same events with a menu that keeps nothing, and one worker.
    idle: &'a mut Trial,
    batch: usize,
    blocks: Vec<Block>,
    /// The block that comes next.
    at: usize,
    models: Vec<(String, Model)>,
    scorer: Scorer,
    decider: Decider,
    /// A judge that keeps every event.
    keeper: Judge,
    sink: McapSink,
    record_bytes: f64,
}

impl<'a> MeasuredStages<'a> {
    /// `idle` has the same events and a menu that keeps nothing, and is warm. `all` keeps every event; the file of their records goes to
    /// `folder`.
    pub(crate) fn new(
        workload: &'a Workload,
        idle: &'a mut Trial,
        all: &Rules,
        bed: &Bed,
        folder: &Path,
    ) -> Result<Self, Failure> {
        let rules = &workload.rules;
        let batch =
            Limits::new(1, bed.batch, workload.stream.schema.layout()).or_fail(Exit::Settings)?.batch();
        let models = rules.first_choices();
        let boxed = models.iter().map(|(_, model)| Box::new(model.clone()) as Box<dyn Classifier>);
        let provenance = Provenance {
            schema: workload.stream.schema.clone(),
            menu: rules.menu.text().into(),
            models: Vec::new(),
            metadata: BTreeMap::new(),
        };
        let sink = McapSink::new(StreamPlan {
            folder: folder.into(),
            run_name: "stages".into(),
            stream: "kept".into(),
            durable: Durable::Never,
            rotate_bytes: ROTATE_BYTES,
            // The stage is one thread, as the others are.
            press: Press::new(Compression::default(), Some(1)),
            provenance: Arc::new(provenance),
        });
        Ok(Self {
            scorer: Scorer::new(boxed.collect(), batch),
            models,
            decider: Decider::new(rules.compiled.clone(), batch),
            keeper: Judge::new(all.choices(), all.compiled.clone(), all.stamp, batch),
            sink: sink.or_fail(Exit::Storage)?,
            blocks: blocks(&workload.stream, batch)?,
            batch,
            at: 0,
            workload,
            idle,
            record_bytes: 0.0,
        })
    }

    /// Measures each once.
    pub(crate) fn turn(&mut self, turns: &mut Turns) -> Result<(), Failure> {
        let mut add = |name: &str, ns: f64| turns.add(Section::Stages, name, Unit::NsPerEvent, ns);
        add(SCAN, self.scan()?);
        for model in 0..self.models.len() {
            let name = model_row(&self.models[model].0);
            add(&name, self.score(model)?);
        }
        add(VERDICT, self.verdict()?);
        let (record, store) = self.keep()?;
        add(RECORD, record);
        add(STORE, store);
        let run = self.idle.run()?;
        add(PASS_ON, 1e9 / run.events_per_s);
        add(PASS_ON_CORES, run.core_ns);
        Ok(())
    }

    /// Bytes of the record of a kept event.
    pub(crate) fn record_bytes(&self) -> f64 {
        self.record_bytes
    }

    fn next_block(&mut self) -> usize {
        self.at = (self.at + 1) % self.blocks.len();
        self.at
    }

    fn scan(&mut self) -> Result<f64, Failure> {
        let began = Instant::now();
        let mut pieces = Vec::new();
        while began.elapsed().as_secs_f64() < TURN_S {
            let recording = self.workload.stream.recording(1)?;
            let mut reader = FrameReader::new(recording.source, &recording.schema);
            loop {
                let (seconds, events) = timed(|| scan_piece(&mut reader));
                // The last piece of a pass may be a small one, with the cost of the end.
                if events < SCANNED && !pieces.is_empty() {
                    break;
                }
                pieces.push(seconds * 1e9 / events.max(1) as f64);
            }
        }
        Ok(median(pieces.into_iter()))
    }

    fn score(&mut self, model: usize) -> Result<f64, Failure> {
        let columns = self.models[model].1.outputs().len();
        let mut scores = vec![vec![0.0; self.batch]; columns];
        self.timed_blocks(|stages, k| {
            let MeasuredStages { models, blocks, .. } = stages;
            let block = &blocks[k];
            let events = blocks[k].len();
            let mut slices: Vec<&mut [f32]> = scores.iter_mut().map(|column| &mut column[..events]).collect();
            let (seconds, result) = timed(|| models[model].1.score(block, 0..events, &mut slices));
            result.or_fail(Exit::Input)?;
            Ok(seconds)
        })
    }

    fn verdict(&mut self) -> Result<f64, Failure> {
        self.timed_blocks(|stages, k| {
            let MeasuredStages { scorer, decider, blocks, .. } = stages;
            scorer.score(&blocks[k]).or_fail(Exit::Input)?;
            Ok(timed(|| decider.decide(&blocks[k], scorer.scores(), scorer.faulty())).0)
        })
    }

    /// ns per event of `work`, which gives the seconds that count for a block.
    fn timed_blocks(
        &mut self,
        mut work: impl FnMut(&mut Self, usize) -> Result<f64, Failure>,
    ) -> Result<f64, Failure> {
        let began = Instant::now();
        let mut pieces = Vec::new();
        while pieces.is_empty() || began.elapsed().as_secs_f64() < TURN_S {
            let k = self.next_block();
            pieces.push(work(self, k)? * 1e9 / self.blocks[k].len() as f64);
        }
        Ok(median(pieces.into_iter()))
    }

    /// ns per event to make its record and to store it.
    fn keep(&mut self) -> Result<(f64, f64), Failure> {
        let (mut records, mut entries): (Vec<u8>, Vec<Kept>) = (Vec::new(), Vec::new());
        let mut made = Vec::new();
        let mut stored = Vec::new();
        let began = Instant::now();
        while made.is_empty() || began.elapsed().as_secs_f64() < TURN_S {
            let k = self.next_block();
            let MeasuredStages { keeper, blocks, sink, .. } = self;
            records.clear();
            entries.clear();
            keeper.decide(&blocks[k], None);
            let events = blocks[k].len() as f64;
            made.push(timed(|| keeper.keep(&blocks[k], &mut records, &mut entries)).0 * 1e9 / events);
            let (took, result) = timed(|| entries.iter().try_for_each(|entry| write(sink, entry, &records)));
            result.or_fail(Exit::Storage)?;
            stored.push(took * 1e9 / events);
            self.record_bytes = records.len() as f64 / events;
        }
        Ok((median(made.into_iter()), median(stored.into_iter())))
    }
}

/// Finds frames until there are [`SCANNED`] events, or no more frames, and says how many there were.
fn scan_piece(reader: &mut FrameReader) -> u64 {
    let mut events = 0;
    while events < SCANNED {
        match reader.find_next() {
            Some(Found::Frame { header, .. }) => events += u64::from(header.n_events),
            Some(_) => {}
            None => break,
        }
    }
    events
}

fn write(sink: &mut McapSink, entry: &Kept, records: &[u8]) -> Result<(), tamis_port::SinkError> {
    let record = &records[entry.start..entry.start + entry.len];
    sink.write(Stored { event_id: entry.event_id, time_ns: entry.time_ns, record })
}

/// The first events of a stream, in blocks as the pipeline makes them.
pub(crate) fn blocks(stream: &FrameStream, batch: usize) -> Result<Vec<Block>, Failure> {
    let stride = stream.schema.record_len();
    let recording = stream.recording(1)?;
    let mut reader = FrameReader::new(recording.source, &recording.schema);
    let mut blocks = Vec::new();
    let mut bytes = 0;
    let mut open = Block::new(stride);
    while let Some(found) = reader.find_next() {
        let Found::Frame { header, body, .. } = found else { continue };
        bytes += body.len();
        let span = Span::of_frame(&header, &body);
        let mut at = 0;
        while at < span.len() {
            let events = (span.len() - at).min(batch - open.len());
            open.push(span.slice(at, at + events));
            at += events;
            if open.len() == batch {
                blocks.push(std::mem::replace(&mut open, Block::new(stride)));
            }
        }
        if bytes > BYTES_MAX {
            break;
        }
    }
    if !open.is_empty() {
        blocks.push(open);
    }
    Ok(blocks)
}
