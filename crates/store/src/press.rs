//! Compresses the chunks of all streams of a run, on as many threads as there are CPUs for it.
//!
//! ```text
//!  sink of stream A --push--> belt A: chunk 7, 8, 9 --next, in this order--> file of A
//!                                        |
//!                              jobs of all belts, oldest first --> helper, helper, ..., and any sink that would wait
//! ```
//!
//! Each sink has a [`Belt`], which gives back its chunks in the order in which they were pushed, however long each takes. Files are touched by
//! their sinks alone, so order, crash safety and the place of an error are those of one thread.
//!
//! Invariants:
//!
//! * I1: a sink that waits never waits for another sink: if the chunk that it wants is not taken, it compresses the oldest one itself.
//! * I2: chunks that are under way take at most [`PRESS_BYTES_MAX`], before and after compression together. A chunk for which there is no room is
//!   compressed where it was filled, without being under way; so that is one chunk more for each sink.
//! * I3: a belt is never longer than [`AHEAD_PER_THREAD`] chunks per thread: what a killed process loses.
//! * I4: bytes depend on the chunk alone, and not on who compresses it (`pack.rs`).
//!
//! Threads: one less than asked for, since the sink itself is one. They begin with the first chunk, and end with the last sink. If the system
//! gives none, sinks do without. Cost: two locks and a wake-up per chunk, which takes a millisecond to compress.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::JoinHandle,
};

use crate::{
    Compression,
    file::CHANNEL,
    limits::PRESS_BYTES_MAX,
    pack::{FilledChunk, Packer, ReadyChunk},
};

/// Most threads that are started unless the user asks for a number: beyond, a disk is the limit.
const THREADS_DEFAULT_MAX: usize = 8;
/// Chunks of a stream that are under way, per thread: one in its hands and one that waits.
const AHEAD_PER_THREAD: usize = 2;

/// What compresses chunks, shared by the sinks of a run. See the module's doc.
pub struct Press {
    compression: Compression,
    threads: Option<usize>,
    shared: Arc<Shared>,
    helpers: OnceLock<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Rung when there is a job, or none will come.
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Bytes of the chunks that are under way.
    bytes: usize,
    is_closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest job, when there is one; `None` if none will come.
    fn wait(&self) -> Option<Job> {
        let idle = |state: &mut State| state.jobs.is_empty() && !state.is_closed;
        let state = self.work.wait_while(self.lock(), idle);
        state.unwrap_or_else(PoisonError::into_inner).jobs.pop_front()
    }
}

/// Bytes that a chunk takes while it is under way; given back when it is dropped.
pub(crate) struct Room {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shared.lock().bytes -= self.bytes;
    }
}

struct Job {
    chunk: FilledChunk,
    room: Room,
    done: SyncSender<io::Result<Pressed>>,
}

/// A chunk to write, and the room that it takes until then.
pub(crate) struct Pressed {
    pub(crate) chunk: ReadyChunk,
    pub(crate) room: Option<Room>,
}

impl Job {
    fn run(self, packer: &mut Packer) {
        let Self { chunk, room, done } = self;
        let pressed = packer.pack(CHANNEL, chunk).map(|chunk| Pressed { chunk, room: Some(room) });
        // Nobody listens if the sink failed meanwhile.
        let _ = done.send(pressed);
    }
}

impl Press {
    /// Compresses on this many threads at a time per run, each sink among them; without a number, on as many as there are CPUs for the first sink
    /// that stores something. With 1 every sink compresses what it stores.
    pub fn new(compression: Compression, threads: Option<usize>) -> Arc<Self> {
        Arc::new(Self { compression, threads, shared: Arc::default(), helpers: OnceLock::new() })
    }

    /// How chunks are compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Number of threads besides the sinks. The first call starts them: on a thread of a sink, so that they may run where it may run.
    fn helpers(&self) -> usize {
        let helpers = self.helpers.get_or_init(|| {
            let cpus =
                || std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_DEFAULT_MAX);
            let count = self.threads.unwrap_or_else(cpus).saturating_sub(1);
            (0..count).map_while(|number| self.start(number).ok()).collect()
        });
        helpers.len()
    }

    fn start(&self, number: usize) -> io::Result<JoinHandle<()>> {
        let (shared, mut packer) = (self.shared.clone(), Packer::new(self.compression));
        std::thread::Builder::new().name(format!("compress-{number}")).spawn(move || {
            while let Some(job) = shared.wait() {
                job.run(&mut packer);
            }
        })
    }

    /// Room for a chunk, if there is.
    fn room(&self, bytes: usize) -> Option<Room> {
        let mut state = self.shared.lock();
        let sum = state.bytes.checked_add(bytes).filter(|&sum| sum <= PRESS_BYTES_MAX)?;
        state.bytes = sum;
        Some(Room { shared: self.shared.clone(), bytes })
    }
}

impl Drop for Press {
    fn drop(&mut self) {
        let jobs = {
            let mut state = self.shared.lock();
            state.is_closed = true;
            std::mem::take(&mut state.jobs)
        };
        // Outside of the lock, which their rooms take.
        drop(jobs);
        self.shared.work.notify_all();
        for helper in self.helpers.take().into_iter().flatten() {
            // One that panicked told the sink that waited for its chunk.
            let _ = helper.join();
        }
    }
}

impl std::fmt::Debug for Press {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Press")
            .field("compression", &self.compression)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// The chunks of one file that are under way, in order.
pub(crate) struct Belt {
    press: Arc<Press>,
    packer: Packer,
    tickets: VecDeque<Ticket>,
}

enum Ticket {
    Ready(Box<io::Result<Pressed>>),
    Awaited(Receiver<io::Result<Pressed>>),
}

impl Belt {
    pub(crate) fn new(press: Arc<Press>) -> Self {
        let packer = Packer::new(press.compression);
        Self { press, packer, tickets: VecDeque::new() }
    }

    /// For what is not under way.
    pub(crate) fn packer(&mut self) -> &mut Packer {
        &mut self.packer
    }

    /// Puts a chunk at the end of the belt. If there is no room behind those that are in it, the chunk comes back: take one out first.
    pub(crate) fn push(&mut self, chunk: FilledChunk) -> Result<(), FilledChunk> {
        let helpers = self.press.helpers();
        let is_long = self.tickets.len() >= AHEAD_PER_THREAD * (helpers + 1);
        let room = if helpers == 0 || is_long { None } else { self.press.room(chunk.bytes_while_packed()) };
        match room {
            Some(room) => {
                let (done, ticket) = sync_channel(1);
                self.press.shared.lock().jobs.push_back(Job { chunk, room, done });
                self.press.shared.work.notify_one();
                self.tickets.push_back(Ticket::Awaited(ticket));
            }
            None if !self.tickets.is_empty() => return Err(chunk),
            None => {
                let pressed = self.packer.pack(CHANNEL, chunk).map(|chunk| Pressed { chunk, room: None });
                self.tickets.push_back(Ticket::Ready(Box::new(pressed)));
            }
        }
        Ok(())
    }

    /// Takes the first chunk out, if it is ready.
    pub(crate) fn try_next(&mut self) -> Option<io::Result<Pressed>> {
        match self.tickets.pop_front()? {
            Ticket::Ready(pressed) => Some(*pressed),
            Ticket::Awaited(ticket) => match ticket.try_recv() {
                Ok(pressed) => Some(pressed),
                Err(TryRecvError::Disconnected) => Some(Err(died())),
                Err(TryRecvError::Empty) => {
                    self.tickets.push_front(Ticket::Awaited(ticket));
                    None
                }
            },
        }
    }

    /// Takes the first chunk out, as soon as it is ready. `None`: there is none.
    pub(crate) fn next(&mut self) -> Option<io::Result<Pressed>> {
        match self.tickets.pop_front()? {
            Ticket::Ready(pressed) => Some(*pressed),
            Ticket::Awaited(ticket) => Some(self.work_until(&ticket)),
        }
    }

    /// Compresses whatever is next until the chunk of the ticket is ready or in other hands, and then waits for it (I1).
    fn work_until(&mut self, ticket: &Receiver<io::Result<Pressed>>) -> io::Result<Pressed> {
        loop {
            match ticket.try_recv() {
                Ok(pressed) => return pressed,
                Err(TryRecvError::Disconnected) => return Err(died()),
                Err(TryRecvError::Empty) => {}
            }
            // A statement of its own, so that the lock ends here.
            let job = self.press.shared.lock().jobs.pop_front();
            match job {
                Some(job) => job.run(&mut self.packer),
                None => return ticket.recv().unwrap_or_else(|_| Err(died())),
            }
        }
    }

    /// Forgets what is under way.
    pub(crate) fn clear(&mut self) {
        self.tickets.clear();
    }
}

fn died() -> io::Error {
    io::Error::other("a compressing thread panicked")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(number: u32, bytes: usize) -> FilledChunk {
        let mut chunk = FilledChunk::new(Vec::new());
        chunk.append(CHANNEL, number, number.into(), &vec![number as u8; bytes]);
        chunk
    }

    /// Two belts on one thread, which never waits for the other belt, though some chunks take most of the room.
    #[test]
    fn chunks_come_back_in_order_and_room_is_given_back() {
        let count = |found: &mut u64, pressed: io::Result<Pressed>| {
            assert_eq!(pressed.unwrap().chunk.times, Some((*found, *found)));
            *found += 1;
        };
        for threads in [1, 2, 5] {
            let press = Press::new(Compression::Zstd(1), Some(threads));
            let mut belts = [(); 2].map(|()| Belt::new(press.clone()));
            let mut found = [0; 2];
            for number in 0..60 {
                for (belt, found) in belts.iter_mut().zip(&mut found) {
                    let bytes = if number % 20 == 7 { PRESS_BYTES_MAX / 3 } else { 100_000 };
                    let mut refused = belt.push(chunk(number, bytes));
                    while let Err(chunk) = refused {
                        count(found, belt.next().expect("others are under way"));
                        refused = belt.push(chunk);
                    }
                    assert!(press.shared.lock().bytes <= PRESS_BYTES_MAX);
                    assert!(belt.tickets.len() <= AHEAD_PER_THREAD * threads);
                    while let Some(pressed) = belt.try_next() {
                        count(found, pressed);
                    }
                }
            }
            // One is written to its end, the other is forgotten half-way, as after a failure.
            let [mut belt, other] = belts;
            while let Some(pressed) = belt.next() {
                count(&mut found[0], pressed);
            }
            assert_eq!(found[0], 60, "with {threads} threads");
            drop((belt, other));
            let shared = press.shared.clone();
            drop(press);
            assert_eq!(shared.lock().bytes, 0, "with {threads} threads");
        }
    }
}
