//! The first stage: it turns bytes into batches of events, and counts what is lost.
//!
//! One thread owns the bytes of a source until they are proven to be events: it finds frames, checks both checksums, refuses ids that came before,
//! and cuts the events into batches without copying them. The checksum of the body is checked here and not by the workers, because whether a frame is
//! a duplicate depends on whether the earlier copy was intact.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tamis_event::{CloseReason, FrameHeader, SegmentId, Span};
use tamis_ledger::Corrupt;
use tamis_port::SourceError;
use tamis_ring::{Receiver, Sender};

use crate::limits::BATCH_BYTES_MAX;
use crate::outbound::Inbound;
use crate::pacer::{Pace, Pacer};
use crate::stage::SLEEP_MAX;
use crate::{Clock, Control, Found, FrameReader, IdBook, Limits, Progress, Stage};

/// The longest delay of an event that becomes due, or arrives at a source without a bell, while this thread sleeps.
pub(crate) const SOURCE_SLEEP: Duration = Duration::from_micros(100);

/// How long losses wait to be shown if no event comes: a link that gives nothing but noise must not look like one that is idle.
pub(crate) const LOSSES_SHOWN_NS: u64 = 100_000_000;

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) input: FrameReader,
    pub(crate) ids: IdBook,
    shift: PassShift,
    pacer: Pacer,
    clock: Arc<dyn Clock>,
    control: Arc<Control>,
    free: Receiver<Inbound>,
    /// Dropped at the end, so that workers see that nothing more comes.
    workers: Option<Sender<Inbound>>,
    /// Does the source ring when it has something again?
    source_rings: bool,
    batch: usize,
    /// Bytes of the input that a batch may keep in memory, and bytes that the input had lent before the window of its first event.
    pub(crate) batch_input_bytes: u64,
    lent_before: u64,
    seq: u64,
    /// The batch that is being filled.
    open: Option<Inbound>,
    /// What is left of the frame that is being cut, or what has to wait.
    rest: Option<Next>,
    /// Run and segment of the last frame or loss that has them; losses that have none are booked there.
    segment: SegmentId,
    /// When the first of the losses that wait in the open batch came.
    losses_since_ns: Option<u64>,
    /// Bytes of schema frames, which are booked with what follows them.
    schema_bytes: usize,
    /// Units that arrived: this stage's own side of the ledger's equation.
    received: u64,
    /// Events among them that were admitted.
    admitted: u64,
    /// Events of the first pass, once the input has begun again.
    first_pass: Option<u64>,
}

/// What admission leaves behind.
#[derive(Debug, Default)]
pub(crate) struct AdmissionReport {
    pub(crate) received: u64,
    pub(crate) lag_ns: Option<u64>,
    pub(crate) first_pass: Option<u64>,
    pub(crate) error: Option<SourceError>,
}

impl Admission {
    #[expect(clippy::too_many_arguments, reason = "called once, by the wiring, with one value of each type")]
    pub(crate) fn new(
        input: FrameReader,
        source_rings: bool,
        pace: Pace,
        limits: Limits,
        clock: Arc<dyn Clock>,
        control: Arc<Control>,
        free: Receiver<Inbound>,
        workers: Sender<Inbound>,
    ) -> Self {
        Self {
            source_rings,
            input,
            ids: IdBook::default(),
            shift: PassShift::default(),
            pacer: Pacer::new(pace, clock.clone()),
            clock,
            control,
            free,
            workers: Some(workers),
            batch: limits.batch(),
            batch_input_bytes: limits.batch_input_bytes() as u64,
            lent_before: 0,
            seq: 0,
            open: None,
            rest: None,
            segment: SegmentId::default(),
            losses_since_ns: None,
            schema_bytes: 0,
            received: 0,
            admitted: 0,
            first_pass: None,
        }
    }

    pub(crate) fn report(&mut self) -> AdmissionReport {
        let received = self.received;
        let lag_ns = self.pacer.lag_ns();
        let first_pass = self.first_pass;
        AdmissionReport { received, lag_ns, first_pass, error: self.input.take_error() }
    }

    /// Fills the open batch until there is a reason to close it. `None`: it holds nothing and nothing is at hand.
    fn fill(&mut self, open: &mut Inbound) -> Option<CloseReason> {
        while open.events() < self.batch {
            let Some(next) = self.rest.take().or_else(|| self.next()) else {
                let has_something = open.events() > 0 || self.must_show_losses();
                return match (self.input.has_ended(), has_something) {
                    (true, _) => Some(CloseReason::Drain),
                    (false, true) => Some(CloseReason::Idle),
                    (false, false) => None,
                };
            };
            let segment = next.segment().unwrap_or(self.segment);
            if !open.has_room_for(segment) {
                self.rest = Some(next);
                return Some(CloseReason::Segments);
            }
            match next {
                Next::Frame(frame) => {
                    let due = self.due(&frame, self.batch - open.events());
                    let fits = open.events() == 0
                        || !(self.keeps_too_much() || frame.overflows(open.payload_bytes()));
                    if due == 0 || !fits {
                        self.rest = Some(Next::Frame(frame));
                        return match due {
                            0 => (open.events() > 0 || self.must_show_losses()).then_some(CloseReason::Idle),
                            _ => Some(CloseReason::Bytes),
                        };
                    }
                    if open.events() == 0 {
                        self.lent_before = self.input.lent_before();
                        open.admitted_ns = frame.arrived_ns.unwrap_or_else(|| self.clock.now_ns());
                    }
                    self.segment = segment;
                    self.cut(open, frame, due);
                }
                Next::Loss(loss) => {
                    self.segment = segment;
                    self.lose(open, &loss);
                    if self.must_show_losses() {
                        return Some(CloseReason::Idle);
                    }
                }
            }
        }
        Some(CloseReason::Full)
    }

    /// Would the open batch keep too many bytes in memory with an event of the last window? The window of its first event is always allowed.
    fn keeps_too_much(&self) -> bool {
        self.input.lent_before() > self.lent_before
            && self.input.lent() - self.lent_before > self.batch_input_bytes
    }

    /// Have losses waited for long enough?
    fn must_show_losses(&self) -> bool {
        self.losses_since_ns.is_some_and(|since| self.clock.now_ns().saturating_sub(since) >= LOSSES_SHOWN_NS)
    }

    /// Books a loss.
    fn lose(&mut self, open: &mut Inbound, loss: &LostInput) {
        self.losses_since_ns.get_or_insert_with(|| self.clock.now_ns());
        let arrivals = open.arrivals(self.segment);
        if let Some((cause, events)) = loss.begins {
            arrivals.lose(cause, events);
            self.received += events.max(1);
        }
        arrivals.skip(loss.missing, loss.forgotten);
        arrivals.frames.bytes += (loss.bytes + std::mem::take(&mut self.schema_bytes)) as u64;
        arrivals.frames.bytes_corrupt += loss.bytes as u64;
    }

    /// How many events at the front of a frame are due, up to `most`.
    fn due(&mut self, frame: &Frame, most: usize) -> usize {
        let (from, to) = frame.at;
        self.pacer.due(frame.header.run, &frame.span, (from, to.min(from + most)), self.admitted)
    }

    /// Moves as many of the events that are due as fit from a frame into the batch.
    fn cut(&mut self, open: &mut Inbound, mut frame: Frame, due: usize) {
        if let Some(Uncounted { bytes, fresh, repeated, missing, forgotten }) = frame.uncounted.take() {
            let arrivals = open.arrivals(self.segment);
            arrivals.frames.received += 1;
            arrivals.repeat(repeated);
            arrivals.skip(missing, forgotten);
            arrivals.frames.bytes += (bytes + std::mem::take(&mut self.schema_bytes)) as u64;
            self.received += fresh + repeated;
            self.admitted += fresh;
        }
        let (from, to) = frame.at;
        let events =
            frame.span.fitting(from, from + due, BATCH_BYTES_MAX.saturating_sub(open.payload_bytes()));
        let span = frame.span.slice(from, from + events);
        let span = if frame.is_thin { span.copied() } else { span };
        open.push(self.segment, span, frame.arrived_ns);
        frame.at.0 += events;
        if frame.at.0 == to {
            let Some(next) = frame.later.pop() else { return };
            frame.at = next;
        }
        self.rest = Some(Next::Frame(frame));
    }

    /// The next good frame with events that did not come before, or the next loss, if one is at hand.
    fn next(&mut self) -> Option<Next> {
        loop {
            if self.control.is_draining() {
                self.input.stop();
            }
            if self.control.is_aborting() && !self.input.is_live() {
                self.input.discard();
            }
            match self.input.find_next()? {
                Found::Restart => {
                    self.first_pass.get_or_insert(self.received);
                    self.ids.clear();
                    self.shift.passes += 1;
                    self.pacer.restart();
                }
                Found::Lost { cause, events, segment, bytes } => {
                    let begins = Some((cause, events));
                    return Some(Next::Loss(LostInput { begins, segment, bytes, ..LostInput::default() }));
                }
                Found::Skipped { bytes } => {
                    return Some(Next::Loss(LostInput { bytes, ..LostInput::default() }));
                }
                Found::Schema { bytes } => self.schema_bytes += bytes,
                Found::Frame { header, body, bytes } => return Some(self.admit(header, &body, bytes)),
            }
        }
    }

    /// Takes the events of a good frame that did not come before.
    fn admit(&mut self, header: FrameHeader, body: &Bytes, bytes: usize) -> Next {
        let span = Span::of_frame(&header, body);
        let shift = self.shift.of(span.id_range());
        let admitted = self.ids.admit_frame(&header, &span);
        let (missing, forgotten) = (admitted.missing, admitted.forgotten);
        let repeated = u64::from(admitted.repeated);
        let stretch = |&(from, to): &(u32, u32)| (from as usize, to as usize);
        let later = admitted.fresh.iter().skip(1).rev().map(stretch).collect();
        let Some(at) = admitted.fresh.first().map(stretch) else {
            let segment = Some(header.segment_id());
            return Next::Loss(LostInput {
                begins: Some((Corrupt::Dup, repeated)),
                segment,
                bytes,
                missing,
                forgotten,
            });
        };
        // A source with a clock of its own may be a little ahead: nothing arrives before it is there.
        let arrived_ns = self.input.arrived_ns().map(|ns| ns.min(self.clock.now_ns()));
        let fresh = u64::from(header.n_events) - repeated;
        let uncounted = Some(Uncounted { bytes, fresh, repeated, missing, forgotten });
        let is_thin = fresh < u64::from(header.n_events) / 4;
        let span = span.shifted(shift);
        Next::Frame(Frame { header, span, at, later, is_thin, arrived_ns, uncounted })
    }

    /// Closes a batch and passes it on.
    fn pass_on(&mut self, mut open: Inbound, close: CloseReason) -> Progress {
        open.seq = self.seq;
        open.close = close;
        if open.events() == 0 {
            open.admitted_ns = self.clock.now_ns();
        }
        if close == CloseReason::Drain && self.schema_bytes > 0 {
            open.arrivals(self.segment).frames.bytes += std::mem::take(&mut self.schema_bytes) as u64;
        }
        self.seq += 1;
        self.losses_since_ns = None;
        let workers = self.workers.as_ref().expect("kept until the end");
        // The queue is as long as the pool (I1), so this can only fail when every worker has died, and then the run is over.
        let sent = workers.try_send(open);
        if sent.is_err() || close == CloseReason::Drain {
            self.workers = None;
            return Progress::Done;
        }
        Progress::Worked
    }

    /// After a stop request nothing waits for its time any more: what came from outside is decided, and what a recording would still have played
    /// counts as not taken.
    fn leave_pace(&mut self) {
        self.pacer.hurry();
        if !self.input.is_live() {
            self.rest.take_if(|next| next.is_uncounted());
            self.input.discard();
        }
    }
}

impl Stage for Admission {
    fn pause(&self) {
        self.workers.iter().for_each(Sender::wake);
    }

    fn step(&mut self) -> Progress {
        if self.workers.is_none() {
            return Progress::Done;
        }
        let Some(mut open) = self.open.take().or_else(|| self.free.try_recv().ok()) else {
            return Progress::Idle;
        };
        if self.control.is_draining() && !self.pacer.is_flat() {
            self.leave_pace();
        }
        match self.fill(&mut open) {
            Some(reason) => self.pass_on(open, reason),
            None => {
                self.open = Some(open);
                Progress::Idle
            }
        }
    }

    fn sleep_max(&self) -> Duration {
        // Without a batch to fill it waits until one comes back, which rings. The time at which a frame is due rings nothing.
        let is_rung = self.open.is_none() || (self.source_rings && self.rest.is_none());
        if is_rung { SLEEP_MAX } else { SOURCE_SLEEP }
    }
}

/// What the input has for the books.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and a box would be an allocation per frame"
)]
enum Next {
    Frame(Frame),
    Loss(LostInput),
}

impl Next {
    /// Run and segment, if they are known.
    fn segment(&self) -> Option<SegmentId> {
        match self {
            Self::Frame(frame) => Some(frame.header.segment_id()),
            Self::Loss(loss) => loss.segment,
        }
    }

    fn is_uncounted(&self) -> bool {
        match self {
            Self::Frame(frame) => frame.uncounted.is_some(),
            Self::Loss(_) => true,
        }
    }
}

/// Bytes that are no good frame, or a frame without any new event.
#[derive(Debug, Default)]
struct LostInput {
    /// Why and how many events, unless these are more bytes of a stretch that was counted.
    begins: Option<(Corrupt, u64)>,
    segment: Option<SegmentId>,
    bytes: usize,
    missing: i128,
    forgotten: u64,
}

/// A good frame, or what is left of it.
#[derive(Debug)]
struct Frame {
    header: FrameHeader,
    /// All its events, with their ids in this pass.
    span: Span,
    /// The events that are cut next, which did not come before: the first index, and the index after the last.
    at: (usize, usize),
    /// Further stretches of such events, the last one first.
    later: Vec<(usize, usize)>,
    /// Are these so few that they are copied, so that they do not keep all others in memory?
    is_thin: bool,
    /// When it was complete, if the source knows.
    arrived_ns: Option<u64>,
    /// What is not counted yet: it is booked in the batch that takes the first event, in the part of the frame's own segment.
    uncounted: Option<Uncounted>,
}

impl Frame {
    /// Would its next event be too much for a batch with so many bytes of payload?
    fn overflows(&self, payload_bytes: usize) -> bool {
        payload_bytes > 0 && payload_bytes + self.span.event(self.at.0).payload.len() > BATCH_BYTES_MAX
    }
}

#[derive(Clone, Copy, Debug)]
struct Uncounted {
    bytes: usize,
    /// Events that did not come before, and those that did.
    fresh: u64,
    repeated: u64,
    missing: i128,
    forgotten: u64,
}

/// Gives the events of a recording that starts over different ids in each pass: they are shifted by the span of all ids of the first pass, whatever
/// the source and run.
#[derive(Debug, Default)]
struct PassShift {
    passes: u64,
    /// Lowest and highest id of the first pass.
    span: Option<(u64, u64)>,
}

impl PassShift {
    /// What is added to the ids of a frame in this pass, the lowest and the highest of which are given. A frame of which a shifted id would exceed
    /// `u64` keeps its ids.
    fn of(&mut self, (lowest, highest): (u64, u64)) -> u64 {
        let (low, high) = self.span.get_or_insert((lowest, highest));
        if self.passes == 0 {
            (*low, *high) = (lowest.min(*low), highest.max(*high));
            return 0;
        }
        let shift = (*high - *low).checked_add(1).and_then(|length| length.checked_mul(self.passes));
        shift.filter(|shift| highest.checked_add(*shift).is_some()).unwrap_or(0)
    }
}
