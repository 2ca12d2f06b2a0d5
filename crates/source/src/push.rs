//! Frames that a data-acquisition program pushes from its own memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use tamis_event::Schema;
use tamis_port::{Source, SourceError, Window};
use tamis_ring::{Bell, Receiver, Sender, TryRecv, TrySend, queue};

use crate::Recording;

/// Why bytes were refused; they are returned unchanged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The queue is full: the trigger is busy. Try again later, or count the frame as dead time.
    #[error("the trigger is busy: the queue of pushed frames is full")]
    Full(Bytes),
    /// The run is over.
    #[error("the run is over: nothing more is taken")]
    Closed(Bytes),
}

/// Makes a stop take effect between pushes, never within one.
#[derive(Debug, Default)]
struct Gate {
    closed: AtomicBool,
    /// Number of pushes in progress.
    pushing: AtomicUsize,
}

/// Hands frames to a run. Clones feed the same run, which ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Pusher {
    queue: Sender<Bytes>,
    gate: Arc<Gate>,
}

impl Pusher {
    /// Hands over bytes of the stream: whole frames, several frames, or parts of one if a single pusher feeds the run. Never blocks,
    /// never copies. A schema frame is allowed but not needed. `Ok` means that the run will account for the bytes.
    pub fn push(&self, bytes: Bytes) -> Result<(), PushError> {
        // SYNC: this add and the load of `closed` are sequentially consistent with the store of `closed` and the load of `pushing` in the
        // source, so that either this push sees the gate closed, or the source sees this push and waits for its end.
        self.gate.pushing.fetch_add(1, Ordering::SeqCst);
        let pushed = if self.gate.closed.load(Ordering::SeqCst) {
            Err(PushError::Closed(bytes))
        } else {
            self.queue.try_send(bytes).map_err(|refused| match refused {
                TrySend::Full(bytes) => PushError::Full(bytes),
                TrySend::Closed(bytes) => PushError::Closed(bytes),
            })
        };
        self.gate.pushing.fetch_sub(1, Ordering::SeqCst);
        pushed
    }
}

struct Pushed {
    queue: Receiver<Bytes>,
    /// Rung by the queue.
    bell: Arc<Bell>,
    gate: Arc<Gate>,
    stopped: bool,
}

impl Source for Pushed {
    fn poll(&mut self) -> Result<Window, SourceError> {
        // Read before the queue, which then contains everything pushed so far.
        let no_more = self.stopped && self.gate.pushing.load(Ordering::SeqCst) == 0;
        Ok(match self.queue.try_recv() {
            Ok(bytes) => Window::Bytes(bytes),
            Err(TryRecv::Empty) if !no_more => Window::Idle,
            Err(TryRecv::Empty | TryRecv::Closed) => Window::End,
        })
    }

    fn bell(&self) -> Option<Arc<Bell>> {
        Some(self.bell.clone())
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.gate.closed.store(true, Ordering::SeqCst);
    }
}

/// A recording of the pushed bytes; at most `capacity` pushes wait.
///
/// # Panics
/// If `capacity` is 0.
pub fn push(schema: Schema, capacity: usize) -> (Pusher, Recording) {
    let bell = Arc::<Bell>::default();
    let (sender, receiver) = queue(capacity, &[], &[&bell]);
    let gate = Arc::new(Gate::default());
    let source = Box::new(Pushed { queue: receiver, bell, gate: gate.clone(), stopped: false });
    (Pusher { queue: sender, gate }, Recording { schema, source, place: "pushed frames".into(), bytes: None })
}
