//! A menu bound to a schema and to the scores of its models.

use std::collections::HashSet;

use tamis_event::Schema;

use crate::error::MenuErrors;
use crate::graph::NodeId;
use crate::lottery::Lottery;
use crate::lowering::Lowering;
use crate::menu::{LineInfo, Menu, StreamInfo};
use crate::names::Scores;
use crate::pass_through::PassThrough;
use crate::program::MenuProgram;
use crate::threshold::{Threshold, thresholds};
use tamis_form::{Complaint, Complaints, Mistake, MistakeKind};

/// A menu that is ready to decide: names are resolved to offsets and columns, conditions are compiled to a program. Immutable and shared by all
/// workers.
#[derive(Debug)]
pub struct CompiledMenu {
    lines: Vec<LineInfo>,
    streams: Vec<StreamInfo>,
    /// Bit `s` of `stream_bits[line]`: stream `s` gets the line's events.
    stream_bits: Vec<u64>,
    /// `None` for a line that keeps every event it passes.
    prescales: Vec<Option<Lottery>>,
    model_rungs: usize,
    pass_through: Option<PassThrough>,
    /// One list per line.
    thresholds: Vec<Vec<Threshold>>,
    program: MenuProgram,
    record_len: usize,
    scores: usize,
    hash_prefix: u64,
    warnings: Vec<Mistake>,
}

impl Menu {
    /// Binds the menu to the fields of a schema and to scores, given by their full names (`anomaly.score`) in column order.
    pub fn compile(&self, schema: &Schema, scores: &[String]) -> Result<CompiledMenu, MenuErrors> {
        let wrong = |complaints| MenuErrors::new(self.place(), self.text(), Complaints(complaints), None);
        if let Some(twice) = (1..scores.len()).find(|&k| scores[..k].contains(&scores[k])) {
            let message =
                format!("two scores are called '{}'; give the models different names", scores[twice]);
            return Err(wrong(vec![Complaint::new(0, MistakeKind::Unknown, message)]));
        }
        let mut lowering = Lowering::new(schema, Scores::Known(scores));
        let (conditions, mut warnings) = self.lower(&mut lowering).map_err(wrong)?;
        warnings.extend(self.unused(&lowering));
        let (graph, undecided) = lowering.finish().map_err(|complaint| wrong(vec![complaint]))?;
        let lines: Vec<LineInfo> = self.lines().iter().map(|line| line.info.clone()).collect();
        let prescale = |line: &LineInfo| (line.prescale > 1).then(|| Lottery::new(&line.name, line.prescale));
        let stream_bits = |line: &LineInfo| line.streams.iter().fold(0, |bits, stream| bits | 1 << stream);
        let hash = self.hash();
        let prefix = *hash.first_chunk().expect("SHA-256 has 32 bytes");
        let warning = |complaint| Mistake::new(self.place(), self.text(), complaint);
        Ok(CompiledMenu {
            stream_bits: lines.iter().map(stream_bits).collect(),
            prescales: lines.iter().map(prescale).collect(),
            thresholds: conditions.iter().map(|&condition| thresholds(&graph, condition)).collect(),
            lines,
            streams: self.streams().to_vec(),
            model_rungs: 1 + self.models().iter().map(|model| model.fallback.len()).max().unwrap_or(0),
            pass_through: self.pass_through().cloned(),
            program: MenuProgram::new(&graph, undecided, &conditions, schema.record_len()),
            record_len: schema.record_len(),
            scores: scores.len(),
            hash_prefix: u64::from_le_bytes(prefix),
            warnings: warnings.into_iter().map(warning).collect(),
        })
    }

    /// The conditions of all lines and their warnings, or every mistake in them.
    fn lower(&self, to: &mut Lowering<'_>) -> Result<(Vec<NodeId>, Vec<Complaint>), Vec<Complaint>> {
        let mut complaints = Complaints::default();
        let (mut conditions, mut warnings) = (Vec::new(), Vec::new());
        for line in self.lines() {
            if let Some((condition, warning)) = complaints.take(line.condition.lower(&line.info.name, to)) {
                conditions.push(condition);
                warnings.extend(warning);
            }
            complaints.0.extend(to.complaints());
        }
        if complaints.0.is_empty() { Ok((conditions, warnings)) } else { Err(complaints.0) }
    }

    /// Warnings of models that no line reads and streams that nothing writes to.
    fn unused(&self, lowering: &Lowering<'_>) -> Vec<Complaint> {
        let models = self.models().iter().zip(self.places().models.iter());
        let models = models.filter(|(model, _)| !lowering.reads(&model.name)).map(|(model, &at)| {
            let message = format!(
                "no line reads a score of the model '{}', which scores every event all the same; use one in a line, or leave the model out",
                model.name
            );
            Complaint::new(at, MistakeKind::Value, message)
        });
        let mut written: HashSet<usize> =
            self.lines().iter().flat_map(|line| line.info.streams.clone()).collect();
        written.extend(self.pass_through().into_iter().flat_map(PassThrough::streams));
        let streams = self.streams().iter().zip(self.places().streams.iter()).enumerate();
        let streams = streams.filter(|(index, _)| !written.contains(index)).map(|(_, (stream, &at))| {
            let message = format!(
                "no line writes to the stream '{}'; name it in the streams of a line, or leave it out",
                stream.name
            );
            Complaint::new(at, MistakeKind::Value, message)
        });
        models.chain(streams).collect()
    }

    /// Mistakes in the conditions that do not depend on which scores the models give.
    pub(crate) fn errors_with(&self, schema: &Schema) -> Vec<Mistake> {
        let mut lowering = Lowering::new(schema, Scores::Of(self.models()));
        let complaints = self.lower(&mut lowering).err().unwrap_or_default();
        complaints.into_iter().map(|complaint| Mistake::new(self.place(), self.text(), complaint)).collect()
    }
}

impl CompiledMenu {
    /// The lines, in file order.
    pub fn lines(&self) -> &[LineInfo] {
        &self.lines
    }

    /// The streams, in file order.
    pub fn streams(&self) -> &[StreamInfo] {
        &self.streams
    }

    /// Number of rungs on which models score: 1 plus the largest number of fallbacks of any model.
    pub fn model_rungs(&self) -> usize {
        self.model_rungs
    }

    /// The last rung, after those of the models, if the menu has a `[fallback]`.
    pub fn pass_through(&self) -> Option<&PassThrough> {
        self.pass_through.as_ref()
    }

    /// Number of rungs that can decide an event: those of the models, and the last one if there is one.
    pub fn rungs(&self) -> usize {
        self.model_rungs + usize::from(self.pass_through.is_some())
    }

    /// The comparisons of a score with a number in a line; empty if the line reads no score, or only inside arithmetic.
    pub fn thresholds(&self, line: usize) -> &[Threshold] {
        &self.thresholds[line]
    }

    /// Probable slips: lines that pass every event, or none, whatever is in it; models that no line reads, streams that nothing writes to.
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    /// Words of line bits per event: one bit per line.
    pub fn words(&self) -> usize {
        self.lines.len().div_ceil(64)
    }

    /// The first 8 bytes of the SHA-256 of the menu text, little-endian: the `menu_hash` of a decision record.
    pub fn hash_prefix(&self) -> u64 {
        self.hash_prefix
    }

    pub(crate) fn program(&self) -> &MenuProgram {
        &self.program
    }

    pub(crate) fn prescale(&self, line: usize) -> Option<Lottery> {
        self.prescales[line]
    }

    pub(crate) fn stream_bits(&self, line: usize) -> u64 {
        self.stream_bits[line]
    }

    /// Does anything depend on the event id, that is, is there a prescale or a random line?
    pub(crate) fn draws(&self) -> bool {
        self.program.draws || self.prescales.iter().any(Option::is_some)
    }

    /// Bytes per record that the menu reads.
    pub(crate) fn record_len(&self) -> usize {
        self.record_len
    }

    /// Number of score columns that the menu may read.
    pub(crate) fn scores(&self) -> usize {
        self.scores
    }
}
