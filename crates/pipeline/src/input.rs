//! A source's bytes, cut into findings: the codec applied across windows.
//!
//! A frame that lies in one window is handed on where it is. One that begins in a window and does not end in it is given back to the source, whose
//! next window may begin with it; if the source cannot do that, the pieces are copied once, into the carry.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tamis_event::{FrameHeader, PLAIN_BODY_BYTES_MAX, Scanned, Scanner, Schema, SegmentId};
use tamis_ledger::Corrupt;
use tamis_port::{Source, SourceError, Window};
use tamis_ring::Bell;

use crate::guard::guarded;

/// Bytes of memory that a window takes at least, however short it is.
const PAGE_BYTES: usize = 4096;

/// What the codec found, with the bytes it took.
#[derive(Debug)]
pub enum Found {
    /// A good event frame.
    Frame {
        /// Its checked header.
        header: FrameHeader,
        /// Its body, where it arrived.
        body: Bytes,
        /// Bytes of the whole frame.
        bytes: usize,
    },
    /// A schema frame.
    Schema {
        /// Bytes of the whole frame.
        bytes: usize,
    },
    /// A lost frame or the beginning of a lost stretch.
    Lost {
        /// Why it is lost.
        cause: Corrupt,
        /// Events that an intact header announced, or 0.
        events: u64,
        /// Run and segment of an intact header.
        segment: Option<SegmentId>,
        /// Bytes of the stretch so far.
        bytes: usize,
    },
    /// More bytes of the lost stretch.
    Skipped {
        /// Number of bytes.
        bytes: usize,
    },
    /// The recording starts over.
    Restart,
}

/// The source and the bytes that it gave and that are not consumed yet.
#[derive(Debug)]
pub struct FrameReader {
    source: SourceBox,
    is_live: bool,
    scanner: Scanner,
    fresh: Scanner,
    /// The last window and how much of it is consumed.
    window: Bytes,
    at: usize,
    /// Bytes of memory that findings have referred to so far, or may have: those of windows and of copies. Then the same sum before the last window.
    lent: u64,
    lent_before: u64,
    /// The beginning of a frame from an earlier window, which the source did not take back; `window` continues it. It is never longer than one frame
    /// and one header.
    carry: BytesMut,
    ended: bool,
    stopped: bool,
    error: Option<SourceError>,
    /// A restart that waits until the bytes before it are consumed.
    restart: bool,
}

impl FrameReader {
    /// Reads frames of `schema` from the front of `source`.
    pub fn new(source: Box<dyn Source>, schema: &Schema) -> Self {
        let scanner = Scanner::new(schema);
        let fresh = scanner.clone();
        let mut reader = Self {
            is_live: false,
            source: SourceBox(Some(source)),
            scanner,
            fresh,
            window: Bytes::new(),
            at: 0,
            lent: 0,
            lent_before: 0,
            carry: BytesMut::new(),
            ended: false,
            stopped: false,
            error: None,
            restart: false,
        };
        reader.is_live = reader.call(|source| source.is_live()).unwrap_or(false);
        reader
    }

    /// The bell that the source rings.
    pub(crate) fn bell(&mut self) -> Option<Arc<Bell>> {
        self.call(|source| source.bell()).flatten()
    }

    /// Asks the source to give what it has and then to end.
    ///
    /// A frame whose end does not arrive any more counts as not taken, and not as torn.
    pub fn stop(&mut self) {
        if !std::mem::replace(&mut self.stopped, true) {
            self.call(|source| source.stop());
        }
        // The pass that was to follow is not taken any more.
        self.ended |= std::mem::take(&mut self.restart);
    }

    /// Do frames come by themselves?
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Ends at once: what is at hand counts as not taken.
    pub fn discard(&mut self) {
        self.stop();
        if !self.ended {
            // Its last word may be that something was wrong.
            self.poll();
        }
        self.window = Bytes::new();
        self.at = 0;
        self.carry.clear();
        self.ended = true;
        self.restart = false;
    }

    /// Will there be no more windows?
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// When the last finding was complete, if the source knows.
    pub fn arrived_ns(&mut self) -> Option<u64> {
        self.call(|source| source.arrived_ns()).flatten()
    }

    /// Bytes of memory that findings have kept so far if each is still held: whole windows, and the copies of frames that lay across two.
    pub(crate) fn lent(&self) -> u64 {
        self.lent
    }

    /// What [`Self::lent`] was before the window that the last finding ends in.
    pub(crate) fn lent_before(&self) -> u64 {
        self.lent_before
    }

    /// Why the source ended early.
    pub fn take_error(&mut self) -> Option<SourceError> {
        self.error.take()
    }

    /// The next finding, or `None` if nothing is at hand.
    pub fn find_next(&mut self) -> Option<Found> {
        loop {
            let carried = !self.carry.is_empty();
            let bytes = if carried { &self.carry[..] } else { &self.window[self.at..] };
            let at_end = self.restart || (self.ended && (!carried || self.at == self.window.len()));
            if at_end
                && self.stopped
                && matches!(self.scanner.clone().step(bytes, false), Scanned::NeedMore { .. })
            {
                return None;
            }
            let step = self.scanner.step(bytes, at_end);
            match step {
                Scanned::NeedMore { bytes: wanted } => {
                    if !self.gather(wanted) {
                        return None;
                    }
                }
                Scanned::End if self.restart => {
                    self.restart = false;
                    self.scanner = self.fresh.clone();
                    return Some(Found::Restart);
                }
                Scanned::End => return None,
                Scanned::Frame { header, body, consumed } => {
                    let body = self.take(body, consumed, carried);
                    return Some(Found::Frame { header, body, bytes: consumed });
                }
                Scanned::Schema { consumed, .. } => {
                    self.consume(consumed, carried);
                    return Some(Found::Schema { bytes: consumed });
                }
                Scanned::Defect { defect, events, segment, consumed } => {
                    self.consume(consumed, carried);
                    return Some(Found::Lost { cause: defect.into(), events, segment, bytes: consumed });
                }
                Scanned::Skip { consumed } => {
                    self.consume(consumed, carried);
                    return Some(Found::Skipped { bytes: consumed });
                }
            }
        }
    }

    /// Makes at least some progress towards `wanted` bytes in a row. `false`: the source has nothing now.
    fn gather(&mut self, wanted: usize) -> bool {
        if self.at == self.window.len() || self.carry.is_empty() {
            let tail = self.window.slice(self.at..);
            if self.carry.is_empty()
                && !tail.is_empty()
                && self.call(|source| source.unread(&tail, wanted)) == Some(true)
            {
                return self.poll();
            }
            // Everything that is left goes to the carry; the next window continues it.
            // No more than a usual frame ahead of the bytes that came: the length may be a lie.
            self.carry.reserve(wanted.min(tail.len() + PLAIN_BODY_BYTES_MAX));
            self.carry.extend_from_slice(&tail);
            self.at = self.window.len();
            if !self.poll() {
                return false;
            }
        }
        if !self.carry.is_empty() {
            let taken = wanted.saturating_sub(self.carry.len()).min(self.window.len() - self.at);
            self.carry.extend_from_slice(&self.window[self.at..self.at + taken]);
            self.at += taken;
        }
        true
    }

    /// Asks the source; `false` if it has nothing now.
    fn poll(&mut self) -> bool {
        if self.ended || self.restart {
            return true;
        }
        match self.call(|source| source.poll()) {
            Some(Ok(Window::Bytes(window))) => {
                self.lent_before = self.lent;
                self.lent += window.len().max(PAGE_BYTES) as u64;
                self.window = window;
                self.at = 0;
            }
            Some(Ok(Window::Restart)) if !self.stopped => self.restart = true,
            Some(Ok(Window::Idle)) => return false,
            Some(Ok(Window::End | Window::Restart)) | None => self.ended = true,
            Some(Err(error)) => {
                self.error = Some(error);
                self.ended = true;
            }
        }
        true
    }

    /// One call of the source. If it panics it has ended, and is never called again.
    fn call<T>(&mut self, call: impl FnOnce(&mut dyn Source) -> T) -> Option<T> {
        let source = self.source.0.as_mut()?;
        match guarded(|| call(&mut **source)) {
            Ok(value) => Some(value),
            Err(message) => {
                let message = format!("the source panicked: {message}");
                self.error.get_or_insert(SourceError { place: "input".into(), message });
                self.ended = true;
                let broken = self.source.0.take();
                let _ = guarded(|| drop(broken));
                None
            }
        }
    }

    /// Consumes a frame of `bytes` bytes and returns its body, which lies at `range` in them.
    fn take(&mut self, range: Range<usize>, bytes: usize, carried: bool) -> Bytes {
        if carried {
            self.lent += self.carry.capacity() as u64;
        }
        self.consume(bytes, carried).slice(range)
    }

    /// Takes bytes from the front, without copying them.
    fn consume(&mut self, bytes: usize, carried: bool) -> Bytes {
        if !carried {
            let from = self.at;
            self.at += bytes;
            return self.window.slice(from..self.at);
        }
        let front = self.carry.split_to(bytes).freeze();
        if self.carry.len() <= self.at {
            // What is left came from this window: read it there.
            self.at -= self.carry.len();
            self.carry = BytesMut::new();
        }
        front
    }
}

/// Empty once it panicked.
struct SourceBox(Option<Box<dyn Source>>);

impl std::fmt::Debug for SourceBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}
