//! How a thread sleeps until one of several queues changes.

use std::sync::OnceLock;
use std::time::Duration;

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(loom)]
use loom::thread::{self, Thread};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering, fence};
#[cfg(not(loom))]
use std::thread::{self, Thread};

/// One thread's bell: it sleeps, others ring.
///
/// ```text
///   sleeper                              ringer
///   announce: asleep = true              change: push an item
///   fence                                fence
///   look:     is there an item?          look:   asleep? then asleep = false and unpark
///   sleep:    park until asleep = false
/// ```
///
/// Both fences are sequentially consistent, so at least one of the two looks sees the other side's write: either the sleeper finds the item, or
/// the ringer finds the sleeper. That is invariant I2 of the crate; the loom test at the end of this file checks it.
#[derive(Debug)]
pub struct Bell {
    asleep: AtomicBool,
    owner: OnceLock<Thread>,
}

impl Default for Bell {
    fn default() -> Self {
        Self { asleep: AtomicBool::new(false), owner: OnceLock::new() }
    }
}

impl Bell {
    /// Says that the calling thread is about to sleep. It must look at everything it waits for once more before [`Bell::sleep`].
    ///
    /// # Panics
    /// If another thread announced itself on this bell before: a bell has one owner.
    pub fn announce(&self) {
        let owner = self.owner.get_or_init(thread::current);
        assert_eq!(owner.id(), thread::current().id(), "a bell belongs to one thread");
        // SYNC: release pairs with the acquire of the swap in `ring`: whoever takes the announcement sees its owner.
        self.asleep.store(true, Ordering::Release);
        // SYNC: pairs with the fence in `ring`.
        fence(Ordering::SeqCst);
    }

    /// Takes the announcement back: the last look found something.
    pub fn stay_awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Sleeps until rung since the last [`Bell::announce`], at most `limit` long.
    pub fn sleep(&self, limit: Duration) {
        #[cfg(not(loom))]
        if self.asleep.load(Ordering::Relaxed) {
            // A wake-up for no reason only costs one more look by the caller.
            thread::park_timeout(limit);
        }
        #[cfg(loom)]
        {
            let _ = limit;
            while self.asleep.load(Ordering::Relaxed) {
                thread::park();
            }
        }
        self.stay_awake();
    }

    /// Wakes the owner if it sleeps or is about to; says whether it did. Call after the change that the owner waits for.
    pub fn ring(&self) -> bool {
        // SYNC: pairs with the fence in `announce`.
        fence(Ordering::SeqCst);
        // SYNC: acquire pairs with the release in `announce`. The load before it only saves a write.
        let wake = self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Acquire);
        if wake && let Some(owner) = self.owner.get() {
            owner.unpark();
        }
        wake
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn a_ring_after_the_announcement_ends_the_sleep() {
        let bell = Arc::new(Bell::default());
        let before = Instant::now();
        bell.announce();
        assert!(bell.ring(), "announced, so there was someone to wake");
        bell.sleep(Duration::from_secs(60));
        assert!(!bell.ring(), "awake again, nobody to wake");
        thread::park_timeout(Duration::ZERO); // takes the token that the first ring left
        bell.announce();
        let ringer = bell.clone();
        let thread = thread::spawn(move || assert!(ringer.ring(), "announced before the thread began"));
        bell.sleep(Duration::from_secs(60));
        thread.join().unwrap();
        assert!(before.elapsed() < Duration::from_secs(30), "neither sleep ran to its limit");
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;

    /// One item, one ringer, one sleeper: the sleeper always gets the item. Without either fence loom finds the lost wake-up.
    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| {
            let shared = Arc::new((Bell::default(), AtomicUsize::new(0)));
            let theirs = shared.clone();
            let ringer = thread::spawn(move || {
                theirs.1.store(1, Ordering::Relaxed);
                theirs.0.ring();
            });
            while shared.1.load(Ordering::Relaxed) == 0 {
                shared.0.announce();
                if shared.1.load(Ordering::Relaxed) == 1 {
                    shared.0.stay_awake();
                    break;
                }
                shared.0.sleep(Duration::MAX);
            }
            ringer.join().unwrap();
        });
    }
}
