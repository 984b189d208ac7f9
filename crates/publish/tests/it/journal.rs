//! The journal of an issuance.

use crate::sample::{certificate, name};
use gatecert_publish::FileStore;

#[test]
fn a_journal_is_saved_replaced_and_cleared() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    assert_eq!(store.load_journal(&name()).unwrap(), None);
    assert!(!store.clear_journal(&name()).unwrap());
    for journal in [&b"{\"order\":1}"[..], b"", &[0xff; 100_000]] {
        store.save_journal(&name(), journal).unwrap();
        assert_eq!(store.load_journal(&name()).unwrap().unwrap().to_vec(), journal);
    }
    assert!(store.clear_journal(&name()).unwrap());
    assert_eq!(store.load_journal(&name()).unwrap(), None);
}

#[test]
fn a_journal_and_a_certificate_do_not_touch_each_other() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    store.save_journal(&name(), b"pending").unwrap();
    assert_eq!(store.load(&name()).unwrap(), None);
    assert!(store.names().unwrap().is_empty());

    store.publish(&certificate(1)).unwrap();
    assert_eq!(store.load_journal(&name()).unwrap().unwrap().to_vec(), b"pending");
    store.clear_journal(&name()).unwrap();
    assert_eq!(store.load(&name()).unwrap(), Some(certificate(1)));

    store.save_journal(&name(), b"again").unwrap();
    store.remove(&name()).unwrap();
    assert_eq!(store.load_journal(&name()).unwrap(), None);
}
