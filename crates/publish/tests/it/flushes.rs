//! How often the disk is waited for.

use crate::sample::{certificate, name, record};
use crate::stop::Stop;
use gatecert_publish::{Action, FileStore};
use std::path::Path;

/// The flushes of one step after the other.
struct Flushes {
    stop: Stop,
    all: Vec<(&'static str, usize)>,
}

impl Flushes {
    fn open(directory: &Path) -> (Self, FileStore) {
        let stop = Stop::default();
        stop.after(usize::MAX);
        let store = stop.open(directory);
        let mut flushes = Self { stop, all: Vec::new() };
        flushes.of("open", || {});
        (flushes, store)
    }

    fn of(&mut self, step: &'static str, act: impl FnOnce()) {
        act();
        let is_flush = |action| matches!(action, Action::SyncFile | Action::SyncDirectory);
        let flushes = self.stop.seen().into_iter().filter(|(action, _)| is_flush(*action)).count();
        self.all.push((step, flushes));
        self.stop.after(usize::MAX);
    }

    /// The steps of an issue, as the command line takes them.
    fn issue(&mut self, store: &FileStore, number: u32) {
        self.of("prepare", || drop(store.prepare(&name())));
        self.of("journal", || store.save_journal(&name(), b"{}").unwrap());
        self.of("publish", || drop(store.publish(&certificate(number)).unwrap()));
        self.of("clear", || assert!(store.clear_journal(&name()).unwrap()));
        self.of("record", || store.update_record(&record(number)).unwrap());
    }

    fn total(&self) -> usize {
        self.all.iter().map(|(_, count)| count).sum()
    }
}

#[test]
fn of_a_first_issue() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut flushes, store) = Flushes::open(&scratch.path().join("certificates"));
    let [begun, account] = ["ca.example.begun", "ca.example"].map(|slug| slug.parse().unwrap());
    flushes.of("account begun", || store.save_account(&begun, b"key").unwrap());
    flushes.of("account", || store.save_account(&account, b"account").unwrap());
    flushes.of("account done", || assert!(store.remove_account(&begun).unwrap()));
    flushes.issue(&store, 1);
    let expected = [
        // The directory above.
        ("open", 1),
        // The file, its directory, `accounts`, the store.
        ("account begun", 4),
        // The file, its directory, `accounts`.
        ("account", 3),
        ("account done", 1),
        // Nothing that the next step would not flush.
        ("prepare", 0),
        // The file, the directory of the certificate with all that was prepared in it, the store.
        ("journal", 3),
        // Four files, the version, `versions`; behind the switch `sds.yaml` and the directory of the certificate.
        ("publish", 8),
        ("clear", 1),
        // The file, the version.
        ("record", 2),
    ];
    assert_eq!(flushes.all, expected);
    assert_eq!(flushes.total(), 23);
}

#[test]
fn of_a_renewal() {
    let scratch = tempfile::tempdir().unwrap();
    FileStore::open(scratch.path()).unwrap().publish(&certificate(1)).unwrap();
    let (mut flushes, store) = Flushes::open(scratch.path());
    flushes.issue(&store, 2);
    // What is there at the start may not have been flushed by the run before: the journal's step does it.
    let expected = [("open", 0), ("prepare", 0), ("journal", 3), ("publish", 7), ("clear", 1), ("record", 2)];
    assert_eq!(flushes.all, expected);
    assert_eq!(flushes.total(), 13);
}

/// Without a journal before it, a publication flushes what was made for it itself.
#[test]
fn of_a_publication_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut flushes, store) = Flushes::open(scratch.path());
    flushes.of("first", || drop(store.publish(&certificate(1)).unwrap()));
    flushes.of("second", || drop(store.publish(&certificate(2)).unwrap()));
    flushes.of("third", || drop(store.publish(&certificate(3)).unwrap()));
    assert_eq!(flushes.all, [("open", 0), ("first", 10), ("second", 7), ("third", 7)]);
}
