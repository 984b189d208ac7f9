//! Certificates that something is in the way of, and when they are looked at again: when gateways or routes change.

use gatecert_api::Certificate;
use kube::runtime::reflector::ObjectRef;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long changes are gathered.
const GATHER: Duration = Duration::from_millis(50);

/// The blocked Certificates.
#[derive(Debug)]
pub(crate) struct Blocked {
    /// Counts the changes of gateways and routes.
    changes: watch::Receiver<u64>,
    certificates: Mutex<HashSet<ObjectRef<Certificate>>>,
    /// Told of a Certificate whose look had not seen all changes.
    is_late: Notify,
}

impl Blocked {
    /// None yet.
    pub(crate) fn new(changes: watch::Receiver<u64>) -> Self {
        Self { changes, certificates: Mutex::default(), is_late: Notify::new() }
    }

    /// The changes so far: what a look sees that begins now.
    pub(crate) fn changes(&self) -> u64 {
        *self.changes.borrow()
    }

    /// Remembers a Certificate whose look has seen so many changes. What came after may be what it waits for, and was told
    /// before anybody knew that it waits.
    pub(crate) fn add(&self, certificate: ObjectRef<Certificate>, seen: u64) {
        self.certificates.lock().unwrap_or_else(PoisonError::into_inner).insert(certificate);
        if self.changes() != seen {
            self.is_late.notify_one();
        }
    }

    /// Waits for changes that `changes` has not seen yet, and takes those that are blocked then; nothing where no change can
    /// come any more. There is one who waits.
    pub(crate) async fn after_change(
        &self,
        changes: &mut watch::Receiver<u64>,
    ) -> Option<HashSet<ObjectRef<Certificate>>> {
        loop {
            tokio::select! {
                changed = changes.changed() => changed.ok()?,
                () = self.is_late.notified() => {}
            }
            tokio::time::sleep(GATHER).await;
            changes.mark_unchanged();
            let mut certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
            if !certificates.is_empty() {
                return Some(std::mem::take(&mut *certificates));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn certificate(name: &str) -> ObjectRef<Certificate> {
        ObjectRef::new(name).within("shop")
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_has_the_blocked_looked_at() {
        let (change, mut changes) = watch::channel(0);
        let blocked = Blocked::new(changes.clone());
        for round in 0..2 {
            blocked.add(certificate("www"), blocked.changes());
            let hour = Duration::from_secs(3600);
            let waiting = tokio::time::timeout(hour, blocked.after_change(&mut changes)).await;
            assert!(waiting.is_err(), "nothing has changed in round {round}: {waiting:?}");
            change.send_modify(|count| *count += 1);
            assert_eq!(blocked.after_change(&mut changes).await, Some([certificate("www")].into()));
        }
        drop(change);
        assert_eq!(blocked.after_change(&mut changes).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_during_a_look_is_not_missed() {
        let (change, mut changes) = watch::channel(0);
        let blocked = Blocked::new(changes.clone());
        let mut waiting = Box::pin(blocked.after_change(&mut changes));
        assert!((&mut waiting).now_or_never().is_none());
        let seen = blocked.changes();
        change.send_modify(|count| *count += 1);
        // Who was blocked is asked for while the look still writes what it has found.
        assert!(tokio::time::timeout(2 * GATHER, &mut waiting).await.is_err());
        blocked.add(certificate("late"), seen);
        let found = tokio::time::timeout(2 * GATHER, waiting).await;
        assert_eq!(found, Ok(Some([certificate("late")].into())));
    }
}
