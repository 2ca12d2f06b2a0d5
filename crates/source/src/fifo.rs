//! Standard input and other pipes: a thread reads, because a read may wait for ever and a source must not.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use bytes::Bytes;
use tamis_port::{Source, SourceError, Window};
use tamis_ring::Bell;

use crate::pool::Pool;
use crate::zst::broken;

/// Small: what arrived is handed on at once, and a pipe gives 64 KiB at a time.
const BUFFER_BYTES: usize = 256 << 10;
/// Windows that were read and not yet polled; then the writer of the pipe has to wait.
const WINDOWS_AHEAD: usize = 16;

type Message = Result<Bytes, SourceError>;

/// What the reader thread and the source tell each other besides the windows.
#[derive(Default)]
struct Shared {
    /// Read no more.
    stop: AtomicBool,
    /// Messages that the thread made, sent or about to be sent.
    made: AtomicU64,
    /// Rung when a message is sent, and at the end.
    bell: Arc<Bell>,
}

/// The end of the reader thread that is polled. When it is dropped the thread ends with its next read.
pub(crate) struct Pipe {
    windows: Option<Receiver<Message>>,
    shared: Arc<Shared>,
    /// Messages received.
    received: u64,
    stopped: bool,
}

impl Pipe {
    pub(crate) fn new(reader: impl Read + Send + 'static, place: String) -> io::Result<Self> {
        let (sender, windows) = sync_channel(WINDOWS_AHEAD);
        let shared = Arc::new(Shared::default());
        let (with_thread, thread) = (shared.clone(), std::thread::Builder::new().name("tamis-pipe".into()));
        // Detached: nobody can interrupt a read from a pipe, and the end of the process must not wait for one.
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
            // SYNC: pairs with the release in `read_all`. A thread that still waits in a read has taken nothing.
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
        self.shared.stop.store(true, Ordering::Release);
    }
}

/// Takes the sending end, so that it is gone when this returns.
#[expect(clippy::needless_pass_by_value, reason = "dropped at the end")]
fn read_all(mut reader: impl Read, place: &str, shared: &Shared, windows: SyncSender<Message>) {
    let pool = Pool::new(BUFFER_BYTES, WINDOWS_AHEAD);
    while !shared.stop.load(Ordering::Acquire) {
        let read = pool.take().and_then(|mut buffer| Ok((reader.read(buffer.space())?, buffer)));
        let message = match read {
            Ok((0, _)) => return,
            Ok((len, buffer)) => Ok(buffer.freeze(len)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(broken(place, &error)),
        };
        let last = message.is_err();
        // SYNC: before the send, so that the source never believes that it has everything while a send waits for room.
        shared.made.fetch_add(1, Ordering::Release);
        if windows.send(message).is_err() || last {
            return;
        }
        shared.bell.ring();
    }
}
