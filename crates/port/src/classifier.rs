//! What turns events into scores.

use std::ops::Range;

use tamis_event::Block;

/// Why a batch has no scores.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassifierError {
    /// Something about these events: a smaller range of them may well have scores, so the caller splits it.
    #[error("{message}")]
    Events {
        /// What happened.
        message: String,
    },
    /// What the model runs on is lost, for these events and all that follow: the caller must not ask again, and needs another classifier.
    #[error("{message}")]
    Device {
        /// What happened.
        message: String,
    },
}

/// A model that is bound to a schema: it knows where its inputs stand in an event record.
///
/// The score of an event must not depend on its neighbours, on the size of the batch or on its place in it, bit for bit.
pub trait Classifier: Send {
    /// Names of the scores that [`Self::score`] writes, in order.
    fn outputs(&self) -> &[String];

    /// Events that it computes together: a smaller batch costs the same. A range is cut into pieces of this size where something else must be
    /// looked at on the way.
    fn tile(&self) -> usize {
        512
    }

    /// Scores the events `range` of `block`: `scores[k][i]` becomes output `k` of event `range.start + i`.
    ///
    /// `scores` has one slice per output, each `range.len()` long. A panic or [`ClassifierError::Events`] concerns this range only; the caller
    /// splits it until the guilty event stands alone. After [`ClassifierError::Device`] it does not call again.
    fn score(
        &mut self,
        block: &Block,
        range: Range<usize>,
        scores: &mut [&mut [f32]],
    ) -> Result<(), ClassifierError>;
}
