//! What someone did to the files by hand: an error that says what to do, and nothing lost.

use crate::sample::{NAME, certificate, chain, name, tree};
use gatecert_publish::{Damage, FileStore, StoreError};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

struct Damaged {
    scratch: tempfile::TempDir,
    entry: PathBuf,
    version: PathBuf,
}

/// Two publications and then `damage`.
fn damaged(damage: impl FnOnce(&Damaged)) -> Damaged {
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    store.publish(&certificate(1)).unwrap();
    store.publish(&certificate(2)).unwrap();
    let entry = store.files(&name()).directory;
    let version = entry.join("versions/000002");
    let damaged = Damaged { scratch, entry, version };
    damage(&damaged);
    damaged
}

impl Damaged {
    fn path(&self) -> &Path {
        self.scratch.path()
    }

    fn point_current_to(&self, target: &str) {
        fs::remove_file(self.entry.join("current")).unwrap();
        symlink(target, self.entry.join("current")).unwrap();
    }

    /// The error of a load, after a look at that nothing changed by it or by the opening of a writer, and that the
    /// list names the certificate all the same.
    fn refusal(&self) -> String {
        let before = tree(self.path());
        let store = FileStore::open(self.path()).unwrap();
        let error = store.load(&name()).unwrap_err();
        let listed = store.list().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].name, name());
        assert_eq!(tree(self.path()), before);
        chain(&error)
    }

    fn heals(&self) {
        let store = FileStore::open(self.path()).unwrap();
        store.publish(&certificate(3)).unwrap();
        assert_eq!(store.load(&name()).unwrap(), Some(certificate(3)));
        assert!(store.list().unwrap().iter().all(|listed| listed.record.is_ok()));
    }
}

#[test]
fn a_damaged_file_is_named_and_the_next_publication_heals() {
    let cases: &[(&str, Option<&str>, &str)] = &[
        (
            "cert.json",
            Some("{"),
            "cert.json` is no certificate record; restore it, or issue the certificate again: EOF",
        ),
        (
            "cert.json",
            Some("{\"version\":1}"),
            "is no certificate record; restore it, or issue the certificate again: missing field",
        ),
        ("cert.json", Some("[]"), "is no certificate record"),
        ("cert.json", Some(""), "is no certificate record"),
        (
            "cert.json",
            Some("{\"version\":2,\"else\":0}"),
            "cert.json` has format 2, and this gatecert knows formats up to 1; use the gatecert",
        ),
        ("cert.json", None, "cert.json` is missing; restore it, or issue the certificate again"),
        ("tls.key", Some(""), "tls.key` is damaged: the key holds no PEM block"),
        ("tls.key", None, "tls.key` is missing; restore it, or issue the certificate again"),
        ("tls.crt", Some("-----BEGIN CERT"), "tls.crt` is damaged: the chain holds no PEM block"),
        ("tls.crt", None, "tls.crt` is missing"),
    ];
    for (file, content, expected) in cases {
        let damaged = damaged(|damaged| match content {
            Some(content) => fs::write(damaged.version.join(file), content).unwrap(),
            None => fs::remove_file(damaged.version.join(file)).unwrap(),
        });
        let text = damaged.refusal();
        assert!(text.contains(expected), "{file} {content:?}: {text}");
        assert!(text.contains(damaged.version.to_str().unwrap()), "{text}");
        damaged.heals();
    }
}

#[test]
fn a_file_that_is_no_text_is_named() {
    let damaged = damaged(|damaged| fs::write(damaged.version.join("tls.key"), b"\xff\xfe").unwrap());
    let text = damaged.refusal();
    assert!(text.contains("tls.key` is damaged: it is not UTF-8"), "{text}");
    damaged.heals();
}

#[test]
fn a_dangling_current_is_named_and_the_older_version_outlives_the_next_publication() {
    let damaged = damaged(|damaged| fs::remove_dir_all(&damaged.version).unwrap());
    let text = damaged.refusal();
    assert!(text.contains("versions/000002/cert.json` is missing"), "{text}");
    damaged.heals();
    assert_eq!(crate::sample::number_in(&damaged.entry.join("versions/000001")), Some(1));
    assert_eq!(fs::read_link(damaged.entry.join("current")).unwrap(), Path::new("versions/000003"));
}

#[test]
fn a_current_that_leads_outside_is_never_followed() {
    let targets = [
        "../../../etc",
        "/etc",
        "versions/../../other",
        "versions",
        "versions/2",
        "versions/000002/..",
        "000002",
        "./versions/000002",
        "versions/.new-000002",
        ".",
    ];
    for target in targets {
        let damaged = damaged(|damaged| damaged.point_current_to(target));
        let text = damaged.refusal();
        let expected =
            format!("current` leads to `{target}`, not to a directory in `versions`; point it there");
        assert!(text.contains(&expected), "{text}");

        let store = FileStore::open(damaged.path()).unwrap();
        let before = tree(damaged.path());
        assert!(chain(&store.prepare(&name()).unwrap_err()).contains(&expected));
        let error = store.publish(&certificate(3)).unwrap_err();
        assert!(!error.is_in_place());
        assert!(chain(&error).contains(&expected), "{error:?}");
        assert_eq!(tree(damaged.path()), before, "{target}");
        drop(store);

        fs::remove_file(damaged.entry.join("current")).unwrap();
        damaged.heals();
        assert_eq!(crate::sample::number_in(&damaged.version), Some(2), "the newest is kept");
    }
}

#[test]
fn a_current_that_is_no_symlink_is_left_alone() {
    for directory in [true, false] {
        let damaged = damaged(|damaged| {
            let current = damaged.entry.join("current");
            fs::remove_file(&current).unwrap();
            if directory { fs::create_dir(&current).unwrap() } else { fs::write(&current, "mine").unwrap() }
        });
        let text = damaged.refusal();
        assert!(
            text.contains("current` is not a symlink to a directory in `versions`; move it away"),
            "{text}"
        );
        let store = FileStore::open(damaged.path()).unwrap();
        let before = tree(damaged.path());
        let error = chain(&store.publish(&certificate(3)).unwrap_err());
        assert!(error.contains("move it away and issue the certificate again"), "{error}");
        assert_eq!(tree(damaged.path()), before);
    }
}

#[test]
fn a_file_of_someone_else_is_not_overwritten() {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join(NAME)).unwrap();
    for file in ["tls.crt", "tls.key", "chain.pem", "cert.json"] {
        let path = scratch.path().join(NAME).join(file);
        fs::write(&path, "mine").unwrap();
        let store = FileStore::open(scratch.path()).unwrap();
        let expected = format!("is not the symlink to `current/{file}` that it should be; move it away");
        for text in
            [chain(&store.prepare(&name()).unwrap_err()), chain(&store.publish(&certificate(1)).unwrap_err())]
        {
            assert!(text.contains(&expected), "{text}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(store.load(&name()).unwrap(), None);
        fs::remove_file(&path).unwrap();
    }
    FileStore::open(scratch.path()).unwrap().publish(&certificate(1)).unwrap();
}

#[test]
fn the_record_of_another_certificate_is_not_taken_for_this_one() {
    let damaged = damaged(|damaged| fs::rename(&damaged.entry, damaged.path().join("copy.example")).unwrap());
    let store = FileStore::open(damaged.path()).unwrap();
    let error = store.load(&"copy.example".parse().unwrap()).unwrap_err();
    match &error {
        StoreError::Damaged { damage: Damage::OtherName { name: found }, .. } => assert_eq!(*found, name()),
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains("is the record of `www.example.com`; give its directory that name"));
}

#[test]
fn versions_come_to_an_end_with_a_word() {
    let damaged =
        damaged(|damaged| fs::create_dir(damaged.entry.join(format!("versions/{}", u32::MAX))).unwrap());
    let store = FileStore::open(damaged.path()).unwrap();
    let text = chain(&store.publish(&certificate(3)).unwrap_err());
    assert!(text.contains("versions/4294967295` has the highest number"), "{text}");
    assert_eq!(store.load(&name()).unwrap(), Some(certificate(2)));
}

#[test]
fn one_damaged_certificate_does_not_hide_the_others() {
    let damaged = damaged(|damaged| fs::write(damaged.version.join("cert.json"), "{").unwrap());
    let store = FileStore::open(damaged.path()).unwrap();
    let mut other = certificate(1);
    other.record.name = "other.example".parse().unwrap();
    store.publish(&other).unwrap();
    let listed = store.list().unwrap();
    let states: Vec<_> = listed.iter().map(|listed| (listed.name.as_str(), listed.record.is_ok())).collect();
    assert_eq!(states, [("other.example", true), (NAME, false)]);
    assert!(store.remove(&name()).unwrap());
    assert_eq!(store.list().unwrap().len(), 1);
}
