//! How long connections wait for a request, and the order in which they give way to new ones.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// How long a connection may wait for a whole head before it has to give way to others. The request of a client that
/// means it is right behind its connection. With 512 connections room is made 2,048 times a second, so that the 4,096
/// that the kernel keeps wait 2 s, a fifth of what Let's Encrypt waits for.
pub(crate) const GRACE: Duration = Duration::from_millis(250);

/// Stands for no time in [`Wait::since`].
const ANSWERING: u64 = 0;

/// The open connections. Each knows itself since when it waits for a whole head of a request, so that a request costs no
/// more than two stores; who has waited longest is looked for when there is no room, among as many as there may be.
#[derive(Debug)]
pub(crate) struct Queue {
    /// What times are counted from.
    start: Instant,
    open: Mutex<Open>,
    /// Told when a connection begins to wait.
    joined: Notify,
    /// Told when a connection that should give way is answered instead.
    spared: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Arc<Wait>>,
}

/// The wait of one connection.
#[derive(Debug, Default)]
struct Wait {
    /// Nanoseconds after the start of the queue, or [`ANSWERING`].
    since: AtomicU64,
    is_due: AtomicBool,
    told: Notify,
}

/// The present time, as the runtime's timers count it. Tests may pause both.
#[allow(clippy::disallowed_methods, reason = "it is compared with deadlines of timers alone")]
fn now() -> Instant {
    Instant::now()
}

impl Queue {
    /// An empty one.
    pub(crate) fn new() -> Arc<Self> {
        let (open, joined, spared) = (Mutex::default(), Notify::new(), Notify::new());
        Arc::new(Self { start: now(), open, joined, spared })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After [`ANSWERING`], whatever the clock says. 584 years are enough.
    fn time(&self) -> u64 {
        let since = now().duration_since(self.start).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX).max(ANSWERING + 1)
    }

    fn instant(&self, time: u64) -> Instant {
        self.start + Duration::from_nanos(time)
    }

    /// Has one connection after the other give way, each when it has waited for [`GRACE`], until one does. Has no end of
    /// its own.
    pub(crate) async fn make_room(&self) {
        loop {
            match self.longest() {
                Some((wait, since)) => {
                    sleep_until(self.instant(since) + GRACE).await;
                    if self.tell(&wait, since) {
                        self.spared.notified().await;
                    }
                }
                None => self.joined.notified().await,
            }
        }
    }

    /// The connection that has waited longest, of those that were not told yet.
    fn longest(&self) -> Option<(Arc<Wait>, u64)> {
        let open = self.open();
        let waiting = open.all.values().filter(|wait| !wait.is_due.load(Ordering::SeqCst));
        let since = waiting.map(|wait| (wait.since.load(Ordering::SeqCst), wait));
        let (since, wait) = since.filter(|(since, _)| *since != ANSWERING).min_by_key(|(since, _)| *since)?;
        Some((Arc::clone(wait), since))
    }

    /// Tells a connection to give way, if it still waits for the same request. Whether it was told: it ends then, or says
    /// that it was spared.
    fn tell(&self, wait: &Wait, since: u64) -> bool {
        wait.is_due.store(true, Ordering::SeqCst);
        if wait.since.load(Ordering::SeqCst) == since {
            wait.told.notify_one();
            return true;
        }
        // Its request has come in this moment. Either it has seen that it was told, and says so, or it never will.
        !wait.is_due.swap(false, Ordering::SeqCst)
    }
}

/// A connection's place. Its last clone leaves when it is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Place(Arc<Held>);

#[derive(Debug)]
struct Held {
    queue: Arc<Queue>,
    number: u64,
    wait: Arc<Wait>,
}

impl Place {
    /// The last place.
    pub(crate) fn last(queue: &Arc<Queue>) -> Self {
        let wait = Arc::new(Wait::default());
        let mut open = queue.open();
        let number = open.next;
        open.next += 1;
        open.all.insert(number, Arc::clone(&wait));
        drop(open);
        let place = Self(Arc::new(Held { queue: Arc::clone(queue), number, wait }));
        place.rejoin();
        place
    }

    /// A request has come: it is answered, whoever else comes. If it was told to give way, and has not yet, another
    /// one is.
    pub(crate) fn leave(&self) {
        let Held { queue, wait, .. } = &*self.0;
        wait.since.store(ANSWERING, Ordering::SeqCst);
        if wait.is_due.swap(false, Ordering::SeqCst) {
            queue.spared.notify_one();
        }
    }

    /// The answer is made: the wait for the next request begins, behind all others.
    pub(crate) fn rejoin(&self) {
        let Held { queue, wait, .. } = &*self.0;
        wait.since.store(queue.time(), Ordering::SeqCst);
        queue.joined.notify_one();
    }

    /// Completes when the connection has to give way. One that is answering was told too late.
    pub(crate) async fn evicted(&self) {
        let wait = &self.0.wait;
        while !wait.is_due.load(Ordering::SeqCst) || wait.since.load(Ordering::SeqCst) == ANSWERING {
            wait.told.notified().await;
        }
    }

    /// Completes when the connection has waited so long for a whole head. One timer serves all requests of a connection:
    /// to set one anew for each costs 3 % of a request.
    pub(crate) async fn overdue(&self, limit: Duration) {
        loop {
            let Held { queue, wait, .. } = &*self.0;
            match wait.since.load(Ordering::SeqCst) {
                ANSWERING => sleep(limit).await,
                since if queue.instant(since) + limit <= now() => return,
                since => sleep_until(queue.instant(since) + limit).await,
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.queue.open().all.remove(&self.number);
    }
}
