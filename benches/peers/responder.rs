//! The responder as gatecert runs it, for `cargo xtask bench responder`: `responder-peer PORT HOST TOKEN KEY_AUTHORIZATION`.

use anyhow::{Context as _, Result};
use gatecert_http01::{ListenAddress, Responder, Server, TokenStore};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, host, token, key_authorization] = arguments.as_slice() else {
        anyhow::bail!("give four arguments: PORT HOST TOKEN KEY_AUTHORIZATION");
    };
    let store = TokenStore::new();
    store.insert(host, token, key_authorization)?;
    let address = ListenAddress::loopback(port.parse().context("PORT")?);
    let _server = Server::bind(address)?.spawn_responder(Responder::new(store))?;
    std::future::pending().await
}
