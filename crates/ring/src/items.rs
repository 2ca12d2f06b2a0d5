//! What is in a queue: `crossbeam`'s `ArrayQueue`, and a stand-in for it where loom tries every order of memory accesses.

#[cfg(not(loom))]
pub(crate) use crossbeam_queue::ArrayQueue as Items;
#[cfg(loom)]
pub(crate) use model::Items;

#[cfg(loom)]
mod model {
    use std::collections::VecDeque;

    use loom::sync::Mutex;
    use loom::sync::atomic::{AtomicUsize, Ordering};

    /// As weak as the original in what matters here: its length is a number of its own, which a look may find out of date. Its lock orders only
    /// those who found an item.
    #[derive(Debug)]
    pub(crate) struct Items<T> {
        items: Mutex<VecDeque<T>>,
        len: AtomicUsize,
        capacity: usize,
    }

    impl<T> Items<T> {
        pub(crate) fn new(capacity: usize) -> Self {
            Self { items: Mutex::new(VecDeque::new()), len: AtomicUsize::new(0), capacity }
        }

        pub(crate) fn push(&self, item: T) -> Result<(), T> {
            if self.is_full() {
                return Err(item);
            }
            self.items.lock().unwrap().push_back(item);
            // SYNC: pairs with the acquire in `pop`.
            self.len.fetch_add(1, Ordering::Release);
            Ok(())
        }

        pub(crate) fn pop(&self) -> Option<T> {
            // SYNC: pairs with the release in `push`.
            if self.len.load(Ordering::Acquire) == 0 {
                return None;
            }
            let item = self.items.lock().unwrap().pop_front();
            self.len.fetch_sub(usize::from(item.is_some()), Ordering::Release);
            item
        }

        pub(crate) fn len(&self) -> usize {
            self.len.load(Ordering::Acquire)
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }

        pub(crate) fn is_full(&self) -> bool {
            self.len() == self.capacity
        }

        pub(crate) fn capacity(&self) -> usize {
            self.capacity
        }
    }
}
