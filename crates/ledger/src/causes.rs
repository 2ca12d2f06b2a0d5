//! The causes: one word for each way in which an event can fail to be decided.

use std::fmt;
use std::marker::PhantomData;

use serde::{Serialize, Serializer, ser::SerializeMap};
use tamis_event::Defect;

/// A closed list of causes.
pub trait Cause: Copy + Sized + 'static {
    /// Every cause, in the order of their counters.
    const ALL: &'static [Self];
    /// Index in [`Self::ALL`].
    fn index(self) -> usize;
    /// The word in tables and JSON.
    fn name(self) -> &'static str;
}

macro_rules! causes {
    ($(#[$doc:meta])* $kind:ident { $($(#[$cause_doc:meta])* $cause:ident = $name:expr),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $kind { $($(#[$cause_doc])* $cause),+ }

        impl Cause for $kind {
            const ALL: &'static [Self] = &[$(Self::$cause),+];
            fn index(self) -> usize {
                self as usize
            }
            fn name(self) -> &'static str {
                match self { $(Self::$cause => $name),+ }
            }
        }
    };
}

causes! {
    /// Bytes that are no good frame, or a frame that came twice.
    Corrupt {
        /// No frame starts where one should.
        Magic = Defect::Magic.name(),
        /// A version of the format that is not known.
        Version = Defect::Version.name(),
        /// The header does not match its checksum.
        Header = Defect::Header.name(),
        /// A longer body than a frame may have.
        Oversize = Defect::Oversize.name(),
        /// No events.
        Zero = Defect::Zero.name(),
        /// Lengths that contradict each other or the schema.
        Length = Defect::Length.name(),
        /// The frame was cut.
        Torn = Defect::Torn.name(),
        /// The body does not match its checksum.
        Crc = Defect::Crc.name(),
        /// Another schema than the one in use.
        Schema = Defect::Schema.name(),
        /// A column of the frame that contradicts the header, itself, or the length of the body.
        Columns = Defect::Columns.name(),
        /// A list with more elements than it may have, or with something behind its last one.
        Count = Defect::Count.name(),
        /// Events that came before.
        Dup = "dup",
    }
}

impl From<Defect> for Corrupt {
    fn from(defect: Defect) -> Self {
        match defect {
            Defect::Magic => Self::Magic,
            Defect::Version => Self::Version,
            Defect::Header => Self::Header,
            Defect::Oversize => Self::Oversize,
            Defect::Zero => Self::Zero,
            Defect::Length => Self::Length,
            Defect::Torn => Self::Torn,
            Defect::Crc => Self::Crc,
            Defect::Schema => Self::Schema,
            Defect::Columns => Self::Columns,
            Defect::Count => Self::Count,
        }
    }
}

causes! {
    /// Good events that were given up before a decision.
    Dropped {
        /// The run was asked to end at once.
        Shutdown = "shutdown",
    }
}

causes! {
    /// Events that could not be decided; they are in the error stream.
    Errored {
        /// The model panicked at the event, or the menu's decision on its block did.
        Panic = "panic",
        /// A score is not finite.
        NotFinite = "not_finite",
        /// The deadline passed before the event was scored.
        Deadline = "deadline",
        /// The device of a model was lost, and nothing stood in for it.
        Device = "device",
        /// A field that a line reads is a NaN, or a line depends on an intermediate result that is NaN (0 / 0).
        NotANumber = "not_a_number",
        /// The engine of the model gave an error for the event.
        Refused = "refused",
    }
}

/// One counter per cause.
#[derive(Clone, PartialEq, Eq)]
pub struct Counts<K> {
    counts: Vec<u64>,
    kind: PhantomData<K>,
}

impl<K: Cause> Counts<K> {
    /// Adds `n` to a cause.
    pub fn add(&mut self, cause: K, n: u64) {
        self.counts[cause.index()] += n;
    }

    /// The counter of a cause.
    pub fn get(&self, cause: K) -> u64 {
        self.counts[cause.index()]
    }

    /// All causes together.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Every cause with its counter.
    pub fn iter(&self) -> impl Iterator<Item = (K, u64)> + '_ {
        K::ALL.iter().map(|&cause| (cause, self.get(cause)))
    }

    /// Adds another set, cause by cause.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// Sets every counter to 0.
    pub fn clear(&mut self) {
        self.counts.fill(0);
    }
}

impl<K: Cause> Default for Counts<K> {
    fn default() -> Self {
        Self { counts: vec![0; K::ALL.len()], kind: PhantomData }
    }
}

impl<K: Cause> fmt::Debug for Counts<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().filter(|&(_, n)| n > 0).map(|(cause, n)| (cause.name(), n)))
            .finish()
    }
}

impl<K: Cause> Serialize for Counts<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.counts.len()))?;
        for (cause, n) in self.iter() {
            map.serialize_entry(cause.name(), &n)?;
        }
        map.end()
    }
}
