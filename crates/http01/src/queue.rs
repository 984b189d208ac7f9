//! The order in which connections give way to new ones.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// How long a connection may wait for a whole head before it has to give way to others. The request of a client that
/// means it is right behind its connection. With 512 connections room is made 2,048 times a second, so that the 4,096
/// that the kernel keeps wait 2 s, a fifth of what Let's Encrypt waits for.
pub(crate) const GRACE: Duration = Duration::from_millis(250);

/// The connections that wait for a whole head of a request, whether nothing of it has come or a part: the one that has
/// waited longest is the first. One whose request is being answered is not in it.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    /// Told when a connection begins to wait.
    joined: Notify,
    /// Told when a connection that should give way is answered instead.
    spared: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// By number, when each may have to give way.
    all: BTreeMap<u64, (Instant, Arc<Eviction>)>,
}

/// What a connection is told.
#[derive(Debug, Default)]
struct Eviction {
    is_due: AtomicBool,
    told: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has one connection after the other give way, each when it has waited for [`GRACE`], until one does. Has no end of
    /// its own.
    pub(crate) async fn make_room(&self) {
        loop {
            let first = self.lock().all.first_key_value().map(|(number, (due, _))| (*number, *due));
            match first {
                Some((number, due)) => {
                    sleep_until(due).await;
                    if self.tell(number) {
                        self.spared.notified().await;
                    }
                }
                None => self.joined.notified().await,
            }
        }
    }

    /// Tells a connection to give way, if it still waits.
    fn tell(&self, number: u64) -> bool {
        let told = self.lock().all.remove(&number);
        if let Some((_, eviction)) = &told {
            eviction.is_due.store(true, Ordering::Relaxed);
            eviction.told.notify_one();
        }
        told.is_some()
    }
}

/// A connection's place. Its last clone leaves when it is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Place(Arc<Held>);

#[derive(Debug)]
struct Held {
    queue: Arc<Queue>,
    number: AtomicU64,
    eviction: Arc<Eviction>,
}

impl Place {
    /// The last place.
    pub(crate) fn last(queue: &Arc<Queue>) -> Self {
        let held = Held { queue: Arc::clone(queue), number: AtomicU64::new(0), eviction: Arc::default() };
        let place = Self(Arc::new(held));
        place.rejoin();
        place
    }

    /// A request has come: it is answered, whoever else comes. If it was told to give way, and has not yet, another
    /// one is.
    pub(crate) fn leave(&self) {
        let mut waiting = self.0.queue.lock();
        waiting.all.remove(&self.0.number.load(Ordering::Relaxed));
        drop(waiting);
        if self.0.eviction.is_due.swap(false, Ordering::Relaxed) {
            self.0.queue.spared.notify_one();
        }
    }

    /// The answer is made: the wait for the next request begins, behind all others.
    pub(crate) fn rejoin(&self) {
        let mut waiting = self.0.queue.lock();
        let number = waiting.next;
        waiting.next += 1;
        self.0.number.store(number, Ordering::Relaxed);
        waiting.all.insert(number, (sleep(GRACE).deadline(), Arc::clone(&self.0.eviction)));
        drop(waiting);
        self.0.queue.joined.notify_one();
    }

    /// Completes when the connection has to give way.
    pub(crate) async fn evicted(&self) {
        while !self.0.eviction.is_due.load(Ordering::Relaxed) {
            self.0.eviction.told.notified().await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.queue.lock().all.remove(&self.number.load(Ordering::Relaxed));
    }
}
