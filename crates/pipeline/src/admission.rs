//! The first stage: bytes become blocks of events, and what is lost is counted.
//!
//! One thread owns the bytes of a source until they are proven to be events: it finds frames, checks both checksums, refuses ids that were
//! seen, and cuts the events into blocks without copying them. The payload checksum is taken here and not by the workers, because whether a
//! frame is a duplicate depends on whether the earlier copy was intact.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tamis_event::{CloseReason, Defect, FrameHeader, Scanner, Schema, Span, Step};
use tamis_ledger::{Corrupt, Tally};
use tamis_port::{Source, SourceError, Window};
use tamis_ring::{Receiver, Sender};

use crate::outbound::Inbound;
use crate::stage::SLEEP_MAX;
use crate::{Admit, Clock, Control, IdBook, Progress, Stage};

/// How late an event may be admitted when the pace is set.
const PACED_SLEEP: Duration = Duration::from_micros(100);

/// How fast events are admitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as they are decided.
    Flat,
    /// At this many events per second, or slower if decisions cannot keep up.
    Rate(f64),
    /// As the frames' times say.
    Recorded,
}

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct Admission {
    input: Input,
    ids: IdBook,
    id_shift: IdShift,
    pace: Pace,
    clock: Arc<dyn Clock>,
    control: Arc<Control>,
    free: Receiver<Inbound>,
    /// Dropped at the end, so that workers see that nothing more comes.
    workers: Option<Sender<Inbound>>,
    batch: usize,
    seq: u64,
    /// The block being filled.
    open: Option<Inbound>,
    /// What is left of the frame being cut.
    rest: Option<Frame>,
    /// Run and segment of the last frame: where losses after it are booked.
    place: (u32, u32),
    /// What arrived since the last block was handed over.
    arrivals: Tally,
    /// Everything that arrived: this stage's own side of the ledger's equation.
    totals: Tally,
    started_ns: Option<u64>,
    stride: usize,
}

/// What admission leaves behind.
#[derive(Debug, Default)]
pub(crate) struct AdmissionReport {
    pub(crate) totals: Tally,
    pub(crate) error: Option<SourceError>,
}

impl Admission {
    #[expect(clippy::too_many_arguments, reason = "called once, by the wiring, with one value of each type")]
    pub(crate) fn new(
        source: Box<dyn Source>,
        schema: &Schema,
        pace: Pace,
        batch: usize,
        clock: Arc<dyn Clock>,
        control: Arc<Control>,
        free: Receiver<Inbound>,
        workers: Sender<Inbound>,
    ) -> Self {
        Self {
            input: Input::new(source, schema),
            ids: IdBook::default(),
            id_shift: IdShift::default(),
            pace,
            clock,
            control,
            free,
            workers: Some(workers),
            batch,
            seq: 0,
            open: None,
            rest: None,
            place: (0, 0),
            arrivals: Tally::new(0),
            totals: Tally::new(0),
            started_ns: None,
            stride: schema.record_len(),
        }
    }

    pub(crate) fn report(&mut self) -> AdmissionReport {
        AdmissionReport { totals: std::mem::take(&mut self.totals), error: self.input.error.take() }
    }

    /// Fills the open block until something says that it must go. `None`: it holds nothing and nothing is at hand.
    fn fill(&mut self, open: &mut Inbound) -> Option<CloseReason> {
        while open.block.len() < self.batch {
            let Some(frame) = self.rest.take().or_else(|| self.next_frame()) else {
                return match (self.input.ended, open.block.is_empty()) {
                    (true, _) => Some(CloseReason::Drain),
                    (false, true) => None,
                    (false, false) => Some(CloseReason::Idle),
                };
            };
            let place = (frame.header.run, frame.header.segment);
            if self.place != place && !(open.block.is_empty() && self.arrivals.received == 0) {
                self.rest = Some(frame);
                self.place = place;
                return Some(CloseReason::SegmentEnd);
            }
            if !self.is_due(&frame.header) {
                self.rest = Some(frame);
                return if open.block.is_empty() { None } else { Some(CloseReason::Idle) };
            }
            if open.block.is_empty() {
                self.place = place;
                open.block.reset(place.0, place.1);
            }
            self.cut(open, frame);
        }
        Some(CloseReason::Full)
    }

    /// Moves as many events as fit from a frame into the block.
    fn cut(&mut self, open: &mut Inbound, mut frame: Frame) {
        let header = &mut frame.header;
        let held = header.n_events as usize;
        if let Some(Fresh { bytes, missing }) = frame.fresh.take() {
            self.arrivals.received += held as u64;
            self.arrivals.frames.received += 1;
            self.arrivals.missing = self.arrivals.missing.saturating_add(missing);
            self.totals.received += held as u64;
            self.count_bytes(bytes, false);
        }
        let events = held.min(self.batch - open.block.len());
        let bytes = frame.payload.split_to(events * self.stride);
        let (source, first_id, time_ns) = (header.source_id, header.first_event_id, header.time_ns);
        open.block.push(Span { source, first_id, time_ns, events, bytes });
        if events < held {
            header.first_event_id += events as u64;
            header.n_events -= events as u32;
            self.rest = Some(frame);
        }
    }

    fn is_due(&mut self, header: &FrameHeader) -> bool {
        if self.pace == Pace::Flat {
            return true;
        }
        let now = self.clock.now_ns();
        let started = *self.started_ns.get_or_insert(now);
        let due_ns = match self.pace {
            Pace::Flat => 0,
            Pace::Rate(hz) => (self.totals.received as f64 / hz * 1e9) as u64,
            Pace::Recorded => header.time_ns,
        };
        now - started >= due_ns
    }

    /// The next good frame with new ids, if one is at hand. Everything else that is found on the way is counted.
    fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if self.control.is_draining() {
                self.input.source.0.stop();
            }
            match self.input.next()? {
                Found::Restart => self.id_shift.begin_pass(),
                Found::Lost { cause, events, bytes } => {
                    self.arrivals.lose(cause, events);
                    self.count_bytes(bytes, true);
                }
                Found::Skipped { bytes } => self.count_bytes(bytes, true),
                Found::Schema { bytes } => self.count_bytes(bytes, false),
                Found::Frame { mut header, payload, bytes } => {
                    if let Some(missing) = self.admit(&mut header, bytes) {
                        return Some(Frame { header, payload, fresh: Some(Fresh { bytes, missing }) });
                    }
                }
            }
        }
    }

    /// Checks the ids of a good frame; the change of the number of missing ids, or `None` if the frame is refused.
    fn admit(&mut self, header: &mut FrameHeader, bytes: usize) -> Option<i64> {
        let events = u64::from(header.n_events);
        header.first_event_id = self.id_shift.apply(header.first_event_id, events);
        let sparse = header.flags & tamis_event::flags::SPARSE_IDS != 0;
        let cause = match self.ids.admit(header.source_id, header.run, header.first_event_id, events, sparse) {
            Admit::New { missing } => return Some(missing),
            Admit::Dup => Corrupt::Dup,
            Admit::Late => Corrupt::Late,
        };
        self.arrivals.lose(cause, events);
        self.count_bytes(bytes, true);
        None
    }

    fn count_bytes(&mut self, bytes: usize, corrupt: bool) {
        self.arrivals.frames.bytes += bytes as u64;
        if corrupt {
            self.arrivals.frames.bytes_corrupt += bytes as u64;
        }
    }

    /// Hands a block over, with the books of everything that arrived since the one before.
    fn hand_over(&mut self, mut open: Inbound, close: CloseReason) -> Progress {
        open.seq = self.seq;
        open.close = close;
        open.admitted_ns = self.clock.now_ns();
        self.seq += 1;
        self.totals.corrupt.merge(&self.arrivals.corrupt);
        std::mem::swap(&mut open.arrivals, &mut self.arrivals);
        self.arrivals.clear();
        let workers = self.workers.as_ref().expect("kept until the end");
        // The queue is as long as the pool (I1), so this can only fail when every worker has died, and then the run is over.
        let sent = workers.try_send(open);
        if sent.is_err() || close == CloseReason::Drain {
            return self.end();
        }
        Progress::Worked
    }

    fn end(&mut self) -> Progress {
        self.totals.received += self.totals.corrupt.total();
        self.workers = None;
        Progress::Done
    }
}

impl Stage for Admission {
    fn step(&mut self) -> Progress {
        if self.workers.is_none() {
            return Progress::Done;
        }
        let Some(mut open) = self.open.take().or_else(|| self.free.try_recv().ok()) else {
            return Progress::Idle;
        };
        open.block.reset(self.place.0, self.place.1);
        if self.control.is_draining() {
            // What was taken from outside is decided, whatever its time.
            self.pace = Pace::Flat;
        }
        match self.fill(&mut open) {
            Some(reason) => self.hand_over(open, reason),
            None => {
                self.open = Some(open);
                Progress::Idle
            }
        }
    }

    fn sleep_max(&self) -> Duration {
        if self.pace == Pace::Flat { SLEEP_MAX } else { PACED_SLEEP }
    }
}

/// A good frame, or what is left of it.
#[derive(Debug)]
struct Frame {
    header: FrameHeader,
    payload: Bytes,
    /// Not counted yet: it is booked with the block that takes its first event, and so in its own segment.
    fresh: Option<Fresh>,
}

#[derive(Clone, Copy, Debug)]
struct Fresh {
    bytes: usize,
    missing: i64,
}

/// What the codec found, with the bytes it took.
#[derive(Debug)]
enum Found {
    Frame { header: FrameHeader, payload: Bytes, bytes: usize },
    Schema { bytes: usize },
    Lost { cause: Corrupt, events: u64, bytes: usize },
    Skipped { bytes: usize },
    Restart,
}

/// The source and the bytes that it gave and that are not consumed yet.
#[derive(Debug)]
struct Input {
    source: SourceBox,
    scanner: Scanner,
    fresh: Scanner,
    /// The last window and how much of it is consumed.
    window: Bytes,
    at: usize,
    /// A frame that began in an earlier window; continued from `window`. Never longer than one frame and one header.
    carry: BytesMut,
    ended: bool,
    error: Option<SourceError>,
    /// A restart that waits until the bytes before it are consumed.
    restart: bool,
}

impl Input {
    fn new(source: Box<dyn Source>, schema: &Schema) -> Self {
        let scanner = Scanner::new(schema);
        let (window, carry) = (Bytes::new(), BytesMut::new());
        let fresh = scanner.clone();
        Self { source: SourceBox(source), scanner, fresh, window, at: 0, carry, ended: false, error: None, restart: false }
    }

    /// The next finding, or `None` if nothing is at hand.
    fn next(&mut self) -> Option<Found> {
        loop {
            let carried = !self.carry.is_empty();
            let bytes = if carried { &self.carry[..] } else { &self.window[self.at..] };
            let at_end = self.restart || (self.ended && (!carried || self.at == self.window.len()));
            let step = self.scanner.step(bytes, at_end);
            match step {
                Step::NeedMore { bytes: wanted } => {
                    if !self.gather(wanted) {
                        return None;
                    }
                }
                Step::End if self.restart => {
                    (self.restart, self.scanner) = (false, self.fresh.clone());
                    return Some(Found::Restart);
                }
                Step::End => return None,
                Step::Frame { header, payload, consumed } => {
                    let payload = self.slice(payload, carried);
                    self.consume(consumed, carried);
                    return Some(Found::Frame { header, payload, bytes: consumed });
                }
                Step::Schema { consumed, .. } => {
                    self.consume(consumed, carried);
                    return Some(Found::Schema { bytes: consumed });
                }
                Step::Defect { defect, events, consumed } => {
                    self.consume(consumed, carried);
                    return Some(Found::Lost { cause: cause(defect), events, bytes: consumed });
                }
                Step::Skip { consumed } => {
                    self.consume(consumed, carried);
                    return Some(Found::Skipped { bytes: consumed });
                }
            }
        }
    }

    /// Makes at least some progress towards `wanted` bytes in a row. `false`: the source has nothing now.
    fn gather(&mut self, wanted: usize) -> bool {
        if self.at == self.window.len() || self.carry.is_empty() {
            // Everything that is left goes to the carry; the next window continues it.
            self.carry.extend_from_slice(&self.window[self.at..]);
            self.at = self.window.len();
            if !self.poll() {
                return false;
            }
        }
        if !self.carry.is_empty() {
            let taken = wanted.saturating_sub(self.carry.len()).min(self.window.len() - self.at);
            self.carry.extend_from_slice(&self.window[self.at..self.at + taken]);
            self.at += taken;
        }
        true
    }

    /// Asks the source; `false` if it has nothing now.
    fn poll(&mut self) -> bool {
        if self.ended || self.restart {
            return true;
        }
        match self.source.0.poll() {
            Ok(Window::Bytes(window)) => (self.window, self.at) = (window, 0),
            Ok(Window::Restart) => self.restart = true,
            Ok(Window::End) => self.ended = true,
            Ok(Window::Idle) => return false,
            Err(error) => {
                self.error = Some(error);
                self.ended = true;
            }
        }
        true
    }

    fn slice(&self, range: std::ops::Range<usize>, carried: bool) -> Bytes {
        if carried {
            // One copy per window boundary: the frame lies in two windows.
            return Bytes::copy_from_slice(&self.carry[range]);
        }
        self.window.slice(self.at + range.start..self.at + range.end)
    }

    fn consume(&mut self, bytes: usize, carried: bool) {
        if !carried {
            self.at += bytes;
            return;
        }
        let left = self.carry.len() - bytes;
        if left <= self.at {
            // What is left came from this window: read it there, without copying.
            self.at -= left;
            self.carry.clear();
        } else {
            let _ = self.carry.split_to(bytes);
        }
    }
}

struct SourceBox(Box<dyn Source>);

impl std::fmt::Debug for SourceBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

/// Lets the ids of a recording that starts over go on after the last one.
#[derive(Debug, Default)]
struct IdShift {
    shift: u64,
    /// Lowest and highest original id.
    seen: Option<(u64, u64)>,
}

impl IdShift {
    fn apply(&mut self, first: u64, events: u64) -> u64 {
        let last = first + (events - 1);
        let (low, high) = self.seen.unwrap_or((first, last));
        self.seen = Some((low.min(first), high.max(last)));
        // Ids near the end of the range wrap to where they cannot collide with themselves; only a repeated recording gets there.
        if last.checked_add(self.shift).is_some() { first + self.shift } else { first }
    }

    fn begin_pass(&mut self) {
        if let Some((low, high)) = self.seen {
            self.shift = self.shift.saturating_add(high - low).saturating_add(1);
        }
    }
}

fn cause(defect: Defect) -> Corrupt {
    match defect {
        Defect::Magic => Corrupt::Magic,
        Defect::Version => Corrupt::Version,
        Defect::Header => Corrupt::Header,
        Defect::Oversize => Corrupt::Oversize,
        Defect::Zero => Corrupt::Zero,
        Defect::Length => Corrupt::Length,
        Defect::Torn => Corrupt::Torn,
        Defect::Crc => Corrupt::Crc,
        Defect::Schema => Corrupt::Schema,
    }
}
