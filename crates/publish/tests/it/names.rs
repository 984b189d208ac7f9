//! Names that are safe below a directory.

use gatecert_publish::{AccountSlug, CertificateName, FileStore, NameError};
use proptest::prelude::*;
use std::path::{Component, Path};

#[test]
fn identifiers_give_names() {
    for (identifier, expected) in [
        ("www.example.com", "www.example.com"),
        ("WWW.Example.COM.", "www.example.com"),
        ("*.example.com", "_.example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001_db8__1"),
        ("2001:0DB8:0:0::1", "2001_db8__1"),
        ("::1", "__1"),
        ("::ffff:192.0.2.1", "__ffff_192.0.2.1"),
        ("accounts.example.com", "accounts.example.com"),
    ] {
        let name = FileStore::name_for(identifier).unwrap();
        assert_eq!(name.as_str(), expected);
        assert_eq!(name.as_str().parse::<CertificateName>().unwrap(), name);
    }
}

const ATTACKS: &[&str] = &[
    "",
    ".",
    "..",
    "...",
    "../..",
    "/",
    "/etc",
    "a/b",
    "a/../b",
    "./a",
    "a/",
    "\\",
    "a\\b",
    "..\\a",
    ".lock",
    ".removed",
    ".new-a",
    "-rf",
    "--help",
    "a b",
    " a",
    "a\n",
    "a\0",
    "a\0/../b",
    "\u{202e}a",
    "bücher.example",
    "a%2f..",
    "%2e%2e",
    "~",
    "~root",
    "$HOME",
    "`id`",
    "a;b",
    "a'b",
    "a\"b",
    "C:",
    "a:b",
    "*",
    "a*",
    "?",
    "[::1]",
    "fe80::1%eth0",
    "\u{ff0e}\u{ff0e}",
    "\u{2215}etc",
];

#[test]
fn attacks_are_no_names() {
    for attack in ATTACKS.iter().copied().chain(["accounts", "ACCOUNTS", "a_b", "*.", "*..", "*.*.a", "*./a"])
    {
        assert!(FileStore::name_for(attack).is_err(), "{attack:?}");
    }
    for attack in ATTACKS.iter().copied().chain(["accounts", "WWW.example.com", "*.a"]) {
        assert!(attack.parse::<CertificateName>().is_err(), "{attack:?}");
        let json = serde_json::to_string(attack).unwrap();
        assert!(serde_json::from_str::<CertificateName>(&json).is_err(), "{attack:?}");
    }
    for attack in ATTACKS {
        assert!(attack.parse::<AccountSlug>().is_err(), "{attack:?}");
    }
}

#[test]
fn the_longest_name_is_that_of_dns() {
    let longest = "a".repeat(253);
    assert_eq!(FileStore::name_for(&longest).unwrap().as_str(), longest);
    assert_eq!(FileStore::name_for(&"a".repeat(254)), Err(NameError::TooLong { length: 254 }));
    let scratch = tempfile::tempdir().unwrap();
    let store = FileStore::open(scratch.path()).unwrap();
    let name = FileStore::name_for(&longest).unwrap();
    store.save_journal(&name, b"{}").unwrap();
    assert!(store.remove(&name).unwrap());
}

#[test]
fn servers_give_slugs() {
    for (server, expected) in [
        ("https://acme-v02.api.letsencrypt.org/directory", "acme-v02.api.letsencrypt.org_directory"),
        ("https://localhost:14000/dir", "localhost_14000_dir"),
        ("https://[::1]:14000/dir/", "___1__14000_dir"),
        ("https://ca.example/a%2f..%2fb/../x?y#z", "ca.example_x"),
    ] {
        assert_eq!(AccountSlug::for_server(&server.parse().unwrap()).unwrap().as_str(), expected);
    }
    let long = format!("https://ca.example/{}", "a".repeat(300));
    assert!(AccountSlug::for_server(&long.parse().unwrap()).is_err());
}

/// A name that is a file name directly below the directory and no other.
fn stays_below(name: &str) -> bool {
    let components: Vec<_> = Path::new(name).components().collect();
    matches!(components.as_slice(), [Component::Normal(only)] if *only == name)
}

proptest! {
    #[test]
    fn whatever_is_a_name_stays_below(text in "(?s)[a-zA-Z0-9./\\\\:*_ \\-\0]{0,12}|.{0,12}") {
        for name in [FileStore::name_for(&text), text.parse::<CertificateName>()].into_iter().flatten() {
            prop_assert!(stays_below(name.as_str()), "{name}");
            prop_assert!(!name.as_str().starts_with('.') && name.as_str() != "accounts", "{name}");
        }
        if let Ok(slug) = text.parse::<AccountSlug>() {
            prop_assert!(stays_below(slug.as_str()), "{slug}");
        }
    }

    #[test]
    fn two_identifiers_never_share_a_name(one in "(\\*\\.)?[a-c.:0_]{1,6}", other in "(\\*\\.)?[a-c.:0_]{1,6}") {
        let same = |text: &str| text.parse::<std::net::IpAddr>().map_or_else(
            |_| text.strip_suffix('.').unwrap_or(text).to_owned(),
            |address| address.to_string(),
        );
        if let (Ok(first), Ok(second)) = (FileStore::name_for(&one), FileStore::name_for(&other)) {
            prop_assert_eq!(first == second, same(&one) == same(&other));
        }
    }

    #[test]
    fn any_address_has_a_name_of_its_own(address: std::net::Ipv6Addr) {
        let name = FileStore::name_for(&address.to_string()).unwrap();
        prop_assert_eq!(name.as_str().replace('_', ":"), address.to_string());
    }
}
