//! What names a segment.

use std::fmt;

use serde::Serialize;

/// A segment (luminosity block) and the run that it is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[expect(missing_docs, reason = "the sentence above")]
pub struct SegmentId {
    pub run: u32,
    pub segment: u32,
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}, segment {}", self.run, self.segment)
    }
}
