//! The events of a benchmark, from a recording or made from a seed: in memory, as the frames of one or several sources.
//!
//! A run has one stream of frames. Several sources are frames of several source ids in turn, as an event builder or a switch would hand them
//! on; each source counts its own events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tamis_event::{
    EVENT_BYTES_MAX, FrameHeader, FrameMeta, RECORD_BYTES_MAX, Schema, Span, encode_schema, encode_span,
};
use tamis_ledger::{Corrupt, Counts};
use tamis_sim::{GenOptions, Generator};
use tamis_source::Recording;

use crate::exit::OrFail;
use crate::frames::{Frame, Frames};
use crate::{Exit, Failure};

/// Bytes of events that are made: too many for the caches near a core, and as many as the probes of memory read.
const MADE_BYTES: usize = 64 << 20;
/// Frames that are made are no longer than this, unless one event is.
const FRAME_BYTES: usize = 256 << 10;
/// Events that are made at least.
const EVENTS_MIN: usize = 3;
/// Bytes of an event that is 57 numbers, as level 1 of a collider makes them.
pub(crate) const L1_BYTES: usize = 114;

/// The size of events that are made, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSize {
    /// Bytes of the record: an even number.
    pub record: usize,
    /// Bytes of the payload; 0: events have no payloads.
    pub payload: usize,
}

impl EventSize {
    /// An event that is a record alone.
    pub(crate) const fn plain(record: usize) -> Self {
        Self { record, payload: 0 }
    }

    /// Can such events be made?
    pub(crate) fn check(self) -> Result<(), Failure> {
        let Self { record, payload } = self;
        let what = if record == 0 || record % 2 == 1 {
            format!("a record of {record} bytes: records are made of 16-bit numbers")
        } else if record > RECORD_BYTES_MAX {
            format!(
                "a record of {record} bytes: it has at most {RECORD_BYTES_MAX}, all else is payload, as in 114B+16MiB"
            )
        } else if self.bytes() > EVENT_BYTES_MAX {
            format!("a payload of {payload} bytes: an event has at most {EVENT_BYTES_MAX}")
        } else {
            return Ok(());
        };
        Err(Failure::new(Exit::Settings, format!("--sizes: {what}")))
    }

    /// Bytes of the whole event.
    pub(crate) const fn bytes(self) -> usize {
        self.record + self.payload
    }
}

/// Good frames, taken apart.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) schema: Schema,
    frames: Vec<(FrameMeta, Span)>,
    /// What was left out of the recording.
    pub(crate) corrupt: Counts<Corrupt>,
}

/// Frames as bytes, ready to be played.
#[derive(Clone, Debug)]
pub(crate) struct FrameStream {
    pub(crate) schema: Schema,
    /// A schema frame, then event frames.
    pub(crate) bytes: Bytes,
    /// Where each frame ends, the schema frame first.
    pub(crate) ends: Vec<usize>,
    pub(crate) events: u64,
    /// Bytes of all payloads.
    payload_bytes: u64,
}

impl Sample {
    /// The good frames of a recording.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let mut reader = Frames::open(path)?;
        let mut frames = Vec::new();
        let mut corrupt = Counts::default();
        while let Some(frame) = reader.next()? {
            match frame {
                // A copy: the recording may be decompressed into buffers that are used again.
                Frame::Events { header, span, .. } => frames.push((meta(&header), span.copied())),
                Frame::Lost { cause, .. } => corrupt.add(cause, 1),
                Frame::Other { .. } => {}
            }
        }
        if frames.is_empty() {
            let message = format!("{}: no events to measure with", path.display());
            return Err(Failure::new(Exit::Input, message));
        }
        Ok(Self { schema: reader.schema().clone(), frames, corrupt })
    }

    /// Noise: events with records of 16-bit numbers called `x`, at most `events_max` of them.
    pub(crate) fn made(size: EventSize, frame_events: usize, events_max: u64) -> Result<Self, Failure> {
        let EventSize { record, payload } = size;
        let mut text = format!(
            "name = \"noise-{record}-{payload}\"\n[[field]]\nname = \"x\"\ndtype = \"i16\"\nlen = {}\n",
            record / 2
        );
        if payload > 0 {
            text += "[payload]\n";
        }
        let schema = Schema::parse(text.as_bytes()).or_fail(Exit::Internal)?;
        let frame_events = frame_events.min(FRAME_BYTES / size.bytes()).max(1);
        let events = (MADE_BYTES / size.bytes()).max(EVENTS_MIN) as u64;
        let events = events.min(events_max).max(1);
        let payload_bytes = (payload > 0).then_some((payload, payload));
        let options = GenOptions { frame_events, payload_bytes, ..GenOptions::default() };
        let generator = Generator::new(&schema, options).or_fail(Exit::Settings)?;
        let mut frames = Vec::new();
        let made: Result<_, Infallible> = generator.generate(events, |frame| {
            let header = FrameHeader::read(frame).expect("the generator makes whole frames");
            let body = Bytes::copy_from_slice(&frame[header.body()]);
            frames.push((meta(&header), Span::of_frame(&header, &body)));
            Ok(())
        });
        made.expect("nothing can fail");
        Ok(Self { schema, frames, corrupt: Counts::default() })
    }

    /// The frames, those with more than `frame_events` events cut, dealt to `sources` sources in turn.
    pub(crate) fn stream(&self, sources: usize, frame_events: Option<usize>) -> FrameStream {
        let mut bytes = Vec::new();
        encode_schema(&self.schema, FrameMeta::default(), &mut bytes);
        let mut ends = vec![bytes.len()];
        let (mut events, mut payload_bytes) = (0, 0);
        let mut next_ids: HashMap<(u16, u32), u64> = HashMap::new();
        for (meta, span) in &self.frames {
            let most = frame_events.unwrap_or(usize::MAX);
            for from in (0_usize..span.len()).step_by(most) {
                let mut piece = span.slice(from, span.len().min(from.saturating_add(most)));
                let mut meta = *meta;
                if sources > 1 {
                    meta.source_id = ((ends.len() - 1) % sources) as u16;
                    let next = next_ids.entry((meta.source_id, meta.run)).or_default();
                    meta.sparse_ids = false;
                    piece = piece.numbered(*next);
                    *next += piece.len() as u64;
                }
                encode_span(&self.schema, meta, &piece, &mut bytes);
                ends.push(bytes.len());
                events += piece.len() as u64;
                payload_bytes += piece.payload_bytes() as u64;
            }
        }
        FrameStream { schema: self.schema.clone(), bytes: Bytes::from(bytes), ends, events, payload_bytes }
    }
}

impl FrameStream {
    /// The stream as a recording, `passes` times.
    pub(crate) fn recording(&self, passes: u64) -> Result<Recording, Failure> {
        tamis_source::memory(self.bytes.clone(), "memory", passes).or_fail(Exit::Input)
    }

    /// Bytes of an event, record and payload, on average.
    pub(crate) fn event_bytes(&self) -> f64 {
        self.schema.record_len() as f64 + self.payload_bytes as f64 / self.events as f64
    }

    /// The first 16 hexadecimal digits of the SHA-256 of its bytes.
    pub(crate) fn digest(&self) -> String {
        Sha256::digest(&self.bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Event frames.
    pub(crate) fn frames(&self) -> usize {
        self.ends.len() - 1
    }
}

fn meta(header: &FrameHeader) -> FrameMeta {
    FrameMeta {
        run: header.run,
        segment: header.segment,
        source_id: header.source_id,
        first_event_id: header.first_event_id,
        time_ns: header.time_ns,
        sparse_ids: header.flags & tamis_event::flags::SPARSE_IDS != 0,
    }
}

#[cfg(test)]
mod tests {
    use tamis_pipeline::{Found, FrameReader};

    use super::*;

    fn headers(stream: &FrameStream) -> Vec<(u16, u64, u32)> {
        let recording = stream.recording(1).unwrap();
        let mut reader = FrameReader::new(recording.source, &stream.schema);
        let mut found = Vec::new();
        while let Some(next) = reader.find_next() {
            match next {
                Found::Frame { header, .. } => {
                    found.push((header.source_id, header.first_event_id, header.n_events));
                }
                Found::Schema { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        found
    }

    #[test]
    fn frames_are_cut_and_dealt_without_losing_an_event() {
        let sample = Sample::made(EventSize::plain(L1_BYTES), 10, 25).unwrap();
        assert_eq!(headers(&sample.stream(1, None)), [(0, 0, 10), (0, 10, 10), (0, 20, 5)]);
        let cut = sample.stream(1, Some(6));
        assert_eq!(headers(&cut), [(0, 0, 6), (0, 6, 4), (0, 10, 6), (0, 16, 4), (0, 20, 5)]);
        assert_eq!((cut.events, cut.frames()), (25, 5));
        assert_eq!(headers(&sample.stream(2, None)), [(0, 0, 10), (1, 0, 10), (0, 10, 5)]);
    }

    #[test]
    fn large_events_are_made_too() {
        let stream = Sample::made(EventSize::plain(1 << 20), 64, 3).unwrap().stream(1, None);
        assert_eq!((stream.events, stream.frames(), stream.schema.record_len()), (3, 3, 1 << 20));
        let raw = EventSize { record: L1_BYTES, payload: 16 << 20 };
        let stream = Sample::made(raw, 64, u64::MAX).unwrap().stream(1, None);
        assert_eq!((stream.events, stream.frames(), stream.schema.record_len()), (3, 3, L1_BYTES));
        assert!(stream.bytes.len() > 3 * raw.bytes());
    }
}
