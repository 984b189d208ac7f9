//! Who may read what.

use crate::sample::{NAME, certificate, name};
use crate::stop::Stop;
use gatecert_publish::FileStore;
use rustix::fs::Mode;
use rustix::process::umask;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

fn modes(directory: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    walk(directory, "", &mut found);
    found
}

fn walk(path: &Path, relative: &str, found: &mut BTreeMap<String, u32>) {
    let metadata = fs::symlink_metadata(path).unwrap();
    if metadata.is_symlink() {
        return;
    }
    found.insert(relative.to_owned(), metadata.permissions().mode() & 0o7777);
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            walk(&path, format!("{relative}/{name}").trim_start_matches('/'), found);
        }
    }
}

fn fill(directory: &Path) {
    let store = FileStore::open(directory).unwrap();
    store.publish(&certificate(1)).unwrap();
    store.update_record(&certificate(1).record).unwrap();
    store.save_journal(&name(), b"{}").unwrap();
    let slug = "ca.example".parse().unwrap();
    store.save_account(&slug, b"one").unwrap();
    store.save_account(&slug, b"two").unwrap();
}

/// The mask belongs to the process, so both are looked at in one test; the other tests work under either.
#[test]
fn modes_are_exact_without_a_mask_and_a_mask_only_narrows_them() {
    let expected = [
        ("", 0o750),
        (".lock", 0o640),
        ("accounts", 0o700),
        ("accounts/ca.example", 0o700),
        ("accounts/ca.example/account.json", 0o600),
        ("accounts/ca.example/account.json.bak", 0o600),
        (NAME, 0o750),
        ("www.example.com/journal.json", 0o600),
        ("www.example.com/sds.yaml", 0o644),
        ("www.example.com/versions", 0o750),
        ("www.example.com/versions/000001", 0o750),
        ("www.example.com/versions/000001/cert.json", 0o644),
        ("www.example.com/versions/000001/chain.pem", 0o644),
        ("www.example.com/versions/000001/tls.crt", 0o644),
        ("www.example.com/versions/000001/tls.key", 0o600),
    ];
    let before = umask(Mode::empty());
    for mask in [0, 0o077] {
        umask(Mode::from_raw_mode(mask));
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("certificates");
        fill(&directory);
        let expected: BTreeMap<String, u32> =
            expected.iter().map(|(path, mode)| ((*path).to_owned(), mode & !mask)).collect();
        assert_eq!(modes(&directory), expected, "under {mask:03o}");
    }
    umask(before);
}

/// An empty file that is private before the key is written to it: no moment for another user to open it.
#[test]
fn a_key_is_private_before_it_is_there() {
    let scratch = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observed = Arc::clone(&seen);
    let store = FileStore::open_observed(
        scratch.path(),
        Arc::new(move |action, path| {
            if action == gatecert_publish::Action::WriteFile {
                let metadata = fs::metadata(path)?;
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                observed.lock().unwrap().push((name, metadata.permissions().mode() & 0o777, metadata.len()));
            }
            Ok(())
        }),
    )
    .unwrap();
    store.publish(&certificate(1)).unwrap();
    store.save_journal(&name(), b"{}").unwrap();
    store.save_account(&"ca.example".parse().unwrap(), b"{}").unwrap();
    let seen = seen.lock().unwrap();
    for secret in ["tls.key", ".new-journal.json", ".new-account.json"] {
        assert!(seen.contains(&(secret.to_owned(), 0o600, 0)), "{secret}: {seen:?}");
    }
}

#[test]
fn an_existing_directory_keeps_its_mode() {
    let scratch = tempfile::tempdir().unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o711)).unwrap();
    Stop::default().open(scratch.path());
    assert_eq!(modes(scratch.path())[""], 0o711);
}
