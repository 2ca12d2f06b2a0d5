//! A source that keeps to a timetable: frames arrive when they are due, whether or not anybody is ready for them.
//!
//! ```text
//!   Arrivals:   |  |     ||   |        |   |     times fixed in advance
//!                \  \     \\   \  stall \   \
//!   poll:        |  |     ||   .        |||       a frame that is taken late has still arrived when it was due
//! ```
//!
//! * I1: what the pipeline does changes no due time. So a stall counts in full for every event that was due in it, and not once: there is
//!   no coordinated omission.
//! * I2: each window is one frame, so each frame has a due time of its own: that of its last byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tamis_pipeline::Clock;
use tamis_port::{Source, SourceError, Window};
use tamis_sim::Arrivals;

use super::sample::FrameStream;

/// How late the pipeline took its frames, for the thread that waits for the run.
///
/// Relaxed accesses: each word stands for itself, and is read after the run.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    last_ns: AtomicU64,
    due_ns: AtomicU64,
}

impl Backlog {
    /// Lateness of the last frame.
    pub(crate) fn last_ns(&self) -> u64 {
        self.last_ns.load(Ordering::Relaxed)
    }

    /// When the last frame was due, from the start of the timetable.
    pub(crate) fn due_ns(&self) -> u64 {
        self.due_ns.load(Ordering::Relaxed)
    }
}

/// See the module's doc.
#[derive(Debug)]
pub(crate) struct OpenLoop {
    stream: Bytes,
    /// Ends of the frames; the first is that of the schema frame.
    ends: Vec<usize>,
    /// Frame of this pass that comes next, from 0.
    at: usize,
    /// Frames to come.
    left: u64,
    clock: Arc<dyn Clock>,
    arrivals: Arrivals,
    began_ns: Option<u64>,
    /// When the next frame is due; drawn once.
    due_ns: Option<u64>,
    arrived_ns: Option<u64>,
    backlog: Arc<Backlog>,
}

impl OpenLoop {
    /// `frames` frames of a stream, from its start, again and again. The timetable begins with the first poll.
    pub(crate) fn new(stream: &FrameStream, frames: u64, arrivals: Arrivals, clock: Arc<dyn Clock>) -> Self {
        Self {
            stream: stream.bytes.clone(),
            ends: stream.ends.clone(),
            at: 0,
            left: frames,
            clock,
            arrivals,
            began_ns: None,
            due_ns: None,
            arrived_ns: None,
            backlog: Arc::default(),
        }
    }

    pub(crate) fn backlog(&self) -> Arc<Backlog> {
        self.backlog.clone()
    }
}

impl Source for OpenLoop {
    fn poll(&mut self) -> Result<Window, SourceError> {
        if self.left == 0 {
            return Ok(Window::End);
        }
        if self.at + 1 == self.ends.len() {
            self.at = 0;
            return Ok(Window::Restart);
        }
        let now_ns = self.clock.now_ns();
        let began_ns = *self.began_ns.get_or_insert(now_ns);
        let arrivals = &mut self.arrivals;
        let due_ns = *self.due_ns.get_or_insert_with(|| began_ns + arrivals.next().expect("they never end"));
        if now_ns < due_ns {
            return Ok(Window::Idle);
        }
        (self.due_ns, self.arrived_ns) = (None, Some(due_ns));
        self.backlog.last_ns.store(now_ns - due_ns, Ordering::Relaxed);
        self.backlog.due_ns.store(due_ns - began_ns, Ordering::Relaxed);
        let frame = self.stream.slice(self.ends[self.at]..self.ends[self.at + 1]);
        self.at += 1;
        self.left -= 1;
        Ok(Window::Bytes(frame))
    }

    fn is_live(&self) -> bool {
        true
    }

    fn stop(&mut self) {
        self.left = 0;
    }

    fn arrived_ns(&self) -> Option<u64> {
        self.arrived_ns
    }
}

#[cfg(test)]
mod tests;
