//! Events where they arrived: consecutive ones of one frame.

use bytes::Bytes;

use crate::header::{END_LEN, FrameHeader, ID_LEN, TIME_LEN, u32_at, u64_at};

/// One event, in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// Which source sent it.
    pub source: u16,
    /// Its id in its source, run and segment.
    pub id: u64,
    /// Its time in ns since the start of the run, 0 if unknown.
    pub time_ns: u64,
    /// Its fields, as the schema lays them out.
    pub record: &'a [u8],
    /// Its payload; empty if its schema has none.
    pub payload: &'a [u8],
}

/// Consecutive events of one frame, at least one. It refers to the bytes of the frame and never copies them, unless asked to.
#[derive(Clone, Debug)]
pub struct Span {
    source: u16,
    events: usize,
    stride: usize,
    ids: Ids,
    times: Times,
    records: Bytes,
    payloads: Option<Payloads>,
}

/// Numbers for consecutive events.
#[derive(Clone, Debug)]
enum Ids {
    /// The first one; the others follow one by one.
    From(u64),
    /// Each one, less the shift.
    Column { column: Bytes, shift: u64 },
}

#[derive(Clone, Debug)]
enum Times {
    /// The same for all.
    Same(u64),
    Column(Bytes),
}

#[derive(Clone, Debug)]
struct Payloads {
    ends: Bytes,
    /// Where the first one begins, counted as the ends are.
    start: u32,
    bytes: Bytes,
}

impl Payloads {
    /// Where payload `event` lies in the bytes.
    fn range(&self, event: usize) -> std::ops::Range<usize> {
        self.start_of(event)..(u32_at(&self.ends, event) - self.start) as usize
    }

    fn start_of(&self, event: usize) -> usize {
        event.checked_sub(1).map_or(0, |before| (u32_at(&self.ends, before) - self.start) as usize)
    }

    fn slice(&self, from: usize, to: usize) -> Self {
        let (begin, end) = (self.start_of(from), self.start_of(to));
        Self {
            ends: self.ends.slice(from * END_LEN..to * END_LEN),
            start: self.start + begin as u32,
            bytes: self.bytes.slice(begin..end),
        }
    }
}

impl Span {
    /// All events of a frame: `body` is that of a header which a [`crate::Scanner`] found to be good.
    pub fn of_frame(header: &FrameHeader, body: &Bytes) -> Self {
        let layout = header.layout();
        let [ids, times, ends, records] = header.parts(layout);
        let payloads = layout.has_payloads.then(|| Payloads {
            ends: body.slice(ends),
            start: 0,
            bytes: body.slice(records.end..),
        });
        Self {
            source: header.source_id,
            events: header.n_events as usize,
            stride: layout.stride,
            ids: if ids.is_empty() {
                Ids::From(header.first_event_id)
            } else {
                Ids::Column { column: body.slice(ids), shift: 0 }
            },
            times: if times.is_empty() {
                Times::Same(header.time_ns)
            } else {
                Times::Column(body.slice(times))
            },
            records: body.slice(records),
            payloads,
        }
    }

    /// Events without payloads that do not come from a frame: records of `stride` bytes, whose ids follow one by one.
    ///
    /// # Panics
    /// If `records` is not a whole number of records.
    pub fn of_records(source: u16, first_id: u64, time_ns: u64, stride: usize, records: Bytes) -> Self {
        assert!(records.len().is_multiple_of(stride), "a span holds whole events");
        Self {
            source,
            events: records.len() / stride,
            stride,
            ids: Ids::From(first_id),
            times: Times::Same(time_ns),
            records,
            payloads: None,
        }
    }

    /// A copy of one event.
    pub fn of_event(event: Event<'_>) -> Self {
        let Event { source, id, time_ns, record, payload } = event;
        let payloads = Payloads {
            ends: Bytes::copy_from_slice(&(payload.len() as u32).to_le_bytes()),
            start: 0,
            bytes: Bytes::copy_from_slice(payload),
        };
        let span = Self::of_records(source, id, time_ns, record.len(), Bytes::copy_from_slice(record));
        Self { payloads: Some(payloads), ..span }
    }

    /// The events `from..to` of these.
    ///
    /// # Panics
    /// If they are not all here.
    pub fn slice(&self, from: usize, to: usize) -> Self {
        Self {
            source: self.source,
            events: to - from,
            stride: self.stride,
            ids: match &self.ids {
                Ids::From(first) => Ids::From(first + from as u64),
                Ids::Column { column, shift } => {
                    Ids::Column { column: column.slice(from * ID_LEN..to * ID_LEN), shift: *shift }
                }
            },
            times: match &self.times {
                Times::Same(time_ns) => Times::Same(*time_ns),
                Times::Column(column) => Times::Column(column.slice(from * TIME_LEN..to * TIME_LEN)),
            },
            records: self.records.slice(from * self.stride..to * self.stride),
            payloads: self.payloads.as_ref().map(|payloads| payloads.slice(from, to)),
        }
    }

    /// The same events in memory of their own, so that they do not keep the rest of their frame.
    pub fn copied(&self) -> Self {
        let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        Self {
            ids: match &self.ids {
                Ids::Column { column, shift } => Ids::Column { column: copy(column), shift: *shift },
                ids => ids.clone(),
            },
            times: match &self.times {
                Times::Column(column) => Times::Column(copy(column)),
                times => times.clone(),
            },
            records: copy(&self.records),
            payloads: self.payloads.as_ref().map(|payloads| Payloads {
                ends: copy(&payloads.ends),
                start: payloads.start,
                bytes: copy(&payloads.bytes),
            }),
            ..*self
        }
    }

    /// The same events with ids that are higher by `more`.
    #[must_use]
    pub fn shifted(mut self, more: u64) -> Self {
        match &mut self.ids {
            Ids::From(first) => *first += more,
            Ids::Column { shift, .. } => *shift += more,
        }
        self
    }

    /// The same events with ids that follow one another from `first` on.
    #[must_use]
    pub fn numbered(self, first: u64) -> Self {
        Self { ids: Ids::From(first), ..self }
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.events
    }

    /// Is there no event?
    pub fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// Bytes of a record.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Bytes of all payloads.
    pub fn payload_bytes(&self) -> usize {
        self.payloads.as_ref().map_or(0, |payloads| payloads.bytes.len())
    }

    /// Bytes of the payload of each event from `from` on.
    pub fn payload_lens(&self, from: usize) -> impl Iterator<Item = u32> {
        let ends = self.payloads.as_ref().map(|payloads| payloads.ends.as_chunks().0);
        let mut start =
            self.payloads.as_ref().map_or(0, |payloads| payloads.start + payloads.start_of(from) as u32);
        (from..self.events).map(move |event| {
            let Some(ends) = ends else { return 0 };
            let end = u32::from_le_bytes(ends[event]);
            end - std::mem::replace(&mut start, end)
        })
    }

    /// How many of the events `from..to` have no more than so many bytes of payload together; at least one.
    pub fn fitting(&self, from: usize, to: usize, payload_bytes: usize) -> usize {
        let Some(payloads) = &self.payloads else { return to - from };
        let start = payloads.start_of(from);
        let ends = &payloads.ends.as_chunks().0[from..to];
        let end = |&end: &[u8; END_LEN]| (u32::from_le_bytes(end) - payloads.start) as usize;
        ends.partition_point(|bytes| end(bytes) - start <= payload_bytes).max(1)
    }

    /// The records, one behind the other.
    pub fn records(&self) -> &[u8] {
        &self.records
    }

    /// The id of an event.
    #[inline]
    pub fn id(&self, event: usize) -> u64 {
        match &self.ids {
            Ids::From(first) => first + event as u64,
            Ids::Column { column, shift } => u64_at(column, event) + shift,
        }
    }

    /// The lowest and the highest id. There must be an event.
    pub fn id_range(&self) -> (u64, u64) {
        match &self.ids {
            Ids::From(first) => (*first, first + (self.events as u64 - 1)),
            Ids::Column { .. } => {
                let ids = (0..self.events).map(|event| self.id(event));
                ids.fold((u64::MAX, 0), |(low, high), id| (low.min(id), high.max(id)))
            }
        }
    }

    /// The id of the first event, if the others follow one by one.
    pub fn first_id(&self) -> Option<u64> {
        if let Ids::From(first) = self.ids { Some(first) } else { None }
    }

    /// Does each event have a time of its own?
    pub fn has_times(&self) -> bool {
        matches!(self.times, Times::Column(_))
    }

    /// One event.
    ///
    /// # Panics
    /// If it is not here.
    pub fn event(&self, event: usize) -> Event<'_> {
        Event {
            source: self.source,
            id: self.id(event),
            time_ns: match &self.times {
                Times::Same(time_ns) => *time_ns,
                Times::Column(column) => u64_at(column, event),
            },
            record: &self.records[event * self.stride..][..self.stride],
            payload: self.payloads.as_ref().map_or(&[], |payloads| &payloads.bytes[payloads.range(event)]),
        }
    }
}
