//! An axum program that answers HTTP-01 challenges beside its own pages.
//!
//! ```text
//! cargo run -p gatecert-http01 --example axum -- 127.0.0.1:5002 www.example.com TOKEN TOKEN.THUMBPRINT
//! curl -H 'Host: www.example.com' http://127.0.0.1:5002/.well-known/acme-challenge/TOKEN
//! ```

use axum::Router;
use axum::routing::get;
use gatecert_http01::{CHALLENGE_PATH, Responder, TokenStore};
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, host, token, key_authorization] = arguments.as_slice() else {
        return Err("give four arguments: ADDRESS HOST TOKEN KEY_AUTHORIZATION".into());
    };
    let store = TokenStore::new();
    store.insert(host, token, key_authorization)?;

    // `route_service` leaves the path as it is; `nest_service` would cut it.
    let app = Router::new()
        .route("/", get(|| async { "a page of the program\n" }))
        .route_service(&format!("{CHALLENGE_PATH}{{token}}"), Responder::new(store));

    axum::serve(tokio::net::TcpListener::bind(address).await?, app).await?;
    Ok(())
}
