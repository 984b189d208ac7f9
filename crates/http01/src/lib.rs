//! A responder for the HTTP-01 challenge of ACME ([RFC 8555 section 8.3]): a [`TokenStore`], a [`Responder`] that any tower
//! program can mount, and a [`Server`] for port 80. It knows no ACME client and no Kubernetes.
//!
//! ```
//! use gatecert_http01::{ListenAddress, Responder, Server, TokenStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = TokenStore::new();
//! let address: ListenAddress = "localhost:0".parse()?; // `:80` in earnest
//! let server = Server::bind(address)?.spawn(Responder::new(store.clone()))?;
//!
//! let thumbprint = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"; // of the account key
//! let token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"; // of the challenge
//! store.insert("www.example.com", token, &format!("{token}.{thumbprint}"))?;
//! // … the CA is told to look, and asks `http://www.example.com/.well-known/acme-challenge/<token>` …
//! println!("asked {} times", store.answered("www.example.com", token));
//!
//! store.remove("www.example.com", token);
//! server.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is answered
//! `GET` and `HEAD` of `/.well-known/acme-challenge/<token>`, the token being 1 to 128 characters of base64url, for a host that the
//! store knows. The answer is 200, `text/plain`, the key authorization and nothing behind it. Everything else is a short 404.
//! There are two modes, which may be mixed:
//! - exact: [`TokenStore::insert`] gives the answer to one token of one host;
//! - stateless: [`TokenStore::set_thumbprint`] answers every well-formed token of a host with `<token>.<thumbprint>`, so that
//!   nothing has to reach the replicas in time. The answers serve the holder of that account key only (RFC 8555 section 8.1), but
//!   every order of that account for the host, so long as the thumbprint is set.
//!
//! Hosts are compared without case, port, brackets and trailing dot; an absolute request target goes before `Host`
//! (RFC 9112 section 3.2.2), and two `Host` lines are none.
//!
//! # Running
//! [`Server`] needs a tokio runtime with I/O and time. Its bounds are in [`Limits`]; [`Health`] answers `/healthz` and `/readyz` for
//! a second server on another port:
//!
//! ```no_run
//! use gatecert_http01::{Health, ListenAddress, Responder, Server, TokenStore};
//!
//! # async fn run(terminated: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
//! let health = Health::new();
//! let probes = Server::bind(ListenAddress::any(8081))?.spawn(health.clone())?;
//! let challenges = Server::bind(ListenAddress::any(80))?.health(health);
//! let drained = challenges.serve(Responder::new(TokenStore::new()), terminated).await?;
//! if drained.cut > 0 {
//!     eprintln!("{} connections were cut", drained.cut);
//! }
//! probes.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! [RFC 8555 section 8.3]: https://www.rfc-editor.org/rfc/rfc8555#section-8.3

mod answer;
mod bind;
mod connections;
mod counts;
mod health;
mod host;
mod limits;
mod listen_address;
mod port_holder;
mod queue;
mod reply;
mod responder;
mod server;
mod store;
mod token;
mod write_limit;

pub use bind::BindError;
pub use connections::Drained;
pub use counts::Counts;
pub use health::Health;
pub use limits::Limits;
pub use listen_address::{ListenAddress, ListenAddressError};
pub use port_holder::PortHolder;
pub use responder::{CHALLENGE_PATH, Responder};
pub use server::{ServeError, Server, ServerHandle};
pub use store::TokenStore;
pub use token::TokenError;

/// The example of the README, which compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
