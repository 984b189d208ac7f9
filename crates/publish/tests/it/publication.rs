//! What a publication writes, and what is read back.

use crate::sample::{NAME, certificate, chain, name, record, tree};
use crate::stop::Stop;
use gatecert_publish::{Certificate, FileStore, InvalidCertificate, PublishError, StoreError};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

fn named(name: &str, number: u32) -> Certificate {
    let mut certificate = certificate(number);
    certificate.record.name = FileStore::name_for(name).unwrap();
    certificate.record.identifiers = vec![name.to_owned()];
    certificate
}

#[test]
fn the_files_are_where_they_should_be() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    let published = store.publish(&certificate(1)).unwrap();
    assert_eq!(published.version, 1);
    assert_eq!(
        tree(&scratch.path().join(NAME)),
        [
            "cert.json -> current/cert.json",
            "chain.pem -> current/chain.pem",
            "current -> versions/000001",
            "sds.yaml",
            "tls.crt -> current/tls.crt",
            "tls.key -> current/tls.key",
            "versions/000001/cert.json",
            "versions/000001/chain.pem",
            "versions/000001/tls.crt",
            "versions/000001/tls.key",
        ]
    );
    let files = store.files(&name());
    assert_eq!(files, published.files);
    let expected = certificate(1);
    assert_eq!(fs::read_to_string(&files.certificate).unwrap(), expected.chain_pem);
    assert_eq!(fs::read_to_string(&files.key).unwrap(), *expected.key_pem);
    let intermediates = fs::read_to_string(&files.chain).unwrap();
    assert!(
        expected.chain_pem.ends_with(&intermediates) && intermediates.len() * 2 == expected.chain_pem.len()
    );
    assert_eq!(store.load(&name()).unwrap(), Some(expected));
    assert_eq!(store.record(&name()).unwrap(), Some(record(1)));
}

#[test]
fn the_last_two_versions_are_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    for number in 1..=5 {
        assert_eq!(store.publish(&certificate(number)).unwrap().version, number);
    }
    let mut versions: Vec<_> = fs::read_dir(scratch.path().join(NAME).join("versions"))
        .unwrap()
        .map(|version| version.unwrap().file_name())
        .collect();
    versions.sort();
    assert_eq!(versions, ["000004", "000005"]);
    assert_eq!(store.load(&name()).unwrap(), Some(certificate(5)));
}

#[test]
fn sds_yaml_names_canonical_paths_and_is_not_written_again() {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("real dir")).unwrap();
    std::os::unix::fs::symlink("real dir", scratch.path().join("link")).unwrap();
    let store = FileStore::open(scratch.path().join("link/../link/.")).unwrap();
    let sds = store.publish(&certificate(1)).unwrap().files.sds;
    let directory = scratch.path().canonicalize().unwrap().join("real dir").join(NAME);
    assert_eq!(sds, directory.join("sds.yaml"));

    let document: serde_json::Value = serde_saphyr::from_str(&fs::read_to_string(&sds).unwrap()).unwrap();
    let path = |file: &str| directory.join(file).to_str().unwrap().to_owned();
    let expected = serde_json::json!({ "resources": [{
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": NAME,
        "tls_certificate": {
            "certificate_chain": { "filename": path("tls.crt") },
            "private_key": { "filename": path("tls.key") },
            "watched_directory": { "path": directory.to_str().unwrap() },
        },
    }]});
    assert_eq!(document, expected);

    let inode = fs::metadata(&sds).unwrap().ino();
    store.publish(&certificate(2)).unwrap();
    drop(store);
    FileStore::open(scratch.path().join("real dir")).unwrap().publish(&certificate(3)).unwrap();
    assert_eq!(fs::metadata(&sds).unwrap().ino(), inode);
}

#[test]
fn a_directory_that_was_moved_is_put_right_when_opened() {
    let scratch = tempfile::tempdir().unwrap();
    let (before, after) = (scratch.path().join("before"), scratch.path().join("after"));
    FileStore::open(&before).unwrap().publish(&certificate(1)).unwrap();
    fs::rename(&before, &after).unwrap();
    fs::remove_file(after.join(NAME).join("tls.key")).unwrap();

    let files = FileStore::open(&after).unwrap().files(&name());
    assert_eq!(fs::read_to_string(&files.key).unwrap(), *certificate(1).key_pem);
    let sds = fs::read_to_string(&files.sds).unwrap();
    assert!(sds.contains(files.key.to_str().unwrap()) && !sds.contains("/before/"), "{sds}");
}

/// Envoy reads its files again at each rename in the directory that it watches: there must be no needless one.
#[test]
fn a_rotation_renames_once_in_the_watched_directory() {
    let scratch = tempfile::tempdir().unwrap();
    let stop = Stop::default();
    let store = stop.open(scratch.path());
    store.publish(&certificate(1)).unwrap();
    stop.after(usize::MAX);
    store.publish(&certificate(2)).unwrap();
    store.update_record(&record(2)).unwrap();
    let entry = scratch.path().canonicalize().unwrap().join(NAME);
    let renamed = stop.seen().into_iter().filter(|(action, path)| {
        *action == gatecert_publish::Action::Rename && path.parent() == Some(&*entry)
    });
    assert_eq!(renamed.map(|(_, path)| path).collect::<Vec<_>>(), [entry.join("current")]);
}

#[test]
fn names_and_lists_are_sorted_and_skip_what_is_no_certificate() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    assert!(store.names().unwrap().is_empty());
    for name in ["www.example.com", "2001:db8::1", "*.example.com", "192.0.2.1"] {
        store.publish(&named(name, 1)).unwrap();
    }
    store.save_account(&"ca.example".parse().unwrap(), b"{}").unwrap();
    store.save_journal(&"unfinished.example".parse().unwrap(), b"{}").unwrap();
    fs::create_dir(scratch.path().join("lost+found")).unwrap();
    fs::write(scratch.path().join("notes"), "").unwrap();

    let names: Vec<String> = store.names().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["192.0.2.1", "2001_db8__1", "_.example.com", "www.example.com"]);
    let listed = FileStore::open_read_only(scratch.path()).unwrap().list().unwrap();
    let records: Vec<_> =
        listed.into_iter().map(|listed| (listed.name, listed.record.unwrap().name)).collect();
    assert_eq!(records.len(), 4);
    assert!(records.iter().all(|(name, recorded)| name == recorded));
}

#[test]
fn removing_leaves_the_others() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    store.publish(&certificate(1)).unwrap();
    store.publish(&named("other.example", 2)).unwrap();
    assert!(store.remove(&name()).unwrap());
    assert!(!store.remove(&name()).unwrap());
    assert_eq!(store.load(&name()).unwrap(), None);
    assert_eq!(store.names().unwrap(), [FileStore::name_for("other.example").unwrap()]);
    assert_eq!(store.publish(&certificate(3)).unwrap().version, 1);
}

#[test]
fn what_is_no_certificate_touches_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    let mut without_key = certificate(1);
    without_key.key_pem = String::new().into();
    let mut with_key = certificate(1);
    with_key.chain_pem.push_str(&with_key.key_pem);
    for (wrong, expected) in
        [(without_key, InvalidCertificate::NoKey), (with_key, InvalidCertificate::KeyInChain)]
    {
        match store.publish(&wrong) {
            Err(PublishError::Invalid { source, .. }) => assert_eq!(source, expected),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(tree(scratch.path()), [".lock"]);
}

#[test]
fn threads_may_share_a_store() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for n in 1..=5 {
                    store.publish(&certificate(thread * 5 + n)).unwrap();
                }
            });
        }
    });
    let found = store.load(&name()).unwrap().unwrap();
    assert_eq!(found, certificate(found.record.serial.parse().unwrap()));
    assert_eq!(
        fs::read_link(scratch.path().join(NAME).join("current")).unwrap(),
        Path::new("versions/000020")
    );
}

#[test]
fn a_directory_that_can_not_be_written_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    let error = FileStore::open(file.join("below")).unwrap_err();
    let text = chain(&error);
    assert!(text.contains(&format!("could not create the directory `{}`", file.display())), "{text}");

    let store = FileStore::open(scratch.path()).unwrap();
    fs::write(scratch.path().join(NAME), "mine").unwrap();
    for error in [
        chain(&store.prepare(&name()).unwrap_err()),
        chain(&store.publish(&certificate(1)).unwrap_err()),
        chain(&store.save_journal(&name(), b"{}").unwrap_err()),
    ] {
        assert!(error.contains("could not create the directory `") && error.contains(NAME), "{error}");
    }
    assert_eq!(fs::read_to_string(scratch.path().join(NAME)).unwrap(), "mine");
}

#[test]
fn what_was_prepared_goes_where_nothing_came() {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    let directory = scratch.path().join(NAME);
    assert!(!store.remove_unused(&name()).unwrap(), "there is nothing");
    store.prepare(&name()).unwrap();
    assert!(store.remove_unused(&name()).unwrap() && !directory.exists());

    store.prepare(&name()).unwrap();
    fs::write(directory.join("notes.txt"), "mine").unwrap();
    assert!(!store.remove_unused(&name()).unwrap() && directory.join("notes.txt").exists());
    fs::remove_file(directory.join("notes.txt")).unwrap();

    store.save_journal(&name(), b"{}").unwrap();
    assert!(!store.remove_unused(&name()).unwrap() && store.load_journal(&name()).unwrap().is_some());
    store.clear_journal(&name()).unwrap();

    store.publish(&certificate(1)).unwrap();
    assert!(!store.remove_unused(&name()).unwrap() && store.load(&name()).unwrap().is_some());
}

#[test]
fn a_directory_that_is_not_there_is_not_made_by_a_reader() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("none");
    let error = FileStore::open_read_only(&directory).unwrap_err();
    assert!(matches!(error, StoreError::NoDirectory { .. }), "{error:?}");
    assert!(!directory.exists());
}

#[test]
fn a_directory_that_is_not_utf_8_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join(std::ffi::OsStr::from_bytes(b"a\xffb"));
    assert!(matches!(FileStore::open(directory), Err(StoreError::NotUtf8 { .. })));
}
