//! A recording in blocks, as the pipeline makes them, outside a run.

use std::path::Path;

use tamis_event::{Block, Schema, Span};
use tamis_ledger::{Cause, Corrupt, Counts};
use tamis_pipeline::Limits;

use crate::exit::OrFail;
use crate::frames::{Frame, Frames};
use crate::{Exit, Failure};

/// How far a recording was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    /// Good events.
    pub events: u64,
    /// Bytes of the stream.
    pub bytes: u64,
    /// Bytes of the whole stream, if that is known.
    pub total: Option<u64>,
}

/// Events per block.
pub(crate) const BATCH: usize = 4096;

/// The good events of a recording, in order, and what was lost.
#[derive(Debug)]
pub(crate) struct Blocks {
    frames: Frames,
    batch: usize,
    /// What did not go into the last block any more.
    waiting: Option<Waiting>,
    pub(crate) so_far: SoFar,
    /// Lost frames and stretches of bytes.
    pub(crate) corrupt: Counts<Corrupt>,
}

#[derive(Debug)]
struct Waiting {
    run: u32,
    segment: u32,
    span: Span,
}

impl Blocks {
    pub(crate) fn new(frames: Frames) -> Result<Self, Failure> {
        let batch = Limits::new(1, BATCH, frames.schema().record_len()).or_fail(Exit::Settings)?.batch();
        let so_far = SoFar { total: frames.total, ..SoFar::default() };
        Ok(Self { frames, batch, waiting: None, so_far, corrupt: Counts::default() })
    }

    pub(crate) fn schema(&self) -> &Schema {
        self.frames.schema()
    }

    /// Most events of a block.
    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// An empty block to fill.
    pub(crate) fn block(&self) -> Block {
        Block::new(self.schema().record_len())
    }

    /// Fills a block with the next events of one segment; `false` at the end of the recording.
    pub(crate) fn next(&mut self, block: &mut Block) -> Result<bool, Failure> {
        block.reset(0, 0);
        while block.len() < self.batch {
            let Some(Waiting { run, segment, span }) = self.next_span()? else { break };
            if block.is_empty() {
                block.reset(run, segment);
            } else if (block.run(), block.segment()) != (run, segment) {
                self.waiting = Some(Waiting { run, segment, span });
                break;
            }
            let (first, rest) = cut(span, self.batch - block.len(), block.stride());
            self.waiting = rest.map(|span| Waiting { run, segment, span });
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

    /// What waits, or the next good frame.
    fn next_span(&mut self) -> Result<Option<Waiting>, Failure> {
        if let Some(waiting) = self.waiting.take() {
            return Ok(Some(waiting));
        }
        while let Some(frame) = self.frames.next()? {
            self.so_far.bytes += frame.bytes() as u64;
            match frame {
                Frame::Events { header, payload, .. } => {
                    let span = Span {
                        source: header.source_id,
                        first_id: header.first_event_id,
                        time_ns: header.time_ns,
                        events: header.n_events as usize,
                        bytes: payload,
                    };
                    return Ok(Some(Waiting { run: header.run, segment: header.segment, span }));
                }
                Frame::Lost { cause, .. } => self.corrupt.add(cause, 1),
                Frame::Other { .. } => {}
            }
        }
        Ok(None)
    }
}

/// The first `most` events of a span, and the others if there are any.
fn cut(span: Span, most: usize, stride: usize) -> (Span, Option<Span>) {
    if span.events <= most {
        return (span, None);
    }
    let first = Span { events: most, bytes: span.bytes.slice(..most * stride), ..span };
    let bytes = span.bytes.slice(most * stride..);
    let rest = Span { first_id: span.first_id + most as u64, events: span.events - most, bytes, ..span };
    (first, Some(rest))
}

/// `1 crc, 2 magic`: the causes that occurred.
pub(crate) fn causes<K: Cause>(counts: &Counts<K>) -> String {
    let occurred = counts.iter().filter(|&(_, n)| n > 0);
    occurred.map(|(cause, n)| format!("{n} {}", cause.name())).collect::<Vec<_>>().join(", ")
}

/// What to say of lost frames; `None` if there are none.
pub(crate) fn lost(corrupt: &Counts<Corrupt>) -> Option<String> {
    let lost = corrupt.total();
    (lost > 0)
        .then(|| format!("{lost} damaged frames or stretches of bytes have no events: {}", causes(corrupt)))
}
