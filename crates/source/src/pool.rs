//! Buffers that come back: steady reading allocates nothing and touches no new page.

use bytes::Bytes;
use tamis_ring::{Receiver, Sender, queue};

/// Buffers start at a multiple of this, so that frames in them do.
const ALIGN: usize = 64;

/// Lends buffers of one size. At most `keep` idle ones are kept; how many are out at a time is the borrower's limit.
pub(crate) struct Pool {
    bytes: usize,
    idle: Receiver<Vec<u8>>,
    home: Sender<Vec<u8>>,
}

impl Pool {
    pub(crate) fn new(bytes: usize, keep: usize) -> Self {
        let (home, idle) = queue(keep, &[], &[]);
        Self { bytes, idle, home }
    }

    pub(crate) fn take(&self) -> Buffer {
        let memory = self.idle.try_recv().unwrap_or_else(|_| vec![0; self.bytes + ALIGN]);
        let start = memory.as_ptr().align_offset(ALIGN).min(ALIGN);
        Buffer { memory, start, len: 0, capacity: self.bytes, home: self.home.clone() }
    }
}

/// A lent buffer; goes home when the last view of it is dropped.
pub(crate) struct Buffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
    capacity: usize,
    home: Sender<Vec<u8>>,
}

impl Buffer {
    /// The whole buffer, to be written.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.capacity]
    }

    /// The first `len` bytes, shared from now on.
    pub(crate) fn freeze(mut self, len: usize) -> Bytes {
        self.len = len;
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.start..][..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // A full or orphaned queue hands it back: then it is freed here.
        let _ = self.home.try_send(std::mem::take(&mut self.memory));
    }
}
