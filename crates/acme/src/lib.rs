//! An ACME v2 client ([RFC 8555]): accounts, orders, HTTP-01, renewal information ([RFC 9773]), profiles and revocation.
//!
//! The crate speaks the protocol and nothing else: it starts no server and writes no file. What proves a name
//! (see `gatecert-http01`) and where certificates are kept is the caller's.
//!
//! ```no_run
//! use gatecert_acme::{
//!     AccountKey, AuthorizationStatus, Client, HttpTransport, Identifier, KeyAlgorithm, NewAccount, NewOrder,
//! };
//! use std::sync::Arc;
//!
//! # async fn issue() -> Result<(), Box<dyn std::error::Error>> {
//! let transport = Arc::new(HttpTransport::builder().user_agent_suffix("my-program/1.0").build()?);
//! let directory = "https://acme-staging-v02.api.letsencrypt.org/directory".parse()?;
//! let client = Client::builder(directory).transport(transport).build().await?;
//!
//! let new_account = NewAccount { terms_of_service_agreed: true, ..NewAccount::default() };
//! let account = client.create_account(&new_account, AccountKey::generate(KeyAlgorithm::Es256)?).await?;
//!
//! let mut order = account.new_order(&NewOrder::new([Identifier::dns("www.example.com")?])).await?;
//! for authorization in order.authorizations().await? {
//!     // The CA may still know a name from an earlier order.
//!     if authorization.status == AuthorizationStatus::Valid {
//!         continue;
//!     }
//!     let Some(challenge) = authorization.http01() else { continue };
//!     let token = challenge.token().unwrap_or_default();
//!     println!("serve {} at {token}", account.key().key_authorization(token));
//!     account.respond(challenge).await?;
//! }
//! order.wait_ready().await?;
//! // A certificate request for the same names in DER, whatever makes it: here the crate `rcgen`.
//! let key = rcgen::KeyPair::generate()?;
//! let request = rcgen::CertificateParams::new(["www.example.com".to_owned()])?.serialize_request(&key)?;
//! order.finalize(request.der()).await?;
//! order.wait_valid().await?;
//! println!("{}{}", order.certificate().await?.chain.pem(), key.serialize_pem());
//! # Ok(())
//! # }
//! ```
//!
//! Time and transport are injected ([`Clock`], [`Transport`]); everything that a server controls (sizes, counts, waits)
//! is capped by a constant that the documentation of the type names.
//!
//! [RFC 8555]: https://www.rfc-editor.org/rfc/rfc8555
//! [RFC 9773]: https://www.rfc-editor.org/rfc/rfc9773

mod account;
mod authorization;
mod certificate;
mod client;
mod clock;
mod contact;
mod directory;
mod external_account;
#[cfg(feature = "reqwest")]
mod http_transport;
mod identifier;
pub mod import;
mod json;
mod jwk;
mod jws;
mod key;
#[doc(hidden)]
pub mod measured;
mod nonce;
mod order;
mod polling;
mod problem;
mod renewal_info;
mod reply;
mod request;
mod retry;
mod revocation;
mod transport;

pub use account::{Account, AccountCredentials, AccountDetails, AccountError, AccountStatus, NewAccount};
pub use authorization::{
    Authorization, AuthorizationError, AuthorizationStatus, Challenge, ChallengeKind, ChallengeStatus,
};
pub use certificate::{CertificateChain, ChainError, ChainPreference, IssuedCertificate};
pub use client::{Client, ClientBuilder};
pub use clock::{Clock, SystemClock};
pub use contact::{Contact, ContactError};
pub use directory::{Directory, DirectoryError, Meta};
pub use external_account::{ExternalAccount, HmacKey, HmacKeyError};
#[cfg(feature = "reqwest")]
pub use http_transport::{HttpTransport, HttpTransportBuilder, HttpTransportError};
pub use identifier::{DnsName, Identifier, IdentifierError};
pub use jwk::Jwk;
pub use key::{AccountKey, KeyAlgorithm, KeyError};
pub use order::{MAX_IDENTIFIERS, NewOrder, Order, OrderError, OrderStatus};
pub use problem::{Problem, ProblemKind, Subproblem};
pub use renewal_info::{CertificateId, CertificateIdError, RenewalInfo, RenewalInfoError, RenewalWindow};
pub use request::RequestError;
pub use retry::Retry;
pub use revocation::{RevocationError, RevocationReason};
pub use transport::{MAX_RESPONSE_BYTES, Transport, TransportError, TransportErrorKind};

/// Let's Encrypt's production directory.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Let's Encrypt's staging directory: the same service with untrusted certificates and wide limits.
pub const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// So that what the README shows is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
