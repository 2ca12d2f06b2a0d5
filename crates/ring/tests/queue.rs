//! The queue against a naive one, its ends, and threads that sleep.
#![cfg(not(loom))]

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tamis_ring::{Bell, TryRecv, TrySend, queue};

/// A seeded sequence of operations gives the same answers as a `VecDeque` with the same bound.
#[test]
fn behaves_like_a_bounded_vecdeque() {
    for capacity in 1..=5 {
        let (tx, rx) = queue::<u64>(capacity, &[], &[]);
        let mut oracle = VecDeque::new();
        let mut state = capacity as u64;
        for item in 0..10_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if state >> 63 == 0 {
                let room = oracle.len() < capacity;
                if room {
                    oracle.push_back(item);
                }
                let expected = if room { Ok(()) } else { Err(TrySend::Full(item)) };
                assert_eq!(tx.try_send(item), expected);
            } else {
                assert_eq!(rx.try_recv(), oracle.pop_front().ok_or(TryRecv::Empty));
            }
            assert_eq!((rx.len(), tx.has_room()), (oracle.len(), oracle.len() < capacity));
        }
    }
}

#[test]
fn ends_close_the_queue_and_items_in_it_are_kept_or_dropped_once() {
    let (tx, rx) = queue::<Arc<()>>(4, &[], &[]);
    let item = Arc::new(());
    tx.try_send(item.clone()).unwrap();
    let second = tx.clone();
    drop(tx);
    assert!(rx.try_recv().is_ok());
    assert_eq!(rx.try_recv(), Err(TryRecv::Empty), "one sender is left");
    second.try_send(item.clone()).unwrap();
    drop(second);
    assert!(rx.try_recv().is_ok(), "sent before the end");
    assert_eq!(rx.try_recv(), Err(TryRecv::Closed));

    let (tx, rx) = queue::<Arc<()>>(4, &[], &[]);
    tx.try_send(item.clone()).unwrap();
    drop(rx);
    assert!(matches!(tx.try_send(item.clone()), Err(TrySend::Closed(_))));
    drop(tx);
    assert_eq!(Arc::strong_count(&item), 1, "the item left in the queue was dropped");
}

/// Several threads on each side of a tiny queue, all of them sleeping whenever they can: every item arrives once and nobody sleeps forever.
#[test]
fn sleeping_ends_lose_nothing() {
    const ITEMS: usize = 100_000;
    let bells: Vec<_> = (0..5).map(|_| Arc::new(Bell::default())).collect();
    let (tx, rx) = queue::<usize>(2, &[&bells[0], &bells[1]], &[&bells[2], &bells[3], &bells[4]]);
    let seen: Vec<AtomicUsize> = (0..2 * ITEMS).map(|_| AtomicUsize::new(0)).collect();
    let wait = |bell: &Bell, mut look: Box<dyn FnMut() -> bool + '_>| {
        while !look() {
            bell.announce();
            if look() {
                return bell.stay_awake();
            }
            bell.sleep(Duration::from_secs(3600));
        }
    };
    thread::scope(|scope| {
        for (part, bell) in bells[..2].iter().enumerate() {
            let tx = tx.clone();
            scope.spawn(move || {
                for item in part * ITEMS..(part + 1) * ITEMS {
                    wait(bell, Box::new(|| tx.try_send(item).is_ok()));
                }
            });
        }
        drop(tx);
        for bell in &bells[2..] {
            let rx = rx.clone();
            let seen = &seen;
            scope.spawn(move || {
                let mut open = true;
                while open {
                    wait(
                        bell,
                        Box::new(|| match rx.try_recv() {
                            Ok(item) => {
                                seen[item].fetch_add(1, Ordering::Relaxed);
                                true
                            }
                            Err(TryRecv::Closed) => {
                                open = false;
                                true
                            }
                            Err(TryRecv::Empty) => false,
                        }),
                    );
                }
            });
        }
    });
    assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
}
