//! Events of one segment: a block.
//!
//! A block refers to the bytes of its events where they arrived (a read or receive buffer); it never copies them. It holds many events, in order, of
//! one segment: what is done once for a block costs next to nothing per event.
//!
//! What the pipeline passes from stage to stage in one piece is a batch of up to `--batch` events. It holds a block for each of their segments, up to
//! 64.

use std::ops::Range;

use crate::span::{Event, Span};

/// Why the pipeline closed a batch and passed it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// It holds as many events as a batch may.
    Full,
    /// The source had nothing more at hand.
    Idle,
    /// It holds the blocks of as many segments as a batch may.
    Segments,
    /// It keeps as many bytes of the input in memory as a batch may.
    Bytes,
    /// The source ended or the run was asked to stop.
    Drain,
}

impl CloseReason {
    /// Every reason, in the order of their counters.
    pub const ALL: [Self; 5] = [Self::Full, Self::Idle, Self::Segments, Self::Bytes, Self::Drain];

    /// The name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Idle => "idle",
            Self::Segments => "segments",
            Self::Bytes => "bytes",
            Self::Drain => "drain",
        }
    }
}

/// Up to a batch of events of one run, segment and schema.
#[derive(Debug)]
pub struct Block {
    stride: usize,
    events: usize,
    run: u32,
    segment: u32,
    spans: Vec<Span>,
    /// `starts[k]` is the index in the block of the first event of `spans[k]`.
    starts: Vec<usize>,
}

impl Block {
    /// An empty block for records of `stride` bytes.
    pub fn new(stride: usize) -> Self {
        Self { stride, events: 0, run: 0, segment: 0, spans: Vec::new(), starts: Vec::new() }
    }

    /// Empties the block and gives it to a segment. Its memory is kept.
    pub fn reset(&mut self, run: u32, segment: u32) {
        self.spans.clear();
        self.starts.clear();
        self.events = 0;
        self.run = run;
        self.segment = segment;
    }

    /// Appends events; a span without any leaves no trace.
    ///
    /// # Panics
    /// If their records have another length than those of the block.
    pub fn push(&mut self, span: Span) {
        assert_eq!(span.stride(), self.stride, "records of one schema");
        // So that every run that `for_each_run` shows has events.
        if span.is_empty() {
            return;
        }
        self.starts.push(self.events);
        self.events += span.len();
        self.spans.push(span);
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.events
    }

    /// Is there no event?
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Bytes per record.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Run of all events.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// Segment of all events.
    pub fn segment(&self) -> u32 {
        self.segment
    }

    /// The spans, in order.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Calls `each(index of the first event, records)` for every contiguous run of records of the events in `range`, in order.
    ///
    /// # Panics
    /// If `range` is not within the block.
    pub fn for_each_run<'a>(&'a self, range: Range<usize>, mut each: impl FnMut(usize, &'a [u8])) {
        assert!(range.end <= self.events, "range {range:?} in a block of {} events", self.events);
        let mut at = range.start;
        let mut k = self.starts.partition_point(|&start| start <= at).saturating_sub(1);
        while at < range.end {
            let span = &self.spans[k];
            let start = self.starts[k];
            let from = at - start;
            let to = span.len().min(range.end - start);
            each(at, &span.records()[from * self.stride..to * self.stride]);
            at = start + to;
            k += 1;
        }
    }

    /// Event `index`.
    ///
    /// # Panics
    /// If `index` is not within the block.
    pub fn event(&self, index: usize) -> Event<'_> {
        let (k, within) = self.locate(index);
        self.spans[k].event(within)
    }

    /// The id of event `index`.
    ///
    /// # Panics
    /// If `index` is not within the block.
    pub fn id(&self, index: usize) -> u64 {
        let (k, within) = self.locate(index);
        self.spans[k].id(within)
    }

    /// Where event `index` is: which span, and which event of it.
    ///
    /// # Panics
    /// If `index` is not within the block.
    pub fn locate(&self, index: usize) -> (usize, usize) {
        assert!(index < self.events, "event {index} in a block of {}", self.events);
        let k = self.starts.partition_point(|&start| start <= index) - 1;
        (k, index - self.starts[k])
    }
}
