//! Finding frames in bytes: a state machine without I/O.
//!
//! The caller owns the bytes and shows the scanner what it has, from the first byte that was not yet consumed. The scanner answers with one
//! [`Scanned`]; `SPEC.md` section 3 is the rule that it follows.
//!
//! ```text
//!              good header, good body                 bad header or body
//!   in step ------------------------> Frame   in step ---------------------> Defect (counted once)
//!      ^                                         ^                             |                |
//!      |                                         '-- it ends where it says ----'                | it does not
//!      |                                                                                        v
//!      '------ next sealed header that is not inside the body of the lost frame --------- searching --> Skip (bytes only)
//! ```
//!
//! * I1: a frame that lies inside the body of a lost one is never shown, unless the lost one's header contradicts itself about its length and
//!   ends at none of the places that it names.
//! * I2: every step depends on the bytes of the stream alone, never on how they were cut into windows.
//! * I3: no byte is summed more than four times: once or twice for its own frame, once for a lost frame around it, once for a wrong header found
//!   inside that one. The bytes of headers are summed a few times more.
//!
//! Cost: one CRC32C over every byte (8 ns per 114-byte event), no allocation.

use std::ops::Range;
use std::sync::Arc;

use crate::body;
use crate::defect::Defect;
use crate::header::{
    ALIGN, EVENTS_PER_FRAME_MAX, EventLayout, FrameHeader, HEADER_LEN, MAGIC, NeedMore, VERSION, flags,
};
use crate::list::List;
use crate::schema::schema_id;
use crate::segment::SegmentId;

/// What the scanner found at the front of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// A good event frame. `body` is its range in the bytes; the caller continues after `consumed` bytes.
    Frame {
        /// The checked header.
        header: FrameHeader,
        /// Where its body is.
        body: Range<usize>,
        /// Bytes to go on.
        consumed: usize,
    },
    /// A schema frame, the one in use or (when none is) the first.
    Schema {
        /// The checked header.
        header: FrameHeader,
        /// Where the text is.
        body: Range<usize>,
        /// Bytes to go on.
        consumed: usize,
    },
    /// A frame is lost for this reason.
    Defect {
        /// Why.
        defect: Defect,
        /// Events that the intact header announced; 0 if nobody can know how many there were.
        events: u64,
        /// Run and segment, if the header is intact.
        segment: Option<SegmentId>,
        /// Bytes to go on; at least 1.
        consumed: usize,
    },
    /// More bytes of the lost stretch; already counted.
    Skip {
        /// Bytes to go on; at least 1.
        consumed: usize,
    },
    /// No answer without at least this many bytes; never more than the longest frame, a header and the columns behind that.
    NeedMore {
        /// Bytes that the next call must show (or say that the stream ends).
        bytes: usize,
    },
    /// The stream ended and every byte was consumed.
    End,
}

impl Scanned {
    fn consumed(&self) -> usize {
        match *self {
            Self::Frame { consumed, .. }
            | Self::Schema { consumed, .. }
            | Self::Defect { consumed, .. }
            | Self::Skip { consumed } => consumed,
            Self::NeedMore { .. } | Self::End => 0,
        }
    }
}

/// Finds frames of one schema.
#[derive(Clone, Debug)]
pub struct Scanner {
    /// The schema in use; `None`: any schema frame is welcome and no event frame is.
    schema: Option<Known>,
    searching: bool,
    /// Bytes from here that belong to the body of a lost frame.
    inside: usize,
    /// Bytes from here that belong to the body of a header that was summed while searching, and was wrong.
    doubted: usize,
}

/// What a scanner knows of the schema in use.
#[derive(Clone, Debug)]
struct Known {
    id: u64,
    layout: EventLayout,
    lists: Arc<[List]>,
}

impl Scanner {
    /// A scanner for a stream whose schema is known.
    pub fn new(schema: &crate::Schema) -> Self {
        let known = Known { id: schema.id(), layout: schema.layout(), lists: schema.lists().into() };
        Self { schema: Some(known), ..Self::for_unknown_schema() }
    }

    /// A scanner that shows every good schema frame and refuses all events: the way to learn the schema for [`Scanner::new`].
    pub fn for_unknown_schema() -> Self {
        Self { schema: None, searching: false, inside: 0, doubted: 0 }
    }

    /// Looks at `bytes`, which start at the first byte not yet consumed. `at_end` says that no more will come.
    pub fn step(&mut self, bytes: &[u8], at_end: bool) -> Scanned {
        let step = self.look(bytes, at_end);
        let consumed = step.consumed();
        self.inside = self.inside.saturating_sub(consumed);
        self.doubted = self.doubted.saturating_sub(consumed);
        step
    }

    fn look(&mut self, bytes: &[u8], at_end: bool) -> Scanned {
        if bytes.is_empty() {
            return if at_end { Scanned::End } else { Scanned::NeedMore { bytes: HEADER_LEN } };
        }
        if self.searching {
            match self.search(bytes, at_end) {
                Search::Here => {
                    self.searching = false;
                    self.inside = 0;
                }
                Search::After(consumed) => return Scanned::Skip { consumed },
                Search::NeedMore(bytes) => return Scanned::NeedMore { bytes },
            }
        }
        let Some(header) = FrameHeader::read(bytes) else {
            if !at_end {
                return Scanned::NeedMore { bytes: HEADER_LEN };
            }
            let defect = if bytes.starts_with(&MAGIC) { Defect::Torn } else { Defect::Magic };
            return Scanned::Defect { defect, events: 0, segment: None, consumed: bytes.len() };
        };
        match self.check_header(&header) {
            Ok(()) => self.check_body(header, bytes, at_end),
            Err(defect) => self.lose_header(defect, &header, bytes, at_end),
        }
    }

    fn check_header(&self, header: &FrameHeader) -> Result<(), Defect> {
        if header.magic != MAGIC {
            return Err(Defect::Magic);
        }
        if header.version != VERSION || header.header_len as usize != HEADER_LEN {
            return Err(Defect::Version);
        }
        if !header.is_sealed() {
            return Err(Defect::Header);
        }
        if header.body_len as usize > header.layout().body_bytes_max() {
            return Err(Defect::Oversize);
        }
        let is_empty = if header.is_schema() {
            header.body_len == 0
        } else {
            header.n_events == 0 || header.stride == 0
        };
        if is_empty {
            return Err(Defect::Zero);
        }
        let fits = if header.is_schema() { header.flags == flags::SCHEMA } else { self.fits(header) };
        if !fits || !header.is_right_in_length() || header.flags & !flags::ALL != 0 {
            return Err(Defect::Length);
        }
        Ok(())
    }

    /// Does the header of an event frame announce possible ids, and the layout of its schema if that is the one in use?
    fn fits(&self, header: &FrameHeader) -> bool {
        let has_column = header.flags & flags::IDS != 0;
        let last_id = header.first_event_id.checked_add(u64::from(header.n_events) - 1);
        let is_own = |known: &Known| known.id == header.schema_id;
        header.n_events as usize <= EVENTS_PER_FRAME_MAX
            && (has_column || last_id.is_some())
            && self
                .schema
                .as_ref()
                .filter(|known| is_own(known))
                .is_none_or(|known| known.layout == header.layout())
    }

    /// Loses a frame whose header is wrong.
    fn lose_header(&mut self, defect: Defect, header: &FrameHeader, bytes: &[u8], at_end: bool) -> Scanned {
        let lost =
            |consumed| Scanned::Defect { defect, events: 0, segment: header.known_segment_id(), consumed };
        match hides_header(header, bytes, at_end) {
            None => return Scanned::NeedMore { bytes: HIDING_LEN },
            Some(true) => {
                self.searching = true;
                self.inside = 0;
                return lost(1);
            }
            Some(false) => {}
        }
        let known = self.layout();
        let lengths = header.lengths_agree(known, bytes, at_end).and_then(|agreed| match (agreed, defect) {
            (Some(length), _) => Ok((agreed, [Some(length), None])),
            // What does not begin like a frame and contradicts itself, too, is none.
            (None, Defect::Magic) => Ok((None, [None, None])),
            (None, _) => Ok((None, header.possible_lengths(known, bytes, at_end)?)),
        });
        let (agreed, possible) = match lengths {
            Ok(lengths) => lengths,
            Err(NeedMore(bytes)) => return Scanned::NeedMore { bytes },
        };
        let mut end = None;
        for length in possible.into_iter().flatten() {
            match self.ends_after(length, bytes, at_end) {
                // The larger one was looked at first. Where a frame seems to end at both places, its body tells.
                Ends::Here(consumed) if end.is_none() || header.is_body(bytes, length) => {
                    end = Some(consumed);
                }
                Ends::Here(_) | Ends::Elsewhere => {}
                Ends::NeedMore(bytes) => return Scanned::NeedMore { bytes },
            }
        }
        if let Some(consumed) = end {
            return lost(consumed);
        }
        self.searching = true;
        self.inside = match agreed {
            Some(length) if defect != Defect::Magic => HEADER_LEN + length,
            _ => 0,
        };
        lost(1)
    }

    fn check_body(&mut self, header: FrameHeader, bytes: &[u8], at_end: bool) -> Scanned {
        let events = u64::from(header.n_events);
        let lost = |defect, events, consumed| Scanned::Defect {
            defect,
            events,
            segment: header.known_segment_id(),
            consumed,
        };
        let body = header.body();
        let frame_len = header.frame_len();
        if bytes.len() < body.end && at_end {
            // Whatever follows lies inside the body.
            return lost(Defect::Torn, events, bytes.len());
        }
        if bytes.len() < frame_len && !at_end {
            return Scanned::NeedMore { bytes: frame_len };
        }
        let consumed = frame_len.min(bytes.len());
        if !header.is_body(bytes, body.len()) {
            return match self.ends_after(body.len(), bytes, at_end) {
                Ends::NeedMore(bytes) => Scanned::NeedMore { bytes },
                Ends::Here(consumed) => lost(Defect::Crc, events, consumed),
                Ends::Elsewhere => {
                    self.searching = true;
                    self.inside = body.end;
                    lost(Defect::Torn, events, HEADER_LEN)
                }
            };
        }
        if header.is_schema() {
            let known = self.schema.as_ref().is_none_or(|known| known.id == header.schema_id);
            if known && schema_id(&bytes[body.clone()]) == header.schema_id {
                return Scanned::Schema { header, body, consumed };
            }
            return lost(Defect::Schema, 0, consumed);
        }
        let Some(known) = self.schema.as_ref().filter(|known| known.id == header.schema_id) else {
            return lost(Defect::Schema, events, consumed);
        };
        match body::check(&header, &bytes[body.clone()], &known.lists) {
            Ok(()) => Scanned::Frame { header, body, consumed },
            Err(defect) => lost(defect, events, consumed),
        }
    }

    /// Does another frame, or the end of the stream, follow where a frame with a body of so many bytes ends?
    fn ends_after(&self, body_len: usize, bytes: &[u8], at_end: bool) -> Ends {
        let body_end = HEADER_LEN + body_len;
        let frame_len = body_end.next_multiple_of(ALIGN);
        let behind = bytes.get(frame_len..).unwrap_or_default();
        let next = FrameHeader::read(behind);
        if next.is_none() && !at_end {
            return Ends::NeedMore(frame_len + HEADER_LEN);
        }
        // The next header may be damaged, too.
        let is_header = match next {
            Some(next) if next.is_sealed() => Ok(true),
            Some(next) if next.magic == MAGIC => {
                next.lengths_agree(self.layout(), behind, at_end).map(|agreed| agreed.is_some())
            }
            _ => Ok(false),
        };
        let ends = (body_end..=frame_len).contains(&bytes.len());
        match is_header {
            _ if ends => Ends::Here(bytes.len()),
            Ok(true) => Ends::Here(frame_len),
            Ok(false) => Ends::Elsewhere,
            Err(NeedMore(more)) => Ends::NeedMore(frame_len + more),
        }
    }

    /// The layout of events by the schema in use.
    fn layout(&self) -> Option<EventLayout> {
        self.schema.as_ref().map(|known| known.layout)
    }

    /// Looks at every byte for a sealed header that is not inside a lost body.
    fn search(&mut self, bytes: &[u8], at_end: bool) -> Search {
        for at in memchr::memmem::find_iter(bytes, &MAGIC) {
            let header = FrameHeader::read(&bytes[at..]);
            if header.is_none() && at_end || header.is_some_and(|header| !header.is_sealed()) {
                continue;
            }
            if at > 0 {
                // It is looked at when it is in front, unless it needs no second look.
                if header.is_some_and(|header| at < self.inside && self.is_enclosed(&header, at)) {
                    continue;
                }
                return Search::After(at);
            }
            let Some(header) = header else { return Search::NeedMore(HEADER_LEN) };
            if self.inside == 0 {
                return Search::Here;
            }
            match self.leaves(&header, bytes, at_end) {
                Leaves::Yes => return Search::Here,
                Leaves::No => {}
                Leaves::NeedMore(bytes) => return Search::NeedMore(bytes),
            }
        }
        // The last bytes may be the beginning of a magic word whose rest has not arrived.
        let held = if at_end { 0 } else { bytes.len().min(MAGIC.len() - 1) };
        match bytes.len() - held {
            0 => Search::NeedMore(HEADER_LEN),
            sure => Search::After(sure),
        }
    }

    /// Does a frame that starts after `at` bytes, inside the body of a lost one, end there, too, or is it none?
    fn is_enclosed(&self, header: &FrameHeader, at: usize) -> bool {
        self.check_header(header).is_err() || at + header.body().end <= self.inside
    }

    /// Is this the header of a frame that only starts where the body of a lost one should be?
    fn leaves(&mut self, header: &FrameHeader, bytes: &[u8], at_end: bool) -> Leaves {
        if self.is_enclosed(header, 0) {
            return Leaves::No;
        }
        match self.ends_after(header.body().len(), bytes, at_end) {
            Ends::Here(_) => return Leaves::Yes,
            Ends::NeedMore(bytes) => return Leaves::NeedMore(bytes),
            Ends::Elsewhere => {}
        }
        let body = header.body();
        if bytes.len() < body.end || self.doubted > 0 {
            return Leaves::No;
        }
        if header.is_body(bytes, body.len()) {
            return Leaves::Yes;
        }
        self.doubted = body.end;
        Leaves::No
    }
}

/// Bytes in which a header that starts inside another one ends.
const HIDING_LEN: usize = 2 * HEADER_LEN - 1;

/// Does a sealed header start inside these 64 bytes, which are then no header but garbage in front of one? `None`: too few bytes to know.
fn hides_header(header: &FrameHeader, bytes: &[u8], at_end: bool) -> Option<bool> {
    if header.is_sealed() {
        return Some(false);
    }
    if bytes.len() < HIDING_LEN && !at_end {
        return None;
    }
    let behind_first = &bytes[1..bytes.len().min(HIDING_LEN)];
    let mut starts = memchr::memmem::find_iter(behind_first, &MAGIC);
    Some(starts.any(|at| FrameHeader::read(&behind_first[at..]).is_some_and(|header| header.is_sealed())))
}

enum Ends {
    /// The frame takes this many bytes.
    Here(usize),
    /// Neither a frame nor the end of the stream follows where it should.
    Elsewhere,
    /// Too few bytes to know.
    NeedMore(usize),
}

enum Leaves {
    Yes,
    No,
    /// Too few bytes to know.
    NeedMore(usize),
}

enum Search {
    /// A header to go on with is at the front.
    Here,
    /// Nothing starts in this many bytes.
    After(usize),
    /// Too few bytes to know.
    NeedMore(usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::SUMMED;
    use crate::{FrameMeta, Schema, encode_events};

    /// Bytes that were summed for each byte of a stream.
    fn work(schema: &Schema, stream: &[u8]) -> usize {
        let mut scanner = Scanner::new(schema);
        let mut at = 0;
        SUMMED.set(0);
        while at < stream.len() {
            at += scanner.step(&stream[at..], true).consumed();
        }
        SUMMED.get() / stream.len()
    }

    /// Right headers that announce bodies of all lengths, none of which is there: whatever their order, the work is linear.
    #[test]
    fn headers_inside_headers_cost_linear_work() {
        let schema = Schema::parse(b"name = 'a'\n[[field]]\nname = 'a'\ndtype = 'u8'\n").unwrap();
        let frame = |len: usize, right: bool| {
            let mut bytes = Vec::new();
            encode_events(&schema, FrameMeta::default(), &vec![1; len], &mut bytes);
            let header = FrameHeader::read(&bytes).unwrap();
            let wrong = FrameHeader { body_crc: header.body_crc ^ 1, ..header };
            let wrong = FrameHeader { header_crc: wrong.checksum(), ..wrong };
            if right { bytes } else { wrong.to_bytes().to_vec() }
        };
        let (long, short) = (frame(60_000, false), frame(1, false));
        let good = frame(100, true);
        let gap = vec![0; 64];
        let patterns: [&[&[u8]]; 6] = [
            &[&long],
            &[&long, &gap],
            &[&short, &long, &gap],
            &[&short, &long, &gap, &gap],
            &[&good, &short, &long],
            &[&good, &short, &gap, &long, &good],
        ];
        for (k, pattern) in patterns.iter().enumerate() {
            let pattern = pattern.concat();
            let stream = pattern.repeat((1 << 20) / pattern.len());
            assert!(work(&schema, &stream) <= 5, "pattern {k}: {} times", work(&schema, &stream));
        }
    }
}
