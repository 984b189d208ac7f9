//! Accounts.

use gatecert_publish::{AccountSlug, FileStore};
use std::os::unix::fs::MetadataExt;

fn slug(text: &str) -> AccountSlug {
    text.parse().unwrap()
}

#[test]
fn accounts_are_saved_listed_and_removed() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    assert!(store.accounts().unwrap().is_empty());
    assert_eq!(store.load_account(&slug("b")).unwrap(), None);
    store.save_account(&slug("b"), b"of b").unwrap();
    store.save_account(&slug("a"), b"of a").unwrap();
    std::fs::create_dir(scratch.path().join("accounts/empty")).unwrap();

    let reader = FileStore::open_read_only(scratch.path()).unwrap();
    assert_eq!(reader.accounts().unwrap(), [slug("a"), slug("b")]);
    assert_eq!(reader.load_account(&slug("b")).unwrap().unwrap().to_vec(), b"of b");
    assert!(store.remove_account(&slug("b")).unwrap());
    assert!(!store.remove_account(&slug("b")).unwrap());
    assert_eq!(reader.accounts().unwrap(), [slug("a")]);
}

#[test]
fn the_account_before_is_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    let account = slug("ca.example");
    store.save_account(&account, b"one").unwrap();
    assert_eq!(store.load_previous_account(&account).unwrap(), None);
    store.save_account(&account, b"two").unwrap();
    let inode = || std::fs::metadata(scratch.path().join("accounts/ca.example/account.json")).unwrap().ino();
    let before = inode();
    store.save_account(&account, b"two").unwrap();
    assert_eq!(inode(), before, "the same account is not written again");
    assert_eq!(store.load_account(&account).unwrap().unwrap().to_vec(), b"two");
    assert_eq!(store.load_previous_account(&account).unwrap().unwrap().to_vec(), b"one");
}
