//! Which events arrived: duplicates and missing ids, by the rules of section 3.1 of `SPEC.md`.
//!
//! ```text
//!   IdBook --source, run--> RunBook --segment--> Numbering: the ids that came, and the span of the dense ones
//!                              '---- all ------> the same over all segments, as long as ids number the run
//! ```
//!
//! Ids almost always follow one another, and then a frame costs a few comparisons.
//!
//! * I1: an event is new if and only if its segment does not have its id yet.
//! * I2: the sum of all changes of `missing` depends on which frames came, not on their order, and is never negative.
//! * I3: all books together take at most [`IDS_BYTES_MAX`]. When that is full, those that have not been used for longest are forgotten until half of
//!   it is free, and the ids in them are counted.

mod set;

use std::collections::{BTreeMap, HashMap};

use tamis_event::{FrameHeader, Span, flags};

use self::set::IdSet;

/// Most memory for ids.
pub const IDS_BYTES_MAX: usize = 256 << 20;
/// Bytes of a source and run with one segment and one stretch of ids, and bytes of each further segment, including what the maps need for it.
const RUN_BYTES: usize = 192;
const SEGMENT_BYTES: usize = 120;
const _: () = assert!(RUN_BYTES >= size_of::<RunBook>() + 32 && SEGMENT_BYTES >= size_of::<Numbering>() * 2);
/// Where a counter of 32 bits starts again, and the bounds of the ids that count as shortly before and after that.
const WRAP: u64 = 1 << 32;
const BEFORE_WRAP: u64 = 3 << 30;
const AFTER_WRAP: u64 = 1 << 30;

/// The ids of one frame.
#[derive(Clone, Copy, Debug)]
pub struct FrameIds {
    /// Which source sent it.
    pub source: u16,
    /// Run.
    pub run: u32,
    /// Segment of the run.
    pub segment: u32,
    /// First id.
    pub first: u64,
    /// Number of events, at least one.
    pub events: u32,
    /// Are the ids labels?
    pub sparse: bool,
}

impl From<&FrameHeader> for FrameIds {
    fn from(header: &FrameHeader) -> Self {
        Self {
            source: header.source_id,
            run: header.run,
            segment: header.segment,
            first: header.first_event_id,
            events: header.n_events,
            sparse: header.flags & flags::SPARSE_IDS != 0,
        }
    }
}

/// What the ids of a frame say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted<'a> {
    /// The events that are new: stretches in order, each as its first index in the frame and the index after its last.
    pub fresh: &'a [(u32, u32)],
    /// Number of the other events, which came before.
    pub repeated: u32,
    /// Change of the number of missing ids; negative if a late frame fills a gap.
    pub missing: i128,
    /// Number of ids that had to be forgotten to make room.
    pub forgotten: u64,
}

/// The ids of every source and run.
#[derive(Debug)]
pub struct IdBook {
    books: Vec<RunBook>,
    /// Source and run -> index of its book.
    index: HashMap<(u16, u32), usize>,
    /// The book of the last frame.
    at: usize,
    /// Bytes that all books take, and the most that they may take.
    bytes: usize,
    bytes_max: usize,
    frames: u64,
    /// Scratch.
    lacking: Vec<(u64, u64)>,
    fresh: Vec<(u32, u32)>,
    #[cfg(test)]
    pub(crate) fault: Option<IdFault>,
}

/// What is wrong with a book, for the tests that test the tests.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(crate) enum IdFault {
    /// It looks at something else.
    Sees(fn(FrameIds) -> FrameIds),
    /// It refuses all events of a frame if one of them came before.
    RefusesFrames,
    /// It takes the ids of a frame to follow one by one.
    ReadsNoColumn,
    /// It forgets first what was begun first.
    ForgetsTheOldest,
}

impl Default for IdBook {
    fn default() -> Self {
        Self::with_memory(IDS_BYTES_MAX)
    }
}

impl IdBook {
    pub(crate) fn with_memory(bytes_max: usize) -> Self {
        Self {
            books: Vec::new(),
            index: HashMap::new(),
            at: 0,
            bytes: 0,
            bytes_max,
            frames: 0,
            lacking: Vec::new(),
            fresh: Vec::new(),
            #[cfg(test)]
            fault: None,
        }
    }

    /// Forgets everything: another stream begins.
    pub fn clear(&mut self) {
        *self = Self::with_memory(self.bytes_max);
    }

    /// Admits the events of a good frame; `span` has all of them.
    pub fn admit_frame(&mut self, header: &FrameHeader, span: &Span) -> Admitted<'_> {
        #[cfg(test)]
        if matches!(self.fault, Some(IdFault::ReadsNoColumn)) {
            return self.admit(FrameIds::from(header));
        }
        if span.first_id().is_some() {
            self.admit(FrameIds::from(header))
        } else {
            self.admit_column(header, span)
        }
    }

    /// Admits events whose ids stand in a column: as many stretches of ids that follow one another.
    fn admit_column(&mut self, header: &FrameHeader, span: &Span) -> Admitted<'_> {
        let sparse = header.flags & flags::SPARSE_IDS != 0;
        self.frames += 1;
        let at = self.find(header.source_id, header.run);
        let book = &mut self.books[at];
        book.used = self.frames;
        let before = book.bytes;
        self.fresh.clear();
        let mut missing = 0;
        let mut from = 0;
        while from < span.len() {
            let first = span.id(from);
            let follows = |&event: &usize| first.checked_add((event - from) as u64) == Some(span.id(event));
            let to = (from + 1..span.len()).take_while(follows).last().map_or(from + 1, |last| last + 1);
            let last = first + (to - from - 1) as u64;
            self.lacking.clear();
            let label = if sparse && first == last { book.admit_label(header.segment, first) } else { None };
            missing += match label {
                Some(Label { is_new, missing }) => {
                    self.lacking.extend(is_new.then_some((first, first)));
                    missing
                }
                None => book.admit(header.segment, (first, last), sparse, &mut self.lacking),
            };
            for &(low, high) in &self.lacking {
                let stretch = (from as u64 + (low - first), from as u64 + (high - first) + 1);
                let stretch = (stretch.0 as u32, stretch.1 as u32);
                match self.fresh.last_mut() {
                    Some(before) if before.1 == stretch.0 => before.1 = stretch.1,
                    _ => self.fresh.push(stretch),
                }
            }
            from = to;
        }
        self.bytes = self.bytes + book.bytes - before;
        self.admitted(header.n_events, missing)
    }

    /// Admits events whose ids follow one another.
    ///
    /// # Panics
    /// If there are none, or the last id exceeds `u64::MAX`; the codec has checked both.
    pub fn admit(&mut self, ids: FrameIds) -> Admitted<'_> {
        #[cfg(test)]
        let ids = if let Some(IdFault::Sees(other)) = self.fault { other(ids) } else { ids };
        let length = u64::from(ids.events.checked_sub(1).expect("frames hold events"));
        ids.first.checked_add(length).expect("ids do not wrap");
        self.frames += 1;
        let frames = self.frames;
        let at = self.find(ids.source, ids.run);
        let book = &mut self.books[at];
        #[cfg(test)]
        let frames = if matches!(self.fault, Some(IdFault::ForgetsTheOldest)) && book.used > 0 {
            book.used
        } else {
            frames
        };
        book.used = frames;
        let first = book.extended(ids.first, length, ids.sparse);
        let before = book.bytes;
        self.lacking.clear();
        let missing = book.admit(ids.segment, (first, first + length), ids.sparse, &mut self.lacking);
        self.bytes = self.bytes + book.bytes - before;
        self.fresh.clear();
        #[cfg(test)]
        if matches!(self.fault, Some(IdFault::RefusesFrames)) && self.lacking != [(first, first + length)] {
            self.lacking.clear();
        }
        let offsets = self.lacking.iter().map(|(from, to)| ((from - first) as u32, (to - first + 1) as u32));
        self.fresh.extend(offsets);
        self.admitted(ids.events, missing)
    }

    /// What is said of a frame of so many events, once `fresh` has those that are new. Makes room for the next one.
    fn admitted(&mut self, events: u32, missing: i128) -> Admitted<'_> {
        let fresh: u32 = self.fresh.iter().map(|(from, to)| to - from).sum();
        let forgotten = if self.bytes > self.bytes_max { self.forget() } else { 0 };
        Admitted { fresh: &self.fresh, repeated: events - fresh, missing, forgotten }
    }

    /// The index of the book of a source and run; a new one is begun.
    fn find(&mut self, source: u16, run: u32) -> usize {
        let key = (source, run);
        if self.books.get(self.at).is_none_or(|book| book.key != key) {
            self.at = *self.index.entry(key).or_insert(self.books.len());
            if self.at == self.books.len() {
                self.books.push(RunBook::new(key));
                self.bytes += RUN_BYTES;
            }
        }
        self.at
    }

    /// Forgets the books that have not been used for longest, until half of the memory is free. Returns how many ids were in them.
    fn forget(&mut self) -> u64 {
        self.books.sort_unstable_by_key(|book| std::cmp::Reverse(book.used));
        let mut forgotten = 0;
        while self.bytes > self.bytes_max / 2
            && let Some(book) = self.books.pop()
        {
            self.bytes -= book.bytes;
            forgotten += book.len();
        }
        self.index = self.books.iter().enumerate().map(|(at, book)| (book.key, at)).collect();
        self.at = 0;
        forgotten
    }
}

/// The ids of one source and run.
#[derive(Debug)]
struct RunBook {
    key: (u16, u32),
    /// Number of the last frame, over all books.
    used: u64,
    bytes: usize,
    /// The highest dense id, extended.
    high: Option<u64>,
    /// Has a dense frame begun beyond 32 bits?
    wide: bool,
    /// Have ids come in two segments?
    restarts: bool,
    /// The segment of the last frame, and what came in it. `None` before the first frame.
    here: Option<(u32, Numbering)>,
    /// The other segments.
    others: BTreeMap<u32, Numbering>,
    /// All segments together, if there are several and no id came in two of them.
    all: Option<Box<Numbering>>,
}

impl RunBook {
    fn new(key: (u16, u32)) -> Self {
        Self {
            key,
            used: 0,
            bytes: RUN_BYTES,
            high: None,
            wide: false,
            restarts: false,
            here: None,
            others: BTreeMap::new(),
            all: None,
        }
    }

    /// The first id of a frame on a counter that goes on beyond 32 bits.
    fn extended(&mut self, first: u64, length: u64, sparse: bool) -> u64 {
        if sparse {
            return first;
        }
        self.wide |= first >= WRAP;
        let extended = match self.high {
            Some(high) if !self.wide => {
                let pass = high / WRAP;
                let low = high % WRAP;
                let pass = match (low, first) {
                    (BEFORE_WRAP.., ..AFTER_WRAP) => pass + 1,
                    (..AFTER_WRAP, BEFORE_WRAP..) => pass.saturating_sub(1),
                    _ => pass,
                };
                first + pass * WRAP
            }
            _ => first,
        };
        self.high = self.high.max(Some(extended + length));
        extended
    }

    /// Finds the new ones among the ids of a frame and remembers them. Returns the change of the number of missing ids.
    fn admit(&mut self, segment: u32, ids: (u64, u64), sparse: bool, lacking: &mut Vec<(u64, u64)>) -> i128 {
        let Some((_, here)) = self.here.as_mut().filter(|(here, _)| *here == segment) else {
            return self.enter(segment, ids, sparse, lacking);
        };
        here.ids.lacking(ids.0, ids.1, |stretch| lacking.push(stretch));
        let restart = match &self.all {
            Some(all) if lacking.iter().any(|&(from, to)| all.ids.count(from, to) > 0) => {
                self.number_segments()
            }
            _ => 0,
        };
        let before = self.set_bytes();
        let (_, here) = self.here.as_mut().expect("just seen");
        let own = here.add(ids, lacking, sparse);
        let change = self.all.as_mut().map_or(own, |all| all.add(ids, lacking, sparse));
        self.bytes = self.bytes + self.set_bytes() - before;
        restart + change
    }

    /// Like [`Self::admit`], for one label of the segment of the last frame: much quicker where ids are not neighbours. `None`: it did nothing, because
    /// the segment is another one, or because the label came in another segment.
    fn admit_label(&mut self, segment: u32, id: u64) -> Option<Label> {
        let before = self.set_bytes();
        let (_, here) = self.here.as_mut().filter(|(here, _)| *here == segment)?;
        if let Some(all) = &mut self.all
            && !all.ids.insert(id)
        {
            return None;
        }
        let is_new = here.ids.insert(id);
        let counted = self.all.as_ref().map_or(&*here, |all| all);
        let fills = is_new && counted.dense.is_some_and(|(low, high)| (low..=high).contains(&id));
        self.bytes = self.bytes + self.set_bytes() - before;
        Some(Label { is_new, missing: -i128::from(fills) })
    }

    /// Like [`Self::admit`], for a frame of another segment than the last one.
    fn enter(&mut self, segment: u32, ids: (u64, u64), sparse: bool, lacking: &mut Vec<(u64, u64)>) -> i128 {
        if let Some((left, numbering)) = self.here.take() {
            if self.others.is_empty() && !self.restarts {
                self.bytes += size_of::<Numbering>() + numbering.ids.bytes();
                self.all = Some(Box::new(numbering.clone()));
            }
            self.bytes += SEGMENT_BYTES;
            self.others.insert(left, numbering);
        }
        if let Some(numbering) = self.others.remove(&segment) {
            self.bytes -= SEGMENT_BYTES;
            self.here = Some((segment, numbering));
            return self.admit(segment, ids, sparse, lacking);
        }
        lacking.push(ids);
        let restart = match &self.all {
            Some(all) if all.ids.count(ids.0, ids.1) > 0 => self.number_segments(),
            _ => 0,
        };
        let before = self.set_bytes();
        let change = self.all.as_mut().map_or(0, |all| all.add(ids, lacking, sparse));
        self.bytes = self.bytes + self.set_bytes() - before;
        self.here = Some((segment, Numbering::new(ids, sparse)));
        restart + change
    }

    /// From now on each segment has numbers of its own. Returns the change of the number of missing ids.
    fn number_segments(&mut self) -> i128 {
        self.restarts = true;
        let Some(all) = self.all.take() else { return 0 };
        self.bytes -= size_of::<Numbering>() + all.ids.bytes();
        self.segments().map(Numbering::missing).sum::<i128>() - all.missing()
    }

    /// Bytes of the sets that a frame of the segment at hand adds to.
    fn set_bytes(&self) -> usize {
        let here = self.here.iter().map(|(_, here)| here);
        here.chain(self.all.as_deref()).map(|numbering| numbering.ids.bytes()).sum()
    }

    fn segments(&self) -> impl Iterator<Item = &Numbering> {
        self.here.iter().map(|(_, here)| here).chain(self.others.values())
    }

    fn len(&self) -> u64 {
        self.segments().map(|segment| segment.ids.len()).sum()
    }
}

/// What one label says.
struct Label {
    is_new: bool,
    missing: i128,
}

/// Ids that are counted together: those of a segment or of a run.
#[derive(Clone, Debug)]
struct Numbering {
    ids: IdSet,
    /// The lowest and the highest dense id.
    dense: Option<(u64, u64)>,
}

impl Numbering {
    fn new(ids: (u64, u64), sparse: bool) -> Self {
        Self { ids: IdSet::of(ids), dense: (!sparse).then_some(ids) }
    }

    /// Ids between the lowest and the highest dense one that did not come.
    fn missing(&self) -> i128 {
        self.dense.map_or(0, |(low, high)| self.lacking(low, high))
    }

    /// How many of these ids did not come.
    fn lacking(&self, from: u64, to: u64) -> i128 {
        i128::from(to - from) + 1 - i128::from(self.ids.count(from, to))
    }

    /// Adds the new ids of a frame. Returns the change of the number of missing ids.
    fn add(&mut self, (first, last): (u64, u64), new: &[(u64, u64)], sparse: bool) -> i128 {
        if !sparse
            && let Some((_, high)) = &mut self.dense
            && high.checked_add(1) == Some(first)
            && self.ids.continues(first, last)
        {
            *high = last;
            self.ids.add(first, last);
            return 0;
        }
        let mut change = 0;
        if !sparse {
            // What the span grows over is missing, unless it came as a label before.
            let grown = match self.dense {
                None => [Some((first, last)), None],
                Some((low, high)) => {
                    [(first < low).then(|| (first, low - 1)), (last > high).then(|| (high + 1, last))]
                }
            };
            change += grown.into_iter().flatten().map(|(from, to)| self.lacking(from, to)).sum::<i128>();
            let (low, high) = self.dense.unwrap_or((first, last));
            self.dense = Some((low.min(first), high.max(last)));
        }
        for &(from, to) in new {
            let within = self.dense.and_then(|(low, high)| to.min(high).checked_sub(from.max(low)));
            change -= within.map_or(0, |length| i128::from(length) + 1);
            self.ids.add(from, to);
        }
        change
    }
}

#[cfg(test)]
mod tests;
