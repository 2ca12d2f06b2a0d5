//! A pool of reused buffers: steady reading allocates nothing and touches no new page.
//!
//! Each buffer is a mapping of its own, so it is page-aligned, and one of 2 MiB is a huge page where the system has them (`MADV_HUGEPAGE`). Its
//! pages come from the memory node of the thread that reads into it first.

use std::io;

use bytes::Bytes;
use memmap2::MmapMut;
use tamis_ring::{Receiver, Sender, queue};

/// Lends buffers of one size. At most `keep` idle ones are kept; the borrower limits how many are out at a time.
pub(crate) struct BufferPool {
    bytes: usize,
    idle: Receiver<MmapMut>,
    home: Sender<MmapMut>,
}

impl BufferPool {
    pub(crate) fn new(bytes: usize, keep: usize) -> Self {
        let (home, idle) = queue(keep, &[], &[]);
        Self { bytes, idle, home }
    }

    /// Lends a buffer. Fails if the system has no more memory.
    pub(crate) fn take(&self) -> io::Result<Buffer> {
        let memory = self.idle.try_recv().or_else(|_| self.make())?;
        Ok(Buffer { memory: Some(memory), len: 0, home: self.home.clone() })
    }

    fn make(&self) -> io::Result<MmapMut> {
        let memory = MmapMut::map_anon(self.bytes)?;
        // A system without huge pages ignores the advice.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Ok(memory)
    }
}

/// A lent buffer, which returns to the pool when the last view of it is dropped.
pub(crate) struct Buffer {
    /// `Some` until it is dropped.
    memory: Option<MmapMut>,
    len: usize,
    home: Sender<MmapMut>,
}

impl Buffer {
    /// The whole buffer, for writing.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.memory.as_deref_mut().unwrap_or_default()
    }

    /// The first `len` bytes, shared from now on.
    pub(crate) fn freeze(mut self, len: usize) -> Bytes {
        self.len = len;
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory.as_deref().unwrap_or_default()[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // A full or orphaned queue hands the memory back, and it is freed here.
        let _ = self.memory.take().map(|memory| self.home.try_send(memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_goes_home_with_its_last_view_and_no_more_are_kept_than_asked_for() {
        let pool = BufferPool::new(2 << 20, 1);
        let fill = |byte: u8| {
            let mut buffer = pool.take().unwrap();
            assert_eq!((buffer.space().len(), buffer.space().as_ptr().align_offset(4096)), (2 << 20, 0));
            buffer.space()[..3].fill(byte);
            buffer.freeze(3)
        };
        let (first, second) = (fill(1), fill(2));
        let part = first.slice(1..);
        let place = first.as_ptr();
        drop(first);
        // A view remains, so the next buffer is a new one, and writes to it are not seen.
        let third = fill(3);
        assert_eq!((&part[..], &second[..], &third[..]), (&[1, 1][..], &[2; 3][..], &[3; 3][..]));
        drop(part);
        assert_eq!(fill(4).as_ptr(), place);
        drop((second, third));
        assert!(pool.idle.try_recv().is_ok() && pool.idle.try_recv().is_err());
    }

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        assert!(BufferPool::new(usize::MAX / 4, 1).take().is_err());
    }
}
