//! Where bytes come from.

use std::sync::Arc;

use bytes::Bytes;
use tamis_ring::Bell;

/// What a source has at hand.
#[derive(Clone, Debug)]
pub enum Window {
    /// The next bytes of the stream, cut anywhere. Kept in memory until the last event in them is decided.
    Bytes(Bytes),
    /// Nothing now; ask again.
    Idle,
    /// The recording starts over: its event ids are shifted beyond all of the passes before. Only between two whole streams.
    Restart,
    /// Nothing more, ever.
    End,
}

/// Why a source cannot go on. The message names the place and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct SourceError {
    /// File, socket or address.
    pub place: String,
    /// What happened and what to do.
    pub message: String,
}

/// A stream of frames, as bytes. It neither finds nor checks frames: the pipeline does, for every source alike.
pub trait Source: Send {
    /// The next window. Must not block for longer than a few milliseconds: a stop request is only seen in between, and the thread may have events
    /// to decide.
    ///
    /// After [`Window::End`] or an error every further call gives `Window::End`.
    fn poll(&mut self) -> Result<Window, SourceError>;

    /// Gives the last bytes of the last window back, which begin a frame that does not end in it: it ends after `_wanted` bytes, as far as is known.
    /// `true`: the next window will begin with them, and the frame will be whole where it lies if the window has so many bytes. `false`, the default:
    /// the caller joins the pieces, which copies the frame once. After `true` the caller keeps the bytes for the case that no window comes any more,
    /// and gives them again if none has come yet; the last answer counts.
    fn unread(&mut self, _tail: &[u8], _wanted: usize) -> bool {
        false
    }

    /// When the bytes of the last window were complete, in ns on the clock of the run, for a source that knows: a schedule, a network card. Never
    /// falls. Latencies then count from there and not from admission, so the wait of events for a pipeline that is late is part of them.
    fn arrived_ns(&self) -> Option<u64> {
        None
    }

    /// The bell that it rings after every change of what [`Self::poll`] would give, if it knows of changes when they happen. Whoever polls may sleep
    /// on it; a source without a bell is asked again and again.
    fn bell(&self) -> Option<Arc<Bell>> {
        None
    }

    /// Do frames come by themselves, and not when they are asked for? Then admission needs a thread that is always ready.
    fn is_live(&self) -> bool {
        self.bell().is_some()
    }

    /// No more input is wanted: the source takes nothing more from outside, gives what it has already taken, then [`Window::End`]. A recording
    /// ends at once. May be called more than once.
    fn stop(&mut self);
}
