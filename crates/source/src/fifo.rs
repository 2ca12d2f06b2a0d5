//! Standard input and other pipes: a separate thread reads, because a read may block for ever and a source must not.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use bytes::Bytes;
use tamis_port::{Source, SourceError, Window};
use tamis_ring::Bell;

use crate::pool::BufferPool;
use crate::zst::broken;

/// Small, because data is handed on as soon as it arrives, and a pipe gives 64 KiB at a time.
const BUFFER_BYTES: usize = 256 << 10;
/// Most windows that were read but not polled; beyond them the writer of the pipe has to wait (back-pressure).
const WINDOWS_AHEAD: usize = 16;

type Message = Result<Bytes, SourceError>;

/// The state that the reader thread and the source share besides the windows.
#[derive(Default)]
struct Shared {
    /// Asks the thread to stop reading.
    stop: AtomicBool,
    /// Number of messages that the thread has sent or is about to send.
    made: AtomicU64,
    /// Rung when a message is sent, and at the end.
    bell: Arc<Bell>,
}

/// The polled end of the reader thread. When it is dropped, the thread ends after its next read.
pub(crate) struct Pipe {
    windows: Option<Receiver<Message>>,
    shared: Arc<Shared>,
    /// Number of messages received.
    received: u64,
    stopped: bool,
}

impl Pipe {
    pub(crate) fn new(reader: impl Read + Send + 'static, place: String) -> io::Result<Self> {
        let (sender, windows) = sync_channel(WINDOWS_AHEAD);
        let shared = Arc::new(Shared::default());
        let with_thread = shared.clone();
        let thread = std::thread::Builder::new().name("tamis-pipe".into());
        // Detached: a read from a pipe cannot be interrupted, and the process must not wait for one to end.
        thread.spawn(move || {
            read_all(reader, &place, &with_thread, sender);
            with_thread.bell.ring();
        })?;
        Ok(Self { windows: Some(windows), shared, received: 0, stopped: false })
    }
}

impl Source for Pipe {
    fn poll(&mut self) -> Result<Window, SourceError> {
        let Some(windows) = &self.windows else { return Ok(Window::End) };
        match windows.try_recv() {
            Ok(message) => {
                self.received += 1;
                if message.is_err() {
                    self.windows = None;
                }
                message.map(Window::Bytes)
            }
            // SYNC: this load of `made` pairs with the release add in `read_all`. Bytes of a read that is not counted yet do not belong to the
            // stream, like the bytes that are still in the pipe.
            Err(TryRecvError::Empty)
                if !self.stopped || self.received < self.shared.made.load(Ordering::Acquire) =>
            {
                Ok(Window::Idle)
            }
            Err(_) => {
                self.windows = None;
                Ok(Window::End)
            }
        }
    }

    fn bell(&self) -> Option<Arc<Bell>> {
        Some(self.shared.bell.clone())
    }

    fn stop(&mut self) {
        self.stopped = true;
        // SYNC: pairs with the acquire load in `read_all`, after which the thread reads no more.
        self.shared.stop.store(true, Ordering::Release);
    }
}

/// Reads until the end, an error or a stop. Owns the sending end, so that it is dropped on return.
#[expect(clippy::needless_pass_by_value, reason = "dropped at the end")]
fn read_all(mut reader: impl Read, place: &str, shared: &Shared, windows: SyncSender<Message>) {
    let pool = BufferPool::new(BUFFER_BYTES, WINDOWS_AHEAD);
    // SYNC: pairs with the release store in `Pipe::stop`.
    while !shared.stop.load(Ordering::Acquire) {
        let read = pool.take().and_then(|mut buffer| Ok((reader.read(buffer.space())?, buffer)));
        let message = match read {
            Ok((0, _)) => return,
            Ok((len, buffer)) => Ok(buffer.freeze(len)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(broken(place, &error)),
        };
        let last = message.is_err();
        // SYNC: this add pairs with the acquire load of `made` in `Pipe::poll`. It comes before the send, so that the source never concludes that
        // it has everything while a send is blocked.
        shared.made.fetch_add(1, Ordering::Release);
        if windows.send(message).is_err() || last {
            return;
        }
        shared.bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::thread::yield_now;

    use super::*;

    /// A reader that yields the bytes it is sent, one at a time, and blocks for each.
    struct Fed(Receiver<u8>);

    impl Read for Fed {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(self.0.recv().map_or(0, |byte| {
                buffer[0] = byte;
                1
            }))
        }
    }

    fn fed_pipe() -> (Sender<u8>, Pipe) {
        let (feed, fed) = channel();
        (feed, Pipe::new(Fed(fed), "pipe".into()).unwrap())
    }

    /// Reads everything up to the end.
    fn rest_of(pipe: &mut Pipe) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            match pipe.poll().unwrap() {
                Window::Bytes(window) => bytes.extend_from_slice(&window),
                Window::End => return bytes,
                Window::Idle | Window::Restart => yield_now(),
            }
        }
    }

    #[test]
    fn a_stop_gives_all_that_was_counted_though_a_send_waits_for_room() {
        for _ in 0..200 {
            let (feed, mut pipe) = fed_pipe();
            (0..100).for_each(|byte| feed.send(byte).unwrap());
            // Waits until there is one message more than fits.
            while pipe.shared.made.load(Ordering::Acquire) <= WINDOWS_AHEAD as u64 {
                yield_now();
            }
            pipe.stop();
            assert!(rest_of(&mut pipe).into_iter().eq(0..=WINDOWS_AHEAD as u8));
        }
    }

    #[test]
    fn a_stop_does_not_wait_for_a_read_and_what_that_gives_later_was_not_taken() {
        let (feed, mut pipe) = fed_pipe();
        pipe.stop();
        assert_eq!(rest_of(&mut pipe), []);
        // The thread ends although it is given more bytes.
        while feed.send(8).is_ok() {
            yield_now();
        }
        assert_eq!(rest_of(&mut pipe), []);
    }

    #[test]
    fn a_pipe_that_is_dropped_ends_its_thread_with_the_next_read() {
        let (feed, pipe) = fed_pipe();
        drop(pipe);
        while feed.send(8).is_ok() {
            yield_now();
        }
    }
}
