//! A crash between any two operations leaves the old state or the new one, and the next run puts the rest right.

use crate::sample::{NAME, certificate, name, number_in, record, tree};
use crate::stop::{Outcome, Stop, at_every_operation};
use gatecert_publish::{Action, FileStore, PublishError, Published};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn publish(store: &FileStore, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        store.publish(&certificate(number)).unwrap();
    }
}

fn is_switch((action, path): &(Action, PathBuf)) -> bool {
    *action == Action::Rename && path.ends_with("current")
}

/// What holds wherever publishing number `new` over `old` was stopped.
fn check_stopped_publication(outcome: Outcome<Result<Published, PublishError>>, old: Option<u32>, new: u32) {
    let Outcome { directory, result, done, place } = outcome;
    let switched = done.iter().any(is_switch);
    let expected = if switched { Some(new) } else { old };
    let number = |store: &gatecert_publish::StoreReader| {
        store.load(&name()).unwrap().map(|found| {
            assert_eq!(found, certificate(found.record.serial.parse().unwrap()), "{place}");
            found.record.serial.parse::<u32>().unwrap()
        })
    };
    assert_eq!(number(&FileStore::open_read_only(&directory).unwrap()), expected, "{place}");
    match &result {
        Ok(_) => assert!(switched, "{place}"),
        Err(error) => assert_eq!(error.is_in_place(), switched, "{place}: {error}"),
    }

    let store = FileStore::open(&directory).unwrap();
    assert_eq!(number(&store), expected, "{place}");
    let entry = directory.join(NAME);
    if let Some(expected) = expected {
        assert_eq!(number_in(&entry), Some(expected), "through the symlinks, {place}");
        assert!(entry.join("sds.yaml").is_file(), "{place}");
    }

    let published = store.publish(&certificate(99)).unwrap_or_else(|error| panic!("{place}: {error:?}"));
    assert_eq!(number(&store), Some(99), "{place}");
    assert_eq!(number_in(&entry), Some(99), "{place}");
    check_nothing_is_left_over(&entry, published.version, expected, &place);
}

fn check_nothing_is_left_over(entry: &Path, current: u32, previous: Option<u32>, place: &str) {
    let mut versions: Vec<u32> =
        fs::read_dir(entry.join("versions")).unwrap().map(|v| file_number(&v.unwrap().path())).collect();
    versions.sort_unstable();
    assert_eq!(versions.pop(), Some(current), "{place}");
    assert!(versions.len() <= 1, "{place}: {versions:?}");
    let kept = versions.first().map(|kept| entry.join(format!("versions/{kept:06}")));
    if previous.is_some() {
        assert_eq!(number_in(&kept.clone().unwrap()), previous, "the one before is kept, {place}");
    }
    let mut expected: Vec<String> = ["cert.json", "chain.pem", "tls.crt", "tls.key"]
        .iter()
        .map(|file| format!("{file} -> current/{file}"))
        .chain([format!("current -> versions/{current:06}"), "sds.yaml".to_owned()])
        .collect();
    for version in versions.into_iter().chain([current]) {
        expected.extend(
            ["cert.json", "chain.pem", "tls.crt", "tls.key"].map(|f| format!("versions/{version:06}/{f}")),
        );
    }
    expected.sort();
    assert_eq!(tree(entry), expected, "{place}");
}

fn file_number(path: &Path) -> u32 {
    path.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn a_stopped_first_publication_leaves_nothing_or_all() {
    let operations = at_every_operation(
        |_| {},
        |store| store.publish(&certificate(1)),
        |outcome| check_stopped_publication(outcome, None, 1),
    );
    assert!(operations > 30, "{operations}");
}

#[test]
fn a_stopped_rotation_leaves_the_old_pair_or_the_new_one() {
    let operations = at_every_operation(
        |store| publish(store, 1..=2),
        |store| store.publish(&certificate(3)),
        |outcome| check_stopped_publication(outcome, Some(2), 3),
    );
    assert!(operations > 20, "{operations}");
}

/// The key of a certificate that was never switched to must not lie about for ever.
#[test]
fn two_stops_in_a_row_leave_nothing_more_than_one() {
    at_every_operation(
        |store| publish(store, 1..=1),
        |store| store.publish(&certificate(2)),
        |outcome| {
            if outcome.result.is_ok() {
                return;
            }
            let stop = Stop::default();
            let store = stop.open(&outcome.directory);
            stop.after(outcome.done.len());
            let again = store.publish(&certificate(3));
            let done = [outcome.done, stop.seen()].concat();
            drop(store);
            let switched = done.iter().filter(|done| is_switch(done)).count();
            let in_place = [1, 2, 3][switched + usize::from(switched == 1 && again.is_ok())];
            let reader = FileStore::open_read_only(&outcome.directory).unwrap();
            assert_eq!(reader.load(&name()).unwrap(), Some(certificate(in_place)), "{}", outcome.place);
            let store = FileStore::open(&outcome.directory).unwrap();
            let current = store.publish(&certificate(99)).unwrap().version;
            check_nothing_is_left_over(
                &outcome.directory.join(NAME),
                current,
                Some(in_place),
                &outcome.place,
            );
        },
    );
}

#[test]
fn a_stopped_update_of_the_record_leaves_the_old_one_or_the_new_one() {
    let mut changed = record(1);
    changed.failures.count = 7;
    at_every_operation(
        |store| publish(store, 1..=1),
        |store| store.update_record(&changed),
        |outcome| {
            let store = FileStore::open(&outcome.directory).unwrap();
            let found = store.load(&name()).unwrap().unwrap();
            let renamed = outcome.done.iter().any(|(action, _)| *action == Action::Rename);
            assert_eq!(found.record, if renamed { changed.clone() } else { record(1) }, "{}", outcome.place);
            store.update_record(&changed).unwrap();
            publish(&store, 2..=3);
            check_nothing_is_left_over(&outcome.directory.join(NAME), 3, Some(2), &outcome.place);
        },
    );
}

#[test]
fn a_stopped_save_of_a_journal_leaves_the_old_one_or_the_new_one() {
    at_every_operation(
        |store| store.save_journal(&name(), b"old").unwrap(),
        |store| store.save_journal(&name(), b"new"),
        |outcome| {
            let store = FileStore::open(&outcome.directory).unwrap();
            let renamed = outcome.done.iter().any(|(action, _)| *action == Action::Rename);
            let expected: &[u8] = if renamed { b"new" } else { b"old" };
            assert_eq!(store.load_journal(&name()).unwrap().unwrap().to_vec(), expected, "{}", outcome.place);
            store.save_journal(&name(), b"next").unwrap();
            assert_eq!(tree(&outcome.directory.join(NAME)), ["journal.json"], "{}", outcome.place);
        },
    );
}

/// What a stopped save leaves may hold a private key.
#[test]
fn a_publication_sweeps_what_a_stopped_save_of_a_journal_left() {
    at_every_operation(
        |_| {},
        |store| store.save_journal(&name(), b"secret"),
        |outcome| {
            let store = FileStore::open(&outcome.directory).unwrap();
            store.clear_journal(&name()).unwrap();
            publish(&store, 1..=1);
            check_nothing_is_left_over(&outcome.directory.join(NAME), 1, None, &outcome.place);
        },
    );
}

#[test]
fn a_stopped_save_of_an_account_never_loses_a_key() {
    let slug = "ca.example".parse().unwrap();
    at_every_operation(
        |store| store.save_account(&slug, b"first").unwrap(),
        |store| store.save_account(&slug, b"second"),
        |outcome| {
            let store = FileStore::open(&outcome.directory).unwrap();
            let now = store.load_account(&slug).unwrap().unwrap();
            let before = store.load_previous_account(&slug).unwrap();
            match &*now {
                b"first" => assert!(outcome.result.is_err(), "{}", outcome.place),
                b"second" => assert_eq!(before.unwrap().to_vec(), b"first", "{}", outcome.place),
                other => panic!("{}: {other:?}", outcome.place),
            }
            store.save_account(&slug, b"second").unwrap();
            store.save_account(&slug, b"third").unwrap();
            assert_eq!(store.load_previous_account(&slug).unwrap().unwrap().to_vec(), b"second");
            let left = tree(&outcome.directory.join("accounts"));
            assert_eq!(left, ["ca.example/account.json", "ca.example/account.json.bak"], "{}", outcome.place);
        },
    );
}

#[test]
fn a_stopped_removal_leaves_all_or_nothing() {
    at_every_operation(
        |store| publish(store, 1..=2),
        |store| store.remove(&name()),
        |outcome| {
            let reader = FileStore::open_read_only(&outcome.directory).unwrap();
            let renamed = outcome.done.iter().any(|(action, _)| *action == Action::Rename);
            let expected = (!renamed).then(|| certificate(2));
            assert_eq!(reader.load(&name()).unwrap(), expected, "{}", outcome.place);
            let store = FileStore::open(&outcome.directory).unwrap();
            assert_eq!(store.load(&name()).unwrap(), expected, "{}", outcome.place);
            assert_eq!(store.remove(&name()).unwrap(), !renamed, "{}", outcome.place);
            assert_eq!(tree(&outcome.directory), [".lock"], "{}", outcome.place);
        },
    );
}

/// What a power failure may undo is not on the disk yet: files and entries that were not flushed. At the switch there
/// must be none but the switch itself.
#[test]
fn all_is_flushed_before_the_switch() {
    let scratch = tempfile::tempdir().unwrap();
    let stop = Stop::default();
    let store = stop.open(scratch.path());
    for number in 1..=3 {
        stop.after(usize::MAX);
        store.publish(&certificate(number)).unwrap();
        let mut files = BTreeSet::new();
        let mut directories = BTreeSet::new();
        let operations = stop.seen();
        for operation in &operations {
            let (action, path) = operation;
            let parent = path.parent().unwrap().to_owned();
            if is_switch(operation) {
                assert_eq!(files, BTreeSet::new());
                assert_eq!(directories, BTreeSet::from([parent.clone()]), "only the temporary symlink");
            }
            match action {
                Action::WriteFile => drop(files.insert(path.clone())),
                Action::SyncFile => drop(files.remove(path)),
                Action::CreateFile | Action::CreateDirectory | Action::CreateSymlink | Action::Rename => {
                    directories.insert(parent);
                }
                Action::SyncDirectory => drop(directories.remove(path)),
                _ => {}
            }
        }
        assert_eq!((files, directories), (BTreeSet::new(), BTreeSet::new()), "at the end");
        assert_eq!(operations.iter().filter(|operation| is_switch(operation)).count(), 1);
    }
}

#[test]
fn a_full_disk_leaves_the_old_pair_and_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let observed = Arc::clone(&full);
    let store = FileStore::open_observed(
        scratch.path(),
        Arc::new(move |action, path| match action {
            Action::WriteFile if observed.load(Ordering::Relaxed) && path.ends_with("tls.crt") => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }),
    )
    .unwrap();
    publish(&store, 1..=1);
    for _ in 0..3 {
        full.store(true, Ordering::Relaxed);
        let error = store.publish(&certificate(2)).unwrap_err();
        assert!(!error.is_in_place());
        let text = crate::sample::chain(&error);
        assert!(text.contains("what was there before is still in use: could not write `"), "{text}");
        assert!(text.contains("tls.crt`: no storage space"), "{text}");
        assert_eq!(store.load(&name()).unwrap(), Some(certificate(1)));
        let unfinished = tree(scratch.path()).iter().filter(|path| path.contains(".new-")).count();
        assert!(unfinished <= 2, "they do not heap up: {unfinished}");
    }
    full.store(false, Ordering::Relaxed);
    let current = store.publish(&certificate(2)).unwrap().version;
    check_nothing_is_left_over(&scratch.path().join(NAME), current, Some(1), "after a full disk");
}
