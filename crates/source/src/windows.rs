//! Bytes in memory, handed on in slices.

use bytes::Bytes;
use tamis_port::{Source, SourceError, Window};

/// Large, because a frame that crosses two windows must be copied; not the whole stream, so that stop requests are seen.
const WINDOW_BYTES: usize = 64 << 20;

/// Serves the same bytes once per pass, without copies: every window refers to the whole.
pub(crate) struct Windows {
    bytes: Bytes,
    at: usize,
    /// Number of passes after this one; `None` after the end.
    more: Option<u64>,
}

impl Windows {
    pub(crate) fn new(bytes: Bytes, passes: u64) -> Self {
        Self { bytes, at: 0, more: passes.checked_sub(1) }
    }
}

impl Source for Windows {
    fn poll(&mut self) -> Result<Window, SourceError> {
        let Some(more) = self.more else { return Ok(Window::End) };
        if self.at < self.bytes.len() {
            let end = self.bytes.len().min(self.at + WINDOW_BYTES);
            let window = self.bytes.slice(self.at..end);
            self.at = end;
            return Ok(Window::Bytes(window));
        }
        self.at = 0;
        self.more = more.checked_sub(1);
        Ok(if self.more.is_some() { Window::Restart } else { Window::End })
    }

    fn stop(&mut self) {
        self.more = None;
    }
}
