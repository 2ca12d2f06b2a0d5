//! Injected faults, each with exactly one right answer.
//!
//! ```text
//!  frames --drop, duplicate, delay--> arrival order --damage one, spare the next--> bytes
//! ```
//!
//! The cause of a fault is unambiguous only if the bytes around it are known. Hence:
//!
//! * R1: the frame after a damaged frame, and the frame after inserted bytes, is whole. Two lost headers in a row would count as one stretch.
//! * R2: bytes are inserted only behind a whole frame: after a body with a wrong checksum they would turn `crc` into `torn`.
//! * R3: a cut removes fewer bytes than the body of the next frame has, minus possible padding, so the next frame reaches beyond the claimed end
//!   of the cut frame and no frame starts there. The first lost byte differs from the byte that takes its place, so the checksum covers different
//!   bytes.
//! * R4: inserted garbage holds no `T`, so that no magic word forms in it or at its end.
//! * R5: a frame that arrives twice is whole both times. A late frame stays in its segment and is at most `window` frames late.
//! * R6: a false length or schema carries a correct header checksum; a flipped header bit lies after the version field.

use std::ops::Range;

use tamis_event::{Defect, FrameHeader, HEADER_LEN, Role, Schema, flags};

use crate::parts::Parts;
use crate::random::Random;
use crate::truth::{Arrived, Truth};

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A bit of the header after the version field flips: `header`.
    HeaderBit,
    /// A bit of the body flips: `crc`.
    BodyBit,
    /// The frame ends inside its body: `torn`.
    Cut,
    /// The magic word is wrong: `magic`.
    Magic,
    /// The version is of the future: `version`.
    Version,
    /// Sizes contradict each other (0, too small, one more event, a wider record), under a correct checksum: `length`.
    Length,
    /// The header claims a body of 2^31 bytes, under a correct checksum: `oversize`.
    Oversize,
    /// The frame names a schema that was never announced: `schema`.
    UnknownSchema,
    /// A column contradicts the header or the body, under correct checksums: `columns`. No effect on a frame without columns.
    Columns,
    /// A list has more elements than it may have, under correct checksums: `count`. No effect if the schema has no list.
    Count,
    /// An extra frame without events: `zero`.
    Empty,
    /// Extra random bytes between two frames: `magic`.
    Garbage,
    /// The frame arrives again.
    Duplicate,
    /// The frame never arrives: a gap.
    Drop,
    /// The frame arrives after later ones.
    Delay,
    /// A data field holds a NaN; the frame is good. No effect if the schema has no floating-point data field.
    Poison,
}

impl Fault {
    /// Every kind of fault.
    pub const ALL: [Self; 16] = [
        Self::HeaderBit,
        Self::BodyBit,
        Self::Cut,
        Self::Magic,
        Self::Version,
        Self::Length,
        Self::Oversize,
        Self::UnknownSchema,
        Self::Columns,
        Self::Count,
        Self::Empty,
        Self::Garbage,
        Self::Duplicate,
        Self::Drop,
        Self::Delay,
        Self::Poison,
    ];
    /// The faults that destroy a frame in place.
    const DAMAGE: Range<usize> = 0..10;
}

/// Probability of each fault per frame.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRates {
    rates: [f64; Fault::ALL.len()],
    window: usize,
}

impl FaultRates {
    /// No faults; a delay, once enabled, is at most 8 frames.
    pub fn none() -> Self {
        Self { rates: [0.0; Fault::ALL.len()], window: 8 }
    }

    /// Faults of every kind, each with the probability `rate`.
    pub fn all(rate: f64) -> Self {
        Self { rates: [rate; Fault::ALL.len()], ..Self::none() }
    }

    /// Sets the probability of one kind.
    pub fn with(mut self, fault: Fault, rate: f64) -> Self {
        self.rates[fault as usize] = rate;
        self
    }

    /// Sets by how many frames a late or repeated frame may be delayed at most.
    pub fn window(mut self, frames: usize) -> Self {
        self.window = frames;
        self
    }

    fn of(&self, fault: Fault) -> f64 {
        self.rates[fault as usize]
    }
}

/// A damaged stream and what a reader must make of it.
#[derive(Clone, Debug)]
pub struct Faulted {
    /// The schema frame, then the event frames with their faults.
    pub bytes: Vec<u8>,
    /// The expected ledger.
    pub truth: Truth,
}

/// Injects faults as a function of a seed.
#[derive(Clone, Debug)]
pub struct FaultPlan {
    seed: u64,
    rates: FaultRates,
}

/// An event frame, its header and parts, and the id of the event that got a NaN.
struct Frame {
    bytes: Vec<u8>,
    header: FrameHeader,
    parts: Parts,
    poisoned: Option<u64>,
}

impl Frame {
    fn place(&self) -> (u32, u32) {
        (self.header.run, self.header.segment)
    }
}

/// One arrival: which frame, and whether it must stay whole.
#[derive(Clone, Copy)]
struct Arrival {
    frame: usize,
    again: bool,
    twin: bool,
}

impl FaultPlan {
    /// A plan with these rates.
    pub fn new(seed: u64, rates: FaultRates) -> Self {
        Self { seed, rates }
    }

    /// Damages good event frames of one schema, run and source, given in the order of their dense ids, and returns the bytes with their expected
    /// ledger.
    ///
    /// # Panics
    /// If an element of `frames` is not one frame.
    pub fn apply(&self, schema: &Schema, schema_frame: &[u8], frames: &[Vec<u8>]) -> Faulted {
        let mut random = Random::new(self.seed, 0);
        let frames: Vec<Frame> = frames.iter().map(|bytes| self.poison(schema, bytes, &mut random)).collect();
        let arrivals = self.arrivals(&frames, &mut random);
        let mut bytes = schema_frame.to_vec();
        let mut truth = Truth::default();
        let mut arrived = Vec::new();
        let mut newest = None;
        let mut spare = false;
        let mut place = (0, 0);
        for (k, arrival) in arrivals.iter().enumerate() {
            let frame = &frames[arrival.frame];
            if !spare {
                spare = self.insert(frame, &mut random, &mut bytes, &mut truth, &mut place);
            }
            if !spare && !arrival.twin {
                let next_len = arrivals.get(k + 1).map(|next| frames[next.frame].header.body_len as usize);
                let start = bytes.len();
                if let Some((defect, events)) = self.damage(schema, frame, next_len, &mut random, &mut bytes)
                {
                    if !matches!(defect, Defect::Magic | Defect::Header) {
                        place = frame.place();
                    }
                    truth.lose(defect, events, place, bytes.len() - start);
                    spare = true;
                    continue;
                }
            }
            spare = false;
            bytes.extend_from_slice(&frame.bytes);
            place = frame.place();
            if arrival.again {
                truth.duplicates.add(frame.header.n_events.into());
                truth.lost_bytes += frame.bytes.len() as u64;
                *truth.lost_in.entry(place).or_default() += u64::from(frame.header.n_events);
                continue;
            }
            truth.reordered += u64::from(newest.is_some_and(|newest| newest > frame.header.first_event_id));
            newest = newest.max(Some(frame.header.first_event_id));
            truth.poison.extend(frame.poisoned);
            let sent = frame.parts.sent(&frame.header, &frame.bytes);
            let repeated = u64::from(frame.header.n_events) - sent.len() as u64;
            if repeated > 0 {
                truth.duplicates.events += repeated;
                *truth.lost_in.entry(place).or_default() += repeated;
            }
            arrived.push(Arrived { sent, is_dense: frame.header.flags & flags::SPARSE_IDS == 0 });
        }
        truth.poison.sort_unstable();
        truth.settle(arrived);
        Faulted { bytes, truth }
    }

    fn poison(&self, schema: &Schema, bytes: &[u8], random: &mut Random) -> Frame {
        let header = FrameHeader::read(bytes)
            .filter(|h| h.frame_len() == bytes.len())
            .expect("the caller gives whole frames");
        let parts = Parts::of(&header, bytes);
        let mut frame = Frame { bytes: bytes.to_vec(), header, parts, poisoned: None };
        let floats =
            |field: &&tamis_event::Field| field.role == Role::Data && field.dtype.integer_range().is_none();
        let fields: Vec<_> = schema.fields().iter().filter(floats).collect();
        if fields.is_empty() || !random.chance(self.rates.of(Fault::Poison)) {
            return frame;
        }
        let event = random.below(header.n_events as usize);
        let field = fields[random.below(fields.len())];
        let record = &bytes[frame.parts.records + event * header.stride as usize..][..header.stride as usize];
        let elements = schema.elements_in(field, record);
        if elements == 0 {
            return frame;
        }
        let element = field.element(random.below(elements));
        let mut nan = Vec::new();
        element.dtype.write(f64::NAN, &mut nan);
        let at = frame.parts.records + event * header.stride as usize + element.at;
        frame.bytes[at..at + nan.len()].copy_from_slice(&nan);
        frame.header = header.sealed(&frame.bytes[HEADER_LEN..][..header.body_len as usize]);
        frame.bytes[..HEADER_LEN].copy_from_slice(&frame.header.to_bytes());
        // The second event of an id is no event.
        let ids = &frame.parts.ids;
        frame.poisoned = (!ids[..event].contains(&ids[event])).then_some(ids[event]);
        frame
    }

    /// The frames in arrival order. A frame delayed by `n` arrives right after the frame `n` places later.
    fn arrivals(&self, frames: &[Frame], random: &mut Random) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        for (k, frame) in frames.iter().enumerate() {
            let same_segment = |other: &&Frame| other.header.segment == frame.header.segment;
            let room = frames[k + 1..].iter().take(self.rates.window).take_while(same_segment).count();
            let late = |random: &mut Random| (k + if room == 0 { 0 } else { 1 + random.below(room) }, 1);
            if random.chance(self.rates.of(Fault::Drop)) {
                continue;
            }
            if random.chance(self.rates.of(Fault::Duplicate)) {
                arrivals.push(((k, 0), Arrival { frame: k, again: false, twin: true }));
                arrivals.push((late(random), Arrival { frame: k, again: true, twin: true }));
            } else {
                let place = if random.chance(self.rates.of(Fault::Delay)) { late(random) } else { (k, 0) };
                arrivals.push((place, Arrival { frame: k, again: false, twin: false }));
            }
        }
        arrivals.sort_by_key(|&(place, _)| place);
        arrivals.into_iter().map(|(_, arrival)| arrival).collect()
    }

    /// Maybe inserts bytes or an empty frame before `next`. Returns whether it did.
    fn insert(
        &self,
        next: &Frame,
        random: &mut Random,
        out: &mut Vec<u8>,
        truth: &mut Truth,
        place: &mut (u32, u32),
    ) -> bool {
        if random.chance(self.rates.of(Fault::Garbage)) {
            let len = 1 + random.below(300);
            out.extend((0..len).map(|_| match random.bits() as u8 {
                b'T' => b't',
                other => other,
            }));
            truth.lose(Defect::Magic, 0, *place, len);
            return true;
        }
        if random.chance(self.rates.of(Fault::Empty)) {
            let empty = FrameHeader { n_events: 0, body_len: 0, ..next.header };
            out.extend_from_slice(&empty.sealed(&[]).to_bytes());
            *place = next.place();
            truth.lose(Defect::Zero, 0, *place, HEADER_LEN);
            return true;
        }
        false
    }

    /// Maybe writes a destroyed frame. Returns the cause and the number of events that its header still announces.
    fn damage(
        &self,
        schema: &Schema,
        frame: &Frame,
        next_len: Option<usize>,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Option<(Defect, u64)> {
        let fault = Fault::ALL[Fault::DAMAGE].iter().find(|&&fault| random.chance(self.rates.of(fault)))?;
        let header = frame.header;
        let start = out.len();
        let body_len = header.body_len as usize;
        out.extend_from_slice(&frame.bytes);
        let mut flip = |bytes: Range<usize>| {
            let at = bytes.start + random.below(bytes.len());
            out[start + at] ^= 1 << random.below(8);
        };
        let lie = match fault {
            Fault::HeaderBit => {
                flip(8..HEADER_LEN);
                return Some((Defect::Header, 0));
            }
            Fault::Magic => {
                flip(0..4);
                return Some((Defect::Magic, 0));
            }
            Fault::BodyBit => {
                flip(HEADER_LEN..HEADER_LEN + body_len);
                return Some((Defect::Crc, header.n_events.into()));
            }
            Fault::Cut => {
                let Some(len) = cut(frame, next_len, random) else {
                    out.truncate(start);
                    return None;
                };
                out.truncate(start + len);
                return Some((Defect::Torn, header.n_events.into()));
            }
            Fault::Columns | Fault::Count => {
                let spoiled = match fault {
                    Fault::Count => miscount(schema, frame, random),
                    _ => contradict(frame, random),
                };
                let Some((at, entry)) = spoiled else {
                    out.truncate(start);
                    return None;
                };
                out[start + at..][..entry.len()].copy_from_slice(&entry);
                let sealed = header.sealed(&out[start + HEADER_LEN..][..body_len]);
                out[start..start + HEADER_LEN].copy_from_slice(&sealed.to_bytes());
                let defect = if *fault == Fault::Count { Defect::Count } else { Defect::Columns };
                return Some((defect, header.n_events.into()));
            }
            Fault::Version => FrameHeader { version: header.version + 1 + random.below(9) as u16, ..header },
            Fault::Oversize => FrameHeader { body_len: 1 << 31, ..header },
            Fault::UnknownSchema => {
                FrameHeader { schema_id: header.schema_id ^ (1 << random.below(64)), ..header }
            }
            // Of a frame with payloads another body can be as long.
            _ if header.flags & flags::PAYLOADS != 0 => match random.below(3) {
                0 => FrameHeader { body_len: 0, ..header },
                1 => FrameHeader { flags: header.flags ^ flags::PAYLOADS, ..header },
                _ => FrameHeader { stride: header.stride + 1, ..header },
            },
            _ => match random.below(4) {
                0 => FrameHeader { body_len: 0, ..header },
                1 => FrameHeader { body_len: header.body_len - 1, ..header },
                2 => FrameHeader { n_events: header.n_events + 1, ..header },
                _ => FrameHeader { stride: header.stride + 1, ..header },
            },
        };
        let lie = FrameHeader { header_crc: lie.checksum(), ..lie };
        out[start..start + HEADER_LEN].copy_from_slice(&lie.to_bytes());
        Some(match fault {
            Fault::Version => (Defect::Version, 0),
            Fault::Oversize => (Defect::Oversize, 0),
            Fault::UnknownSchema => (Defect::Schema, header.n_events.into()),
            _ => (Defect::Length, 0),
        })
    }
}

/// How many bytes of the frame to keep, by rule R3; `None` if no place fits.
fn cut(frame: &Frame, next_len: Option<usize>, random: &mut Random) -> Option<usize> {
    let len = frame.bytes.len();
    let end = HEADER_LEN + frame.header.body_len as usize;
    let first = next_len.map_or(HEADER_LEN, |next| HEADER_LEN.max((len + 1).saturating_sub(next)));
    if first >= end {
        return None;
    }
    let at = first + random.below(end - first);
    (first..=at).rev().chain(at..end).find(|&at| frame.bytes[at] != b'T')
}

/// Where a column of the frame can be changed so that it holds no more, and to what; `None` if it has none.
fn contradict(frame: &Frame, random: &mut Random) -> Option<(usize, Vec<u8>)> {
    let header = &frame.header;
    let bit = 1 << random.below(64);
    let ids_len = if header.flags & flags::IDS == 0 { 0 } else { 8 * header.n_events as usize };
    let ids = (ids_len > 0).then(|| (HEADER_LEN, (frame.parts.ids[0] ^ bit).to_le_bytes().to_vec()));
    let has_times = header.flags & flags::TIMES != 0;
    let times =
        has_times.then(|| (HEADER_LEN + ids_len, (frame.parts.times[0] ^ bit).to_le_bytes().to_vec()));
    let ends = frame.parts.ends.clone();
    let lie = ends.len().checked_sub(4).map(|last| {
        // The last end beside the end of the body, or one that lies behind it.
        let at = if random.chance(0.5) { last } else { random.below(ends.len() / 4) * 4 };
        let old = u32::from_le_bytes(std::array::from_fn(|k| frame.bytes[ends.start + at + k]));
        let new = if at == last { old ^ 1 } else { header.body_len };
        (ends.start + at, new.to_le_bytes().to_vec())
    });
    let found: Vec<_> = [ids, times, lie].into_iter().flatten().collect();
    (!found.is_empty()).then(|| found[random.below(found.len())].clone())
}

/// Where a list of the frame has its count, and one that is too high; `None` if there is no such list.
fn miscount(schema: &Schema, frame: &Frame, random: &mut Random) -> Option<(usize, Vec<u8>)> {
    let event = random.below(frame.header.n_events as usize);
    let list = schema.lists().first().filter(|list| list.most() != usize::from(u8::MAX))?;
    let at = frame.parts.records + event * frame.header.stride as usize + list.at();
    Some((at, (list.most() + 1).to_le_bytes()[..list.count_len()].to_vec()))
}
