//! Starts the real servers that gatecert is tested against, on free ports of this machine, and ends them on drop.
//!
//! ```no_run
//! # async fn example() -> Result<(), gatecert_testkit::StartError> {
//! let pebble = gatecert_testkit::Pebble::builder().strict(true).start().await?;
//! println!("{} trusts {}", pebble.directory_url(), pebble.ca_pem());
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "cluster")]
pub mod cluster;
mod envoy;
mod error;
mod https;
mod pebble;
mod ports;
mod process;
mod standalone_envoy;
pub mod tools;

pub use envoy::Envoy;
pub use error::StartError;
pub use https::{https_client, served_chain};
pub use pebble::{ChallengeTestServer, Pebble, PebbleBuilder};
pub use ports::free_port;
pub use process::Process;
pub use standalone_envoy::{Handshakes, StandaloneEnvoy};
