//! A recording in blocks as the pipeline makes them, outside a run: it has the same events, each once (section 3.1 of `SPEC.md`).

use std::collections::VecDeque;
use std::path::Path;

use tamis_event::{Block, FrameHeader, Schema, Span};
use tamis_ledger::{Cause, Corrupt, Counts};
use tamis_pipeline::{IdBook, Limits};

use crate::exit::OrFail;
use crate::frames::{Frame, Frames};
use crate::{Exit, Failure};

/// How far a recording was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    /// Good events that did not come before.
    pub events: u64,
    /// Bytes of the stream.
    pub bytes: u64,
    /// Bytes of the whole stream, if that is known.
    pub total: Option<u64>,
}

/// Most events of a block.
pub(crate) const BLOCK_EVENTS: usize = 4096;
/// A block ends with the event that makes its payloads as long as this.
const BLOCK_PAYLOAD_BYTES: usize = 16 << 20;

/// The good events of a recording that did not come before, in order, and what was lost.
#[derive(Debug)]
pub(crate) struct Blocks {
    frames: Frames,
    block_events: usize,
    ids: IdBook,
    /// Events that did not fit into the last block.
    waiting: VecDeque<Waiting>,
    pub(crate) so_far: SoFar,
    /// Lost frames and stretches of bytes; under [`Corrupt::Dup`] the events that came before.
    pub(crate) corrupt: Counts<Corrupt>,
    /// Number of events whose ids were forgotten.
    forgotten: u64,
}

#[derive(Debug)]
struct Waiting {
    run: u32,
    segment: u32,
    span: Span,
}

impl Blocks {
    pub(crate) fn new(frames: Frames) -> Result<Self, Failure> {
        let block_events =
            Limits::new(1, BLOCK_EVENTS, frames.schema().layout()).or_fail(Exit::Settings)?.batch();
        let so_far = SoFar { total: frames.total, ..SoFar::default() };
        let ids = IdBook::default();
        let waiting = VecDeque::new();
        let corrupt = Counts::default();
        Ok(Self { frames, block_events, ids, waiting, so_far, corrupt, forgotten: 0 })
    }

    pub(crate) fn schema(&self) -> &Schema {
        self.frames.schema()
    }

    /// Most events of a block.
    pub(crate) fn block_events(&self) -> usize {
        self.block_events
    }

    /// An empty block to fill.
    pub(crate) fn block(&self) -> Block {
        Block::new(self.schema().record_len())
    }

    /// Fills a block with the next events of one segment; `false` at the end of the recording.
    pub(crate) fn next(&mut self, block: &mut Block) -> Result<bool, Failure> {
        block.reset(0, 0);
        let mut payload_bytes = 0;
        while block.len() < self.block_events && payload_bytes < BLOCK_PAYLOAD_BYTES {
            let Some(Waiting { run, segment, span }) = self.next_span()? else { break };
            if block.is_empty() {
                block.reset(run, segment);
            } else if (block.run(), block.segment()) != (run, segment) {
                self.waiting.push_front(Waiting { run, segment, span });
                break;
            }
            // A block keeps the bytes of its events in memory.
            let fitting =
                span.fitting(0, span.len().min(self.block_events - block.len()), BLOCK_PAYLOAD_BYTES);
            let (first, rest) =
                (span.slice(0, fitting), (fitting < span.len()).then(|| span.slice(fitting, span.len())));
            if let Some(span) = rest {
                self.waiting.push_front(Waiting { run, segment, span });
            }
            payload_bytes += first.payload_bytes();
            block.push(first);
        }
        self.so_far.events += block.len() as u64;
        Ok(!block.is_empty())
    }

    /// Why nothing can be done with a recording whose first block is empty.
    pub(crate) fn empty(&self, path: &Path) -> Failure {
        let why = match lost(&self.corrupt) {
            Some(lost) => format!("no good events; {lost}"),
            None => "no events in it".into(),
        };
        Failure::new(Exit::Input, format!("{}: {why}", path.display()))
    }

    /// What is missing of the recording, one sentence each.
    pub(crate) fn problems(&self) -> Vec<String> {
        let forgotten = (self.forgotten > 0).then(|| {
            format!(
                "the ids of {} events are no longer known: if these events came again, they are counted again",
                self.forgotten
            )
        });
        lost(&self.corrupt).into_iter().chain(forgotten).collect()
    }

    /// What waits, or the events of the next good frame that did not come before.
    fn next_span(&mut self) -> Result<Option<Waiting>, Failure> {
        loop {
            if let Some(waiting) = self.waiting.pop_front() {
                return Ok(Some(waiting));
            }
            let Some(frame) = self.frames.next()? else { return Ok(None) };
            self.so_far.bytes += frame.bytes() as u64;
            match frame {
                Frame::Events { header, span, .. } => self.admit(&header, &span),
                Frame::Lost { cause, .. } => self.corrupt.add(cause, 1),
                Frame::Other { .. } => {}
            }
        }
    }

    /// Lets the events of a good frame wait that did not come before.
    fn admit(&mut self, header: &FrameHeader, all: &Span) {
        let admitted = self.ids.admit_frame(header, all);
        self.corrupt.add(Corrupt::Dup, admitted.repeated.into());
        self.forgotten += admitted.forgotten;
        for &(from, to) in admitted.fresh {
            let span = all.slice(from as usize, to as usize);
            self.waiting.push_back(Waiting { run: header.run, segment: header.segment, span });
        }
    }
}

/// `1 crc, 2 magic`: the causes that occurred.
pub(crate) fn causes<K: Cause>(counts: &Counts<K>) -> String {
    let occurred = counts.iter().filter(|&(_, n)| n > 0);
    occurred.map(|(cause, n)| format!("{n} {}", cause.name())).collect::<Vec<_>>().join(", ")
}

/// What to say of lost frames and of events that came before; `None` if there are none.
pub(crate) fn lost(corrupt: &Counts<Corrupt>) -> Option<String> {
    let repeated = corrupt.get(Corrupt::Dup);
    let mut damaged = Counts::default();
    corrupt.iter().filter(|&(cause, _)| cause != Corrupt::Dup).for_each(|(cause, n)| damaged.add(cause, n));
    let damage = (damaged.total() > 0).then(|| {
        let frames = damaged.total();
        let causes = causes(&damaged);
        let what = if frames == 1 { "frame or stretch" } else { "frames or stretches" };
        format!("{frames} damaged {what} of bytes could not be read: {causes}")
    });
    let repeated = (repeated > 0).then(|| format!("{repeated} events came before and are left out"));
    let all: Vec<String> = damage.into_iter().chain(repeated).collect();
    (!all.is_empty()).then(|| all.join("; "))
}
