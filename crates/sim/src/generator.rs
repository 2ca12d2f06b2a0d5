//! Synthetic frames of any schema.

use rayon::prelude::*;
use tamis_event::{
    EVENTS_PER_FRAME_MAX, FrameMeta, PLAIN_BODY_BYTES_MAX, Schema, encode_events, encode_schema,
};

use crate::random::Random;
use crate::shape::{SIGNAL_CLASSES, Scratch, Shapes};

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
        }
    }
}

/// Options that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum GenError {
    #[error("a rate of {rate_hz} Hz: it must be positive and finite")]
    Rate { rate_hz: f64 },
    #[error("a signal fraction of {fraction}: it must be between 0 and 1")]
    Fraction { fraction: f64 },
    #[error("{events} events per frame (--frame-events): a frame of this schema holds 1 to {most}")]
    FrameEvents { events: usize, most: usize },
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

impl Generator {
    /// Checks the options and chooses a distribution for every field of the schema.
    pub fn new(schema: &Schema, options: GenOptions) -> Result<Self, GenError> {
        let rate_hz = options.rate_hz;
        let fraction = options.signal_fraction;
        let events = options.frame_events;
        let most = Self::frame_events_max(schema);
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

    /// The most events that a frame of this schema holds.
    pub fn frame_events_max(schema: &Schema) -> usize {
        EVENTS_PER_FRAME_MAX.min(PLAIN_BODY_BYTES_MAX / schema.record_len())
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
        let mut scratch = Scratch::default();
        self.frame_with(index, events, &mut scratch, &mut Vec::new(), out)
    }

    fn frame_with(
        &self,
        index: u64,
        events: u64,
        scratch: &mut Scratch,
        payload: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> u64 {
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
        payload.clear();
        payload.resize(count as usize * self.schema.record_len(), 0);
        for (id, record) in (first..).zip(payload.chunks_exact_mut(self.schema.record_len())) {
            let mut random = Random::new(options.seed, id);
            let class = draw_class(&mut random, options.signal_fraction);
            self.shapes.fill(&mut random, class, scratch, record);
        }
        let meta = FrameMeta {
            run: options.run,
            segment: segment as u32,
            source_id: options.source_id,
            first_event_id: first,
            time_ns: (first as f64 * 1e9 / options.rate_hz) as u64,
            sparse_ids: false,
        };
        encode_events(&self.schema, meta, payload, out);
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
        struct Worker {
            scratch: Scratch,
            payload: Vec<u8>,
            frame: Vec<u8>,
            events: u64,
        }
        let slots = rayon::current_num_threads() * FRAMES_PER_THREAD;
        let blank =
            || Worker { scratch: Scratch::default(), payload: Vec::new(), frame: Vec::new(), events: 0 };
        let mut workers: Vec<Worker> = (0..slots).map(|_| blank()).collect();
        let mut done = Generated::default();
        loop {
            workers.par_iter_mut().enumerate().for_each(|(slot, worker)| {
                worker.frame.clear();
                let Worker { scratch, payload, frame, events: made } = worker;
                *made = self.frame_with(done.frames + slot as u64, events, scratch, payload, frame);
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
