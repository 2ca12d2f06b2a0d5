//! The bounded queue and its two kinds of ends.

use std::fmt;
use std::sync::Arc;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;
#[cfg(loom)]
use loom::sync::atomic::{AtomicUsize, Ordering};

use crate::Bell;
use crate::items::Items;

/// Why an item came back.
#[derive(Debug, PartialEq, Eq)]
pub enum TrySend<T> {
    /// No room now; the sender's bell rings when there is.
    Full(T),
    /// No receiver is left.
    Closed(T),
}

/// Why there is no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecv {
    /// None now; the receiver's bell rings when there is.
    Empty,
    /// None ever again: the queue is empty and no sender is left.
    Closed,
}

struct Shared<T> {
    items: Items<T>,
    senders: CachePadded<AtomicUsize>,
    receivers: CachePadded<AtomicUsize>,
    /// Rung when room appears.
    sender_bells: Vec<Arc<Bell>>,
    /// Rung when an item appears.
    receiver_bells: Vec<Arc<Bell>>,
}

/// A queue of at most `capacity` items between threads that sleep on the given bells.
///
/// A bell may serve several queues: its owner then looks at all of them when it wakes.
///
/// # Panics
/// If `capacity` is 0.
pub fn queue<T>(
    capacity: usize,
    sender_bells: &[&Arc<Bell>],
    receiver_bells: &[&Arc<Bell>],
) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        items: Items::new(capacity),
        senders: CachePadded::new(AtomicUsize::new(1)),
        receivers: CachePadded::new(AtomicUsize::new(1)),
        sender_bells: sender_bells.iter().map(|&bell| bell.clone()).collect(),
        receiver_bells: receiver_bells.iter().map(|&bell| bell.clone()).collect(),
    });
    (Sender { shared: shared.clone(), patience: 1 }, Receiver { shared })
}

/// Wakes every sleeper, and not just one: a single sleeper might still lack another resource and block one that could proceed.
fn ring_all(bells: &[Arc<Bell>]) {
    bells.iter().for_each(|bell| {
        bell.ring();
    });
}

/// The end that puts items in. Clones share the queue.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    /// Items that must wait before receivers are rung.
    patience: usize,
}

impl<T> Sender<T> {
    /// Puts an item in, or hands it back.
    pub fn try_send(&self, item: T) -> Result<(), TrySend<T>> {
        // SYNC: pairs with the release in `Receiver::drop`; an item sent just before the last receiver leaves is dropped with the queue.
        if self.shared.receivers.load(Ordering::Acquire) == 0 {
            return Err(TrySend::Closed(item));
        }
        self.shared.items.push(item).map_err(TrySend::Full)?;
        if self.patience <= 1 || self.shared.items.len() >= self.patience {
            ring_all(&self.shared.receiver_bells);
        }
        Ok(())
    }

    /// An end that lets receivers sleep until so many items wait: one wake-up for several items, where a wake-up costs more than the wait. Its
    /// owner calls [`Self::wake`] before it has a pause itself.
    #[must_use]
    pub fn patient(mut self, items: usize) -> Self {
        self.patience = items;
        self
    }

    /// Rings receivers for whatever waits.
    pub fn wake(&self) {
        if !self.shared.items.is_empty() {
            ring_all(&self.shared.receiver_bells);
        }
    }

    /// Room now? It may shrink at once if there are other senders, and can only grow if this is the only one.
    pub fn has_room(&self) -> bool {
        !self.shared.items.is_full()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        // Relaxed is enough to go up from at least 1: this end keeps the count from reaching 0 meanwhile.
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self { shared: self.shared.clone(), patience: self.patience }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // SYNC: release pairs with the acquire in `Receiver::try_recv`: who sees 0 also sees every item that was sent.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            ring_all(&self.shared.receiver_bells);
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({} of {})", self.shared.items.len(), self.shared.items.capacity())
    }
}

/// The end that takes items out. Clones share the queue; each item goes to one of them.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Takes the oldest item.
    pub fn try_recv(&self) -> Result<T, TryRecv> {
        // The count is read before the queue: if it is 0 here, nothing can be pushed after, so empty means closed.
        // SYNC: pairs with the release in `Sender::drop`.
        let closed = self.shared.senders.load(Ordering::Acquire) == 0;
        match self.shared.items.pop() {
            Some(item) => {
                ring_all(&self.shared.sender_bells);
                Ok(item)
            }
            None if closed => Err(TryRecv::Closed),
            None => Err(TryRecv::Empty),
        }
    }

    /// Items now; a hint for monitors, never a basis for a decision.
    pub fn len(&self) -> usize {
        self.shared.items.len()
    }

    /// No item now? Another may arrive at once.
    pub fn is_empty(&self) -> bool {
        self.shared.items.is_empty()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Self { shared: self.shared.clone() }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // SYNC: release pairs with the acquire in `Sender::try_send`.
        if self.shared.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            ring_all(&self.shared.sender_bells);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({} of {})", self.shared.items.len(), self.shared.items.capacity())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Was the bell rung? Its owner announces itself again.
    fn rung(bell: &Bell) -> bool {
        // Whoever rings an announced bell takes the announcement, and only one can.
        let was_rung = !bell.ring();
        bell.announce();
        was_rung
    }

    #[test]
    fn a_patient_sender_rings_for_enough_items_for_a_pause_and_when_it_leaves() {
        let bell = Arc::<Bell>::default();
        bell.announce();
        let (sender, receiver) = queue(8, &[], &[&bell]);
        sender.try_send(0).unwrap();
        assert!(rung(&bell), "an impatient sender rings at once");
        let sender = sender.patient(3);
        sender.try_send(1).unwrap();
        assert!(!rung(&bell), "two of three items wait");
        sender.wake();
        assert!(rung(&bell), "a pause");
        sender.clone().try_send(2).unwrap();
        assert!(rung(&bell), "three items wait");
        while receiver.try_recv().is_ok() {}
        sender.wake();
        assert!(!rung(&bell), "nothing waits");
        sender.try_send(3).unwrap();
        assert!(!rung(&bell), "one item waits");
        drop(sender);
        assert!(rung(&bell), "the last sender left");
        assert_eq!((receiver.try_recv(), receiver.try_recv()), (Ok(3), Err(TryRecv::Closed)));
    }
}

#[cfg(all(test, loom))]
mod models {
    use std::time::Duration;

    use loom::thread;

    use super::*;

    /// Takes an item, or sleeps for ever: loom reports a sleeper that nobody wakes.
    fn take(receiver: &Receiver<u8>, bell: &Bell) -> Result<u8, TryRecv> {
        loop {
            bell.announce();
            match receiver.try_recv() {
                Err(TryRecv::Empty) => bell.sleep(Duration::MAX),
                taken => {
                    bell.stay_awake();
                    return taken;
                }
            }
        }
    }

    /// Two items with patience for two, then a pause: the receiver, which may take the first before the second is there, gets both without another
    /// wake-up. Without [`Sender::wake`] loom finds the sleeper.
    #[test]
    fn what_a_patient_sender_sent_before_its_pause_is_found() {
        loom::model(|| {
            let bell = Arc::<Bell>::default();
            let (sender, receiver) = queue(2, &[], &[&bell]);
            let sender = sender.patient(2);
            let sending = thread::spawn(move || {
                (1..=2).for_each(|item| sender.try_send(item).unwrap());
                sender.wake();
                sender
            });
            assert_eq!([take(&receiver, &bell), take(&receiver, &bell)], [Ok(1), Ok(2)]);
            drop(sending.join().unwrap());
        });
    }

    /// One item, which is not worth a wake-up, and the end: the receiver gets both.
    #[test]
    fn a_patient_sender_that_leaves_wakes_the_receiver() {
        loom::model(|| {
            let bell = Arc::<Bell>::default();
            let (sender, receiver) = queue(2, &[], &[&bell]);
            let sender = sender.patient(2);
            let sending = thread::spawn(move || sender.try_send(1).unwrap());
            assert_eq!([take(&receiver, &bell), take(&receiver, &bell)], [Ok(1), Err(TryRecv::Closed)]);
            sending.join().unwrap();
        });
    }
}
