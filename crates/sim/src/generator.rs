//! Synthetic frames of any schema.

use rayon::prelude::*;
use tamis_event::{EVENT_BYTES_MAX, FrameEvents, FrameMeta, Schema, encode_frame, encode_schema};

use crate::random::Random;
use crate::shape::{SIGNAL_CLASSES, Scratch, Shapes};

/// The bits of four samples of a digitiser.
const SAMPLES: u64 = 0x0FFF_0FFF_0FFF_0FFF;
/// Keeps the random numbers of payloads apart from those of records.
const PAYLOAD_SEED: u64 = 0x7061_796C_6F61_6473;
/// Bytes of a payload, if nothing else is asked for.
const PAYLOAD_BYTES: usize = 1024;
/// Frames per thread that are made in parallel before they are handed over.
const FRAMES_PER_THREAD: usize = 4;

/// The properties of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct GenOptions {
    /// Two samples with the same seed and schema are equal, byte for byte.
    pub seed: u64,
    /// Events per second of detector time, which sets their distance in `time_ns`.
    pub rate_hz: f64,
    /// Share of events that carry a signal, 0 to 1.
    pub signal_fraction: f64,
    /// Events per frame; the last frame of a segment may have fewer.
    pub frame_events: usize,
    /// Events per segment.
    pub segment_events: u64,
    /// Run number.
    pub run: u32,
    /// Source that the frames claim to come from.
    pub source_id: u16,
    /// Does each event have a time of its own in the frame?
    pub event_times: bool,
    /// Bytes of the shortest and of the longest payload, for a schema with payloads; there, `None` is 1 KiB each. Payloads are noise of 12 bits in
    /// numbers of 16, as many digitisers give it.
    pub payload_bytes: Option<(usize, usize)>,
}

impl Default for GenOptions {
    /// LHC-like: 40 MHz, one orbit (3564 crossings) per frame, 1000 orbits per segment, no signal.
    fn default() -> Self {
        Self {
            seed: 1,
            rate_hz: 40e6,
            signal_fraction: 0.0,
            frame_events: 3564,
            segment_events: 3_564_000,
            run: 1,
            source_id: 0,
            event_times: false,
            payload_bytes: None,
        }
    }
}

impl GenOptions {
    /// Bytes of the shortest and of the longest payload.
    fn payload_bytes(&self) -> (usize, usize) {
        self.payload_bytes.unwrap_or((PAYLOAD_BYTES, PAYLOAD_BYTES))
    }
}

/// Options that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum GenError {
    #[error("a rate of {rate_hz} Hz: it must be positive and finite")]
    Rate { rate_hz: f64 },
    #[error("a signal fraction of {fraction} (--signal): it must be between 0 and 1")]
    Fraction { fraction: f64 },
    #[error("{events} events per frame (--frame-events): a frame of this schema holds 1 to {most}")]
    FrameEvents { events: usize, most: usize },
    #[error("payloads of {shortest} to {longest} bytes (--payload): write the shorter one first")]
    PayloadOrder { shortest: usize, longest: usize },
    #[error(
        "payloads of {longest} bytes (--payload) beside a record of {record}: an event has at most {EVENT_BYTES_MAX}"
    )]
    PayloadLen { longest: usize, record: usize },
    #[error("--payload: events of schema '{schema}' have no payloads; they do with a table [payload] in it")]
    NoPayload { schema: String },
    #[error("a segment needs at least one event")]
    SegmentEvents,
}

/// What [`Generator::generate`] made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// Number of events; their ids start at 0.
    pub events: u64,
    /// Number of event frames.
    pub frames: u64,
}

/// Makes frames of one schema. Cheap to share between threads; every frame can be made on its own.
#[derive(Clone, Debug)]
pub struct Generator {
    schema: Schema,
    options: GenOptions,
    shapes: Shapes,
    frames_per_segment: u64,
}

/// Memory for one frame, used again and again.
#[derive(Debug, Default)]
struct FrameScratch {
    event: Scratch,
    records: Vec<u8>,
    times: Vec<u64>,
    ends: Vec<u32>,
    payloads: Vec<u8>,
}

impl Generator {
    /// Checks the options and chooses a distribution for every field of the schema.
    pub fn new(schema: &Schema, options: GenOptions) -> Result<Self, GenError> {
        let rate_hz = options.rate_hz;
        let fraction = options.signal_fraction;
        let events = options.frame_events;
        let most = Self::frame_events_max(schema, &options);
        if options.payload_bytes.is_some() && schema.payload().is_none() {
            return Err(GenError::NoPayload { schema: schema.name().to_owned() });
        }
        let (shortest, longest) = options.payload_bytes();
        if shortest > longest {
            return Err(GenError::PayloadOrder { shortest, longest });
        }
        let record = schema.record_len();
        if longest > EVENT_BYTES_MAX - record {
            return Err(GenError::PayloadLen { longest, record });
        }
        if !(rate_hz > 0.0 && rate_hz.is_finite()) {
            return Err(GenError::Rate { rate_hz });
        }
        if !(0.0..=1.0).contains(&fraction) {
            return Err(GenError::Fraction { fraction });
        }
        if !(1..=most).contains(&events) {
            return Err(GenError::FrameEvents { events, most });
        }
        if options.segment_events == 0 {
            return Err(GenError::SegmentEvents);
        }
        let frames_per_segment = options.segment_events.div_ceil(events as u64);
        Ok(Self { schema: schema.clone(), options, shapes: Shapes::new(schema), frames_per_segment })
    }

    /// The most events that a frame of this schema holds, whatever the lengths of their payloads.
    pub fn frame_events_max(schema: &Schema, options: &GenOptions) -> usize {
        schema.layout().frame_events_max(false, options.event_times, options.payload_bytes().1)
    }

    /// The schema frame that starts a stream.
    pub fn schema_frame(&self) -> Vec<u8> {
        let mut out = Vec::new();
        encode_schema(&self.schema, FrameMeta::default(), &mut out);
        out
    }

    /// The signal class of an event: 0 for noise, else 1 to [`SIGNAL_CLASSES`].
    pub fn class(&self, event_id: u64) -> u8 {
        draw_class(&mut Random::new(self.options.seed, event_id), self.options.signal_fraction)
    }

    /// Appends frame `index` of a sample of `events` events to `out` and returns how many events it holds; 0 past the end.
    pub fn frame(&self, index: u64, events: u64, out: &mut Vec<u8>) -> u64 {
        self.frame_with(index, events, &mut FrameScratch::default(), out)
    }

    /// When an event happens.
    fn time_ns(&self, id: u64) -> u64 {
        (id as f64 * 1e9 / self.options.rate_hz) as u64
    }

    /// Appends the payload of an event.
    fn add_payload(&self, id: u64, scratch: &mut FrameScratch) {
        let mut random = Random::new(self.options.seed ^ PAYLOAD_SEED, id);
        let (shortest, longest) = self.options.payload_bytes();
        let end = scratch.payloads.len() + shortest + random.below(longest - shortest + 1);
        while scratch.payloads.len() < end {
            scratch.payloads.extend_from_slice(&(random.bits() & SAMPLES).to_le_bytes());
        }
        scratch.payloads.truncate(end);
        scratch.ends.push(end as u32);
    }

    fn frame_with(&self, index: u64, events: u64, scratch: &mut FrameScratch, out: &mut Vec<u8>) -> u64 {
        let options = &self.options;
        let segment = index / self.frames_per_segment;
        let within = index % self.frames_per_segment;
        let within = within * options.frame_events as u64;
        let first = segment.saturating_mul(options.segment_events).saturating_add(within);
        let count = (options.frame_events as u64)
            .min(options.segment_events - within)
            .min(events.saturating_sub(first));
        if count == 0 {
            return 0;
        }
        scratch.records.clear();
        scratch.records.resize(count as usize * self.schema.record_len(), 0);
        for (id, record) in (first..).zip(scratch.records.chunks_exact_mut(self.schema.record_len())) {
            let mut random = Random::new(options.seed, id);
            let class = draw_class(&mut random, options.signal_fraction);
            self.shapes.fill(&mut random, class, &mut scratch.event, record);
        }
        let meta = FrameMeta {
            run: options.run,
            segment: segment as u32,
            source_id: options.source_id,
            first_event_id: first,
            time_ns: self.time_ns(first),
            sparse_ids: false,
        };
        scratch.times.clear();
        scratch
            .times
            .extend((first..first + count).filter(|_| options.event_times).map(|id| self.time_ns(id)));
        scratch.ends.clear();
        scratch.payloads.clear();
        if self.schema.payload().is_some() {
            (first..first + count).for_each(|id| self.add_payload(id, scratch));
        }
        let FrameScratch { records, times, ends, payloads, .. } = scratch;
        encode_frame(&self.schema, meta, FrameEvents { records, ids: &[], times, ends, payloads }, out);
        count
    }

    /// Makes a sample of `events` events and hands its frames over in order, one call per frame; without the schema frame.
    ///
    /// Memory: a few frames per thread, whatever the size of the sample.
    pub fn generate<E>(
        &self,
        events: u64,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Generated, E> {
        #[derive(Default)]
        struct Worker {
            scratch: FrameScratch,
            frame: Vec<u8>,
            events: u64,
        }
        let slots = rayon::current_num_threads() * FRAMES_PER_THREAD;
        let mut workers: Vec<Worker> = (0..slots).map(|_| Worker::default()).collect();
        let mut done = Generated::default();
        loop {
            workers.par_iter_mut().enumerate().for_each(|(slot, worker)| {
                worker.frame.clear();
                let Worker { scratch, frame, events: made } = worker;
                *made = self.frame_with(done.frames + slot as u64, events, scratch, frame);
            });
            for worker in &workers {
                if worker.events == 0 {
                    return Ok(done);
                }
                each(&worker.frame)?;
                done.frames += 1;
                done.events += worker.events;
            }
        }
    }
}

fn draw_class(random: &mut Random, signal_fraction: f64) -> u8 {
    if random.chance(signal_fraction) { 1 + random.below(SIGNAL_CLASSES.into()) as u8 } else { 0 }
}
