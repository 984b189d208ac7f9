//! Puts a certificate where a gateway reads it: a directory of files that Envoy's file SDS loads and watches; with the
//! feature `kubernetes`, a Secret; with the feature `sds`, Envoys that ask for it over gRPC.
//!
//! A certificate and its key change together, in one step: each publication writes a new directory below `versions`,
//! flushes it to the disk and then renames one symlink, `current`. A reader that resolves `current` once never holds
//! the key of one certificate with the chain of another, and a crash between any two steps leaves the old pair or
//! the new one.
//!
//! ```text
//! DIR/.lock                         one writer; the process id of its holder
//! DIR/accounts/SLUG/account.json    0600, and the file before it in account.json.bak
//! DIR/NAME/current                  -> versions/000002
//! DIR/NAME/tls.crt                  -> current/tls.crt; tls.key, chain.pem and cert.json likewise
//! DIR/NAME/versions/000002/         tls.crt (leaf first), tls.key (0600), chain.pem (intermediates), cert.json
//! DIR/NAME/sds.yaml                 what Envoy's path_config_source takes as it is
//! DIR/NAME/journal.json             0600, only while an issuance is under way
//! ```
//!
//! ```
//! use gatecert_publish::{Certificate, FileStore, Http01, Record, RenewalOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let scratch = tempfile::tempdir()?;
//! # let directory = scratch.path();
//! # let chain_pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_owned();
//! # let key_pem = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n".to_owned();
//! let store = FileStore::open(directory)?;
//! let record = Record {
//!     name: FileStore::name_for("www.example.com")?,
//!     identifiers: vec!["www.example.com".to_owned()],
//!     server: "https://acme-v02.api.letsencrypt.org/directory".parse()?,
//!     profile: None,
//!     key_type: "ecdsa-p256".to_owned(),
//!     account_url: None,
//!     order_url: None,
//!     certificate_id: None,
//!     not_before: "2026-11-01T00:00:00Z".parse()?,
//!     not_after: "2027-01-30T00:00:00Z".parse()?,
//!     issued_at: "2026-11-01T01:00:00Z".parse()?,
//!     issuer: "CN=E7,O=Let's Encrypt,C=US".to_owned(),
//!     serial: "04a3".to_owned(),
//!     ari: None,
//!     unanswered: None,
//!     revoked_at: None,
//!     renewal: RenewalOptions::new(Http01::Webroot("/var/www/html".into())),
//!     failures: Default::default(),
//! };
//! let published = store.publish(&Certificate { record, chain_pem, key_pem: key_pem.into() })?;
//! println!("Envoy loads {}", published.files.sds.display());
//!
//! for entry in FileStore::open_read_only(directory)?.list()? {
//!     println!("{} until {}", entry.name, entry.record?.not_after);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Every call blocks on the disk: in asynchronous code, make it from a thread that may block. What a certificate is
//! worth (its key matches, its names, its dates, its chain) is for the caller to verify before it publishes.

mod account;
mod certificate;
mod disk;
mod entry;
mod error;
mod journal;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
mod lock;
mod name;
mod publication;
mod reader;
mod record;
#[cfg(feature = "sds")]
pub mod sds;
mod sds_file;
mod secret;
mod store;

pub use account::AccountSlug;
pub use certificate::{Certificate, InvalidCertificate};
pub use disk::Action;
#[doc(hidden)]
pub use disk::Observer;
pub use entry::CertificateFiles;
pub use error::{Damage, PublishError, StoreError};
pub use name::{CertificateName, NameError};
pub use publication::Published;
pub use reader::{Listed, StoreReader};
pub use record::{Failures, Http01, Record, RenewalOptions, RenewalWindow, UnansweredQuestion};
pub use secret::Secret;
pub use store::FileStore;

/// The example of the README, which compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
