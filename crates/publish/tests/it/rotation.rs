//! Readers beside a writer.

use crate::sample::{NAME, certificate, name, number_in};
use gatecert_publish::FileStore;
use rustix::fs::{CWD, FileType, Mode};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const ROTATIONS: u32 = 300;
const READS: usize = 300;

/// As a gateway that resolves `current` once. None when the version was removed meanwhile, which takes two rotations.
fn read_once(entry: &Path) -> Option<u32> {
    let current = || fs::read_link(entry.join("current")).unwrap();
    let version = current();
    let number = number_in(&entry.join(&version));
    assert!(number.is_some() || current() != version, "`{}` is current and mixed", version.display());
    number
}

#[test]
fn a_reader_never_sees_a_mixed_pair() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    store.publish(&certificate(1)).unwrap();
    let (ended, by_link, by_load) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let by_hand = scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                if read_once(&scratch.path().join(NAME)).is_some() {
                    by_link.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let by_store = scope.spawn(|| {
            let reader = FileStore::open_read_only(scratch.path()).unwrap();
            let mut last = 0;
            while !ended.load(Ordering::Relaxed) {
                let found = reader.load(&name()).unwrap().unwrap();
                let number = found.record.serial.parse().unwrap();
                assert_eq!(found, certificate(number));
                assert!(number >= last, "{number} after {last}");
                last = number;
                by_load.fetch_add(1, Ordering::Relaxed);
            }
        });
        let ending = EndOnDrop(&ended);
        let mut number = 1;
        let few = |reads: &AtomicUsize| reads.load(Ordering::Relaxed) < READS;
        let failed = || by_hand.is_finished() || by_store.is_finished();
        while (number <= ROTATIONS || few(&by_link) || few(&by_load)) && !failed() {
            number += 1;
            store.publish(&certificate(number)).unwrap();
        }
        drop(ending);
    });
    assert_eq!(store.names().unwrap(), [name()]);
}

/// A failed assertion of the writer must end the readers too.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A pipe in place of the record holds the reader in the midst of the old version while that goes.
#[test]
fn a_reader_whose_version_goes_reads_the_next_one() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    store.publish(&certificate(1)).unwrap();
    let record = scratch.path().join(NAME).join("versions/000001/cert.json");
    fs::remove_file(&record).unwrap();
    rustix::fs::mknodat(CWD, &record, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| store.load(&name()));
        let pipe = fs::File::options().write(true).open(&record).unwrap();
        store.publish(&certificate(2)).unwrap();
        store.publish(&certificate(3)).unwrap();
        assert!(!record.exists());
        drop(pipe);
        assert_eq!(reading.join().unwrap().unwrap(), Some(certificate(3)));
    });
}
